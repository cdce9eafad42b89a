/* Correlation of onset strength by groups of bands. What tells a beat from its half or double is which drum answers which: so the groups
 * are kept apart, and low and high are correlated with each other too (a back beat is low-to-mid correlation one beat away, and none at
 * zero and two). */
#include <string.h>

#include "dsp/tempogram.h"

static const int group_start[TEMPO_GROUPS + 1] = { 0, 2, 4, 6, RHYTHM_BANDS };
static const int pairs[TEMPO_PAIRS][2] = { { 0, 1 }, { 0, 3 }, { 1, 3 } };

void tempogram_free(tempogram *t)
{
    if (!t)
        return;
    sm_free(t->onset);
    sm_free(t->self);
    sm_free(t->cross);
    sm_free(t);
}

static double mean_of(const float *x, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += x[i];
    return n ? sum / (double)n : 0;
}

/* x minus its moving mean over +-reach frames; `sums` has n + 1 places. */
static void detrend(float *x, size_t n, size_t reach, double *sums)
{
    sums[0] = 0;
    for (size_t i = 0; i < n; i++)
        sums[i + 1] = sums[i] + x[i];
    for (size_t i = 0; i < n; i++) {
        const size_t a = i > reach ? i - reach : 0, b = SM_MIN(n, i + reach + 1);
        x[i] -= (float)((sums[b] - sums[a]) / (double)(b - a));
    }
}

/* [1 2 1] / 4: beats of players are never exactly on the grid. */
static void smooth(float *x, size_t n)
{
    float before = n ? x[0] : 0;
    for (size_t i = 0; i + 1 < n; i++) {
        const float now = x[i];
        x[i] = 0.25f * before + 0.5f * now + 0.25f * x[i + 1];
        before = now;
    }
}

/* Sum of columns a .. b-1. */
static double gather(const float *flux, size_t n, int a, int b, float *x)
{
    for (size_t i = 0; i < n; i++) {
        float sum = 0;
        for (int k = a; k < b; k++)
            sum += flux[i * RHYTHM_COLUMNS + k];
        x[i] = sum;
    }
    return mean_of(x, n);
}

/* Onset strength: logarithm against the series' own mean, so that a quiet hat counts like a loud kick, without the trend over a second. */
static void make_onset(float *x, size_t n, double mean, double *sums)
{
    const float scale = (float)(1 / SM_MAX(mean, 1e-30));
    for (size_t i = 0; i < n; i++)
        x[i] = logf(1 + x[i] * scale);
    detrend(x, n, 43, sums);
    smooth(x, n);
}

/* A group that has next to nothing stays next to nothing: 2 % of all is the least that it is measured by. */
static void make_onsets(tempogram *t, const float *flux, double *sums)
{
    const size_t n = t->frames;
    double mean[TEMPO_GROUPS], total = 0;
    for (int g = 0; g < TEMPO_GROUPS; g++)
        total += mean[g] = gather(flux, n, group_start[g], group_start[g + 1], t->onset + g * n);
    float *all = t->onset + TEMPO_ALL * n, *harmony = t->onset + TEMPO_HARMONY * n;
    if (!(total > 0))
        return;
    for (int g = 0; g < TEMPO_GROUPS; g++) {
        make_onset(t->onset + g * n, n, SM_MAX(mean[g], 0.02 * total), sums);
        for (size_t i = 0; i < n; i++)
            all[i] += 0.25f * t->onset[g * n + i];
    }
    make_onset(harmony, n, SM_MAX(gather(flux, n, RHYTHM_HARMONY, RHYTHM_COLUMNS, harmony), 0.02 * total), sums);
}

/* out[l] += scale * sum of a[i] b[i + l] / number of terms */
static void correlate(const float *a, const float *b, size_t n, size_t lags, float scale, float *out)
{
    for (size_t l = 0; l < lags; l++) {
        float sum = 0;
        size_t i = 0;
        float part[8] = { 0 };
        for (; i + 8 <= n - l; i += 8)
            for (int k = 0; k < 8; k++)
                part[k] += a[i + k] * b[i + l + k];
        for (; i < n - l; i++)
            sum += a[i] * b[i + l];
        for (int k = 0; k < 8; k++)
            sum += part[k];
        out[l] += scale * sum / (float)(n - l);
    }
}

static void make_correlations(tempogram *t)
{
    const size_t n = t->frames;
    float power[TEMPO_SERIES] = { 0 }, most = 0;
    for (int g = 0; g < TEMPO_SERIES; g++) {
        correlate(t->onset + g * n, t->onset + g * n, n, 1, 1, &power[g]);
        most = SM_MAX(most, power[g]);
    }
    for (int g = 0; g < TEMPO_SERIES; g++) {
        power[g] = SM_MAX(power[g], 1e-3f * most);
        if (power[g] > 0)
            correlate(t->onset + g * n, t->onset + g * n, n, t->lags, 1 / power[g], t->self + g * TEMPO_LAGS);
    }
    for (int p = 0; p < TEMPO_PAIRS; p++) {
        const int a = pairs[p][0], b = pairs[p][1];
        const float scale = power[a] > 0 && power[b] > 0 ? 0.5f / sqrtf(power[a] * power[b]) : 0;
        correlate(t->onset + a * n, t->onset + b * n, n, t->lags, scale, t->cross + p * TEMPO_LAGS);
        correlate(t->onset + b * n, t->onset + a * n, n, t->lags, scale, t->cross + p * TEMPO_LAGS);
    }
}

static void count_peaks(tempogram *t)
{
    const size_t n = t->frames;
    for (int g = 0; g < TEMPO_SERIES; g++) {
        const float *x = t->onset + g * n;
        double square = 0;
        for (size_t i = 0; i < n; i++)
            square += x[i] * x[i];
        const float level = n ? 0.8f * (float)sqrt(square / (double)n) : 0;
        size_t count = 0;
        for (size_t i = 1; i + 1 < n; i++)
            count += x[i] > level && x[i] >= x[i - 1] && x[i] > x[i + 1];
        t->peaks_per_frame[g] = n ? (float)count / (float)n : 0;
        if (g == TEMPO_ALL)
            t->onsets = count;
    }
}

int tempogram_new(const rhythm_view *see, tempogram **out)
{
    *out = NULL;
    int err = SM_ENOMEM;
    double *sums = NULL;
    tempogram *t = sm_alloc_zero(1, sizeof *t);
    if (!t)
        return SM_ENOMEM;
    t->frames = see->frames;
    t->lags = SM_MIN((size_t)TEMPO_LAGS, see->frames * 17 / 20);
    t->duration_s = see->duration_s;
    t->loop_s = see->duration_s <= RHYTHM_LOOP_S ? see->duration_s - see->start_s : NAN;
    t->onset = sm_alloc_zero(SM_MAX(t->frames, 1), TEMPO_SERIES * sizeof(float));
    t->self = sm_alloc_zero(TEMPO_SERIES * TEMPO_LAGS, sizeof(float));
    t->cross = sm_alloc_zero(TEMPO_PAIRS * TEMPO_LAGS, sizeof(float));
    sums = sm_alloc(t->frames + 1, sizeof *sums);
    if (!t->onset || !t->self || !t->cross || !sums)
        goto out;
    make_onsets(t, see->flux, sums);
    make_correlations(t);
    count_peaks(t);
    err = 0;
out:
    sm_free(sums);
    if (err < 0)
        tempogram_free(t);
    else
        *out = t;
    return err;
}

/* Straight line between frames, the best of the lag and its neighbours within half a frame and 0.3 %. */
static float at_lag(const float *r, size_t lags, double lag)
{
    const double reach = 0.5 + 0.003 * lag;
    float best = -1;
    for (int k = -1; k <= 1; k++) {
        const double x = lag + k * reach;
        if (x < 0 || x + 1 >= (double)lags)
            return 0;
        const size_t i = (size_t)x;
        const float f = (float)(x - (double)i), v = r[i] + f * (r[i + 1] - r[i]);
        best = SM_MAX(best, v);
    }
    return best;
}

float tempogram_at(const tempogram *t, int group, double lag)
{
    return at_lag(t->self + (size_t)group * TEMPO_LAGS, t->lags, lag);
}

float tempogram_cross(const tempogram *t, int pair, double lag)
{
    return at_lag(t->cross + (size_t)pair * TEMPO_LAGS, t->lags, lag);
}
