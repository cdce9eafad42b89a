/* The network while it learns: parameters in one row of floats, a compiled plan for a shard of a batch, gradients out of it; and the
 * plan that judges. Private to the train room.
 *
 * A batch is cut into shards of TRAIN_SHARD sounds whatever the number of threads is. Each shard is one run of the plan; what shards
 * give is added in their order. */
#ifndef SM_TRAIN_NETWORK_H
#define SM_TRAIN_NETWORK_H

#include "train/train.h"

enum { TRAIN_SHARD = 32, TRAIN_HEADS = SM_SOUND_HEADS + 1 };

/* What is learned from one picture. */
typedef struct {
    char name[32];
    size_t n_classes;
    const char *const *classes; /* NULL: the teacher's */
    bool kept;                  /* in the file; a teacher's is not */
    bool known;                 /* a base of the same architecture has it, with the same classes */
} train_head;

/* A tensor inside the row of floats. */
typedef struct {
    char *name;
    nn_shape shape;
    size_t n, at;
    bool decays;       /* matrices and kernels do, norms and biases do not */
    float pace;        /* its learning rate, as a share of the run's; 0: it stays as it is */
    int input, output; /* ports of the training plan; -1: none (running statistics have no input) */
} train_tensor;

/* Where the first values of an architecture's base come from. Where a network of the same architecture is the base, that is all but
 * the heads that it does not know. */
typedef struct {
    nn_source weights; /* get NULL: none, they are random */
    bool whole;        /* of the same architecture */
    double pace;       /* of its last layer, as a share of the run's rate */
    double slower;     /* each layer below learns by this factor slower */
    int frozen;        /* the lowest so many layers do not learn */
} train_base;

typedef struct {
    const sm_classifier_arch *arch; /* as it learns: its norms are there, also where the file has none */
    size_t picture;                 /* floats of one */
    train_head heads[TRAIN_HEADS];
    size_t n_heads;
    sm_arena *arena;
    nn_source initial; /* first values, by name and seed */
    uint64_t seed;
    train_base base;
    nn_plan *plan;
    train_tensor *parameters, *stats;
    size_t n_parameters, n_stats;
    size_t length, stats_length; /* floats, padding included */
    int at_patches, at_seed, at_loss, at_targets[TRAIN_HEADS], at_weights[TRAIN_HEADS];
} train_network;

/* heads are copied; base may be NULL, and must outlive the call of train_network_initial. Compiles the training plan. */
int train_network_open(const sm_classifier_arch *a, const train_head *heads, size_t n_heads, uint64_t seed,
                       const train_base *base, train_network *out);
void train_network_close(train_network *n);
/* The head that a tensor belongs to; NULL: none. */
const train_head *train_network_head(const train_network *n, const char *tensor);
/* First values into rows of n->length and n->stats_length. */
int train_network_initial(train_network *n, float *parameters, float *stats);
/* Brings what the base has back towards it: x becomes (1 - share) x + share first (Wortsman et al. 2022: what was learned from few sources
 * does better on others when it stays closer to what was learned from many). */
int train_network_recall(train_network *n, double share, float *parameters);

/* One shard in and out; buffers belong to the shard. */
typedef struct {
    float *patches;              /* [TRAIN_SHARD, picture] */
    float *targets[TRAIN_HEADS]; /* [TRAIN_SHARD, n_classes] */
    float *weights[TRAIN_HEADS]; /* [TRAIN_SHARD] */
    int32_t seed;                /* of dropout */
    float loss;
    float *gradients, *stats; /* [length], [stats_length] */
} train_shard;
int train_shard_new(const train_network *n, train_shard *out);
void train_shard_free(train_shard *s);

typedef struct train_runner train_runner; /* run state and ports of one thread */
int train_runner_new(const train_network *n, train_runner **out);
void train_runner_free(train_runner *r);
int train_runner_run(train_runner *r, const float *parameters, train_shard *s);

/* A plan for judging with these numbers: pictures [TRAIN_SHARD, ..] -> logits of each kept head, in the order of heads. The rows
 * must outlive it. */
int train_network_judge(const train_network *n, const float *parameters, const float *stats, nn_plan **out);
/* Parts of the file: row + t->at, f16 where it has two dimensions or more and that is wanted; the heads that are kept, as metadata. */
int train_tensor_write(sm_safetensors_writer *w, const train_tensor *t, const float *row, bool f16);
int train_heads_write(sm_safetensors_writer *w, const train_head *heads, size_t n, const double *temperature);
/* Writes the model: canonical tensors, f16 or f32, and metadata; temperature[] by kept head. Of an architecture with norms in training
 * only each is folded into the layer before it: the file answers as the judge does, to rounding. */
typedef struct {
    const char *key, *value;
} train_meta;
int train_network_write(const train_network *n, const float *parameters, const float *stats, const double *temperature,
                        bool f16, const train_meta *meta, size_t n_meta, const char *path);

#endif
