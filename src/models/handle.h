/* An opened model: shared, immutable but for plans that are made when first needed. */
#ifndef SM_MODELS_HANDLE_H
#define SM_MODELS_HANDLE_H

#include <pthread.h>

#include "models/model.h"

enum { SM_BATCH_STEPS = 8 }; /* 1, 2, 4 ... 128 */

struct sm_model_handle {
    const sm_model *model;
    sm_weights *weights;
    sm_view *view;
    char variant[32], *config;
    sm_model_options options;
    sm_needs needs;
    int fixed_batch; /* the only size that the file's graph takes; 0: any */
    nn_pack *pack;
    pthread_mutex_t lock;
    nn_plan *plans[SM_BATCH_STEPS]; /* [log2 of batch]; a fixed batch uses [0] */
    nn_plan *split;                 /* of one patch, its operators shared out among all threads */
    /* of every plan, seen in the first: */
    int n_outputs, scores_at, embedding_at; /* output numbers; -1: none */
    size_t n_patch, n_input;                /* floats a patch, and of what the network takes for it */
    size_t n_scores, n_embedding;
    void *front; /* the model's patch_front; NULL: patches are what the network takes */
    bool has_classes;
    sm_classes classes;
    sm_arena *arena; /* names of classes */
};

/* The plan for batches of 2^step, made now if nobody has asked before. */
int handle_plan(sm_model_handle *h, int step, const nn_plan **out);
/* The plan for one patch on all threads. */
int handle_split_plan(sm_model_handle *h, const nn_plan **out);
int handle_batch(const sm_model_handle *h, int step); /* patches that it takes */
int handle_top_step(const sm_model_handle *h);
int handle_threads(const sm_model_handle *h); /* that share a batch */

#endif
