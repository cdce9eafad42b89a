/* A frozen TensorFlow graph, channel-last and unfused, against the same layers written out as sums in double. */
#include "support/model_support.h"
#include "support/protobuf_out.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { N = 2, H = 7, W = 6, C = 3, K = 4, OH = 4, OW = 3 };

typedef struct {
    float x[N * H * W * C], kernel[3 * 3 * C * K], bias[K], depth[3 * 2 * K * 2], gamma[2 * K], beta[2 * K],
        mean[2 * K], variance[2 * K], dense[2 * K * 5], dense_bias[5];
} numbers;

static void fill(numbers *v)
{
    test_fill(v->x, SM_LENGTH(v->x), "x", 0, 0, 1);
    test_fill(v->kernel, SM_LENGTH(v->kernel), "kernel", 0, 0, 0.5);
    test_fill(v->bias, SM_LENGTH(v->bias), "bias", 0, 0, 0.5);
    test_fill(v->depth, SM_LENGTH(v->depth), "depth", 0, 0, 0.5);
    test_fill(v->gamma, SM_LENGTH(v->gamma), "gamma", 0, 0, 1);
    test_fill(v->beta, SM_LENGTH(v->beta), "beta", 0, 0, 1);
    test_fill(v->mean, SM_LENGTH(v->mean), "mean", 0, 0, 0.1);
    test_fill(v->variance, SM_LENGTH(v->variance), "variance", 0, 1, 0.5);
    test_fill(v->dense, SM_LENGTH(v->dense), "dense", 0, 0, 1);
    test_fill(v->dense_bias, SM_LENGTH(v->dense_bias), "dense_bias", 0, 0, 1);
}

/* SAME at stride 2: 7 rows to 4 with one zero row on each side, 6 columns to 3 with none before and one after. */
static void slow_conv(const numbers *v, double *y)
{
    for (int n = 0; n < N; n++)
        for (int i = 0; i < OH; i++)
            for (int j = 0; j < OW; j++)
                for (int k = 0; k < K; k++) {
                    double sum = v->bias[k];
                    for (int a = 0; a < 3; a++)
                        for (int b = 0; b < 3; b++)
                            for (int c = 0; c < C; c++) {
                                const int r = 2 * i + a - 1, s = 2 * j + b;
                                if (r >= 0 && r < H && s < W)
                                    sum += (double)v->x[((n * H + r) * W + s) * C + c] *
                                           v->kernel[((a * 3 + b) * C + c) * K + k];
                            }
                    y[((n * OH + i) * OW + j) * K + k] = fmax(sum, 0);
                }
}

/* One zero row above and below, then 3 x 2 valid, two filters a channel; norm; maximum of 2 x 2 at stride 1; mean: [N, 2 K] */
static void slow_rest(const numbers *v, const double *y, double *out)
{
    for (int n = 0; n < N; n++)
        for (int q = 0; q < 2 * K; q++) {
            double z[OH][OW - 1], sum = 0;
            for (int i = 0; i < OH; i++)
                for (int j = 0; j < OW - 1; j++) {
                    z[i][j] = 0;
                    for (int a = 0; a < 3; a++)
                        for (int b = 0; b < 2; b++) {
                            const int r = i + a - 1;
                            if (r >= 0 && r < OH)
                                z[i][j] += y[((n * OH + r) * OW + j + b) * K + q / 2] *
                                           v->depth[((a * 2 + b) * K + q / 2) * 2 + q % 2];
                        }
                    z[i][j] = (z[i][j] - v->mean[q]) / sqrt(v->variance[q] + 0.001) * v->gamma[q] + v->beta[q];
                }
            for (int i = 0; i + 1 < OH; i++)
                sum += fmax(fmax(z[i][0], z[i][1]), fmax(z[i + 1][0], z[i + 1][1]));
            out[n * 2 * K + q] = sum / (OH - 1);
        }
}

static void write_graph(const numbers *v, sm_buffer *g)
{
    static const int32_t pads[8] = { 0, 0, 1, 1, 0, 0, 0, 0 }, axes[2] = { 1, 2 };
    tf_placeholder(g, "in", (int64_t[]){ -1, H, W, C }, 4);
    tf_floats(g, "kernel", (int64_t[]){ 3, 3, C, K }, 4, v->kernel);
    tf_node(g, "Identity", "kernel/read", "kernel", "T=DT_FLOAT");
    tf_floats(g, "bias", (int64_t[]){ K }, 1, v->bias);
    tf_node(g, "Conv2D", "conv", "in kernel/read", "strides=[1,2,2,1] padding=SAME data_format=NHWC");
    tf_node(g, "BiasAdd", "biased", "conv bias", "data_format=NHWC");
    tf_node(g, "Relu", "relu", "biased", "");
    tf_ints(g, "flat_pads", pads, 8);
    tf_ints(g, "four_two", (int32_t[]){ 4, 2 }, 2);
    tf_node(g, "Reshape", "pads", "flat_pads four_two", "");
    tf_node(g, "Pad", "padded", "relu pads", "");
    tf_floats(g, "depth", (int64_t[]){ 3, 2, K, 2 }, 4, v->depth);
    tf_node(g, "DepthwiseConv2dNative", "depthwise", "padded depth",
            "strides=[1,1,1,1] padding=VALID data_format=NHWC");
    tf_floats(g, "gamma", (int64_t[]){ 2 * K }, 1, v->gamma);
    tf_floats(g, "beta", (int64_t[]){ 2 * K }, 1, v->beta);
    tf_floats(g, "mean", (int64_t[]){ 2 * K }, 1, v->mean);
    tf_floats(g, "variance", (int64_t[]){ 2 * K }, 1, v->variance);
    tf_node(g, "FusedBatchNormV3", "norm", "depthwise gamma beta mean variance",
            "epsilon=0.001 is_training=false data_format=NHWC");
    tf_node(g, "MaxPool", "pool", "norm", "ksize=[1,2,2,1] strides=[1,1,1,1] padding=VALID data_format=NHWC");
    tf_ints(g, "axes", axes, 2);
    tf_node(g, "Mean", "features", "pool axes", "keep_dims=false");
    tf_floats(g, "dense", (int64_t[]){ 2 * K, 5 }, 2, v->dense);
    tf_floats(g, "dense_bias", (int64_t[]){ 5 }, 1, v->dense_bias);
    tf_node(g, "MatMul", "product", "features dense", "transpose_a=false transpose_b=false");
    tf_node(g, "BiasAdd", "logits", "product dense_bias", "");
    tf_node(g, "Softmax", "model/Softmax", "logits", "");
}

static void a_frozen_graph_is_its_layers(void **state)
{
    static const char *const backends[] = { "ref", "onednn" };
    numbers *v = malloc(sizeof *v);
    double y[N * OH * OW * K], features[N * 2 * K];
    sm_buffer file = { 0 };
    sm_weights *w;
    (void)state;
    fill(v);
    slow_conv(v, y);
    slow_rest(v, y, features);
    write_graph(v, &file);
    test_ok(sm_weights_open_memory(file.data, file.length, "made-up.pb", &w));
    for (size_t b = 0; b < SM_LENGTH(backends); b++)
        for (int taps = 0; taps < 2 && test_backend_there(backends[b]); taps++) {
            const sm_named in = { "in", { .type = NN_F32, .shape = NN_SHAPE(N, H, W, C), .data = v->x } };
            const sm_run_options o = { .backend = backends[b], .taps = taps };
            sm_named *out;
            size_t n;
            test_ok(sm_model_run_tensors(NULL, w, &o, &in, 1, &out, &n));
            const float *scores = test_named(out, n, "model/Softmax")->tensor.data;
            for (int i = 0; i < N; i++) {
                double logits[5], sum = 0;
                for (int k = 0; k < 5; k++) {
                    logits[k] = v->dense_bias[k];
                    for (int q = 0; q < 2 * K; q++)
                        logits[k] += features[i * 2 * K + q] * v->dense[q * 5 + k];
                    sum += exp(logits[k]);
                }
                for (int k = 0; k < 5; k++)
                    assert_float_equal(scores[i * 5 + k], exp(logits[k]) / sum, 2e-6);
            }
            if (taps) { /* traced layers have the file's layout */
                const sm_named *relu = test_named(out, n, "relu");
                assert_true(nn_shape_equal(&relu->tensor.shape, &NN_SHAPE(N, OH, OW, K)));
                for (int i = 0; i < N * OH * OW * K; i++)
                    assert_float_equal(((const float *)relu->tensor.data)[i], y[i], 2e-6);
            }
            sm_named_free(out, n);
        }
    sm_weights_close(w);
    sm_buffer_free(&file);
    free(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(a_frozen_graph_is_its_layers) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
