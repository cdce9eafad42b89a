/* audio: files in and out, their metadata, resampling, channel layout. Knows nothing of spectra or models. */
#ifndef SM_AUDIO_H
#define SM_AUDIO_H

#include "base/base.h"

/* A growing array of samples or frames; freed by sm_floats_free. */
typedef struct {
    float *data;
    size_t length, capacity;
} sm_floats;
int sm_floats_add(sm_floats *f, const float *data, size_t n); /* data NULL: n zeros. 0 or SM_ENOMEM */
void sm_floats_drop(sm_floats *f, size_t n);                  /* the first n are gone */
void sm_floats_free(sm_floats *f);

/* ---- reading ---- */
typedef struct {
    int rate_hz, channels;
    int64_t frames;      /* as the header says; -1: unknown before the end */
    char container[16];  /* "wav", "aiff", "caf", "flac", "mp3", "ogg", "m4a", "w64", "rf64" */
    char codec[24];      /* "pcm_s16", "pcm_f32", "vorbis", "opus", "aac", "alac", "mp3", "flac" */
    int bit_depth;       /* 0: lossy */
    int64_t bitrate_bps; /* mean; 0: unknown */
    int64_t file_bytes;
    double mtime_s;
} sm_audio_info;

typedef struct {
    char *key,
        *value; /* "title", "artist", "genre", "comment", "bpm", "initialkey", "software" ... lower case; value UTF-8 */
} sm_audio_tag;
typedef struct {
    uint32_t start, end; /* frames, end exclusive */
    uint32_t plays;      /* 0: for ever */
    int type;            /* 0 forward, 1 alternating, 2 backward */
} sm_audio_loop;
typedef struct {
    bool has_acid, has_smpl, has_inst;
    struct {
        uint32_t flags, beats;
        int root_note; /* MIDI; -1: none */
        int meter_denominator, meter_numerator;
        float tempo;
    } acid;
    struct {
        int unity_note;
        double fine_cents;
        size_t n_loops;
        sm_audio_loop *loops;
    } smpl;
    struct {
        int base_note, detune_cents, gain_db, key_low, key_high, velocity_low, velocity_high;
    } inst;
    size_t n_cues;
    struct sm_audio_cue {
        uint32_t id;
        int64_t frame;
        char *label; /* or NULL */
    } * cues;
    size_t n_tags;
    sm_audio_tag *tags;
} sm_audio_metadata;

/* What the bytes of a sound file of any kind tell, without decoding; never believes a size. 0 or SM_ENOMEM: nothing found is
 * not an error. Fills *out, to be freed also after a failure. sm_audio_open does this by itself. */
int sm_audio_metadata_parse(const void *data, size_t size, sm_audio_metadata *out);
void sm_audio_metadata_free(sm_audio_metadata *m); /* leaves it empty */

typedef struct sm_audio sm_audio;
/* Opens a sound file of any kind (by content; libsndfile first, FFmpeg when that refuses). Errors are one sentence naming the
 * file: SM_ENOTFOUND, SM_EIO (directory, permission), SM_EFORMAT (empty, not audio, damaged), SM_EUNSUPPORTED (no FFmpeg for m4a;
 * more than 8 channels; rate outside 8..192 kHz). */
int sm_audio_open(const char *path, sm_audio **out);
const sm_audio_info *sm_audio_get_info(const sm_audio *a);
const sm_audio_metadata *sm_audio_get_metadata(const sm_audio *a); /* never NULL */
/* Interleaved f32; returns frames read (0: end), or a negative code. NaN and infinities in float files become 0 and are counted. */
int64_t sm_audio_read(sm_audio *a, float *out, size_t frames);
int sm_audio_seek(sm_audio *a, int64_t frame);
/* After reading to the end: NULL, or a sentence about what was wrong though audio came out ("data ends after 3.2 s of 10 s"). */
const char *sm_audio_warning(const sm_audio *a);
void sm_audio_close(sm_audio *a);

/* ---- writing ---- */
typedef enum { SM_SAMPLE_S16, SM_SAMPLE_S24, SM_SAMPLE_F32 } sm_sample_format;
typedef struct {
    int rate_hz, channels;
    sm_sample_format format;                /* wav, flac (16, 24) */
    int mp3_bitrate_kbps;                   /* 0: 320 */
    const char *title, *comment, *software; /* or NULL */
    bool dither;                            /* triangular noise of one step before rounding to integers; repeatable */
    int64_t frames_expected;                /* 0: unknown. A wav that would pass 4 GB is written as RF64 */
} sm_audio_write_options;
typedef struct sm_audio_writer sm_audio_writer;
/* By the name's ending: .wav .aiff .caf .w64 (16, 24, float), .flac (16, 24), .mp3 (8 to 48 kHz, 1 or 2 channels; LAME makes it
 * up to 5 % quieter at low bit rates), .ogg, .opus (48, 24, 16, 12 or 8 kHz). Appears when whole. Integers are rounded and
 * clamped. SM_EUNSUPPORTED: that container cannot hold this; SM_EIO: disk full and the like. */
int sm_audio_writer_open(const char *path, const sm_audio_write_options *o, sm_audio_writer **out);
int sm_audio_writer_write(sm_audio_writer *w, const float *interleaved, size_t frames);
int sm_audio_writer_commit(sm_audio_writer *w); /* frees w, also on failure */
void sm_audio_writer_abandon(sm_audio_writer *w);

/* ---- channels and rates ---- */
void sm_downmix(const float *interleaved, size_t frames, int channels, float *mono); /* plain mean */

typedef enum {
    SM_RESAMPLE_SOXR,         /* libsoxr HQ: for listening and for our own analysis */
    SM_RESAMPLE_RESAMPY,      /* resampy >= 0.3 kaiser_best: YAMNet, CREPE */
    SM_RESAMPLE_RESAMPY_FAST, /* resampy >= 0.3 kaiser_fast */
    SM_RESAMPLE_RESAMPY_02,   /* resampy 0.2.x kaiser_best: OpenL3 */
    SM_RESAMPLE_JULIUS,       /* Demucs, audiocraft */
    SM_RESAMPLE_TORCHAUDIO    /* Stable Audio */
} sm_resample_kind;
typedef struct sm_resampler sm_resampler;
/* Streaming; gives the same samples as in one piece, however the input is cut. channels interleaved; the input is finite
 * (no NaN, no infinity). */
int sm_resampler_new(sm_resample_kind kind, int from_hz, int to_hz, int channels, sm_resampler **out);
int sm_resampler_push(sm_resampler *r, const float *in, size_t frames, sm_floats *out); /* appends what is final */
int sm_resampler_finish(sm_resampler *r, sm_floats *out);                               /* appends the rest */
/* Ready for another stream of the same rates; the filters stay (making them costs 1 to 20 ms). */
int sm_resampler_reset(sm_resampler *r);
void sm_resampler_free(sm_resampler *r);
int64_t sm_resampled_frames(sm_resample_kind kind, int from_hz, int to_hz,
                            int64_t frames); /* the original's output length */

/* ---- whole sounds (whole.c) ----
 * Reads a file as mono (mean of the channels) at rate_hz (0: its own), at most max_s seconds (0: all; never more than an hour), and
 * appends it. info may be NULL. Appends nothing when it fails: the errors of sm_audio_open. */
int sm_sound_read(const char *file, int rate_hz, double max_s, sm_floats *mono, sm_audio_info *info);

#endif
