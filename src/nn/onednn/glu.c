/* GLU by own loops where no convolution could take it in (conv_gated.c). */
#include "nn/onednn/onednn.h"
#include "nn/onednn/vmath.h"

typedef struct {
    nn_vmath_function sigmoid;
    int64_t outer, half; /* rows of two halves */
    int64_t parts;       /* of a row, when there are few: of at least PART_LENGTH numbers */
} glu_state;
enum { PART_LENGTH = 1 << 14 };

typedef struct {
    const glu_state *s;
    const float *x;
    float *y;
} glu_job;

static int glu_part(void *user, size_t i, int worker)
{
    const glu_job *j = user;
    const glu_state *s = j->s;
    const int64_t row = (int64_t)i / s->parts, part = (int64_t)i % s->parts;
    const int64_t first = s->half * part / s->parts, n = s->half * (part + 1) / s->parts - first;
    const float *a = j->x + row * 2 * s->half + first;
    float *y = j->y + row * s->half + first;

    (void)worker;
    s->sigmoid(a + s->half, y, n);
    for (int64_t k = 0; k < n; k++)
        y[k] *= a[k];
    return 0;
}

/* Rows are short when channels come last: several an item. */
typedef struct {
    glu_job job;
    int64_t items, all;
} glu_rows;

static int some_rows(void *user, size_t i, int worker)
{
    glu_rows *r = user;
    for (int64_t k = r->all * (int64_t)i / r->items; k < r->all * (int64_t)(i + 1) / r->items; k++)
        glu_part(&r->job, (size_t)k, worker);
    return 0;
}

static int run_glu(const nn_step *step, nn_exec *x)
{
    const glu_state *s = step->state;
    glu_rows r = { { s, x->data[step->in[0]], x->data[step->out] }, 1, s->outer * s->parts };

    if (x->threads > 1)
        r.items = SM_CLAMP(s->outer * s->half / PART_LENGTH, 1, SM_MIN(r.all, 4 * x->threads));
    return nn_dnnl_parallel(x, (size_t)r.items, some_rows, &r);
}

int nn_dnnl_glu_step(nn_compiler *c, nn_id node, nn_step *out)
{
    const nn_graph *g = nn_compiler_graph(c);
    const nn_node n = *nn_at(g, node);
    const bool last = nn_dnnl_is_last(c, n.inputs[0]) && n.shape.rank > 2;
    const nn_shape memory = nn_dnnl_memory_shape(&n.shape, last);
    const int axis = nn_dnnl_memory_axis(n.attrs.axis.axis, n.shape.rank, last);
    glu_state *s = sm_arena_zero(nn_compiler_arena(c), 1, sizeof *s);

    if (!s)
        return SM_ENOMEM;
    if (n.n_posts)
        return 1;
    *s = (glu_state){ nn_vmath_best()->unary[NN_SIGMOID], nn_product(&memory, 0, axis),
                      nn_product(&memory, axis, memory.rank), 1 };
    s->parts = SM_CLAMP(s->half / PART_LENGTH, 1, 64);
    const int32_t v = nn_dnnl_want(c, out, n.inputs[0], last, false);
    if (v < 0)
        return v;
    nn_dnnl_gives(c, out, node, last, false);
    out->run = run_glu;
    out->state = s;
    out->kernel = "gate";
    return 0;
}
