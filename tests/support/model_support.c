#include "support/model_support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

sm_weights *test_golden_open(const char *path)
{
    sm_weights *w;
    test_ok(sm_weights_open(path, &w));
    return w;
}

sm_named test_golden_input(sm_weights *golden, const char *tensor, const char *name, const nn_shape *shape)
{
    sm_named x;
    test_ok(sm_weights_get_f32(golden, tensor, NULL, &x.tensor));
    snprintf(x.name, sizeof x.name, "%s", name);
    if (shape) {
        assert_true(nn_elements(shape) <= nn_elements(&x.tensor.shape));
        x.tensor.shape = *shape;
    }
    return x;
}

static const sm_named *find(const sm_named *list, size_t n, const char *name)
{
    char out[192];
    snprintf(out, sizeof out, "out.%s", name);
    for (size_t i = 0; i < n; i++)
        if (!strcmp(list[i].name, name) || !strcmp(list[i].name, out))
            return &list[i];
    return NULL;
}

const sm_named *test_named(const sm_named *list, size_t n, const char *name)
{
    const sm_named *x = find(list, n, name);
    if (!x)
        fail_msg("no tensor %s among %zu", name, n);
    return x;
}

/* The values of ours that a trace recorded: golden/README.md's indices. */
static double trace_error(const nn_tensor *ours, const char *name, const float *values, size_t count)
{
    const int64_t n = nn_elements(&ours->shape);
    char indices[192];
    float *picked = malloc(count * sizeof *picked);
    double error;
    snprintf(indices, sizeof indices, "indices.%s", name);
    const uint64_t hash = sm_unit_hash(indices, 0);
    for (size_t i = 0; i < count; i++) {
        const int64_t at = n <= 256 ? (int64_t)i : (int64_t)((sm_unit(hash, i) + 1) / 2 * (double)n);
        picked[i] = ((const float *)ours->data)[SM_MIN(at, n - 1)];
    }
    error = test_normalised_error(picked, values, count);
    free(picked);
    return error;
}

static const char *renamed(const char *name, const char *const (*alias)[2])
{
    for (; alias && (*alias)[0]; alias++)
        if (!strcmp((*alias)[0], name))
            return (*alias)[1];
    return name;
}

int test_golden_compare(sm_weights *golden, const sm_named *got, size_t n, const char *const (*alias)[2], double bound,
                        const char *what)
{
    int compared = 0, wrong = 0;
    double worst = 0;
    char worst_name[160] = "";
    for (size_t i = 0; i < sm_weights_count(golden); i++) {
        const char *full = sm_weights_name(golden, i);
        const bool trace = sm_text_has_suffix(full, ".values"),
                   whole = !strncmp(full, "out.", 4) || !strncmp(full, "real.", 5);
        char name[160];
        nn_tensor t;
        double error = 0;
        if (!trace && !whole)
            continue;
        snprintf(name, sizeof name, "%.*s", (int)(strlen(full) - (trace ? 7 : 0)),
                 full + (trace ? 0 : strchr(full, '.') - full + 1));
        const sm_named *ours = find(got, n, renamed(name, alias));
        if (!ours)
            continue;
        test_ok(sm_weights_get_f32(golden, full, NULL, &t));
        if (trace)
            error = trace_error(&ours->tensor, name, t.data, (size_t)nn_elements(&t.shape));
        else if (nn_elements(&t.shape) != nn_elements(&ours->tensor.shape))
            fail_msg("%s: %s has %lld values, the golden %lld", what, name, (long long)nn_elements(&ours->tensor.shape),
                     (long long)nn_elements(&t.shape));
        else
            error = test_normalised_error(ours->tensor.data, t.data, (size_t)nn_elements(&t.shape));
        compared++;
        if (!(error <= bound)) {
            print_message("%s: %s differs by %.3g, at most %.3g expected\n", what, name, error, bound);
            wrong++;
        }
        if (error >= worst) {
            worst = error;
            snprintf(worst_name, sizeof worst_name, "%s", name);
        }
    }
    if (wrong > 0)
        fail_msg("%s: %d of %d tensors differ", what, wrong, compared);
    if (compared == 0)
        fail_msg("%s: nothing to compare", what);
    print_message("%s: %d tensors, worst %.2g (%s)\n", what, compared, worst, worst_name);
    return compared;
}

bool test_backend_there(const char *name)
{
    char text[128];
    return !strcmp(name, "ref") || strstr(nn_backend_text(text), name) != NULL;
}

void test_stream_result(sm_model_handle *h, const sm_stream_options *o, const float *rows, size_t n,
                        sm_model_result *out)
{
    sm_stream *s;
    sm_model_worker *w;
    test_ok(sm_stream_new(h, o, &s));
    test_ok(sm_model_worker_new(h, &w));
    test_ok(sm_stream_push(s, rows, n));
    test_ok(sm_stream_end(s));
    test_ok(sm_streams_run(w, &s, 1, true));
    test_ok(sm_stream_finish(s, out));
    sm_model_worker_free(w);
    sm_stream_free(s);
}

float *test_signals(const char *name, size_t samples, int channels)
{
    static const double cycles[3] = { 0.0125, 0.031, 0.0873 };
    float *x = malloc((size_t)channels * samples * sizeof *x);
    assert_non_null(x);
    for (int c = 0; c < channels; c++) {
        char stream[64];
        snprintf(stream, sizeof stream, "%s.%d", name, c);
        const uint64_t hash = sm_unit_hash(stream, 0);
        for (size_t t = 0; t < samples; t++) {
            double y = 0.1 * sm_unit(hash, t);
            for (int k = 0; k < 3; k++)
                y += 0.25 / (k + 1) * sin(2 * M_PI * cycles[k] * (double)t + k + c) *
                     exp(-(double)t / ((double)samples * (0.2 + 0.3 * k)));
            x[(size_t)c * samples + t] = (float)y;
        }
    }
    return x;
}

float *test_signal(const char *name, size_t samples)
{
    return test_signals(name, samples, 1);
}

void test_front_end(const char *name, const float *audio, size_t samples, sm_floats *rows)
{
    dsp_mel *mel;
    test_ok(dsp_mel_new(dsp_mel_find(name), &mel));
    test_ok(dsp_mel_push(mel, audio, samples, rows));
    test_ok(dsp_mel_finish(mel, rows));
    dsp_mel_free(mel);
}

sm_weights *test_converted(const sm_model *m, sm_weights *w, const char *variant, const sm_card *card, const char *path)
{
    sm_weights *out;
    test_ok(sm_model_convert(m, w, variant, card, "0123", path));
    test_ok(sm_weights_open(path, &out));
    return out;
}

double test_within(const float *ours, sm_weights *golden, const char *name, size_t n, double bound, const char *what)
{
    nn_tensor t;
    double worst = 0;
    test_ok(sm_weights_get_f32(golden, name, NULL, &t));
    assert_int_equal(nn_elements(&t.shape), (int64_t)n);
    for (size_t i = 0; i < n; i++)
        worst = fmax(worst, fabs(ours[i] - ((const float *)t.data)[i]));
    if (!(worst <= bound))
        fail_msg("%s: %s differs by %.3g, at most %.3g expected", what, name, worst, bound);
    return worst;
}
