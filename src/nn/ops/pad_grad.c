/* Gradient of a mirrored or repeated edge: upstream numbers are added up at the place that each was copied from. */
#include "nn/graph.h"

#include <string.h>

static int infer(const nn_graph *g, nn_node *n)
{
    const int axis = n->attrs.pad.axis;
    n->shape = nn_in(g, n, 0)->shape;
    n->shape.dim[axis] -= n->attrs.pad.before + n->attrs.pad.after;
    return n->shape.dim[axis] > 0 ? 0 : sm_fail(SM_EUSAGE, "nothing is left");
}

static void ref(const nn_call *c)
{
    const nn_shape *s = &c->out.shape;
    const int axis = c->attrs->pad.axis;
    const int64_t inner = nn_product(s, axis + 1, s->rank), outer = nn_product(s, 0, axis), dim = s->dim[axis];
    const float *x = c->in[0].data;
    float *y = c->out.data;
    memset(y, 0, (size_t)nn_elements(s) * sizeof *y);
    for (int64_t o = 0; o < outer; o++)
        for (int64_t i = -c->attrs->pad.before; i < dim + c->attrs->pad.after; i++, x += inner) {
            const int64_t from = nn_pad_source(c->attrs->pad.kind, i, dim);
            for (int64_t k = 0; from >= 0 && k < inner; k++)
                y[(o * dim + from) * inner + k] += x[k];
        }
}

static nn_id generate(nn_graph *g, nn_random *r)
{
    const nn_node n = *nn_at(g, nn_op_pad.random(g, r));
    return nn_add(g, &nn_op_pad_grad, &n.attrs, (nn_id[]){ nn_random_input(g, r, n.shape, -1, 1) }, 1);
}

const nn_op nn_op_pad_grad = {
    .name = "pad_grad", .min_in = 1, .max_in = 1, .infer = infer, .ref = ref, .random = generate
};
