/* What the writers of tags share. Private to audio. */
#ifndef SM_AUDIO_TAG_PARTS_H
#define SM_AUDIO_TAG_PARTS_H

#include "audio/reader.h"
#include "audio/tag.h"

/* One file on its way to other tags: positions count in the source's content. */
typedef struct {
    sm_source *source;
    const char *container;
    const sm_tag_edit *edit;
    const char *text[SM_TAG_FIELDS]; /* what is really to be written: NULL where nothing changes */
    bool acid, smpl, inst;           /* likewise */
    char where[SM_TAG_FIELDS][64];   /* the writers note where they put it */
    sm_splice splice;
} sm_tag_job;
void sm_tag_where(sm_tag_job *j, sm_tag_field f, const char *place);
bool sm_tag_any_text(const sm_tag_job *j);

/* A kind of container whose tags can be written. */
typedef struct {
    const char *container;
    int (*plan)(sm_tag_job *j);                            /* adds to j->splice */
    int (*payload)(sm_source *s, sm_hasher *h, bool *any); /* the audio's bytes, in order */
} sm_tag_writer;

int sm_tag_plan_chunks(sm_tag_job *j); /* tag_chunks.c: wav, rf64, w64, aiff */
int sm_tag_payload_chunks(sm_source *s, sm_hasher *h, bool *any);
int sm_tag_plan_mpeg(sm_tag_job *j); /* tag_id3.c */
int sm_tag_payload_mpeg(sm_source *s, sm_hasher *h, bool *any);
int sm_tag_plan_flac(sm_tag_job *j); /* tag_vorbis.c */
int sm_tag_payload_flac(sm_source *s, sm_hasher *h, bool *any);
int sm_tag_plan_ogg(sm_tag_job *j); /* tag_ogg.c */
int sm_tag_payload_ogg(sm_source *s, sm_hasher *h, bool *any);

/* An ID3v2 tag with the job's fields: of the old one (n 0: none) all else stays as it was. fixed: the old length is kept where the
 * new one fits into it. room: zeros behind a tag that grows. SM_EFORMAT: a tag that cannot be read whole. */
int sm_id3_rewrite(sm_tag_job *j, const uint8_t *old, size_t n, bool fixed, size_t room, sm_buffer *out);
/* A block of Vorbis comments (vendor, count, comments, and what follows) likewise. n 0: none. */
int sm_comments_rewrite(sm_tag_job *j, const uint8_t *old, size_t n, sm_buffer *out);

int sm_hash_range(sm_source *s, sm_hasher *h, int64_t at, int64_t n); /* SM_EIO: the file ends before */
/* n bytes at `at`, the caller's. SM_EIO, SM_ENOMEM, SM_ELIMIT (more than SM_TAG_BLOCK). */
enum { SM_TAG_BLOCK = 64 << 20 };
int sm_read_block(sm_source *s, int64_t at, int64_t n, uint8_t **out);

void sm_put_le(sm_buffer *b, uint64_t value, int bytes);
void sm_put_be(sm_buffer *b, uint64_t value, int bytes);

#endif
