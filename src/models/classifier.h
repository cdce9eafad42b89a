/* Our own classifier of one-shots: its architectures and what a trained file says about itself. The trainer builds the same
 * network from the same table; nothing is written twice.
 *
 * A file is safetensors with canonical tensors (f32 or f16) and this metadata (all text):
 *   model         "samplemind" or "samplemind-cnn"        variant   name of the architecture, a row of the table below
 *   front_end     a row of dsp_mel's table                classes   JSON array: names of the first head's scores
 *   heads         JSON array of {"name", "classes": [..], "temperature"}; the first is the instrument
 *   training      JSON object: data, sizes, seed, what was reached; for people */
#ifndef SM_MODELS_CLASSIFIER_H
#define SM_MODELS_CLASSIFIER_H

#include "models/model.h"

enum { SM_CLASSIFIER_PATCH = 128, SM_CLASSIFIER_BANDS = 128, SM_CLASSIFIER_STAGES = 8, SM_CLASSIFIER_HEADS = 8 };

typedef enum {
    SM_POOL_FLATTEN,  /* every place of the last picture is an input of the dense layer */
    SM_POOL_MEAN_MAX, /* over time and frequency: mean and maximum of each channel */
    SM_POOL_TIME      /* over time only: mean and maximum of each channel and frequency */
} sm_classifier_pool;

/* Stages of `convs` 3x3 convolutions (same size) and a max-pool of [time, frequency], then a dense layer: the embedding. */
typedef struct {
    const char *name, *model, *summary;
    struct {
        int channels, convs, pool[2];
    } stage[SM_CLASSIFIER_STAGES];
    int stages;
    bool norm;     /* batch norm after each convolution, before its ReLU; convolutions then have no bias */
    bool residual; /* a stage's convolutions but the first are added to what goes into them */
    sm_classifier_pool pool;
    int dense;     /* width of the embedding */
    float dropout; /* before the heads, while training */
} sm_classifier_arch;

const sm_classifier_arch *sm_classifier_archs(size_t *n);
const sm_classifier_arch *sm_classifier_arch_find(const char *name); /* NULL: unknown */

/* The picture that a patch becomes, in place: dB below the loudest place of the patch, cut at -80, as (dB + 40) / 20: 2 .. -2; silence
 * is -2. How loud a sound was recorded thus says nothing. */
#define SM_CLASSIFIER_RANGE_DB 80.0f
#define SM_CLASSIFIER_SILENCE  (-2.0f)
void sm_classifier_prepare(float *patch, size_t n);

/* patches [N, 128 (time), 128 (mel)] -> embedding [N, dense]. */
nn_id sm_classifier_embedding(nn_graph *g, const nn_source *w, const sm_classifier_arch *a, nn_id patches);
/* embedding -> logits [N, classes] of a head; tensors "head.NAME.{weight,bias}". */
nn_id sm_classifier_logits(nn_graph *g, const nn_source *w, const char *head, int64_t classes, nn_id embedding);

typedef struct {
    char name[32];
    size_t n_classes;
    double temperature;
    const char *const *classes;
} sm_classifier_head;
/* The heads that a file names, in an arena; without a word about them: "instrument" with the classes of sm_instruments. */
int sm_classifier_heads(const sm_weights *w, sm_arena *a, sm_classifier_head *heads, size_t *n);

#endif
