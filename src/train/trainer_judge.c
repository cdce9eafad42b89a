/* How good the network is on sounds that it does not learn from. */
#include <math.h>
#include <string.h>

#include "train/trainer.h"

typedef struct {
    trainer *t;
    const train_set *set;
    float *pictures;
    /* of a run */
    nn_run_state **states;
    const nn_plan *plan;
    size_t head, classes;
    float *logits;
} judging;

static int picture(void *user, size_t i, int worker)
{
    judging *j = user;
    return train_eye_plain(j->t->eyes[worker], sm_sounds_at(j->t->sounds, j->set->sound[i]),
                           j->pictures + i * j->t->net.picture);
}

/* Room is made for whole shards, the last one filled up with silence. */
int trainer_pictures(trainer *t, train_set *s)
{
    const size_t rows = (s->n + TRAIN_SHARD - 1) / TRAIN_SHARD * TRAIN_SHARD;
    judging j = { .t = t, .set = s };
    if (s->n == 0)
        return 0;
    s->pictures = sm_alloc_aligned(rows, t->net.picture * sizeof *s->pictures);
    if (!s->pictures)
        return SM_ENOMEM;
    memset(s->pictures + s->n * t->net.picture, 0, (rows - s->n) * t->net.picture * sizeof *s->pictures);
    j.pictures = s->pictures;
    return sm_pool_run(t->pool, s->n, picture, &j);
}

static int judge_shard(void *user, size_t i, int worker)
{
    judging *j = user;
    const void *in[1] = { j->set->pictures + i * TRAIN_SHARD * j->t->net.picture };
    float *out[TRAIN_HEADS] = { NULL };
    int err = 0;
    for (int k = 0; k < nn_plan_outputs(j->plan) && err == 0; k++) {
        const nn_shape s = nn_plan_output_shape(j->plan, k);
        out[k] = sm_alloc((size_t)nn_elements(&s), sizeof(float));
        err = out[k] ? 0 : SM_ENOMEM;
    }
    if (err == 0)
        err = nn_run(j->plan, j->states[worker], in, out);
    if (err == 0)
        memcpy(j->logits + i * TRAIN_SHARD * j->classes, out[j->head], TRAIN_SHARD * j->classes * sizeof(float));
    for (int k = 0; k < TRAIN_HEADS; k++)
        sm_free(out[k]);
    return err;
}

int trainer_logits(trainer *t, const train_set *s, const float *parameters, const float *stats, size_t head,
                   float **logits)
{
    const size_t shards = (s->n + TRAIN_SHARD - 1) / TRAIN_SHARD;
    judging j = { .t = t, .set = s, .head = head, .classes = t->net.heads[head].n_classes };
    nn_plan *plan = NULL;
    int err = 0;
    *logits = NULL;
    j.states = sm_alloc_zero((size_t)t->threads, sizeof(nn_run_state *));
    j.logits = sm_alloc(shards * TRAIN_SHARD * j.classes + 1, sizeof *j.logits);
    if (!j.states || !j.logits)
        err = SM_ENOMEM;
    if (err == 0)
        err = train_network_judge(&t->net, parameters, stats, &plan);
    j.plan = plan;
    for (int i = 0; i < t->threads && err == 0; i++)
        err = nn_run_state_new(plan, &j.states[i]);
    if (err == 0)
        err = sm_pool_run(t->pool, shards, judge_shard, &j);
    for (int i = 0; i < t->threads && j.states; i++)
        nn_run_state_free(j.states[i]);
    nn_plan_free(plan);
    sm_free(j.states);
    if (err < 0)
        sm_free(j.logits);
    else
        *logits = j.logits;
    return err;
}

int trainer_judge(trainer *t, const train_set *s, const float *parameters, const float *stats, double *top1,
                  double *loss)
{
    const size_t classes = t->net.heads[0].n_classes;
    float *logits = NULL;
    double right = 0, sum = 0;
    *top1 = *loss = NAN;
    if (s->n == 0)
        return 0;
    const int err = trainer_logits(t, s, parameters, stats, 0, &logits);
    for (size_t i = 0; i < s->n && err == 0; i++) {
        const float *x = logits + i * classes;
        const int truth = t->target[0][s->sound[i]];
        size_t best = 0;
        double all = 0;
        for (size_t c = 1; c < classes; c++)
            best = x[c] > x[best] ? c : best;
        for (size_t c = 0; c < classes; c++)
            all += exp((double)(x[c] - x[best]));
        right += (int)best == truth;
        sum += truth < 0 ? 0 : log(all) - (double)(x[truth] - x[best]);
    }
    sm_free(logits);
    if (err == 0) {
        *top1 = right / (double)s->n;
        *loss = sum / (double)s->n;
    }
    return err;
}
