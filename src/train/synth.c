/* The table of recipes, and what every sound goes through in the end. */
#include <string.h>

#include "train/synth_parts.h"

static const sm_synth_recipe recipes[] = {
#define SYNTH(function, name, label, method, says) { name, label, method, says },
#include "train/synth.def"
#undef SYNTH
};

static void (*const makers[])(synth_sound *s) = {
#define SYNTH(function, name, label, method, says) synth_##function,
#include "train/synth.def"
#undef SYNTH
};

const sm_synth_recipe *sm_synth_recipes(size_t *n)
{
    *n = SM_LENGTH(recipes);
    return recipes;
}

/* Sub-audio drift of filters and drives is no part of a sound: a gentle high-pass at 16 Hz. */
static void block_dc(synth_sound *s)
{
    const double keep = exp(-SYNTH_TAU * 16 * s->dt);
    double before = 0, out = 0;
    for (size_t k = 0; k < s->n; k++) {
        out = keep * (out + (double)s->x[k] - before);
        before = (double)s->x[k];
        s->x[k] = (float)out;
    }
}

int sm_synth_make(size_t recipe, uint64_t seed, int rate_hz, sm_floats *out, sm_synth_facts *facts)
{
    if (recipe >= SM_LENGTH(recipes))
        return sm_fail(SM_EUSAGE, "there is no recipe %zu; there are %zu", recipe, SM_LENGTH(recipes));
    if (rate_hz < 8000 || rate_hz > 192000)
        return sm_fail(SM_EUSAGE, "%d Hz; a sound is made at 8,000 to 192,000 Hz", rate_hz);
    synth_random r = { .stream = sm_unit_hash(recipes[recipe].name, seed) };
    synth_sound s = { .r = &r, .rate = rate_hz, .dt = 1.0 / rate_hz };
    makers[recipe](&s);
    if (!s.failed) {
        block_dc(&s);
        s.n = sm_sound_trim(s.x, s.n, rate_hz, sm_label_most_s(recipes[recipe].label));
    }
    const int err = s.failed ? SM_ENOMEM : sm_floats_add(out, s.x, s.n);
    if (facts)
        *facts = s.facts;
    sm_free(s.x);
    return err;
}

double sm_label_most_s(const char *label)
{
    static const struct {
        const char *label;
        double s;
    } rows[] = { { "bass", 1.6 },  { "brass", 1.6 },       { "foley", 2.0 },      { "fx", 2.2 },      { "guitar", 1.6 },
                 { "keys", 1.6 },  { "mallet-bell", 1.6 }, { "organ", 1.6 },      { "pad", 2.0 },     { "pluck", 1.6 },
                 { "vocal", 1.8 }, { "strings", 1.6 },     { "synth-lead", 1.6 }, { "woodwind", 1.6 } };
    for (size_t i = 0; i < SM_LENGTH(rows); i++)
        if (!strcmp(label, rows[i].label))
            return rows[i].s;
    return 2.5; /* drums and cymbals */
}

size_t sm_sound_trim(float *x, size_t n, int rate_hz, double most_s)
{
    float peak = 0;
    for (size_t k = 0; k < n; k++)
        peak = fmaxf(peak, fabsf(x[k]));
    if (!(peak > 0) || !isfinite(peak))
        return 0;
    size_t begin = 0, end = n;
    while (begin < n && fabsf(x[begin]) < peak * 0.005f) /* -46 dB */
        begin++;
    while (end > begin + 1 && fabsf(x[end - 1]) < peak * 0.0008f) /* -62 dB */
        end--;
    const size_t most = (size_t)(most_s * rate_hz), length = SM_MIN(end - begin, most),
                 fade = SM_MIN((size_t)(0.05 * rate_hz), length);
    memmove(x, x + begin, length * sizeof *x);
    for (size_t k = 0; k < length; k++)
        x[k] *= 0.89f / peak;
    for (size_t k = 0; end - begin > most && k < fade; k++)
        x[length - 1 - k] *= (float)k / (float)fade;
    return length;
}
