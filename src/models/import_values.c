/* Arithmetic on numbers that are known at import: shapes, axes, masks. */
#include <string.h>

#include "models/import.h"

double *imp_room(importer *m, int64_t n)
{
    return n < 0 || n > (1 << 22) ? NULL : sm_arena_zero(m->arena, (size_t)SM_MAX(n, 1), sizeof(double));
}

int imp_broadcast(importer *m, const nn_shape *a, const nn_shape *b, nn_shape *out)
{
    nn_shape s = { .rank = SM_MAX(a->rank, b->rank) };
    for (int k = 0; k < s.rank; k++) {
        const int i = k - (s.rank - a->rank), j = k - (s.rank - b->rank);
        const int64_t x = i < 0 ? 1 : a->dim[i], y = j < 0 ? 1 : b->dim[j];
        if (x != y && x != 1 && y != 1)
            return imp_fail(m, "%lld and %lld along axis %d do not fit", (long long)x, (long long)y, k);
        s.dim[k] = x == 1 ? y : x;
    }
    *out = s;
    return 0;
}

/* Steps of `s` when walked as the larger shape `as`: 0 where it is repeated. */
static void steps(const nn_shape *s, const nn_shape *as, int64_t step[NN_MAX_RANK])
{
    int64_t size = 1;
    for (int k = as->rank - 1, i = s->rank - 1; k >= 0; k--, i--) {
        step[k] = i < 0 || s->dim[i] == 1 ? 0 : size;
        size *= i < 0 ? 1 : s->dim[i];
    }
}

/* out[i] = x[walk of i]: everything that only moves numbers. */
static const double *move(importer *m, const double *x, int64_t start, const nn_shape *shape, const int64_t *step)
{
    const int64_t n = nn_elements(shape);
    double *out = imp_room(m, n);
    int64_t at[NN_MAX_RANK] = { 0 }, offset = start;
    for (int64_t i = 0; out && i < n; i++) {
        out[i] = x[offset];
        for (int k = shape->rank - 1; k >= 0; k--) {
            offset += step[k];
            if (++at[k] < shape->dim[k])
                break;
            offset -= step[k] * shape->dim[k];
            at[k] = 0;
        }
    }
    return out;
}

const double *imp_expand_numbers(importer *m, const double *x, const nn_shape *from, const nn_shape *to)
{
    int64_t step[NN_MAX_RANK];
    steps(from, to, step);
    return move(m, x, 0, to, step);
}

const double *imp_transpose_numbers(importer *m, const double *x, const nn_shape *shape, const int *order)
{
    int64_t own[NN_MAX_RANK], step[NN_MAX_RANK], size = 1;
    nn_shape to = { .rank = shape->rank };
    for (int k = shape->rank - 1; k >= 0; k--) {
        own[k] = size;
        size *= shape->dim[k];
    }
    for (int k = 0; k < shape->rank; k++) {
        to.dim[k] = shape->dim[order[k]];
        step[k] = own[order[k]];
    }
    return move(m, x, 0, &to, step);
}

const double *imp_slice_numbers(importer *m, const double *x, const nn_shape *shape, int axis, int64_t begin,
                                int64_t step, int64_t count)
{
    int64_t walk[NN_MAX_RANK], size = 1;
    nn_shape to = *shape;
    for (int k = shape->rank - 1; k >= 0; k--) {
        walk[k] = size;
        size *= shape->dim[k];
    }
    to.dim[axis] = count;
    begin *= walk[axis];
    walk[axis] *= step;
    return move(m, x, begin, &to, walk);
}

const double *imp_concat_numbers(importer *m, const double *const *parts, const nn_shape *shapes, int n, int axis)
{
    int64_t outer = 1, inner = 1, along = 0, at = 0;
    double *out;
    for (int k = 0; k < shapes[0].rank; k++) {
        outer *= k < axis ? shapes[0].dim[k] : 1;
        inner *= k > axis ? shapes[0].dim[k] : 1;
    }
    for (int i = 0; i < n; i++)
        along += shapes[i].dim[axis];
    out = imp_room(m, outer * along * inner);
    for (int64_t o = 0; out && o < outer; o++)
        for (int i = 0; i < n; i++) {
            const int64_t block = shapes[i].dim[axis] * inner;
            memcpy(out + at, parts[i] + o * block, (size_t)block * sizeof *out);
            at += block;
        }
    return out;
}

/* ScatterND on known numbers (PyTorch's x[0::2] = y of position tables): rows of `updates` replace the places that `indices` name. */
int imp_scatter(importer *m, const imp_op *op)
{
    imp_value *v[3];
    const double *x[3];
    int64_t inner = 1, n;
    double *out;
    (void)op;
    for (size_t i = 0; i < 3; i++) {
        const int err = imp_need(m, i, &v[i]);
        if (err < 0)
            return err;
        if (!(x[i] = imp_numbers_up_to(m, v[i], 1 << 22)))
            return imp_fail(m, "on data (%s)", v[i]->name);
    }
    const nn_shape *s = &v[0]->shape, *at = &v[1]->shape;
    const int64_t deep = at->rank > 0 ? at->dim[at->rank - 1] : 0;
    if (deep < 1 || deep > s->rank)
        return imp_fail(m, "with %lld indices a place", (long long)deep);
    for (int k = (int)deep; k < s->rank; k++)
        inner *= s->dim[k];
    n = nn_elements(at) / deep;
    out = imp_room(m, nn_elements(s));
    if (!out || nn_elements(&v[2]->shape) != n * inner)
        return imp_fail(m, "%lld updates for %lld places", (long long)nn_elements(&v[2]->shape), (long long)n);
    memcpy(out, x[0], (size_t)nn_elements(s) * sizeof *out);
    for (int64_t i = 0; i < n; i++) {
        int64_t place = 0;
        for (int64_t k = 0; k < deep; k++) {
            const double index = x[1][i * deep + k] + (x[1][i * deep + k] < 0 ? (double)s->dim[k] : 0);
            if (!(index >= 0 && index < (double)s->dim[k]))
                return imp_fail(m, "index %g of %lld", index, (long long)s->dim[k]);
            place = place * s->dim[k] + (int64_t)index;
        }
        memcpy(out + place * inner, x[2] + i * inner, (size_t)inner * sizeof *out);
    }
    return imp_give_numbers(m, 0, s, out, v[0]->is_int);
}
