/* LSTM layers: what the inputs say of all steps as one product in tiles, then step by step what hangs on the step before. */
#include "nn/onednn/lstm.h"

#include <string.h>

#include "nn/onednn/onednn.h"
#include "nn/onednn/tiles.h"

typedef struct {
    const nn_tiles *tiles;
    const nn_lstm_kernel *kernel;
    int64_t batch, steps, width, hidden, groups; /* groups of lanes of units */
    int64_t block, room;                         /* steps whose inputs are multiplied at once; rows of their results */
    const float *inputs, *hiddens, *bias;        /* packed: see fill_* */
    int h_in, c_in;                              /* the step's inputs; -1: none */
    size_t part[3];                              /* floats: results of the product; last outputs, cells */
} lstm;

/* ---- weights: column 4 g + i is gate i of units lanes g .. ---- */

typedef struct {
    nn_id id;
    const lstm *s;
    bool inputs;
} pack_job;

static float weight_of(const lstm *s, const float *w, int64_t depth, int64_t group, int gate, int lane, int64_t k)
{
    const int64_t unit = group * s->kernel->lanes + lane;
    return unit < s->hidden ? w[(gate * s->hidden + unit) * depth + k] : 0;
}

/* Of the inputs, for products in tiles: [columns / 2][width][2][lanes]; of the last outputs: [groups][hidden][gates][lanes]. */
static int fill_weights(nn_compiler *c, void *user, void *data)
{
    const pack_job *job = user;
    const lstm *s = job->s;
    const int64_t depth = job->inputs ? s->width : s->hidden;
    const int side = job->inputs ? NN_TILE_COLUMNS : NN_LSTM_GATES, lanes = s->kernel->lanes;
    float *to = data;
    nn_tensor w;
    const int err = nn_compiler_constant(c, job->id, &w);
    if (err < 0)
        return err;
    for (int64_t column = 0; column < s->groups * NN_LSTM_GATES; column += side)
        for (int64_t k = 0; k < depth; k++)
            for (int j = 0; j < side; j++)
                for (int l = 0; l < lanes; l++)
                    *to++ =
                        weight_of(s, w.data, depth, column / NN_LSTM_GATES, (int)(column % NN_LSTM_GATES) + j, l, k);
    return 0;
}

static int pack(nn_compiler *c, nn_id id, bool inputs, const lstm *s, const float **out)
{
    pack_job job = { id, s, inputs };
    const void *data = NULL;
    const size_t columns = (size_t)(s->groups * NN_LSTM_GATES * s->kernel->lanes);
    char key[48];
    snprintf(key, sizeof key, "lstm %s lanes %d", inputs ? "inputs" : "outputs", s->kernel->lanes);
    const int err = nn_pack_get(c, id, key, columns * (size_t)(inputs ? s->width : s->hidden) * sizeof(float),
                                fill_weights, &job, &data);
    *out = data;
    return err;
}

/* [columns][lanes] */
static int pack_bias(nn_compiler *c, nn_id id, lstm *s)
{
    const int lanes = s->kernel->lanes;
    float *to = sm_arena_zero(nn_compiler_arena(c), (size_t)(s->groups * NN_LSTM_GATES * lanes), sizeof *to);
    nn_tensor b;
    if (!to)
        return SM_ENOMEM;
    const int err = nn_compiler_constant(c, id, &b);
    if (err < 0)
        return err;
    for (int64_t column = 0; column < s->groups * NN_LSTM_GATES; column++)
        for (int l = 0; l < lanes; l++)
            to[column * lanes + l] =
                weight_of(s, b.data, 1, column / NN_LSTM_GATES, (int)(column % NN_LSTM_GATES), l, 0);
    s->bias = to;
    return 0;
}

/* ---- running ---- */

typedef struct {
    const lstm *s;
    nn_exec *x;
    const float *input;                         /* [rows][width] */
    float *given, *last, *next, *cell, *output; /* of the item in hand; output: this step's, [hidden] */
    int rows, step, parts;
} lstm_job;

/* Some panels of two columns over all rows of the block. */
static int input_part(void *user, size_t part, int worker)
{
    static const int64_t here = 0;
    const lstm_job *j = user;
    const lstm *s = j->s;
    const int lanes = s->kernel->lanes;
    const int64_t panels = s->groups * NN_LSTM_GATES / NN_TILE_COLUMNS, ldc = s->room * lanes;
    const nn_tile_rows a = {
        .data = j->input, .row = s->width, .rows = j->rows, .slab = &here, .slabs = 1, .depth = (int)s->width
    };
    (void)worker;
    for (int64_t p = panels * (int64_t)part / j->parts; p < panels * (int64_t)(part + 1) / j->parts; p++)
        s->tiles->product(&a, s->inputs + p * s->width * NN_TILE_COLUMNS * lanes,
                          s->bias ? s->bias + p * NN_TILE_COLUMNS * lanes : NULL, NN_TILE_COLUMNS,
                          j->given + p * NN_TILE_COLUMNS * ldc, ldc);
    return 0;
}

/* Some groups of units of one step. */
static int step_part(void *user, size_t part, int worker)
{
    const lstm_job *j = user;
    const lstm *s = j->s;
    const int lanes = s->kernel->lanes;
    (void)worker;
    for (int64_t g = s->groups * (int64_t)part / j->parts; g < s->groups * (int64_t)(part + 1) / j->parts; g++) {
        nn_lstm_units u = { .weights = s->hiddens + g * s->hidden * NN_LSTM_GATES * lanes,
                            .last = j->last,
                            .depth = s->hidden,
                            .cell = j->cell + g * lanes,
                            .output = j->next + g * lanes };
        for (int i = 0; i < NN_LSTM_GATES; i++)
            u.given[i] = j->given + ((g * NN_LSTM_GATES + i) * s->room + j->step) * lanes;
        s->kernel->units(&u);
        const int64_t n = SM_MIN(lanes, s->hidden - g * lanes);
        memcpy(j->output + g * lanes, u.output, (size_t)n * sizeof *j->output);
    }
    return 0;
}

static int run_block(lstm_job *j, int64_t item, int64_t first, float *out)
{
    const lstm *s = j->s;
    j->rows = (int)SM_MIN(s->block, s->steps - first);
    j->output = out + (item * s->steps + first) * s->hidden;
    int err = nn_dnnl_parallel(j->x, (size_t)j->parts, input_part, j);
    for (j->step = 0; j->step < j->rows && err == 0; j->step++, j->output += s->hidden) {
        err = nn_dnnl_parallel(j->x, (size_t)j->parts, step_part, j);
        float *swap = j->last;
        j->last = j->next;
        j->next = swap;
    }
    return err;
}

static int run_lstm(const nn_step *step, nn_exec *x)
{
    const lstm *s = step->state;
    const size_t bytes = (size_t)s->hidden * sizeof(float);
    float *given = x->scratch;
    lstm_job j = {
        .s = s, .x = x, .given = given, .parts = x->threads > 1 ? (int)SM_MIN(s->groups, 2 * (int64_t)x->threads) : 1
    };
    int err = 0;
    for (int64_t item = 0; item < s->batch && err == 0; item++) {
        float *h = s->h_in < 0 ? NULL : (float *)x->data[step->in[s->h_in]] + item * s->hidden;
        float *cell = s->h_in < 0 ? NULL : (float *)x->data[step->in[s->c_in]] + item * s->hidden;
        j.last = given + s->part[0];
        j.next = j.last + s->part[1];
        j.cell = j.next + s->part[1];
        memset(j.last, 0, 3 * s->part[1] * sizeof *j.last);
        if (h) {
            memcpy(j.last, h, bytes);
            memcpy(j.cell, cell, bytes);
        }
        for (int64_t t = 0; t < s->steps && err == 0; t += s->block) {
            j.input = (const float *)x->data[step->in[0]] + (item * s->steps + t) * s->width;
            err = run_block(&j, item, t, x->data[step->out]);
        }
        if (h && err == 0) {
            memcpy(h, j.last, bytes);
            memcpy(cell, j.cell, bytes);
        }
    }
    return err;
}

/* ---- the step ---- */

static const nn_lstm_kernel *best_kernel(const nn_tiles *tiles)
{
    static const nn_lstm_kernel *const all[] = { &nn_lstm_avx512, &nn_lstm_avx2, &nn_lstm_base };
    size_t i = 0;
    while (i + 1 < SM_LENGTH(all) && all[i]->lanes != tiles->lanes)
        i++;
    return all[i];
}

static void measure(const nn_graph *g, const nn_node *n, lstm *s)
{
    const nn_shape x = nn_in(g, n, 0)->shape;
    const int64_t rows = s->tiles->rows;
    s->batch = x.dim[0];
    s->steps = x.dim[1];
    s->width = x.dim[2];
    s->hidden = n->shape.dim[2];
    s->groups = (s->hidden + s->kernel->lanes - 1) / s->kernel->lanes;
    s->block = SM_MIN(s->steps, NN_TILE_BLOCK);
    s->room = (s->block + rows - 1) / rows * rows;
    s->part[0] = (size_t)(s->groups * NN_LSTM_GATES * s->room * s->kernel->lanes);
    s->part[1] = (size_t)(s->groups * s->kernel->lanes) + 16;
}

static int want_all(nn_compiler *c, const nn_node *n, nn_step *out, lstm *s)
{
    int32_t v = nn_dnnl_want(c, out, n->inputs[0], NN_FORM_PLAIN, false);
    s->h_in = s->c_in = -1;
    if (v < 0 || n->inputs[4] == NN_NONE)
        return v < 0 ? v : 0;
    s->h_in = out->n_in;
    if ((v = nn_dnnl_want(c, out, n->inputs[4], NN_FORM_PLAIN, false)) < 0)
        return v;
    s->c_in = out->n_in;
    v = nn_dnnl_want(c, out, n->inputs[5], NN_FORM_PLAIN, false);
    return v < 0 ? v : 0;
}

int nn_dnnl_lstm_step(nn_compiler *c, nn_id node, nn_step *out)
{
    const nn_graph *g = nn_compiler_graph(c);
    const nn_node n = *nn_at(g, node);
    lstm *s = sm_arena_zero(nn_compiler_arena(c), 1, sizeof *s);
    int err;
    if (!s)
        return SM_ENOMEM;
    if (n.n_posts || !nn_is_constant(g, n.inputs[1]) || !nn_is_constant(g, n.inputs[2]) ||
        (n.inputs[3] != NN_NONE && !nn_is_constant(g, n.inputs[3])))
        return 1;
    s->tiles = nn_tiles_best();
    s->kernel = best_kernel(s->tiles);
    measure(g, &n, s);
    if ((err = want_all(c, &n, out, s)) < 0 || (err = pack(c, n.inputs[1], true, s, &s->inputs)) < 0 ||
        (err = pack(c, n.inputs[2], false, s, &s->hiddens)) < 0)
        return err;
    if (n.inputs[3] != NN_NONE && (err = pack_bias(c, n.inputs[3], s)) < 0)
        return err;
    out->run = run_lstm;
    out->state = s;
    out->kernel = "lstm";
    out->scratch = (s->part[0] + 3 * s->part[1]) * sizeof(float);
    return 0;
}
