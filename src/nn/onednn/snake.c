/* The snake as a step, in whatever layout its argument is. */
#include "nn/onednn/snake.h"

#include <string.h>

#include "nn/onednn/onednn.h"

enum { ITEM_FLOATS = 1 << 14 };

typedef struct {
    const nn_snake_kernel *kernel;
    const float *alpha, *inverse; /* [channels] */
    int64_t rows, channels;       /* plain: rows are channels of all images; last: positions */
    int64_t width;                /* plain: of a row */
    bool last;
} snake_state;

typedef struct {
    const snake_state *s;
    const float *x;
    float *y;
    int64_t items;
} snake_job;

const nn_snake_kernel *nn_snake_best(void)
{
    sm_cpu_info cpu;

    sm_cpu_detect(&cpu);
    if (cpu.avx512)
        return &nn_snake_avx512;
    return cpu.avx2 && cpu.fma ? &nn_snake_avx2 : &nn_snake_base;
}

static int snake_item(void *user, size_t i, int worker)
{
    const snake_job *j = user;
    const snake_state *s = j->s;
    const int64_t first = s->rows * (int64_t)i / j->items, end = s->rows * ((int64_t)i + 1) / j->items;

    (void)worker;
    if (s->last) {
        s->kernel->rows(j->x + first * s->channels, j->y + first * s->channels, end - first, s->channels, s->alpha,
                        s->inverse);
        return 0;
    }
    for (int64_t r = first; r < end; r++)
        s->kernel->run(j->x + r * s->width, j->y + r * s->width, s->width, s->alpha[r % s->channels],
                       s->inverse[r % s->channels]);
    return 0;
}

static int run_snake(const nn_step *step, nn_exec *x)
{
    const snake_state *s = step->state;
    snake_job j = { .s = s, .x = x->data[step->in[0]], .y = x->data[step->out], .items = 1 };

    if (x->threads > 1)
        j.items =
            SM_CLAMP(s->rows * (s->last ? s->channels : s->width) / ITEM_FLOATS, 1, SM_MIN(s->rows, 4 * x->threads));
    return nn_dnnl_parallel(x, (size_t)j.items, snake_item, &j);
}

/* alpha as it is, and 1 / beta. */
static int take_vectors(nn_compiler *c, const nn_node *n, snake_state *s)
{
    nn_tensor alpha, beta;
    float *to = sm_arena_get(nn_compiler_arena(c), 2 * (size_t)s->channels, sizeof *to, 64);
    int err = to ? nn_compiler_constant(c, n->inputs[1], &alpha) : SM_ENOMEM;

    if (err < 0)
        return err;
    memcpy(to, alpha.data, (size_t)s->channels * sizeof *to);
    if ((err = nn_compiler_constant(c, n->inputs[2], &beta)) < 0)
        return err;
    for (int64_t i = 0; i < s->channels; i++)
        to[s->channels + i] = (float)(1 / (double)((const float *)beta.data)[i]);
    s->alpha = to;
    s->inverse = to + s->channels;
    return 0;
}

int nn_dnnl_snake_step(nn_compiler *c, nn_id node, nn_step *out)
{
    const nn_graph *g = nn_compiler_graph(c);
    const nn_node n = *nn_at(g, node);
    const bool last = nn_dnnl_is_last(c, n.inputs[0]) && n.shape.rank > 2;
    snake_state *s;

    if (n.n_posts || !nn_is_constant(g, n.inputs[1]) || !nn_is_constant(g, n.inputs[2]))
        return 1;
    s = sm_arena_zero(nn_compiler_arena(c), 1, sizeof *s);
    if (!s)
        return SM_ENOMEM;
    *s = (snake_state){ .kernel = nn_snake_best(),
                        .rows = last ? nn_elements(&n.shape) / n.shape.dim[1] : n.shape.dim[0] * n.shape.dim[1],
                        .channels = n.shape.dim[1],
                        .width = nn_product(&n.shape, 2, n.shape.rank),
                        .last = last };
    const int err = take_vectors(c, &n, s);
    if (err < 0)
        return err;
    out->inplace = nn_dnnl_want(c, out, n.inputs[0], last, false);
    if (out->inplace < 0)
        return out->inplace;
    nn_dnnl_gives(c, out, node, last, false);
    out->run = run_snake;
    out->state = s;
    out->kernel = s->kernel->name;
    return 0;
}
