/* Plans: memory, sharing, states, threads, failure, and that running allocates nothing. */
#include "support/nn_support.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "nn/plan_type.h"

static const char *const backends[] = {
#define NN_BACKEND(NAME) #NAME,
#include "nn/backends.def"
#undef NN_BACKEND
};

/* A small network with everything that plans are about: folding, residuals, views, joins, several outputs. */
static nn_graph *small(const nn_source *s, int batch)
{
    nn_graph *g = nn_graph_new();
    if (!g)
        return NULL;
    nn_id x = nn_input(g, "x", NN_SHAPE(batch, 3, 12, 10)), parts[2];
    for (int i = 0; i < 3; i++) {
        nn_scope(g, "layer%d", i);
        const nn_id before = x;
        const nn_shape v = NN_SHAPE(8);
        x = nn_conv(g, x, nn_weight(g, s, nn_name(g, "w%d", i), NN_SHAPE(8, i ? 8 : 3, 3, 3)), NN_NONE,
                    &(nn_conv_attrs){ .same_tf = true });
        x = nn_batch_norm(g, x, NN_NONE, nn_weight(g, s, nn_name(g, "beta%d", i), v),
                          nn_weight(g, s, nn_name(g, "mean%d", i), v), nn_weight(g, s, nn_name(g, "var%d", i), v),
                          1e-4f);
        x = nn_unary(g, NN_SWISH, x);
        if (i)
            x = nn_binary(g, NN_ADD, x, before);
    }
    nn_scope(g, "head");
    nn_output(g, "embedding", nn_reduce(g, NN_REDUCE_MEAN, x, 4 | 8, false));
    for (int i = 0; i < 2; i++)
        parts[i] = nn_unary(g, i ? NN_TANH : NN_SQUARE, nn_slice(g, x, 1, 4 * i, 4 * i + 4, 1));
    x = nn_reshape(g, nn_concat(g, parts, 2, 1), NN_SHAPE(batch, -1));
    x = nn_linear(g, x, nn_weight(g, s, "dense", NN_SHAPE(5, 960)), nn_weight(g, s, "dense.bias", NN_SHAPE(5)));
    nn_output(g, "logits", x);
    nn_output(g, "scores", nn_softmax(g, x, -1));
    return g;
}

static void live_values_never_share_memory(void **state)
{
    test_nn_weights *w = test_nn_weights_new();
    (void)state;
    for (size_t b = 0; b < SM_LENGTH(backends); b++)
        for (int batch = 1; batch <= 3; batch += 2)
            for (int taps = 0; taps < 2; taps++) {
                nn_graph *g = small(test_nn_source(w), batch);
                nn_plan *p = NULL;
                nn_memory m;
                test_ok(nn_compile(g, &(nn_compile_options){ .backend = backends[b], .taps = taps }, &p));
                test_ok(nn_plan_check(p));
                nn_plan_memory(p, &m);
                /* two or three values of [batch, 8, 12, 10] live at a time, not the eleven that there are */
                assert_true(m.activations <= 5 * (size_t)batch * 16 * 12 * 10 * 4);
                nn_plan_free(p);
                test_nn_same(g, backends[b], NULL, 9, 1e-5, "small");
                nn_graph_free(g);
            }
    test_nn_weights_free(w);
}

/* Random chains of operations over a pool of values: what liveness, views, joins and in-place results are tested with. */
static nn_graph *tangle(uint64_t seed)
{
    nn_random r = { .state = seed };
    nn_graph *g = nn_graph_new();
    nn_id pool[8];
    for (int i = 0; i < 8; i++)
        pool[i] = nn_input(g, nn_name(g, "x%d", i), NN_SHAPE(1, 4, 6));
    for (int i = 0; i < 40; i++) {
        nn_id *to = &pool[nn_random_int(&r, 0, 7)];
        const nn_id a = pool[nn_random_int(&r, 0, 7)], b = pool[nn_random_int(&r, 0, 7)];
        switch (nn_random_int(&r, 0, 6)) {
        case 0:
            *to = nn_binary(g, NN_ADD, a, b);
            break;
        case 1:
            *to = nn_unary(g, NN_TANH, a);
            break;
        case 2:
            *to = nn_concat(g, (const nn_id[]){ nn_slice(g, a, 1, 0, 2, 1), nn_slice(g, b, 1, 2, 4, 1) }, 2, 1);
            break;
        case 3:
            *to = nn_reshape(g, nn_unary(g, NN_SIN, nn_reshape(g, a, NN_SHAPE(6, 4))), NN_SHAPE(1, 4, 6));
            break;
        case 4:
            *to = nn_slice(g, nn_concat(g, (const nn_id[]){ nn_unary(g, NN_NEG, a), nn_unary(g, NN_ABS, b) }, 2, 1), 1,
                           1, 5, 1);
            break;
        case 5:
            *to = nn_softmax(g, a, 2);
            break;
        default:
            nn_output(g, nn_name(g, "y%d", i), a);
            nn_tap(g, nn_name(g, "t%d", i), b);
        }
    }
    for (int i = 0; i < 8; i++)
        nn_output(g, nn_name(g, "end%d", i), pool[i]);
    return g;
}

static void tangled_graphs_keep_their_values_apart(void **state)
{
    const uint64_t seed = test_nn_seed(100);
    (void)state;
    for (uint64_t k = 0; k < 60; k++)
        for (size_t b = 0; b < SM_LENGTH(backends); b++) {
            nn_graph *g = tangle(seed + k);
            test_nn_same(g, backends[b], NULL, seed + k, 1e-5, "tangle");
            nn_plan *p = NULL;
            test_ok(nn_compile(g, &(nn_compile_options){ .backend = backends[b], .taps = true }, &p));
            test_ok(nn_plan_check(p));
            nn_plan_free(p);
            nn_graph_free(g);
        }
}

static void batch_sizes_share_packed_weights(void **state)
{
    test_nn_weights *w = test_nn_weights_new();
    (void)state;
    for (size_t b = 0; b < SM_LENGTH(backends); b++) {
        nn_pack *pack = NULL;
        nn_plan *plans[3] = { 0 };
        size_t bytes[3];
        test_ok(nn_pack_new(&pack));
        for (int i = 0; i < 3; i++) {
            nn_graph *g = small(test_nn_source(w), 1 + 2 * (i % 2));
            test_ok(nn_compile(g, &(nn_compile_options){ .backend = backends[b], .pack = pack }, &plans[i]));
            bytes[i] = nn_pack_bytes(pack);
            nn_graph_free(g);
        }
        assert_true(bytes[0] > 0);
        assert_int_equal(bytes[2], bytes[1]); /* the same plan again adds nothing */
        if (!strcmp(backends[b], "ref"))
            assert_int_equal(bytes[1], bytes[0]);
        else /* another batch size may want another form of a few */
            assert_true(bytes[1] <= 2 * bytes[0]);
        for (int i = 0; i < 3; i++)
            nn_plan_free(plans[i]);
        nn_pack_free(pack);
    }
    test_nn_weights_free(w);
}

static void a_batch_is_its_items(void **state)
{
    test_nn_weights *w = test_nn_weights_new();
    (void)state;
    for (size_t b = 0; b < SM_LENGTH(backends); b++) {
        nn_plan *p[2];
        nn_run_state *r[2];
        test_nn_ports ports[2];
        for (int i = 0; i < 2; i++) {
            nn_graph *g = small(test_nn_source(w), i ? 3 : 1);
            test_ok(
                nn_compile(g, &(nn_compile_options){ .backend = backends[b], .precision = NN_PRECISION_F32 }, &p[i]));
            test_ok(nn_run_state_new(p[i], &r[i]));
            test_nn_ports_new(p[i], NULL, 4, &ports[i]);
            nn_graph_free(g);
        }
        test_ok(nn_run(p[1], r[1], (const void *const *)ports[1].in, ports[1].out));
        for (int item = 0; item < 3; item++) {
            const void *in[] = { (const float *)ports[1].in[0] + item * 360 };
            test_ok(nn_run(p[0], r[0], in, ports[0].out));
            for (int o = 0; o < 3; o++) {
                const size_t n = ports[0].length[o];
                const double e = test_normalised_error(ports[0].out[o], ports[1].out[o] + (size_t)item * n, n);
                if (!(e < 2e-6))
                    fail_msg("%s, item %d, output %d: %g", backends[b], item, o, e);
            }
        }
        for (int i = 0; i < 2; i++) {
            test_nn_ports_free(&ports[i]);
            nn_run_state_free(r[i]);
            nn_plan_free(p[i]);
        }
    }
    test_nn_weights_free(w);
}

static long resident_kb(void)
{
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f || fscanf(f, "%*s %ld", &pages) != 1)
        pages = 0;
    if (f)
        fclose(f);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static void running_allocates_nothing_and_does_not_grow(void **state)
{
    test_nn_weights *w = test_nn_weights_new();
    (void)state;
    for (size_t b = 0; b < SM_LENGTH(backends); b++) {
        nn_graph *g = nn_graph_new();
        const nn_source *s = test_nn_source(w);
        nn_id x = nn_input(g, "x", NN_SHAPE(1, 2, 6, 6));
        x = nn_conv(g, x, nn_weight(g, s, "tiny", NN_SHAPE(4, 2, 3, 3)), NN_NONE, &(nn_conv_attrs){ .same_tf = true });
        x = nn_max_pool(g, nn_unary(g, NN_RELU, x), &(nn_pool_attrs){ .kernel = { 2, 2 } });
        x = nn_lstm(g, nn_reshape(g, x, NN_SHAPE(1, 9, 4)), nn_weight(g, s, "ih", NN_SHAPE(8, 4)),
                    nn_weight(g, s, "hh", NN_SHAPE(8, 2)), NN_NONE, nn_state(g, "h", NN_SHAPE(1, 2)),
                    nn_state(g, "c", NN_SHAPE(1, 2)));
        nn_output(g, "y", nn_softmax(g, x, -1));
        nn_plan *p = NULL;
        nn_run_state *r = NULL;
        test_nn_ports ports;
        test_ok(nn_compile(g, &(nn_compile_options){ .backend = backends[b] }, &p));
        test_ok(nn_run_state_new(p, &r));
        test_nn_ports_new(p, NULL, 1, &ports);
        for (int i = 0; i < 500; i++) /* libraries of their own warm up */
            test_ok(nn_run(p, r, (const void *const *)ports.in, ports.out));
        const long made = sm_test_allocations_made(), before = resident_kb();
        for (int i = 0; i < 10000; i++)
            test_ok(nn_run(p, r, (const void *const *)ports.in, ports.out));
        const long grown = resident_kb() - before;
        assert_int_equal(sm_test_allocations_made(), made);
#ifndef __SANITIZE_ADDRESS__ /* keeps freed blocks of libraries for a while */
        if (grown > 256)     /* a block of 26 bytes a run would show */
            fail_msg("%s: %ld kB more after 10,000 runs", backends[b], grown);
#else
        (void)grown;
#endif
        test_nn_ports_free(&ports);
        nn_run_state_free(r);
        nn_plan_free(p);
        nn_graph_free(g);
    }
    test_nn_weights_free(w);
}

/* A decoder's step: writes key and value at its position, attends to what is there. */
static void states_live_between_runs_until_reset(void **state)
{
    (void)state;
    for (size_t b = 0; b < SM_LENGTH(backends); b++) {
        nn_graph *g = nn_graph_new();
        const nn_id x = nn_input(g, "x", NN_SHAPE(1, 2, 1, 4)), at = nn_input_typed(g, "at", NN_I32, NN_SHAPE(1));
        const nn_id seen = nn_input_typed(g, "seen", NN_I32, NN_SHAPE(1));
        const nn_id keys = nn_state_write(g, nn_state(g, "k", NN_SHAPE(1, 2, 6, 4)), x, at);
        const nn_id values = nn_state_write(g, nn_state(g, "v", NN_SHAPE(1, 2, 6, 4)), nn_unary(g, NN_SQUARE, x), at);
        nn_output(g, "y", nn_attention(g, x, keys, values, NN_NONE, seen, &(nn_attention_attrs){ .scale = 0 }));
        nn_output(g, "cache", keys);
        nn_plan *p = NULL;
        nn_run_state *r = NULL;
        test_ok(nn_graph_error(g));
        test_ok(nn_compile(g, &(nn_compile_options){ .backend = backends[b] }, &p));
        test_ok(nn_run_state_new(p, &r));
        for (int pass = 0; pass < 2; pass++) {
            double sum = 0;
            for (int32_t t = 0; t < 6; t++) {
                const int32_t length = t + 1;
                float in[8], y[8], cache[48];
                for (int i = 0; i < 8; i++)
                    in[i] = (float)(t + 1);
                const void *inputs[] = { in, &t, &length };
                float *outputs[] = { y, cache };
                test_ok(nn_run(p, r, inputs, outputs));
                sum += (t + 1) * (t + 1); /* scale 0: the mean of the values so far */
                for (int i = 0; i < 8; i++)
                    assert_true(fabs((double)y[i] - sum / (t + 1)) < 1e-5);
                for (int i = 0; i < 48; i++)
                    assert_true(cache[i] == (i / 4 % 6 <= t ? (float)(i / 4 % 6 + 1) : 0));
            }
            nn_run_reset(r);
        }
        nn_run_state_free(r);
        nn_plan_free(p);
        nn_graph_free(g);
    }
}

typedef struct {
    const nn_plan *plan;
    uint64_t seed;
    float first[15];
    bool same;
} worker;

static void *work(void *user)
{
    worker *k = user;
    nn_run_state *r = NULL;
    test_nn_ports ports;
    k->same = nn_run_state_new(k->plan, &r) == 0;
    test_nn_ports_new(k->plan, NULL, k->seed, &ports);
    for (int i = 0; i < 300 && k->same; i++) { /* a race between runs shows in most of them */
        k->same = nn_run(k->plan, r, (const void *const *)ports.in, ports.out) == 0;
        if (i == 0)
            memcpy(k->first, ports.out[1], ports.length[1] * sizeof(float));
        k->same = k->same && !memcmp(k->first, ports.out[1], ports.length[1] * sizeof(float));
    }
    test_nn_ports_free(&ports);
    nn_run_state_free(r);
    return NULL;
}

static void threads_run_one_plan_each_with_its_own_state(void **state)
{
    test_nn_weights *w = test_nn_weights_new();
    nn_graph *g = small(test_nn_source(w), 3);
    (void)state;
    for (size_t b = 0; b < SM_LENGTH(backends); b++) {
        nn_plan *p = NULL;
        pthread_t threads[4];
        worker workers[5];
        test_ok(nn_compile(g, &(nn_compile_options){ .backend = backends[b] }, &p));
        for (int i = 0; i < 5; i++)
            workers[i] = (worker){ .plan = p, .seed = i < 4 ? 1 + (uint64_t)i / 2 : 1 };
        for (int i = 0; i < 4; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
        for (int i = 0; i < 4; i++)
            pthread_join(threads[i], NULL);
        work(&workers[4]);
        for (int i = 0; i < 5; i++)
            assert_true(workers[i].same);
        assert_memory_equal(workers[0].first, workers[1].first, sizeof workers[0].first);
        assert_memory_equal(workers[0].first, workers[4].first, sizeof workers[0].first);
        assert_memory_not_equal(workers[0].first, workers[2].first, sizeof workers[0].first);
        nn_plan_free(p);
    }
    nn_graph_free(g);
    test_nn_weights_free(w);
}

typedef struct {
    const nn_source *source;
    const char *backend;
} trial;

static int build_compile_and_run(void *user)
{
    const trial *t = user;
    nn_graph *g = small(t->source, 1);
    nn_plan *p = NULL;
    nn_run_state *r = NULL;
    int err = SM_ENOMEM;
    if (g && (err = nn_compile(g, &(nn_compile_options){ .backend = t->backend }, &p)) == 0)
        err = nn_run_state_new(p, &r);
    nn_run_state_free(r);
    nn_plan_free(p);
    nn_graph_free(g);
    return err;
}

static void any_allocation_may_fail(void **state)
{
    test_nn_weights *w = test_nn_weights_new();
    nn_graph *g = small(test_nn_source(w), 1); /* the weights are made */
    (void)state;
    nn_graph_free(g);
    for (size_t b = 0; b < SM_LENGTH(backends); b++)
        test_every_allocation_may_fail(build_compile_and_run, &(trial){ test_nn_source(w), backends[b] });
    test_nn_weights_free(w);
}

static void a_plan_describes_itself(void **state)
{
    test_nn_weights *w = test_nn_weights_new();
    nn_graph *g = small(test_nn_source(w), 2);
    nn_plan *p = NULL;
    nn_run_state *r = NULL;
    test_nn_ports ports;
    const nn_profile_row *rows = NULL;
    (void)state;
    test_ok(nn_compile(g, &(nn_compile_options){ .backend = "ref" }, &p));
    assert_int_equal(nn_plan_inputs(p), 1);
    assert_int_equal(nn_plan_outputs(p), 3);
    assert_string_equal(nn_plan_input_name(p, 0), "x");
    assert_string_equal(nn_plan_output_name(p, 2), "scores");
    assert_int_equal(nn_plan_output_shape(p, 0).dim[1], 8);
    /* padding taps count: outputs times taps, of three convolutions and a matrix */
    assert_true(nn_plan_macs(p) == 2.0 * (8 * 120 * (27 + 72 + 72) + 5 * 960));
    test_ok(nn_run_state_new(p, &r));
    test_nn_ports_new(p, NULL, 1, &ports);
    nn_run_profile(r, true);
    for (int i = 0; i < 3; i++)
        test_ok(nn_run(p, r, (const void *const *)ports.in, ports.out));
    const size_t n = nn_run_profile_rows(r, &rows);
    double macs = 0, seconds = 0;
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(rows[i].calls, 3);
        macs += rows[i].macs;
        seconds += rows[i].seconds;
    }
    assert_string_equal(rows[0].op, "conv");
    assert_string_equal(rows[0].where, "layer0");
    assert_true(macs == nn_plan_macs(p) && seconds > 0);
    test_fails(nn_run(p, r, (const void *[]){ NULL }, ports.out), SM_EUSAGE, "input 'x' is missing");
    test_nn_ports_free(&ports);
    nn_run_state_free(r);
    nn_plan_free(p);
    test_fails(nn_compile(g, &(nn_compile_options){ .backend = "abacus" }, &p), SM_EUSAGE,
               "no backend 'abacus'; there are:");
    test_fails(nn_compile(g, &(nn_compile_options){ .backend = "ref", .precision = NN_PRECISION_BF16 }, &p),
               SM_EUNSUPPORTED, "f32");
    nn_graph_free(g);
    test_nn_weights_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(live_values_never_share_memory),
        cmocka_unit_test(tangled_graphs_keep_their_values_apart),
        cmocka_unit_test(batch_sizes_share_packed_weights),
        cmocka_unit_test(a_batch_is_its_items),
        cmocka_unit_test(running_allocates_nothing_and_does_not_grow),
        cmocka_unit_test(states_live_between_runs_until_reset),
        cmocka_unit_test(threads_run_one_plan_each_with_its_own_state),
        cmocka_unit_test(any_allocation_may_fail),
        cmocka_unit_test(a_plan_describes_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
