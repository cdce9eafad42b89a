/* Key: what the pitch classes of the whole, the beginning and the end, the bass, the chords and their moves say, weighed by a small network
 * that sees each of the 24 keys from its own tonic. */
#include <string.h>

#include "dsp/chroma.h"
#include "dsp/judge.h"
#include "dsp/key.h"

struct dsp_key_state {
    chroma *chroma;
};

int dsp_key_new(const dsp_options *o, dsp_key_state **out)
{
    (void)o;
    *out = NULL;
    dsp_key_state *k = sm_alloc_zero(1, sizeof *k);
    if (!k)
        return SM_ENOMEM;
    const int err = chroma_new(&k->chroma);
    if (err < 0) {
        sm_free(k);
        return err;
    }
    *out = k;
    return 0;
}

void dsp_key_free(dsp_key_state *k)
{
    if (!k)
        return;
    chroma_free(k->chroma);
    sm_free(k);
}

int dsp_key_push(dsp_key_state *k, const float *mono, size_t n)
{
    return chroma_push(k->chroma, mono, n);
}

/* a + b (b may be NULL), scaled to a mean of `mean`. */
static void put_share(const float *a, const float *b, float mean, float out[12])
{
    float sum = 1e-9f;
    for (int i = 0; i < 12; i++)
        sum += out[i] = a[i] + (b ? b[i] : 0);
    for (int i = 0; i < 12; i++)
        out[i] *= 12 * mean / sum;
}

/* Both modes' triads share one sum. */
static void put_chords(const float chords[CHROMA_CHORDS], float mean, float out[2][12])
{
    float sum = 1e-9f;
    for (int i = 0; i < CHROMA_CHORDS; i++)
        sum += chords[i];
    for (int i = 0; i < CHROMA_CHORDS; i++)
        out[i / 12][i % 12] = 24 * mean / 2 * chords[i] / sum;
}

void key_features(const chroma_view *v, float out[KEY_ROWS][12])
{
    for (int r = 0; r < CHROMA_REGISTERS; r++)
        put_share(v->all[r], NULL, 1, out[r]);
    put_share(v->first[0], NULL, 1, out[3]);
    put_share(v->first[1], v->first[2], 1, out[4]);
    put_share(v->last[0], NULL, 1, out[5]);
    put_share(v->last[1], v->last[2], 1, out[6]);
    put_chords(v->chords, 0.7f, &out[7]);
    put_chords(v->first_chord, 0.5f, &out[9]);
    put_chords(v->last_chord, 0.5f, &out[11]);
    for (int m = 0; m < CHROMA_MOVES; m++)
        for (int i = 0; i < 12; i++)
            out[13 + m][i] = 0.7f * sqrtf(v->moves[m][i]);
}

/* Logistic regression on 2,100 pitched loops, 500 pitched notes and chords, 300 drum loops, 300 drum sounds and noises; then less for sounds
 * of few pitch classes: one note has no key. */
double key_tonality(const chroma_view *v)
{
    double sum = 1e-9, entropy = 0, x[12];
    for (int i = 0; i < 12; i++)
        sum += x[i] = v->all[0][i] + v->all[1][i] + v->all[2][i];
    for (int i = 0; i < 12; i++)
        entropy -= x[i] / sum * log2(x[i] / sum + 1e-12) / log2(12);
    const double z = 5.5 * v->tuning_sure + 7.8 * v->tonal + 15.2 * v->tuning_sure * v->tonal - 5.4;
    return 1 / (1 + exp(-z)) * SM_CLAMP((entropy - 0.3) / 0.35, 0.05, 1.0);
}

/* Scores of the 12 major, then the 12 minor keys. */
static void score_keys(const chroma_view *v, float scores[24])
{
    float rows[KEY_ROWS][12], turned[KEY_ROWS][12], two[2];
    key_features(v, rows);
    for (int tonic = 0; tonic < 12; tonic++) {
        for (int r = 0; r < KEY_ROWS; r++)
            for (int i = 0; i < 12; i++)
                turned[r][i] = rows[r][(i + tonic) % 12];
        judge_run(&judge_key, &turned[0][0], two);
        scores[tonic] = two[0];
        scores[12 + tonic] = two[1];
    }
}

/* Correlation of the pitch classes with the key's profile: Krumhansl and Kessler's probe tone ratings (1982). */
static double strength_of(const chroma_view *v, int tonic, bool minor)
{
    static const double profile[2][12] = {
        { 6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88 },
        { 6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17 },
    };
    double x[12], mx = 0, my = 0, xy = 0, xx = 0, yy = 0;
    for (int i = 0; i < 12; i++) {
        const int pc = (i + tonic) % 12;
        x[i] = v->all[0][pc] + v->all[1][pc] + v->all[2][pc];
        mx += x[i] / 12;
        my += profile[minor][i] / 12;
    }
    for (int i = 0; i < 12; i++) {
        xy += (x[i] - mx) * (profile[minor][i] - my);
        xx += (x[i] - mx) * (x[i] - mx);
        yy += (profile[minor][i] - my) * (profile[minor][i] - my);
    }
    return xx > 0 ? SM_CLAMP(xy / sqrt(xx * yy), 0.0, 1.0) : 0;
}

int dsp_key_finish(dsp_key_state *k, dsp_key *out)
{
    chroma_view v;
    float scores[24];
    *out = (dsp_key){ .tonic = -1, .tuning_hz = NAN, .second_tonic = -1 };
    const int err = chroma_finish(k->chroma, &v);
    if (err < 0 || !(v.sounding_s > 0))
        return err;
    score_keys(&v, scores);
    judge_softmax(scores, 24);
    int best = 0, second = -1;
    for (int i = 1; i < 24; i++)
        best = scores[i] > scores[best] ? i : best;
    for (int i = 0; i < 24; i++)
        if (i != best && (second < 0 || scores[i] > scores[second]))
            second = i;
    const double sure = key_tonality(&v);
    *out = (dsp_key){ .tonic = sure < 0.15 && v.tonal < 0.5 ? -1 : best % 12,
                      .minor = best >= 12,
                      .confidence = scores[best] * sure,
                      .strength = strength_of(&v, best % 12, best >= 12),
                      .tuning_hz = v.tuning_sure > 0.2 ? v.tuning_hz : NAN,
                      .second_tonic = second % 12,
                      .second_minor = second >= 12 };
    return 0;
}
