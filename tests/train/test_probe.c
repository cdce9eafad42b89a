/* The softmax regression of `train --on`. */
#include "support/support.h"

#include <math.h>

#include "train/probe.h"

enum { N = 240, WIDTH = 13, CLASSES = 4 };

/* Clusters around corners, and what they are. */
static void clusters(float *x, size_t *truth, double *weight, double spread)
{
    const uint64_t h = sm_unit_hash("clusters", 1);
    for (size_t i = 0; i < N; i++) {
        truth[i] = i % CLASSES;
        weight[i] = 1.0 / N;
        for (size_t k = 0; k < WIDTH; k++)
            x[i * WIDTH + k] = (float)((k % CLASSES == truth[i] ? 1 : 0) + spread * sm_unit(h, i * WIDTH + k));
    }
}

static double loss_of(const probe_data *d, double decay, const float *w, const float *b)
{
    float z[N * CLASSES];
    double loss = 0;
    probe_logits(d->x, d->n, d->width, d->classes, w, b, z);
    for (size_t i = 0; i < d->n; i++) {
        double sum = 0;
        for (size_t c = 0; c < d->classes; c++)
            sum += exp((double)z[i * CLASSES + c]);
        for (size_t c = 0; c < d->classes; c++) {
            const double t = d->smoothing / CLASSES + (c == d->truth[i] ? 1 - d->smoothing : 0);
            loss -= d->weight[i] * t * ((double)z[i * CLASSES + c] - log(sum));
        }
    }
    for (size_t k = 0; k < d->classes * d->width; k++)
        loss += decay / 2 * (double)w[k] * (double)w[k];
    return loss;
}

static void separable_clusters_are_told_apart(void **state)
{
    static float x[N * WIDTH], w[CLASSES * WIDTH], b[CLASSES], z[N * CLASSES];
    static size_t truth[N];
    static double weight[N];
    sm_pool *pool = NULL;
    (void)state;
    clusters(x, truth, weight, 0.3);
    const probe_data d = { N, WIDTH, CLASSES, x, truth, weight, 0.05 };
    test_ok(sm_pool_new(1, &pool));
    test_ok(probe_fit(&d, 1e-3, 200, pool, w, b));
    sm_pool_free(pool);
    probe_logits(x, N, WIDTH, CLASSES, w, b, z);
    for (size_t i = 0; i < N; i++)
        for (size_t c = 0; c < CLASSES; c++)
            assert_true(z[i * CLASSES + truth[i]] >= z[i * CLASSES + c]);
}

/* The problem is convex: where no small step helps is the one answer. */
static void the_answer_is_the_minimum(void **state)
{
    static float x[N * WIDTH], w[CLASSES * WIDTH], b[CLASSES];
    static size_t truth[N];
    static double weight[N];
    const double decay = 0.02;
    sm_pool *pool = NULL;
    (void)state;
    clusters(x, truth, weight, 2);
    const probe_data d = { N, WIDTH, CLASSES, x, truth, weight, 0.1 };
    test_ok(sm_pool_new(1, &pool));
    test_ok(probe_fit(&d, decay, 600, pool, w, b));
    sm_pool_free(pool);
    const double here = loss_of(&d, decay, w, b);
    for (size_t k = 0; k < CLASSES * WIDTH + CLASSES; k++)
        for (int sign = -1; sign <= 1; sign += 2) {
            float *v = k < CLASSES * WIDTH ? &w[k] : &b[k - CLASSES * WIDTH];
            const float old = *v;
            *v += (float)sign * 0.02f; /* the curvature there makes this 1e-6 at least; rounding is 1e-7 */
            assert_true(loss_of(&d, decay, w, b) > here);
            *v = old;
        }
}

static void threads_do_not_change_the_numbers(void **state)
{
    static float x[N * WIDTH], w[2][CLASSES * WIDTH], b[2][CLASSES];
    static size_t truth[N];
    static double weight[N];
    (void)state;
    clusters(x, truth, weight, 1);
    const probe_data d = { N, WIDTH, CLASSES, x, truth, weight, 0.05 };
    for (int i = 0; i < 2; i++) {
        sm_pool *pool = NULL;
        test_ok(sm_pool_new(1 + 2 * i, &pool));
        test_ok(probe_fit(&d, 0.01, 50, pool, w[i], b[i]));
        sm_pool_free(pool);
    }
    assert_memory_equal(w[0], w[1], sizeof w[0]);
    assert_memory_equal(b[0], b[1], sizeof b[0]);
}

static void only_a_network_that_we_have_a_layer_for_can_be_stood_on(void **state)
{
    sm_probe_options o;
    sm_probed r;
    (void)state;
    sm_probe_options_init(&o);
    o.out = "never-written.safetensors";
    o.on = "crepe-tiny";
    test_fails(sm_probe_train(NULL, &o, &r), SM_EUSAGE, "crepe-tiny");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(separable_clusters_are_told_apart),
        cmocka_unit_test(the_answer_is_the_minimum),
        cmocka_unit_test(threads_do_not_change_the_numbers),
        cmocka_unit_test(only_a_network_that_we_have_a_layer_for_can_be_stood_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
