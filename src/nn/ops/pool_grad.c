/* Gradients of pools: each window gives its upstream number to its largest input (the first of equal ones), or to all alike. */
#include "nn/graph.h"

#include <math.h>
#include <string.h>

typedef struct {
    int64_t top, bottom, left, right, w;
    int64_t counted; /* what an average divides by */
} window;

/* The part of window (oh, ow) that is inside of an input of shape s. */
static window window_at(const nn_pool_attrs *a, const nn_shape *s, int64_t oh, int64_t ow)
{
    const bool flat = s->rank == 3;
    const int v = flat ? 0 : 1;
    const int64_t h = flat ? 1 : s->dim[2], w = s->dim[s->rank - 1], kh = flat ? 1 : a->kernel[0];
    const int64_t top = flat ? 0 : oh * a->stride[0] - a->pad_before[0], left = ow * a->stride[v] - a->pad_before[v];
    window p = { SM_MAX(top, 0), SM_MIN(top + kh, h), SM_MAX(left, 0), SM_MIN(left + a->kernel[v], w), w, 0 };
    const int64_t inside = SM_MAX(p.bottom - p.top, 0) * SM_MAX(p.right - p.left, 0);
    p.counted = a->count_padding ? kh * a->kernel[v] : SM_MAX(inside, 1);
    return p;
}

static void give_largest(const window *p, const float *x, float upstream, bool relu, float *dx)
{
    int64_t best = -1;
    for (int64_t i = p->top; i < p->bottom; i++)
        for (int64_t j = p->left; j < p->right; j++)
            if (best < 0 || x[i * p->w + j] > x[best])
                best = i * p->w + j;
    if (best >= 0 && (!relu || x[best] > 0))
        dx[best] += upstream;
}

static void give_all(const window *p, float upstream, float *dx)
{
    for (int64_t i = p->top; i < p->bottom; i++)
        for (int64_t j = p->left; j < p->right; j++)
            dx[i * p->w + j] += upstream / (float)p->counted;
}

/* x NULL: average */
static void give(const nn_call *c, const float *x, const float *upstream, const nn_shape *from)
{
    const nn_shape *s = &c->out.shape;
    const int64_t area = nn_product(s, 2, s->rank), out = nn_product(from, 2, from->rank),
                  ow = from->dim[from->rank - 1];
    float *dx = c->out.data;
    memset(dx, 0, (size_t)nn_elements(s) * sizeof *dx);
    for (int64_t i = 0; i < nn_elements(from); i++) {
        const window p = window_at(&c->attrs->pool_grad.pool, s, i % out / ow, i % ow);
        if (x)
            give_largest(&p, x + i / out * area, upstream[i], c->attrs->pool_grad.relu, dx + i / out * area);
        else
            give_all(&p, upstream[i], dx + i / out * area);
    }
}

static int infer_max(const nn_graph *g, nn_node *n) /* x, upstream */
{
    const int err = nn_need_rank(g, n, 0, 3, 4);
    n->shape = nn_in(g, n, 0)->shape;
    return err < 0 ? err : nn_need_rank(g, n, 1, n->shape.rank, n->shape.rank);
}

static int infer_avg(const nn_graph *g, nn_node *n) /* upstream */
{
    n->shape = n->attrs.pool_grad.shape;
    return nn_need_rank(g, n, 0, n->shape.rank, n->shape.rank);
}

static void ref_max(const nn_call *c)
{
    give(c, c->in[0].data, c->in[1].data, &c->in[1].shape);
}

static void ref_avg(const nn_call *c)
{
    give(c, NULL, c->in[0].data, &c->in[0].shape);
}

static nn_id generate(nn_graph *g, nn_random *r, const nn_op *pool)
{
    const nn_id y = pool->random(g, r);
    const nn_node n = *nn_at(g, y);
    nn_id in[1] = { NN_WANTED };
    if (nn_graph_error(g) < 0)
        return NN_NONE;
    const nn_id upstream = nn_random_input(g, r, n.shape, -1, 1);
    const bool relu = pool == &nn_op_max_pool && nn_random_int(r, 0, 1);
    pool->gradient(g, y, upstream, in);
    if (in[0] != NN_NONE)
        nn_edit(g, in[0])->attrs.pool_grad.relu = relu;
    return in[0];
}

static nn_id generate_max(nn_graph *g, nn_random *r)
{
    return generate(g, r, &nn_op_max_pool);
}

static nn_id generate_avg(nn_graph *g, nn_random *r)
{
    return generate(g, r, &nn_op_avg_pool);
}

const nn_op nn_op_max_pool_grad = {
    .name = "max_pool_grad", .min_in = 2, .max_in = 2, .infer = infer_max, .ref = ref_max, .random = generate_max
};
const nn_op nn_op_avg_pool_grad = {
    .name = "avg_pool_grad", .min_in = 1, .max_in = 1, .infer = infer_avg, .ref = ref_avg, .random = generate_avg
};
