/* Random networks of the kind that importers make: NCHW and NHWC mixed, constants added and multiplied in every form, branches
 * that meet again. All passes and every backend against the graph as built. */
#include "support/nn_support.h"

#include "nn/plan_type.h"

typedef struct {
    nn_graph *g;
    nn_random r;
    nn_id pool[6];
    bool last[6]; /* channels are the last axis */
} net;

static const int to_last[] = { 0, 2, 3, 1 }, to_first[] = { 0, 3, 1, 2 };

static int channel_axis(bool last)
{
    return last ? 3 : 1;
}

static int64_t dim(const net *n, int i, int axis)
{
    return nn_shape_of(n->g, n->pool[i]).dim[axis];
}

/* A vector of the channels' length in one of the shapes that foreign graphs use. */
static nn_id vector(net *n, int i, double low, double high)
{
    const int64_t c = dim(n, i, channel_axis(n->last[i]));
    if (nn_random_int(&n->r, 0, 4) == 0)
        return nn_const_scalar(n->g, nn_random_float(&n->r, low, high));
    if (!n->last[i])
        return nn_random_weight(n->g, &n->r, nn_random_int(&n->r, 0, 1) ? NN_SHAPE(1, c, 1, 1) : NN_SHAPE(c, 1, 1), low,
                                high);
    return nn_random_weight(n->g, &n->r, nn_random_int(&n->r, 0, 1) ? NN_SHAPE(c) : NN_SHAPE(1, 1, 1, c), low, high);
}

/* In NCHW what `i` is, and back in its own layout. */
static nn_id first(net *n, int i)
{
    return n->last[i] ? nn_permute(n->g, n->pool[i], to_first) : n->pool[i];
}

static nn_id back(net *n, int i, nn_id x)
{
    return n->last[i] ? nn_permute(n->g, x, to_last) : x;
}

static nn_id conv(net *n, int i)
{
    const nn_id x = first(n, i);
    const int c = (int)nn_shape_of(n->g, x).dim[1], size = nn_random_int(&n->r, 1, 3);
    const bool depthwise = nn_random_int(&n->r, 0, 3) == 0;
    const int k = depthwise ? c : nn_random_int(&n->r, 0, 1) ? 4 : c;
    const nn_conv_attrs a = { .same_tf = nn_random_int(&n->r, 0, 4) > 0 || size > 1, .groups = depthwise ? c : 1 };
    const nn_id w = nn_random_weight(n->g, &n->r, NN_SHAPE(k, depthwise ? 1 : c, size, size), -0.6, 0.6);
    return back(n, i,
                nn_conv(n->g, x, w,
                        nn_random_int(&n->r, 0, 2) ? NN_NONE : nn_random_weight(n->g, &n->r, NN_SHAPE(k), -1, 1), &a));
}

static nn_id norm(net *n, int i)
{
    const nn_id x = first(n, i);
    const nn_shape v = NN_SHAPE(nn_shape_of(n->g, x).dim[1]);
    const nn_id gamma = nn_random_weight(n->g, &n->r, v, 0.5, 1.5), beta = nn_random_weight(n->g, &n->r, v, -1, 1);
    const nn_id mean = nn_random_weight(n->g, &n->r, v, -1, 1), var = nn_random_weight(n->g, &n->r, v, 0.5, 2);
    return back(n, i, nn_batch_norm(n->g, x, gamma, beta, mean, var, 1e-3f));
}

static nn_id pointwise(net *n, int i)
{
    static const nn_unary_kind kinds[] = { NN_RELU, NN_SIGMOID, NN_TANH, NN_LEAKY_RELU, NN_CLIP, NN_ABS };
    const nn_id x = n->pool[i];
    if (nn_random_int(&n->r, 0, 2) == 0)
        return nn_binary(n->g, NN_MUL, x, nn_unary(n->g, NN_SIGMOID, x));
    return nn_unary(n->g, kinds[nn_random_int(&n->r, 0, (int)SM_LENGTH(kinds) - 1)], x);
}

static nn_id with_vector(net *n, int i)
{
    const nn_binary_kind kind = (nn_binary_kind)nn_random_int(&n->r, NN_ADD, NN_MIN);
    const nn_id v = vector(n, i, 0.5, 1.5);
    return nn_random_int(&n->r, 0, 3) || kind == NN_DIV ? nn_binary(n->g, kind, n->pool[i], v)
                                                        : nn_binary(n->g, kind, v, n->pool[i]);
}

/* Squeeze and excite in the value's own layout. */
static nn_id excite(net *n, int i)
{
    const uint32_t image = n->last[i] ? 2 | 4 : 4 | 8;
    const nn_id x = n->pool[i], mean = nn_reduce(n->g, NN_REDUCE_MEAN, x, image, true);
    const int64_t c = dim(n, i, channel_axis(n->last[i]));
    const nn_id w = nn_random_weight(n->g, &n->r, NN_SHAPE(c, c, 1, 1), -1, 1);
    const nn_id in = n->last[i] ? nn_permute(n->g, mean, to_first) : mean;
    const nn_id gate = nn_unary(n->g, NN_SIGMOID, back(n, i, nn_conv(n->g, in, w, NN_NONE, NULL)));
    return nn_binary(n->g, NN_MUL, x, gate);
}

static nn_id two(net *n, int i)
{
    for (int k = 0; k < 6; k++) {
        const nn_shape a = nn_shape_of(n->g, n->pool[i]), b = nn_shape_of(n->g, n->pool[k]);
        if (n->last[k] != n->last[i] || !nn_shape_equal(&a, &b) || (k == i && nn_random_int(&n->r, 0, 3)))
            continue;
        if (nn_random_int(&n->r, 0, 3))
            return nn_binary(n->g, (nn_binary_kind)nn_random_int(&n->r, NN_ADD, NN_MUL), n->pool[i], n->pool[k]);
        const int axis = channel_axis(n->last[i]);
        const int64_t c = a.dim[axis];
        return nn_slice(n->g, nn_concat(n->g, (const nn_id[]){ n->pool[k], n->pool[i] }, 2, axis), axis, c / 2,
                        c / 2 + c, 1);
    }
    return n->pool[i];
}

static nn_id image(net *n, int i)
{
    const int axis = n->last[i] ? 2 : 3;
    switch (nn_random_int(&n->r, 0, 2)) {
    case 0: /* zeros around, then cut again */
        return nn_slice(n->g, nn_pad(n->g, n->pool[i], (nn_pad_kind)nn_random_int(&n->r, 0, 2), axis, 1, 2), axis, 1,
                        -2, 1);
    case 1:
        return back(n, i,
                    nn_max_pool(n->g, first(n, i),
                                &(nn_pool_attrs){ .kernel = { 2, 3 }, .stride = { 1, 1 }, .same_tf = true }));
    default:
        return back(n, i,
                    nn_avg_pool(n->g, first(n, i),
                                &(nn_pool_attrs){ .kernel = { 3, 2 }, .stride = { 1, 1 }, .same_tf = true }));
    }
}

static nn_id reshaped(net *n, int i)
{
    const nn_shape s = nn_shape_of(n->g, n->pool[i]);
    return nn_reshape(n->g, nn_unary(n->g, NN_TANH, nn_reshape(n->g, n->pool[i], NN_SHAPE(s.dim[0], s.dim[1], -1))), s);
}

static void make(net *n, uint64_t seed)
{
    nn_id (*const steps[])(net *, int) = { conv,        conv,        conv,   norm, norm, pointwise, pointwise,
                                           with_vector, with_vector, excite, two,  two,  image,     reshaped };
    *n = (net){ .g = nn_graph_new(), .r = { .state = seed } };
    const int batch = nn_random_int(&n->r, 1, 2), h = nn_random_int(&n->r, 3, 7), w = nn_random_int(&n->r, 3, 7);
    for (int i = 0; i < 6; i++) {
        n->last[i] = nn_random_int(&n->r, 0, 1);
        n->pool[i] =
            nn_random_input(n->g, &n->r, n->last[i] ? NN_SHAPE(batch, h, w, 4) : NN_SHAPE(batch, 4, h, w), -1, 1);
    }
    for (int step = 0; step < 25; step++) {
        const int from = nn_random_int(&n->r, 0, 5),
                  to = nn_random_int(&n->r, 0, 2) ? from : nn_random_int(&n->r, 0, 5);
        nn_id y = steps[nn_random_int(&n->r, 0, (int)SM_LENGTH(steps) - 1)](n, from);
        const bool last = n->last[from], turn = nn_random_int(&n->r, 0, 5) == 0;
        if (turn)
            y = nn_permute(n->g, y, last ? to_first : to_last);
        n->pool[to] = y;
        n->last[to] = last != turn;
        if (nn_random_int(&n->r, 0, 9) == 0)
            nn_tap(n->g, nn_name(n->g, "t%d", step), y);
    }
    for (int i = 0; i < 6; i++)
        nn_output(n->g, nn_name(n->g, "y%d", i), n->pool[i]);
}

static void compiled_networks_compute_what_was_built(void **state)
{
    static const char *const backends[] = {
#define NN_BACKEND(NAME) #NAME,
#include "nn/backends.def"
#undef NN_BACKEND
    };
    const uint64_t seed = test_nn_seed(1000);
    (void)state;
    for (uint64_t k = 0; k < 100; k++)
        for (size_t b = 0; b < SM_LENGTH(backends); b++) {
            net n;
            nn_plan *p = NULL;
            make(&n, seed + k);
            /* 25 operations deep, f32 in between: 1e-6 is typical, a cancelling difference may cost a digit */
            test_nn_same(n.g, backends[b], &n.r, seed + k, 3e-5, "random graph");
            test_ok(nn_compile(n.g, &(nn_compile_options){ .backend = backends[b], .taps = true }, &p));
            test_ok(nn_plan_check(p));
            nn_plan_free(p);
            nn_graph_free(n.g);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(compiled_networks_compute_what_was_built) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
