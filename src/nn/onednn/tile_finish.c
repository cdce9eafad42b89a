/* Bias, gate and posts behind a product in tiles, while its block is in the first cache. */
#include "nn/onednn/tile_finish.h"

#include <string.h>

/* A constant vector of `filters` channels (gated: 2 filters, as a bias), laid out as the columns are. */
static int read_vector(nn_compiler *c, nn_id id, const nn_tile_finish *f, bool gated, const float **out)
{
    const int lanes = f->tiles->lanes, halves = gated ? 2 : 1;
    float *to = sm_arena_zero(nn_compiler_arena(c), (size_t)(f->groups * lanes * halves * f->phases), sizeof *to);
    nn_tensor t;
    int err;

    if (!nn_is_constant(nn_compiler_graph(c), id))
        return 1;
    if (!to)
        return SM_ENOMEM;
    if ((err = nn_compiler_constant(c, id, &t)) < 0)
        return err;
    const float *from = t.data;
    for (int p = 0; p < f->phases; p++)
        for (int k = 0; k < f->filters; k++)
            for (int h = 0; h < halves; h++)
                to[((p * f->groups + k / lanes) * halves + h) * lanes + k % lanes] = from[h * f->filters + k];
    *out = to;
    return 0;
}

static int read_post(nn_compiler *c, const nn_node *n, const nn_post *post, nn_step *out, nn_tile_finish *f)
{
    const int i = f->n_posts;
    int err = 0;

    f->post[i].kind = post->kind;
    f->post[i].unary = post->unary;
    if (post->kind == NN_POST_UNARY)
        err = post->unary == NN_RELU || f->vmath->unary[post->unary] ? 0 : 1;
    else if (post->kind == NN_POST_AFFINE)
        err = post->axis != 1 ? 1
              : (err = read_vector(c, n->inputs[post->input], f, false, &f->post[i].scale)) != 0
                  ? err
                  : read_vector(c, n->inputs[post->input + 1], f, false, &f->post[i].offset);
    else if (post->binary != NN_ADD)
        err = 1;
    else {
        f->post[i].in = out->n_in;
        const int32_t v = nn_dnnl_want(c, out, n->inputs[post->input], true, false);
        if (v < 0)
            return v;
        out->inplace = v; /* each number is read just before its place is written */
    }
    f->n_posts += err == 0;
    return err;
}

int nn_tile_finish_make(nn_compiler *c, nn_id node, int phases, bool gated, nn_step *out, nn_tile_finish *f)
{
    const nn_node n = *nn_at(nn_compiler_graph(c), node); /* nn_want may move the list */
    int err = 0;

    *f = (nn_tile_finish){ .tiles = nn_tiles_best(), .vmath = nn_vmath_best(), .phases = phases, .gated = gated };
    f->filters = (int)n.shape.dim[1];
    f->groups = (f->filters + f->tiles->lanes - 1) / f->tiles->lanes;
    if (n.inputs[2] != NN_NONE && (err = read_vector(c, n.inputs[2], f, gated, &f->bias)) != 0)
        return err;
    for (int i = 0; i < n.n_posts && err == 0; i++)
        err = read_post(c, &n, &n.posts[i], out, f);
    return err;
}

int nn_tile_panels(const nn_tile_finish *f)
{
    const int groups = f->groups * f->phases;
    return f->gated ? groups : (groups + NN_TILE_COLUMNS - 1) / NN_TILE_COLUMNS;
}

int nn_tile_panel(const nn_tile_finish *f, int panel, int *group)
{
    const int groups = f->groups * f->phases;
    *group = f->gated ? panel : panel * NN_TILE_COLUMNS;
    return f->gated ? 2 : SM_MIN(NN_TILE_COLUMNS, groups - *group);
}

static void finish_group(const nn_tile_finish *f, int group, float *block, int rows, const int64_t *at,
                         const nn_step *step, const nn_exec *x)
{
    const int lanes = f->tiles->lanes, phase = group / f->groups, channel = group % f->groups * lanes;
    nn_tile_place place = { .at = at + phase * NN_TILE_BLOCK, .channels = SM_MIN(lanes, f->filters - channel) };

    for (int i = 0; i < f->n_posts; i++) {
        const float *other = f->post[i].kind == NN_POST_BINARY ? x->data[step->in[f->post[i].in]] : NULL;
        if (f->post[i].kind == NN_POST_UNARY && f->post[i].unary == NN_RELU) {
            f->tiles->relu(block, (int64_t)rows * lanes);
        } else if (f->post[i].kind == NN_POST_UNARY) {
            f->vmath->unary[f->post[i].unary](block, block, (int64_t)rows * lanes);
        } else if (f->post[i].kind == NN_POST_AFFINE) {
            f->tiles->affine(block, rows, f->post[i].scale + channel, f->post[i].offset + channel);
        } else {
            place.data = (float *)(uintptr_t)other + channel;
            f->tiles->add(block, rows, &place);
        }
    }
    place.data = (float *)x->data[step->out] + channel;
    f->tiles->store(block, rows, &place);
}

void nn_tile_finish_panel(const nn_tile_finish *f, int panel, float *block, int64_t ldc, int rows, const int64_t *at,
                          const nn_step *step, const nn_exec *x)
{
    int group;
    const int columns = nn_tile_panel(f, panel, &group);

    if (f->gated) {
        f->tiles->gate(block, block + ldc, (int64_t)rows * f->tiles->lanes);
        finish_group(f, group, block, rows, at, step, x);
        return;
    }
    for (int j = 0; j < columns; j++)
        finish_group(f, group + j, block + j * ldc, rows, at, step, x);
}
