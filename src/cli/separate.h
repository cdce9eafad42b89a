/* What the two files of the command `separate` share. */
#ifndef SM_CLI_SEPARATE_H
#define SM_CLI_SEPARATE_H

#include <pthread.h>

#include "cli/command.h"
#include "cli/stem_files.h"

typedef struct {
    const char *model, *out, *pattern, *stems, *two_stems, *other_method, *sample, *clip_mode, *ext, *compat,
        *overwrite;
    double overlap, segment_s, max_memory_mb;
    int64_t shifts, mp3_bitrate, mp3_preset, jobs, threads;
    bool no_split, list_models;
} separate_args;

typedef struct separation_song separation_song;

/* A run over songs. */
typedef struct {
    sm_cli *cli;
    const separate_args *args;
    sm_sample_format format;
    sm_clip_mode clip;
    char model[64];
    size_t n_songs;
    size_t n_done, n_failed; /* out */

    /* ---- separate_song.c ---- */
    separation_song *songs;
    sm_separator *separator;
    sm_engine *analyser; /* for {bpm} and {key}; NULL until one is needed */
    sm_progress *all;    /* of many songs at once; NULL: each has its own */
    size_t printed;
    pthread_mutex_t lock;
} separation_run;

/* Separates all and prints what became of each. 0 also when some failed; negative: nothing can go on. */
int separation_all(separation_run *run, sm_separator *separator, const sm_strings *files);
int separation_progress(void *run, const sm_progress_info *p);

#endif
