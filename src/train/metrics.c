/* How good answers are: shares of right ones with bootstrap intervals over families, confusions, calibration.
 *
 * Sounds of one family fail and succeed together; so families are drawn with replacement, not sounds (Efron 1979, by clusters). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "train/random.h"
#include "train/train.h"

enum { DRAWS = 1000, BINS = 15 };

void sm_scores_free(sm_scores *s)
{
    sm_free(s->classes);
    sm_free(s->confusion);
    sm_free(s->support);
    sm_free(s->recall);
    sm_free(s->precision);
    sm_free(s->sound);
    sm_free(s->truth);
    sm_free(s->said);
    sm_free(s->probability);
    *s = (sm_scores){ 0 };
}

/* Kinds of drums, as one group. */
static bool is_drum(const char *name)
{
    static const char *const drums[] = { "kick", "snare",  "rim",  "clap",   "hihat-closed", "hihat-open",
                                         "tom",  "cymbal", "perc", "shaker", "hand-drum" };
    for (size_t i = 0; i < SM_LENGTH(drums); i++)
        if (!strcmp(drums[i], name))
            return true;
    return false;
}

/* What is summed over sounds: enough for every figure. */
typedef struct {
    double n, right, top3, drums, drums_right;
    double *support, *hits, *said; /* by class */
} tally;

typedef struct {
    const sm_scores *s;
    const bool *in_top3;
    const bool *drum; /* by class */
} counted;

static void count(const counted *c, tally *t, size_t i, double times)
{
    const size_t truth = c->s->truth[i], said = c->s->said[i];
    t->n += times;
    t->right += times * (truth == said);
    t->top3 += times * c->in_top3[i];
    t->drums += times * c->drum[truth];
    t->drums_right += times * (c->drum[truth] && truth == said);
    t->support[truth] += times;
    t->said[said] += times;
    t->hits[truth] += times * (truth == said);
}

enum { TOP1, TOP3, MACRO, DRUMS, F1, FIGURES };

static void figures(const tally *t, size_t classes, double out[FIGURES])
{
    double recall = 0, f1 = 0, there = 0;
    for (size_t c = 0; c < classes; c++) {
        if (t->support[c] <= 0)
            continue;
        there++;
        recall += t->hits[c] / t->support[c];
        f1 += 2 * t->hits[c] / (t->support[c] + t->said[c]);
    }
    out[TOP1] = t->n > 0 ? t->right / t->n : NAN;
    out[TOP3] = t->n > 0 ? t->top3 / t->n : NAN;
    out[MACRO] = there > 0 ? recall / there : NAN;
    out[F1] = there > 0 ? f1 / there : NAN;
    out[DRUMS] = t->drums > 0 ? t->drums_right / t->drums : NAN;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static sm_figure interval(double value, double *draws, size_t n)
{
    size_t finite = 0;
    for (size_t i = 0; i < n; i++)
        if (isfinite(draws[i]))
            draws[finite++] = draws[i];
    qsort(draws, finite, sizeof *draws, by_value);
    if (finite == 0)
        return (sm_figure){ value, NAN, NAN };
    return (sm_figure){ value, draws[(size_t)(0.025 * (double)(finite - 1))],
                        draws[(size_t)ceil(0.975 * (double)(finite - 1))] };
}

/* family[i] as 0, 1, 2 .. in order of appearance; how many. */
static size_t renumber(const size_t *family, size_t n, size_t *out)
{
    size_t found = 0;
    for (size_t i = 0; i < n; i++) {
        size_t k = 0;
        while (k < i && family[k] != family[i])
            k++;
        out[i] = k < i ? out[k] : found++;
    }
    return found;
}

/* How often each family is drawn, draw by draw the same for every model. */
static void draw_families(size_t draw, size_t families, double *times)
{
    train_random r = train_random_of("bootstrap", 0, draw, 0);
    for (size_t f = 0; f < families; f++)
        times[f] = 0;
    for (size_t f = 0; f < families; f++)
        times[train_below(&r, families)]++;
}

static int bootstrap(const counted *c, const size_t *family, sm_figure out[FIGURES], size_t *n_families)
{
    const size_t n = c->s->n, classes = c->s->n_classes;
    size_t *number = sm_alloc(n, sizeof *number);
    double *times = sm_alloc(n, sizeof *times), *sums = sm_alloc(3 * classes, sizeof *sums);
    double *draws = sm_alloc(DRAWS, FIGURES * sizeof *draws), value[FIGURES];
    int err = number && times && sums && draws ? 0 : SM_ENOMEM;
    *n_families = err == 0 ? renumber(family, n, number) : 0;
    for (size_t d = 0; d <= DRAWS && err == 0; d++) { /* the last: all as they are */
        tally t = { .support = sums, .hits = sums + classes, .said = sums + 2 * classes };
        memset(sums, 0, 3 * classes * sizeof *sums);
        if (d < DRAWS)
            draw_families(d, *n_families, times);
        for (size_t i = 0; i < n; i++)
            count(c, &t, i, d < DRAWS ? times[number[i]] : 1);
        figures(&t, classes, value);
        for (int k = 0; k < FIGURES && d < DRAWS; k++)
            draws[(size_t)k * DRAWS + d] = value[k];
    }
    for (int k = 0; k < FIGURES && err == 0; k++)
        out[k] = interval(value[k], draws + (size_t)k * DRAWS, DRAWS);
    sm_free(number);
    sm_free(times);
    sm_free(sums);
    sm_free(draws);
    return err;
}

/* ---- calibration: Guo et al. 2017 ---- */
/* How sure each answer is, from p^power and normalised, and whether it is right. */
static void answers(const float *p, const size_t *truth, size_t n, size_t classes, double power, double *sure,
                    bool *right)
{
    for (size_t i = 0; i < n; i++) {
        const float *row = p + i * classes;
        size_t best = 0;
        double all = 0;
        for (size_t c = 0; c < classes; c++) {
            all += pow((double)row[c], power);
            best = row[c] > row[best] ? c : best;
        }
        sure[i] = all > 0 ? pow((double)row[best], power) / all : 0;
        right[i] = best == truth[i];
    }
}

typedef struct {
    double n[BINS], sure[BINS], right[BINS]; /* sums */
} reliability;

static double ece_of(const double *sure, const bool *right, size_t n, reliability *r)
{
    double ece = 0;
    *r = (reliability){ .n = { 0 } };
    for (size_t i = 0; i < n; i++) {
        const int bin = SM_CLAMP((int)(sure[i] * BINS), 0, BINS - 1);
        r->n[bin]++;
        r->sure[bin] += sure[i];
        r->right[bin] += right[i];
    }
    for (int b = 0; b < BINS; b++)
        ece += n > 0 ? fabs(r->sure[b] - r->right[b]) / (double)n : 0;
    return n > 0 ? ece : NAN;
}

/* What one would measure of answers that are right exactly as often as they say: so few sounds differ from that by chance alone. */
static sm_figure ece_by_chance(const double *sure, bool *right, size_t n, double *draws)
{
    reliability r;
    double sum = 0;
    for (size_t d = 0; d < DRAWS; d++) {
        train_random random = train_random_of("calibrated", 0, d, 0);
        for (size_t i = 0; i < n; i++)
            right[i] = train_chance(&random, sure[i]);
        draws[d] = ece_of(sure, right, n, &r);
        sum += draws[d];
    }
    return interval(sum / DRAWS, draws, DRAWS);
}

static int calibration(sm_scores *s)
{
    const size_t n = s->n, classes = s->n_classes;
    double *sure = sm_alloc(n, sizeof *sure), *draws = sm_alloc(DRAWS, sizeof *draws);
    bool *right = sm_alloc(n, sizeof *right);
    const int err = sure && draws && right ? 0 : SM_ENOMEM;
    if (err == 0) {
        reliability r;
        /* p^T and normalised: the softmax of the unscaled logits */
        answers(s->probability, s->truth, n, classes, s->temperature, sure, right);
        s->ece_before = ece_of(sure, right, n, &r);
        answers(s->probability, s->truth, n, classes, 1, sure, right);
        s->ece = ece_of(sure, right, n, &r);
        for (int b = 0; b < BINS; b++) {
            s->reliability_n[b] = (size_t)r.n[b];
            s->reliability_confidence[b] = r.n[b] > 0 ? r.sure[b] / r.n[b] : NAN;
            s->reliability_right[b] = r.n[b] > 0 ? r.right[b] / r.n[b] : NAN;
        }
        s->ece_by_chance = ece_by_chance(sure, right, n, draws);
    }
    sm_free(sure);
    sm_free(draws);
    sm_free(right);
    return err;
}

static double mean_loss(const float *logits, const size_t *truth, size_t n, size_t classes, double t)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        const float *x = logits + i * classes;
        double top = -HUGE_VAL, all = 0;
        for (size_t c = 0; c < classes; c++)
            top = SM_MAX(top, (double)x[c]);
        for (size_t c = 0; c < classes; c++)
            all += exp(((double)x[c] - top) / t);
        sum += log(all) - ((double)x[truth[i]] - top) / t;
    }
    return n > 0 ? sum / (double)n : NAN;
}

double sm_fit_temperature(const float *logits, const size_t *truth, size_t n, size_t classes)
{
    /* the loss is convex in 1/T: golden section on log T */
    const double golden = 0.6180339887498949;
    double low = log(0.05), high = log(20);
    if (n == 0)
        return 1;
    double a = high - golden * (high - low), b = low + golden * (high - low);
    double fa = mean_loss(logits, truth, n, classes, exp(a)), fb = mean_loss(logits, truth, n, classes, exp(b));
    while (high - low > 1e-4) {
        if (fa < fb) {
            high = b, b = a, fb = fa;
            a = high - golden * (high - low);
            fa = mean_loss(logits, truth, n, classes, exp(a));
        } else {
            low = a, a = b, fa = fb;
            b = low + golden * (high - low);
            fb = mean_loss(logits, truth, n, classes, exp(b));
        }
    }
    return exp((low + high) / 2);
}

/* ---- all of it ---- */
static int allocate(sm_scores *s, size_t n, size_t classes)
{
    s->classes = sm_alloc(classes, sizeof *s->classes);
    s->confusion = sm_alloc_zero(classes * classes, sizeof *s->confusion);
    s->support = sm_alloc_zero(classes, sizeof *s->support);
    s->recall = sm_alloc(classes, sizeof *s->recall);
    s->precision = sm_alloc(classes, sizeof *s->precision);
    s->truth = sm_alloc(n, sizeof *s->truth);
    s->said = sm_alloc(n, sizeof *s->said);
    s->probability = sm_alloc(n * classes, sizeof *s->probability);
    return s->classes && s->confusion && s->support && s->recall && s->precision && s->truth && s->said &&
                   s->probability
               ? 0
               : SM_ENOMEM;
}

/* The best class; whether the true one is among the best three (ties: smaller number first). */
static size_t best_of(const float *p, size_t classes, size_t truth, bool *in_top3)
{
    size_t best = 0, before = 0;
    for (size_t c = 0; c < classes; c++) {
        best = p[c] > p[best] ? c : best;
        before += c != truth && (p[c] > p[truth] || (p[c] == p[truth] && c < truth));
    }
    *in_top3 = before < 3;
    return best;
}

static void by_class(sm_scores *s)
{
    for (size_t c = 0; c < s->n_classes; c++) {
        size_t said = 0;
        for (size_t k = 0; k < s->n_classes; k++) {
            s->support[c] += s->confusion[c * s->n_classes + k];
            said += s->confusion[k * s->n_classes + c];
        }
        const double hits = (double)s->confusion[c * s->n_classes + c];
        s->recall[c] = s->support[c] ? hits / (double)s->support[c] : NAN;
        s->precision[c] = said ? hits / (double)said : NAN;
    }
}

int sm_scores_make(const float *probability, const size_t *truth, const size_t *family, size_t n, size_t n_classes,
                   const char *const *classes, double temperature, sm_scores *out)
{
    sm_scores s = { .n = n, .n_classes = n_classes, .temperature = temperature, .single_ms = NAN, .batch_ms = NAN };
    sm_figure f[FIGURES];
    bool *in_top3 = sm_alloc(n, sizeof *in_top3), *drum = sm_alloc(n_classes, sizeof *drum);
    int err = allocate(&s, n, n_classes);
    if (!in_top3 || !drum)
        err = SM_ENOMEM;
    for (size_t c = 0; c < n_classes && err == 0; c++) {
        s.classes[c] = classes[c];
        drum[c] = is_drum(classes[c]);
    }
    for (size_t i = 0; i < n && err == 0; i++) {
        const float *p = probability + i * n_classes;
        s.truth[i] = truth[i];
        s.said[i] = best_of(p, n_classes, truth[i], &in_top3[i]);
        s.confusion[truth[i] * n_classes + s.said[i]]++;
        s.nll -= log(SM_MAX((double)p[truth[i]], 1e-12)) / (double)n;
    }
    if (err == 0) {
        memcpy(s.probability, probability, n * n_classes * sizeof *probability);
        by_class(&s);
        err = calibration(&s);
    }
    if (err == 0) {
        const counted c = { &s, in_top3, drum };
        err = bootstrap(&c, family, f, &s.n_families);
    }
    sm_free(in_top3);
    sm_free(drum);
    if (err < 0) {
        sm_scores_free(&s);
        *out = s;
        return err;
    }
    s.top1 = f[TOP1];
    s.top3 = f[TOP3];
    s.macro_recall = f[MACRO];
    s.drums = f[DRUMS];
    s.macro_f1 = f[F1];
    *out = s;
    return 0;
}

int sm_scores_compare(const sm_scores *a, const sm_scores *b, const size_t *family, sm_figure *out)
{
    const size_t n = a->n;
    *out = (sm_figure){ NAN, NAN, NAN };
    if (b->n != n)
        return sm_fail(SM_EUSAGE, "two models were asked about %zu and %zu sounds", a->n, b->n);
    size_t *number = sm_alloc(n, sizeof *number);
    double *times = sm_alloc(n, sizeof *times), *draws = sm_alloc(DRAWS, sizeof *draws), value = NAN;
    const int err = number && times && draws ? 0 : SM_ENOMEM;
    const size_t families = err == 0 ? renumber(family, n, number) : 0;
    for (size_t d = 0; d <= DRAWS && err == 0; d++) {
        double gain = 0, all = 0;
        if (d < DRAWS)
            draw_families(d, families, times);
        for (size_t i = 0; i < n; i++) {
            const double w = d < DRAWS ? times[number[i]] : 1;
            gain += w * ((b->said[i] == b->truth[i]) - (a->said[i] == a->truth[i]));
            all += w;
        }
        value = all > 0 ? gain / all : NAN;
        if (d < DRAWS)
            draws[d] = value;
    }
    if (err == 0)
        *out = interval(value, draws, DRAWS);
    sm_free(number);
    sm_free(times);
    sm_free(draws);
    return err;
}
