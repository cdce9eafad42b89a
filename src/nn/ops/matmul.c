/* Products of matrices, batched over leading axes that broadcast; either may be read transposed. */
#include "nn/graph.h"

#include <string.h>

/* Leading axes of a shape, and its last two as [rows, columns] after the transposition. */
static nn_shape leading(const nn_shape *s)
{
    nn_shape out = *s;
    out.rank -= 2;
    return out;
}

static int infer(const nn_graph *g, nn_node *n)
{
    char ta[256], tb[256];
    int err;
    if ((err = nn_need_rank(g, n, 0, 2, NN_MAX_RANK)) < 0 || (err = nn_need_rank(g, n, 1, 2, NN_MAX_RANK)) < 0)
        return err;
    const nn_node *a = nn_in(g, n, 0), *b = nn_in(g, n, 1);
    const bool flip_a = n->attrs.transpose.a, flip_b = n->attrs.transpose.b;
    const nn_shape la = leading(&a->shape), lb = leading(&b->shape);
    const int64_t *da = a->shape.dim + la.rank, *db = b->shape.dim + lb.rank;
    if (da[!flip_a] != db[flip_b] || nn_broadcast(&la, &lb, &n->shape) < 0)
        return sm_fail(SM_EFORMAT, "%s%s does not fit %s%s", nn_operand_text(a, ta), flip_a ? " transposed" : "",
                       nn_operand_text(b, tb), flip_b ? " transposed" : "");
    n->shape.dim[n->shape.rank++] = da[flip_a];
    n->shape.dim[n->shape.rank++] = db[!flip_b];
    return 0;
}

static void ref(const nn_call *c)
{
    const nn_shape *as = &c->in[0].shape, *bs = &c->in[1].shape, *ys = &c->out.shape;
    const bool flip_a = c->attrs->transpose.a, flip_b = c->attrs->transpose.b;
    const int64_t rows = ys->dim[ys->rank - 2], columns = ys->dim[ys->rank - 1],
                  depth = as->dim[as->rank - (flip_a ? 2 : 1)];
    const nn_shape batch = leading(ys), la = leading(as), lb = leading(bs);
    double *sum = c->scratch;
    float *y = c->out.data;
    nn_walk w;
    nn_walk_start(&w, &batch);
    nn_broadcast_strides(&la, &batch, w.stride[0]);
    nn_broadcast_strides(&lb, &batch, w.stride[1]);
    for (int64_t m = 0; m < nn_elements(&batch); m++, nn_walk_next(&w)) {
        const float *a = (const float *)c->in[0].data + w.at[0] * rows * depth;
        const float *b = (const float *)c->in[1].data + w.at[1] * depth * columns;
        for (int64_t i = 0; i < rows; i++, y += columns) {
            memset(sum, 0, (size_t)columns * sizeof *sum);
            for (int64_t k = 0; k < depth; k++) {
                const double factor = (double)a[flip_a ? k * rows + i : i * depth + k];
                for (int64_t j = 0; j < columns; j++)
                    sum[j] += factor * (double)b[flip_b ? j * depth + k : k * columns + j];
            }
            for (int64_t j = 0; j < columns; j++)
                y[j] = (float)sum[j];
        }
    }
}

static size_t scratch(const nn_call *c)
{
    return (size_t)c->out.shape.dim[c->out.shape.rank - 1] * sizeof(double);
}

static double macs(const nn_graph *g, const nn_node *n)
{
    const nn_shape *a = &nn_in(g, n, 0)->shape;
    return (double)nn_elements(&n->shape) * (double)a->dim[a->rank - (n->attrs.transpose.a ? 2 : 1)];
}

nn_id nn_matmul(nn_graph *g, nn_id a, nn_id b, bool transpose_a, bool transpose_b)
{
    nn_attrs attrs;
    memset(&attrs, 0, sizeof attrs);
    attrs.transpose.a = transpose_a;
    attrs.transpose.b = transpose_b;
    return nn_add(g, &nn_op_matmul, &attrs, (nn_id[]){ a, b }, 2);
}

static void gradient(nn_graph *g, nn_id node, nn_id upstream, nn_id *inputs)
{
    const nn_node n = *nn_at(g, node);
    const nn_id a = n.inputs[0], b = n.inputs[1];
    const bool flip_a = n.attrs.transpose.a, flip_b = n.attrs.transpose.b;
    if (inputs[0] != NN_NONE)
        inputs[0] =
            nn_sum_to(g, flip_a ? nn_matmul(g, b, upstream, flip_b, true) : nn_matmul(g, upstream, b, false, !flip_b),
                      nn_shape_of(g, a));
    if (inputs[1] != NN_NONE)
        inputs[1] =
            nn_sum_to(g, flip_b ? nn_matmul(g, upstream, a, true, flip_a) : nn_matmul(g, a, upstream, !flip_a, false),
                      nn_shape_of(g, b));
}

static nn_id generate(nn_graph *g, nn_random *r)
{
    const int m = nn_random_int(r, 1, 20), n = nn_random_int(r, 1, 20), k = nn_random_int(r, 1, 40);
    const bool flip_a = nn_random_int(r, 0, 1), flip_b = nn_random_int(r, 0, 1);
    const int batch = nn_random_int(r, 0, 2);
    nn_shape a = { .rank = batch + 2 }, b = { .rank = batch + 2 };
    for (int i = 0; i < batch; i++) {
        const int d = nn_random_int(r, 1, 4);
        a.dim[i] = nn_random_int(r, 0, 4) ? d : 1;
        b.dim[i] = nn_random_int(r, 0, 4) ? d : 1;
    }
    a.dim[batch] = flip_a ? k : m, a.dim[batch + 1] = flip_a ? m : k;
    b.dim[batch] = flip_b ? n : k, b.dim[batch + 1] = flip_b ? k : n;
    const nn_id x = nn_random_input(g, r, a, -1, 1);
    return nn_matmul(g, x, nn_random_int(r, 0, 2) ? nn_random_input(g, r, b, -1, 1) : nn_random_weight(g, r, b, -1, 1),
                     flip_a, flip_b);
}

const nn_op nn_op_matmul = { .name = "matmul",
                             .min_in = 2,
                             .max_in = 2,
                             .infer = infer,
                             .posts = -1,
                             .ref = ref,
                             .scratch = scratch,
                             .macs = macs,
                             .gradient = gradient,
                             .random = generate };
