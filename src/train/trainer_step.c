/* One step of training. The network's shards and the pictures of the next batch are items of one pool run: shards first, pictures
 * fill the gaps, so that no core waits for another. */
#include <string.h>

#include "train/random.h"
#include "train/trainer.h"

/* ---- which sounds, in which order ---- */

/* Systematic sampling: sound i comes per_epoch * share_i times, rounded up or down at random; then all are shuffled. */
int trainer_order(trainer *t, int epoch)
{
    train_random r = train_random_of("order", t->o->seed, (uint64_t)epoch, 0);
    const double total = t->share[t->learned.n - 1], offset = train_unit(&r);
    size_t at = 0;
    for (size_t i = 0; i < t->per_epoch; i++) {
        const double want = ((double)i + offset) / (double)t->per_epoch * total;
        while (at + 1 < t->learned.n && t->share[at] <= want)
            at++;
        t->order[i] = (uint32_t)at;
    }
    for (size_t i = t->per_epoch; i > 1; i--) {
        const size_t k = train_below(&r, i);
        const uint32_t swap = t->order[i - 1];
        t->order[i - 1] = t->order[k];
        t->order[k] = swap;
    }
    return 0;
}

/* ---- pictures and targets ---- */
static void fill_targets(const trainer *t, train_shard *s, size_t row, size_t sound)
{
    for (size_t h = 0; h < t->net.n_heads; h++) {
        const size_t classes = t->net.heads[h].n_classes;
        float *to = s->targets[h] + row * classes;
        if (!t->net.heads[h].kept) { /* the teacher's word */
            memcpy(to, t->soft + sound * classes, classes * sizeof *to);
            s->weights[h][row] = (float)t->o->teacher_weight;
            continue;
        }
        const int class = t->target[h][sound];
        for (size_t c = 0; c < classes; c++)
            to[c] = (float)(t->o->smoothing / (double)classes);
        if (class >= 0)
            to[class] += (float)(1 - t->o->smoothing);
        s->weights[h][row] = class < 0 ? 0 : h == 0 ? t->weight[sound] : 1;
    }
}

/* Place `place` of the epoch into its shard. What goes beyond the epoch's end begins it again. */
static int prepare(trainer *t, int epoch, int64_t step, size_t i, train_shard *shards, int worker)
{
    const size_t place = (size_t)step * t->batch + i;
    const size_t sound = t->learned.sound[t->order[place % t->per_epoch]];
    train_random r = train_random_of("other", t->o->seed, (uint64_t)epoch, place);
    const size_t other = t->learned.sound[train_below(&r, t->learned.n)];
    train_shard *s = &shards[i / TRAIN_SHARD];
    fill_targets(t, s, i % TRAIN_SHARD, sound);
    return train_eye_augmented(t->eyes[worker], sm_sounds_at(t->sounds, sound), sm_sounds_at(t->sounds, other),
                               t->o->seed, (uint64_t)epoch, place, s->patches + (i % TRAIN_SHARD) * t->net.picture);
}

/* ---- mixup (Zhang et al. 2018), within a shard ---- */
static void mix_row(float *row, const float *old, size_t width, size_t a, size_t b, float keep)
{
    for (size_t i = 0; i < width; i++)
        row[a * width + i] = keep * old[a * width + i] + (1 - keep) * old[b * width + i];
}

static void mix(const trainer *t, train_shard *s, float *old, uint64_t epoch, uint64_t number)
{
    const sm_augment_row *row = &t->o->augment.row[SM_AUGMENT_mixup];
    train_random r = train_random_of("mixup", t->o->seed, epoch, number);
    float keep[TRAIN_SHARD];
    size_t partner[TRAIN_SHARD];
    bool any = false;
    for (size_t i = 0; i < TRAIN_SHARD; i++) {
        const bool mixed = train_chance(&r, row->p);
        const double share = row->low > 0 ? train_beta(&r, SM_MIN(row->low, 1)) : 1;
        partner[i] = train_below(&r, TRAIN_SHARD);
        keep[i] = mixed ? (float)SM_MAX(share, 1 - share) : 1;
        any |= mixed;
    }
    if (!any)
        return;
    memcpy(old, s->patches, TRAIN_SHARD * t->net.picture * sizeof *old);
    for (size_t i = 0; i < TRAIN_SHARD; i++)
        if (keep[i] < 1)
            mix_row(s->patches, old, t->net.picture, i, partner[i], keep[i]);
    for (size_t h = 0; h < t->net.n_heads; h++) {
        const size_t classes = t->net.heads[h].n_classes;
        /* scratch is larger than any row of targets: heads have at most 4096 classes, pictures more numbers */
        memcpy(old, s->targets[h], TRAIN_SHARD * classes * sizeof *old);
        for (size_t i = 0; i < TRAIN_SHARD; i++)
            if (keep[i] < 1)
                mix_row(s->targets[h], old, classes, i, partner[i], keep[i]);
    }
}

/* ---- the step ---- */
typedef struct {
    trainer *t;
    int epoch;
    int64_t step;
    train_shard *now, *next;
} stepping;

static int learn(stepping *p, size_t shard, int worker)
{
    trainer *t = p->t;
    train_shard *s = &p->now[shard];
    const uint64_t number = (uint64_t)p->step * t->n_shards + shard;
    train_random r = train_random_of("dropout", t->o->seed, (uint64_t)p->epoch, number);
    mix(t, s, t->mixing[worker], (uint64_t)p->epoch, number);
    s->seed = (int32_t)(train_unit(&r) * 2147483647.0);
    return train_runner_run(t->runners[worker], t->state.parameters, s);
}

static int item(void *user, size_t i, int worker)
{
    stepping *p = user;
    return i < p->t->n_shards ? learn(p, i, worker)
                              : prepare(p->t, p->epoch, p->step + 1, i - p->t->n_shards, p->next, worker);
}

static int prepare_item(void *user, size_t i, int worker)
{
    stepping *p = user;
    return prepare(p->t, p->epoch, 0, i, p->now, worker);
}

int trainer_prepare_first(trainer *t, int epoch)
{
    stepping p = { t, epoch, 0, t->shards[0], NULL };
    return sm_pool_run(t->pool, t->batch, prepare_item, &p);
}

int trainer_step(trainer *t, int epoch, int64_t step, double *loss)
{
    const int64_t all = t->steps * t->o->epochs;
    const train_step o = { .rate = train_rate_at(t->o->rate, t->o->warmup, t->state.step, all),
                           .decay = t->o->decay,
                           .clip = t->o->clip,
                           .ema = t->o->ema };
    stepping p = { t, epoch, step, t->shards[step % 2], t->shards[(step + 1) % 2] };
    const bool last = step + 1 == t->steps;
    int err = sm_pool_run(t->pool, t->n_shards + (last ? 0 : t->batch), item, &p);
    *loss = 0;
    for (size_t i = 0; i < t->n_shards && err == 0; i++)
        *loss += (double)p.now[i].loss / (double)t->n_shards;
    if (err == 0)
        err = train_state_step(&t->state, &t->net, p.now, t->n_shards, &o, t->pool);
    return err;
}
