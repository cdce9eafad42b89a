/* Group norm by own loops, as the numbers lie: plain (a channel's numbers are a row) or channels last (they are columns of rows). Sums of
 * short runs in f32, of runs in double; the variance is taken around the mean in a second pass. All is bound by memory. */
#include "nn/onednn/onednn.h"

#include <math.h>
#include <string.h>

enum { STRIP_ROWS = 256, RUN = 512 }; /* rows of a strip, channels last; numbers that are added in f32 */

typedef struct {
    bool last;
    int64_t items, channels, positions, groups;
    int64_t strips; /* of an item: channels last, of STRIP_ROWS positions; plain, a channel each */
    int64_t width;  /* sums of a strip: channels, or 1 */
    float eps;
    int gamma, beta; /* the step's inputs; -1: none */
} group_norm;

typedef struct {
    const group_norm *s;
    const float *x;
    float *y, *affine; /* [items][2][channels] */
    double *sums;      /* [items * strips][width] */
    double *mean;      /* [items][groups] */
    int what;          /* 0: sums, 1: squares around the mean, 2: the result */
} norm_job;

/* Sum of n numbers, or of their squared differences from *mean. */
static double run_sum(const float *x, int64_t n, const float *mean)
{
    double sum = 0;

    for (int64_t first = 0; first < n; first += RUN) {
        const int64_t end = SM_MIN(n, first + RUN);
        float part[8] = { 0 };
        int64_t i = first;
        for (; i + 8 <= end; i += 8)
            for (int k = 0; k < 8; k++)
                part[k] += mean ? (x[i + k] - *mean) * (x[i + k] - *mean) : x[i + k];
        for (; i < end; i++)
            part[0] += mean ? (x[i] - *mean) * (x[i] - *mean) : x[i];
        for (int k = 0; k < 8; k++)
            sum += (double)part[k];
    }
    return sum;
}

/* The same down the columns of rows; a column's mean is its group's. */
static void column_sums(const norm_job *j, int64_t item, const float *x, int64_t rows, double *sum)
{
    const group_norm *s = j->s;
    const int64_t each = s->channels / s->groups;
    float part[RUN];

    for (int64_t first = 0; first < s->channels; first += RUN) {
        const int64_t n = SM_MIN(s->channels - first, RUN);
        memset(part, 0, sizeof part);
        for (int64_t r = 0; r < rows; r++) {
            const float *row = x + r * s->channels + first;
            if (j->what == 0) {
                for (int64_t k = 0; k < n; k++)
                    part[k] += row[k];
                continue;
            }
            for (int64_t k = 0; k < n;) {
                const int64_t g = (first + k) / each, end = SM_MIN(n, (g + 1) * each - first);
                const float mean = (float)j->mean[item * s->groups + g];
                for (; k < end; k++)
                    part[k] += (row[k] - mean) * (row[k] - mean);
            }
        }
        for (int64_t k = 0; k < n; k++)
            sum[first + k] = (double)part[k];
    }
}

static int norm_strip(void *user, size_t i, int worker)
{
    const norm_job *j = user;
    const group_norm *s = j->s;
    const int64_t item = (int64_t)i / s->strips, strip = (int64_t)i % s->strips;
    const float *scale = j->affine + item * 2 * s->channels, *offset = scale + s->channels;

    (void)worker;
    if (!s->last) {
        const int64_t at = (int64_t)i * s->positions;
        const float mean = (float)j->mean[item * s->groups + strip / (s->channels / s->groups)];
        if (j->what < 2)
            j->sums[i] = run_sum(j->x + at, s->positions, j->what ? &mean : NULL);
        for (int64_t p = 0; p < s->positions && j->what == 2; p++)
            j->y[at + p] = j->x[at + p] * scale[strip] + offset[strip];
        return 0;
    }
    const int64_t rows = SM_MIN(STRIP_ROWS, s->positions - strip * STRIP_ROWS);
    const int64_t at = (item * s->positions + strip * STRIP_ROWS) * s->channels;
    if (j->what < 2)
        column_sums(j, item, j->x + at, rows, j->sums + i * (size_t)s->width);
    for (int64_t r = 0; r < rows && j->what == 2; r++)
        for (int64_t k = 0, p = at + r * s->channels; k < s->channels; k++, p++)
            j->y[p] = j->x[p] * scale[k] + offset[k];
    return 0;
}

/* A group's sum over all strips. */
static double group_sum(const norm_job *j, int64_t item, int64_t group)
{
    const group_norm *s = j->s;
    const int64_t each = s->channels / s->groups;
    const double *sums = j->sums + item * s->strips * s->width;
    double sum = 0;

    if (!s->last)
        for (int64_t k = group * each; k < (group + 1) * each; k++)
            sum += sums[k];
    for (int64_t strip = 0; strip < s->strips && s->last; strip++)
        for (int64_t k = group * each; k < (group + 1) * each; k++)
            sum += sums[strip * s->width + k];
    return sum;
}

static void find_affine(const norm_job *j, const float *gamma, const float *beta)
{
    const group_norm *s = j->s;
    const int64_t each = s->channels / s->groups;

    for (int64_t i = 0; i < s->items * s->channels; i++) {
        const int64_t item = i / s->channels, k = i % s->channels, group = k / each;
        float *scale = j->affine + item * 2 * s->channels;
        /* the mean that was subtracted was rounded to f32: so little off that the squares do not show it */
        const double variance = group_sum(j, item, group) / (double)(each * s->positions);
        const double factor = (gamma ? (double)gamma[k] : 1) / sqrt(variance + (double)s->eps);
        scale[k] = (float)factor;
        scale[s->channels + k] = (float)((beta ? (double)beta[k] : 0) - j->mean[item * s->groups + group] * factor);
    }
}

static int run_group_norm(const nn_step *step, nn_exec *x)
{
    const group_norm *s = step->state;
    const size_t strips = (size_t)(s->items * s->strips);
    norm_job j = { .s = s, .x = x->data[step->in[0]], .y = x->data[step->out], .sums = x->scratch };
    int err;

    j.mean = j.sums + strips * (size_t)s->width;
    j.affine = (float *)(void *)(j.mean + s->items * s->groups);
    memset(j.mean, 0, (size_t)(s->items * s->groups) * sizeof *j.mean);
    if ((err = nn_dnnl_parallel(x, strips, norm_strip, &j)) < 0)
        return err;
    for (int64_t g = 0; g < s->items * s->groups; g++)
        j.mean[g] = group_sum(&j, g / s->groups, g % s->groups) / (double)(s->channels / s->groups * s->positions);
    j.what = 1;
    if ((err = nn_dnnl_parallel(x, strips, norm_strip, &j)) < 0)
        return err;
    find_affine(&j, s->gamma < 0 ? NULL : x->data[step->in[s->gamma]], s->beta < 0 ? NULL : x->data[step->in[s->beta]]);
    j.what = 2;
    return nn_dnnl_parallel(x, strips, norm_strip, &j);
}

int nn_dnnl_group_norm_step(nn_compiler *c, nn_id node, nn_step *out)
{
    const nn_graph *g = nn_compiler_graph(c);
    const nn_node n = *nn_at(g, node);
    const bool last = nn_dnnl_is_last(c, n.inputs[0]);
    group_norm *s = sm_arena_zero(nn_compiler_arena(c), 1, sizeof *s);
    int *where[3] = { NULL, &s->gamma, &s->beta };

    if (!s)
        return SM_ENOMEM;
    if (n.n_posts)
        return 1;
    *s = (group_norm){ .last = last,
                       .items = n.shape.dim[0],
                       .channels = n.shape.dim[1],
                       .positions = nn_product(&n.shape, 2, n.shape.rank),
                       .groups = n.attrs.norm.groups,
                       .eps = n.attrs.norm.eps,
                       .gamma = -1,
                       .beta = -1 };
    s->strips = last ? (s->positions + STRIP_ROWS - 1) / STRIP_ROWS : s->channels;
    s->width = last ? s->channels : 1;
    for (int i = 0; i < n.n_own; i++) {
        if (n.inputs[i] == NN_NONE)
            continue;
        if (i > 0)
            *where[i] = out->n_in;
        const int32_t v = nn_dnnl_want(c, out, n.inputs[i], i == 0 && last, false);
        if (v < 0)
            return v;
        if (i == 0)
            out->inplace = v;
    }
    nn_dnnl_gives(c, out, node, last, false);
    out->run = run_group_norm;
    out->state = s;
    out->kernel = last ? "columns" : "rows";
    out->scratch = (size_t)(s->items * (s->strips * s->width + s->groups + s->channels)) * sizeof(double);
    return 0;
}
