/* What the two files of the command `generate` share. */
#ifndef SM_CLI_GENERATE_H
#define SM_CLI_GENERATE_H

#include "audio/audio.h"
#include "cli/command.h"
#include "engine/engine.h"

typedef struct {
    const char *model, *negative, *sampler, *init, *keep, *level, *canvas, *out, *t5, *overwrite, *sample, *melody,
        *key, *like;
    bool show_prompt, one_by_one, keep_part;
    double duration_s, bars, bpm, cfg, rescale, init_noise, max_memory_mb, top_p, temperature, extend_stride_s;
    int64_t n, tries, steps, threads, seed, top_k;
} generate_args;

/* ---- generate_sounds.c ----
 * Makes the sounds of the request (r->n of them from r->seed on, with `tries` as many more as it takes, up to that many for each) and writes
 * and tells each. words: what files are called by. Finished files stay whatever happens; of a run that is stopped nothing else does. */
int generate_sounds(sm_cli *cli, const generate_args *a, sm_generator *g, sm_generate_request *r, const char *words);

#endif
