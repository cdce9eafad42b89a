/* Inside reading: kinds of files, and the decoders behind sm_audio. Private to audio. */
#ifndef SM_AUDIO_READER_H
#define SM_AUDIO_READER_H

#include "audio/audio.h"
#include "audio/source.h"

/* What a decoder says when it opens a file. */
typedef struct {
    int rate_hz, channels;
    int64_t frames; /* -1: unknown */
    const char *codec;
    const char *container; /* NULL: as the kind says */
    int bit_depth;         /* 0: lossy */
    int64_t bitrate_bps;   /* 0: from the file's size */
    int64_t declared;      /* frames that the header promises where that is more than `frames`; 0: no lie known */
    int64_t limit;         /* what comes after so many frames is a codec's padding; 0: nothing does */
    bool approximate;      /* `frames` is good to a tenth of a second */
    const char *lack;      /* what is missing though all of the audio that is there can be read; NULL: nothing */
} sm_decoder_info;

/* One library that decodes. Messages do not name the file: sm_audio_open adds that. */
typedef struct {
    const char *name;
    /* The source stays the caller's, is open until close, and is this decoder's to read from the start.
     * SM_EFORMAT, SM_EUNSUPPORTED, SM_ENOMEM. meta: what the library knows and our own parsers do not (MP4). */
    int (*open)(sm_source *source, sm_audio_metadata *meta, void **out, sm_decoder_info *info);
    int64_t (*read)(void *state, float *out, size_t frames); /* 0: end; negative: damaged here, message set */
    int (*seek)(void *state, int64_t frame);
    void (*close)(void *state);
} sm_decoder;
extern const sm_decoder sm_decoder_sndfile, sm_decoder_mpeg, sm_decoder_ffmpeg;

/* A kind of file, told by its content. */
typedef struct {
    const char *container;
    const char *words; /* for messages: "a RIFF WAVE file" */
    bool (*is)(sm_source *s);
    const sm_decoder *decoders[3]; /* in this order until one opens it */
} sm_audio_kind;
extern const sm_audio_kind sm_audio_kinds[]; /* ends with a NULL container */
/* NULL: none. An ID3v2 tag before the content of a kind that has none is skipped in the source. */
const sm_audio_kind *sm_audio_kind_find(sm_source *s);
/* "text", "PNG image", "zeros", "bytes 12 34 56 78": what a file that is no sound begins with. */
const char *sm_source_looks_like(sm_source *s, char out[64]);
/* Where MPEG audio begins, -1: there is none. */
int64_t sm_mpeg_first_frame(sm_source *s);
/* Length of the ID3v2 tags at `at`, 0: none there. */
int64_t sm_id3_length(sm_source *s, int64_t at);

/* Where the samples of a RIFF, RF64 or W64 file are, and what its header says wrongly. */
typedef struct {
    int64_t data_at, data_bytes; /* really there; data_at 0: no data chunk found */
    int64_t declared_bytes;      /* -1: a stream's, to the end of the file */
    bool tail;                   /* much follows the data that is no chunk: the size may be too small */
    bool unfinished;             /* the header still has the zeros it began with */
    int rate_hz, channels, block_align;
    int64_t fact_frames; /* 0: no fact chunk */
    int format_tag;
    int samples_per_block; /* of the ADPCM kinds */
} sm_riff_layout;
void sm_riff_measure(sm_source *s, sm_riff_layout *out);
/* Shows the libraries a header that tells the truth; true when something had to be corrected. */
bool sm_riff_repair(sm_source *s, const sm_riff_layout *layout);

/* ---- metadata: parsers add to `meta`; what is damaged is left out. 0 or SM_ENOMEM. ---- */
int sm_meta_source(sm_source *s, sm_audio_metadata *meta); /* by content: calls those below */
int sm_meta_riff(sm_source *s, sm_audio_metadata *meta);
int sm_meta_aiff(sm_source *s, sm_audio_metadata *meta);
int sm_meta_caf(sm_source *s, sm_audio_metadata *meta);
int sm_meta_flac(sm_source *s, sm_audio_metadata *meta);
int sm_meta_ogg(sm_source *s, sm_audio_metadata *meta);
int sm_meta_mpeg(sm_source *s, sm_audio_metadata *meta); /* ID3v2, APE, ID3v1 */
int sm_meta_id3v2(sm_source *s, int64_t at, int64_t end,
                  sm_audio_metadata *meta); /* tags at `at`, as an own chunk has */

typedef enum { SM_TEXT_LATIN1, SM_TEXT_UTF16, SM_TEXT_UTF16_BE, SM_TEXT_UTF8, SM_TEXT_ANY } sm_text_encoding;
/* Up to its first zero, as UTF-8, spaces at the ends gone; ANY: UTF-8 if it is valid, else Latin-1 with Windows' additions. */
int sm_meta_text(sm_text_encoding encoding, const uint8_t *bytes, size_t n, char **out);
/* One tag: key is made lower case; an empty value adds nothing. */
int sm_meta_tag(sm_audio_metadata *meta, const char *key, sm_text_encoding encoding, const uint8_t *value, size_t n);
const char *sm_meta_find(const sm_audio_metadata *meta, const char *key); /* its value, or NULL */

/* Native names to ours. */
typedef struct {
    const char *native, *key;
} sm_meta_name;
const char *sm_meta_rename(const sm_meta_name *names, size_t n,
                           const char *native); /* native when it is not in the table */

enum {
    SM_META_CHUNKS = 4096,   /* a file with more chunks than this is not read on */
    SM_META_TAGS = 1024,     /* tags kept */
    SM_META_TEXT = 1 << 16,  /* bytes kept of one value */
    SM_META_BLOCK = 1 << 20, /* bytes of one text block that are looked at */
    SM_META_POINTS = 1 << 12 /* cues and loops kept */
};

#endif
