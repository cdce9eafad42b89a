/* A training run from its beginning to the file. */
#include <math.h>
#include <string.h>

#include "engine/engine.h"
#include "train/random.h"
#include "train/trainer.h"

void sm_train_options_init(sm_train_options *o)
{
    *o = (sm_train_options){ .arch = "res-freq",
                             .epochs = 40,
                             .batch = 64,
                             .rate = 2e-3,
                             .base_rate = 2e-4,
                             .base_slower = 1,
                             .warmup = 0.05,
                             .decay = 0.05,
                             .smoothing = 0.05,
                             .clip = 5,
                             .ema = 0.998,
                             .balance = 0.5,
                             .family_weight = 0.5,
                             .teacher_weight = 0.5,
                             .held_out = 0.1,
                             .seed = 1,
                             .f16 = true };
    sm_augment_init(&o->augment);
}

void sm_trained_free(sm_trained *t)
{
    sm_free(t->loss);
    sm_free(t->held_loss);
    sm_free(t->held_top1);
    sm_free(t->val_top1);
    *t = (sm_trained){ 0 };
}

/* ---- epochs ---- */
static int tell(trainer *t, int epoch, int64_t step, double loss, double since, bool done)
{
    const int64_t all = t->steps * t->o->epochs, so_far = t->steps * epoch + step;
    const double seconds = sm_now_s() - since, per_s = seconds > 0 ? (double)step * (double)t->batch / seconds : 0;
    const train_epoch *e = &t->history[epoch];
    const sm_train_progress p = { .epoch = epoch,
                                  .epochs = t->o->epochs,
                                  .done = SM_MIN((size_t)step * t->batch, t->per_epoch),
                                  .total = t->per_epoch,
                                  .sounds_per_s = per_s,
                                  .left_s = per_s > 0 ? (double)(all - so_far) * (double)t->batch / per_s : NAN,
                                  .loss = loss,
                                  .rate = train_rate_at(t->o->rate, t->o->warmup, t->state.step, all),
                                  .held_top1 = done ? e->held_top1 : NAN,
                                  .val_top1 = done ? e->val_top1 : NAN,
                                  .held_loss = done ? e->held_loss : NAN,
                                  .epoch_done = done,
                                  .best = done && t->best_epoch == epoch };
    return t->o->progress && t->o->progress(t->o->user, &p) ? SM_ECANCELLED : 0;
}

/* The better of two epochs: more right on the held out; of equals the smaller loss. Without such sounds always the last. */
static void keep_best(trainer *t, int epoch)
{
    const train_epoch *e = &t->history[epoch];
    const bool better =
        t->held.n == 0 || e->held_top1 > t->best_top1 || (e->held_top1 == t->best_top1 && e->held_loss < t->best_loss);
    t->stale = better ? 0 : t->stale + 1;
    if (!better)
        return;
    t->best_epoch = epoch;
    t->best_top1 = e->held_top1;
    t->best_loss = e->held_loss;
    memcpy(t->best, t->state.average, t->net.length * sizeof(float));
    memcpy(t->best_stats, t->state.stats, t->net.stats_length * sizeof(float));
}

static int one_epoch(trainer *t, int epoch, double *sounds_per_s)
{
    const double began = sm_now_s();
    double sum = 0, loss, unused;
    int err = trainer_order(t, epoch);
    if (err == 0)
        err = trainer_prepare_first(t, epoch);
    for (int64_t step = 0; step < t->steps && err == 0; step++) {
        err = trainer_step(t, epoch, step, &loss);
        sum += loss;
        if (err == 0)
            err = tell(t, epoch, step + 1, sum / (double)(step + 1), began, false);
    }
    *sounds_per_s = (double)(t->steps * (int64_t)t->batch) / (sm_now_s() - began);
    if (err < 0)
        return err;
    train_epoch *e = &t->history[epoch];
    e->loss = sum / (double)t->steps;
    err = trainer_judge(t, &t->held, t->state.average, t->state.stats, &e->held_top1, &e->held_loss);
    if (err == 0)
        err = trainer_judge(t, &t->val, t->state.average, t->state.stats, &e->val_top1, &unused);
    if (err == 0) {
        keep_best(t, epoch);
        t->epoch = epoch + 1;
        err = trainer_checkpoint_write(t);
    }
    return err < 0 ? err : tell(t, epoch, t->steps, e->loss, began, true);
}

static int epochs(trainer *t, sm_trained *out)
{
    int err = 0, here = 0;
    while (t->epoch < t->o->epochs && err == 0) {
        if (t->o->patience > 0 && t->stale >= t->o->patience)
            break;
        err = one_epoch(t, t->epoch, &out->sounds_per_s);
        if (err == 0 && t->o->stop_after > 0 && ++here >= t->o->stop_after && t->epoch < t->o->epochs)
            err = sm_fail(SM_ECANCELLED, "stopped after %d epochs; --resume goes on", here);
    }
    return err == SM_ECANCELLED
               ? sm_fail(err, "interrupted after %d of %d epochs; --resume goes on", t->epoch, t->o->epochs)
               : err;
}

/* ---- the end ---- */
static int fit_temperatures(trainer *t, double temperature[TRAIN_HEADS])
{
    int err = 0;
    for (size_t h = 0, kept = 0; h < t->net.n_heads && err == 0; h++) {
        const size_t classes = t->net.heads[h].n_classes;
        float *logits = NULL;
        size_t *truth = NULL, n = 0;
        if (!t->net.heads[h].kept)
            continue;
        temperature[kept] = 1;
        if (t->held.n > 0 && (err = trainer_logits(t, &t->held, t->best, t->best_stats, kept, &logits)) == 0) {
            truth = sm_alloc(t->held.n, sizeof *truth);
            err = truth ? 0 : SM_ENOMEM;
            for (size_t i = 0; i < t->held.n && err == 0; i++)
                if (t->target[h][t->held.sound[i]] >= 0) {
                    memmove(logits + n * classes, logits + i * classes, classes * sizeof *logits);
                    truth[n++] = (size_t)t->target[h][t->held.sound[i]];
                }
            if (err == 0)
                temperature[kept] = sm_fit_temperature(logits, truth, n, classes);
        }
        sm_free(truth);
        sm_free(logits);
        kept++;
    }
    return err;
}

static size_t families_of(const trainer *t)
{
    size_t n = 0;
    for (size_t i = 0; i < t->learned.n; i++) {
        bool seen = false;
        for (size_t k = 0; k < i && !seen; k++)
            seen = !strcmp(sm_sounds_at(t->sounds, t->learned.sound[i])->family,
                           sm_sounds_at(t->sounds, t->learned.sound[k])->family);
        n += !seen;
    }
    return n;
}

static int describe(const trainer *t, const sm_trained *r, sm_buffer *text)
{
    sm_json j;
    sm_json_init(&j, text, false);
    sm_json_begin_object(&j);
    const struct {
        const char *key;
        double value;
    } numbers[] = { { "sounds", (double)r->sounds },
                    { "families", (double)r->families },
                    { "held_out_sounds", (double)r->held_sounds },
                    { "held_out", t->o->held_out },
                    { "fold", t->o->fold },
                    { "epochs", t->epoch },
                    { "best_epoch", t->best_epoch + 1 },
                    { "held_out_top1", t->best_top1 },
                    { "batch", (double)t->batch },
                    { "rate", t->o->rate },
                    { "decay", t->o->decay },
                    { "smoothing", t->o->smoothing },
                    { "ema", t->o->ema },
                    { "balance", t->o->balance },
                    { "seed", (double)t->o->seed },
                    { "seconds", r->seconds } };
    for (size_t i = 0; i < SM_LENGTH(numbers); i++) {
        sm_json_key(&j, numbers[i].key);
        sm_json_f64(&j, numbers[i].value);
    }
    sm_json_key(&j, "split");
    sm_json_string(&j, t->o->random_split ? "random" : "family");
    sm_json_key(&j, "base");
    sm_json_string(&j, !t->o->base ? NULL : t->net.base.whole ? t->arch->name : t->arch->base->model);
    if (t->o->base && t->o->base_frozen > 0) {
        sm_json_key(&j, "base_frozen");
        sm_json_int(&j, t->o->base_frozen);
    }
    if (t->o->base && t->o->base_keep > 0) {
        sm_json_key(&j, "base_keep");
        sm_json_f64(&j, t->o->base_keep);
    }
    sm_json_key(&j, "teacher");
    sm_json_string(&j, t->o->teacher);
    sm_json_key(&j, "data");
    sm_json_string(&j, t->o->note);
    sm_json_end_object(&j);
    return text->failed ? SM_ENOMEM : 0;
}

static int finish(trainer *t, sm_trained *r)
{
    double temperature[TRAIN_HEADS];
    sm_buffer text = { 0 };
    int err = fit_temperatures(t, temperature);
    if (err == 0)
        err = describe(t, r, &text);
    const train_meta meta[] = { { "samplemind", sm_version() },
                                { "model", t->net.arch->model },
                                { "variant", t->net.arch->name },
                                { "front_end", t->front_end->name },
                                { "split", t->o->random_split ? "random" : "family" },
                                { "training", text.data } };
    if (err == 0)
        err = train_network_write(&t->net, t->best, t->best_stats, temperature, t->o->f16, meta, SM_LENGTH(meta),
                                  t->o->out);
    sm_buffer_free(&text);
    if (err == 0) {
        r->temperature = temperature[0];
        trainer_checkpoint_remove(t);
    }
    return err;
}

static int copy_history(const trainer *t, sm_trained *r)
{
    double **rows[] = { &r->loss, &r->held_loss, &r->held_top1, &r->val_top1 };
    for (size_t i = 0; i < SM_LENGTH(rows); i++)
        if (!(*rows[i] = sm_alloc((size_t)t->epoch, sizeof(double))))
            return SM_ENOMEM;
    r->epochs = t->epoch;
    r->best_epoch = t->best_epoch;
    for (int i = 0; i < t->epoch; i++) {
        r->loss[i] = t->history[i].loss;
        r->held_loss[i] = t->history[i].held_loss;
        r->held_top1[i] = t->history[i].held_top1;
        r->val_top1[i] = t->history[i].val_top1;
    }
    return 0;
}

int sm_train(sm_sounds *s, const sm_train_options *o, sm_trained *out)
{
    trainer t = { .sounds = s, .o = o, .threads = o->threads > 0 ? o->threads : sm_cpu_count(), .began_s = sm_now_s() };
    int err = trainer_check(o, &t.arch, &t.front_end);
    *out = (sm_trained){ 0 };
    if (err == 0 && sm_sounds_rate(s) != t.front_end->rate_hz)
        err = sm_sounds_load(s, t.front_end->rate_hz, 4, t.threads, NULL, NULL, NULL);
    if (err == 0)
        err = trainer_open(&t);
    if (err == 0 && o->resume)
        err = trainer_checkpoint_read(&t);
    if (err >= 0)
        err = epochs(&t, out);
    if (err == 0) {
        out->sounds = t.learned.n;
        out->families = families_of(&t);
        out->held_sounds = t.held.n;
        out->val_sounds = t.val.n;
        out->seconds = sm_now_s() - t.began_s;
        err = copy_history(&t, out);
    }
    if (err == 0 && o->base && o->base_keep > 0)
        err = train_network_recall(&t.net, o->base_keep, t.best);
    if (err == 0)
        err = finish(&t, out);
    trainer_close(&t);
    if (err < 0)
        sm_trained_free(out);
    return err;
}
