/* Inside of separation: what a bag knows of its networks, and the shifts' offsets. Private to the models room. */
#ifndef SM_MODELS_SEPARATION_BAG_H
#define SM_MODELS_SEPARATION_BAG_H

#include "models/htdemucs_chunk.h"
#include "models/separation.h"

struct sm_bag {
    size_t n;
    struct bag_network {
        sm_view *view;
        htdemucs_size size;
        htdemucs_net *net;                 /* NULL: gives nothing that is wanted */
        int outputs[HTDEMUCS_MAX_SOURCES]; /* of its rows */
        size_t running;                    /* its place among those that run */
    } * networks;
    double *weights; /* [n][sources], normalised: they sum to 1 over the networks */
    sm_bag_options options;
    char *config;
    const char *names[HTDEMUCS_MAX_SOURCES];
    size_t n_outputs;                      /* 0: sm_bag_select has not been called */
    double n_summed[HTDEMUCS_MAX_SOURCES]; /* sources in each output */
    const htdemucs_net **nets;             /* those that run */
    size_t n_nets;
};

/* ---- offsets of the shifts (separation_offsets.c) ---- */
enum { OFFSET_DIVISOR = 2 }; /* at most half a second */

/* Offsets 0..most of `networks` times `shifts` passes, network by network. Ours: from the seed and the pass's number alone. */
void offsets_own(uint64_t seed, int64_t most, size_t passes, int64_t *out);
/* As Python's random draws them in the original: after each offset, every chunk's forward pass draws too. length: the song's; stride 0:
 * the song is not split. */
void offsets_python(uint64_t seed, int64_t most, size_t passes, int64_t length, int64_t stride, int64_t *out);

#endif
