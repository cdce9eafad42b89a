/* Norms of tokens as steps: each token by itself (layer norm, RMS norm), or all of an item at once (a group norm of one group over
 * [N, C, T] whose tensor lies as tokens [N, T, C]; models write it between two permutations). */
#include "nn/onednn/norm.h"
#include "nn/onednn/onednn.h"

#include <math.h>
#include <string.h>

enum { PART = 1 << 15 }; /* numbers of an item of work: fixed, so that sums do not depend on the number of threads */

const nn_norm_kernel *nn_norm_best(void)
{
    sm_cpu_info cpu;

    sm_cpu_detect(&cpu);
    if (cpu.avx512)
        return &nn_norm_avx512;
    return cpu.avx2 && cpu.fma ? &nn_norm_avx2 : &nn_norm_base;
}

void nn_moments_join(nn_moments *a, const nn_moments *b)
{
    const double n = a->n + b->n, d = b->mean - a->mean;

    if (b->n == 0)
        return;
    a->mean += d * b->n / n;
    a->squares += b->squares + d * d * a->n * b->n / n;
    a->n = n;
}

typedef struct {
    const nn_norm_kernel *kernel;
    int64_t items, rows, width; /* rows: of an item */
    int64_t part;               /* rows of a piece of work */
    int gamma, beta;            /* inputs of the step; -1: none */
    float eps;
    bool rms;
} norm_state;

typedef struct {
    const norm_state *s;
    const float *x, *gamma, *beta;
    float *y;
    int64_t parts; /* of an item */
    nn_moments *moments;
} norm_job;

static norm_job start(const nn_step *step, nn_exec *x)
{
    const norm_state *s = step->state;

    return (norm_job){ .s = s,
                       .x = x->data[step->in[0]],
                       .gamma = s->gamma >= 0 ? x->data[step->in[s->gamma]] : NULL,
                       .beta = s->beta >= 0 ? x->data[step->in[s->beta]] : NULL,
                       .y = x->data[step->out],
                       .parts = (s->rows + s->part - 1) / s->part,
                       .moments = x->scratch };
}

/* Rows of a piece of work, and its place. */
static int64_t piece(const norm_job *j, size_t i, int64_t *at)
{
    const int64_t first = (int64_t)i % j->parts * j->s->part;

    *at = ((int64_t)i / j->parts * j->s->rows + first) * j->s->width;
    return SM_MIN(j->s->part, j->s->rows - first);
}

static int rows_item(void *user, size_t i, int worker)
{
    const norm_job *j = user;
    int64_t at;
    const int64_t rows = piece(j, i, &at);

    (void)worker;
    j->s->kernel->rows(j->x + at, j->y + at, rows, j->s->width, j->s->rms, j->s->eps, j->gamma, j->beta);
    return 0;
}

static int run_rows(const nn_step *step, nn_exec *x)
{
    norm_job j = start(step, x);

    return nn_dnnl_parallel(x, (size_t)(j.s->items * j.parts), rows_item, &j);
}

static int moments_item(void *user, size_t i, int worker)
{
    const norm_job *j = user;
    int64_t at;
    const int64_t rows = piece(j, i, &at);

    (void)worker;
    j->s->kernel->moments(j->x + at, rows * j->s->width, &j->moments[i]);
    return 0;
}

static int apply_item(void *user, size_t i, int worker)
{
    const norm_job *j = user;
    const nn_moments *first = &j->moments[(int64_t)i / j->parts * j->parts];
    nn_moments m = { 0 };
    int64_t at;
    const int64_t rows = piece(j, i, &at);

    (void)worker;
    for (int64_t p = 0; p < j->parts; p++)
        nn_moments_join(&m, &first[p]);
    j->s->kernel->apply(j->x + at, j->y + at, rows, j->s->width, m.mean, 1 / sqrt(m.squares / m.n + (double)j->s->eps),
                        j->gamma, j->beta);
    return 0;
}

static int run_all(const nn_step *step, nn_exec *x)
{
    norm_job j = start(step, x);
    const int err = nn_dnnl_parallel(x, (size_t)(j.s->items * j.parts), moments_item, &j);

    return err < 0 ? err : nn_dnnl_parallel(x, (size_t)(j.s->items * j.parts), apply_item, &j);
}

/* Reads x and the vectors that are there. */
static int read_inputs(nn_compiler *c, const nn_node *n, norm_state *s, nn_step *out)
{
    s->gamma = s->beta = -1;
    for (int i = 0; i < n->n_own; i++) {
        if (n->inputs[i] == NN_NONE)
            continue;
        const int32_t v = nn_dnnl_want(c, out, n->inputs[i], false, false);
        if (v < 0)
            return v;
        if (i == 0)
            out->inplace = v;
        else
            *(i == 1 ? &s->gamma : &s->beta) = out->n_in - 1;
    }
    return 0;
}

int nn_dnnl_norm_step(nn_compiler *c, nn_id node, nn_step *out)
{
    const nn_node n = *nn_at(nn_compiler_graph(c), node);
    norm_state *s = sm_arena_zero(nn_compiler_arena(c), 1, sizeof *s);
    int err;

    if (!s)
        return SM_ENOMEM;
    if (n.n_posts)
        return 1;
    s->kernel = nn_norm_best();
    s->width = n.shape.dim[n.shape.rank - 1];
    s->items = n.op == &nn_op_token_norm ? n.shape.dim[0] : 1;
    s->rows = nn_elements(&n.shape) / s->width / s->items;
    s->part = SM_MAX(PART / s->width, 1);
    s->eps = n.attrs.norm.eps;
    s->rms = n.op == &nn_op_rms_norm;
    if ((err = read_inputs(c, &n, s, out)) < 0)
        return err;
    if (n.op == &nn_op_token_norm)
        out->scratch = (size_t)(s->items * ((s->rows + s->part - 1) / s->part)) * sizeof(nn_moments);
    out->run = n.op == &nn_op_token_norm ? run_all : run_rows;
    out->state = s;
    out->kernel = s->kernel->name;
    return 0;
}

/* ---- group norms of tokens ---- */

static int infer(const nn_graph *g, nn_node *n)
{
    n->shape = nn_in(g, n, 0)->shape;
    return 0;
}

/* x [N, T, C]: one mean and variance an item, gamma and beta along C. No reference: the step takes every one. */
const nn_op nn_op_token_norm = { .name = "token_norm", .min_in = 1, .max_in = 3, .infer = infer };

static bool swaps_last_two(const nn_graph *g, nn_id id)
{
    static const int order[3] = { 0, 2, 1 };
    const nn_node *n = nn_at(g, id);

    return n && n->op == &nn_op_permute && !n->n_posts && n->shape.rank == 3 &&
           !memcmp(n->attrs.permute.order, order, sizeof order);
}

/* permute(group_norm(permute(x))), one group, to the token norm of x. */
int nn_dnnl_rewrite_norm(nn_graph *g)
{
    const int size = nn_graph_size(g);

    for (nn_id id = 0; id < size; id++) {
        const nn_node n = *nn_at(g, id);
        const nn_id user = n.op == &nn_op_group_norm ? nn_only_user(g, id) : NN_NONE;
        if (user == NN_NONE || n.n_posts || n.attrs.norm.groups != 1 || !swaps_last_two(g, user) ||
            !swaps_last_two(g, n.inputs[0]))
            continue;
        nn_scope_like(g, id);
        const nn_id inputs[3] = { nn_at(g, n.inputs[0])->inputs[0], n.inputs[1], n.inputs[2] };
        const nn_id norm = nn_add(g, &nn_op_token_norm, &n.attrs, inputs, 3);
        if (norm == NN_NONE)
            return nn_graph_error(g);
        nn_replace(g, user, norm);
    }
    return 0;
}
