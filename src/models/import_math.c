/* Foreign arithmetic: elementwise operators, reductions, softmax, choices. */
#include <math.h>

#include "models/import.h"

/* ---- on numbers that are known now ---- */
static double binary_number(int kind, double a, double b, bool is_int)
{
    switch (kind) {
    case NN_ADD:
        return a + b;
    case NN_SUB:
        return a - b;
    case NN_MUL:
        return a * b;
    case NN_DIV:
        return is_int ? trunc(a / b) : a / b;
    case NN_MAX:
        return SM_MAX(a, b);
    case NN_MIN:
        return SM_MIN(a, b);
    case NN_POW:
        return pow(a, b);
    case IMP_MOD:
        return a - floor(a / b) * b;
    case IMP_FLOOR_DIV:
        return floor(a / b);
    case IMP_SQUARED_DIFFERENCE:
        return (a - b) * (a - b);
    case IMP_EQUAL:
        return a == b;
    case IMP_LESS:
        return a < b;
    case IMP_GREATER:
        return a > b;
    case IMP_AND:
        return a != 0 && b != 0;
    default:
        return a != 0 || b != 0;
    }
}

static int binary_numbers(importer *m, int kind, const imp_value *a, const double *x, const imp_value *b,
                          const double *y)
{
    const bool is_int = a->is_int || b->is_int || kind >= IMP_EQUAL;
    nn_shape s;
    double *out;
    int64_t n;
    int err = imp_broadcast(m, &a->shape, &b->shape, &s);
    if (err < 0)
        return err;
    n = nn_elements(&s);
    x = imp_expand_numbers(m, x, &a->shape, &s);
    y = imp_expand_numbers(m, y, &b->shape, &s);
    out = imp_room(m, n);
    if (!x || !y || !out)
        return SM_ENOMEM;
    for (int64_t i = 0; i < n; i++) {
        const double v = binary_number(kind, x[i], y[i], is_int);
        out[i] = is_int ? v : (double)(float)v;
    }
    return imp_give_numbers(m, 0, &s, out, is_int);
}

static double unary_number(int kind, double x, double alpha, double beta)
{
    switch (kind) {
    case NN_RELU:
        return SM_MAX(x, 0);
    case NN_SIGMOID:
        return 1 / (1 + exp(-x));
    case NN_TANH:
        return tanh(x);
    case NN_EXP:
        return exp(x);
    case NN_LOG:
        return log(x);
    case NN_SQRT:
        return sqrt(x);
    case NN_RSQRT:
        return 1 / sqrt(x);
    case NN_ABS:
        return fabs(x);
    case NN_NEG:
        return -x;
    case NN_SQUARE:
        return x * x;
    case NN_RECIPROCAL:
        return 1 / x;
    case NN_SIN:
        return sin(x);
    case NN_COS:
        return cos(x);
    case NN_CLIP:
        return SM_CLAMP(x, alpha, beta);
    case IMP_FLOOR:
        return floor(x);
    case IMP_CEIL:
        return ceil(x);
    case IMP_NOT:
        return x == 0;
    default:
        return NAN;
    }
}

/* ---- two operands ---- */
static bool is_constant(const imp_value *v)
{
    return v->source || v->numbers;
}

/* A vector along the channels of channel-last x: [C], [1, C], [1, 1, 1, C]. */
static bool is_channel_vector(const imp_value *v, const imp_value *x)
{
    const int rank = v->shape.rank;
    return is_constant(v) && rank >= 1 && rank <= x->shape.rank &&
           v->shape.dim[rank - 1] == x->shape.dim[x->shape.rank - 1] &&
           nn_elements(&v->shape) == v->shape.dim[rank - 1];
}

static nn_id as_vector(importer *m, imp_value *v)
{
    const nn_id id = imp_node(m, v);
    return v->shape.rank == 1 ? id : nn_reshape(m->g, id, NN_SHAPE(nn_elements(&v->shape)));
}

static nn_id filled_vector(importer *m, int64_t n, float value)
{
    float *x = sm_arena_get(m->arena, (size_t)n, sizeof *x, 64);
    for (int64_t i = 0; x && i < n; i++)
        x[i] = value;
    return x ? nn_const_f32(m->g, NN_SHAPE(n), x) : NN_NONE;
}

/* x (channel-first twin) times or plus a vector along its channels; a norm written as Mul, Add becomes one step. */
static int channel_step(importer *m, int kind, imp_value *x, imp_value *v)
{
    const nn_id vector = as_vector(m, v);
    const int64_t c = nn_elements(&v->shape);
    imp_value *out;
    if (kind == NN_MUL) {
        out = imp_give_twin(m, 0, nn_affine(m->g, imp_twin(m, x), vector, filled_vector(m, c, 0), 1));
        if (out) {
            out->scaled_from = imp_twin(m, x);
            out->scale = vector;
        }
    } else if (x->scaled_from != NN_NONE) {
        out = imp_give_twin(m, 0, nn_affine(m->g, x->scaled_from, x->scale, vector, 1));
    } else if (x->conv) {
        out = imp_give_twin(m, 0, nn_conv(m->g, x->conv->x, x->conv->w, vector, &x->conv->attrs));
    } else {
        out = imp_give_twin(m, 0, nn_affine(m->g, imp_twin(m, x), filled_vector(m, c, 1), vector, 1));
    }
    return imp_given(m, out);
}

static int binary_nodes(importer *m, int kind, imp_value *a, imp_value *b)
{
    const bool swap = (kind == NN_ADD || kind == NN_MUL) && is_constant(a);
    imp_value *x = swap ? b : a, *y = swap ? a : b;
    if (kind == NN_MUL && (a->sigmoid_of == b || b->sigmoid_of == a)) { /* x * sigmoid(x), as PyTorch exports it */
        imp_value *from = a->sigmoid_of == b ? b : a;
        return imp_given(m, from->twin != NN_NONE ? imp_give_twin(m, 0, nn_unary(m->g, NN_SWISH, from->twin))
                                                  : imp_give(m, 0, nn_unary(m->g, NN_SWISH, imp_node(m, from))));
    }
    if (x->twin != NN_NONE && x->shape.rank >= 3) {
        if ((kind == NN_ADD || kind == NN_MUL) && is_channel_vector(y, x))
            return channel_step(m, kind, x, y);
        if (y->twin != NN_NONE && nn_shape_equal(&x->shape, &y->shape))
            return imp_given(m, imp_give_twin(m, 0, nn_binary(m->g, kind, x->twin, y->twin)));
        if (is_constant(y) && nn_elements(&y->shape) == 1 && y->shape.rank <= 1)
            return imp_given(m, imp_give_twin(m, 0, nn_binary(m->g, kind, x->twin, imp_node(m, y))));
    }
    return imp_given(m, imp_give(m, 0, nn_binary(m->g, kind, imp_node(m, a), imp_node(m, b))));
}

/* Sum, Max, Min of ONNX take any number of operands. */
static int many(importer *m, int kind)
{
    imp_value *v;
    nn_id sum = NN_NONE;
    for (size_t i = 0; i < imp_inputs(m); i++) {
        const int err = imp_need(m, i, &v);
        if (err < 0)
            return err;
        sum = i == 0 ? imp_node(m, v) : nn_binary(m->g, kind, sum, imp_node(m, v));
    }
    return imp_given(m, imp_give(m, 0, sum));
}

int imp_binary(importer *m, const imp_op *op)
{
    imp_value *a, *b;
    const double *x, *y;
    int err;
    if (imp_inputs(m) != 2)
        return many(m, op->kind);
    if ((err = imp_need(m, 0, &a)) < 0 || (err = imp_need(m, 1, &b)) < 0)
        return err;
    x = imp_numbers(m, a);
    y = imp_numbers(m, b);
    if (x && y)
        return binary_numbers(m, op->kind, a, x, b, y);
    if (op->kind == IMP_SQUARED_DIFFERENCE) {
        const nn_id d = nn_binary(m->g, NN_SUB, imp_node(m, a), imp_node(m, b));
        return imp_given(m, imp_give(m, 0, nn_unary(m->g, NN_SQUARE, d)));
    }
    if (op->kind >= NN_BINARY_KINDS)
        return imp_fail(m, "on data rather than on shapes");
    return binary_nodes(m, op->kind, a, b);
}

/* ---- one operand ---- */
int imp_unary(importer *m, const imp_op *op)
{
    int kind = op->kind == IMP_RELU6 ? NN_CLIP : op->kind, err;
    const double alpha = kind == NN_CLIP ? 0
                                         : imp_attr_float(m, "alpha",
                                                          kind == NN_LEAKY_RELU     ? imp_is_tf(m) ? 0.2 : 0.01
                                                          : kind == NN_HARD_SIGMOID ? 0.2
                                                                                    : 1);
    const double beta = kind == NN_CLIP ? 6 : imp_attr_float(m, "beta", 0.5);
    const double *x;
    imp_value *v;
    if ((err = imp_need(m, 0, &v)) < 0)
        return err;
    if (kind == NN_GELU && imp_attr_text(m, "approximate", "none")[0] == 't')
        kind = NN_GELU_TANH;
    if ((x = imp_numbers(m, v)) && !isnan(unary_number(kind, 1, alpha, beta))) {
        const int64_t n = nn_elements(&v->shape);
        double *out = imp_room(m, n);
        for (int64_t i = 0; out && i < n; i++)
            out[i] = unary_number(kind, x[i], alpha, beta);
        return out ? imp_give_numbers(m, 0, &v->shape, out, v->is_int || kind >= NN_UNARY_KINDS) : SM_ENOMEM;
    }
    if (kind >= NN_UNARY_KINDS)
        return imp_fail(m, "on data rather than on shapes");
    imp_value *out = v->twin != NN_NONE
                         ? imp_give_twin(m, 0, nn_unary_with(m->g, kind, v->twin, (float)alpha, (float)beta))
                         : imp_give(m, 0, nn_unary_with(m->g, kind, imp_node(m, v), (float)alpha, (float)beta));
    if (out && kind == NN_SIGMOID)
        out->sigmoid_of = v;
    return imp_given(m, out);
}

int imp_clip(importer *m, const imp_op *op)
{
    double bound[2] = { imp_attr_float(m, "min", -INFINITY), imp_attr_float(m, "max", INFINITY) };
    imp_value *v;
    int err = imp_need(m, 0, &v);
    (void)op;
    for (size_t i = 0; i < 2 && err == 0; i++) {
        imp_value *b = imp_in(m, 1 + i);
        const double *x = imp_numbers(m, b);
        if (b && !x)
            return imp_fail(m, "bounds must be known before running");
        if (x)
            bound[i] = x[0];
    }
    if (err < 0)
        return err;
    return imp_given(m, imp_give(m, 0, nn_unary_with(m->g, NN_CLIP, imp_node(m, v), (float)bound[0], (float)bound[1])));
}

int imp_prelu(importer *m, const imp_op *op)
{
    imp_value *x, *slope;
    int err;
    (void)op;
    if ((err = imp_need(m, 0, &x)) < 0 || (err = imp_need(m, 1, &slope)) < 0)
        return err;
    const nn_id low = nn_unary(m->g, NN_RELU, nn_unary(m->g, NN_NEG, imp_node(m, x)));
    const nn_id part = nn_binary(m->g, NN_MUL, low, imp_node(m, slope));
    return imp_given(m, imp_give(m, 0, nn_binary(m->g, NN_SUB, nn_unary(m->g, NN_RELU, imp_node(m, x)), part)));
}

int imp_softmax(importer *m, const imp_op *op)
{
    const bool old = !imp_is_tf(m) && m->f->opset < 13; /* then everything from `axis` on is one axis */
    imp_value *v;
    int axis, err;
    (void)op;
    if ((err = imp_need(m, 0, &v)) < 0)
        return err;
    if ((err = imp_axis(m, imp_is_tf(m) ? -1 : imp_attr_int(m, "axis", old ? 1 : -1), v->shape.rank, &axis)) < 0)
        return err;
    if (old && axis < v->shape.rank - 1) {
        int64_t rows = 1;
        for (int k = 0; k < axis; k++)
            rows *= v->shape.dim[k];
        const nn_id flat = nn_reshape(m->g, imp_node(m, v), NN_SHAPE(rows, -1));
        return imp_given(m, imp_give(m, 0, nn_reshape(m->g, nn_softmax(m->g, flat, 1), v->shape)));
    }
    return imp_given(m, imp_give(m, 0, nn_softmax(m->g, imp_node(m, v), axis)));
}

/* condition ? x : y with a condition that is known now: c x + (1 - c) y, where y, if known too, may hold infinities. */
int imp_where(importer *m, const imp_op *op)
{
    imp_value *c, *x, *y;
    const double *cn, *xn, *yn;
    nn_shape s;
    double *pick, *rest;
    int64_t n;
    int err;
    (void)op;
    if ((err = imp_need(m, 0, &c)) < 0 || (err = imp_need(m, 1, &x)) < 0 || (err = imp_need(m, 2, &y)) < 0)
        return err;
    if (!(cn = imp_numbers(m, c)))
        return imp_fail(m, "with a condition that depends on data");
    if ((err = imp_broadcast(m, &x->shape, &y->shape, &s)) < 0 || (err = imp_broadcast(m, &s, &c->shape, &s)) < 0)
        return err;
    n = nn_elements(&s);
    cn = imp_expand_numbers(m, cn, &c->shape, &s);
    xn = imp_numbers(m, x) ? imp_expand_numbers(m, imp_numbers(m, x), &x->shape, &s) : NULL;
    yn = imp_numbers(m, y) ? imp_expand_numbers(m, imp_numbers(m, y), &y->shape, &s) : NULL;
    pick = imp_room(m, n);
    rest = imp_room(m, n);
    if (!cn || !pick || !rest)
        return imp_fail(m, "no room for %lld numbers", (long long)n);
    for (int64_t i = 0; i < n; i++) {
        pick[i] = xn && yn ? (cn[i] != 0 ? xn[i] : yn[i]) : cn[i] != 0;
        rest[i] = xn ? (cn[i] != 0 ? xn[i] : 0) : yn ? (cn[i] != 0 ? 0 : yn[i]) : cn[i] == 0;
    }
    if (xn && yn)
        return imp_give_numbers(m, 0, &s, pick, x->is_int && y->is_int);
    for (int64_t i = 0; xn && i < n; i++)
        pick[i] = cn[i] == 0;
    imp_value mask = { .name = "", .shape = s, .numbers = pick, .id = NN_NONE, .twin = NN_NONE };
    imp_value other = { .name = "", .shape = s, .numbers = rest, .id = NN_NONE, .twin = NN_NONE };
    nn_id kept = nn_binary(m->g, NN_MUL, imp_node(m, xn ? y : x), imp_node(m, &mask));
    nn_id added = imp_node(m, &other);
    if (!xn && !yn)
        added = nn_binary(m->g, NN_MUL, imp_node(m, y), added);
    return imp_given(m, imp_give(m, 0, nn_binary(m->g, NN_ADD, kept, added)));
}

/* ---- reductions ---- */
static int reduce_axes(importer *m, int rank, uint32_t *axes)
{
    int64_t list[NN_MAX_RANK];
    int n = imp_attr_ints(m, "axes", list, NN_MAX_RANK);
    *axes = 0;
    if (n == 0 && imp_in(m, 1) && (n = imp_ints(m, 1, list, NN_MAX_RANK)) < 0)
        return n;
    for (int i = 0; i < n; i++) {
        int axis;
        const int err = imp_axis(m, list[i], rank, &axis);
        if (err < 0)
            return err;
        *axes |= 1u << axis;
    }
    if (n == 0 && !imp_attr_int(m, "noop_with_empty_axes", 0) && !(imp_is_tf(m) && imp_in(m, 1)))
        *axes = (1u << rank) - 1;
    return 0;
}

static double reduce_number(int kind, double a, double b)
{
    return kind == IMP_REDUCE_PROD ? a * b
           : kind == NN_REDUCE_MAX ? SM_MAX(a, b)
           : kind == NN_REDUCE_MIN ? SM_MIN(a, b)
                                   : a + b;
}

/* Known numbers, over all axes (products of shapes). */
static int reduce_numbers(importer *m, int kind, const imp_value *v, const double *x, bool keep)
{
    const int64_t n = nn_elements(&v->shape);
    nn_shape s = keep ? v->shape : NN_SCALAR;
    double *out = imp_room(m, 1);
    if (!out)
        return SM_ENOMEM;
    out[0] = n > 0 ? x[0] : kind == IMP_REDUCE_PROD;
    for (int64_t i = 1; i < n; i++)
        out[0] = reduce_number(kind, out[0], x[i]);
    if (kind == NN_REDUCE_MEAN && n > 0)
        out[0] /= (double)n;
    for (int k = 0; k < s.rank; k++)
        s.dim[k] = 1;
    return imp_give_numbers(m, 0, &s, out, v->is_int);
}

int imp_reduce(importer *m, const imp_op *op)
{
    const bool keep = imp_is_tf(m) ? imp_attr_int(m, "keep_dims", 0) : imp_attr_int(m, "keepdims", 1);
    imp_value *v;
    const double *x;
    uint32_t axes, spatial;
    int err, rank;
    if ((err = imp_need(m, 0, &v)) < 0 || (err = reduce_axes(m, rank = v->shape.rank, &axes)) < 0)
        return err;
    if (axes == 0)
        return imp_give_alias(m, 0, v);
    x = imp_numbers(m, v);
    if (x && axes == (1u << rank) - 1)
        return reduce_numbers(m, op->kind, v, x, keep);
    if (op->kind >= NN_REDUCE_KINDS)
        return imp_fail(m, "on data rather than on shapes");
    /* over the picture of a channel-last image: the twin gives the same [N, C] */
    spatial = rank >= 3 ? ((1u << rank) - 1) & ~1u & ~(1u << (rank - 1)) : 0;
    if (v->twin != NN_NONE && axes == spatial) {
        const nn_id id = nn_reduce(m->g, op->kind, v->twin, axes << 1, keep);
        return imp_given(m, keep ? imp_give_twin(m, 0, id) : imp_give(m, 0, id));
    }
    return imp_given(m, imp_give(m, 0, nn_reduce(m->g, op->kind, imp_node(m, v), axes, keep)));
}
