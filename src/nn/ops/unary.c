/* Functions of one number: activations and arithmetic. */
#include "nn/graph.h"

#include <math.h>
#include <string.h>

typedef double (*function)(double x, double alpha, double beta);

#define F(NAME, EXPRESSION)                                                                                            \
    static double f_##NAME(double x, double alpha, double beta)                                                        \
    {                                                                                                                  \
        (void)alpha, (void)beta;                                                                                       \
        return EXPRESSION;                                                                                             \
    }
F(relu, x > 0 ? x : x != x ? x : 0)
F(leaky_relu, x > 0 ? x : alpha * x)
F(elu, x > 0 ? x : alpha * expm1(x))
F(sigmoid, x >= 0 ? 1 / (1 + exp(-x)) : exp(x) / (1 + exp(x)))
F(tanh, tanh(x))
F(gelu, 0.5 * x * (1 + erf(x * 0.70710678118654752440)))
F(gelu_tanh, 0.5 * x * (1 + tanh(0.79788456080286535588 * (x + 0.044715 * x * x * x))))
F(swish, x *f_sigmoid(x, 0, 0))
F(exp, exp(x))
F(log, log(x))
F(sqrt, sqrt(x))
F(rsqrt, 1 / sqrt(x))
F(abs, fabs(x))
F(neg, -x)
F(square, x *x)
F(erf, erf(x))
F(sin, sin(x))
F(cos, cos(x))
F(clip, x<alpha ? alpha : x> beta ? beta : x)
F(hard_sigmoid, f_clip(alpha *x + beta, 0, 1))
F(hard_swish, x *f_clip(x / 6 + 0.5, 0, 1))
F(reciprocal, 1 / x)
F(softplus, x > 0 ? x + log1p(exp(-x)) : log1p(exp(x)))

/* Slopes: of the result (v is f(x)) where the table says so, else of the argument. At a kink: the slope from below. */
#define D(NAME, EXPRESSION)                                                                                            \
    static double d_##NAME(double v, double alpha, double beta)                                                        \
    {                                                                                                                  \
        (void)alpha, (void)beta;                                                                                       \
        return EXPRESSION;                                                                                             \
    }
D(relu, v > 0 ? 1 : 0)
D(leaky_relu, v > 0 ? 1 : alpha)
D(elu, v > 0 ? 1 : alpha * exp(v))
D(sigmoid, v *(1 - v))
D(tanh, 1 - v * v)
D(gelu, 0.5 * (1 + erf(v * 0.70710678118654752440)) + v * 0.39894228040143267794 * exp(-0.5 * v * v))
D(swish, f_sigmoid(v, 0, 0) * (1 + v * (1 - f_sigmoid(v, 0, 0))))
D(exp, v)
D(log, 1 / v)
D(sqrt, 0.5 / v)
D(rsqrt, -0.5 * v * v * v)
D(abs, v > 0 ? 1 : v < 0 ? -1 : 0)
D(neg, v - v - 1)
D(square, 2 * v)
D(erf, 1.1283791670955125739 * exp(-v * v))
D(cos, -sin(v))
D(clip, v > alpha && v <= beta ? 1 : 0)
D(hard_sigmoid, alpha *v + beta > 0 && alpha * v + beta < 1 ? alpha : 0)
D(hard_swish, v <= -3 ? 0 : v > 3 ? 1 : v / 3 + 0.5)
D(reciprocal, -v *v)

static double d_gelu_tanh(double v, double alpha, double beta)
{
    const double t = tanh(0.79788456080286535588 * (v + 0.044715 * v * v * v));
    (void)alpha, (void)beta;
    return 0.5 * (1 + t) + 0.5 * v * (1 - t * t) * 0.79788456080286535588 * (1 + 3 * 0.044715 * v * v);
}

/* low, high: where random tests draw from, so that the function is defined and well conditioned */
static const struct {
    function f;
    double low, high;
    function slope;
    bool by_result; /* the slope is a function of the result */
} kinds[] = {
    [NN_RELU] = { f_relu, -3, 3, d_relu, true },
    [NN_LEAKY_RELU] = { f_leaky_relu, -3, 3, d_leaky_relu, false },
    [NN_ELU] = { f_elu, -3, 3, d_elu, false },
    [NN_SIGMOID] = { f_sigmoid, -9, 9, d_sigmoid, true },
    [NN_TANH] = { f_tanh, -4, 4, d_tanh, true },
    [NN_GELU] = { f_gelu, -4, 4, d_gelu, false },
    [NN_GELU_TANH] = { f_gelu_tanh, -4, 4, d_gelu_tanh, false },
    [NN_SWISH] = { f_swish, -9, 9, d_swish, false },
    [NN_EXP] = { f_exp, -5, 5, d_exp, true },
    [NN_LOG] = { f_log, 0.05, 9, d_log, false },
    [NN_SQRT] = { f_sqrt, 0.05, 9, d_sqrt, true },
    [NN_RSQRT] = { f_rsqrt, 0.05, 9, d_rsqrt, true },
    [NN_ABS] = { f_abs, -3, 3, d_abs, false },
    [NN_NEG] = { f_neg, -3, 3, d_neg, false },
    [NN_SQUARE] = { f_square, -3, 3, d_square, false },
    [NN_ERF] = { f_erf, -3, 3, d_erf, false },
    [NN_SIN] = { f_sin, -9, 9, f_cos, false },
    [NN_COS] = { f_cos, -9, 9, d_cos, false },
    [NN_CLIP] = { f_clip, -3, 3, d_clip, false },
    [NN_HARD_SIGMOID] = { f_hard_sigmoid, -5, 5, d_hard_sigmoid, false },
    [NN_HARD_SWISH] = { f_hard_swish, -5, 5, d_hard_swish, false },
    [NN_RECIPROCAL] = { f_reciprocal, 0.1, 3, d_reciprocal, true },
    [NN_SOFTPLUS] = { f_softplus, -9, 9, f_sigmoid, false },
};
_Static_assert(SM_LENGTH(kinds) == NN_UNARY_KINDS, "a row for each kind");

double nn_unary_value(nn_unary_kind kind, double x, double alpha, double beta)
{
    return kinds[kind].f(x, alpha, beta);
}

bool nn_unary_by_result(nn_unary_kind kind)
{
    return kinds[kind].by_result;
}

double nn_unary_slope(nn_unary_kind kind, double v, double alpha, double beta)
{
    return kinds[kind].slope(v, alpha, beta);
}

static int infer(const nn_graph *g, nn_node *n)
{
    if ((unsigned)n->attrs.unary.kind >= NN_UNARY_KINDS)
        return sm_fail(SM_EUSAGE, "no such function: %d", (int)n->attrs.unary.kind);
    n->shape = nn_in(g, n, 0)->shape;
    return 0;
}

static void ref(const nn_call *c)
{
    const float *x = c->in[0].data;
    float *y = c->out.data;
    const function f = kinds[c->attrs->unary.kind].f;
    const int64_t n = nn_elements(&c->out.shape);
    for (int64_t i = 0; i < n; i++)
        y[i] = (float)f(x[i], (double)c->attrs->unary.alpha, (double)c->attrs->unary.beta);
}

nn_id nn_unary_with(nn_graph *g, nn_unary_kind kind, nn_id x, float alpha, float beta)
{
    nn_attrs a;
    memset(&a, 0, sizeof a);
    a.unary.kind = kind;
    a.unary.alpha = alpha;
    a.unary.beta = beta;
    return nn_add(g, &nn_op_unary, &a, &x, 1);
}

/* The usual parameters of the kinds that have any. */
nn_id nn_unary(nn_graph *g, nn_unary_kind kind, nn_id x)
{
    const float alpha = kind == NN_LEAKY_RELU ? 0.01f : kind == NN_ELU ? 1.0f : kind == NN_HARD_SIGMOID ? 0.2f : 0.0f;
    const float beta = kind == NN_HARD_SIGMOID ? 0.5f : kind == NN_CLIP ? 6.0f : 0.0f;
    return nn_unary_with(g, kind, x, alpha, beta);
}

static nn_id sink(nn_graph *g, nn_id node, const int *order)
{
    const nn_node n = *nn_at(g, node);
    const nn_id x = nn_unpermuted(g, n.inputs[0], order, n.shape.rank);
    return x == NN_NONE ? NN_NONE : nn_permute(g, nn_add(g, n.op, &n.attrs, &x, 1), order);
}

static void gradient(nn_graph *g, nn_id node, nn_id upstream, nn_id *inputs)
{
    const nn_node n = *nn_at(g, node);
    inputs[0] = n.attrs.unary.kind == NN_NEG
                    ? nn_unary(g, NN_NEG, upstream)
                    : nn_unary_grad(g, &n.attrs, nn_unary_by_result(n.attrs.unary.kind) ? node : n.inputs[0], upstream);
}

static nn_id generate(nn_graph *g, nn_random *r)
{
    const nn_unary_kind kind = (nn_unary_kind)nn_random_int(r, 0, NN_UNARY_KINDS - 1);
    const nn_shape shape =
        NN_SHAPE(nn_random_int(r, 1, 3), nn_random_int(r, 1, 20), nn_random_int(r, 1, 9), nn_random_int(r, 1, 9));
    const nn_id x = nn_random_input(g, r, shape, kinds[kind].low, kinds[kind].high);
    if (kind == NN_CLIP || kind == NN_HARD_SIGMOID)
        return nn_unary_with(g, kind, x, nn_random_float(r, 0.1, 0.5), nn_random_float(r, 0.6, 2));
    return nn_unary(g, kind, x);
}

const nn_op nn_op_unary = { .name = "unary",
                            .min_in = 1,
                            .max_in = 1,
                            .inplace = true,
                            .infer = infer,
                            .ref = ref,
                            .sink = sink,
                            .gradient = gradient,
                            .random = generate };
