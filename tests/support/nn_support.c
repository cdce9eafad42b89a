#include "support/nn_support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void test_nn_ports_new(const nn_plan *p, const nn_random *r, uint64_t seed, test_nn_ports *out)
{
    nn_random numbers = { .state = seed };
    memset(out, 0, sizeof *out);
    out->n_in = nn_plan_inputs(p);
    out->n_out = nn_plan_outputs(p);
    assert_true(out->n_in <= TEST_NN_PORTS && out->n_out <= TEST_NN_PORTS);
    for (int i = 0; i < out->n_in; i++) {
        const nn_shape s = nn_plan_input_shape(p, i);
        const double low = r && i < r->n ? r->range[i].low : -1, high = r && i < r->n ? r->range[i].high : 1;
        const int64_t n = nn_elements(&s);
        out->in[i] = malloc((size_t)n * 4);
        assert_non_null(out->in[i]);
        for (int64_t k = 0; k < n; k++)
            if (nn_plan_input_type(p, i) == NN_I32)
                ((int32_t *)out->in[i])[k] = nn_random_int(&numbers, (int)low, (int)high);
            else
                ((float *)out->in[i])[k] = nn_random_float(&numbers, low, high);
    }
    for (int i = 0; i < out->n_out; i++) {
        const nn_shape s = nn_plan_output_shape(p, i);
        out->length[i] = (size_t)nn_elements(&s);
        out->out[i] = calloc(out->length[i], sizeof(float));
        assert_non_null(out->out[i]);
    }
}

void test_nn_ports_free(test_nn_ports *t)
{
    for (int i = 0; i < t->n_in; i++)
        free(t->in[i]);
    for (int i = 0; i < t->n_out; i++)
        free(t->out[i]);
    memset(t, 0, sizeof *t);
}

void test_nn_run(const nn_graph *g, const nn_compile_options *o, const nn_random *r, uint64_t seed, test_nn_ports *out)
{
    nn_plan *p = NULL;
    nn_run_state *s = NULL;
    test_ok(nn_graph_error(g));
    test_ok(nn_compile(g, o, &p));
    test_ok(nn_run_state_new(p, &s));
    test_nn_ports_new(p, r, seed, out);
    test_ok(nn_run(p, s, (const void *const *)out->in, out->out));
    nn_run_state_free(s);
    nn_plan_free(p);
}

double test_nn_error(const test_nn_ports *a, const test_nn_ports *b)
{
    double worst = 0;
    assert_int_equal(a->n_out, b->n_out);
    for (int i = 0; i < a->n_out; i++) {
        assert_int_equal(a->length[i], b->length[i]);
        const double e = test_normalised_error(a->out[i], b->out[i], b->length[i]);
        worst = e > worst || e != e ? e : worst;
    }
    return worst;
}

uint64_t test_nn_seed(uint64_t fallback)
{
    const char *text = getenv("SM_TEST_SEED");
    return text ? strtoull(text, NULL, 10) : fallback;
}

void test_nn_same(const nn_graph *g, const char *backend, const nn_random *r, uint64_t seed, double bound,
                  const char *what)
{
    test_nn_ports expected, got;
    test_nn_run(g, &(nn_compile_options){ .backend = "ref", .plain = true }, r, seed, &expected);
    test_nn_run(g, &(nn_compile_options){ .backend = backend, .precision = NN_PRECISION_F32 }, r, seed, &got);
    const double e = test_nn_error(&got, &expected);
    if (!(e <= bound))
        fail_msg("%s on %s: error %.3g, at most %.3g expected (SM_TEST_SEED=%llu)", what, backend, e, bound,
                 (unsigned long long)seed);
    test_nn_ports_free(&expected);
    test_nn_ports_free(&got);
}

void test_nn_same_bits(const nn_graph *g, uint64_t seed, const char *what)
{
    static const int threads[] = { 2, 3, 5 };
    test_nn_ports one, more;

    test_nn_run(g, &(nn_compile_options){ .precision = NN_PRECISION_F32 }, NULL, seed, &one);
    for (size_t i = 0; i < SM_LENGTH(threads); i++) {
        const nn_compile_options o = { .precision = NN_PRECISION_F32, .threads = threads[i] };
        test_nn_run(g, &o, NULL, seed, &more);
        if (memcmp(one.out[0], more.out[0], one.length[0] * sizeof(float)) != 0)
            fail_msg("%s differs on %d threads", what, threads[i]);
        test_nn_ports_free(&more);
    }
    test_nn_ports_free(&one);
}

int test_nn_steps(const nn_graph *g, const char *name, bool with_taps)
{
    nn_plan *p = NULL;
    nn_run_state *s = NULL;
    const nn_profile_row *rows;
    int found = 0;

    test_ok(nn_compile(g, &(nn_compile_options){ .precision = NN_PRECISION_F32, .taps = with_taps }, &p));
    test_ok(nn_run_state_new(p, &s));
    const size_t n = nn_run_profile_rows(s, &rows);
    for (size_t i = 0; i < n; i++)
        found += !strcmp(rows[i].op, name) || !strcmp(rows[i].kernel, name);
    nn_run_state_free(s);
    nn_plan_free(p);
    return found;
}

int test_nn_compile_and_open(void *graph)
{
    nn_plan *p = NULL;
    nn_run_state *s = NULL;
    int err = nn_compile(graph, &(nn_compile_options){ .precision = NN_PRECISION_F32, .threads = 2 }, &p);

    if (err == 0)
        err = nn_run_state_new(p, &s);
    nn_run_state_free(s);
    nn_plan_free(p);
    return err;
}

/* ---- made-up weights ---- */

typedef struct made_up {
    struct made_up *next;
    char name[120];
    nn_shape shape;
    float data[];
} made_up;

struct test_nn_weights {
    made_up *first;
    nn_source source;
};

/* Scaled like a trained network's: by the square root of the fan-in; variances are positive. */
static int get(void *user, const char *name, const nn_shape *expected, nn_tensor *out)
{
    test_nn_weights *w = user;
    made_up *m = w->first;
    while (m && strcmp(m->name, name) != 0)
        m = m->next;
    if (!m) {
        const size_t n = (size_t)nn_elements(expected), fan = n / (size_t)expected->dim[0];
        m = malloc(sizeof *m + n * sizeof *m->data);
        assert_non_null(m);
        snprintf(m->name, sizeof m->name, "%s", name);
        m->shape = *expected;
        const double scale = expected->rank > 1 ? 1.7 / sqrt((double)fan) : 0.5;
        test_fill(m->data, n, name, 0, strstr(name, "var") || strstr(name, "gamma") ? 1 : 0, scale);
        m->next = w->first;
        w->first = m;
    }
    *out = (nn_tensor){ .type = NN_F32, .shape = m->shape, .data = m->data, .scale_axis = -1 };
    if (!nn_shape_equal(&m->shape, expected))
        return sm_fail(SM_EFORMAT, "made up: '%s' has another shape", name);
    return 0;
}

test_nn_weights *test_nn_weights_new(void)
{
    test_nn_weights *w = calloc(1, sizeof *w);
    assert_non_null(w);
    w->source = (nn_source){ get, w, "made up" };
    return w;
}

const nn_source *test_nn_source(test_nn_weights *w)
{
    return &w->source;
}

void test_nn_weights_free(test_nn_weights *w)
{
    while (w->first) {
        made_up *m = w->first;
        w->first = m->next;
        free(m);
    }
    free(w);
}
