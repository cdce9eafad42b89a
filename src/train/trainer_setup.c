/* What a training run needs before its first step: sides, classes, weights, threads, buffers. */
#include <math.h>
#include <string.h>

#include "train/random.h"
#include "train/trainer.h"

/* ---- who is on which side ---- */
bool trainer_is_held(const char *key, double share, int fold)
{
    return (sm_unit(sm_unit_hash("held out", (uint64_t)fold), sm_fnv1a64(key, strlen(key))) + 1) / 2 < share;
}

static bool is_held(const trainer *t, const sm_sound *s)
{
    return trainer_is_held(t->o->random_split ? sm_path_name(s->path) : s->family, t->o->held_out, t->o->fold);
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
static int make_heads(trainer *t, train_head *heads, size_t *n_heads)
{
    const size_t n = sm_sounds_count(t->sounds);
    int err = 0;
    *n_heads = 0;
    for (int k = 0; k < SM_SOUND_HEADS && err == 0; k++) {
        size_t classes = 0;
        if ((err = sm_sounds_classes(t->sounds, (sm_sound_head)k, &t->lists[k], &classes)) < 0)
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
        *h = (train_head){ .n_classes = classes, .classes = t->lists[k], .kept = true };
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

void trainer_close(trainer *t)
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
    sm_view_close(t->base_view);
    sm_card_free(t->base_card);
    sm_weights_close(t->base);
    set_free(&t->learned);
    set_free(&t->held);
    set_free(&t->val);
    for (int i = 0; i < TRAIN_HEADS; i++)
        sm_free(t->target[i]);
    for (int i = 0; i < SM_SOUND_HEADS; i++)
        sm_free(t->lists[i]);
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
        err = train_eye_new(&t->o->augment, t->front_end, t->arch, &t->eyes[i]);
        if (err == 0)
            err = train_runner_new(&t->net, &t->runners[i]);
        t->mixing[i] = sm_alloc_aligned(TRAIN_SHARD, t->net.picture * sizeof(float));
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
    if ((err = train_network_initial(&t->net, t->state.parameters, t->state.stats)) < 0)
        return err;
    memcpy(t->state.average, t->state.parameters, n * sizeof(float));
    memcpy(t->best, t->state.parameters, n * sizeof(float));
    memcpy(t->best_stats, t->state.stats, k * sizeof(float));
    t->best_epoch = -1;
    t->best_top1 = -1;
    t->best_loss = HUGE_VAL;
    return 0;
}

int trainer_check(const sm_train_options *o, const sm_classifier_arch **arch, const dsp_mel_spec **front_end)
{
    *arch = sm_classifier_arch_find(o->arch ? o->arch : "res-freq");
    if (!*arch)
        return sm_fail(SM_EUSAGE, "there is no architecture \"%s\"", o->arch);
    const char *name = o->front_end ? o->front_end : sm_model_find((*arch)->model)->needs.front_end;
    *front_end = dsp_mel_find(name);
    if (!*front_end || (*front_end)->bands != sm_classifier_bands(*arch))
        return sm_fail(SM_EUSAGE, "there is no front end \"%s\" of %d bands", name, sm_classifier_bands(*arch));
    if (!(o->base_rate > 0) || !(o->base_slower > 0) || o->base_slower > 1 || o->base_frozen < 0 || o->base_keep < 0 ||
        o->base_keep > 1)
        return sm_fail(
            SM_EUSAGE,
            "options of the base that make no sense: its rate, its factor, its frozen layers or what is kept");
    if ((*arch)->base && o->base_frozen > (*arch)->base->layers)
        return sm_fail(SM_EUSAGE, "%d layers are to stay as they are; %s has %d", o->base_frozen, (*arch)->base->model,
                       (*arch)->base->layers);
    if (!o->out || o->epochs < 1 || o->batch < 1 || o->batch > 4096 || !(o->rate > 0) || o->held_out < 0 ||
        o->held_out > 0.9 || o->fold < 0 || o->smoothing < 0 || o->smoothing >= 1 || o->ema < 0 || o->ema >= 1)
        return sm_fail(SM_EUSAGE,
                       "training options that make no sense: epochs, batch, rate, held out, smoothing or EMA");
    return 0;
}

int sm_train_arch_on(const char *base, const char **out)
{
    sm_weights *w = NULL;
    sm_card *card = NULL;
    const sm_model *m = NULL;
    char variant[32] = "";
    size_t n = 0;
    const sm_classifier_arch *all = sm_classifier_archs(&n);
    int err = trainer_open_model(base, &w, &card, &m, variant);
    *out = NULL;
    const bool ours = err == 0 && sm_classifier_arch_find(variant); /* other models call their formats variants */
    for (size_t i = 0; err == 0 && i < n && !*out; i++)
        if (ours ? !strcmp(all[i].name, variant) : all[i].base && !strcmp(all[i].base->model, m->name))
            *out = all[i].name;
    if (err == 0 && !*out)
        err = sm_fail(SM_EUSAGE, "no classifier of ours stands on \"%s\"", m->name);
    sm_card_free(card);
    sm_weights_close(w);
    return err;
}

/* Heads that the base has, too, with the same classes in the same order. */
static int compare_heads(const trainer *t, train_head *heads, size_t n)
{
    sm_classifier_head theirs[SM_CLASSIFIER_HEADS];
    size_t known = 0;
    sm_arena *arena = sm_arena_new();
    int err = arena ? sm_classifier_heads(t->base, arena, theirs, &known) : SM_ENOMEM;
    for (size_t i = 0; i < n && err == 0; i++)
        for (size_t k = 0; k < known && heads[i].kept && !heads[i].known; k++) {
            bool same = !strcmp(heads[i].name, theirs[k].name) && heads[i].n_classes == theirs[k].n_classes;
            for (size_t c = 0; same && c < heads[i].n_classes; c++)
                same = !strcmp(heads[i].classes[c], theirs[k].classes[c]);
            heads[i].known = same;
        }
    sm_arena_free(arena);
    return err;
}

/* The weights with which it begins: those of what the architecture stands on, or of a network of the same architecture. */
static int open_base(trainer *t, train_head *heads, size_t n_heads, train_base *out)
{
    const sm_train_options *o = t->o;
    const sm_model *m = NULL;
    char variant[32] = "";
    int err = trainer_open_model(o->base, &t->base, &t->base_card, &m, variant);
    const bool whole = err == 0 && !strcmp(variant, t->arch->name);
    if (err == 0 && !whole && (!t->arch->base || strcmp(m->name, t->arch->base->model) != 0))
        err = sm_fail(SM_EUSAGE, "%s holds %s %s; %s goes on from %s%s%s only", o->base,
                      *variant ? "the architecture" : "the model", *variant ? variant : m->name, t->arch->name,
                      t->arch->name, t->arch->base ? " or " : "", t->arch->base ? t->arch->base->model : "");
    if (err == 0 && t->arch->norm_in_training)
        err = sm_fail(SM_EUSAGE, "%s: the norms with which %s learned are folded in; it cannot learn on", o->base,
                      variant);
    if (err == 0 && whole && t->arch->norm && o->base_keep > 0)
        err = sm_fail(SM_EUSAGE, "%s: between what it was and what it is its norms would fit neither", o->base);
    if (err == 0)
        err = sm_view_open(m, t->base, variant, &t->base_view);
    if (err == 0 && whole)
        err = compare_heads(t, heads, n_heads);
    if (err < 0)
        return sm_fail_prefix(err, "what is to learn on");
    *out = (train_base){ sm_view_source(t->base_view), whole, o->base_rate / o->rate, o->base_slower, o->base_frozen };
    return 0;
}

int trainer_open(trainer *t)
{
    const sm_train_options *o = t->o;
    train_head heads[TRAIN_HEADS];
    train_base base = { 0 };
    size_t n_heads = 0, teacher = 0;
    int err = sm_pool_new(t->threads, &t->pool);
    if (err == 0)
        err = make_heads(t, heads, &n_heads);
    if (err == 0)
        err = deal(t);
    if (err == 0) {
        t->net.heads[0] = heads[0]; /* the network is not open yet, its classes are known */
        err = weigh(t);
    }
    if (err == 0 && o->teacher && (err = trainer_teach(t, &t->soft, &teacher)) == 0)
        heads[n_heads++] = (train_head){ .name = "teacher", .n_classes = teacher };
    if (err == 0)
        err = o->base ? open_base(t, heads, n_heads, &base) : 0;
    if (err == 0)
        err = train_network_open(t->arch, heads, n_heads, o->seed, &base, &t->net);
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
