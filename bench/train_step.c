/* One training step of a network, forward and backward on one thread, beside what the machine's sgemm could do:
 *
 *     train_step [cnn | residual] [batch] [profile]
 *
 * samples/s, and multiply-adds of forward and backward as a share of sgemm's. `profile` prints each step's time. */
#include "nn/nn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Weights of any name: small numbers by their place. */
typedef struct {
    float *numbers;
} made_up;
enum { MOST = 1 << 24 };

static int get(void *user, const char *name, const nn_shape *expected, nn_tensor *out)
{
    made_up *m = user;
    (void)name;
    *out = (nn_tensor){ .type = NN_F32, .shape = *expected, .data = m->numbers, .scale_axis = -1 };
    return nn_elements(expected) > MOST ? sm_fail(SM_EFORMAT, "too large") : 0;
}

static nn_id conv(nn_graph *g, const nn_source *w, nn_id x, const char *name, int filters, int size, int stride,
                  int groups, bool bias)
{
    const int64_t channels = nn_shape_of(g, x).dim[1];
    const nn_conv_attrs a = { .stride = { stride, stride },
                              .pad_before = { size / 2, size / 2 },
                              .pad_after = { size / 2, size / 2 },
                              .groups = groups };
    nn_scope(g, "%s", name);
    const nn_id k = nn_weight(g, w, nn_name(g, "%s.weight", name), NN_SHAPE(filters, channels / groups, size, size));
    return nn_conv(g, x, k, bias ? nn_weight(g, w, nn_name(g, "%s.bias", name), NN_SHAPE(filters)) : NN_NONE, &a);
}

static nn_id linear(nn_graph *g, const nn_source *w, nn_id x, const char *name, int out)
{
    nn_scope(g, "%s", name);
    const nn_id k = nn_weight(g, w, nn_name(g, "%s.weight", name), NN_SHAPE(out, nn_shape_of(g, x).dim[1]));
    return nn_linear(g, x, k, nn_weight(g, w, nn_name(g, "%s.bias", name), NN_SHAPE(out)));
}

static nn_id norm(nn_graph *g, const nn_source *w, nn_id x, const char *name)
{
    const nn_shape v = NN_SHAPE(nn_shape_of(g, x).dim[1]);
    return nn_batch_norm(g, x, nn_weight(g, w, nn_name(g, "%s.gamma", name), v),
                         nn_weight(g, w, nn_name(g, "%s.beta", name), v),
                         nn_weight(g, w, nn_name(g, "%s.mean", name), v),
                         nn_weight(g, w, nn_name(g, "%s.var", name), v), 1e-5f);
}

/* Three blocks of 3 x 3 convolution, ReLU and 2 x 2 maximum; dense 256; dropout; 25 classes. */
static nn_id cnn(nn_graph *g, const nn_source *w, nn_id x)
{
    static const int filters[] = { 32, 64, 128 };
    for (int i = 0; i < 3; i++) {
        x = nn_unary(g, NN_RELU, conv(g, w, x, nn_name(g, "conv%d", i), filters[i], 3, 1, 1, true));
        x = nn_max_pool(g, x, &(nn_pool_attrs){ .kernel = { 2, 2 } });
    }
    x = nn_reshape(g, x, NN_SHAPE(nn_shape_of(g, x).dim[0], -1));
    x = nn_dropout(g, nn_unary(g, NN_RELU, linear(g, w, x, "dense", 256)), 0.5f);
    return linear(g, w, x, "classes", 25);
}

/* Inverted residuals (1 x 1 up, depthwise 3 x 3, squeeze and excite, 1 x 1 down) with batch norm and swish. */
static nn_id residual(nn_graph *g, const nn_source *w, nn_id x)
{
    static const int filters[] = { 32, 48, 96, 160 };
    x = nn_unary(g, NN_SWISH, norm(g, w, conv(g, w, x, "stem", 32, 3, 2, 1, false), "stem"));
    for (int i = 0; i < 8; i++) {
        const int out = filters[i / 2], stride = i % 2 == 0 && i > 0 ? 2 : 1, wide = 4 * (int)nn_shape_of(g, x).dim[1];
        const nn_id from = x;
        const char *up = nn_name(g, "block%d.up", i), *across = nn_name(g, "block%d.across", i),
                   *down = nn_name(g, "block%d.down", i);
        x = nn_unary(g, NN_SWISH, norm(g, w, conv(g, w, x, up, wide, 1, 1, 1, false), up));
        x = nn_unary(g, NN_SWISH, norm(g, w, conv(g, w, x, across, wide, 3, stride, wide, false), across));
        nn_id gate = nn_reduce(g, NN_REDUCE_MEAN, x, 4 | 8, true);
        gate = nn_unary(g, NN_SWISH, conv(g, w, gate, nn_name(g, "block%d.squeeze", i), wide / 16, 1, 1, 1, true));
        gate = nn_unary(g, NN_SIGMOID, conv(g, w, gate, nn_name(g, "block%d.excite", i), wide, 1, 1, 1, true));
        x = nn_binary(g, NN_MUL, x, gate);
        x = norm(g, w, conv(g, w, x, down, out, 1, 1, 1, false), down);
        const nn_shape a = nn_shape_of(g, x), b = nn_shape_of(g, from);
        if (nn_shape_equal(&a, &b))
            x = nn_binary(g, NN_ADD, x, from);
    }
    return linear(g, w, nn_reduce(g, NN_REDUCE_MEAN, x, 4 | 8, false), "classes", 25);
}

static int build(nn_graph *g, const char *what, int batch, const nn_source *w)
{
    nn_graph_train(g);
    const nn_id x = nn_input(g, "mel", NN_SHAPE(batch, 1, 128, 128));
    const nn_id logits = !strcmp(what, "residual") ? residual(g, w, x) : cnn(g, w, x);
    const nn_id loss = nn_cross_entropy(g, logits, nn_input(g, "targets", NN_SHAPE(batch, 25)), NN_NONE);
    nn_output(g, "loss", loss);
    return nn_backward(g, loss);
}

static void print_profile(nn_run_state *run, int calls)
{
    const nn_profile_row *rows;
    const size_t n = nn_run_profile_rows(run, &rows);
    for (size_t i = 0; i < n; i++)
        if (rows[i].seconds / calls > 1e-4)
            printf("%8.2f ms %7.1f GFLOP/s  %-16s %-26s %s\n", rows[i].seconds / calls * 1e3,
                   2 * rows[i].macs * calls / rows[i].seconds / 1e9, rows[i].op, rows[i].kernel, rows[i].where);
}

static int measure(const nn_plan *plan, bool profile, double *best)
{
    void *in[512] = { 0 };
    float *out[512] = { 0 };
    nn_run_state *run = NULL;
    int err = nn_run_state_new(plan, &run);
    for (int i = 0; err == 0 && i < nn_plan_inputs(plan) && i < 512; i++) {
        const nn_shape s = nn_plan_input_shape(plan, i);
        const int64_t n = nn_elements(&s);
        in[i] = sm_alloc_aligned((size_t)n, 4);
        for (int64_t k = 0; in[i] && k < n; k++)
            if (nn_plan_input_type(plan, i) == NN_I32)
                ((int32_t *)in[i])[k] = 1;
            else
                ((float *)in[i])[k] = 0.02f * (float)sm_unit(sm_unit_hash("x", 0), (uint64_t)(k + 977 * i));
    }
    for (int i = 0; err == 0 && i < nn_plan_outputs(plan) && i < 512; i++) {
        const nn_shape s = nn_plan_output_shape(plan, i);
        out[i] = sm_alloc_aligned((size_t)nn_elements(&s), 4);
    }
    *best = 1e9;
    for (int r = 0; err == 0 && r < 6; r++) {
        if (r == 1)
            nn_run_profile(run, profile);
        const double start = sm_now_s();
        err = nn_run(plan, run, (const void *const *)in, out);
        *best = SM_MIN(*best, sm_now_s() - start);
    }
    if (err == 0 && profile)
        print_profile(run, 5);
    for (int i = 0; i < 512; i++) {
        sm_free(in[i]);
        sm_free(out[i]);
    }
    nn_run_state_free(run);
    return err;
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "cnn";
    const int batch = argc > 2 ? atoi(argv[2]) : 16;
    made_up numbers = { sm_alloc(MOST, sizeof(float)) };
    const nn_source source = { get, &numbers, "made up" };
    const double before = nn_measure_sgemm_gflops(1024, 1, 5);
    nn_graph *g = nn_graph_new();
    nn_plan *plan = NULL;
    nn_memory memory;
    double best = 0;

    for (int i = 0; numbers.numbers && i < MOST; i++)
        numbers.numbers[i] = 0.01f;
    int err = !g || !numbers.numbers ? SM_ENOMEM : build(g, what, batch, &source);
    if (err == 0)
        err = nn_compile(g, &(nn_compile_options){ .threads = 1 }, &plan);
    if (err == 0)
        err = measure(plan, argc > 3, &best);
    if (err < 0) {
        fprintf(stderr, "%s\n", sm_last_error());
    } else {
        const double sgemm = SM_MAX(before, nn_measure_sgemm_gflops(1024, 1, 5)), macs = nn_plan_macs(plan);
        nn_plan_memory(plan, &memory);
        printf("%s, batch %d: %.1f ms, %.1f samples/s, %.2f GMAC a sample and step, %.0f %% of sgemm (%.0f GFLOP/s); "
               "activations %.0f MB, scratch %.0f MB\n",
               what, batch, best * 1e3, batch / best, macs / batch / 1e9, 2 * macs / best / 1e7 / sgemm, sgemm,
               (double)memory.activations / 1e6, (double)memory.scratch / 1e6);
    }
    nn_plan_free(plan);
    nn_graph_free(g);
    sm_free(numbers.numbers);
    return err < 0;
}
