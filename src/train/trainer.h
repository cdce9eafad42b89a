/* Inside of a training run. Private to the train room. */
#ifndef SM_TRAIN_TRAINER_H
#define SM_TRAIN_TRAINER_H

#include "train/optimiser.h"
#include "train/pictures.h"

typedef struct {
    size_t *sound; /* numbers in the collection */
    size_t n;
    float *pictures; /* [n, net.picture]; NULL: not made */
} train_set;

/* One epoch's worth of figures. */
typedef struct {
    double loss, held_loss, held_top1, val_top1;
} train_epoch;

typedef struct {
    sm_sounds *sounds;
    const sm_train_options *o;
    const sm_classifier_arch *arch;
    const dsp_mel_spec *front_end;
    sm_weights *base; /* what its convolutions begin with; NULL: nothing */
    sm_card *base_card;
    sm_view *base_view;
    const char **lists[SM_SOUND_HEADS]; /* class names of heads */
    train_network net;
    train_state state;
    train_set learned, held, val;
    int *target[TRAIN_HEADS]; /* [sounds]: class, -1: none */
    float *soft;              /* [sounds, teacher's classes]; NULL: no teacher */
    float *weight;            /* [sounds]: of the loss */
    double *share;            /* [learned.n]: running sum of sampling weights */
    uint32_t *order;          /* [per_epoch]: into learned */
    size_t per_epoch, batch, n_shards;
    int64_t steps; /* of an epoch */
    sm_pool *pool;
    int threads;
    train_runner **runners; /* by thread */
    train_eye **eyes;
    float **mixing;         /* by thread: [TRAIN_SHARD, net.picture] */
    train_shard *shards[2]; /* the batch that is learned from, the one that is prepared */
    /* where it stands */
    int epoch, best_epoch, stale;
    double best_top1, best_loss;
    float *best, *best_stats; /* averaged weights of the best epoch */
    train_epoch *history;     /* [o->epochs] */
    double began_s;
} trainer;

/* trainer_setup.c. Options make sense? Then what they name. */
int trainer_check(const sm_train_options *o, const sm_classifier_arch **arch, const dsp_mel_spec **front_end);
/* With sounds, o, arch, front_end and threads set, all else zero: everything up to the first step. Close also after a failure. */
int trainer_open(trainer *t);
void trainer_close(trainer *t);

/* Whether the family (or the file, in a random split) is kept from learning: a hash of its name and of the fold. */
bool trainer_is_held(const char *key, double share, int fold);

/* trainer_step.c */
int trainer_order(trainer *t, int epoch);
int trainer_prepare_first(trainer *t, int epoch);
/* One step: learns from batch `step` while the next is prepared. *loss: mean over its sounds. */
int trainer_step(trainer *t, int epoch, int64_t step, double *loss);

/* trainer_judge.c */
int trainer_pictures(trainer *t, train_set *s);
/* Logits of the first head for all pictures of a set, from these weights; [n, classes], the caller's. */
int trainer_logits(trainer *t, const train_set *s, const float *parameters, const float *stats, size_t head,
                   float **logits);
/* Share of right answers and mean cross-entropy. NAN without sounds. */
int trainer_judge(trainer *t, const train_set *s, const float *parameters, const float *stats, double *top1,
                  double *loss);

/* evaluate_analyze.c: those that speak of the instrument and are there, "samplemind,samplemind-tuned,yamnet". 0 or SM_ENOMEM. */
int trainer_instrument_models(sm_buffer *list);

/* checkpoint.c: OUT.checkpoint.safetensors */
int trainer_checkpoint_write(const trainer *t);
/* 1: gone on from there; 0: there is none. SM_EUSAGE: of another run. */
int trainer_checkpoint_read(trainer *t);
void trainer_checkpoint_remove(const trainer *t);

/* teacher.c: opens a file, or the weights of an installed model. */
int trainer_open_model(const char *name, sm_weights **w, sm_card **card, const sm_model **m, char variant[32]);
/* teacher.c: the teacher's answers to the sounds as they are; *soft [sounds, *classes]. */
int trainer_teach(trainer *t, float **soft, size_t *classes);

#endif
