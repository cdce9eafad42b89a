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
        for (uint64_t n = 0; nn_ops[i]->random && nn_ops[i]->gradient && n < 40; n++)
            if (!check_op(nn_ops[i], seed + n) && n == 0)
                fail_msg("%s has a gradient that cannot be computed: %s", nn_ops[i]->name, sm_last_error());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_gradient_is_what_differences_say),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
