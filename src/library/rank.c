/* Samples of each group, sorted; a rank is a search in one of them. */
#include <math.h>
#include <string.h>

#include "library/rank.h"

typedef struct {
    float *values;   /* sorted */
    float *ranks;    /* of a value equal to values[i], where it is the first of its equals */
    uint16_t *start; /* [BUCKETS + 1]: of equal widths from the smallest to the largest value, where each begins */
    float least, scale;
    size_t n, known;
    size_t seen, next; /* while drawing: known values so far, and the one that is taken next */
} sample;

enum { BUCKETS = 1024 };

struct rank_field {
    const float *values;
    sample of_class[RANK_GROUPS], of_kind[RANK_GROUPS], of_all;
};

/* ---- groups ---- */

static int group_codes(const float *codes, size_t n, uint8_t **out)
{
    float seen[RANK_GROUPS] = { 0 };
    size_t n_seen = 0, last = 0;
    *out = sm_alloc_zero(n + 1, 1);
    if (!*out)
        return SM_ENOMEM;
    for (size_t i = 0; codes && i < n; i++) {
        if (isnan(codes[i]))
            continue;
        if (n_seen == 0 || seen[last] != codes[i]) {
            for (last = 0; last < n_seen && seen[last] != codes[i];)
                last++;
            if (last == RANK_GROUPS - 1) {
                last = 0;
                continue;
            }
            if (last == n_seen)
                seen[n_seen++] = codes[i];
        }
        (*out)[i] = (uint8_t)(last + 1);
    }
    return 0;
}

int rank_groups_make(const float *classes, const float *kinds, const uint64_t *alive, size_t n, rank_groups *out)
{
    *out = (rank_groups){ .n = n, .alive = alive };
    int err = group_codes(classes, n, &out->by_class);
    if (err == 0)
        err = group_codes(kinds, n, &out->by_kind);
    if (err < 0)
        rank_groups_free(out);
    return err;
}

void rank_groups_free(rank_groups *g)
{
    sm_free(g->by_class);
    sm_free(g->by_kind);
    *g = (rank_groups){ 0 };
}

/* ---- samples ---- */

/* By their bits, which have the order of the numbers once the negative ones are turned round; three passes of 11 bits. */
static void sort_floats(float *values, uint32_t *scratch, size_t n)
{
    uint32_t *from = scratch, *to = scratch + RANK_SAMPLE;
    uint32_t count[3][2048] = { { 0 } };
    for (size_t i = 0; i < n; i++) {
        memcpy(&from[i], &values[i], sizeof *from);
        from[i] = from[i] & 0x80000000u ? ~from[i] : from[i] | 0x80000000u;
        for (int pass = 0; pass < 3; pass++)
            count[pass][from[i] >> 11 * pass & 2047]++;
    }
    for (int pass = 0; pass < 3; pass++) {
        uint32_t at = 0;
        for (size_t k = 0; k < 2048; k++) {
            const uint32_t here = count[pass][k];
            count[pass][k] = at;
            at += here;
        }
        for (size_t i = 0; i < n; i++)
            to[count[pass][from[i] >> 11 * pass & 2047]++] = from[i];
        uint32_t *swap = from;
        from = to;
        to = swap;
    }
    for (size_t i = 0; i < n; i++) {
        const uint32_t bits = from[i] & 0x80000000u ? from[i] & 0x7FFFFFFFu : ~from[i];
        memcpy(&values[i], &bits, sizeof bits);
    }
}

static int make_room(sample *s)
{
    if (s->known == 0)
        return 0;
    const size_t most = SM_MIN(s->known, RANK_SAMPLE);
    s->values = sm_alloc(most, sizeof *s->values);
    s->ranks = sm_alloc(most, sizeof *s->ranks);
    s->start = sm_alloc(BUCKETS + 1, sizeof *s->start);
    return s->values && s->ranks && s->start ? 0 : SM_ENOMEM;
}

/* Every known value of a group in turn; of many, RANK_SAMPLE of them, evenly. */
static inline void draw(sample *s, float value)
{
    if (s->seen++ != s->next)
        return;
    s->values[s->n++] = value;
    s->next = s->known <= RANK_SAMPLE ? s->n : s->n * s->known / RANK_SAMPLE;
}

/* Grows with the value, so that what is smaller is never in a later bucket. */
static inline size_t bucket_of(const sample *s, float value)
{
    const float at = (value - s->least) * s->scale;
    return at > 0 ? at < BUCKETS - 1 ? (size_t)at : BUCKETS - 1 : 0;
}

static void set_buckets(sample *s)
{
    const float width = s->values[s->n - 1] - s->values[0];
    size_t at = 0;
    s->least = s->values[0];
    s->scale = width > 0 && isfinite(width) ? BUCKETS / width : 0;
    if (!isfinite(s->scale))
        s->scale = 0;
    for (size_t b = 0; b <= BUCKETS; b++) {
        while (at < s->n && b > 0 && bucket_of(s, s->values[at]) < b)
            at++;
        s->start[b] = (uint16_t)at;
    }
}

static void set_ranks(sample *s, uint32_t *scratch)
{
    if (s->n == 0)
        return;
    sort_floats(s->values, scratch, s->n);
    for (size_t i = 0, end; i < s->n; i = end) {
        for (end = i + 1; end < s->n && s->values[end] == s->values[i];)
            end++;
        for (size_t k = i; k < end; k++)
            s->ranks[k] = (float)((double)(i + end) / 2 / (double)s->n);
    }
    set_buckets(s);
}

static bool counts(const rank_groups *g, const float *values, size_t i)
{
    return g->alive[i / 64] >> i % 64 & 1 && !isnan(values[i]);
}

static int sample_all(rank_field *f, const rank_groups *g, uint32_t *scratch)
{
    int err = 0;
    for (size_t i = 0; i < g->n; i++)
        if (counts(g, f->values, i)) {
            f->of_class[g->by_class[i]].known++;
            f->of_kind[g->by_kind[i]].known++;
            f->of_all.known++;
        }
    for (size_t k = 0; k < RANK_GROUPS && err == 0; k++) {
        err = make_room(&f->of_class[k]);
        if (err == 0)
            err = make_room(&f->of_kind[k]);
    }
    if (err == 0)
        err = make_room(&f->of_all);
    for (size_t i = 0; i < g->n && err == 0; i++)
        if (counts(g, f->values, i)) {
            draw(&f->of_class[g->by_class[i]], f->values[i]);
            draw(&f->of_kind[g->by_kind[i]], f->values[i]);
            draw(&f->of_all, f->values[i]);
        }
    for (size_t k = 0; k < RANK_GROUPS && err == 0; k++) {
        set_ranks(&f->of_class[k], scratch);
        set_ranks(&f->of_kind[k], scratch);
    }
    if (err == 0)
        set_ranks(&f->of_all, scratch);
    return err;
}

int rank_field_new(const rank_groups *g, const float *values, rank_field **out)
{
    *out = NULL;
    rank_field *f = sm_alloc_zero(1, sizeof *f);
    uint32_t *scratch = sm_alloc(2 * RANK_SAMPLE, sizeof *scratch);
    int err = f && scratch ? 0 : SM_ENOMEM;
    if (err == 0) {
        f->values = values;
        err = sample_all(f, g, scratch);
    }
    sm_free(scratch);
    if (err < 0)
        rank_field_free(f);
    else
        *out = f;
    return err;
}

static void free_sample(sample *s)
{
    sm_free(s->values);
    sm_free(s->ranks);
    sm_free(s->start);
}

void rank_field_free(rank_field *f)
{
    if (!f)
        return;
    for (size_t k = 0; k < RANK_GROUPS; k++) {
        free_sample(&f->of_class[k]);
        free_sample(&f->of_kind[k]);
    }
    free_sample(&f->of_all);
    sm_free(f);
}

/* ---- ranks ---- */

static const sample *sample_for(const rank_field *f, const rank_groups *g, size_t i, rank_among *among)
{
    const uint8_t class = g->by_class[i], kind = g->by_kind[i];
    *among = RANK_AMONG_CLASS;
    if (class != 0 && f->of_class[class].known >= RANK_LEAST)
        return &f->of_class[class];
    *among = RANK_AMONG_KIND;
    if (kind != 0 && f->of_kind[kind].known >= RANK_LEAST)
        return &f->of_kind[kind];
    *among = RANK_AMONG_ALL;
    return &f->of_all;
}

rank_among rank_group_of(const rank_field *f, const rank_groups *g, size_t i)
{
    rank_among among;
    sample_for(f, g, i, &among);
    return among;
}

float rank_of(const rank_field *f, const rank_groups *g, size_t i)
{
    rank_among among;
    const float value = f->values[i];
    if (isnan(value))
        return NAN;
    const sample *s = sample_for(f, g, i, &among);
    if (s->n == 0)
        return 0.5f;
    const size_t bucket = bucket_of(s, value);
    size_t below = s->start[bucket];
    for (size_t end = s->start[bucket + 1]; below < end;) {
        const size_t middle = below + (end - below) / 2;
        if (s->values[middle] < value)
            below = middle + 1;
        else
            end = middle;
    }
    return below < s->n && s->values[below] == value ? s->ranks[below] : (float)below / (float)s->n;
}
