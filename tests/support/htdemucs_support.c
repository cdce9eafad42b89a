#include "support/htdemucs_support.h"

#include <string.h>

void test_chunk_keep(test_chunk *c, const char *name, const float *data, nn_shape shape, double scale, double offset)
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
static void keep_surroundings(test_chunk *c)
{
    const htdemucs_size *s = &c->net->size;
    const int n = c->net->rows.n;
    const float *freq, *time, *freq_out;
    htdemucs_scale f, t;
    dsp_chunk_work *w;
    const nn_shape cac = NN_SHAPE(1, 4, s->bins, s->frames);
    htdemucs_work_look(c->work, &freq, &time, &freq_out, &f, &t);
    test_chunk_keep(c, "in.freq", freq, cac, 1, 0);
    test_chunk_keep(c, "in.time", time, NN_SHAPE(1, 2, s->segment), 1, 0);
    test_chunk_keep(c, "cac", freq, cac, f.deviation + 1e-5, f.mean);
    test_chunk_keep(c, "freq.out", freq_out, NN_SHAPE(1, n, 4, s->bins, s->frames), f.deviation, f.mean);
    float *y = sm_alloc_zero((size_t)(2 * n) * (size_t)s->segment, sizeof *y);
    assert_non_null(y);
    test_ok(dsp_chunk_work_new(c->net->spectrum, &w));
    for (int k = 0; k < 2 * n; k++) {
        const float *re = freq_out + (size_t)(2 * k) * (size_t)s->bins * (size_t)s->frames;
        for (int p = 0; p < dsp_chunk_parts(c->net->spectrum); p++)
            dsp_chunk_inverse(c->net->spectrum, w, p, re, re + (size_t)s->bins * (size_t)s->frames, (float)f.deviation,
                              (float)f.mean, y + k * s->segment);
    }
    test_chunk_keep(c, "freq.time", y, NN_SHAPE(1, n, 2, s->segment), 1, 0);
    test_chunk_keep(c, "out.sources", c->out, NN_SHAPE(n, 2, s->segment), 1, 0);
    dsp_chunk_work_free(w);
    sm_free(y);
}

void test_chunk_open(test_chunk *c, const sm_model *m, sm_weights *w, const char *config, const char *backend,
                     const char *taps, const htdemucs_rows *rows)
{
    const sm_model_config text = { .batch = 1, .text = config };
    const nn_compile_options o = { .backend = backend, .taps = taps != NULL, .taps_with = taps, .threads = 1 };
    htdemucs_size s;
    htdemucs_rows all;
    *c = (test_chunk){ 0 };
    test_ok(htdemucs_size_read(m, w, &text, &s));
    htdemucs_all_rows(&s, &all);
    test_ok(sm_view_open(m, w, NULL, &c->view));
    test_ok(htdemucs_net_new(c->view, &s, rows ? rows : &all, &o, &c->net));
    test_ok(htdemucs_work_new((const htdemucs_net *const *)&c->net, 1, 1, &c->work));
}

void test_chunk_run(test_chunk *c, const float *mix)
{
    test_ok(htdemucs_run(c->work, 0, mix, &c->out));
    nn_run_state *state = htdemucs_work_state(c->work, 0);
    for (int i = 0; i < nn_plan_taps(c->net->plan); i++) {
        const char *name;
        assert_int_equal(0, sm_grow(&c->got, &c->capacity, c->n + 1, sizeof *c->got));
        test_ok(nn_run_tap(c->net->plan, state, i, &name, &c->got[c->n].tensor));
        snprintf(c->got[c->n++].name, sizeof c->got->name, "%s", name);
    }
    c->n_taps = c->n;
    keep_surroundings(c);
}

void test_chunk_close(test_chunk *c)
{
    for (size_t i = c->n_taps; i < c->n; i++)
        sm_free((void *)(uintptr_t)c->got[i].tensor.data);
    sm_free(c->got);
    htdemucs_work_free(c->work);
    htdemucs_net_free(c->net);
    sm_view_close(c->view);
}
