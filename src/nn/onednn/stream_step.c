/* Linear layers of few rows and attention to a cache as steps. Each output is the sum over one row of weights, so that the way in which the
 * rows are shared out among threads changes no bit. */
#include "nn/half.h"
#include "nn/onednn/onednn.h"
#include "nn/onednn/stream.h"
#include "nn/onednn/vmath.h"

#include <string.h>

enum {
    FEW = 8,         /* rows for which streaming is the best way */
    SOME = 64,       /* rows for which it still saves packing large weights */
    SMALL = 1 << 16, /* weights below which nothing is gained */
    LARGE = 1 << 20,
    ITEM = 1 << 18, /* bytes of weights that are worth a thread's while */
};

const nn_stream_kernel *nn_stream_best(void)
{
    sm_cpu_info cpu;

    sm_cpu_detect(&cpu);
    if (cpu.avx512)
        return &nn_stream_avx512;
    return cpu.avx2 && cpu.fma && cpu.f16c ? &nn_stream_avx2 : &nn_stream_base;
}

const nn_stream_digits *nn_stream_digits_best(void)
{
    sm_cpu_info cpu;

    sm_cpu_detect(&cpu);
    return cpu.avx512_vnni ? &nn_stream_vnni : NULL;
}

/* ---- linear ---- */

typedef struct {
    nn_post post;
    int other; /* which of the step's inputs; -1: none */
} stream_post;

typedef struct {
    const nn_stream_kernel *kernel;
    const nn_stream_digits *digits; /* NULL: the kernel multiplies */
    const nn_vmath *math;
    nn_stream_weights w;
    int64_t rows, width, per_item;
    int bias; /* -1: none */
    stream_post posts[NN_MAX_POSTS];
    int n_posts;
} stream_state;

typedef struct {
    const stream_state *s;
    const nn_step *step;
    nn_exec *x;
} stream_job;

static void apply_unary(const stream_state *s, const nn_post *p, float *y, int64_t n)
{
    if (s->math->unary[p->unary]) {
        s->math->unary[p->unary](y, y, n);
        return;
    }
    for (int64_t i = 0; i < n; i++)
        y[i] = (float)nn_unary_value(p->unary, (double)y[i], (double)p->alpha, (double)p->beta);
}

/* Numbers first..first+n-1 of row i of the result. */
static void finish(const stream_job *j, int64_t i, int64_t first, int64_t n, float *y)
{
    const stream_state *s = j->s;
    const float *bias = s->bias >= 0 ? (const float *)j->x->data[j->step->in[s->bias]] + first : NULL;
    for (int64_t k = 0; bias && k < n; k++)
        y[k] += bias[k];
    for (int p = 0; p < s->n_posts; p++) {
        const nn_post *post = &s->posts[p].post;
        const float *other = s->posts[p].other >= 0 ? j->x->data[j->step->in[s->posts[p].other]] : NULL;
        if (post->kind == NN_POST_UNARY)
            apply_unary(s, post, y, n);
        else if (post->binary == NN_ADD)
            for (int64_t k = 0; k < n; k++)
                y[k] += other[i * s->width + first + k];
        else
            for (int64_t k = 0; k < n; k++)
                y[k] = (float)nn_binary_value(post->binary, (double)y[k], (double)other[i * s->width + first + k]);
    }
}

static int stream_item(void *user, size_t item, int worker)
{
    const stream_job *j = user;
    const stream_state *s = j->s;
    const int64_t first = (int64_t)item * s->per_item, last = SM_MIN(first + s->per_item, s->width);
    float *y = j->x->data[j->step->out];

    (void)worker;
    if (s->digits)
        s->digits->product(&s->w, j->x->scratch, s->rows, first, last, y, s->width);
    else
        s->kernel->product(&s->w, j->x->data[j->step->in[0]], s->rows, first, last, y, s->width);
    for (int64_t i = 0; i < s->rows; i++)
        finish(j, i, first, last - first, y + i * s->width + first);
    return 0;
}

static int run_stream(const nn_step *step, nn_exec *x)
{
    const stream_state *s = step->state;
    stream_job j = { s, step, x };
    if (s->digits)
        s->digits->split(x->data[step->in[0]], s->rows, s->w.depth, x->scratch);
    return nn_dnnl_parallel(x, (size_t)((s->width + s->per_item - 1) / s->per_item), stream_item, &j);
}

/* Weights in a pack: 8 bits, scales and sums, or bf16. */
typedef struct {
    const nn_stream_kernel *kernel;
    nn_stream_weights from;
    int64_t width;
} packing;

static int fill_i8(nn_compiler *c, void *user, void *data)
{
    const packing *p = user;
    const size_t bytes = (size_t)(p->width * p->from.depth + 63) / 64 * 64;
    (void)c;
    float *scale = (float *)(void *)((char *)data + bytes);
    p->kernel->quantise(&p->from, 0, p->width, data, scale, (int32_t *)(void *)(scale + p->width));
    return 0;
}

static int fill_bf16(nn_compiler *c, void *user, void *data)
{
    const packing *p = user;
    const float *from = p->from.data;
    uint16_t *to = data;
    (void)c;
    for (int64_t i = 0; i < p->width * p->from.depth; i++) {
        uint32_t bits;
        memcpy(&bits, &from[i], sizeof bits);
        to[i] = (uint16_t)((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
    }
    return 0;
}

/* The weights as they are to be read: where they are stored, or packed. 1: not for this step. */
static int take_weights(nn_compiler *c, nn_id id, stream_state *s)
{
    const nn_node *w = nn_at(nn_compiler_graph(c), id);
    const nn_precision precision = nn_compiler_options(c)->precision;
    const size_t n = (size_t)nn_elements(&w->shape);
    packing p = { s->kernel, { .depth = w->shape.dim[1] }, w->shape.dim[0] };
    const void *data;
    nn_tensor t = w->tensor;
    int err;

    const bool stored = w->op == &nn_op_const && !t.scale && (uintptr_t)t.data % nn_type_size(t.type) == 0 &&
                        (t.type == NN_F32 || t.type == NN_F16 || t.type == NN_BF16);
    if (!stored && precision != NN_PRECISION_INT8)
        return 1;
    if (!stored && (err = nn_compiler_constant(c, id, &t)) < 0)
        return err;
    p.from.type = t.type;
    p.from.data = t.data;
    s->w = p.from;
    if (precision == NN_PRECISION_INT8) {
        const size_t bytes = (n + 63) / 64 * 64;
        const size_t all = bytes + (size_t)p.width * (sizeof(float) + sizeof(int32_t));
        if ((err = nn_pack_get(c, id, "stream i8", all, fill_i8, &p, &data)) < 0)
            return err;
        s->w.type = NN_I8;
        s->w.data = data;
        s->w.scale = (const float *)(const void *)((const char *)data + bytes);
        s->w.sum = (const int32_t *)(const void *)(s->w.scale + p.width);
    } else if (precision == NN_PRECISION_BF16 && t.type == NN_F32) {
        if ((err = nn_pack_get(c, id, "stream bf16", 2 * n, fill_bf16, &p, &data)) < 0)
            return err;
        s->w.type = NN_BF16;
        s->w.data = data;
    }
    return 0;
}

static bool pays(nn_compiler *c, const nn_graph *g, const nn_node *n, int64_t rows)
{
    const int64_t weights = nn_elements(&nn_in(g, n, 1)->shape);
    if (!nn_is_constant(g, n->inputs[1]))
        return false;
    if (nn_compiler_options(c)->precision == NN_PRECISION_INT8)
        return true;
    return (rows <= FEW && weights >= SMALL) || (rows <= SOME && weights >= LARGE);
}

static int want(nn_compiler *c, nn_step *out, nn_id id, int *which)
{
    *which = out->n_in;
    const int32_t v = nn_dnnl_want(c, out, id, NN_FORM_PLAIN, false);
    return v < 0 ? v : 0;
}

int nn_dnnl_stream_step(nn_compiler *c, nn_id node, nn_step *out)
{
    const nn_graph *g = nn_compiler_graph(c);
    const nn_node n = *nn_at(g, node);
    stream_state *s = sm_arena_zero(nn_compiler_arena(c), 1, sizeof *s);
    int err, x;

    if (!s)
        return SM_ENOMEM;
    s->rows = nn_product(&n.shape, 0, n.shape.rank - 1);
    if (!pays(c, g, &n, s->rows))
        return 1;
    for (int i = 0; i < n.n_posts; i++)
        if (n.posts[i].kind == NN_POST_AFFINE)
            return 1;
    s->kernel = nn_stream_best();
    s->math = nn_vmath_best();
    s->width = n.shape.dim[n.shape.rank - 1];
    s->bias = -1;
    if ((err = take_weights(c, n.inputs[1], s)) != 0 || (err = want(c, out, n.inputs[0], &x)) < 0)
        return err;
    if (n.inputs[2] != NN_NONE && (err = want(c, out, n.inputs[2], &s->bias)) < 0)
        return err;
    for (s->n_posts = 0; s->n_posts < n.n_posts; s->n_posts++) {
        stream_post *p = &s->posts[s->n_posts];
        *p = (stream_post){ n.posts[s->n_posts], -1 };
        if (p->post.kind == NN_POST_BINARY && (err = want(c, out, n.inputs[p->post.input], &p->other)) < 0)
            return err;
    }
    const int64_t row = s->w.depth * (int64_t)nn_type_size(s->w.type);
    s->per_item = SM_CLAMP(ITEM / row / 4 * 4, 4, (s->width + 3) / 4 * 4);
    out->run = run_stream;
    out->streamed = (double)(row * s->width);
    out->state = s;
    out->kernel = s->kernel->name;
    if (s->w.type == NN_I8 && s->w.depth < NN_STREAM_DEEPEST && (s->digits = nn_stream_digits_best())) {
        out->scratch = s->digits->room(s->rows, s->w.depth);
        out->kernel = s->digits->name;
    }
    return 0;
}

/* ---- attention to a cache ---- */

typedef struct {
    const nn_stream_kernel *kernel;
    int64_t n, heads, tokens, room, d;
    bool half;
    float scale;
    size_t work; /* floats a worker */
} cached_state;

typedef struct {
    const cached_state *s;
    const float *x;
    char *cache;
    float *y, *work;
    int64_t at;
} cached_job;

static int cached_item(void *user, size_t item, int worker)
{
    const cached_job *j = user;
    const cached_state *s = j->s;
    const int64_t width = s->heads * s->d, n = (int64_t)item / s->heads, h = (int64_t)item % s->heads;
    const int64_t head = s->room * s->d * (s->half ? 2 : 4), row = n * s->heads + h;
    const nn_stream_cache k = { s->half, j->cache + row * head, s->d },
                          v = { s->half, j->cache + (s->n * s->heads + row) * head, s->d };
    for (int64_t t = 0; t < s->tokens; t++) {
        const float *x = j->x + (n * s->tokens + t) * 3 * width + h * s->d;
        if (j->at + t >= 0 && j->at + t < s->room) {
            s->kernel->keep(&k, j->at + t, x + width);
            s->kernel->keep(&v, j->at + t, x + 2 * width);
        }
    }
    for (int64_t t = 0; t < s->tokens; t++) {
        float *y = j->y + (n * s->tokens + t) * width + h * s->d;
        const int64_t seen = SM_CLAMP(j->at + t + 1, 0, s->room);
        if (seen > 0)
            s->kernel->attend(&k, &v, j->x + (n * s->tokens + t) * 3 * width + h * s->d, seen, s->scale,
                              j->work + (size_t)worker * s->work, y);
        else
            memset(y, 0, (size_t)s->d * sizeof *y);
    }
    return 0;
}

static int run_cached(const nn_step *step, nn_exec *x)
{
    const cached_state *s = step->state;
    cached_job j = { s,
                     x->data[step->in[0]],
                     x->data[step->in[1]],
                     x->data[step->out],
                     x->scratch,
                     *(const int32_t *)x->data[step->in[2]] };
    return nn_dnnl_parallel(x, (size_t)(s->n * s->heads), cached_item, &j);
}

int nn_dnnl_cached_attention_step(nn_compiler *c, nn_id node, nn_step *out)
{
    const nn_graph *g = nn_compiler_graph(c);
    const nn_node n = *nn_at(g, node), *cache = nn_in(g, &n, 1);
    cached_state *s = sm_arena_zero(nn_compiler_arena(c), 1, sizeof *s);
    int x, err;

    if (!s)
        return SM_ENOMEM;
    if (n.n_posts)
        return 1;
    *s = (cached_state){ .kernel = nn_stream_best(),
                         .n = cache->shape.dim[1],
                         .heads = cache->shape.dim[2],
                         .tokens = n.shape.dim[1],
                         .room = cache->shape.dim[3],
                         .d = cache->shape.dim[4],
                         .half = cache->type == NN_F16,
                         .scale = n.attrs.attention.scale };
    s->work = (size_t)s->room + 64 + NN_DNNL_APART / sizeof(float);
    if ((err = want(c, out, n.inputs[0], &x)) < 0 || (err = nn_reads(c, out, nn_want(c, n.inputs[1], NULL, 0))) < 0 ||
        (err = nn_reads(c, out, nn_want(c, n.inputs[2], NULL, 0))) < 0)
        return err;
    out->scratch = (size_t)nn_compiler_options(c)->threads * s->work * sizeof(float);
    out->run = run_cached;
    out->state = s;
    out->kernel = s->kernel->name;
    return 0;
}
