/* The two Viterbi searches over CREPE's 360 bins. Both move along T[i][j] = max(12 - |i - j|, 0), rows normalised.
 *
 * crepe's (an HMM over the argmax alone): impossible moves are impossible; on exact ties, which are common because emissions take two
 * values, the larger predecessor wins; the last state is the first maximum. torchcrepe's (librosa's over softmax(activation)): impossible
 * moves cost log(tiny), the first maximum wins everywhere. All sums in double, in the originals' order, without renormalising: the
 * ties depend on it. */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "models/crepe.h"

enum { BAND = 11, CHECK_EVERY = 64 };

struct crepe_viterbi {
    crepe_viterbi_kind kind;
    int low, high;
    double log_move[CREPE_BINS][2 * BAND + 1]; /* [to][from - to + BAND]: log T[from][to] */
    double score[CREPE_BINS], next[CREPE_BINS];
    uint16_t *back; /* [frame - decided][to]: the best predecessor; row 0 is unused while decided is 0 */
    size_t cap, frames, decided;
};

int crepe_viterbi_new(crepe_viterbi_kind kind, int low, int high, crepe_viterbi **out)
{
    crepe_viterbi *v = sm_alloc_zero(1, sizeof *v);
    *out = NULL;
    if (!v)
        return SM_ENOMEM;
    v->kind = kind;
    v->low = low;
    v->high = high;
    for (int from = 0; from < CREPE_BINS; from++) {
        double sum = 0;
        for (int to = 0; to < CREPE_BINS; to++)
            sum += SM_MAX(12 - abs(from - to), 0);
        for (int to = SM_MAX(from - BAND, 0); to <= SM_MIN(from + BAND, CREPE_BINS - 1); to++)
            v->log_move[to][from - to + BAND] =
                log((12 - abs(from - to)) / sum + (kind == CREPE_VITERBI_SOFTMAX ? FLT_MIN : 0));
    }
    *out = v;
    return 0;
}

void crepe_viterbi_free(crepe_viterbi *v)
{
    if (v)
        sm_free(v->back);
    sm_free(v);
}

void crepe_open_bins(double f_min, double f_max, int *low, int *high)
{
    const float a = (1200.0f * log2f((float)f_min / 10) - 1997.3794084376191f) / 20;
    const float b = (1200.0f * log2f((float)f_max / 10) - 1997.3794084376191f) / 20;
    *low = (int)SM_CLAMP(floorf(a), 0, CREPE_BINS - 1);
    *high = (int)SM_CLAMP(ceilf(b), *low + 1, CREPE_BINS);
}

static int open_argmax(const float *x, int low, int high)
{
    int best = low;
    for (int i = low + 1; i < high; i++)
        if (x[i] > x[best])
            best = i;
    return best;
}

/* log P(frame | bin) of every bin */
static void emissions(const crepe_viterbi *v, const float *activation, double out[CREPE_BINS])
{
    if (v->kind == CREPE_VITERBI_ARGMAX) {
        const double other = log(0.9 / CREPE_BINS), own = log(0.1 + 0.9 / CREPE_BINS);
        for (int i = 0; i < CREPE_BINS; i++)
            out[i] = other;
        out[open_argmax(activation, v->low, v->high)] = own;
        return;
    }
    double sum = 0, p[CREPE_BINS] = { 0 };
    const double top = activation[open_argmax(activation, v->low, v->high)];
    for (int i = v->low; i < v->high; i++)
        sum += p[i] = exp(activation[i] - top);
    for (int i = 0; i < CREPE_BINS; i++)
        out[i] = (float)log((double)((float)(p[i] / sum) + FLT_MIN));
}

/* The best predecessor of `to` and its sum. */
static int best_from(const crepe_viterbi *v, int to, int top, double *sum)
{
    const int first = SM_MAX(to - BAND, 0), last = SM_MIN(to + BAND, CREPE_BINS - 1);
    const bool larger_wins = v->kind == CREPE_VITERBI_ARGMAX;
    int best = first;
    *sum = v->score[first] + v->log_move[to][first - to + BAND];
    for (int from = first + 1; from <= last; from++) {
        const double s = v->score[from] + v->log_move[to][from - to + BAND];
        if (s > *sum || (larger_wins && s == *sum)) {
            *sum = s;
            best = from;
        }
    }
    /* torchcrepe: from anywhere at the price of log(tiny); only the best of all can win */
    if (!larger_wins && (top < first || top > last)) {
        const double s = v->score[top] + log((double)FLT_MIN);
        if (s > *sum || (s == *sum && top < best)) {
            *sum = s;
            best = top;
        }
    }
    return best;
}

/* Reports frames decided .. frame - 1, whose bins follow from `bin` at `frame`, and then forgets them. */
static int report(crepe_viterbi *v, size_t frame, int bin, bool with_frame, crepe_take take, void *user)
{
    const size_t n = frame - v->decided + (with_frame ? 1 : 0);
    uint16_t *path = n ? sm_alloc(n, sizeof *path) : NULL;
    int err = 0;
    if (n == 0)
        return 0;
    if (!path)
        return SM_ENOMEM;
    for (size_t f = frame;; f--) {
        if (f - v->decided < n)
            path[f - v->decided] = (uint16_t)bin;
        if (f == v->decided)
            break;
        bin = v->back[(f - v->decided) * CREPE_BINS + (size_t)bin];
    }
    for (size_t i = 0; i < n && err == 0; i++)
        err = take(user, v->decided + i, path[i]);
    sm_free(path);
    if (err == 0 && !with_frame) {
        memmove(v->back, v->back + n * CREPE_BINS, (v->frames - frame) * CREPE_BINS * sizeof *v->back);
        v->decided = frame;
    }
    return err;
}

/* Follows the paths of all bins back to where they have become one. */
static int decide(crepe_viterbi *v, crepe_take take, void *user)
{
    bool alive[CREPE_BINS], before[CREPE_BINS];
    memset(alive, 1, sizeof alive);
    for (size_t f = v->frames - 1; f > v->decided; f--) {
        int n = 0, only = 0;
        memset(before, 0, sizeof before);
        for (int i = 0; i < CREPE_BINS; i++)
            if (alive[i])
                before[v->back[(f - v->decided) * CREPE_BINS + (size_t)i]] = true;
        for (int i = 0; i < CREPE_BINS; i++)
            if ((alive[i] = before[i])) {
                n++;
                only = i;
            }
        if (n == 1)
            return report(v, f - 1, only, false, take, user);
    }
    return 0;
}

int crepe_viterbi_push(crepe_viterbi *v, const float *activation, crepe_take take, void *user)
{
    const size_t row = v->frames - v->decided;
    double e[CREPE_BINS];
    emissions(v, activation, e);
    if (sm_grow(&v->back, &v->cap, (row + 1) * CREPE_BINS, sizeof *v->back) < 0)
        return SM_ENOMEM;
    if (v->frames == 0) {
        const double start = log(1.0 / CREPE_BINS + (v->kind == CREPE_VITERBI_SOFTMAX ? FLT_MIN : 0));
        for (int i = 0; i < CREPE_BINS; i++)
            v->score[i] = start + e[i];
    } else {
        int top = 0;
        for (int i = 1; i < CREPE_BINS; i++)
            if (v->score[i] > v->score[top])
                top = i;
        for (int to = 0; to < CREPE_BINS; to++) {
            double sum;
            v->back[row * CREPE_BINS + (size_t)to] = (uint16_t)best_from(v, to, top, &sum);
            v->next[to] = sum + e[to];
        }
        memcpy(v->score, v->next, sizeof v->score);
    }
    v->frames++;
    return v->frames % CHECK_EVERY == 0 ? decide(v, take, user) : 0;
}

int crepe_viterbi_finish(crepe_viterbi *v, crepe_take take, void *user)
{
    int last = 0;
    if (v->frames == 0)
        return 0;
    for (int i = 1; i < CREPE_BINS; i++)
        if (v->score[i] > v->score[last])
            last = i;
    return report(v, v->frames - 1, last, true, take, user);
}
