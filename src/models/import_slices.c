/* Foreign operators that join, cut and extend tensors. */
#include <math.h>
#include <string.h>

#include "models/import.h"

enum { JOIN_LIMIT = 256 };

/* ---- joining ---- */
static int join_numbers(importer *m, imp_value *const *parts, int n, int axis)
{
    const double *x[JOIN_LIMIT];
    nn_shape shapes[JOIN_LIMIT], s = parts[0]->shape;
    bool is_int = true;
    s.dim[axis] = 0;
    for (int i = 0; i < n; i++) {
        if (!(x[i] = imp_numbers(m, parts[i])))
            return 1;
        if (parts[i]->shape.rank != s.rank)
            return imp_fail(m, "parts of ranks %d and %d", s.rank, parts[i]->shape.rank);
        shapes[i] = parts[i]->shape;
        for (int k = 0; k < s.rank; k++)
            if (k != axis && shapes[i].dim[k] != s.dim[k])
                return imp_fail(m, "parts differ along axis %d", k);
        s.dim[axis] += shapes[i].dim[axis];
        is_int = is_int && (parts[i]->is_int || nn_elements(&shapes[i]) == 0 || x[i][0] == floor(x[i][0]));
    }
    const double *all = imp_concat_numbers(m, x, shapes, n, axis);
    return all ? imp_give_numbers(m, 0, &s, all, is_int) : SM_ENOMEM;
}

int imp_concat(importer *m, const imp_op *op)
{
    int n = (int)imp_inputs(m) - (imp_is_tf(m) ? 1 : 0), axis, err, twins = 0;
    int64_t at = imp_attr_int(m, "axis", 0);
    imp_value *parts[JOIN_LIMIT];
    nn_id ids[JOIN_LIMIT];
    (void)op;
    if (n < 1 || n > JOIN_LIMIT)
        return imp_fail(m, "%d parts", n);
    if (imp_is_tf(m) && (err = imp_ints(m, (size_t)n, &at, 1)) < 0)
        return err;
    for (int i = 0; i < n; i++) {
        if ((err = imp_need(m, (size_t)i, &parts[i])) < 0)
            return err;
        twins += parts[i]->twin != NN_NONE;
    }
    if ((err = imp_axis(m, at, parts[0]->shape.rank, &axis)) < 0 || (err = join_numbers(m, parts, n, axis)) <= 0)
        return err;
    for (int i = 0; i < n; i++) {
        /* an empty part (torch's growing lists start so) has no node */
        ids[i] = twins == n ? parts[i]->twin : imp_node(m, parts[i]);
    }
    if (twins == n) {
        const int rank = parts[0]->shape.rank;
        return imp_given(m, imp_give_twin(m, 0,
                                          nn_concat(m->g, ids, n,
                                                    axis == 0          ? 0
                                                    : axis == rank - 1 ? 1
                                                                       : axis + 1)));
    }
    return imp_given(m, imp_give(m, 0, nn_concat(m->g, ids, n, axis)));
}

/* TensorFlow's Pack: stacks along a new axis. */
int imp_pack(importer *m, const imp_op *op)
{
    const int n = (int)imp_inputs(m);
    int axis, err;
    imp_value *parts[JOIN_LIMIT], views[JOIN_LIMIT], *list[JOIN_LIMIT] = { NULL };
    nn_id ids[JOIN_LIMIT];
    (void)op;
    if (n < 1 || n > JOIN_LIMIT)
        return imp_fail(m, "%d parts", n);
    for (int i = 0; i < n; i++)
        if ((err = imp_need(m, (size_t)i, &parts[i])) < 0)
            return err;
    if (parts[0]->shape.rank == NN_MAX_RANK ||
        (err = imp_axis(m, imp_attr_int(m, "axis", 0), parts[0]->shape.rank + 1, &axis)) < 0)
        return imp_fail(m, "of rank %d", parts[0]->shape.rank);
    for (int i = 0; i < n; i++) {
        nn_shape s = { .rank = parts[i]->shape.rank + 1 };
        for (int k = 0; k < s.rank; k++)
            s.dim[k] = k == axis ? 1 : parts[i]->shape.dim[k < axis ? k : k - 1];
        views[i] = (imp_value){ .name = "",
                                .shape = s,
                                .numbers = imp_numbers(m, parts[i]),
                                .id = NN_NONE,
                                .twin = NN_NONE,
                                .is_int = parts[i]->is_int };
        list[i] = &views[i];
    }
    if ((err = join_numbers(m, list, n, axis)) <= 0)
        return err;
    for (int i = 0; i < n; i++)
        ids[i] = nn_reshape(m->g, imp_node(m, parts[i]), views[i].shape);
    return imp_given(m, imp_give(m, 0, nn_concat(m->g, ids, n, axis)));
}

/* ---- cutting ---- */
typedef struct {
    int64_t begin, step, count;
} cut;

/* The value cut along some axes, then without the axes in `drop`. */
static int cut_value(importer *m, size_t output, imp_value *v, const cut *c, uint32_t drop)
{
    nn_shape s = v->shape, left = { 0 };
    const double *x = imp_numbers(m, v);
    nn_id id = x ? NN_NONE : imp_node(m, v);
    for (int k = 0; k < s.rank; k++) {
        if (c[k].count != s.dim[k] || c[k].step != 1) {
            if (x && !(x = imp_slice_numbers(m, x, &s, k, c[k].begin, c[k].step, c[k].count)))
                return SM_ENOMEM;
            if (!x && c[k].step < 1)
                return imp_fail(m, "backwards through data");
            if (!x)
                id = nn_slice(m->g, id, k, c[k].begin, c[k].begin + (c[k].count - 1) * c[k].step + 1, c[k].step);
            s.dim[k] = c[k].count;
        }
        if (!(drop >> k & 1))
            left.dim[left.rank++] = s.dim[k];
    }
    if (x)
        return imp_give_numbers(m, output, &left, x, v->is_int);
    if (left.rank != s.rank)
        id = nn_reshape(m->g, id, left);
    return id == imp_node(m, v) ? imp_give_alias(m, output, v) : imp_given(m, imp_give(m, output, id));
}

static void whole(const imp_value *v, cut *c)
{
    for (int k = 0; k < v->shape.rank; k++)
        c[k] = (cut){ 0, 1, v->shape.dim[k] };
}

/* [begin, end) by step with Python's meaning of negative and too large bounds. */
static cut clipped(int64_t begin, int64_t end, int64_t step, int64_t size)
{
    const int64_t low = step > 0 ? 0 : -1, high = step > 0 ? size : size - 1;
    step = SM_CLAMP(step, -(INT64_C(1) << 40), INT64_C(1) << 40);
    begin = SM_CLAMP(begin < 0 ? begin + size : begin, low, high);
    end = SM_CLAMP(end < 0 && end > -size - 1 ? end + size : end, low, high);
    const int64_t count = step > 0 ? (end - begin + step - 1) / step : (begin - end - step - 1) / -step;
    return (cut){ begin, step, SM_MAX(count, 0) };
}

int imp_slice(importer *m, const imp_op *op)
{
    int64_t begin[NN_MAX_RANK], end[NN_MAX_RANK], axes[NN_MAX_RANK], step[NN_MAX_RANK];
    cut c[NN_MAX_RANK];
    imp_value *v;
    int n, n_ends, n_axes, n_steps = 0, err;
    (void)op;
    if ((err = imp_need(m, 0, &v)) < 0)
        return err;
    if (imp_in(m, 1)) {
        if ((n = imp_ints(m, 1, begin, NN_MAX_RANK)) < 0)
            return n;
        if ((n_ends = imp_ints(m, 2, end, NN_MAX_RANK)) < 0)
            return n_ends;
        n_axes = imp_in(m, 3) ? imp_ints(m, 3, axes, NN_MAX_RANK) : 0;
        n_steps = imp_in(m, 4) ? imp_ints(m, 4, step, NN_MAX_RANK) : 0;
        if (n_axes < 0 || n_steps < 0)
            return SM_MIN(n_axes, n_steps);
    } else {
        n = imp_attr_ints(m, "starts", begin, NN_MAX_RANK);
        n_ends = imp_attr_ints(m, "ends", end, NN_MAX_RANK);
        n_axes = imp_attr_ints(m, "axes", axes, NN_MAX_RANK);
    }
    if (n_ends != n || (n_axes && n_axes != n) || (n_steps && n_steps != n))
        return imp_fail(m, "%d starts, %d ends, %d axes, %d steps", n, n_ends, n_axes, n_steps);
    whole(v, c);
    for (int i = 0; i < n; i++) {
        int axis;
        if ((err = imp_axis(m, i < n_axes ? axes[i] : i, v->shape.rank, &axis)) < 0)
            return err;
        if (i < n_steps && step[i] == 0)
            return imp_fail(m, "a step of 0");
        c[axis] = clipped(begin[i], end[i], i < n_steps ? step[i] : 1, v->shape.dim[axis]);
    }
    return cut_value(m, 0, v, c, 0);
}

int imp_strided_slice(importer *m, const imp_op *op)
{
    const int64_t begin_mask = imp_attr_int(m, "begin_mask", 0), end_mask = imp_attr_int(m, "end_mask", 0),
                  shrink = imp_attr_int(m, "shrink_axis_mask", 0);
    int64_t begin[NN_MAX_RANK], end[NN_MAX_RANK], step[NN_MAX_RANK];
    cut c[NN_MAX_RANK];
    imp_value *v;
    int n, n_end, n_step, err;
    (void)op;
    if (imp_attr_int(m, "ellipsis_mask", 0) || imp_attr_int(m, "new_axis_mask", 0))
        return imp_fail(m, "with an ellipsis or new axes");
    if ((err = imp_need(m, 0, &v)) < 0 || (err = n = imp_ints(m, 1, begin, NN_MAX_RANK)) < 0 ||
        (err = n_end = imp_ints(m, 2, end, NN_MAX_RANK)) < 0 || (err = n_step = imp_ints(m, 3, step, NN_MAX_RANK)) < 0)
        return err;
    if (n > v->shape.rank || n_end != n || n_step != n)
        return imp_fail(m, "%d, %d and %d numbers for a tensor of rank %d", n, n_end, n_step, v->shape.rank);
    whole(v, c);
    for (int k = 0; k < n; k++) {
        const int64_t size = v->shape.dim[k];
        if (step[k] == 0)
            return imp_fail(m, "a step of 0");
        if (shrink >> k & 1) {
            const int64_t at = begin[k] < 0 ? begin[k] + size : begin[k];
            if (at < 0 || at >= size)
                return imp_fail(m, "index %lld of %lld", (long long)begin[k], (long long)size);
            c[k] = (cut){ at, 1, 1 };
            continue;
        }
        c[k] = clipped(begin_mask >> k & 1 ? (step[k] > 0 ? 0 : size - 1) : begin[k],
                       end_mask >> k & 1 ? (step[k] > 0 ? size : -size - 1) : end[k], step[k], size);
    }
    return cut_value(m, 0, v, c, (uint32_t)shrink);
}

int imp_slice_tf(importer *m, const imp_op *op)
{
    int64_t begin[NN_MAX_RANK], size[NN_MAX_RANK];
    cut c[NN_MAX_RANK];
    imp_value *v;
    int n, n_size, err;
    (void)op;
    if ((err = imp_need(m, 0, &v)) < 0 || (err = n = imp_ints(m, 1, begin, NN_MAX_RANK)) < 0 ||
        (err = n_size = imp_ints(m, 2, size, NN_MAX_RANK)) < 0)
        return err;
    if (n != v->shape.rank || n_size != n)
        return imp_fail(m, "%d and %d numbers for a tensor of rank %d", n, n_size, v->shape.rank);
    for (int k = 0; k < n; k++) {
        const int64_t from = SM_CLAMP(begin[k], 0, v->shape.dim[k]), left = v->shape.dim[k] - from;
        c[k] = (cut){ from, 1, size[k] < 0 ? left : SM_MIN(size[k], left) };
    }
    return cut_value(m, 0, v, c, 0);
}

/* ONNX Split(x, sizes), axis attribute; TensorFlow Split(axis, x), SplitV(x, sizes, axis). */
int imp_split(importer *m, const imp_op *op)
{
    const bool plain = imp_is_tf(m) && !strcmp(m->node->op, "Split"), listed = imp_is_tf(m) && !plain;
    const size_t parts = m->node->n_outputs;
    int64_t axis64 = imp_attr_int(m, "axis", 0), sizes[JOIN_LIMIT], at = 0;
    cut c[NN_MAX_RANK];
    imp_value *v;
    int axis, n = 0, err;
    (void)op;
    if ((err = imp_need(m, plain ? 1 : 0, &v)) < 0)
        return err;
    if ((plain && (err = imp_ints(m, 0, &axis64, 1)) < 0) || (listed && (err = imp_ints(m, 2, &axis64, 1)) < 0))
        return err;
    if ((err = imp_axis(m, axis64, v->shape.rank, &axis)) < 0)
        return err;
    if (!plain && imp_in(m, 1))
        n = imp_ints(m, 1, sizes, JOIN_LIMIT);
    else if (!imp_is_tf(m))
        n = imp_attr_ints(m, "split", sizes, JOIN_LIMIT);
    if (n < 0 || parts == 0 || parts > JOIN_LIMIT || (n > 0 && (size_t)n < parts))
        return n < 0 ? n : imp_fail(m, "%d sizes for %zu parts", n, parts);
    for (size_t i = 0; i < parts; i++) {
        const int64_t even = (v->shape.dim[axis] + (int64_t)parts - 1) / (int64_t)parts;
        const int64_t size = n > 0 ? sizes[i] : SM_MIN(even, v->shape.dim[axis] - at);
        if (size < 0 || size > v->shape.dim[axis] - at)
            return imp_fail(m, "part %zu is outside", i);
        whole(v, c);
        c[axis] = (cut){ at, 1, size };
        at += size;
        if ((err = cut_value(m, i, v, c, 0)) < 0)
            return err;
    }
    return 0;
}

/* Numbers by numbers, one element, or rows of a table by numbers that are known or an input of whole numbers. */
int imp_gather(importer *m, const imp_op *op)
{
    imp_value *v, *index;
    const double *x, *i;
    nn_shape s = { 0 };
    int axis, err;
    int64_t axis64 = imp_attr_int(m, "axis", 0);
    (void)op;
    if ((err = imp_need(m, 0, &v)) < 0 || (err = imp_need(m, 1, &index)) < 0)
        return err;
    if (imp_is_tf(m) && imp_in(m, 2) && (err = imp_ints(m, 2, &axis64, 1)) < 0)
        return err;
    if ((err = imp_axis(m, axis64, v->shape.rank, &axis)) < 0)
        return err;
    x = imp_numbers(m, v);
    i = imp_numbers(m, index);
    if (!i)
        return axis == 0 && v->shape.rank == 2
                   ? imp_given(m, imp_give(m, 0, nn_gather(m->g, imp_node(m, v), imp_node(m, index))))
                   : imp_fail(m, "along axis %d by data", axis);
    const int64_t n = nn_elements(&index->shape), size = v->shape.dim[axis];
    for (int k = 0; k < v->shape.rank; k++) {
        if (k != axis)
            s.dim[s.rank++] = v->shape.dim[k];
        for (int j = 0; k == axis && j < index->shape.rank && s.rank < NN_MAX_RANK; j++)
            s.dim[s.rank++] = index->shape.dim[j];
    }
    if (n < 1 || n > JOIN_LIMIT)
        return imp_fail(m, "%lld indices", (long long)n);
    const double *parts[JOIN_LIMIT];
    nn_shape one[JOIN_LIMIT];
    nn_id ids[JOIN_LIMIT], base = x ? NN_NONE : imp_node(m, v);
    for (int64_t k = 0; k < n; k++) {
        const double index_k = i[k] < 0 ? i[k] + (double)size : i[k];
        const int64_t at = index_k >= 0 && index_k < (double)size ? (int64_t)index_k : -1;
        if (at < 0)
            return imp_fail(m, "index %g of %lld", i[k], (long long)size);
        one[k] = v->shape;
        one[k].dim[axis] = 1;
        parts[k] = x ? imp_slice_numbers(m, x, &v->shape, axis, at, 1, 1) : NULL;
        if (x && !parts[k])
            return SM_ENOMEM;
        ids[k] = x ? NN_NONE : nn_slice(m->g, base, axis, at, at + 1, 1);
    }
    if (x) {
        x = imp_concat_numbers(m, parts, one, (int)n, axis);
        return x ? imp_give_numbers(m, 0, &s, x, v->is_int) : SM_ENOMEM;
    }
    base = n == 1 ? ids[0] : nn_concat(m->g, ids, (int)n, axis);
    return imp_given(m, imp_give(m, 0, nn_reshape(m->g, base, s)));
}

/* ---- extending ---- */
static int pad_value(importer *m, imp_value *v, nn_pad_kind kind, const int64_t *before, const int64_t *after)
{
    const int rank = v->shape.rank;
    const bool picture =
        imp_is_tf(m) && rank == 4 && kind == NN_PAD_ZERO && !before[0] && !after[0] && !before[3] && !after[3];
    nn_id id = picture ? imp_twin(m, v) : imp_node(m, v);
    imp_value *out;
    for (int k = 0; k < rank; k++) {
        const int axis = !picture ? k : k == 0 ? 0 : k == rank - 1 ? 1 : k + 1;
        if (before[k] < 0 || after[k] < 0)
            id = nn_slice(m->g, id, axis, SM_MAX(-before[k], 0), v->shape.dim[k] + SM_MIN(after[k], 0), 1);
        if (before[k] > 0 || after[k] > 0)
            id = nn_pad(m->g, id, kind, axis, SM_MAX(before[k], 0), SM_MAX(after[k], 0));
    }
    if (!picture)
        return imp_given(m, imp_give(m, 0, id));
    out = imp_give_twin(m, 0, id);
    if (out && before[1] >= 0 && before[2] >= 0 && after[1] >= 0 && after[2] >= 0) {
        out->padded_from = imp_twin(m, v); /* a convolution that follows takes the zeros itself */
        for (int k = 0; k < 2; k++) {
            out->pad_before[k] = (int)before[1 + k];
            out->pad_after[k] = (int)after[1 + k];
        }
    }
    return imp_given(m, out);
}

int imp_pad_onnx(importer *m, const imp_op *op)
{
    const char *mode = imp_attr_text(m, "mode", "constant");
    int64_t pads[2 * NN_MAX_RANK], before[NN_MAX_RANK] = { 0 }, after[NN_MAX_RANK] = { 0 }, axes[NN_MAX_RANK];
    const double *fill;
    imp_value *v;
    int n, n_axes = 0, err;
    (void)op;
    if ((err = imp_need(m, 0, &v)) < 0)
        return err;
    n = imp_in(m, 1) ? imp_ints(m, 1, pads, 2 * NN_MAX_RANK) : imp_attr_ints(m, "pads", pads, 2 * NN_MAX_RANK);
    if (imp_in(m, 3))
        n_axes = imp_ints(m, 3, axes, NN_MAX_RANK);
    if (n < 0 || n_axes < 0)
        return SM_MIN(n, n_axes);
    if (n != 2 * (n_axes ? n_axes : v->shape.rank))
        return imp_fail(m, "%d sizes for a tensor of rank %d", n, v->shape.rank);
    fill = imp_numbers(m, imp_in(m, 2));
    if (*mode == 'c' && ((fill && fill[0] != 0) || imp_attr_float(m, "value", 0) != 0))
        return imp_fail(m, "with something else than zeros");
    for (int i = 0; i < n / 2; i++) {
        int axis;
        if ((err = imp_axis(m, n_axes ? axes[i] : i, v->shape.rank, &axis)) < 0)
            return err;
        before[axis] = pads[i];
        after[axis] = pads[n / 2 + i];
    }
    return pad_value(m, v, *mode == 'c' ? NN_PAD_ZERO : *mode == 'r' ? NN_PAD_REFLECT : NN_PAD_EDGE, before, after);
}

int imp_pad_tf(importer *m, const imp_op *op)
{
    int64_t pads[2 * NN_MAX_RANK], before[NN_MAX_RANK] = { 0 }, after[NN_MAX_RANK] = { 0 };
    const double *fill = imp_numbers(m, op->kind == 0 ? imp_in(m, 2) : NULL);
    imp_value *v;
    int n, err;
    if ((err = imp_need(m, 0, &v)) < 0)
        return err;
    if ((n = imp_ints(m, 1, pads, 2 * NN_MAX_RANK)) < 0)
        return n;
    if (n != 2 * v->shape.rank || (fill && fill[0] != 0) ||
        (op->kind == 1 && strcmp(imp_attr_text(m, "mode", ""), "REFLECT")))
        return imp_fail(m, "with something else than zeros or reflection");
    for (int k = 0; k < v->shape.rank; k++) {
        before[k] = pads[2 * k];
        after[k] = pads[2 * k + 1];
    }
    return pad_value(m, v, op->kind == 1 ? NN_PAD_REFLECT : NN_PAD_ZERO, before, after);
}
