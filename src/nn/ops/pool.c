/* Max and average pooling over the last one or two axes. Two operators, one loop. */
#include "nn/graph.h"

#include <math.h>
#include <string.h>

static int infer(const nn_graph *g, nn_node *n)
{
    nn_pool_attrs *a = &n->attrs.pool;
    const int err = nn_need_rank(g, n, 0, 3, 4);
    if (err < 0)
        return err;
    n->shape = nn_in(g, n, 0)->shape;
    for (int i = 0; i < 2; i++) {
        if (i >= n->shape.rank - 2) {
            a->kernel[i] = a->stride[i] = 1;
            a->pad_before[i] = a->pad_after[i] = 0;
            continue;
        }
        a->stride[i] = a->stride[i] ? a->stride[i] : a->kernel[i];
        if (a->kernel[i] < 1 || a->stride[i] < 1)
            return sm_fail(SM_EUSAGE, "window %d, stride %d", a->kernel[i], a->stride[i]);
        if (a->same_tf)
            nn_same_pads(n->shape.dim[2 + i], a->kernel[i], a->stride[i], 1, &a->pad_before[i], &a->pad_after[i]);
        if (a->pad_before[i] < 0 || a->pad_after[i] < 0 || a->pad_before[i] >= a->kernel[i] ||
            a->pad_after[i] >= a->kernel[i])
            return sm_fail(SM_EUSAGE, "padding %d and %d of a window of %d", a->pad_before[i], a->pad_after[i],
                           a->kernel[i]);
        const int64_t in = n->shape.dim[2 + i];
        n->shape.dim[2 + i] =
            nn_window_out(in, a->kernel[i], a->stride[i], 1, a->pad_before[i], a->pad_after[i], a->ceil_mode);
        if (a->ceil_mode) /* made explicit: what the last window needs behind; it may lie beyond the padding */
            a->pad_after[i] =
                (int)SM_MAX((n->shape.dim[2 + i] - 1) * a->stride[i] + a->kernel[i] - in - a->pad_before[i], 0);
    }
    a->same_tf = a->ceil_mode = false;
    return 0;
}

/* One window: the part inside the input. `counted` is what an average divides by. */
static double window(const nn_pool_attrs *a, const float *x, const nn_shape *s, int64_t oh, int64_t ow, bool max)
{
    const bool flat = s->rank == 3;
    const int v = flat ? 0 : 1;
    const int64_t h = flat ? 1 : s->dim[2], w = s->dim[s->rank - 1];
    const int64_t top = flat ? 0 : oh * a->stride[0] - a->pad_before[0], left = ow * a->stride[v] - a->pad_before[v];
    const int64_t kh = flat ? 1 : a->kernel[0];
    int64_t inside = 0;
    double sum = 0, best = -INFINITY;
    for (int64_t i = SM_MAX(top, 0); i < SM_MIN(top + kh, h); i++)
        for (int64_t j = SM_MAX(left, 0); j < SM_MIN(left + a->kernel[v], w); j++, inside++) {
            const double value = (double)x[i * w + j];
            best = value > best || value != value ? value : best;
            sum += value;
        }
    return max ? best : sum / (double)(a->count_padding ? kh * a->kernel[v] : SM_MAX(inside, 1));
}

static void pool(const nn_call *c, bool max)
{
    const nn_shape *xs = &c->in[0].shape, *ys = &c->out.shape;
    const int64_t area = nn_product(xs, 2, xs->rank), out = nn_product(ys, 2, ys->rank), ow = ys->dim[ys->rank - 1];
    float *y = c->out.data;
    for (int64_t i = 0; i < nn_elements(ys); i++)
        y[i] = (float)window(&c->attrs->pool, (const float *)c->in[0].data + i / out * area, xs, i % out / ow, i % ow,
                             max);
}

static void ref_max(const nn_call *c)
{
    pool(c, true);
}

static void ref_avg(const nn_call *c)
{
    pool(c, false);
}

static nn_id add(nn_graph *g, const nn_op *op, nn_id x, const nn_pool_attrs *p)
{
    nn_attrs a;
    memset(&a, 0, sizeof a);
    for (int i = 0; i < 2; i++) {
        a.pool.kernel[i] = p->kernel[i];
        a.pool.stride[i] = p->stride[i];
        a.pool.pad_before[i] = p->pad_before[i];
        a.pool.pad_after[i] = p->pad_after[i];
    }
    a.pool.same_tf = p->same_tf;
    a.pool.ceil_mode = p->ceil_mode;
    a.pool.count_padding = p->count_padding;
    return nn_add(g, op, &a, &x, 1);
}

nn_id nn_max_pool(nn_graph *g, nn_id x, const nn_pool_attrs *a)
{
    return add(g, &nn_op_max_pool, x, a);
}

nn_id nn_avg_pool(nn_graph *g, nn_id x, const nn_pool_attrs *a)
{
    return add(g, &nn_op_avg_pool, x, a);
}

static void gradient(nn_graph *g, nn_id node, nn_id upstream, nn_id *inputs)
{
    const nn_node n = *nn_at(g, node);
    const bool largest = n.op == &nn_op_max_pool;
    nn_attrs a;
    memset(&a, 0, sizeof a);
    a.pool_grad.pool = n.attrs.pool;
    a.pool_grad.shape = nn_shape_of(g, n.inputs[0]);
    inputs[0] = largest ? nn_add(g, &nn_op_max_pool_grad, &a, (nn_id[]){ n.inputs[0], upstream }, 2)
                        : nn_add(g, &nn_op_avg_pool_grad, &a, &upstream, 1);
}

static nn_id generate(nn_graph *g, nn_random *r, const nn_op *op)
{
    nn_shape s = { nn_random_int(r, 3, 4), { nn_random_int(r, 1, 3), nn_random_int(r, 1, 20) } };
    nn_pool_attrs a = { .same_tf = nn_random_int(r, 0, 3) == 0, .ceil_mode = nn_random_int(r, 0, 3) == 0 };
    a.count_padding = !a.ceil_mode && nn_random_int(r, 0, 1);
    for (int i = 0; i < s.rank - 2; i++) {
        a.kernel[i] = nn_random_int(r, 1, 4);
        a.stride[i] = nn_random_int(r, 0, 3);
        a.pad_before[i] = nn_random_int(r, 0, a.kernel[i] - 1);
        a.pad_after[i] = nn_random_int(r, 0, a.kernel[i] - 1);
        s.dim[2 + i] = a.kernel[i] + nn_random_int(r, 0, 11);
    }
    return add(g, op, nn_random_input(g, r, s, -1, 1), &a);
}

static nn_id generate_max(nn_graph *g, nn_random *r)
{
    return generate(g, r, &nn_op_max_pool);
}

static nn_id generate_avg(nn_graph *g, nn_random *r)
{
    return generate(g, r, &nn_op_avg_pool);
}

const nn_op nn_op_max_pool = { .name = "max_pool",
                               .min_in = 1,
                               .max_in = 1,
                               .infer = infer,
                               .ref = ref_max,
                               .gradient = gradient,
                               .random = generate_max };
const nn_op nn_op_avg_pool = { .name = "avg_pool",
                               .min_in = 1,
                               .max_in = 1,
                               .infer = infer,
                               .ref = ref_avg,
                               .gradient = gradient,
                               .random = generate_avg };
