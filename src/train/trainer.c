/* A training run from its beginning to the file. */
#include <math.h>
#include <string.h>

#include "engine/engine.h"
#include "train/random.h"
#include "train/trainer.h"

void sm_train_options_init(sm_train_options *o)
{
    *o = (sm_train_options){ .arch = "res",
                             .epochs = 40,
                             .batch = 64,
                             .rate = 2e-3,
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

/* ---- who is on which side ---- */
static bool is_held(const trainer *t, const sm_sound *s)
{
    const char *key = t->o->random_split ? sm_path_name(s->path) : s->family;
    const double u = (sm_unit(sm_unit_hash("held out", 0), sm_fnv1a64(key, strlen(key))) + 1) / 2;
    return u < t->o->held_out;
}

static int add(train_set *set, size_t most, size_t sound)
{
    if (!set->sound && !(set->sound = sm_alloc(most, sizeof *set->sound)))
        return SM_ENOMEM;
    set->sound[set->n++] = sound;
    return 0;
}

/* Puts a class back into what is learned if holding out took all of it. */
static bool class_is_learned(const trainer *t, int class)
{
    for (size_t i = 0; i < t->learned.n; i++)
        if (t->target[0][t->learned.sound[i]] == class)
            return true;
    return false;
}

static int deal(trainer *t)
{
    const size_t n = sm_sounds_count(t->sounds);
    int err = 0;
    for (size_t i = 0; i < n && err == 0; i++) {
        const sm_sound *s = sm_sounds_at(t->sounds, i);
        const sm_side side = t->o->random_split ? s->random_side : s->side;
        if (!s->samples || t->target[0][i] < 0)
            continue;
        train_set *to = side == SM_SIDE_VAL     ? &t->val
                        : side != SM_SIDE_TRAIN ? NULL
                        : is_held(t, s)         ? &t->held
                                                : &t->learned;
        if (to)
            err = add(to, n, i);
    }
    for (size_t i = 0; i < t->held.n && err == 0;) {
        const size_t sound = t->held.sound[i];
        const int class = t->target[0][sound];
        if (class_is_learned(t, class)) {
            i++;
            continue;
        }
        for (size_t k = i; k < t->held.n && err == 0;) /* the whole class */
            if (t->target[0][t->held.sound[k]] == class) {
                err = add(&t->learned, n, t->held.sound[k]);
                t->held.sound[k] = t->held.sound[--t->held.n];
            } else
                k++;
    }
    if (err == 0 && t->learned.n == 0)
        err = sm_fail(SM_EUSAGE, "no sound to learn from: all are on other sides of the split, or could not be read");
    return err;
}

/* ---- classes and weights ---- */
static int find_class(const train_head *h, const char *label)
{
    for (size_t c = 0; label && c < h->n_classes; c++)
        if (!strcmp(h->classes[c], label))
            return (int)c;
    return -1;
}

/* Heads for which there are labels. Instruments are named as in sm_instruments when all labels are among those. */
static int make_heads(trainer *t, train_head *heads, size_t *n_heads, const char ***lists)
{
    const size_t n = sm_sounds_count(t->sounds);
    int err = 0;
    *n_heads = 0;
    for (int k = 0; k < SM_SOUND_HEADS && err == 0; k++) {
        size_t classes = 0;
        if ((err = sm_sounds_classes(t->sounds, (sm_sound_head)k, &lists[k], &classes)) < 0)
            break;
        if (classes < 2) {
            if (k == 0)
                err = sm_fail(SM_EUSAGE, "one class alone is nothing to tell apart");
            continue;
        }
        if (classes > 4096) {
            err = sm_fail(SM_ELIMIT, "%zu classes of %s; 4096 are the most", classes, sm_sound_heads[k]);
            break;
        }
        train_head *h = &heads[*n_heads];
        *h = (train_head){ .n_classes = classes, .classes = lists[k], .kept = true };
        snprintf(h->name, sizeof h->name, "%s", sm_sound_heads[k]);
        int *target = sm_alloc(n, sizeof *target);
        if (!target) {
            err = SM_ENOMEM;
            break;
        }
        for (size_t i = 0; i < n; i++)
            target[i] = find_class(h, sm_sounds_at(t->sounds, i)->label[k]);
        t->target[(*n_heads)++] = target;
    }
    return err;
}

static size_t alike(const trainer *t, size_t of, bool family)
{
    const sm_sound *a = sm_sounds_at(t->sounds, of);
    size_t n = 0;
    for (size_t i = 0; i < t->learned.n; i++) {
        const size_t k = t->learned.sound[i];
        n += t->target[0][k] == t->target[0][of] && (!family || !strcmp(a->family, sm_sounds_at(t->sounds, k)->family));
    }
    return n;
}

/* How often each sound is drawn: within its class by the size of its family, classes by a power of their sizes; and how much it
 * weighs in the loss. */
static int weigh(trainer *t)
{
    const train_set *s = &t->learned;
    const size_t classes = t->net.heads[0].n_classes;
    double sum = 0, mean = 0, *of_class = sm_alloc_zero(classes, sizeof *of_class);
    t->share = sm_alloc(s->n, sizeof *t->share);
    t->weight = sm_alloc_zero(sm_sounds_count(t->sounds), sizeof *t->weight);
    if (!t->share || !t->weight || !of_class) {
        sm_free(of_class);
        return SM_ENOMEM;
    }
    for (size_t i = 0; i < s->n; i++) {
        t->share[i] = pow((double)alike(t, s->sound[i], true), -t->o->family_weight);
        of_class[t->target[0][s->sound[i]]] += t->share[i];
    }
    for (size_t i = 0; i < s->n; i++) {
        const size_t k = s->sound[i];
        const double in_class = (double)alike(t, k, false);
        sum += t->share[i] * pow(in_class, 1 - t->o->balance) / of_class[t->target[0][k]];
        t->share[i] = sum;
        t->weight[k] = (float)pow(in_class, -t->o->class_weight);
        mean += (double)t->weight[k] / (double)s->n;
    }
    for (size_t i = 0; i < s->n; i++)
        t->weight[s->sound[i]] /= (float)mean;
    sm_free(of_class);
    return 0;
}

/* ---- life ---- */
static void set_free(train_set *s)
{
    sm_free(s->sound);
    sm_free(s->pictures);
}

static void close_trainer(trainer *t, const char ***lists)
{
    for (int i = 0; i < t->threads; i++) {
        train_runner_free(t->runners ? t->runners[i] : NULL);
        train_eye_free(t->eyes ? t->eyes[i] : NULL);
        sm_free(t->mixing ? t->mixing[i] : NULL);
    }
    for (int b = 0; b < 2; b++) {
        for (size_t i = 0; t->shards[b] && i < t->n_shards; i++)
            train_shard_free(&t->shards[b][i]);
        sm_free(t->shards[b]);
    }
    sm_free(t->runners);
    sm_free(t->eyes);
    sm_free(t->mixing);
    sm_pool_free(t->pool);
    train_state_free(&t->state);
    train_network_close(&t->net);
    set_free(&t->learned);
    set_free(&t->held);
    set_free(&t->val);
    for (int i = 0; i < TRAIN_HEADS; i++)
        sm_free(t->target[i]);
    for (int i = 0; i < SM_SOUND_HEADS; i++)
        sm_free(lists[i]);
    sm_free(t->soft);
    sm_free(t->weight);
    sm_free(t->share);
    sm_free(t->order);
    sm_free(t->best);
    sm_free(t->best_stats);
    sm_free(t->history);
}

static int open_threads(trainer *t)
{
    int err = 0;
    t->runners = sm_alloc_zero((size_t)t->threads, sizeof *t->runners);
    t->eyes = sm_alloc_zero((size_t)t->threads, sizeof *t->eyes);
    t->mixing = sm_alloc_zero((size_t)t->threads, sizeof *t->mixing);
    if (!t->runners || !t->eyes || !t->mixing)
        return SM_ENOMEM;
    for (int i = 0; i < t->threads && err == 0; i++) {
        err = train_eye_new(&t->o->augment, t->front_end, &t->eyes[i]);
        if (err == 0)
            err = train_runner_new(&t->net, &t->runners[i]);
        t->mixing[i] = sm_alloc_aligned(TRAIN_SHARD, TRAIN_PICTURE * sizeof(float));
        if (err == 0 && !t->mixing[i])
            err = SM_ENOMEM;
    }
    for (int b = 0; b < 2 && err == 0; b++) {
        t->shards[b] = sm_alloc_zero(t->n_shards, sizeof *t->shards[b]);
        err = t->shards[b] ? 0 : SM_ENOMEM;
        for (size_t i = 0; i < t->n_shards && err == 0; i++)
            err = train_shard_new(&t->net, &t->shards[b][i]);
    }
    return err;
}

static int open_state(trainer *t)
{
    const size_t n = t->net.length, k = t->net.stats_length;
    int err = train_state_new(&t->net, &t->state);
    t->best = sm_alloc_aligned(n, sizeof *t->best);
    t->best_stats = sm_alloc_aligned(k + 1, sizeof *t->best_stats);
    t->history = sm_alloc_zero((size_t)t->o->epochs, sizeof *t->history);
    t->order = sm_alloc(t->per_epoch, sizeof *t->order);
    if (err == 0 && (!t->best || !t->best_stats || !t->history || !t->order))
        err = SM_ENOMEM;
    if (err < 0)
        return err;
    train_network_initial(&t->net, t->state.parameters, t->state.stats);
    memcpy(t->state.average, t->state.parameters, n * sizeof(float));
    memcpy(t->best, t->state.parameters, n * sizeof(float));
    memcpy(t->best_stats, t->state.stats, k * sizeof(float));
    t->best_epoch = -1;
    t->best_top1 = -1;
    t->best_loss = HUGE_VAL;
    return 0;
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

static int check_options(const sm_train_options *o, const sm_classifier_arch **arch, const dsp_mel_spec **front_end)
{
    *arch = sm_classifier_arch_find(o->arch ? o->arch : "res");
    if (!*arch)
        return sm_fail(SM_EUSAGE, "there is no architecture \"%s\"", o->arch);
    const char *name = o->front_end ? o->front_end : sm_model_find((*arch)->model)->needs.front_end;
    *front_end = dsp_mel_find(name);
    if (!*front_end || (*front_end)->bands != SM_CLASSIFIER_BANDS)
        return sm_fail(SM_EUSAGE, "there is no front end \"%s\" of %d bands", name, SM_CLASSIFIER_BANDS);
    if (!o->out || o->epochs < 1 || o->batch < 1 || o->batch > 4096 || !(o->rate > 0) || o->held_out < 0 ||
        o->held_out > 0.9 || o->smoothing < 0 || o->smoothing >= 1 || o->ema < 0 || o->ema >= 1)
        return sm_fail(SM_EUSAGE,
                       "training options that make no sense: epochs, batch, rate, held out, smoothing or EMA");
    return 0;
}

static int open_trainer(trainer *t, const sm_classifier_arch *arch, const char ***lists)
{
    const sm_train_options *o = t->o;
    train_head heads[TRAIN_HEADS];
    size_t n_heads = 0, teacher = 0;
    int err = sm_pool_new(t->threads, &t->pool);
    if (err == 0)
        err = make_heads(t, heads, &n_heads, lists);
    if (err == 0)
        err = deal(t);
    if (err == 0) {
        t->net.heads[0] = heads[0]; /* the network is not open yet, its classes are known */
        err = weigh(t);
    }
    if (err == 0 && o->teacher && (err = trainer_teach(t, &t->soft, &teacher)) == 0)
        heads[n_heads++] = (train_head){ .name = "teacher", .n_classes = teacher };
    if (err == 0)
        err = train_network_open(arch, heads, n_heads, o->seed, &t->net);
    if (err < 0)
        return err;
    t->n_shards = ((size_t)o->batch + TRAIN_SHARD - 1) / TRAIN_SHARD;
    t->batch = t->n_shards * TRAIN_SHARD;
    t->per_epoch = t->learned.n;
    t->steps = (int64_t)((t->per_epoch + t->batch - 1) / t->batch);
    if ((err = open_threads(t)) < 0 || (err = open_state(t)) < 0 || (err = trainer_pictures(t, &t->held)) < 0)
        return err;
    return trainer_pictures(t, &t->val);
}

int sm_train(sm_sounds *s, const sm_train_options *o, sm_trained *out)
{
    const char **lists[SM_SOUND_HEADS] = { NULL };
    const sm_classifier_arch *arch;
    trainer t = { .sounds = s, .o = o, .threads = o->threads > 0 ? o->threads : sm_cpu_count(), .began_s = sm_now_s() };
    int err = check_options(o, &arch, &t.front_end);
    *out = (sm_trained){ 0 };
    if (err == 0 && sm_sounds_rate(s) != t.front_end->rate_hz)
        err = sm_sounds_load(s, t.front_end->rate_hz, 4, t.threads, NULL, NULL, NULL);
    if (err == 0)
        err = open_trainer(&t, arch, lists);
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
    if (err == 0)
        err = finish(&t, out);
    close_trainer(&t, lists);
    if (err < 0)
        sm_trained_free(out);
    return err;
}
