/* Writing tags into sound files. The audio stays as it is, bit by bit: what is written is checked before it takes the file's place. */
#ifndef SM_AUDIO_TAG_H
#define SM_AUDIO_TAG_H

#include "base/base.h"

typedef enum {
    SM_TAG_TITLE,
    SM_TAG_COMMENT,
    SM_TAG_GENRE,
    SM_TAG_MOOD,
    SM_TAG_INSTRUMENT,
    SM_TAG_BPM,      /* as it is to stand there: "128" or "127.95" */
    SM_TAG_KEY,      /* at most 3 characters: "Am", "C#", "Ebm", "o" */
    SM_TAG_KEYWORDS, /* "dark; punchy": wav only */
    SM_TAG_FIELDS
} sm_tag_field;
const char *sm_tag_field_name(sm_tag_field f); /* "title" ... */

/* What is to be in the file. Texts are UTF-8 and borrowed. A field that has a value stays as it is unless `overwrite`. */
typedef struct {
    const char *text[SM_TAG_FIELDS]; /* NULL: as it is; "": takes it away (only with overwrite) */
    bool overwrite[SM_TAG_FIELDS];
    bool overwrite_chunks; /* acid, smpl and inst that are there */
    bool overwrite_acid;   /* acid alone: its tempo is the user's */
    bool acid, smpl, inst; /* write these chunks; wav only */
    struct {
        bool one_shot;
        int root_note; /* MIDI; -1: none */
        uint32_t beats;
        float tempo; /* 0: none */
    } acid_values;
    int unity_note;    /* of smpl and inst, MIDI */
    double fine_cents; /* of the sound above that note, -50..50 */
    bool loop;         /* the whole sound is one */
    int64_t frames;    /* of the sound; for the loop */
} sm_tag_edit;

typedef struct {
    const char *field; /* "bpm", "acid" */
    char *where;       /* "id3 TBPM", "INFO IGNR, id3 TCON" */
    char *before, *after;
    bool kept; /* it had a value, which stays: before is that, after what would have been written */
} sm_tag_change;

/* Which bytes of a file are others: ordered, apart from each other. */
typedef struct {
    int64_t at, remove; /* in the old file */
    uint8_t *bytes;
    size_t n;
} sm_splice_part;
typedef struct {
    sm_splice_part *parts;
    size_t n, capacity;
} sm_splice;
int sm_splice_add(sm_splice *s, int64_t at, int64_t remove, const void *bytes, size_t n);
void sm_splice_free(sm_splice *s);

typedef struct {
    sm_tag_change *changes;
    size_t n, capacity;
    bool writes; /* something in the file becomes another */
    /* what takes it back, byte by byte; filled when it is written */
    sm_splice back;
    char hash_before[33], hash_after[33]; /* xxh128 of the whole file */
    int64_t mtime_ns;                     /* before */
} sm_tag_result;
void sm_tag_result_free(sm_tag_result *r);

typedef struct {
    bool dry_run;    /* only fills the changes */
    bool keep_mtime; /* the file's time of change stays */
    /* Called when the new file is whole and checked, before it takes the old one's place: for a journal. Negative: it does not. */
    int (*before_commit)(void *user, const char *path, const sm_tag_result *r);
    void *user;
} sm_tag_how;

/* Errors: SM_EUNSUPPORTED (a kind of file whose tags are not written), SM_EFORMAT (no sound file; or damaged such that the place of
 * the audio is not sure), SM_EIO (not writable, changed meanwhile, disk full), SM_ELIMIT (it would pass the container's size). The
 * file is then as it was. *out is to be freed also after a failure. */
int sm_tag_write(const char *path, const sm_tag_edit *e, const sm_tag_how *o, sm_tag_result *out);
/* Puts the bytes back that were there. SM_EIO: the file is not as it was left. Nothing is done where it is as before already. */
int sm_tag_restore(const char *path, const sm_splice *back, const char *hash_before, const char *hash_after,
                   int64_t mtime_ns);
/* Hash of the audio alone, without tags: what sm_tag_write compares. */
int sm_tag_payload_hash(const char *path, char out[65]);

#endif
