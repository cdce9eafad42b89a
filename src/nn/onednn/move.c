/* Numbers that change places: permutations and slices that are no views, as copies between strides. Runs that stay together are copied
 * whole; where the innermost axis changes, squares of 4 x 4 are turned over in registers (SSE, which every x86-64 has: memory is
 * what limits it). */
#include "nn/onednn/onednn.h"

#include <emmintrin.h>
#include <string.h>

enum { MIN_PER_ITEM = 1 << 14, ACROSS = 32 /* rows of the source that are turned at a time */ };

typedef struct {
    int rank;
    int64_t dim[NN_MAX_RANK], from[NN_MAX_RANK], to[NN_MAX_RANK]; /* to falls; the last is 1 */
    int64_t offset;                                               /* in the source */
    int across;    /* the axis that is contiguous in the source, if it is not the last; -1: copies of runs */
    int64_t outer; /* of the other axes */
} move_state;

typedef struct {
    const move_state *s;
    const float *x;
    float *y;
    int64_t items, parts;
} move_job;

static int64_t strips(const move_state *s)
{
    return s->across < 0 ? 1 : (s->dim[s->across] + ACROSS - 1) / ACROSS;
}

/* y[t * to + i] = x[i * from + t] */
static void turn(const float *x, int64_t from, float *y, int64_t to, int64_t rows, int64_t columns)
{
    int64_t t = 0;

    for (; t + 4 <= rows; t += 4) {
        int64_t i = 0;
        for (; i + 4 <= columns; i += 4) {
            const float *at = x + i * from + t;
            __m128 a = _mm_loadu_ps(at), b = _mm_loadu_ps(at + from), c = _mm_loadu_ps(at + 2 * from),
                   d = _mm_loadu_ps(at + 3 * from);
            _MM_TRANSPOSE4_PS(a, b, c, d);
            _mm_storeu_ps(y + t * to + i, a);
            _mm_storeu_ps(y + (t + 1) * to + i, b);
            _mm_storeu_ps(y + (t + 2) * to + i, c);
            _mm_storeu_ps(y + (t + 3) * to + i, d);
        }
        for (; i < columns; i++)
            for (int k = 0; k < 4; k++)
                y[(t + k) * to + i] = x[i * from + t + k];
    }
    for (; t < rows; t++)
        for (int64_t i = 0; i < columns; i++)
            y[t * to + i] = x[i * from + t];
}

static void move_item(const move_job *j, int64_t item)
{
    const move_state *s = j->s;
    const int last = s->rank - 1;
    const int64_t n = s->dim[last], strip = item % strips(s) * ACROSS;
    const float *x = j->x + s->offset;
    float *y = j->y;
    int64_t rest = item / strips(s);

    for (int i = last - 1; i >= 0; i--) {
        if (i == s->across)
            continue;
        x += rest % s->dim[i] * s->from[i];
        y += rest % s->dim[i] * s->to[i];
        rest /= s->dim[i];
    }
    if (s->across >= 0)
        turn(x + strip, s->from[last], y + strip * s->to[s->across], s->to[s->across],
             SM_MIN(s->dim[s->across] - strip, ACROSS), n);
    else if (s->from[last] == 1)
        memcpy(y, x, (size_t)n * sizeof *y);
    else
        for (int64_t i = 0; i < n; i++)
            y[i] = x[i * s->from[last]];
}

static int move_part(void *user, size_t part, int worker)
{
    const move_job *j = user;
    const int64_t last = j->items * ((int64_t)part + 1) / j->parts;

    (void)worker;
    for (int64_t i = j->items * (int64_t)part / j->parts; i < last; i++)
        move_item(j, i);
    return 0;
}

static int run_move(const nn_step *step, nn_exec *x)
{
    const move_state *s = step->state;
    move_job j = { .s = s, .x = x->data[step->in[0]], .y = x->data[step->out], .items = s->outer * strips(s) };
    int64_t elements = 1;

    for (int i = 0; i < s->rank; i++)
        elements *= s->dim[i];
    j.parts = x->threads > 1 ? SM_CLAMP(elements / MIN_PER_ITEM, 1, SM_MIN(j.items, 4 * x->threads)) : 1;
    return nn_dnnl_parallel(x, (size_t)j.parts, move_part, &j);
}

static int run_nothing(const nn_step *step, nn_exec *x)
{
    const move_state *s = step->state;

    if (x->data[step->out] != x->data[step->in[0]])
        memcpy(x->data[step->out], x->data[step->in[0]], (size_t)s->dim[0] * sizeof(float));
    return 0;
}

/* Joins axes that lie as one on both sides; finds how to go. */
static void plan(move_state *s)
{
    int n = 0;

    for (int i = 0; i < s->rank; i++) {
        if (s->dim[i] == 1)
            continue;
        if (n > 0 && s->from[n - 1] == s->from[i] * s->dim[i] && s->to[n - 1] == s->to[i] * s->dim[i]) {
            s->dim[n - 1] *= s->dim[i];
            s->from[n - 1] = s->from[i];
            s->to[n - 1] = s->to[i];
            continue;
        }
        s->dim[n] = s->dim[i];
        s->from[n] = s->from[i];
        s->to[n++] = s->to[i];
    }
    if (n == 0) {
        s->dim[0] = s->from[0] = s->to[0] = 1;
        n = 1;
    }
    s->rank = n;
    s->across = -1;
    for (int i = 0; i < n - 1 && s->from[n - 1] != 1; i++)
        if (s->from[i] == 1)
            s->across = i;
    s->outer = 1;
    for (int i = 0; i < n - 1; i++)
        s->outer *= i == s->across ? 1 : s->dim[i];
}

/* Strides in memory of each axis of a tensor. */
static void strides_of(const nn_shape *shape, bool last, int64_t stride[NN_MAX_RANK])
{
    const nn_shape memory = nn_dnnl_memory_shape(shape, last);
    int64_t dense[NN_MAX_RANK];

    nn_strides(&memory, dense);
    for (int i = 0; i < shape->rank; i++)
        stride[i] = dense[nn_dnnl_memory_axis(i, shape->rank, last)];
}

/* The axis of the result that lies innermost in that layout and is longer than 1; its stride in the source. */
static int64_t inner_stride(const nn_shape *out, bool last, const int64_t from[NN_MAX_RANK])
{
    int64_t to[NN_MAX_RANK], least = INT64_MAX, stride = 1;

    strides_of(out, last, to);
    for (int i = 0; i < out->rank; i++)
        if (out->dim[i] > 1 && to[i] < least) {
            least = to[i];
            stride = from[i];
        }
    return stride;
}

/* Axes in the order in which they lie in the result. */
static void arrange(const nn_shape *out, bool last, const int64_t from[NN_MAX_RANK], move_state *s)
{
    int64_t to[NN_MAX_RANK];

    strides_of(out, last, to);
    s->rank = out->rank;
    for (int i = 0; i < out->rank; i++) {
        const int at = nn_dnnl_memory_axis(i, out->rank, last);
        s->dim[at] = out->dim[i];
        s->from[at] = from[i];
        s->to[at] = to[i];
    }
    plan(s);
}

/* from: stride in the source, as it lies, of each axis of the result. The result is made in whichever order keeps runs together. */
static int make_step(nn_compiler *c, nn_id node, const int64_t from[NN_MAX_RANK], int64_t offset, bool in_last,
                     nn_step *out)
{
    const nn_node n = *nn_at(nn_compiler_graph(c), node);
    const nn_dnnl_layout *other = nn_dnnl_layout_for(&n.shape, true, false);
    const bool last = inner_stride(&n.shape, false, from) != 1 && other && inner_stride(&n.shape, true, from) == 1;
    move_state *s = sm_arena_zero(nn_compiler_arena(c), 1, sizeof *s);

    if (!s)
        return SM_ENOMEM;
    arrange(&n.shape, last, from, s);
    s->offset = offset;
    const int32_t v = nn_dnnl_want(c, out, n.inputs[0], in_last, false);
    if (v < 0)
        return v;
    const bool nothing = s->rank == 1 && s->from[0] == 1 && offset == 0 &&
                         nn_elements(&nn_at(nn_compiler_graph(c), n.inputs[0])->shape) == nn_elements(&n.shape);
    if (nothing)
        out->inplace = v;
    nn_dnnl_gives(c, out, node, last, false);
    out->run = nothing ? run_nothing : run_move;
    out->state = s;
    out->kernel = nothing ? "view" : s->across >= 0 ? "turn" : "copy of runs";
    return 0;
}

int nn_dnnl_move_permute_step(nn_compiler *c, nn_id node, nn_step *out)
{
    const nn_graph *g = nn_compiler_graph(c);
    const nn_node n = *nn_at(g, node);
    const bool last = nn_dnnl_is_last(c, n.inputs[0]);
    int64_t source[NN_MAX_RANK], from[NN_MAX_RANK];

    if (n.n_posts || n.shape.rank == 0)
        return 1;
    strides_of(&nn_in(g, &n, 0)->shape, last, source);
    for (int i = 0; i < n.shape.rank; i++)
        from[i] = source[n.attrs.permute.order[i]];
    return make_step(c, node, from, 0, last, out);
}

int nn_dnnl_slice_step(nn_compiler *c, nn_id node, nn_step *out)
{
    const nn_graph *g = nn_compiler_graph(c);
    const nn_node n = *nn_at(g, node);
    const bool last = nn_dnnl_is_last(c, n.inputs[0]);
    const int axis = n.attrs.slice.axis;
    int64_t from[NN_MAX_RANK], offset = 0;

    if (n.n_posts || n.shape.rank == 0 || (!last && n.op->view(g, &n, &offset)))
        return 1; /* a part of the other's memory */
    strides_of(&nn_in(g, &n, 0)->shape, last, from);
    offset = n.attrs.slice.begin * from[axis];
    from[axis] *= n.attrs.slice.step;
    return make_step(c, node, from, offset, last, out);
}
