/* The files that `separate` writes: one a stem, encoded beside the network, there only when all are whole. */
#ifndef SM_STEM_FILES_H
#define SM_STEM_FILES_H

#include "audio/audio.h"

typedef enum {
    SM_CLIP_NONE,         /* floats as they are; integers are clamped at full scale */
    SM_CLIP_CLAMP,        /* to -0.99..0.99, as demucs does */
    SM_CLIP_RESCALE,      /* all stems of a song by one factor, so that they still add up */
    SM_CLIP_RESCALE_STEM, /* each stem by its own, as demucs does */
    SM_CLIP_MODES
} sm_clip_mode;

typedef struct {
    const char *const *paths; /* [n]: where the stems go; the ending says the container */
    size_t n;
    int rate_hz; /* of what is given; Opus is written at 48 kHz */
    sm_sample_format format;
    int mp3_bitrate_kbps;
    sm_clip_mode clip;
    const char *comment;     /* written into the files, or NULL */
    int64_t frames_expected; /* 0: unknown */
} sm_stem_format;

typedef struct sm_stem_files sm_stem_files;
/* Strings are copied. Folders of the paths are made. */
int sm_stem_files_open(const sm_stem_format *f, sm_stem_files **out);
/* Takes frames of every stem, interleaved stereo; an sm_stem_sink. Encoding happens on another thread; a failure there is returned by
 * a later call. */
int sm_stem_files_write(void *files, const float *const *stems, size_t frames);
/* Ends all files and gives them their names. Frees, also on failure: then none is there, except that a rename that fails
 * leaves those renamed before it. peak and scale (or NULL): largest absolute sample before scaling, smallest factor used. */
int sm_stem_files_commit(sm_stem_files *f, double *peak, double *scale);
void sm_stem_files_abandon(sm_stem_files *f); /* accepts NULL */

#endif
