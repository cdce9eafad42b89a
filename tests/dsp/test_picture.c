/* OpenL3's front ends against NumPy in double, and the transform beneath them against its definition. */
#include "support/golden.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "dsp/dsp.h"
#include "dsp/fft_lanes.h"

#define GOLDEN "tests/data/dsp/openl3_frontends.safetensors"

enum { SAMPLES = 48000 };

static const dsp_picture_spec base = { .rate_hz = 48000, .samples = SAMPLES, .hop = 242 };

static dsp_picture_spec spec_of(int bands, const char *front)
{
    dsp_picture_spec s = base;
    s.name = front;
    s.bands = bands;
    s.fft = bands ? 2048 : 512;
    s.frames = bands ? 199 : 197;
    s.power = !strcmp(front, "kapre01");
    s.mel_scale = s.power ? DSP_MEL_HTK : DSP_MEL_SLANEY;
    s.reflect = !strcmp(front, "librosa");
    s.pad_left = !bands ? 0 : s.power ? 982 : s.reflect ? 1024 : 0;
    return s;
}

/* signal("openl3.audio", 48000) of the goldens' generator; "half": its second half is silent; "zero". */
static float *signal_of(const char *name)
{
    static const double cycles[] = { 0.0125, 0.031, 0.0873 };
    float *x = calloc(SAMPLES, sizeof *x);
    const uint64_t h = sm_unit_hash("openl3.audio.0", 0);
    const int n = !strcmp(name, "noise") ? SAMPLES : !strcmp(name, "half") ? SAMPLES / 2 : 0;
    for (int t = 0; t < n; t++) {
        double y = 0.1 * sm_unit(h, (uint64_t)t);
        for (int k = 0; k < 3; k++)
            y += 0.25 / (k + 1) * sin(2 * M_PI * cycles[k] * t + k) * exp(-t / (SAMPLES * (0.2 + 0.3 * k)));
        x[t] = (float)y;
    }
    return x;
}

/* Where a traced tensor of n values is recorded. */
static size_t traced(const char *name, size_t i, size_t n)
{
    char full[96];
    snprintf(full, sizeof full, "indices.%s", name);
    const size_t at = (size_t)((sm_unit(sm_unit_hash(full, 0), i) + 1) / 2 * (double)n);
    return n <= 256 ? i : SM_MIN(at, n - 1);
}

static void compare_trace(const char *name, const float *x, size_t n, double bound, bool relative)
{
    char tensor[96];
    size_t count;
    snprintf(tensor, sizeof tensor, "%s.values", name);
    float *golden = test_golden_f32(GOLDEN, tensor, &count);
    for (size_t i = 0; i < count; i++) {
        const double is = (double)x[traced(name, i, n)], should = (double)golden[i];
        if (!(fabs(is - should) <= bound * (relative ? fmax(fabs(should), 1e-30) : 1)))
            fail_msg("%s[%zu]: %.9g, not %.9g", name, i, is, should);
    }
    free(golden);
}

/* Whole frames; which ones stands in I64 tensors that this reader does not read, so they are found: a frame is in its row of frames
 * once, and the columns come in order. */
static void compare_columns(const char *name, const float *x, int rows, int frames)
{
    char tensor[96];
    size_t n;
    int t = 0;
    snprintf(tensor, sizeof tensor, "out.%s.cols", name);
    float *golden = test_golden_f32(GOLDEN, tensor, &n);
    const int columns = (int)n / rows;
    for (int c = 0; c < columns; c++, t++) {
        for (; t < frames; t++) {
            double worst = 0;
            for (int r = 0; r < rows; r++)
                worst = fmax(worst, fabs((double)x[r * frames + t] - (double)golden[r * columns + c]));
            if (worst <= 1e-3)
                break;
        }
        if (t == frames)
            fail_msg("%s: column %d is in no frame", name, c);
    }
    free(golden);
}

static void every_front_end_is_the_originals(void **state)
{
    static const char *const signals[] = { "noise", "half", "zero" }, *const fronts[] = { "kapre01", "kapre",
                                                                                          "librosa" };
    static const int sizes[] = { 0, 128, 256 };
    (void)state;
    for (size_t f = 0; f < SM_LENGTH(fronts); f++)
        for (size_t b = 0; b < SM_LENGTH(sizes); b++) {
            const dsp_picture_spec spec = spec_of(sizes[b], fronts[f]);
            const int rows = sizes[b] ? sizes[b] : 257;
            dsp_picture *p;
            if (!sizes[b] && f > 0)
                continue; /* all three are one there */
            float *picture = malloc((size_t)(rows * spec.frames) * sizeof *picture);
            test_ok(dsp_picture_new(&spec, &p));
            assert_int_equal(dsp_picture_rows(p), rows);
            for (size_t s = 0; s < SM_LENGTH(signals); s++) {
                char repr[16], name[64];
                float *x = signal_of(signals[s]);
                snprintf(repr, sizeof repr, sizes[b] ? "mel%d" : "linear", sizes[b]);
                snprintf(name, sizeof name, "%s.%s.%s", signals[s], repr, fronts[f]);
                test_ok(dsp_picture_make(p, x, picture));
                compare_trace(name, picture, (size_t)(rows * spec.frames), 1e-3, false); /* dB, as the spec says */
                if (s < 2 && sizes[b] != 128)
                    compare_columns(name, picture, rows, spec.frames);
                free(x);
            }
            dsp_picture_free(p);
            free(picture);
        }
}

static void the_mel_matrices_are_librosas(void **state)
{
    (void)state;
    for (int bands = 128; bands <= 256; bands *= 2)
        for (int htk = 0; htk < 2; htk++) {
            const dsp_picture_spec spec = spec_of(bands, htk ? "kapre01" : "kapre");
            char name[64];
            dsp_picture *p;
            float *m = malloc((size_t)bands * 1025 * sizeof *m);
            test_ok(dsp_picture_new(&spec, &p));
            for (int b = 0; b < bands; b++)
                for (int k = 0; k < 1025; k++)
                    m[b * 1025 + k] = dsp_picture_weight(p, b, k);
            snprintf(name, sizeof name, "filters.mel%d.%s", bands, htk ? "htk" : "slaney");
            compare_trace(name, m, (size_t)bands * 1025, 1e-6, true);
            for (int b = 0; b < bands && bands == 256 && htk; b++) { /* narrower than a bin, and between two */
                float sum = 0;
                for (int k = 0; k < 1025; k++)
                    sum += m[b * 1025 + k];
                assert_true((sum == 0) == (b == 0 || b == 7));
            }
            dsp_picture_free(p);
            free(m);
        }
}

/* |sum x[i] w^(ik)|^2 for every size that there are steps for: powers of four and twice those. */
static void transforms_are_their_definition(void **state)
{
    (void)state;
    for (int n = 16; n <= 2048; n *= 2) {
        const size_t numbers = (size_t)n * DSP_FFT_LANES;
        double *x = malloc(numbers * sizeof *x), *copy = malloc(numbers * sizeof *x),
               *work = malloc(numbers * sizeof *x);
        double *power = malloc((numbers / 2 + DSP_FFT_LANES) * sizeof *power);
        dsp_fft_lanes *f;
        test_ok(dsp_fft_lanes_new(n, &f));
        for (size_t i = 0; i < numbers; i++)
            copy[i] = x[i] = sm_unit(7, i);
        dsp_fft_lanes_power(f, x, work, power);
        for (int k = 0; k <= n / 2; k += n > 256 ? 13 : 1)
            for (int l = 0; l < DSP_FFT_LANES; l++) {
                double re = 0, im = 0;
                for (int i = 0; i < n; i++) {
                    const double turn = 2 * M_PI * (double)((int64_t)i * k % n) / n;
                    re += copy[i * DSP_FFT_LANES + l] * cos(turn);
                    im -= copy[i * DSP_FFT_LANES + l] * sin(turn);
                }
                const double is = power[k * DSP_FFT_LANES + l];
                assert_true(fabs(is - (re * re + im * im)) <= 1e-13 * n); /* power is about n / 3; double has 1e-16 */
            }
        dsp_fft_lanes_free(f);
        free(x), free(copy), free(work), free(power);
    }
}

static void sizes_that_do_not_fit_are_refused(void **state)
{
    dsp_picture *p;
    dsp_picture_spec s = spec_of(128, "kapre01");
    (void)state;
    s.fft = 2000;
    test_fails(dsp_picture_new(&s, &p), SM_EUSAGE, "power of two");
    s = spec_of(128, "librosa");
    s.samples = 1000;
    test_fails(dsp_picture_new(&s, &p), SM_EUSAGE, "librosa");
    assert_null(p);
}

static int make_one(void *user)
{
    const dsp_picture_spec s = spec_of(128, "kapre01");
    dsp_picture *p;
    float *out = user;
    int err = dsp_picture_new(&s, &p);
    if (err == 0)
        err = dsp_picture_make(p, out, out + SAMPLES);
    dsp_picture_free(p);
    return err;
}

static void every_allocation_may_fail(void **state)
{
    float *room = calloc(SAMPLES + 128 * 199, sizeof *room);
    (void)state;
    test_every_allocation_may_fail(make_one, room);
    free(room);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_front_end_is_the_originals), cmocka_unit_test(the_mel_matrices_are_librosas),
        cmocka_unit_test(transforms_are_their_definition),  cmocka_unit_test(sizes_that_do_not_fit_are_refused),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
