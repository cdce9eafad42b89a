/* HTDemucs against the original: every traced layer and the output of one chunk, small and at official sizes. */
#include "support/model_support.h"

#include <math.h>
#include <string.h>

#include "models/htdemucs_chunk.h"

#define DATA "tests/data/models/"

/* A network on a chunk, ready to be compared. */
typedef struct {
    sm_view *view;
    htdemucs_net *net;
    htdemucs_work *work;
    const float *out;
    sm_named *got;
    size_t n, capacity;
} one_chunk;

static void keep(one_chunk *c, const char *name, const float *data, nn_shape shape, double scale, double offset)
{
    const size_t n = (size_t)nn_elements(&shape);
    float *copy = sm_alloc(n, sizeof *copy);
    assert_non_null(copy);
    assert_int_equal(0, sm_grow(&c->got, &c->capacity, c->n + 1, sizeof *c->got));
    for (size_t i = 0; i < n; i++)
        copy[i] = (float)((double)data[i] * scale + offset);
    snprintf(c->got[c->n].name, sizeof c->got->name, "%s", name);
    c->got[c->n++].tensor = (nn_tensor){ .type = NN_F32, .shape = shape, .data = copy, .scale_axis = -1 };
}

/* What the graph does not trace: inputs, spectra, and the frequency branch as samples. */
static void keep_surroundings(one_chunk *c)
{
    const htdemucs_size *s = &c->net->size;
    const int n = c->net->rows.n;
    const float *freq, *time, *freq_out;
    htdemucs_scale f, t;
    dsp_chunk_work *w;
    const nn_shape cac = NN_SHAPE(1, 4, s->bins, s->frames);
    htdemucs_work_look(c->work, &freq, &time, &freq_out, &f, &t);
    keep(c, "in.freq", freq, cac, 1, 0);
    keep(c, "in.time", time, NN_SHAPE(1, 2, s->segment), 1, 0);
    keep(c, "cac", freq, cac, f.deviation + 1e-5, f.mean);
    keep(c, "freq.out", freq_out, NN_SHAPE(1, n, 4, s->bins, s->frames), f.deviation, f.mean);
    float *y = sm_alloc_zero((size_t)(2 * n) * (size_t)s->segment, sizeof *y);
    assert_non_null(y);
    test_ok(dsp_chunk_work_new(c->net->spectrum, &w));
    for (int k = 0; k < 2 * n; k++) {
        const float *re = freq_out + (size_t)(2 * k) * (size_t)s->bins * (size_t)s->frames;
        for (int p = 0; p < dsp_chunk_parts(c->net->spectrum); p++)
            dsp_chunk_inverse(c->net->spectrum, w, p, re, re + (size_t)s->bins * (size_t)s->frames, (float)f.deviation,
                              (float)f.mean, y + k * s->segment);
    }
    keep(c, "freq.time", y, NN_SHAPE(1, n, 2, s->segment), 1, 0);
    keep(c, "out.sources", c->out, NN_SHAPE(n, 2, s->segment), 1, 0);
    dsp_chunk_work_free(w);
    sm_free(y);
}

static void open_chunk(one_chunk *c, const sm_model *m, sm_weights *w, const char *config, const char *backend,
                       bool taps, const htdemucs_rows *rows)
{
    const sm_model_config text = { .batch = 1, .text = config };
    const nn_compile_options o = { .backend = backend, .taps = taps, .threads = 1 };
    htdemucs_size s;
    htdemucs_rows all;
    *c = (one_chunk){ 0 };
    test_ok(htdemucs_size_read(m, w, &text, &s));
    htdemucs_all_rows(&s, &all);
    test_ok(sm_view_open(m, w, NULL, &c->view));
    test_ok(htdemucs_net_new(c->view, &s, rows ? rows : &all, &o, &c->net));
    test_ok(htdemucs_work_new((const htdemucs_net *const *)&c->net, 1, 1, &c->work));
}

static void run_chunk(one_chunk *c, const float *mix, bool taps)
{
    test_ok(htdemucs_run(c->work, 0, mix, &c->out));
    nn_run_state *state = htdemucs_work_state(c->work, 0);
    for (int i = 0; taps && i < nn_plan_taps(c->net->plan); i++) {
        const char *name;
        nn_tensor t;
        test_ok(nn_run_tap(c->net->plan, state, i, &name, &t));
        keep(c, name, t.data, t.shape, 1, 0);
    }
    keep_surroundings(c);
}

static void close_chunk(one_chunk *c)
{
    sm_named_free(c->got, c->n);
    htdemucs_work_free(c->work);
    htdemucs_net_free(c->net);
    sm_view_close(c->view);
}

#define SMALL "channels=8,t_layers=2,t_heads=4,"

static const struct {
    const char *golden, *model, *config;
    int traces;
} small[] = {
    { "htdemucs_small_4s", "htdemucs", SMALL "bottom=32,segment=9001", 149 },
    { "htdemucs_small_6s", "htdemucs_6s", SMALL "segment=6001", 145 },
};

/* Small networks agree to some 1e-6: the spec's bar is 1e-5 for each trace and for the output. */
static void small_case(size_t i, const char *backend, bool taps)
{
    const sm_model *m = sm_model_find(small[i].model);
    char path[128], what[128];
    sm_weights *golden, *w;
    nn_tensor mix;
    one_chunk c;
    snprintf(path, sizeof path, DATA "%s.safetensors", small[i].golden);
    snprintf(what, sizeof what, "%s on %s%s", small[i].golden, backend, taps ? "" : ", fused");
    golden = test_golden_open(path);
    test_ok(sm_weights_get_f32(golden, "in.mix", NULL, &mix));
    test_ok(sm_weights_generated(0, m->generated, &w));
    open_chunk(&c, m, w, small[i].config, backend, taps, NULL);
    run_chunk(&c, mix.data, taps);
    const int compared = test_golden_compare(golden, c.got, c.n, NULL, 1e-5, what);
    if (taps && compared < small[i].traces)
        fail_msg("%s: %d tensors compared, %d expected", what, compared, small[i].traces);
    close_chunk(&c);
    sm_weights_close(w);
    sm_weights_close(golden);
}

static void every_traced_layer_of_small_networks_is_the_originals(void **state)
{
    (void)state;
    for (size_t i = 0; i < SM_LENGTH(small); i++) {
        small_case(i, "ref", true);
        if (test_backend_there("onednn"))
            small_case(i, "onednn", true);
    }
}

static void the_fused_plan_answers_the_same(void **state)
{
    (void)state;
    for (size_t i = 0; i < SM_LENGTH(small) && test_backend_there("onednn"); i++)
        small_case(i, "onednn", false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_traced_layer_of_small_networks_is_the_originals),
        cmocka_unit_test(the_fused_plan_answers_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
