/* Depthwise convolutions as steps: lines of the result are shared out among threads, one image or many. */
#include "nn/onednn/depth.h"
#include "nn/onednn/onednn.h"

#include <stdio.h>
#include <string.h>

typedef struct {
    int64_t batch, in[2], out[2];
    int channels, kernel[2], stride[2], pad[2];
    nn_depth_after after;
    const nn_depth_kernel *kernels;
    const float *weights, *bias, *zeros;
} depth_conv;

const nn_depth_kernel *nn_depth_best(void)
{
    sm_cpu_info cpu;

    sm_cpu_detect(&cpu);
    if (cpu.avx512)
        return &nn_depth_avx512;
    return cpu.avx2 && cpu.fma ? &nn_depth_avx2 : &nn_depth_base;
}

static bool read_conv(const nn_node *n, const nn_shape *x, const nn_shape *w, depth_conv *d)
{
    static const nn_depth_after after[NN_UNARY_KINDS] = {
        [NN_RELU] = NN_DEPTH_RELU, [NN_SWISH] = NN_DEPTH_SWISH, [NN_HARD_SWISH] = NN_DEPTH_HARD_SWISH
    };
    const nn_conv_attrs *a = &n->attrs.conv;

    if (x->rank != 4 || a->groups != x->dim[1] || n->shape.dim[1] != a->groups || a->groups == 1 || n->n_posts > 1)
        return false;
    *d = (depth_conv){ .batch = x->dim[0], .channels = (int)x->dim[1], .kernels = nn_depth_best() };
    for (int i = 0; i < 2; i++) {
        d->in[i] = x->dim[2 + i];
        d->out[i] = n->shape.dim[2 + i];
        d->kernel[i] = (int)w->dim[2 + i];
        d->stride[i] = a->stride[i];
        d->pad[i] = a->pad_before[i];
        if (a->dilation[i] != 1)
            return false;
    }
    if (n->n_posts == 1) {
        if (n->posts[0].kind != NN_POST_UNARY || after[n->posts[0].unary] == NN_DEPTH_NOTHING)
            return false;
        d->after = after[n->posts[0].unary];
    }
    return d->kernel[0] <= NN_DEPTH_ROWS && (d->kernel[1] == 3 || d->kernel[1] == 5) &&
           (d->stride[1] == 1 || d->stride[1] == 2) && d->channels >= d->kernels->lanes && x->dim[3] < 1 << 24;
}

/* ---- running ---- */

typedef struct {
    const depth_conv *d;
    const float *x;
    float *y;
    size_t lines, parts;
} depth_job;

static void run_line(const depth_job *j, int64_t image, int64_t y)
{
    const depth_conv *d = j->d;
    const int64_t y0 = y * d->stride[0] - d->pad[0], row = d->in[1] * d->channels;
    const float *x = j->x + image * d->in[0] * row;
    nn_depth_line line = {
        .in = (int)d->in[1],
        .out = (int)d->out[1],
        .channels = d->channels,
        .width = d->kernel[1],
        .stride = d->stride[1],
        .pad = d->pad[1],
        .weights = d->weights,
        .taps = d->kernel[0] * d->kernel[1],
        .bias = d->bias,
        .zeros = d->zeros,
        .after = d->after,
        .y = j->y + (image * d->out[0] + y) * d->out[1] * d->channels,
    };

    for (int r = 0; r < d->kernel[0]; r++) {
        if (y0 + r < 0 || y0 + r >= d->in[0])
            continue;
        if (line.rows == 0)
            line.first_row = r;
        line.row[line.rows++] = x + (y0 + r) * row;
    }
    d->kernels->line(&line);
}

static int run_part(void *user, size_t part, int worker)
{
    const depth_job *j = user;
    (void)worker;
    for (size_t i = j->lines * part / j->parts; i < j->lines * (part + 1) / j->parts; i++)
        run_line(j, (int64_t)i / j->d->out[0], (int64_t)i % j->d->out[0]);
    return 0;
}

static int run_depth(const nn_step *step, nn_exec *x)
{
    const depth_conv *d = step->state;
    depth_job j = { .d = d, .x = x->data[step->in[0]], .y = x->data[step->out] };

    j.lines = (size_t)(d->batch * d->out[0]);
    j.parts = x->threads > 1 ? SM_MIN(j.lines, (size_t)x->threads * 4) : 1;
    return nn_dnnl_parallel(x, j.parts, run_part, &j);
}

/* ---- making the step ---- */

typedef struct {
    nn_id id;
    const depth_conv *d;
} pack_job;

static int fill_weights(nn_compiler *c, void *user, void *data)
{
    const pack_job *job = user;
    const depth_conv *d = job->d;
    const int lanes = d->kernels->lanes, taps = d->kernel[0] * d->kernel[1];
    float *to = data;
    nn_tensor w;
    const int err = nn_compiler_constant(c, job->id, &w);

    if (err < 0)
        return err;
    for (int g = 0; g < d->channels; g += lanes)
        for (int t = 0; t < taps; t++)
            for (int l = 0; l < lanes; l++, to++)
                *to = g + l < d->channels ? ((const float *)w.data)[(int64_t)(g + l) * taps + t] : 0;
    return 0;
}

static int pack(nn_compiler *c, nn_id id, depth_conv *d)
{
    const int lanes = d->kernels->lanes, groups = (d->channels + lanes - 1) / lanes;
    pack_job job = { id, d };
    const void *data = NULL;
    char key[48];

    snprintf(key, sizeof key, "depthwise lanes %d", lanes);
    const int err =
        nn_pack_get(c, id, key, (size_t)groups * (size_t)lanes * (size_t)(d->kernel[0] * d->kernel[1]) * sizeof(float),
                    fill_weights, &job, &data);
    d->weights = data;
    return err;
}

int nn_dnnl_conv_depth_step(nn_compiler *c, nn_id node, nn_step *out)
{
    const nn_graph *g = nn_compiler_graph(c);
    const nn_node n = *nn_at(g, node);
    const nn_shape x = nn_in(g, &n, 0)->shape, w = nn_in(g, &n, 1)->shape;
    depth_conv *d = sm_arena_zero(nn_compiler_arena(c), 1, sizeof *d);
    nn_tensor bias;
    int err;

    if (!d)
        return SM_ENOMEM;
    if (nn_dnnl_uses_bf16(c) || !read_conv(&n, &x, &w, d) || !nn_is_constant(g, n.inputs[1]) ||
        (n.inputs[2] != NN_NONE && !nn_is_constant(g, n.inputs[2])))
        return 1;
    float *both = sm_arena_zero(nn_compiler_arena(c), 2 * ((size_t)d->channels + 16), sizeof *both);
    if (!both)
        return SM_ENOMEM;
    if (n.inputs[2] != NN_NONE) {
        if ((err = nn_compiler_constant(c, n.inputs[2], &bias)) < 0)
            return err;
        memcpy(both, bias.data, (size_t)d->channels * sizeof *both);
    }
    d->bias = both;
    d->zeros = both + d->channels + 16;
    if ((err = pack(c, n.inputs[1], d)) < 0)
        return err;
    const int32_t from = nn_dnnl_want(c, out, n.inputs[0], true, false);
    if (from < 0)
        return from;
    nn_dnnl_gives(c, out, node, true, false);
    out->run = run_depth;
    out->state = d;
    out->kernel = "depthwise";
    return 0;
}
