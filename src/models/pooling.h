/* What becomes of the answers patch by patch: the state of one stream, and kinds of pooling. */
#ifndef SM_MODELS_POOLING_H
#define SM_MODELS_POOLING_H

#include "models/model.h"

typedef struct {
    const sm_model *model;
    sm_stream_options options;
    size_t n_scores, n_embedding, patches, heard; /* heard: those that are not silence */
    double *sum, *embedding_sum;                  /* [n_scores], [n_embedding] */
    float *max;                                   /* [n_scores] */
    sm_floats curve, embeddings;                  /* when asked for */
    void *state;                                  /* the kind's own */
} sm_pool_state;

typedef struct sm_pooling {
    int (*open)(sm_pool_state *p);
    int (*take)(sm_pool_state *p, const float *scores); /* one patch */
    int (*finish)(sm_pool_state *p, sm_model_result *r);
    void (*close)(sm_pool_state *p);
} sm_pooling;

extern const sm_pooling sm_mean_pooling; /* pooling.c */

#endif
