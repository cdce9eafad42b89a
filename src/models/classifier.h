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
    SM_POOL_ALL,      /* mean and maximum over time and frequency of each channel */
    SM_POOL_MEAN_MAX, /* mean over frequency; then mean and maximum over time of each channel */
    SM_POOL_TIME      /* mean and maximum over time of each channel and frequency */
} sm_classifier_pool;

typedef enum { SM_STAGE_PLAIN, SM_STAGE_RESIDUAL } sm_stage_kind;

/* A network of others whose convolutions ours may stand on: tensors "layerN..", N = 1 .. layers, lowest first. */
typedef struct {
    const char *model;
    int layers;
    nn_id (*picture)(nn_graph *g, const nn_source *w, nn_id x, int64_t width); /* x [N, 1, time, mel] */
    void (*draw)(float *patch, size_t n); /* rows of the front end become its picture, in place */
    float silence;                        /* in that picture */
} sm_classifier_base;

/* Stages, then a pool, then a dense layer: the embedding.
 *   plain     `times` convolutions k x k of the same size (the first with `stride`), each with its norm and ReLU; then a max-pool
 *   residual  `times` blocks relu(conv3x3(relu(conv3x3(x))) + x); where size or channels change x goes through a mean-pool and
 *             a 1x1 convolution (He et al. 2016; the mean-pool: He et al. 2019, ResNet-D) */
typedef struct {
    const char *name, *model, *summary;
    struct {
        sm_stage_kind kind;
        int channels, times, kernel, stride, pool[2]; /* kernel 0: 3; stride 0: 1; pool 0: none */
    } stage[SM_CLASSIFIER_STAGES];
    int stages;
    bool
        norm; /* batch norm after each convolution and the dense layer; these then have no bias. Residual stages have it always */
    bool norm_in_training; /* the same while it learns only: the file holds each norm folded into weights and biases */
    const sm_classifier_base
        *base;         /* instead of stages: these convolutions, whose weights tuning begins with; NULL: none */
    int width;         /* its channels are divided by this; 0: 1 */
    int frames, bands; /* of the picture; 0: 128 */
    int average;       /* so many frames become one at the very beginning; 0: none do */
    bool coordinate;   /* a second input channel: -1 at the lowest mel band .. 1 at the highest */
    sm_classifier_pool pool;
    int dense;     /* width of the embedding; 0: what the pool gives is the embedding */
    float dropout; /* while training: before the heads, and before the dense layer of networks that keep their norms */
} sm_classifier_arch;

#define SM_CLASSIFIER_EPSILON 1e-5f /* of the norms: beside the variance */

const sm_classifier_arch *sm_classifier_archs(size_t *n);
const sm_classifier_arch *sm_classifier_arch_find(const char *name); /* NULL: unknown */

int sm_classifier_frames(const sm_classifier_arch *a);
int sm_classifier_bands(const sm_classifier_arch *a);
/* Tensors of the base are called as in the base's own file. */
bool sm_classifier_is_base(const sm_classifier_arch *a, const char *tensor);

/* The picture that a patch becomes, in place: dB below the loudest place of the patch, cut at -80, as (dB + 40) / 20: 2 .. -2; silence
 * is -2. How loud a sound was recorded thus says nothing. */
#define SM_CLASSIFIER_RANGE_DB 80.0f
#define SM_CLASSIFIER_SILENCE  (-2.0f)
void sm_classifier_prepare(float *patch, size_t n);
/* The picture of networks on YAMNet's convolutions: from rows of ln(1 + 1000 M) (front end "samplemind-16k") to its own
 * ln(M + 0.001), after M has been scaled so that its largest value in the patch is 40, about what a sound at full scale has. */
#define SM_TUNED_SILENCE (-6.9077554f)
void sm_tuned_prepare(float *patch, size_t n);
/* The picture of networks on EfficientAT's: from rows of ln(1 + 1e5 M) (front end "efficientat") to its own (ln(M + 1e-5) + 4.5) / 5, after
 * M has been scaled so that the loudest frame has the power that it has in the median of one-shots with a peak of 0.89. Power without the
 * pre-emphasis: so scaled, bass and cymbals keep the levels that the network knows them at. */
#define SM_EFFICIENTAT_FLOOR   (-11.512925f) /* ln 1e-5 */
#define SM_EFFICIENTAT_SILENCE ((SM_EFFICIENTAT_FLOOR + 4.5f) / 5)
void sm_mobile_prepare(float *patch, size_t n);
/* The one that the architecture sees, and its value of silence. */
void sm_classifier_draw(const sm_classifier_arch *a, float *patch, size_t n);
float sm_classifier_silence(const sm_classifier_arch *a);

/* patches [N, frames, bands] -> embedding [N, dense]. */
nn_id sm_classifier_embedding(nn_graph *g, const nn_source *w, const sm_classifier_arch *a, nn_id patches);
/* YAMNet's convolutions (yamnet.c): x [N, 1, time, mel] -> [N, 1024 / width, time / 32, mel / 32]. */
nn_id sm_yamnet_picture(nn_graph *g, const nn_source *w, nn_id x, int64_t width);
/* EfficientAT's mn04 (efficientat.c) -> [N, 384 / width, mel / 32, time / 32] (some 384 / width: multiples of 8). */
nn_id sm_efficientat_picture(nn_graph *g, const nn_source *w, nn_id x, int64_t width);
/* embedding -> logits [N, classes] of a head; tensors "head.NAME.{weight,bias}". */
nn_id sm_classifier_logits(nn_graph *g, const nn_source *w, const char *head, int64_t classes, nn_id embedding);

typedef struct {
    char name[32];
    size_t n_classes;
    double temperature;
    const char *const *classes;
} sm_classifier_head;
/* Embeddings of a backbone [N, width] -> its probabilities: what a file of `train --on` holds (classifier_head.c). */
nn_id sm_classifier_head_scores(nn_graph *g, const nn_source *w, const sm_classifier_head *h, nn_id rows);
/* The heads that a file names, in an arena; without a word about them: "instrument" with the classes of sm_instruments. */
int sm_classifier_heads(const sm_weights *w, sm_arena *a, sm_classifier_head *heads, size_t *n);

#endif
