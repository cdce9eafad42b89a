/* Augmentation: each row of augment.def happens with its probability, at a strength drawn from its range. */
#include <stdlib.h>
#include <string.h>

#include "train/effects.h"
#include "train/train.h"

static const sm_augment_text texts[] = {
#define SM_AUGMENT(NAME, UNIT, P, LOW, HIGH, SENTENCE) { #NAME, UNIT, SENTENCE, { P, LOW, HIGH } },
#include "train/augment.def"
#undef SM_AUGMENT
};

const sm_augment_text *sm_augment_texts(size_t *n)
{
    *n = SM_LENGTH(texts);
    return texts;
}

void sm_augment_init(sm_augment *a)
{
    for (size_t i = 0; i < SM_AUGMENTS; i++)
        a->row[i] = texts[i].standard;
}

/* ---- NAME=P:LOW:HIGH,... ---- */
static int parse_value(sm_augment_row *row, const char *name, const char *value)
{
    double v[3] = { row->p, row->low, row->high };
    int n = 0;
    for (const char *at = value; n < 3; n++) {
        char *end;
        v[n] = strtod(at, &end);
        if (end == at || !isfinite(v[n]))
            return sm_fail(SM_EUSAGE, "augment %s=%s: P or P:LOW:HIGH is expected", name, value);
        if (*end == 0) {
            n++;
            break;
        }
        if (*end != ':' || n == 2)
            return sm_fail(SM_EUSAGE, "augment %s=%s: P or P:LOW:HIGH is expected", name, value);
        at = end + 1;
    }
    if (n == 2)
        v[2] = v[1];
    if (v[0] < 0 || v[0] > 1 || v[1] > v[2])
        return sm_fail(SM_EUSAGE, "augment %s=%s: the probability is 0 to 1, the range goes up", name, value);
    *row = (sm_augment_row){ v[0], v[1], v[2] };
    return 0;
}

static int parse_item(sm_augment *a, char *item)
{
    const char *names[SM_AUGMENTS + 1];
    char *value = strchr(item, '=');
    if (!strcmp(item, "none") || !strcmp(item, "all")) {
        for (size_t i = 0; i < SM_AUGMENTS; i++)
            a->row[i].p = *item == 'n' ? 0 : texts[i].standard.p;
        return 0;
    }
    if (value)
        *value++ = 0;
    for (size_t i = 0; i < SM_AUGMENTS; i++) {
        names[i] = texts[i].name;
        if (!strcmp(item, texts[i].name))
            return value ? parse_value(&a->row[i], item, value)
                         : sm_fail(SM_EUSAGE, "augment %s: %s=P or %s=P:LOW:HIGH is expected", item, item, item);
    }
    const char *near = sm_text_nearest(item, names, SM_AUGMENTS);
    return sm_fail(SM_EUSAGE, "augment \"%s\": there is no such row%s%s%s", item, near ? "; did you mean \"" : "",
                   near ? near : "", near ? "\"?" : "");
}

int sm_augment_parse(sm_augment *a, const char *text)
{
    char *copy = sm_strdup(text), *save = NULL;
    int err = copy ? 0 : SM_ENOMEM;
    for (char *item = copy ? strtok_r(copy, ", ", &save) : NULL; item && err == 0; item = strtok_r(NULL, ", ", &save))
        err = parse_item(a, item);
    sm_free(copy);
    return err;
}

/* ---- one sound ---- */
struct sm_augmenter {
    sm_augment table;
    int rate_hz;
    size_t most; /* samples that anybody will look at */
    sm_floats spare;
    train_scratch scratch;
    /* of the sound in hand */
    train_random random;
    sm_floats *out;
};

static const double most_s = 1.65; /* pictures are shorter */

int sm_augmenter_new(const sm_augment *a, int rate_hz, sm_augmenter **out)
{
    *out = sm_alloc_zero(1, sizeof **out);
    if (!*out)
        return SM_ENOMEM;
    (*out)->table = *a;
    (*out)->rate_hz = rate_hz;
    (*out)->most = (size_t)(most_s * rate_hz);
    return 0;
}

void sm_augmenter_free(sm_augmenter *m)
{
    if (!m)
        return;
    sm_floats_free(&m->spare);
    train_scratch_free(&m->scratch);
    sm_free(m);
}

/* Draws always, so that switching one row off leaves the others' numbers as they were. */
static bool draw(sm_augmenter *m, sm_augment_kind kind, bool logarithmic, double *value)
{
    const sm_augment_row *row = &m->table.row[kind];
    train_random r = m->random;
    r.key += 0x9FB21C651E98DF25u * ((uint64_t)kind + 1);
    r.at = 0;
    const bool happens = train_chance(&r, row->p);
    *value = logarithmic && row->low > 0 ? train_between_log(&r, row->low, row->high)
                                         : train_between(&r, row->low, row->high);
    return happens && m->out->length > 0;
}

/* The random numbers of one effect's own. */
static train_random own(const sm_augmenter *m, sm_augment_kind kind)
{
    train_random r = m->random;
    r.key += 0x9FB21C651E98DF25u * ((uint64_t)kind + 1) + 0x5851F42D4C957F2Du;
    return r;
}

/* out becomes what `spare` holds. */
static void take_spare(sm_augmenter *m)
{
    const sm_floats t = *m->out;
    *m->out = m->spare;
    m->spare = t;
    m->spare.length = 0;
}

static int change_time(sm_augmenter *m)
{
    double v;
    int err = 0;
    if (draw(m, SM_AUGMENT_start, false, &v) && m->out->length > m->most) {
        const size_t skip = (size_t)(v * (double)(m->out->length - m->most));
        const size_t in = SM_MIN(m->out->length - skip, (size_t)(0.003 * m->rate_hz));
        sm_floats_drop(m->out, skip);
        for (size_t i = 0; i < in; i++) /* no click */
            m->out->data[i] *= (float)i / (float)in;
    }
    if (draw(m, SM_AUGMENT_pitch, false, &v)) {
        err = train_resample(m->out->data, m->out->length, pow(2, v / 12), 1, &m->spare);
        take_spare(m);
    }
    m->out->length = SM_MIN(m->out->length, m->most);
    if (err == 0 && draw(m, SM_AUGMENT_stretch, false, &v)) {
        err = train_stretch(m->out->data, m->out->length, m->rate_hz, v, &m->spare);
        take_spare(m);
    }
    if (err == 0 && draw(m, SM_AUGMENT_crop, true, &v) && v * m->rate_hz < (double)m->out->length) {
        m->out->length = (size_t)SM_MAX(v * m->rate_hz, 1);
        train_random r = own(m, SM_AUGMENT_crop);
        train_fade_end(m->out->data, m->out->length, (size_t)(train_between(&r, 0.005, 0.08) * m->rate_hz));
    }
    if (err == 0 && draw(m, SM_AUGMENT_fade, true, &v)) {
        const double decay = exp(-1 / (v * m->rate_hz));
        double level = 1;
        for (size_t i = 0; i < m->out->length; i++, level *= decay)
            m->out->data[i] *= (float)level;
    }
    return err;
}

static int change_sound(sm_augmenter *m)
{
    const int rate = m->rate_hz;
    float *x = m->out->data;
    size_t n = m->out->length;
    double v;
    int err = 0;
    if (draw(m, SM_AUGMENT_saturate, false, &v))
        train_saturate(x, n, v);
    if (draw(m, SM_AUGMENT_reverb, true, &v)) {
        train_random r = own(m, SM_AUGMENT_reverb);
        err = train_reverb(&m->scratch, m->out, rate, v, train_between_log(&r, 0.1, 1), m->most, &r);
        x = m->out->data;
        n = m->out->length;
    }
    if (draw(m, SM_AUGMENT_shelf, false, &v)) {
        train_random r = own(m, SM_AUGMENT_shelf);
        if (train_chance(&r, 0.5))
            train_filter(x, n, rate, TRAIN_LOWSHELF, train_between_log(&r, 80, 600), 0.7, v);
        else
            train_filter(x, n, rate, TRAIN_HIGHSHELF, train_between_log(&r, 1500, 8000), 0.7, v);
    }
    if (draw(m, SM_AUGMENT_eq, false, &v)) {
        train_random r = own(m, SM_AUGMENT_eq);
        const sm_augment_row *row = &m->table.row[SM_AUGMENT_eq];
        for (size_t i = 0, peaks = 1 + train_below(&r, 3); i < peaks; i++) {
            const double hz = train_between_log(&r, 80, 11000), q = train_between_log(&r, 0.4, 2.5);
            train_filter(x, n, rate, TRAIN_PEAK, hz, q, train_between(&r, row->low, row->high));
        }
    }
    if (draw(m, SM_AUGMENT_lowpass, true, &v)) {
        train_random r = own(m, SM_AUGMENT_lowpass);
        for (size_t i = 0, times = 1 + train_below(&r, 4); i < times; i++)
            train_filter(x, n, rate, TRAIN_LOWPASS, v, 0.7, 0);
    }
    if (draw(m, SM_AUGMENT_highpass, true, &v))
        train_filter(x, n, rate, TRAIN_HIGHPASS, v, 0.7, 0);
    return err;
}

/* Narrow recordings and lossy files. */
static int change_carrier(sm_augmenter *m)
{
    double v;
    int err = 0;
    if (draw(m, SM_AUGMENT_bandwidth, true, &v) && v < m->rate_hz) {
        train_random r = own(m, SM_AUGMENT_bandwidth);
        const double step = m->rate_hz / v, open = train_chance(&r, 0.2) ? 1 : 0.95 / step; /* open: aliases */
        sm_floats low = { 0 };
        err = train_resample(m->out->data, m->out->length, step, open, &low);
        if (err == 0)
            err = train_resample(low.data, low.length, 1 / step, 0.95, &m->spare);
        sm_floats_free(&low);
        take_spare(m);
    }
    if (draw(m, SM_AUGMENT_crush, false, &v)) {
        const float peak = train_peak(m->out->data, m->out->length), steps = exp2f((float)floor(v) - 1);
        for (size_t i = 0; i < m->out->length && peak > 0; i++)
            m->out->data[i] = peak * roundf(m->out->data[i] / peak * steps) / steps;
    }
    if (err == 0 && draw(m, SM_AUGMENT_codec, true, &v))
        err = train_codec(&m->scratch, m->out, m->rate_hz, v);
    return err;
}

static int add_around(sm_augmenter *m, const sm_sound *other)
{
    const float peak = train_peak(m->out->data, m->out->length);
    double v;
    int err = 0;
    if (draw(m, SM_AUGMENT_noise, false, &v)) {
        train_random r = own(m, SM_AUGMENT_noise);
        if (train_chance(&r, 0.5) && m->out->length < m->most) /* the noise goes on after the sound */
            err = sm_floats_add(m->out, NULL, m->most - m->out->length);
        if (err == 0)
            train_add_noise(m->out->data, m->out->length, (double)peak * pow(10, v / 20), train_chance(&r, 0.5), &r);
    }
    if (err == 0 && draw(m, SM_AUGMENT_other, false, &v) && other && other->samples) {
        const float level = peak * (float)pow(10, v / 20) / 32768; /* int16 is used to the full */
        for (size_t i = 0; i < SM_MIN(m->out->length, other->length); i++)
            m->out->data[i] += level * other->samples[i];
    }
    if (err == 0 && draw(m, SM_AUGMENT_shift, false, &v)) {
        err = sm_floats_add(&m->spare, NULL, (size_t)(v * m->rate_hz));
        if (err == 0)
            err = sm_floats_add(&m->spare, m->out->data, m->out->length);
        take_spare(m);
    }
    return err;
}

int sm_augment_sound(sm_augmenter *m, uint64_t seed, uint64_t epoch, uint64_t item, const float *x, size_t n,
                     const sm_sound *other, sm_floats *out)
{
    double v, gain = 1;
    int err;
    out->length = 0;
    m->spare.length = 0;
    if ((err = sm_floats_add(out, x, n)) < 0)
        return err;
    m->random = train_random_of("augment", seed, epoch, item);
    m->out = out;
    if ((err = change_time(m)) < 0 || (err = change_sound(m)) < 0 || (err = change_carrier(m)) < 0 ||
        (err = add_around(m, other)) < 0)
        return err;
    if (draw(m, SM_AUGMENT_reverse_polarity, false, &v))
        gain = -1;
    if (draw(m, SM_AUGMENT_gain, false, &v))
        gain *= pow(10, v / 20);
    for (size_t i = 0; i < out->length; i++)
        out->data[i] *= (float)gain;
    return 0;
}

/* ---- the picture: SpecAugment (Park et al. 2019) ---- */
static void mask(float *picture, size_t rows, size_t bands, float silence, bool time, const sm_augment_row *row,
                 train_random *r)
{
    const size_t n = time ? rows : bands, times = 1 + train_below(r, 2);
    for (size_t t = 0; t < times; t++) {
        const size_t width = SM_MIN((size_t)train_between(r, row->low, row->high + 1), n);
        const size_t from = train_below(r, n - width + 1);
        for (size_t i = 0; i < rows * bands; i++) {
            const size_t at = time ? i / bands : i % bands;
            if (at >= from && at < from + width)
                picture[i] = silence;
        }
    }
}

void sm_augment_picture(const sm_augment *a, uint64_t seed, uint64_t epoch, uint64_t item, float *picture, size_t rows,
                        size_t bands, float silence)
{
    train_random r = train_random_of("mask", seed, epoch, item);
    if (train_chance(&r, a->row[SM_AUGMENT_mask_time].p))
        mask(picture, rows, bands, silence, true, &a->row[SM_AUGMENT_mask_time], &r);
    r = train_random_of("mask mel", seed, epoch, item);
    if (train_chance(&r, a->row[SM_AUGMENT_mask_mel].p))
        mask(picture, rows, bands, silence, false, &a->row[SM_AUGMENT_mask_mel], &r);
}
