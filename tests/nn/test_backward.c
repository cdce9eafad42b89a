/* Gradients: every operator's against central differences, the fast backend's against the reference, and what a graph that trains
 * is otherwise. Small networks are trained until they know their data by heart. */
#include "support/nn_support.h"

#include "nn/plan_type.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- every operator: directional derivatives ---- */

typedef struct {
    nn_graph *g;
    nn_plan *plan;
    nn_run_state *run;
    test_nn_ports ports;
    int n_inputs; /* that are differentiated: the first ones */
} checked;

/* loss = sum(y * c), c a random input that nobody differentiates. */
static bool make_loss(nn_graph *g, nn_random *r, nn_id y, const nn_op *op)
{
    const nn_id *inputs;
    const size_t n = nn_graph_inputs(g, &inputs);
    for (size_t i = 0; i < n; i++)
        nn_edit(g, inputs[i])->parameter = nn_at(g, inputs[i])->type == NN_F32;
    const nn_shape s = nn_shape_of(g, y);
    nn_output(g, "y", y);
    const nn_id loss = nn_reduce(g, NN_REDUCE_SUM, nn_binary(g, NN_MUL, y, nn_random_input(g, r, s, -1, 1)),
                                 (1u << s.rank) - 1, false);
    nn_output(g, "loss", loss);
    const int err = nn_backward(g, loss);
    if (err == SM_EUNSUPPORTED)
        return false;
    if (err < 0)
        fail_msg("%s: %s", op->name, sm_last_error());
    return true;
}

static double loss_of(checked *k, const float *c)
{
    double sum = 0;
    test_ok(nn_run(k->plan, k->run, (const void *const *)k->ports.in, k->ports.out));
    for (size_t i = 0; i < k->ports.length[0]; i++) /* in double, from y: the output "loss" is rounded */
        sum += (double)k->ports.out[0][i] * (double)c[i];
    return sum;
}

/* Moves every differentiated input by h * direction; what f32 made of it is what counts. */
static void move(checked *k, float *const *from, float *const *direction, float h)
{
    for (int i = 0; i < k->n_inputs; i++) {
        const nn_shape s = nn_plan_input_shape(k->plan, i);
        for (int64_t e = 0; from[i] && e < nn_elements(&s); e++)
            ((float *)k->ports.in[i])[e] = from[i][e] + h * direction[i][e];
    }
}

static void *copy(const void *from, size_t bytes)
{
    void *to = malloc(bytes);
    assert_non_null(to);
    memcpy(to, from, bytes);
    return to;
}

/* Outputs: y, loss, then grad.* in the order of the inputs. */
static void compare(checked *k, const nn_op *op, nn_random *r, uint64_t seed)
{
    float *from[TEST_NN_PORTS] = { 0 }, *direction[TEST_NN_PORTS] = { 0 }, *gradient[TEST_NN_PORTS] = { 0 };
    const float *c = k->ports.in[k->n_inputs];
    const float h = 1.0f / 2048;
    double loss[3], scale = 0, found = 0, size = 0;
    int grads = 2;
    loss[1] = loss_of(k, c);
    for (size_t i = 0; i < k->ports.length[0]; i++)
        size += fabs((double)k->ports.out[0][i] * (double)c[i]);
    for (int i = 0; i < k->n_inputs; i++) {
        const nn_shape s = nn_plan_input_shape(k->plan, i);
        const size_t n = (size_t)nn_elements(&s);
        if (nn_plan_input_type(k->plan, i) != NN_F32)
            continue;
        from[i] = copy(k->ports.in[i], n * 4);
        direction[i] = malloc(n * 4);
        gradient[i] = copy(k->ports.out[grads++], n * 4);
        for (size_t e = 0; e < n; e++)
            direction[i][e] = nn_random_float(r, -1, 1);
    }
    for (int side = -1; side <= 1; side += 2) {
        move(k, from, direction, (float)side * h);
        loss[1 + side] = loss_of(k, c);
        for (int i = 0; i < k->n_inputs; i++) {
            const nn_shape s = nn_plan_input_shape(k->plan, i);
            for (int64_t e = 0; from[i] && e < nn_elements(&s); e++) {
                const double term =
                    (double)gradient[i][e] * ((double)((float *)k->ports.in[i])[e] - (double)from[i][e]) * side;
                found += term;
                scale += term * term;
            }
        }
    }
    const double expected = loss[2] - loss[0];
    /* 1e-3 for the curvature's change within 2 h; besides, results are f32, so that their sum is off by 6e-8 of what it is of; and where a
     * kink (ReLU, a largest) lies between, differences are off by no more than the two sides differ. */
    const double allowed = 1e-3 * sqrt(scale) + 2 * 6e-8 * size + fabs(loss[2] - 2 * loss[1] + loss[0]);
    if (!(fabs(found - expected) <= allowed))
        fail_msg("%s: directional derivative %.6g, by differences %.6g (SM_TEST_SEED=%llu)", op->name,
                 found / 2 / (double)h, expected / 2 / (double)h, (unsigned long long)seed);
    for (int i = 0; i < k->n_inputs; i++) {
        free(from[i]);
        free(direction[i]);
        free(gradient[i]);
    }
}

static bool check_op(const nn_op *op, uint64_t seed)
{
    nn_random r = { .state = seed, .vary = true };
    checked k = { .g = nn_graph_new() };
    assert_non_null(k.g);
    const nn_id y = op->random(k.g, &r);
    test_ok(nn_graph_error(k.g));
    k.n_inputs = r.n;
    const bool can = make_loss(k.g, &r, y, op);
    if (can) {
        const nn_compile_options ref = { .backend = "ref", .plain = true };
        test_ok(nn_compile(k.g, &ref, &k.plan));
        test_ok(nn_run_state_new(k.plan, &k.run));
        test_nn_ports_new(k.plan, &r, seed, &k.ports);
        compare(&k, op, &r, seed);
        test_nn_ports_free(&k.ports);
        nn_run_state_free(k.run);
        nn_plan_free(k.plan);
    }
    nn_graph_free(k.g);
    return can;
}

static void every_gradient_is_what_differences_say(void **state)
{
    const uint64_t seed = test_nn_seed(1);
    (void)state;
    for (size_t i = 0; i < nn_ops_count(); i++)
        for (uint64_t n = 0; nn_ops[i]->random && nn_ops[i]->gradient && n < 20; n++)
            if (!check_op(nn_ops[i], seed + n) && n == 0)
                fail_msg("%s has a gradient that cannot be computed: %s", nn_ops[i]->name, sm_last_error());
}

/* ---- whole networks ---- */

static nn_id conv(nn_graph *g, const nn_source *w, nn_id x, const char *name, int filters, int size, int stride,
                  int groups)
{
    const int64_t channels = nn_shape_of(g, x).dim[1];
    const nn_conv_attrs a = { .stride = { stride, stride },
                              .pad_before = { size / 2, size / 2 },
                              .pad_after = { size / 2, size / 2 },
                              .groups = groups };
    const nn_id k = nn_weight(g, w, nn_name(g, "%s.w", name), NN_SHAPE(filters, channels / groups, size, size));
    const bool bias = strncmp(name, "n.", 2) != 0; /* before a norm its gradient would be nothing but rounding */
    return nn_conv(g, x, k, bias ? nn_weight(g, w, nn_name(g, "%s.b", name), NN_SHAPE(filters)) : NN_NONE, &a);
}

static nn_id linear(nn_graph *g, const nn_source *w, nn_id x, const char *name, int out)
{
    const nn_id k = nn_weight(g, w, nn_name(g, "%s.w", name), NN_SHAPE(out, nn_shape_of(g, x).dim[1]));
    return nn_linear(g, x, k, nn_weight(g, w, nn_name(g, "%s.b", name), NN_SHAPE(out)));
}

static nn_id norm(nn_graph *g, const nn_source *w, nn_id x, const char *name)
{
    const nn_shape v = NN_SHAPE(nn_shape_of(g, x).dim[1]);
    return nn_batch_norm(g, x, nn_weight(g, w, nn_name(g, "%s.gamma", name), v),
                         nn_weight(g, w, nn_name(g, "%s.beta", name), v),
                         nn_weight(g, w, nn_name(g, "%s.mean", name), v),
                         nn_weight(g, w, nn_name(g, "%s.var", name), v), 1e-3f);
}

static nn_id flatten(nn_graph *g, nn_id x)
{
    return nn_reshape(g, x, NN_SHAPE(nn_shape_of(g, x).dim[0], -1));
}

/* Blocked channels: the first layer's kernel, Winograd's, direct ones; pools with ReLU; dropout. */
static nn_id plain_net(nn_graph *g, const nn_source *w)
{
    static const int filters[] = { 32, 64, 48 };
    nn_id x = nn_input(g, "x", NN_SHAPE(3, 1, 32, 32));
    for (int i = 0; i < 3; i++) {
        x = nn_unary(g, NN_RELU, conv(g, w, x, nn_name(g, "conv%d", i), filters[i], 3, 1, 1));
        x = nn_max_pool(g, x, &(nn_pool_attrs){ .kernel = { 2, 2 } });
    }
    x = nn_dropout(g, nn_unary(g, NN_TANH, linear(g, w, flatten(g, x), "dense", 40)), 0.4f);
    return linear(g, w, x, "classes", 7);
}

/* Depthwise, strides, batch norm, squeeze and excite, residual; pools that overlap; `channels` decides between blocked and last. */
static nn_id mixed_net(nn_graph *g, const nn_source *w, int channels)
{
    nn_id x = nn_input(g, "x", NN_SHAPE(3, 2, 13, 18));
    x = nn_unary(g, NN_SWISH, norm(g, w, conv(g, w, x, "n.stem", channels, 3, 1, 1), "stem"));
    x = nn_max_pool(g, x, &(nn_pool_attrs){ .kernel = { 3, 3 }, .stride = { 2, 2 }, .same_tf = true });
    nn_id y = nn_unary(g, NN_GELU, norm(g, w, conv(g, w, x, "n.across", channels, 3, 1, channels), "across"));
    const nn_id mean = nn_reduce(g, NN_REDUCE_MEAN, y, 4 | 8, true);
    y = nn_binary(g, NN_MUL, y, nn_unary(g, NN_SIGMOID, conv(g, w, mean, "gate", channels, 1, 1, 1)));
    y = nn_binary(g, NN_ADD, conv(g, w, y, "down", channels, 1, 1, 1), x);
    y = nn_unary(g, NN_RELU, conv(g, w, y, "stride", 2 * channels, 3, 2, 1));
    y = nn_avg_pool(g, y, &(nn_pool_attrs){ .kernel = { 2, 2 }, .pad_before = { 1, 0 }, .pad_after = { 0, 1 } });
    const nn_id top = nn_reduce(g, NN_REDUCE_MAX, y, 4 | 8, false);
    y = nn_dropout(g, nn_binary(g, NN_ADD, nn_reduce(g, NN_REDUCE_MEAN, y, 4 | 8, false), top), 0.2f);
    return linear(g, w, y, "classes", 7);
}

typedef struct {
    nn_plan *plan;
    nn_run_state *run;
    test_nn_ports ports;
} trained;

/* Parameters as the source has them, example k is of class k; "x" is made up. */
static trained start(const nn_graph *g, const nn_compile_options *o, test_nn_weights *weights)
{
    const nn_source *w = test_nn_source(weights);
    trained t = { 0 };
    test_ok(nn_compile(g, o, &t.plan));
    test_ok(nn_plan_check(t.plan)); /* what the way back needs is not overwritten */
    test_ok(nn_run_state_new(t.plan, &t.run));
    test_nn_ports_new(t.plan, NULL, 3, &t.ports);
    for (int i = 0; i < t.ports.n_in; i++) {
        const char *name = nn_plan_input_name(t.plan, i);
        const nn_shape s = nn_plan_input_shape(t.plan, i);
        const size_t n = (size_t)nn_elements(&s);
        nn_tensor first;
        if (!strcmp(name, "targets"))
            for (size_t k = 0; k < n; k++)
                ((float *)t.ports.in[i])[k] = k / (size_t)s.dim[1] == k % (size_t)s.dim[1];
        else if (strcmp(name, "x") != 0 && nn_plan_input_type(t.plan, i) == NN_F32) {
            test_ok(w->get(w->user, name, &s, &first));
            memcpy(t.ports.in[i], first.data, n * 4);
        }
    }
    return t;
}

static void run(trained *t)
{
    test_ok(nn_run(t->plan, t->run, (const void *const *)t->ports.in, t->ports.out));
}

static void stop(trained *t)
{
    test_nn_ports_free(&t->ports);
    nn_run_state_free(t->run);
    nn_plan_free(t->plan);
}

/* Batch norm with what is fused behind it: ReLU, a residual, both. */
static nn_id residual_net(nn_graph *g, const nn_source *w, int channels)
{
    nn_id x = nn_input(g, "x", NN_SHAPE(3, 1, 12, 18));
    x = nn_unary(g, NN_RELU, norm(g, w, conv(g, w, x, "n.stem", channels, 3, 1, 1), "stem"));
    const nn_id y = nn_unary(g, NN_RELU, norm(g, w, conv(g, w, x, "n.a", channels, 3, 1, 1), "a"));
    x = nn_unary(g, NN_RELU, nn_binary(g, NN_ADD, norm(g, w, conv(g, w, y, "n.b", channels, 3, 1, 1), "b"), x));
    const nn_id skip =
        norm(g, w, conv(g, w, nn_avg_pool(g, x, &(nn_pool_attrs){ .kernel = { 2, 2 } }), "n.skip", 48, 1, 1, 1),
             "skip");
    x = nn_binary(g, NN_ADD, norm(g, w, conv(g, w, x, "n.c", 48, 3, 2, 1), "c"), skip);
    const nn_id parts[2] = { flatten(g, nn_avg_pool(g, x, &(nn_pool_attrs){ .kernel = { 6, 1 } })),
                             flatten(g, nn_max_pool(g, x, &(nn_pool_attrs){ .kernel = { 6, 1 } })) };
    return linear(g, w, nn_concat(g, parts, 2, 1), "classes", 7);
}

/* MobileNet's pairs of depthwise and pointwise convolutions without norms, padded as TensorFlow does, pooled both ways. */
static nn_id separable_net(nn_graph *g, const nn_source *w)
{
    static const int channels[] = { 16, 48, 64, 64 }, stride[] = { 2, 1, 2, 2 };
    nn_id x = nn_input(g, "x", NN_SHAPE(3, 1, 30, 18)); /* 15 x 9, 8 x 5, 4 x 3: odd and even */
    for (int i = 0; i < 4; i++) {
        const int64_t in = nn_shape_of(g, x).dim[1];
        const nn_conv_attrs a = { .stride = { stride[i], stride[i] }, .groups = (int)in, .same_tf = true };
        const nn_id k = nn_weight(g, w, nn_name(g, "depth%d.w", i), NN_SHAPE(in, 1, 3, 3));
        x = nn_unary(g, NN_RELU, nn_conv(g, x, k, nn_weight(g, w, nn_name(g, "depth%d.b", i), NN_SHAPE(in)), &a));
        x = nn_unary(g, NN_RELU, conv(g, w, x, nn_name(g, "point%d", i), channels[i], 1, 1, 1));
    }
    const nn_shape s = nn_shape_of(g, x);
    const nn_pool_attrs all = { .kernel = { (int)s.dim[2], (int)s.dim[3] } };
    const nn_id parts[2] = { flatten(g, nn_avg_pool(g, x, &all)), flatten(g, nn_max_pool(g, x, &all)) };
    return linear(g, w, nn_dropout(g, nn_concat(g, parts, 2, 1), 0.2f), "classes", 7);
}

/* MobileNetV3's blocks without norms: hard-swish, squeeze and excitation by matrices, a residual. */
static nn_id gated_net(nn_graph *g, const nn_source *w)
{
    static const int size[] = { 3, 5 }, stride[] = { 1, 2 };
    nn_id x = nn_input(g, "x", NN_SHAPE(3, 1, 22, 18));
    x = nn_unary(g, NN_HARD_SWISH, conv(g, w, x, "stem", 8, 3, 2, 1));
    for (int i = 0; i < 2; i++) {
        nn_id y = nn_unary(g, NN_HARD_SWISH, conv(g, w, x, nn_name(g, "expand%d", i), 24, 1, 1, 1));
        y = nn_unary(g, NN_HARD_SWISH, conv(g, w, y, nn_name(g, "depth%d", i), 24, size[i], stride[i], 24));
        const nn_shape s = nn_shape_of(g, y);
        const nn_pool_attrs all = { .kernel = { (int)s.dim[2], (int)s.dim[3] } };
        nn_id gate =
            nn_unary(g, NN_RELU, linear(g, w, flatten(g, nn_avg_pool(g, y, &all)), nn_name(g, "squeeze%d", i), 8));
        gate = nn_unary(g, NN_SIGMOID, linear(g, w, gate, nn_name(g, "excite%d", i), 24));
        y = nn_binary(g, NN_MUL, y, nn_reshape(g, gate, NN_SHAPE(3, 24, 1, 1)));
        y = conv(g, w, y, nn_name(g, "project%d", i), i > 0 ? 16 : 8, 1, 1, 1);
        x = i == 1 ? y : nn_binary(g, NN_ADD, y, x);
    }
    return linear(g, w, flatten(g, nn_unary(g, NN_HARD_SWISH, x)), "classes", 7);
}

static nn_id plain_or_mixed(nn_graph *g, const nn_source *w, int which)
{
    if (which == 6)
        return gated_net(g, w);
    if (which == 5)
        return separable_net(g, w);
    if (which > 2)
        return residual_net(g, w, which == 3 ? 32 : 20);
    return which == 0 ? plain_net(g, w) : mixed_net(g, w, which == 1 ? 32 : 20);
}

static void networks_have_the_same_gradients_on_every_backend(void **state)
{
    (void)state;
    for (int which = 0; which < 7; which++) {
        test_nn_weights *weights = test_nn_weights_new();
        nn_graph *g = nn_graph_new();
        nn_graph_train(g);
        const nn_id logits = plain_or_mixed(g, test_nn_source(weights), which);
        const nn_id loss = nn_cross_entropy(g, logits, nn_input(g, "targets", nn_shape_of(g, logits)), NN_NONE);
        nn_output(g, "loss", loss);
        test_ok(nn_backward(g, loss));
        trained expected = start(g, &(nn_compile_options){ .backend = "ref", .plain = true }, weights);
        trained got = start(g, &(nn_compile_options){ .threads = 1 }, weights);
        run(&expected);
        run(&got);
        /* sums in f32 instead of double, and Winograd's tiles of 4 x 4: 1e-6 is typical */
        const double e = test_nn_error(&got.ports, &expected.ports);
        if (!(e <= 1e-5))
            fail_msg("network %d: error %.3g", which, e);
        run(&got); /* again: nothing was spoilt, and the same bits come out in another run state */
        trained again = start(g, &(nn_compile_options){ .threads = 1 }, weights);
        run(&again);
        for (int i = 0; i < got.ports.n_out; i++)
            assert_memory_equal(got.ports.out[i], again.ports.out[i], got.ports.length[i] * sizeof(float));
        stop(&expected);
        stop(&got);
        stop(&again);
        nn_graph_free(g);
        test_nn_weights_free(weights);
    }
}

/* ---- learning by heart ---- */

/* Plain gradient descent: each parameter moves against its output "grad.NAME". */
static void descend(trained *t, float rate)
{
    for (int o = 0; o < nn_plan_outputs(t->plan); o++)
        for (int i = 0; i < nn_plan_inputs(t->plan); i++) {
            const char *name = nn_plan_output_name(t->plan, o);
            if (strncmp(name, "grad.", 5) != 0 || strcmp(name + 5, nn_plan_input_name(t->plan, i)) != 0)
                continue;
            for (size_t k = 0; k < t->ports.length[o]; k++)
                ((float *)t->ports.in[i])[k] -= rate * t->ports.out[o][k];
        }
}

static double learn(const nn_graph *g, test_nn_weights *weights, int steps, float rate)
{
    trained t = start(g, &(nn_compile_options){ .threads = 1 }, weights);
    for (int step = 0; step < steps; step++) {
        run(&t);
        descend(&t, rate);
    }
    const double loss = (double)t.ports.out[0][0];
    stop(&t);
    return loss;
}

static void small_networks_learn_their_data_by_heart(void **state)
{
    (void)state;
    for (int which = 0; which < 2; which++) {
        test_nn_weights *weights = test_nn_weights_new();
        const nn_source *w = test_nn_source(weights);
        nn_graph *g = nn_graph_new();
        nn_graph_train(g);
        nn_id x = nn_input(g, "x", which ? NN_SHAPE(4, 1, 16, 16) : NN_SHAPE(4, 20));
        if (which) {
            x = nn_unary(g, NN_RELU, norm(g, w, conv(g, w, x, "n.a", 32, 3, 1, 1), "a"));
            x = nn_unary(g, NN_RELU, conv(g, w, x, "b", 32, 3, 1, 1));
            x = flatten(g, nn_max_pool(g, x, &(nn_pool_attrs){ .kernel = { 4, 4 } }));
        } else {
            x = nn_unary(g, NN_TANH, linear(g, w, x, "hidden", 24));
        }
        const nn_id logits = linear(g, w, x, "classes", 4);
        const nn_id loss = nn_cross_entropy(g, logits, nn_input(g, "targets", NN_SHAPE(4, 4)), NN_NONE);
        nn_output(g, "loss", loss);
        test_ok(nn_backward(g, loss));
        assert_true(learn(g, weights, 60, which ? 0.1f : 0.5f) < 0.05); /* log 4 = 1.39 at random */
        nn_graph_free(g);
        test_nn_weights_free(weights);
    }
}

/* ---- a graph that trains ---- */

static int input_of(const nn_plan *p, const char *name)
{
    for (int i = 0; i < nn_plan_inputs(p); i++)
        if (!strcmp(nn_plan_input_name(p, i), name))
            return i;
    return -1;
}

static int output_of(const nn_plan *p, const char *name)
{
    for (int i = 0; i < nn_plan_outputs(p); i++)
        if (!strcmp(nn_plan_output_name(p, i), name))
            return i;
    return -1;
}

static void weights_become_inputs_and_statistics_become_outputs(void **state)
{
    test_nn_weights *weights = test_nn_weights_new();
    const nn_source *w = test_nn_source(weights);
    nn_graph *g = nn_graph_new();
    nn_plan *p = NULL;
    (void)state;
    assert_false(nn_graph_trains(g));
    nn_graph_train(g);
    assert_true(nn_graph_trains(g));
    nn_id x = nn_input(g, "x", NN_SHAPE(4, 3));
    const nn_id twice = nn_weight(g, w, "w", NN_SHAPE(3, 3));
    assert_int_equal(twice, nn_weight(g, w, "w", NN_SHAPE(3, 3)));
    nn_weight(g, w, "unused", NN_SHAPE(2));
    x = norm(g, w, nn_linear(g, nn_linear(g, x, twice, NN_NONE), twice, NN_NONE), "n");
    const nn_id loss = nn_reduce(g, NN_REDUCE_MEAN, nn_unary(g, NN_SQUARE, nn_dropout(g, x, 0.5f)), 3, false);
    test_ok(nn_backward(g, loss));
    test_ok(nn_compile(g, NULL, &p));
    assert_true(input_of(p, "w") >= 0 && input_of(p, "n.gamma") >= 0 && input_of(p, "dropout_seed") >= 0);
    assert_int_equal(input_of(p, "n.mean"), -1);
    assert_int_equal(input_of(p, "n.var"), -1);
    assert_true(output_of(p, "stat.n.mean") >= 0 && output_of(p, "stat.n.var") >= 0);
    assert_true(output_of(p, "grad.w") >= 0 && output_of(p, "grad.unused") >= 0);
    assert_int_equal(output_of(p, "grad.n.mean"), -1);
    nn_plan_free(p);
    nn_weight(g, w, "w", NN_SHAPE(9));
    assert_int_equal(nn_graph_error(g), SM_EFORMAT);
    nn_graph_free(g);
    test_nn_weights_free(weights);
}

static void dropout_keeps_the_mean_and_repeats_with_its_seed(void **state)
{
    enum { N = 40000 };
    nn_graph *g = nn_graph_new();
    test_nn_ports a, b;
    (void)state;
    const nn_id x = nn_input(g, "x", NN_SHAPE(4, 16, 25, 25));
    assert_int_equal(nn_dropout(g, x, 0.3f), x); /* inference */
    nn_graph_train(g);
    assert_int_equal(nn_dropout(g, x, 0), x);
    nn_output(g, "a", nn_dropout(g, x, 0.3f));
    nn_output(g, "b", nn_dropout(g, x, 0.3f));
    const nn_random r = { .n = 2, .range = { { 1, 1 }, { 7, 7 } } };
    test_nn_run(g, &(nn_compile_options){ .backend = "ref" }, &r, 1, &a);
    test_nn_run(g, NULL, &r, 2, &b);
    double mean = 0, both = 0;
    for (int i = 0; i < N; i++) {
        mean += (double)a.out[0][i] / N;
        both += (double)(a.out[0][i] != 0 && a.out[1][i] != 0) / N;
    }
    assert_memory_equal(a.out[0], b.out[0], N * sizeof(float));
    assert_memory_equal(a.out[1], b.out[1], N * sizeof(float));
    /* four standard deviations of a mean of N */
    assert_true(fabs(mean - 1) < 4 * sqrt(0.3 / 0.7 / N));
    assert_true(fabs(both - 0.49) < 4 * sqrt(0.49 * 0.51 / N)); /* two masks know nothing of each other */
    test_nn_ports_free(&a);
    test_nn_ports_free(&b);
    nn_graph_free(g);
}

static void what_has_no_gradient_is_named(void **state)
{
    test_nn_weights *weights = test_nn_weights_new();
    const nn_source *w = test_nn_source(weights);
    nn_graph *g = nn_graph_new();
    (void)state;
    nn_graph_train(g);
    nn_scope(g, "voice");
    const nn_id x = nn_input(g, "x", NN_SHAPE(2, 5, 3));
    const nn_id y = nn_lstm(g, x, nn_weight(g, w, "w", NN_SHAPE(8, 3)), nn_weight(g, w, "u", NN_SHAPE(8, 2)),
                            nn_weight(g, w, "b", NN_SHAPE(8)), NN_NONE, NN_NONE);
    test_fails(nn_backward(g, nn_reduce(g, NN_REDUCE_SUM, y, 7, false)), SM_EUNSUPPORTED, "lstm 'voice'");
    nn_graph_free(g);
    g = nn_graph_new();
    nn_graph_train(g);
    test_fails(nn_backward(g, nn_weight(g, w, "v", NN_SHAPE(2))), SM_EUSAGE, "single number");
    nn_graph_free(g);
    test_nn_weights_free(weights);
}

static void cross_entropy_is_its_definition(void **state)
{
    nn_graph *g = nn_graph_new();
    test_nn_ports t;
    (void)state;
    const float logits[6] = { 1, 2, 3, 80, -90, 0 }, targets[6] = { 0.1f, 0.2f, 0.7f, 0, 1, 0 },
                weights[2] = { 2, 0.5f };
    nn_output(g, "loss",
              nn_cross_entropy(g, nn_const_f32(g, NN_SHAPE(2, 3), logits), nn_const_f32(g, NN_SHAPE(2, 3), targets),
                               nn_const_f32(g, NN_SHAPE(2), weights)));
    test_nn_run(g, NULL, NULL, 1, &t);
    const double all = log(exp(1) + exp(2) + exp(3));
    const double rows[2] = { 2 * (all - 0.1 * 1 - 0.2 * 2 - 0.7 * 3), 0.5 * (80 + 90) };
    assert_true(fabs((double)t.out[0][0] - (rows[0] + rows[1]) / 2) < 1e-5);
    test_nn_ports_free(&t);
    nn_graph_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_gradient_is_what_differences_say),
        cmocka_unit_test(networks_have_the_same_gradients_on_every_backend),
        cmocka_unit_test(small_networks_learn_their_data_by_heart),
        cmocka_unit_test(weights_become_inputs_and_statistics_become_outputs),
        cmocka_unit_test(dropout_keeps_the_mean_and_repeats_with_its_seed),
        cmocka_unit_test(what_has_no_gradient_is_named),
        cmocka_unit_test(cross_entropy_is_its_definition),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
