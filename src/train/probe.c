/* A linear classifier on another network's embedding ("probe", Alain & Bengio 2016): each sound is heard once as `analyze` hears it, then
 * a softmax regression is fitted. The penalty and the temperature are chosen on held-out train families. */
#include <math.h>
#include <string.h>

#include "train/probe.h"
#include "train/trainer.h"

enum { STEPS = 150 };

typedef struct {
    const sm_probe_options *o;
    sm_sounds *sounds;
    const sm_model *model; /* the head */
    const char **classes;  /* names; the list is ours */
    size_t n_classes, width;
    size_t *sound; /* [n]: which of the collection were heard */
    float *x;      /* [n, width] */
    size_t n, n_asked;
    size_t *asked;      /* [n_asked] */
    const char **paths; /* [n_asked] */
} probe;

typedef struct {
    float *x;
    size_t *truth, *sound, n;
} side;

static void side_free(side *s)
{
    sm_free(s->x);
    sm_free(s->truth);
    sm_free(s->sound);
}

/* ---- hearing ---- */

/* The head of ours that stands on this backbone. */
static int find_head(const char *backbone, const sm_model **out)
{
    size_t n = 0;
    const sm_model *const *all = sm_models(&n);
    for (size_t i = 0; i < n; i++)
        if (all[i]->needs.backbone && !strcmp(all[i]->needs.backbone, backbone) &&
            !strncmp(all[i]->name, "samplemind-", 11)) {
            *out = all[i];
            return 0;
        }
    return sm_fail(SM_EUSAGE, "no classifier of ours stands on \"%s\"; on yamnet one does", backbone);
}

static int on_record(void *user, size_t index, sm_record *record, int err)
{
    probe *p = user;
    const sm_embedding *e = err == 0 ? sm_record_embedding_of(record, p->model->needs.backbone) : NULL;
    if (e && e->dims == p->width) {
        float *x = p->x + p->n * p->width;
        for (size_t i = 0; i < p->width; i++)
            x[i] = sqrtf(SM_MAX(e->values[i], 0));
        p->sound[p->n++] = p->asked[index];
    }
    sm_record_free(record);
    return 0;
}

static int open_engine(const probe *p, sm_engine **out)
{
    sm_options o;
    sm_options_init(&o);
    o.models = p->model->needs.backbone;
    o.jobs = p->o->threads;
    o.max_seconds = 4; /* as much as training reads */
    o.progress = p->o->progress;
    o.user = p->o->user;
    int err = sm_engine_open(&o, out);
    if (err == 0 && sm_engine_models(*out) == 0) {
        const char *why = NULL, *name = sm_engine_missing_model(*out, 0, &why);
        err = sm_fail(SM_ENOTFOUND, "%s: %s", name ? name : o.models, why ? why : "is not installed");
    }
    return err;
}

static int hear(probe *p)
{
    const size_t n = sm_sounds_count(p->sounds);
    sm_engine *e = NULL;
    p->width = (size_t)p->model->needs.bands;
    p->asked = sm_alloc(n, sizeof *p->asked);
    p->paths = sm_alloc(n, sizeof *p->paths);
    p->sound = sm_alloc(n, sizeof *p->sound);
    p->x = sm_alloc(n * p->width, sizeof *p->x);
    if (!p->asked || !p->paths || !p->sound || !p->x)
        return SM_ENOMEM;
    for (size_t i = 0; i < n; i++) {
        const sm_sound *s = sm_sounds_at(p->sounds, i);
        if (s->label[0] && s->side != SM_SIDE_NONE && s->side != SM_SIDE_TEST) {
            p->asked[p->n_asked] = i;
            p->paths[p->n_asked++] = s->path;
        }
    }
    int err = open_engine(p, &e);
    if (err == 0)
        err = sm_analyze_files(e, p->paths, p->n_asked, on_record, p, NULL);
    sm_engine_close(e);
    return err;
}

/* ---- sides ---- */
static size_t class_of(const probe *p, size_t sound)
{
    size_t c = 0;
    while (strcmp(p->classes[c], sm_sounds_at(p->sounds, sound)->label[0]) != 0)
        c++;
    return c;
}

static int take(const probe *p, sm_side which, bool held, side *out)
{
    out->x = sm_alloc(p->n * p->width + 1, sizeof *out->x);
    out->truth = sm_alloc(p->n + 1, sizeof *out->truth);
    out->sound = sm_alloc(p->n + 1, sizeof *out->sound);
    if (!out->x || !out->truth || !out->sound)
        return SM_ENOMEM;
    for (size_t i = 0; i < p->n; i++) {
        const sm_sound *s = sm_sounds_at(p->sounds, p->sound[i]);
        if (s->side != which || (which == SM_SIDE_TRAIN && trainer_is_held(s->family, p->o->held_out, 0) != held))
            continue;
        memcpy(out->x + out->n * p->width, p->x + i * p->width, p->width * sizeof *p->x);
        out->sound[out->n] = p->sound[i];
        out->truth[out->n++] = class_of(p, p->sound[i]);
    }
    return 0;
}

/* Families of a class by the root of their size, classes by the root of theirs: sums to 1. */
static int weigh(const probe *p, const side *s, double *weight)
{
    double sum = 0, *class = sm_alloc_zero(2 * p->n_classes, sizeof *class),
           *files = class ? class + p->n_classes : NULL;
    if (!class)
        return SM_ENOMEM;
    for (size_t i = 0; i < s->n; i++) {
        const char *family = sm_sounds_at(p->sounds, s->sound[i])->family;
        size_t alike = 0;
        for (size_t k = 0; k < s->n; k++)
            alike += s->truth[k] == s->truth[i] && !strcmp(sm_sounds_at(p->sounds, s->sound[k])->family, family);
        weight[i] = 1 / sqrt((double)alike);
        class[s->truth[i]] += weight[i];
        files[s->truth[i]]++;
    }
    for (size_t i = 0; i < s->n; i++)
        sum += weight[i] *= sqrt(files[s->truth[i]]) / class[s->truth[i]];
    for (size_t i = 0; i < s->n; i++)
        weight[i] /= sum;
    sm_free(class);
    return 0;
}

/* Mean 0 and variance near 1 by the learned side; a little is added to the deviation so that what hardly moves stays small. */
static void standardise(const probe *p, const side *learned, float *mean, float *scale)
{
    for (size_t k = 0; k < p->width; k++) {
        double sum = 0, squares = 0;
        for (size_t i = 0; i < learned->n; i++) {
            const double v = learned->x[i * p->width + k];
            sum += v;
            squares += v * v;
        }
        const double m = sum / (double)learned->n, variance = squares / (double)learned->n - m * m;
        mean[k] = (float)m;
        scale[k] = (float)(1 / (sqrt(SM_MAX(variance, 0)) + 0.05));
    }
}

static void apply(const probe *p, side *s, const float *mean, const float *scale)
{
    for (size_t i = 0; i < s->n * p->width; i++)
        s->x[i] = (s->x[i] - mean[i % p->width]) * scale[i % p->width];
}

/* ---- judging ---- */
typedef struct {
    double top1, top3, loss;
} judged;

static judged judge(const float *logits, const size_t *truth, size_t n, size_t classes)
{
    judged j = { 0 };
    for (size_t i = 0; i < n; i++) {
        const float *z = logits + i * classes, own = z[truth[i]];
        double sum = 0;
        size_t above = 0;
        for (size_t c = 0; c < classes; c++) {
            sum += exp((double)(z[c] - own));
            above += z[c] > own;
        }
        j.loss += log(sum);
        j.top1 += above == 0;
        j.top3 += above < 3;
    }
    j.loss /= (double)n;
    j.top1 /= (double)n;
    j.top3 /= (double)n;
    if (n == 0)
        j = (judged){ NAN, NAN, NAN };
    return j;
}

static int judge_side(const probe *p, const side *s, const float *w, const float *b, judged *out, double *temperature)
{
    float *logits = sm_alloc(s->n * p->n_classes + 1, sizeof *logits);
    if (!logits)
        return SM_ENOMEM;
    probe_logits(s->x, s->n, p->width, p->n_classes, w, b, logits);
    *out = judge(logits, s->truth, s->n, p->n_classes);
    if (temperature)
        *temperature = sm_fit_temperature(logits, s->truth, s->n, p->n_classes);
    sm_free(logits);
    return 0;
}

/* ---- fitting ---- */

/* From the strongest penalty to the weakest, each from where the last ended; the one under which the held-out families are likeliest stays. */
static int fit(const probe *p, const side *learned, const side *held, const double *weight, float *w, float *b,
               sm_probed *out)
{
    static const double decays[] = { 0.3, 0.1, 0.03, 0.01 };
    const size_t length = p->n_classes * p->width + p->n_classes;
    const probe_data d = { .n = learned->n,
                           .width = p->width,
                           .classes = p->n_classes,
                           .x = learned->x,
                           .truth = learned->truth,
                           .weight = weight,
                           .smoothing = p->o->smoothing };
    float *try = sm_alloc_zero(length, sizeof *try), *try_b = try ? try + p->n_classes * p->width : NULL;
    sm_pool *pool = NULL;
    double best = HUGE_VAL;
    int err = try ? sm_pool_new(p->o->threads, &pool) : SM_ENOMEM;
    for (size_t i = 0; i < SM_LENGTH(decays) && err == 0; i++) {
        judged j = { 0 };
        double temperature = 1;
        err = probe_fit(&d, decays[i], STEPS, pool, try, try_b);
        if (err == 0)
            err = judge_side(p, held->n ? held : learned, try, try_b, &j, &temperature);
        if (err == 0 && j.loss < best) {
            best = j.loss;
            *out = (sm_probed){ .decay = decays[i],
                                .temperature = temperature,
                                .held_top1 = held->n ? j.top1 : NAN,
                                .held_loss = held->n ? j.loss : NAN };
            memcpy(w, try, p->n_classes * p->width * sizeof *w);
            memcpy(b, try_b, p->n_classes * sizeof *b);
        }
    }
    sm_pool_free(pool);
    sm_free(try);
    return err;
}

/* The file: the standardisation goes into the weights. */
static int write_file(const probe *p, float *w, float *b, const float *mean, const float *scale, const sm_probed *r)
{
    train_head head = { .name = "instrument", .n_classes = p->n_classes, .classes = p->classes, .kept = true };
    char names[2][32] = { "head.instrument.weight", "head.instrument.bias" };
    train_tensor tensors[2] = {
        { .name = names[0],
          .shape = NN_SHAPE((int64_t)p->n_classes, (int64_t)p->width),
          .n = p->n_classes * p->width,
          .at = 0 },
        { .name = names[1], .shape = NN_SHAPE((int64_t)p->n_classes), .n = p->n_classes, .at = p->n_classes * p->width }
    };
    train_network net = { .n_heads = 1, .parameters = tensors, .n_parameters = 2 };
    net.heads[0] = head;
    for (size_t c = 0; c < p->n_classes; c++)
        for (size_t k = 0; k < p->width; k++) {
            w[c * p->width + k] *= scale[k];
            b[c] -= w[c * p->width + k] * mean[k];
        }
    const train_meta meta[] = { { "samplemind", sm_version() },
                                { "model", p->model->name },
                                { "backbone", p->model->needs.backbone },
                                { "training", p->o->note ? p->o->note : "" } };
    /* w and b are one row */
    return train_network_write(&net, w, NULL, &r->temperature, p->o->f16, meta, SM_LENGTH(meta), p->o->out);
}

static int train(probe *p, sm_probed *out)
{
    side learned = { 0 }, held = { 0 }, val = { 0 };
    const size_t length = p->n_classes * p->width + p->n_classes;
    float *w = sm_alloc_zero(length, sizeof *w), *mean = sm_alloc(2 * p->width, sizeof *mean);
    double *weight = sm_alloc(p->n + 1, sizeof *weight);
    float *b = w ? w + p->n_classes * p->width : NULL, *scale = mean ? mean + p->width : NULL;
    judged j = { 0 };
    int err = w && mean && weight ? take(p, SM_SIDE_TRAIN, false, &learned) : SM_ENOMEM;
    if (err == 0)
        err = take(p, SM_SIDE_TRAIN, true, &held);
    if (err == 0)
        err = take(p, SM_SIDE_VAL, false, &val);
    if (err == 0 && learned.n == 0)
        err = sm_fail(SM_EUSAGE, "no sound to learn from: all are on other sides of the split, or could not be heard");
    if (err == 0) {
        standardise(p, &learned, mean, scale);
        apply(p, &learned, mean, scale);
        apply(p, &held, mean, scale);
        apply(p, &val, mean, scale);
        err = weigh(p, &learned, weight);
    }
    if (err == 0)
        err = fit(p, &learned, &held, weight, w, b, out);
    if (err == 0)
        err = judge_side(p, &val, w, b, &j, NULL);
    if (err == 0) {
        out->sounds = learned.n;
        out->held_sounds = held.n;
        out->val_sounds = val.n;
        out->val_top1 = j.top1;
        out->val_top3 = j.top3;
        err = write_file(p, w, b, mean, scale, out);
    }
    side_free(&learned);
    side_free(&held);
    side_free(&val);
    sm_free(w);
    sm_free(mean);
    sm_free(weight);
    return err;
}

void sm_probe_options_init(sm_probe_options *o)
{
    *o = (sm_probe_options){ .on = "yamnet", .smoothing = 0.05, .held_out = 0.1, .f16 = true };
}

int sm_probe_train(sm_sounds *s, const sm_probe_options *o, sm_probed *out)
{
    probe p = { .o = o, .sounds = s };
    *out = (sm_probed){ 0 };
    int err = !o->out ? sm_fail(SM_EUSAGE, "no file to write the classifier to") : find_head(o->on, &p.model);
    if (err == 0)
        err = sm_sounds_classes(s, SM_HEAD_INSTRUMENT, &p.classes, &p.n_classes);
    if (err == 0 && (p.n_classes < 2 || p.n_classes > 4096))
        err = sm_fail(SM_EUSAGE, "%zu classes: a classifier tells 2 to 4096 apart", p.n_classes);
    if (err == 0)
        err = hear(&p);
    if (err == 0)
        err = train(&p, out);
    sm_free(p.classes);
    sm_free(p.sound);
    sm_free(p.x);
    sm_free(p.asked);
    sm_free(p.paths);
    return err;
}
