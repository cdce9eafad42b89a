/* The oneDNN backend: own transforms and convolutions in the frequency domain on every instruction set that this CPU has, fusion of
 * a maximum behind a convolution, threads, bf16, layouts. */
#include "support/nn_support.h"

#include "nn/onednn/conv_fft.h"
#include "nn/onednn/conv_fft1.h"
#include "nn/onednn/onednn.h"

#include <math.h>
#include <string.h>

/* ---- transforms ---- */

static size_t lanes_here(const nn_lanes *out[3])
{
    sm_cpu_info cpu;
    size_t n = 0;
    sm_cpu_detect(&cpu);
    out[n++] = &nn_lanes_base;
    if (cpu.avx2 && cpu.fma)
        out[n++] = &nn_lanes_avx2;
    if (cpu.avx512)
        out[n++] = &nn_lanes_avx512;
    return n;
}

/* Largest error of lane 1's bins against the definition, relative to the largest bin. */
static double forward_error(const nn_lanes *k, const nn_fft *f, const float *x, const float *z)
{
    const int lanes = k->lanes, n = f->n;
    double worst = 0, most = 0;
    for (int p = 0; p < n; p++) {
        double re = 0, im = 0;
        for (int t = 0; t < n; t++) {
            const double phase = -2 * M_PI * (double)((int64_t)f->bin_at[p] * t % n) / n;
            const double a = (double)x[2 * t * lanes + 1], b = (double)x[(2 * t + 1) * lanes + 1];
            re += a * cos(phase) - b * sin(phase);
            im += a * sin(phase) + b * cos(phase);
        }
        worst = fmax(worst, hypot((double)z[2 * p * lanes + 1] - re, (double)z[(2 * p + 1) * lanes + 1] - im));
        most = fmax(most, hypot(re, im));
    }
    return worst / most;
}

static void transforms_match_the_definition_and_come_back(void **state)
{
    const nn_lanes *kernels[3];
    const size_t n_kernels = lanes_here(kernels);
    (void)state;
    for (size_t i = 0; i < n_kernels; i++)
        for (int n = 4; n <= 400; n += 4) {
            sm_arena *arena = sm_arena_new();
            const size_t floats = (size_t)n * 2 * (size_t)kernels[i]->lanes;
            float *x = sm_alloc_aligned(floats, sizeof *x), *z = sm_alloc_aligned(floats, sizeof *z);
            nn_fft f;
            if (nn_fft_length(n) == n) {
                test_ok(nn_fft_init(&f, n, arena));
                test_fill(x, floats, "x", (uint64_t)n, 0, 1);
                memcpy(z, x, floats * sizeof *z);
                kernels[i]->forward(&f, z);
                const double e = forward_error(kernels[i], &f, x, z);
                kernels[i]->inverse(&f, z);
                for (size_t k = 0; k < floats; k++)
                    z[k] /= (float)n;
                const double back = test_normalised_error(z, x, floats);
                /* rounding of f32, 6e-8, grows with the square root of the passes */
                if (!(e < 5e-7) || !(back < 5e-7))
                    fail_msg("%s, n = %d: %.2g forward, %.2g there and back", kernels[i]->name, n, e, back);
            }
            sm_free(x);
            sm_free(z);
            sm_arena_free(arena);
        }
}

/* ---- convolutions in the frequency domain, straight from their headers ---- */

static const nn_conv_shape few[] = {
    { 3,
      1,
      37,
      { 256, 1 },
      { 64, 1 },
      { 128, 1 },
      { 4, 1 },
      { 62, 0 },
      NN_FOLD_POOL2,
      0 }, /* like CREPE's first block */
    { 2,
      1,
      20,
      { 100, 1 },
      { 31, 1 },
      { 41, 1 },
      { 3, 1 },
      { 17, 0 },
      NN_FOLD_NONE,
      0 }, /* stride that divides nothing */
    { 2, 1, 21, { 13, 40 }, { 13, 25 }, { 7, 16 }, { 1, 1 }, { 3, 0 }, NN_FOLD_ALL, 1 }, /* MusiCNN's timbral */
    { 2, 1, 9, { 61, 5 }, { 61, 5 }, { 32, 1 }, { 1, 1 }, { 15, 0 }, NN_FOLD_ROWS, 1 },  /* its temporal, odd rows */
    { 1, 2, 5, { 9, 50 }, { 5, 50 }, { 3, 31 }, { 2, 1 }, { 1, 15 }, NN_FOLD_NONE, 1 }, /* two channels, strided rows */
};
static const nn_conv_shape many[] = {
    { 5,
      24,
      19,
      { 32, 1 },
      { 32, 1 },
      { 64, 1 },
      { 1, 1 },
      { 31, 0 },
      NN_FOLD_POOL2,
      0 }, /* kernel longer than the input */
    { 3, 18, 70, { 128, 1 }, { 128, 1 }, { 64, 1 }, { 1, 1 }, { 31, 0 }, NN_FOLD_NONE, 0 },
    { 2, 33, 16, { 187, 1 }, { 187, 1 }, { 7, 1 }, { 1, 1 }, { 3, 0 }, NN_FOLD_NONE, 0 }, /* tiles */
    { 1,
      300,
      8,
      { 20, 1 },
      { 9, 1 },
      { 12, 1 },
      { 1, 1 },
      { 0, 0 },
      NN_FOLD_POOL2,
      0 }, /* chunks of channels; a rest of 1 */
};

typedef struct {
    float *x, *w, *out;
    nn_conv_finish finish;
    size_t n_out;
    int dims[2]; /* of the folded result */
} conv_case;

static void case_new(const nn_conv_shape *s, conv_case *c)
{
    const size_t n_x = (size_t)(s->batch * s->channels * s->in[0] * s->in[1]);
    const size_t n_w = (size_t)(s->filters * s->channels * s->kernel[0] * s->kernel[1]),
                 vector = (size_t)s->filters + NN_MAX_LANES;
    const int fold_axis = s->fold_axis;
    *c = (conv_case){ .dims = { s->out[0], s->out[1] } };
    if (s->fold != NN_FOLD_NONE)
        c->dims[fold_axis] = s->fold == NN_FOLD_POOL2 ? c->dims[fold_axis] / 2 : 1;
    c->n_out = (size_t)(s->batch * s->filters * c->dims[0] * c->dims[1]);
    c->x = sm_alloc_aligned(n_x, sizeof(float));
    c->w = sm_alloc_aligned(n_w, sizeof(float));
    c->out = sm_alloc_zero(c->n_out, sizeof(float));
    float *v = sm_alloc_zero(4 * vector, sizeof(float));
    c->finish = (nn_conv_finish){ v, v + vector, v + 2 * vector, v + 3 * vector, true };
    test_fill(c->x, n_x, "x", 1, 0, 1);
    test_fill(c->w, n_w, "w", 1, 0, 1);
    test_fill(v, 4 * vector, "vectors", 1, 0, 1);
    for (int k = 0; k < s->filters; k++)
        c->finish.sign[k] = s->fold != NN_FOLD_NONE && c->finish.scale[k] < 0 ? -1 : 1;
}

static void case_free(conv_case *c)
{
    sm_free(c->x);
    sm_free(c->w);
    sm_free(c->out);
    sm_free(c->finish.sign);
}

/* x is [batch][channel][in0][in1], or with the channels last */
static double one_result(const nn_conv_shape *s, const conv_case *c, bool last, int b, int k, int i, int j)
{
    double sum = (double)c->finish.bias[k];
    for (int n = 0; n < s->channels; n++)
        for (int p = 0; p < s->kernel[0]; p++)
            for (int q = 0; q < s->kernel[1]; q++) {
                const int y = i * s->stride[0] + p - s->pad[0], z = j * s->stride[1] + q - s->pad[1];
                if (y < 0 || z < 0 || y >= s->in[0] || z >= s->in[1])
                    continue;
                const int at = last ? ((b * s->in[0] + y) * s->in[1] + z) * s->channels + n
                                    : ((b * s->channels + n) * s->in[0] + y) * s->in[1] + z;
                sum += (double)c->x[at] * (double)c->w[((k * s->channels + n) * s->kernel[0] + p) * s->kernel[1] + q];
            }
    return fmax(sum, 0) * (double)c->finish.scale[k] + (double)c->finish.offset[k];
}

/* Everything folded by the definition, channels last. */
static double case_error(const nn_conv_shape *s, const conv_case *c, bool last)
{
    float *expected = sm_alloc(c->n_out, sizeof *expected), *to = expected;
    const int length = s->fold == NN_FOLD_NONE ? 1 : s->fold == NN_FOLD_POOL2 ? 2 : s->out[s->fold_axis];
    for (int b = 0; b < s->batch; b++)
        for (int i = 0; i < c->dims[0]; i++)
            for (int j = 0; j < c->dims[1]; j++)
                for (int k = 0; k < s->filters; k++) {
                    double most = -INFINITY;
                    for (int t = 0; t < length; t++)
                        most = fmax(most, one_result(s, c, last, b, k, s->fold_axis == 0 ? i * length + t : i,
                                                     s->fold_axis == 1 ? j * length + t : j));
                    *to++ = (float)most;
                }
    const double e = test_normalised_error(c->out, expected, c->n_out);
    sm_free(expected);
    return e;
}

static double run_few(const nn_conv_shape *s, int axis, const nn_lanes *lanes)
{
    sm_arena *arena = sm_arena_new();
    nn_conv_fft1 p;
    conv_case c;
    case_new(s, &c);
    test_ok(nn_conv_fft1_init(&p, s, axis, lanes, arena));
    float *weights = sm_alloc_aligned(nn_conv_fft1_weight_floats(&p), sizeof *weights);
    float *spectra = sm_alloc_aligned(nn_conv_fft1_spectra_floats(&p), sizeof *spectra);
    float *work = sm_alloc_aligned(nn_conv_fft1_work_floats(&p), sizeof *work);
    const int positions = s->fold == NN_FOLD_ALL ? 1 : c.dims[axis];
    const nn_out_strides to = { (int64_t)positions * s->filters, s->filters, lanes->lanes };
    test_ok(nn_conv_fft1_pack(&p, c.w, c.finish.sign, weights));
    for (int part = 0; part < 3; part++)
        nn_conv_fft1_spectra(&p, c.x, part, 3, work, spectra);
    for (int g = 0; g < p.groups; g++)
        for (int part = 0; part < 2; part++)
            nn_conv_fft1_rows(&p, g, part, 2, spectra, weights, &c.finish, work, c.out, &to);
    const double e = case_error(s, &c, false);
    sm_free(weights);
    sm_free(spectra);
    sm_free(work);
    case_free(&c);
    sm_arena_free(arena);
    return e;
}

static double run_many(const nn_conv_shape *s, const nn_lanes *lanes)
{
    sm_arena *arena = sm_arena_new();
    nn_conv_fft_memory size;
    nn_conv_fft p;
    conv_case c;
    case_new(s, &c);
    test_ok(nn_conv_fft_init(&p, s, lanes, 1 << 20, arena));
    nn_conv_fft_sizes(&p, &size);
    float *weights = sm_alloc_aligned(nn_conv_fft_weight_floats(&p), sizeof *weights);
    float *spectra = sm_alloc_aligned(size.spectra, sizeof *spectra),
          *products = sm_alloc_aligned(size.products, sizeof *products);
    float *work = sm_alloc_aligned(size.work, sizeof *work);
    nn_conv_fft_run r = { .conv = &p,
                          .x = c.x,
                          .weights = weights,
                          .finish = &c.finish,
                          .out = c.out,
                          .spectra = spectra,
                          .products = products };
    r.in = (nn_out_strides){ (int64_t)s->in[0] * s->channels, s->channels, lanes->lanes };
    r.to = (nn_out_strides){ (int64_t)c.dims[0] * s->filters, s->filters, lanes->lanes };
    test_ok(nn_conv_fft_pack(&p, c.w, c.finish.sign, weights));
    for (r.first_row = 0; r.first_row < p.rows; r.first_row += p.group) {
        for (r.first_channel = 0; r.first_channel < s->channels; r.first_channel += p.chunk) {
            for (int i = 0; i < nn_conv_fft_spectra_items(&r); i++)
                nn_conv_fft_spectra_item(&r, i, work);
            for (int i = 0; i < nn_conv_fft_product_items(&r); i++)
                nn_conv_fft_product_item(&r, i);
        }
        for (int i = 0; i < nn_conv_fft_result_items(&r); i++)
            nn_conv_fft_result_item(&r, i, work);
    }
    const double e = case_error(s, &c, true);
    sm_free(weights);
    sm_free(spectra);
    sm_free(products);
    sm_free(work);
    case_free(&c);
    sm_arena_free(arena);
    return e;
}

static void long_kernels_in_the_frequency_domain_match_the_definition(void **state)
{
    const nn_lanes *kernels[3];
    const size_t n_kernels = lanes_here(kernels);
    const double bound = 2e-6; /* 3e-7 to 6e-7 measured */
    (void)state;
    for (size_t k = 0; k < n_kernels; k++) {
        for (size_t i = 0; i < SM_LENGTH(few); i++) {
            const double e = run_few(&few[i], few[i].fold == NN_FOLD_ROWS ? 0 : few[i].fold_axis, kernels[k]);
            if (!(e < bound))
                fail_msg("few channels, case %zu, %s: error %.3g", i, kernels[k]->name, e);
        }
        for (size_t i = 0; i < SM_LENGTH(many); i++) {
            const double e = run_many(&many[i], kernels[k]);
            if (!(e < bound))
                fail_msg("many channels, case %zu, %s: error %.3g", i, kernels[k]->name, e);
        }
    }
}

/* ---- whole plans ---- */

typedef enum { FOLD_POOL, FOLD_WHOLE_POOL, FOLD_REDUCE, FOLD_REDUCE_KEEP } how;

/* conv, ReLU, batch norm, maximum, and something behind it that reads the result as it lies. */
static nn_graph *front(const nn_source *w, nn_shape x_shape, nn_shape k, const nn_conv_attrs *a, how h, int axis)
{
    nn_graph *g = nn_graph_new();
    const nn_shape c = NN_SHAPE(k.dim[0]);
    nn_id x = nn_conv(g, nn_input(g, "x", x_shape), nn_weight(g, w, "kernel", k), nn_weight(g, w, "bias", c), a);
    x = nn_unary(g, NN_RELU, x);
    x = nn_batch_norm(g, x, nn_weight(g, w, "scale", c), nn_weight(g, w, "beta", c), nn_weight(g, w, "mean", c),
                      nn_weight(g, w, "var", c), 1e-3f);
    const int length = (int)nn_shape_of(g, x).dim[2 + axis];
    nn_pool_attrs pool = { .kernel = { 1, 1 } };
    pool.kernel[axis] = h == FOLD_POOL ? 2 : length;
    x = h <= FOLD_WHOLE_POOL ? nn_max_pool(g, x, &pool)
                             : nn_reduce(g, NN_REDUCE_MAX, x, 4u << axis, h == FOLD_REDUCE_KEEP);
    const nn_shape s = nn_shape_of(g, x);
    x = nn_reshape(g, x, NN_SHAPE(s.dim[0], s.dim[1], -1));
    nn_output(g, "flat", nn_permute(g, x, (int[]){ 0, 2, 1 }));
    nn_output(g, "sum", nn_reduce(g, NN_REDUCE_SUM, x, 4, false));
    return g;
}

static const struct {
    nn_shape x, kernel;
    nn_conv_attrs conv;
    how how;
    int axis;
    const char *kernel_name;
} fronts[] = {
    { { 4, { 3, 1, 1024, 1 } },
      { 4, { 32, 1, 512, 1 } },
      { .stride = { 4, 1 }, .pad_before = { 254 }, .pad_after = { 254 } },
      FOLD_POOL,
      0,
      "fft, few channels" },
    { { 3, { 3, 32, 64 } },
      { 3, { 24, 32, 64 } },
      { .pad_before = { 31 }, .pad_after = { 32 } },
      FOLD_POOL,
      0,
      "fft and products" },
    { { 4, { 2, 1, 20, 96 } },
      { 4, { 40, 1, 7, 38 } },
      { .pad_before = { 3 }, .pad_after = { 3 } },
      FOLD_REDUCE_KEEP,
      1,
      "fft, few channels" },
    { { 4, { 2, 1, 20, 96 } },
      { 4, { 40, 1, 7, 67 } },
      { .pad_before = { 3 }, .pad_after = { 3 } },
      FOLD_REDUCE,
      1,
      "fft, few channels" },
    { { 4, { 2, 1, 150, 10 } },
      { 4, { 20, 1, 128, 1 } },
      { .pad_before = { 63 }, .pad_after = { 64 } },
      FOLD_WHOLE_POOL,
      1,
      "fft, few channels" },
};

static void a_maximum_behind_a_long_convolution_is_fused_and_exact(void **state)
{
    (void)state;
    for (size_t i = 0; i < SM_LENGTH(fronts); i++) {
        char what[40];
        test_nn_weights *w = test_nn_weights_new();
        nn_graph *g =
            front(test_nn_source(w), fronts[i].x, fronts[i].kernel, &fronts[i].conv, fronts[i].how, fronts[i].axis);
        snprintf(what, sizeof what, "front %zu", i);
        test_nn_same(g, "onednn", NULL, i, 2e-6, what);
        if (!test_nn_steps(g, fronts[i].kernel_name, false))
            fail_msg("front %zu does not run '%s'", i, fronts[i].kernel_name);
        nn_graph_free(g);
        test_nn_weights_free(w);
    }
}

/* A small network of most kinds of steps: strided, depthwise, pointwise, squeeze-excite, residual, concatenation, dense. */
static nn_graph *net(const nn_source *w, int batch)
{
    nn_graph *g = nn_graph_new();
    const nn_conv_attrs point = { 0 };
    nn_id x = nn_input(g, "x", NN_SHAPE(batch, 1, 24, 20));
    x = nn_conv(g, x, nn_weight(g, w, "stem", NN_SHAPE(16, 1, 3, 3)), NN_NONE,
                &(nn_conv_attrs){ .stride = { 2, 2 }, .same_tf = true });
    x = nn_unary(g, NN_SWISH, x);
    nn_id y =
        nn_conv(g, x, nn_weight(g, w, "expand", NN_SHAPE(48, 16, 1, 1)), nn_weight(g, w, "b0", NN_SHAPE(48)), &point);
    y = nn_conv(g, nn_unary(g, NN_SWISH, y), nn_weight(g, w, "depth", NN_SHAPE(48, 1, 5, 5)),
                nn_weight(g, w, "b1", NN_SHAPE(48)), &(nn_conv_attrs){ .groups = 48, .same_tf = true });
    y = nn_unary(g, NN_SWISH, y);
    nn_id s = nn_reduce(g, NN_REDUCE_MEAN, y, 12, true);
    s = nn_unary(g, NN_SWISH, nn_conv(g, s, nn_weight(g, w, "se0", NN_SHAPE(4, 48, 1, 1)), NN_NONE, &point));
    s = nn_unary(g, NN_SIGMOID, nn_conv(g, s, nn_weight(g, w, "se1", NN_SHAPE(48, 4, 1, 1)), NN_NONE, &point));
    y = nn_conv(g, nn_binary(g, NN_MUL, y, s), nn_weight(g, w, "project", NN_SHAPE(16, 48, 1, 1)),
                nn_weight(g, w, "b2", NN_SHAPE(16)), &point);
    x = nn_binary(g, NN_ADD, y, x);
    x = nn_concat(g, (nn_id[]){ x, nn_unary(g, NN_RELU, y) }, 2, 1);
    x = nn_max_pool(g, x, &(nn_pool_attrs){ .kernel = { 2, 2 } });
    x = nn_reshape(g, nn_permute(g, x, (int[]){ 0, 2, 3, 1 }), NN_SHAPE(batch, 6 * 5 * 32));
    nn_output(
        g, "scores",
        nn_softmax(g, nn_linear(g, x, nn_weight(g, w, "dense", NN_SHAPE(10, 960)), nn_weight(g, w, "b3", NN_SHAPE(10))),
                   1));
    return g;
}

static void the_same_comes_out_with_any_number_of_threads_and_in_any_batch(void **state)
{
    test_nn_weights *w = test_nn_weights_new();
    test_nn_ports expected, got;
    (void)state;
    for (int batch = 1; batch <= 7; batch += 3) {
        nn_graph *g = net(test_nn_source(w), batch);
        test_nn_run(g, &(nn_compile_options){ .backend = "ref", .plain = true }, NULL, 3, &expected);
        for (int threads = 1; threads <= 3; threads++) {
            test_nn_run(g, &(nn_compile_options){ .precision = NN_PRECISION_F32, .threads = threads }, NULL, 3, &got);
            const double e = test_nn_error(&got, &expected);
            if (!(e < 2e-6)) /* 3e-7 measured */
                fail_msg("batch %d, %d threads: error %.3g", batch, threads, e);
            test_nn_ports_free(&got);
        }
        test_nn_ports_free(&expected);
        nn_graph_free(g);
    }
    test_nn_weights_free(w);
}

static void bf16_stays_within_its_rounding(void **state)
{
    test_nn_weights *w = test_nn_weights_new();
    test_nn_ports expected, got;
    nn_graph *g = net(test_nn_source(w), 3);
    (void)state;
    sm_cpu_info cpu;
    sm_cpu_detect(&cpu);
    if (!cpu.avx512)
        test_skip("this CPU has no AVX-512, which oneDNN 2.6 needs even to emulate bf16");
    test_nn_run(g, &(nn_compile_options){ .backend = "ref", .plain = true }, NULL, 3, &expected);
    test_nn_run(g, &(nn_compile_options){ .precision = NN_PRECISION_BF16, .emulate = true }, NULL, 3, &got);
    const double e = test_nn_error(&got, &expected);
    if (!(e < 0.03 &&
          e > 1e-5)) /* 8 bits: 2e-3 a layer, six layers deep; exactly f32 would mean that it was not used */
        fail_msg("error %.3g", e);
    test_nn_ports_free(&expected);
    test_nn_ports_free(&got);
    nn_graph_free(g);
    test_nn_weights_free(w);
}

typedef struct {
    const nn_plan *plan;
    const test_nn_ports *expected;
    double error[4];
} shared_run;

static int run_again(void *user, size_t i, int worker)
{
    shared_run *r = user;
    nn_run_state *s = NULL;
    test_nn_ports got;
    (void)worker;
    test_nn_ports_new(r->plan, NULL, 3, &got);
    int err = nn_run_state_new(r->plan, &s);
    for (int k = 0; k < 20 && err == 0; k++)
        err = nn_run(r->plan, s, (const void *const *)got.in, got.out);
    r->error[i] = test_nn_error(&got, r->expected);
    test_nn_ports_free(&got);
    nn_run_state_free(s);
    return err;
}

/* oneDNN's own scratchpads belong to the thread that made a primitive: a plan must not use them. */
static void threads_that_did_not_compile_a_plan_may_run_it_side_by_side(void **state)
{
    test_nn_weights *w = test_nn_weights_new();
    nn_graph *g = net(test_nn_source(w), 4);
    test_nn_ports expected;
    shared_run r = { .expected = &expected };
    nn_plan *plan = NULL;
    sm_pool *pool = NULL;
    (void)state;
    test_nn_run(g, &(nn_compile_options){ .backend = "ref", .plain = true }, NULL, 3, &expected);
    test_ok(nn_compile(g, &(nn_compile_options){ .precision = NN_PRECISION_F32 }, &plan));
    r.plan = plan;
    test_ok(sm_pool_new(4, &pool));
    test_ok(sm_pool_run(pool, 4, run_again, &r));
    for (int i = 0; i < 4; i++)
        if (!(r.error[i] < 2e-6))
            fail_msg("run %d: error %.3g", i, r.error[i]);
    sm_pool_free(pool);
    nn_plan_free(plan);
    test_nn_ports_free(&expected);
    nn_graph_free(g);
    test_nn_weights_free(w);
}

static void compiling_survives_any_failed_allocation(void **state)
{
    test_nn_weights *w = test_nn_weights_new();
    nn_graph *g =
        front(test_nn_source(w), fronts[1].x, fronts[1].kernel, &fronts[1].conv, fronts[1].how, fronts[1].axis);
    (void)state;
    test_every_allocation_may_fail(test_nn_compile_and_open, g);
    nn_graph_free(g);
    test_nn_weights_free(w);
}

static void a_fused_node_has_a_reference_too(void **state)
{
    static const float x[8] = { 1, -2, 3, 4, -5, 6, 7, -8 }, k[2] = { 1, 2 }, bias[1] = { 0.5f }, scale[1] = { -2 },
                       offset[1] = { 1 };
    nn_graph *g = nn_graph_new();
    test_nn_ports out;
    nn_attrs a;
    (void)state;
    memset(&a, 0, sizeof a);
    a.conv_fold.conv = (nn_conv_attrs){ .stride = { 1, 1 }, .dilation = { 1, 1 }, .groups = 1 };
    a.conv_fold.fold = NN_FOLD_ALL;
    a.conv_fold.relu = true;
    const nn_id inputs[5] = { nn_const_f32(g, NN_SHAPE(1, 1, 8), x), nn_const_f32(g, NN_SHAPE(1, 1, 2), k),
                              nn_const_f32(g, NN_SHAPE(1), bias), nn_const_f32(g, NN_SHAPE(1), scale),
                              nn_const_f32(g, NN_SHAPE(1), offset) };
    nn_output(g, "y", nn_add(g, &nn_op_conv_fold, &a, inputs, 5));
    test_nn_run(g, &(nn_compile_options){ .backend = "ref", .plain = true }, NULL, 0, &out);
    /* sums -3 4 11 -6 7 20 -9; + 0.5 and ReLU: at least 0, times -2 plus 1: the largest is 1 */
    assert_true(out.out[0][0] == 1.0f);
    test_nn_ports_free(&out);
    nn_graph_free(g);
}

static void the_machine_can_be_measured(void **state)
{
    char text[128];
    (void)state;
    assert_true(nn_measure_sgemm_gflops(128, 1, 2) > 0.01);
    assert_true(nn_measure_copy_gbps(1 << 20, 2) > 0.01);
    static const float ones[1000];
    assert_true(nn_measure_read_gbps(ones, sizeof ones, NULL) > 0.01);
    assert_non_null(strstr(nn_backend_text(text), "onednn"));
    assert_true(nn_precision_native(NN_PRECISION_F32));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(transforms_match_the_definition_and_come_back),
        cmocka_unit_test(long_kernels_in_the_frequency_domain_match_the_definition),
        cmocka_unit_test(a_maximum_behind_a_long_convolution_is_fused_and_exact),
        cmocka_unit_test(the_same_comes_out_with_any_number_of_threads_and_in_any_batch),
        cmocka_unit_test(bf16_stays_within_its_rounding),
        cmocka_unit_test(threads_that_did_not_compile_a_plan_may_run_it_side_by_side),
        cmocka_unit_test(compiling_survives_any_failed_allocation),
        cmocka_unit_test(a_fused_node_has_a_reference_too),
        cmocka_unit_test(the_machine_can_be_measured),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
