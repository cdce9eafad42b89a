/* Foreign operators that change a tensor's shape or make constants; on shapes they are computed here. */
#include <math.h>
#include <string.h>

#include "models/import.h"

int imp_identity(importer *m, const imp_op *op)
{
    imp_value *v;
    const int err = imp_need(m, 0, &v);
    (void)op;
    return err < 0 ? err : imp_give_alias(m, 0, v);
}

/* To whole numbers only where numbers are known; between kinds of floating point nothing changes here. */
int imp_cast(importer *m, const imp_op *op)
{
    /* TensorFlow's is one of our types; ONNX has numbers: 1 float, 10 half, 11 double, 16 bfloat16, 9 boolean */
    const int64_t to = imp_attr_int(m, imp_is_tf(m) ? "DstT" : "to", imp_is_tf(m) ? NN_F32 : 1);
    const bool to_float = imp_is_tf(m) ? to == NN_F32 || to == NN_F64 || to == NN_F16 || to == NN_BF16
                                       : to == 1 || to == 10 || to == 11 || to == 16;
    const bool to_bool = to == (imp_is_tf(m) ? NN_BOOL : 9);
    imp_value *v;
    const double *x;
    int err;
    (void)op;
    if ((err = imp_need(m, 0, &v)) < 0)
        return err;
    if ((x = imp_numbers(m, v))) {
        const int64_t n = nn_elements(&v->shape);
        double *out = imp_room(m, n);
        for (int64_t i = 0; out && i < n; i++)
            out[i] = to_float ? x[i] : to_bool ? x[i] != 0 : trunc(x[i]);
        return out ? imp_give_numbers(m, 0, &v->shape, out, !to_float) : SM_ENOMEM;
    }
    return to_float ? imp_give_alias(m, 0, v) : imp_fail(m, "of data to whole numbers");
}

/* A tensor attribute's numbers. */
static const double *tensor_numbers(importer *m, const nn_tensor *t)
{
    const int64_t n = nn_elements(&t->shape);
    double *x = imp_room(m, n);
    for (int64_t i = 0; x && i < n; i++) {
        switch (t->type) {
        case NN_F32:
            x[i] = ((const float *)t->data)[i];
            break;
        case NN_F64:
            x[i] = ((const double *)t->data)[i];
            break;
        case NN_I64:
            x[i] = (double)((const int64_t *)t->data)[i];
            break;
        case NN_I32:
            x[i] = ((const int32_t *)t->data)[i];
            break;
        case NN_BOOL:
        case NN_U8:
            x[i] = ((const uint8_t *)t->data)[i];
            break;
        default:
            return NULL;
        }
    }
    return x;
}

int imp_constant(importer *m, const imp_op *op)
{
    const sm_foreign_attr *a = sm_foreign_attr_find(m->node, "value");
    double *x = NULL;
    (void)op;
    if (a && a->kind == SM_ATTR_TENSOR) {
        const double *t = tensor_numbers(m, &a->tensor);
        return t ? imp_give_numbers(m, 0, &a->tensor.shape, t, a->tensor.type != NN_F32 && a->tensor.type != NN_F64)
                 : imp_fail(m, "a constant of type %s", nn_type_name(a->tensor.type));
    }
    for (size_t i = 0; i < m->node->n_attrs; i++) {
        a = &m->node->attrs[i];
        const bool list = a->kind == SM_ATTR_INTS || a->kind == SM_ATTR_FLOATS;
        const int64_t n = list ? (int64_t)a->n : 1;
        const nn_shape s = list ? NN_SHAPE(n) : NN_SCALAR;
        if (strncmp(a->name, "value", 5) || !(x = imp_room(m, n)))
            continue;
        for (int64_t k = 0; k < n; k++)
            x[k] = a->kind == SM_ATTR_INTS     ? (double)a->ints[k]
                   : a->kind == SM_ATTR_FLOATS ? a->floats[k]
                   : a->kind == SM_ATTR_INT    ? (double)a->i
                                               : a->f;
        return imp_give_numbers(m, 0, &s, x, a->kind == SM_ATTR_INTS || a->kind == SM_ATTR_INT);
    }
    return imp_fail(m, "without a value");
}

/* ONNX ConstantOfShape(shape), value as attribute; TensorFlow Fill(dims, value). */
int imp_filled(importer *m, const imp_op *op)
{
    const sm_foreign_attr *a = sm_foreign_attr_find(m->node, "value");
    const double *t = a && a->kind == SM_ATTR_TENSOR ? tensor_numbers(m, &a->tensor) : imp_numbers(m, imp_in(m, 1));
    const double value = t ? t[0] : 0;
    const bool is_int = a ? a->tensor.type != NN_F32 : imp_in(m, 1) && imp_in(m, 1)->is_int;
    nn_shape s = { 0 };
    int64_t n;
    double *x;
    (void)op;
    if ((s.rank = imp_ints(m, 0, s.dim, NN_MAX_RANK)) < 0)
        return s.rank;
    n = nn_elements(&s);
    if (n < 0 || n > (1 << 22) || !(x = imp_room(m, n)))
        return imp_fail(m, "%lld numbers", (long long)n);
    for (int64_t i = 0; i < n; i++)
        x[i] = value;
    return imp_give_numbers(m, 0, &s, x, is_int);
}

int imp_shape(importer *m, const imp_op *op)
{
    imp_value *v;
    double *x;
    nn_shape s;
    int err = imp_need(m, 0, &v);
    if (err < 0)
        return err;
    if (!(x = imp_room(m, NN_MAX_RANK + 1)))
        return SM_ENOMEM;
    for (int k = 0; k < v->shape.rank; k++)
        x[k] = (double)v->shape.dim[k];
    s = NN_SHAPE(v->shape.rank);
    if (op->kind == 1) {
        x[0] = (double)nn_elements(&v->shape);
        s = NN_SCALAR;
    } else {
        int64_t start = imp_attr_int(m, "start", 0), end = imp_attr_int(m, "end", v->shape.rank);
        start = SM_CLAMP(start < 0 ? start + v->shape.rank : start, 0, v->shape.rank);
        end = SM_CLAMP(end < 0 ? end + v->shape.rank : end, start, v->shape.rank);
        x += start;
        s.dim[0] = end - start;
    }
    return imp_give_numbers(m, 0, &s, x, true);
}

int imp_range(importer *m, const imp_op *op)
{
    imp_value *v[3];
    const double *x[3];
    double *out;
    int64_t n;
    (void)op;
    for (size_t i = 0; i < 3; i++) {
        const int err = imp_need(m, i, &v[i]);
        if (err < 0)
            return err;
        if (!(x[i] = imp_numbers(m, v[i])))
            return imp_fail(m, "bounds must be known before running");
    }
    const double steps = ceil((x[1][0] - x[0][0]) / x[2][0]);
    if (!(steps >= 0 && steps <= 1 << 22))
        return imp_fail(m, "of %g numbers", steps);
    n = (int64_t)steps;
    if (!(out = imp_room(m, n)))
        return SM_ENOMEM;
    for (int64_t i = 0; i < n; i++)
        out[i] = x[0][0] + (double)i * x[2][0];
    return imp_give_numbers(m, 0, &NN_SHAPE(n), out, v[0]->is_int);
}

/* ---- the same elements under another shape ---- */
static int reshaped(importer *m, imp_value *v, const nn_shape *s)
{
    const double *x = v->source ? NULL : imp_numbers(m, v);
    if (x)
        return imp_give_numbers(m, 0, s, x, v->is_int);
    if (v->source && nn_elements(&v->shape) <= IMP_KNOWN_LIMIT && (x = imp_numbers(m, v)))
        return imp_give_numbers(m, 0, s, x, v->is_int);
    return imp_given(m, imp_give(m, 0, nn_reshape(m->g, imp_node(m, v), *s)));
}

int imp_reshape(importer *m, const imp_op *op)
{
    const bool copy_zero = !imp_is_tf(m) && !imp_attr_int(m, "allowzero", 0);
    int64_t known = 1;
    nn_shape s = { 0 };
    imp_value *v;
    int err, open = -1;
    (void)op;
    if ((err = imp_need(m, 0, &v)) < 0)
        return err;
    s.rank = imp_in(m, 1) ? imp_ints(m, 1, s.dim, NN_MAX_RANK) : imp_attr_ints(m, "shape", s.dim, NN_MAX_RANK);
    if (s.rank < 0)
        return s.rank;
    for (int k = 0; k < s.rank; k++) {
        if (s.dim[k] == 0 && copy_zero && k < v->shape.rank)
            s.dim[k] = v->shape.dim[k];
        if (s.dim[k] < 0)
            open = k;
        else
            known *= s.dim[k];
    }
    if (open >= 0)
        s.dim[open] = known > 0 ? nn_elements(&v->shape) / known : 0;
    if (nn_elements(&s) != nn_elements(&v->shape)) {
        char from[96], to[96];
        return imp_fail(m, "%s does not become %s", nn_shape_text(&v->shape, from), nn_shape_text(&s, to));
    }
    return reshaped(m, v, &s);
}

int imp_flatten(importer *m, const imp_op *op)
{
    int64_t axis = imp_attr_int(m, "axis", 1), rows = 1;
    imp_value *v;
    int err;
    (void)op;
    if ((err = imp_need(m, 0, &v)) < 0)
        return err;
    axis = SM_CLAMP(axis < 0 ? axis + v->shape.rank : axis, 0, v->shape.rank);
    for (int k = 0; k < axis; k++)
        rows *= v->shape.dim[k];
    return reshaped(m, v, &NN_SHAPE(rows, rows > 0 ? nn_elements(&v->shape) / rows : 0));
}

/* The axes of Squeeze and Unsqueeze as bits: an attribute, or the second input. */
static int listed_axes(importer *m, int rank, uint32_t *axes)
{
    int64_t list[NN_MAX_RANK];
    int n = imp_attr_ints(m, imp_is_tf(m) ? "squeeze_dims" : "axes", list, NN_MAX_RANK);
    *axes = 0;
    if (n == 0 && imp_is_tf(m))
        n = imp_attr_ints(m, "axis", list, NN_MAX_RANK);
    if (n == 0 && imp_in(m, 1) && (n = imp_ints(m, 1, list, NN_MAX_RANK)) < 0)
        return n;
    for (int i = 0; i < n; i++) {
        int axis;
        const int err = imp_axis(m, list[i], rank, &axis);
        if (err < 0)
            return err;
        *axes |= 1u << axis;
    }
    return n;
}

int imp_squeeze(importer *m, const imp_op *op)
{
    imp_value *v;
    nn_shape s = { 0 }, twin = { 0 };
    uint32_t axes;
    int err, rank;
    (void)op;
    if ((err = imp_need(m, 0, &v)) < 0 || (err = listed_axes(m, rank = v->shape.rank, &axes)) < 0)
        return err;
    for (int k = 0; k < rank; k++) {
        if (err == 0 && v->shape.dim[k] == 1)
            axes |= 1u << k;
        if (!(axes >> k & 1))
            s.dim[s.rank++] = v->shape.dim[k];
        else if (v->shape.dim[k] != 1)
            return imp_fail(m, "axis %d has %lld elements", k, (long long)v->shape.dim[k]);
    }
    /* a picture that loses one of its two axes stays channel-first: [N, C, T, 1] to [N, C, T] */
    if (v->twin != NN_NONE && s.rank >= 3 && !(axes & 1) && !(axes >> (rank - 1) & 1)) {
        twin = (nn_shape){ s.rank, { s.dim[0], s.dim[s.rank - 1] } };
        for (int k = 2; k < s.rank; k++)
            twin.dim[k] = s.dim[k - 1];
        return imp_given(m, imp_give_twin(m, 0, nn_reshape(m->g, v->twin, twin)));
    }
    return reshaped(m, v, &s);
}

int imp_unsqueeze(importer *m, const imp_op *op)
{
    imp_value *v;
    nn_shape s;
    uint32_t axes;
    int64_t list[NN_MAX_RANK];
    int err, n, from = 0;
    (void)op;
    if ((err = imp_need(m, 0, &v)) < 0)
        return err;
    n = imp_in(m, 1) ? imp_ints(m, 1, list, NN_MAX_RANK) : imp_attr_ints(m, "axes", list, NN_MAX_RANK);
    if (n < 0 || v->shape.rank + n > NN_MAX_RANK)
        return n < 0 ? n : imp_fail(m, "more than %d axes", NN_MAX_RANK);
    if ((err = listed_axes(m, v->shape.rank + n, &axes)) < 0)
        return err;
    s.rank = v->shape.rank + n;
    for (int k = 0; k < s.rank; k++)
        s.dim[k] = axes >> k & 1 ? 1 : from < v->shape.rank ? v->shape.dim[from++] : 1;
    return reshaped(m, v, &s);
}

int imp_transpose(importer *m, const imp_op *op)
{
    int64_t perm[NN_MAX_RANK];
    int order[NN_MAX_RANK], n, err;
    const double *x;
    nn_shape s;
    imp_value *v;
    (void)op;
    if ((err = imp_need(m, 0, &v)) < 0)
        return err;
    n = imp_is_tf(m) ? imp_ints(m, 1, perm, NN_MAX_RANK) : imp_attr_ints(m, "perm", perm, NN_MAX_RANK);
    s.rank = v->shape.rank;
    if (n < 0 || (n != 0 && n != s.rank))
        return n < 0 ? n : imp_fail(m, "%d axes of a tensor of rank %d", n, s.rank);
    for (int k = 0; k < s.rank; k++) {
        if ((err = imp_axis(m, n ? perm[k] : s.rank - 1 - k, s.rank, &order[k])) < 0)
            return err;
        s.dim[k] = v->shape.dim[order[k]];
    }
    if (v->source && !strchr(v->source, '#')) { /* a weight: transposed once, when it is read */
        char digits[NN_MAX_RANK + 1] = { 0 };
        for (int k = 0; k < s.rank; k++)
            digits[k] = (char)('0' + order[k]);
        imp_value t = { .shape = s,
                        .source = nn_name(m->g, "%s#%s", v->source, digits),
                        .id = NN_NONE,
                        .twin = NN_NONE,
                        .padded_from = NN_NONE,
                        .scaled_from = NN_NONE,
                        .scale = NN_NONE,
                        .is_int = v->is_int };
        return imp_give_alias(m, 0, &t);
    }
    if ((x = imp_numbers(m, v))) {
        x = imp_transpose_numbers(m, x, &v->shape, order);
        return x ? imp_give_numbers(m, 0, &s, x, v->is_int) : SM_ENOMEM;
    }
    return imp_given(m, imp_give(m, 0, nn_permute(m->g, imp_node(m, v), order)));
}

/* x broadcast to a larger shape: plus zeros that are long only where x is not. */
static int broadcast_node(importer *m, imp_value *v, const nn_shape *to)
{
    nn_shape s = { .rank = to->rank };
    for (int k = 0; k < to->rank; k++) {
        const int own = k - (to->rank - v->shape.rank);
        s.dim[k] = own < 0 || v->shape.dim[own] == 1 ? to->dim[k] : 1;
    }
    imp_value zeros = {
        .name = "", .shape = s, .numbers = imp_room(m, nn_elements(&s)), .id = NN_NONE, .twin = NN_NONE
    };
    if (!zeros.numbers)
        return imp_fail(m, "no room for %lld zeros", (long long)nn_elements(&s));
    return imp_given(m, imp_give(m, 0, nn_binary(m->g, NN_ADD, imp_node(m, v), imp_node(m, &zeros))));
}

static int tile_numbers(importer *m, imp_value *v, const nn_shape *repeats)
{
    const double *x = v->numbers, *parts[64];
    nn_shape s = v->shape, shapes[64];
    for (int k = 0; k < s.rank && k < repeats->rank; k++) {
        const int64_t n = repeats->dim[k];
        if (s.dim[k] == 1 && n > 1) {
            nn_shape wide = s;
            wide.dim[k] = n;
            if (!(x = imp_expand_numbers(m, x, &s, &wide)))
                return imp_fail(m, "too many numbers");
            s = wide;
            continue;
        }
        if (n < 1 || n > (int64_t)SM_LENGTH(parts))
            return imp_fail(m, "%lld repeats", (long long)n);
        for (int64_t i = 0; i < n; i++) {
            parts[i] = x;
            shapes[i] = s;
        }
        if (n > 1 && !(x = imp_concat_numbers(m, parts, shapes, (int)n, k)))
            return imp_fail(m, "too many numbers");
        s.dim[k] *= n;
    }
    return imp_give_numbers(m, 0, &s, x, v->is_int);
}

/* ONNX Expand(x, shape) broadcasts; Tile(x, repeats) repeats along each axis. */
int imp_expand(importer *m, const imp_op *op)
{
    nn_shape to = { 0 };
    imp_value *v;
    const double *x;
    nn_id id;
    int err;
    if ((err = imp_need(m, 0, &v)) < 0)
        return err;
    if ((to.rank = imp_ints(m, 1, to.dim, NN_MAX_RANK)) < 0)
        return to.rank;
    if (op->kind == 0) {
        if ((err = imp_broadcast(m, &v->shape, &to, &to)) < 0)
            return err;
        if (nn_shape_equal(&to, &v->shape))
            return imp_give_alias(m, 0, v);
        if ((v->numbers || nn_elements(&to) <= 1 << 20) && (x = imp_numbers(m, v))) { /* index tables */
            x = imp_expand_numbers(m, x, &v->shape, &to);
            return x ? imp_give_numbers(m, 0, &to, x, v->is_int) : SM_ENOMEM;
        }
        return broadcast_node(m, v, &to);
    }
    if (v->numbers)
        return tile_numbers(m, v, &to);
    bool ones = to.rank == v->shape.rank; /* only axes of one element are repeated: a broadcast */
    for (int k = 0; ones && k < to.rank; k++)
        ones = v->shape.dim[k] == 1 || to.dim[k] == 1;
    if (ones) {
        for (int k = 0; k < to.rank; k++)
            to.dim[k] *= v->shape.dim[k];
        return broadcast_node(m, v, &to);
    }
    id = imp_node(m, v);
    for (int k = 0; k < v->shape.rank && k < to.rank; k++) {
        nn_id parts[64];
        if (to.dim[k] < 1 || to.dim[k] > (int64_t)SM_LENGTH(parts))
            return imp_fail(m, "%lld repeats", (long long)to.dim[k]);
        for (int64_t i = 0; i < to.dim[k]; i++)
            parts[i] = id;
        id = to.dim[k] == 1 ? id : nn_concat(m->g, parts, (int)to.dim[k], k);
    }
    return imp_given(m, imp_give(m, 0, id));
}
