/* Own loops, for what oneDNN does slowly or not at all: broadcast arithmetic, affine along an axis, reductions, concatenation.
 * They see memory order: axes as they lie, innermost contiguous. All are bound by memory, so plain C does. */
#include "nn/onednn/onednn.h"

#include <math.h>
#include <string.h>

enum { MIN_PER_ITEM = 1 << 14 }; /* elements below which a thread is not worth waking */

/* How many parts to cut `rows` rows of `width` elements into. */
static int64_t parts_of(const nn_exec *x, int64_t rows, int64_t width)
{
    return x->threads > 1 ? SM_CLAMP(rows * width / MIN_PER_ITEM, 1, SM_MIN(rows, 4 * x->threads)) : 1;
}

/* ---- binary with broadcasting ---- */

enum { LOOP_AXES = NN_MAX_RANK };
typedef struct {
    nn_binary_kind kind;
    int rank; /* of the merged axes, at least 1 */
    int64_t dim[LOOP_AXES];
    int64_t stride[2][LOOP_AXES]; /* of a and b; 0 where repeated */
} binary_state;

static inline float binary_value(nn_binary_kind kind, float a, float b)
{
    switch (kind) {
    case NN_ADD:
        return a + b;
    case NN_SUB:
        return a - b;
    case NN_MUL:
        return a * b;
    case NN_DIV:
        return a / b;
    case NN_MAX:
        return a > b || a != a ? a : b;
    default:
        return a < b || a != a ? a : b;
    }
}

/* One innermost run; the strides there are 0 or 1. Inlined once for each kind. */
static inline __attribute__((always_inline)) void binary_row(nn_binary_kind kind, const float *a, int64_t sa,
                                                             const float *b, int64_t sb, float *y, int64_t n)
{
    if (sa && sb)
        for (int64_t i = 0; i < n; i++)
            y[i] = binary_value(kind, a[i], b[i]);
    else if (sa)
        for (int64_t i = 0; i < n; i++)
            y[i] = binary_value(kind, a[i], b[0]);
    else
        for (int64_t i = 0; i < n; i++)
            y[i] = binary_value(kind, a[0], b[i * sb]);
}

static void row_of_kind(nn_binary_kind kind, const float *a, int64_t sa, const float *b, int64_t sb, float *y,
                        int64_t n)
{
    switch (kind) {
    case NN_ADD:
        binary_row(NN_ADD, a, sa, b, sb, y, n);
        break;
    case NN_SUB:
        binary_row(NN_SUB, a, sa, b, sb, y, n);
        break;
    case NN_MUL:
        binary_row(NN_MUL, a, sa, b, sb, y, n);
        break;
    case NN_DIV:
        binary_row(NN_DIV, a, sa, b, sb, y, n);
        break;
    case NN_MAX:
        binary_row(NN_MAX, a, sa, b, sb, y, n);
        break;
    default:
        binary_row(NN_MIN, a, sa, b, sb, y, n);
        break;
    }
}

typedef struct {
    const void *state;
    const float *a, *b;
    float *y;
    const float *const *parts_in; /* concat */
    int64_t rows, parts;
} loop_job;

static int binary_part(void *user, size_t part, int worker)
{
    const loop_job *j = user;
    const binary_state *s = j->state;
    const int inner = s->rank - 1;
    const int64_t first = j->rows * (int64_t)part / j->parts, last = j->rows * ((int64_t)part + 1) / j->parts;

    (void)worker;
    for (int64_t row = first; row < last; row++) {
        int64_t at[2] = { 0, 0 }, rest = row;
        for (int i = inner - 1; i >= 0; i--) {
            at[0] += rest % s->dim[i] * s->stride[0][i];
            at[1] += rest % s->dim[i] * s->stride[1][i];
            rest /= s->dim[i];
        }
        row_of_kind(s->kind, j->a + at[0], s->stride[0][inner], j->b + at[1], s->stride[1][inner],
                    j->y + row * s->dim[inner], s->dim[inner]);
    }
    return 0;
}

static int run_binary(const nn_step *step, nn_exec *x)
{
    const binary_state *s = step->state;
    loop_job j = {
        .state = s, .a = x->data[step->in[0]], .b = x->data[step->in[1]], .y = x->data[step->out], .rows = 1
    };

    for (int i = 0; i < s->rank - 1; i++)
        j.rows *= s->dim[i];
    j.parts = parts_of(x, j.rows, s->dim[s->rank - 1]);
    return nn_dnnl_parallel(x, (size_t)j.parts, binary_part, &j);
}

/* Strides of an operand in the memory order of the result. */
static void operand_strides(const nn_shape *s, const nn_shape *result, nn_dnnl_form form, int64_t stride[NN_MAX_RANK])
{
    nn_shape full = { .rank = result->rank }, memory;
    int64_t dense[NN_MAX_RANK];

    for (int i = 0; i < full.rank; i++) {
        const int k = i - (full.rank - s->rank);
        full.dim[i] = k >= 0 ? s->dim[k] : 1;
    }
    memory = nn_dnnl_form_shape(&full, form);
    nn_strides(&memory, dense);
    for (int i = 0; i < memory.rank; i++)
        stride[i] = memory.dim[i] == 1 ? 0 : dense[i];
}

/* Joins neighbouring axes that both operands walk as one. */
static void merge_axes(binary_state *s)
{
    int n = 0;

    for (int i = 0; i < s->rank; i++) {
        if (s->dim[i] == 1 && s->rank > 1 && !(i == s->rank - 1 && n == 0))
            continue;
        bool joins = n > 0;
        for (int k = 0; k < 2 && joins; k++)
            joins = s->stride[k][n - 1] == s->stride[k][i] * s->dim[i];
        const int to = joins ? n - 1 : n++;
        s->dim[to] = joins ? s->dim[to] * s->dim[i] : s->dim[i];
        for (int k = 0; k < 2; k++)
            s->stride[k][to] = s->stride[k][i];
    }
    s->rank = n;
}

int nn_dnnl_binary_step(nn_compiler *c, nn_id node, nn_step *out)
{
    const nn_graph *g = nn_compiler_graph(c);
    const nn_node n = *nn_at(g, node);
    const nn_shape a = nn_in(g, &n, 0)->shape, b = nn_in(g, &n, 1)->shape;
    const bool ranks =
        (a.rank == n.shape.rank || nn_elements(&a) == 1) && (b.rank == n.shape.rank || nn_elements(&b) == 1);
    const nn_dnnl_form form_a = nn_dnnl_form_of(c, n.inputs[0]), form_b = nn_dnnl_form_of(c, n.inputs[1]);
    const nn_dnnl_form form = ranks ? SM_MAX(form_a, form_b) : NN_FORM_PLAIN;
    const nn_shape memory = nn_dnnl_form_shape(&n.shape, form);
    binary_state *s;

    if (n.n_posts || n.attrs.binary.kind == NN_POW || n.shape.rank == 0)
        return 1;
    s = sm_arena_zero(nn_compiler_arena(c), 1, sizeof *s);
    if (!s)
        return SM_ENOMEM;
    s->kind = n.attrs.binary.kind;
    s->rank = memory.rank;
    memcpy(s->dim, memory.dim, sizeof s->dim);
    operand_strides(&a, &n.shape, form, s->stride[0]);
    operand_strides(&b, &n.shape, form, s->stride[1]);
    merge_axes(s);
    for (int i = 0; i < 2; i++) {
        const int32_t v = nn_dnnl_want(c, out, n.inputs[i], form, false);
        if (v < 0)
            return v;
        if (out->inplace < 0 && nn_shape_equal(i ? &b : &a, &n.shape) && n.inputs[0] != n.inputs[1])
            out->inplace = v;
    }
    nn_dnnl_gives(c, out, node, form, false);
    out->run = run_binary;
    out->state = s;
    out->kernel = "broadcast";
    return 0;
}

/* ---- expand: the same walk, each number the larger of itself and itself ---- */

/* The form in which what it is combined with already is. */
static nn_dnnl_form form_of_users(nn_compiler *c, nn_id node)
{
    const nn_graph *g = nn_compiler_graph(c);
    const nn_shape *shape = &nn_at(g, node)->shape;
    nn_id users[8];
    const int count = SM_MIN(nn_users(g, node, users, 8), 8);

    for (int u = 0; u < count; u++) {
        const nn_node *user = nn_at(g, users[u]);
        for (int i = 0; i < user->n_own; i++) {
            const nn_node *x = nn_in(g, user, i);
            if (x && user->inputs[i] < node && nn_shape_equal(&x->shape, shape) && !x->identity)
                return nn_dnnl_form_of(c, user->inputs[i]);
        }
    }
    return NN_FORM_PLAIN;
}

int nn_dnnl_expand_step(nn_compiler *c, nn_id node, nn_step *out)
{
    const nn_node n = *nn_at(nn_compiler_graph(c), node);
    const nn_shape a = nn_at(nn_compiler_graph(c), n.inputs[0])->shape;
    const nn_dnnl_form asked = a.rank == n.shape.rank ? form_of_users(c, node) : NN_FORM_PLAIN;
    const nn_dnnl_form form = nn_dnnl_layout_for(&n.shape, asked, false) ? asked : NN_FORM_PLAIN;
    const nn_shape memory = nn_dnnl_form_shape(&n.shape, form);
    binary_state *s = sm_arena_zero(nn_compiler_arena(c), 1, sizeof *s);

    if (!s)
        return SM_ENOMEM;
    s->kind = NN_MAX;
    s->rank = memory.rank;
    memcpy(s->dim, memory.dim, sizeof s->dim);
    operand_strides(&a, &n.shape, form, s->stride[0]);
    operand_strides(&a, &n.shape, form, s->stride[1]);
    merge_axes(s);
    for (int i = 0; i < 2; i++) {
        const int32_t v = nn_dnnl_want(c, out, n.inputs[0], form, false);
        if (v < 0)
            return v;
    }
    nn_dnnl_gives(c, out, node, form, false);
    out->run = run_binary;
    out->state = s;
    out->kernel = "expand";
    return 0;
}

/* ---- affine ---- */

typedef struct {
    int64_t outer, channels, inner;
} affine_state;

static int affine_part(void *user, size_t part, int worker)
{
    const loop_job *j = user;
    const affine_state *s = j->state;
    const float *scale = j->parts_in[0], *offset = j->parts_in[1];
    const int64_t first = s->outer * (int64_t)part / j->parts, last = s->outer * ((int64_t)part + 1) / j->parts;

    (void)worker;
    for (int64_t o = first; o < last; o++) {
        const float *a = j->a + o * s->channels * s->inner;
        float *y = j->y + o * s->channels * s->inner;
        if (s->inner == 1) {
            for (int64_t k = 0; k < s->channels; k++)
                y[k] = a[k] * scale[k] + offset[k];
            continue;
        }
        for (int64_t k = 0; k < s->channels; k++)
            for (int64_t i = 0; i < s->inner; i++)
                y[k * s->inner + i] = a[k * s->inner + i] * scale[k] + offset[k];
    }
    return 0;
}

static int run_affine(const nn_step *step, nn_exec *x)
{
    const affine_state *s = step->state;
    const float *vectors[2] = { x->data[step->in[1]], x->data[step->in[2]] };
    loop_job j = { .state = s, .a = x->data[step->in[0]], .y = x->data[step->out], .parts_in = vectors };

    j.parts = parts_of(x, s->outer, s->channels * s->inner);
    return nn_dnnl_parallel(x, (size_t)j.parts, affine_part, &j);
}

int nn_dnnl_affine_step(nn_compiler *c, nn_id node, nn_step *out)
{
    const nn_graph *g = nn_compiler_graph(c);
    const nn_node n = *nn_at(g, node);
    const bool last = nn_dnnl_is_last(c, n.inputs[0]);
    const nn_shape memory = nn_dnnl_memory_shape(&n.shape, last);
    const int axis = nn_dnnl_memory_axis(n.attrs.axis.axis, n.shape.rank, last);
    affine_state *s;

    if (n.n_posts)
        return 1;
    s = sm_arena_get(nn_compiler_arena(c), 1, sizeof *s, sizeof(int64_t));
    if (!s)
        return SM_ENOMEM;
    *s = (affine_state){ nn_product(&memory, 0, axis), memory.dim[axis], nn_product(&memory, axis + 1, memory.rank) };
    for (int i = 0; i < 3; i++) {
        const int32_t v = nn_dnnl_want(c, out, n.inputs[i], i == 0 && last, false);
        if (v < 0)
            return v;
        if (i == 0)
            out->inplace = v;
    }
    nn_dnnl_gives(c, out, node, last, false);
    out->run = run_affine;
    out->state = s;
    out->kernel = "affine";
    return 0;
}

/* ---- reductions ---- */

typedef struct {
    nn_reduce_kind kind;
    int64_t outer, length, inner;
} reduce_state;

static inline float reduced(nn_reduce_kind kind, float a, float b)
{
    if (kind == NN_REDUCE_MAX)
        return a > b || a != a ? a : b;
    if (kind == NN_REDUCE_MIN)
        return a < b || a != a ? a : b;
    return a + b;
}

/* [length, inner] to [inner] */
static inline __attribute__((always_inline)) void reduce_block(nn_reduce_kind kind, const float *a, int64_t length,
                                                               int64_t inner, float *y)
{
    if (inner == 1) {
        float some[8], all;
        int64_t i = 8;
        if (length < 8) {
            all = a[0];
            for (i = 1; i < length; i++)
                all = reduced(kind, all, a[i]);
            y[0] = all;
            return;
        }
        memcpy(some, a, sizeof some);
        for (; i + 8 <= length; i += 8)
            for (int k = 0; k < 8; k++)
                some[k] = reduced(kind, some[k], a[i + k]);
        all = some[0];
        for (int k = 1; k < 8; k++)
            all = reduced(kind, all, some[k]);
        for (; i < length; i++)
            all = reduced(kind, all, a[i]);
        y[0] = all;
        return;
    }
    memcpy(y, a, (size_t)inner * sizeof *y);
    for (int64_t l = 1; l < length; l++)
        for (int64_t i = 0; i < inner; i++)
            y[i] = reduced(kind, y[i], a[l * inner + i]);
}

static int reduce_part(void *user, size_t part, int worker)
{
    const loop_job *j = user;
    const reduce_state *s = j->state;
    const int64_t first = s->outer * (int64_t)part / j->parts, last = s->outer * ((int64_t)part + 1) / j->parts;

    (void)worker;
    for (int64_t o = first; o < last; o++) {
        const float *a = j->a + o * s->length * s->inner;
        float *y = j->y + o * s->inner;
        if (s->kind == NN_REDUCE_MAX)
            reduce_block(NN_REDUCE_MAX, a, s->length, s->inner, y);
        else if (s->kind == NN_REDUCE_MIN)
            reduce_block(NN_REDUCE_MIN, a, s->length, s->inner, y);
        else
            reduce_block(NN_REDUCE_SUM, a, s->length, s->inner, y);
        for (int64_t i = 0; i < s->inner && s->kind == NN_REDUCE_MEAN; i++)
            y[i] /= (float)s->length;
    }
    return 0;
}

static int run_reduce(const nn_step *step, nn_exec *x)
{
    const reduce_state *s = step->state;
    loop_job j = { .state = s, .a = x->data[step->in[0]], .y = x->data[step->out] };

    j.parts = parts_of(x, s->outer, s->length * s->inner);
    return nn_dnnl_parallel(x, (size_t)j.parts, reduce_part, &j);
}

/* The axes that go must lie side by side in memory (axes of length 1 do not count). */
static bool plan_reduction(const nn_node *n, const nn_shape *x, nn_dnnl_form form, reduce_state *s)
{
    const nn_shape memory = nn_dnnl_form_shape(x, form);
    bool goes[NN_MAX_RANK] = { false };
    int state = 0; /* 0: before, 1: in, 2: behind */

    for (int i = 0; i < x->rank; i++)
        goes[form == NN_FORM_BLOCKED ? i : nn_dnnl_memory_axis(i, x->rank, form == NN_FORM_LAST)] =
            n->attrs.reduce.axes >> i & 1;
    if (form == NN_FORM_BLOCKED)
        goes[x->rank] = goes[1];
    *s = (reduce_state){ n->attrs.reduce.kind, 1, 1, 1 };
    for (int i = 0; i < memory.rank; i++) {
        if (memory.dim[i] == 1)
            continue;
        if (goes[i] && state == 2)
            return false;
        state = goes[i] ? 1 : state == 1 ? 2 : state;
        *(state == 0 ? &s->outer : state == 1 ? &s->length : &s->inner) *= memory.dim[i];
    }
    return true;
}

int nn_dnnl_reduce_step(nn_compiler *c, nn_id node, nn_step *out)
{
    const nn_graph *g = nn_compiler_graph(c);
    const nn_node n = *nn_at(g, node);
    const nn_shape x = nn_in(g, &n, 0)->shape;
    const uint32_t axes = n.attrs.reduce.axes;
    reduce_state *s = sm_arena_get(nn_compiler_arena(c), 1, sizeof *s, sizeof(int64_t));
    nn_dnnl_form form = n.attrs.reduce.keep || !(axes & 1) ? nn_dnnl_form_of(c, n.inputs[0]) : NN_FORM_PLAIN;

    if (!s)
        return SM_ENOMEM;
    if (n.n_posts)
        return 1;
    if (form != NN_FORM_PLAIN && ((form == NN_FORM_BLOCKED && axes & 2) || !plan_reduction(&n, &x, form, s)))
        form = NN_FORM_PLAIN;
    if (form == NN_FORM_PLAIN && !plan_reduction(&n, &x, form, s))
        return 1;
    const int32_t v = nn_dnnl_want(c, out, n.inputs[0], form, false);
    if (v < 0)
        return v;
    /* Without the channel axis what is left lies in plain order. */
    nn_dnnl_gives(c, out, node, n.attrs.reduce.keep || !(axes & 2) ? form : NN_FORM_PLAIN, false);
    out->run = run_reduce;
    out->state = s;
    out->kernel = "reduce";
    return 0;
}

/* ---- concatenation ---- */

typedef struct {
    int n;
    int64_t outer, row; /* bytes of a row of the result */
    int64_t *part;      /* bytes of a row of each part */
} concat_state;

static int run_concat(const nn_step *step, nn_exec *x)
{
    const concat_state *s = step->state;
    char *to = x->data[step->out];

    for (int i = 0; i < s->n; i++) {
        const char *from = x->data[step->in[i]];
        for (int64_t o = 0; o < s->outer; o++)
            memcpy(to + o * s->row, from + o * s->part[i], (size_t)s->part[i]);
        to += s->part[i];
    }
    return 0;
}

/* Only what the plan does not do without a step: parts that alternate in memory. */
int nn_dnnl_concat_step(nn_compiler *c, nn_id node, nn_step *out)
{
    const nn_graph *g = nn_compiler_graph(c);
    const nn_node n = *nn_at(g, node);
    bool last = true;

    if (n.n_posts)
        return 1;
    for (int i = 0; i < n.n_own; i++)
        last = last && nn_dnnl_is_last(c, n.inputs[i]);
    if (!last && nn_product(&n.shape, 0, n.attrs.axis.axis) == 1)
        return 1; /* the plan makes it a view */
    const nn_shape memory = nn_dnnl_memory_shape(&n.shape, last);
    const int axis = nn_dnnl_memory_axis(n.attrs.axis.axis, n.shape.rank, last);
    const int64_t inner = nn_product(&memory, axis + 1, memory.rank) * (int64_t)sizeof(float);
    concat_state *s = sm_arena_zero(nn_compiler_arena(c), 1, sizeof *s);
    int64_t *part = sm_arena_get(nn_compiler_arena(c), (size_t)n.n_own, sizeof *part, sizeof *part);
    if (!s || !part)
        return SM_ENOMEM;
    *s = (concat_state){ n.n_own, nn_product(&memory, 0, axis), memory.dim[axis] * inner, part };
    for (int i = 0; i < n.n_own; i++) {
        part[i] = nn_in(g, &n, i)->shape.dim[n.attrs.axis.axis] * inner;
        const int32_t v = nn_dnnl_want(c, out, n.inputs[i], last, false);
        if (v < 0)
            return v;
    }
    nn_dnnl_gives(c, out, node, last, false);
    out->run = run_concat;
    out->state = s;
    out->kernel = "concat";
    return 0;
}
