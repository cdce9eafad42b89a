/* Convolutions as products in tiles: plain, gated, transposed, Winograd's; with posts, at edges, on several threads. */
#include "support/nn_support.h"

#include "nn/onednn/onednn.h"

#include <string.h>

typedef enum { PLAIN, GATED, TRANSPOSED } kind;
typedef enum { NO_POST, GELU, GELU_ADD, AFFINE } posts;

/* Sizes just beside tiles (6, 12), blocks (96) and lanes (4, 8, 16); filters that reach over both ends; lines shorter than a filter. */
static const struct {
    kind kind;
    int rank, n, c, h, w, k, kernel[2], stride[2], dilation[2], before[2], after[2];
    posts posts;
    const char *kernel_name;
} cases[] = {
    /* HTDemucs's layers in small: frequency and time */
    { PLAIN, 4, 1, 4, 64, 50, 48, { 8, 1 }, { 4, 1 }, { 1, 1 }, { 2, 0 }, { 2, 0 }, GELU, "tiles" },
    { PLAIN, 3, 1, 2, 1000, 0, 48, { 8 }, { 4 }, { 1 }, { 2 }, { 2 }, GELU, "tiles" },
    { PLAIN, 3, 1, 48, 395, 0, 96, { 8 }, { 4 }, { 1 }, { 2 }, { 3 }, GELU, "tiles" },
    { GATED, 4, 1, 48, 16, 49, 48, { 1, 1 }, { 1, 1 }, { 1, 1 }, { 0, 0 }, { 0, 0 }, NO_POST, "tiles, gated" },
    { GATED, 3, 1, 24, 97, 0, 24, { 1 }, { 1 }, { 1 }, { 0 }, { 0 }, NO_POST, "tiles, gated" },
    { GATED, 4, 1, 48, 15, 50, 48, { 3, 3 }, { 1, 1 }, { 1, 1 }, { 1, 1 }, { 1, 1 }, NO_POST, "winograd, gated" },
    { GATED, 3, 1, 48, 499, 0, 48, { 3 }, { 1 }, { 1 }, { 1 }, { 1 }, NO_POST, "winograd, gated" },
    { GATED, 3, 2, 5, 7, 0, 3, { 3 }, { 1 }, { 1 }, { 1 }, { 1 }, NO_POST, "tiles, gated" },
    { TRANSPOSED,
      4,
      1,
      24,
      8,
      49,
      16,
      { 12, 1 },
      { 4, 1 },
      { 1, 1 },
      { 4, 0 },
      { 4, 0 },
      GELU_ADD,
      "tiles, transposed" },
    { TRANSPOSED, 4, 2, 24, 7, 60, 9, { 8, 1 }, { 4, 1 }, { 1, 1 }, { 2, 0 }, { 2, 0 }, NO_POST, "tiles, transposed" },
    { TRANSPOSED, 3, 1, 48, 200, 0, 8, { 8 }, { 4 }, { 1 }, { 2 }, { 3 }, GELU_ADD, "tiles, transposed" },
    { TRANSPOSED, 3, 1, 48, 97, 0, 33, { 8 }, { 4 }, { 1 }, { 2 }, { 6 }, NO_POST, "tiles, transposed" },
    { TRANSPOSED, 3, 3, 10, 120, 0, 17, { 6 }, { 2 }, { 1 }, { 0 }, { 0 }, GELU, "tiles, transposed" },
    /* the rest of what a convolution may be */
    { PLAIN, 4, 2, 17, 5, 60, 19, { 3, 5 }, { 2, 1 }, { 2, 3 }, { 3, 5 }, { 1, 7 }, AFFINE, "tiles" },
    { PLAIN, 4, 1, 7, 3, 300, 10, { 5, 7 }, { 1, 3 }, { 1, 1 }, { 4, 6 }, { 4, 6 }, GELU_ADD, "tiles" },
    { PLAIN, 3, 2, 33, 200, 0, 65, { 1 }, { 1 }, { 1 }, { 0 }, { 0 }, GELU_ADD, "tiles" },
    { PLAIN, 3, 1, 9, 60, 0, 16, { 3 }, { 1 }, { 2 }, { 60 }, { 60 }, NO_POST, "tiles" },
    { PLAIN, 4, 2, 40, 21, 22, 72, { 3, 3 }, { 1, 1 }, { 1, 1 }, { 1, 1 }, { 1, 1 }, GELU_ADD, "winograd" },
    { PLAIN, 4, 1, 33, 30, 31, 35, { 3, 3 }, { 1, 1 }, { 1, 1 }, { 0, 2 }, { 2, 0 }, AFFINE, "winograd" },
    { PLAIN, 4, 1, 40, 8, 8, 80, { 3, 3 }, { 1, 1 }, { 1, 1 }, { 1, 1 }, { 1, 1 }, AFFINE, "winograd" },
    { PLAIN, 4, 2, 2, 20, 256, 32, { 5, 5 }, { 2, 2 }, { 1, 1 }, { 2, 2 }, { 2, 2 }, AFFINE, "tiles" },
    /* two taps over positions of `stride` numbers, along either axis; of 2 phases and of 8 */
    { PLAIN, 4, 1, 48, 64, 50, 96, { 8, 1 }, { 4, 1 }, { 1, 1 }, { 2, 0 }, { 2, 0 }, GELU, "winograd" },
    { PLAIN, 4, 2, 13, 6, 300, 70, { 1, 16 }, { 1, 8 }, { 1, 1 }, { 0, 8 }, { 0, 3 }, AFFINE, "winograd" },
    { PLAIN, 3, 1, 35, 2000, 0, 48, { 4 }, { 2 }, { 1 }, { 3 }, { 0 }, GELU_ADD, "winograd" },
    { PLAIN, 3, 1, 64, 400, 0, 48, { 2 }, { 1 }, { 1 }, { 1 }, { 0 }, NO_POST, "winograd" },
    { TRANSPOSED,
      4,
      1,
      48,
      31,
      50,
      20,
      { 8, 1 },
      { 4, 1 },
      { 1, 1 },
      { 2, 0 },
      { 2, 0 },
      GELU_ADD,
      "winograd, transposed" },
    { TRANSPOSED,
      4,
      2,
      48,
      6,
      120,
      35,
      { 1, 4 },
      { 1, 2 },
      { 1, 1 },
      { 0, 1 },
      { 0, 0 },
      GELU,
      "winograd, transposed" },
    { TRANSPOSED, 3, 1, 40, 301, 0, 24, { 16 }, { 8 }, { 1 }, { 4 }, { 5 }, AFFINE, "winograd, transposed" },
    { PLAIN, 4, 3, 40, 10, 50, 40, { 1, 3 }, { 1, 1 }, { 1, 1 }, { 0, 1 }, { 0, 1 }, AFFINE, "winograd" },
};

static nn_id make(nn_graph *g, const nn_source *w, size_t i, nn_id x)
{
    nn_shape weight = { cases[i].rank, { cases[i].k * (cases[i].kind == GATED ? 2 : 1), cases[i].c } };
    const nn_id bias = nn_weight(g, w, nn_name(g, "bias%zu", i), NN_SHAPE(weight.dim[0]));
    nn_conv_attrs a = { 0 };
    nn_conv_transpose_attrs t = { 0 };

    for (int k = 0; k < cases[i].rank - 2; k++) {
        weight.dim[2 + k] = cases[i].kernel[k];
        a.stride[k] = t.stride[k] = cases[i].stride[k];
        a.dilation[k] = cases[i].dilation[k];
        a.pad_before[k] = t.pad_before[k] = cases[i].before[k];
        a.pad_after[k] = t.pad_after[k] = cases[i].after[k];
    }
    if (cases[i].kind == TRANSPOSED) {
        weight.dim[0] = cases[i].c;
        weight.dim[1] = cases[i].k;
        return nn_conv_transpose(g, x, nn_weight(g, w, nn_name(g, "weight%zu", i), weight), bias, &t);
    }
    const nn_id y = nn_conv(g, x, nn_weight(g, w, nn_name(g, "weight%zu", i), weight), bias, &a);
    return cases[i].kind == GATED ? nn_glu(g, y, 1) : y;
}

static nn_graph *layer(const nn_source *w, size_t i)
{
    nn_graph *g = nn_graph_new();
    const nn_shape s = { cases[i].rank, { cases[i].n, cases[i].c, cases[i].h, cases[i].w } };
    nn_id y = make(g, w, i, nn_input(g, "x", s));
    const nn_shape channels = NN_SHAPE(nn_shape_of(g, y).dim[1]);

    if (cases[i].posts == GELU || cases[i].posts == GELU_ADD)
        y = nn_unary(g, NN_GELU, y);
    if (cases[i].posts == GELU_ADD)
        y = nn_binary(g, NN_ADD, y, nn_input(g, "skip", nn_shape_of(g, y)));
    if (cases[i].posts == AFFINE)
        y = nn_affine(g, nn_unary(g, NN_RELU, y), nn_weight(g, w, nn_name(g, "gamma%zu", i), channels),
                      nn_weight(g, w, nn_name(g, "beta%zu", i), channels), 1);
    nn_output(g, "y", y);
    return g;
}

static void convolutions_of_every_kind_match_the_reference(void **state)
{
    (void)state;
    for (size_t i = 0; i < SM_LENGTH(cases); i++) {
        char what[40];
        test_nn_weights *w = test_nn_weights_new();
        nn_graph *g = layer(test_nn_source(w), i);
        snprintf(what, sizeof what, "case %zu", i);
        test_nn_same(g, "onednn", NULL, i, 2e-6, what); /* Winograd's 7e-7 is the largest measured */
        if (!test_nn_steps(g, cases[i].kernel_name, false))
            fail_msg("case %zu does not run '%s'", i, cases[i].kernel_name);
        nn_graph_free(g);
        test_nn_weights_free(w);
    }
}

static void threads_change_no_bit(void **state)
{
    (void)state;
    for (size_t i = 0; i < SM_LENGTH(cases); i++) {
        test_nn_weights *w = test_nn_weights_new();
        nn_graph *g = layer(test_nn_source(w), i);
        char what[40];
        snprintf(what, sizeof what, "case %zu", i);
        test_nn_same_bits(g, i, what);
        nn_graph_free(g);
        test_nn_weights_free(w);
    }
}

/* One image: threads take panels of filters where it has few positions, else positions (more than SMALL_IMAGE of conv_tile.c). The same
 * bits on any number of them. */
static void threads_share_one_image(void **state)
{
    static const struct {
        int c, h, w, k;
    } sizes[] = { { 64, 4, 3, 192 },  { 40, 8, 6, 17 },   { 33, 2, 3, 100 },
                  { 24, 64, 48, 16 }, { 17, 35, 47, 40 }, { 16, 1, 1999, 24 } };
    (void)state;
    for (size_t i = 0; i < SM_LENGTH(sizes); i++) {
        test_nn_weights *w = test_nn_weights_new();
        nn_graph *g = nn_graph_new();
        const nn_id x = nn_input(g, "x", NN_SHAPE(1, sizes[i].c, sizes[i].h, sizes[i].w));
        const nn_id weight = nn_weight(g, test_nn_source(w), "w", NN_SHAPE(sizes[i].k, sizes[i].c, 1, 1));
        const nn_id bias = nn_weight(g, test_nn_source(w), "b", NN_SHAPE(sizes[i].k));
        const nn_id skip = nn_input(g, "skip", NN_SHAPE(1, sizes[i].k, sizes[i].h, sizes[i].w));
        test_nn_ports expected, one, got;
        nn_output(g, "y", nn_binary(g, NN_ADD, nn_conv(g, x, weight, bias, NULL), skip));
        test_nn_run(g, &(nn_compile_options){ .backend = "ref", .plain = true }, NULL, 1, &expected);
        test_nn_run(g, &(nn_compile_options){ .precision = NN_PRECISION_F32 }, NULL, 1, &one);
        const double e = test_nn_error(&one, &expected);
        if (!(e < 1e-6)) /* 64 products at most */
            fail_msg("size %zu: error %.3g", i, e);
        for (int threads = 2; threads <= 5; threads++) {
            test_nn_run(g, &(nn_compile_options){ .precision = NN_PRECISION_F32, .threads = threads }, NULL, 1, &got);
            if (memcmp(one.out[0], got.out[0], one.length[0] * sizeof(float)) != 0)
                fail_msg("size %zu differs on %d threads", i, threads);
            test_nn_ports_free(&got);
        }
        test_nn_ports_free(&expected);
        test_nn_ports_free(&one);
        nn_graph_free(g);
        test_nn_weights_free(w);
    }
}

/* The gated node's own reference kernel, as `ref` would run it. */
static void a_gated_convolution_has_a_reference_too(void **state)
{
    (void)state;
    for (size_t i = 0; i < SM_LENGTH(cases); i++) {
        test_nn_weights *w = test_nn_weights_new();
        test_nn_ports expected, got;
        nn_graph *g = layer(test_nn_source(w), i), *fused = NULL;
        if (cases[i].kind == GATED) {
            test_nn_run(g, &(nn_compile_options){ .backend = "ref", .plain = true }, NULL, 1, &expected);
            test_ok(nn_graph_clone(g, &fused));
            for (nn_id id = 0, n = nn_graph_size(fused); id < n; id++)
                test_ok(nn_dnnl_fuse_gate(fused, id));
            test_ok(nn_graph_tidy(fused));
            test_nn_run(fused, &(nn_compile_options){ .backend = "ref", .plain = true }, NULL, 1, &got);
            const double e = test_nn_error(&got, &expected);
            if (!(e < 1e-7)) /* the same sums */
                fail_msg("case %zu: error %.3g", i, e);
            test_nn_ports_free(&expected);
            test_nn_ports_free(&got);
            nn_graph_free(fused);
        }
        nn_graph_free(g);
        test_nn_weights_free(w);
    }
}

static void compiling_survives_any_failed_allocation(void **state)
{
    test_nn_weights *w = test_nn_weights_new();
    (void)state;
    for (size_t i = 5; i < SM_LENGTH(cases); i += 5) {
        nn_graph *g = layer(test_nn_source(w), i);
        test_every_allocation_may_fail(test_nn_compile_and_open, g);
        nn_graph_free(g);
    }
    test_nn_weights_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(convolutions_of_every_kind_match_the_reference),
        cmocka_unit_test(threads_change_no_bit),
        cmocka_unit_test(threads_share_one_image),
        cmocka_unit_test(a_gated_convolution_has_a_reference_too),
        cmocka_unit_test(compiling_survives_any_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
