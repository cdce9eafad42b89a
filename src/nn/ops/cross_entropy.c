/* Softmax cross-entropy with whole distributions as targets: the mean over rows of w H(t, softmax(l)), and its gradient by l,
 * w (softmax(l) sum(t) - t) / N. */
#include "nn/graph.h"

#include <math.h>

static int infer_rows(const nn_graph *g, nn_node *n)
{
    int err = nn_need_rank(g, n, 0, 2, 2);
    if (err < 0)
        return err;
    const nn_shape s = nn_in(g, n, 0)->shape;
    err = nn_need_shape(g, n, 1, s);
    return err < 0 ? err : nn_need_shape(g, n, 2, NN_SHAPE(s.dim[0]));
}

static int infer(const nn_graph *g, nn_node *n)
{
    n->shape = NN_SCALAR;
    return infer_rows(g, n);
}

/* log of the sum of exponentials */
static double log_sum(const float *l, int64_t classes)
{
    double top = -INFINITY, sum = 0;
    for (int64_t k = 0; k < classes; k++)
        top = (double)l[k] > top ? (double)l[k] : top;
    for (int64_t k = 0; k < classes; k++)
        sum += exp((double)l[k] - top);
    return top + log(sum);
}

static void ref(const nn_call *c)
{
    const float *logits = c->in[0].data, *targets = c->in[1].data, *weights = c->n_in > 2 ? c->in[2].data : NULL;
    const int64_t rows = c->in[0].shape.dim[0], classes = c->in[0].shape.dim[1];
    double sum = 0;
    for (int64_t r = 0; r < rows; r++) {
        const float *l = logits + r * classes, *t = targets + r * classes;
        const double all = log_sum(l, classes);
        double h = 0;
        for (int64_t k = 0; k < classes; k++)
            h += t[k] != 0 ? (double)t[k] * (all - (double)l[k]) : 0;
        sum += h * (weights ? (double)weights[r] : 1);
    }
    *(float *)c->out.data = (float)(sum / (double)rows);
}

static int infer_grad(const nn_graph *g, nn_node *n)
{
    n->shape = nn_in(g, n, 0)->shape;
    const int err = infer_rows(g, n);
    return err < 0 ? err : nn_need_shape(g, n, 3, NN_SCALAR);
}

static void ref_grad(const nn_call *c)
{
    const float *logits = c->in[0].data, *targets = c->in[1].data, *weights = c->in[2].data;
    const int64_t rows = c->in[0].shape.dim[0], classes = c->in[0].shape.dim[1];
    const double upstream = (double)*(const float *)c->in[3].data;
    float *d = c->out.data;
    for (int64_t r = 0; r < rows; r++) {
        const float *l = logits + r * classes, *t = targets + r * classes;
        const double all = log_sum(l, classes), w = upstream * (weights ? (double)weights[r] : 1) / (double)rows;
        double total = 0;
        for (int64_t k = 0; k < classes; k++)
            total += (double)t[k];
        for (int64_t k = 0; k < classes; k++)
            d[r * classes + k] = (float)(w * (exp((double)l[k] - all) * total - (double)t[k]));
    }
}

nn_id nn_cross_entropy(nn_graph *g, nn_id logits, nn_id targets, nn_id weights)
{
    return nn_add(g, &nn_op_cross_entropy, NULL, (nn_id[]){ logits, targets, weights }, 3);
}

static void gradient(nn_graph *g, nn_id node, nn_id upstream, nn_id *inputs)
{
    const nn_node n = *nn_at(g, node);
    inputs[0] = nn_add(g, &nn_op_cross_entropy_grad, NULL,
                       (nn_id[]){ n.inputs[0], n.inputs[1], n.n_own > 2 ? n.inputs[2] : NN_NONE, upstream }, 4);
}

/* Targets and weights are constants: the loss has no gradient by them. */
static void operands(nn_graph *g, nn_random *r, nn_id in[3])
{
    nn_random fixed = { .state = r->state ^ 0x5bd1e995u };
    const nn_shape s = NN_SHAPE(nn_random_int(r, 1, 9), nn_random_int(r, 2, 30));
    in[0] = nn_random_input(g, r, s, -4, 4);
    in[1] = nn_random_weight(g, &fixed, s, 0, 1);
    in[2] = nn_random_int(r, 0, 1) ? nn_random_weight(g, &fixed, NN_SHAPE(s.dim[0]), 0.5, 2) : NN_NONE;
}

static nn_id generate(nn_graph *g, nn_random *r)
{
    nn_id in[3];
    operands(g, r, in);
    return nn_cross_entropy(g, in[0], in[1], in[2]);
}

static nn_id generate_grad(nn_graph *g, nn_random *r)
{
    nn_id in[3];
    operands(g, r, in);
    return nn_add(g, &nn_op_cross_entropy_grad, NULL,
                  (nn_id[]){ in[0], in[1], in[2], nn_random_input(g, r, NN_SCALAR, -1, 1) }, 4);
}

const nn_op nn_op_cross_entropy = { .name = "cross_entropy",
                                    .min_in = 2,
                                    .max_in = 3,
                                    .infer = infer,
                                    .ref = ref,
                                    .gradient = gradient,
                                    .random = generate };
const nn_op nn_op_cross_entropy_grad = { .name = "cross_entropy_grad",
                                         .min_in = 2,
                                         .max_in = 4,
                                         .infer = infer_grad,
                                         .ref = ref_grad,
                                         .random = generate_grad };
