/* Resamplers against what the originals answer, and against the originals' formulas written out. */
#include "support/support.h"

#include <math.h>
#include <string.h>

#include "audio/resample.h"
#include "weights/weights.h"

#define GOLDEN "tests/data/audio/resample.safetensors"

/* A tensor as floats; the file's. */
static const float *tensor(sm_weights *w, const char *name, size_t *n)
{
    nn_tensor t;

    test_ok(sm_weights_get_f32(w, name, NULL, &t));
    *n = 1;
    for (int i = 0; i < t.shape.rank; i++)
        *n *= (size_t)t.shape.dim[i];
    return t.data;
}

static sm_floats resample(sm_resample_kind kind, int from, int to, int channels, const float *in, size_t frames,
                          size_t cut)
{
    sm_resampler *r = NULL;
    sm_floats out = { 0 };

    test_ok(sm_resampler_new(kind, from, to, channels, &r));
    for (size_t i = 0; i < frames; i += cut)
        test_ok(sm_resampler_push(r, in + i * (size_t)channels, SM_MIN(cut, frames - i), &out));
    test_ok(sm_resampler_finish(r, &out));
    sm_resampler_free(r);
    return out;
}

/* The tolerance is the golden's own: a NumPy version of the spec met 5e-6 (the originals compute their filters in float32). */
static void matches_the_originals(void **state)
{
    static const struct {
        const char *method;
        sm_resample_kind kind;
    } methods[] = { { "julius", SM_RESAMPLE_JULIUS },
                    { "torchaudio", SM_RESAMPLE_TORCHAUDIO },
                    { "resampy_best", SM_RESAMPLE_RESAMPY },
                    { "resampy_fast", SM_RESAMPLE_RESAMPY_FAST },
                    { "resampy022_best", SM_RESAMPLE_RESAMPY_02 } };
    static const int ratios[][2] = { { 44100, 16000 }, { 48000, 16000 }, { 22050, 44100 },
                                     { 48000, 44100 }, { 44100, 48000 }, { 96000, 44100 },
                                     { 16000, 44100 }, { 44100, 32000 }, { 22050, 48000 } };
    size_t n = 0, length = 0, compared = 0;
    sm_weights *w = NULL;

    (void)state;
    test_ok(sm_weights_open(GOLDEN, &w));
    const float *x = tensor(w, "in.x", &n);
    for (size_t m = 0; m < SM_LENGTH(methods); m++)
        for (size_t k = 0; k < SM_LENGTH(ratios); k++) {
            char name[64];
            snprintf(name, sizeof name, "out.%s.%d_%d", methods[m].method, ratios[k][0], ratios[k][1]);
            if (!sm_weights_has(w, name))
                continue;
            const float *golden = tensor(w, name, &length);
            sm_floats y = resample(methods[m].kind, ratios[k][0], ratios[k][1], 1, x, n, n);
            const double error = y.length == length ? test_normalised_error(y.data, golden, length) : NAN;
            if (!(error <= 1e-5))
                fail_msg("%s: %zu samples, error %g; expected %zu, 1e-5", name, y.length, error, length);
            compared++;
            sm_floats_free(&y);
        }
    assert_true(compared >= 25);
    sm_weights_close(w);
}

/* The chain that CREPE and YAMNet see: a voice from 44.1 to 16 kHz by resampy. */
static void gives_crepe_the_voice_it_was_given(void **state)
{
    static float x[1 << 16];
    sm_weights *voice = NULL, *answer = NULL;
    size_t n = 0, length = 0;

    (void)state;
    if (!test_shared("golden/crepe/tiny_voice.safetensors"))
        test_skip("the voice of ../shared is not here");
    test_ok(sm_weights_open(test_shared("golden/crepe/tiny_voice.safetensors"), &voice));
    test_ok(sm_weights_open(test_shared("golden/crepe/tiny_voice_16k.safetensors"), &answer));
    const float *pcm = tensor(voice, "in.pcm", &n), *golden = tensor(answer, "out.audio16000", &length);
    assert_true(n <= SM_LENGTH(x));
    for (size_t i = 0; i < n; i++)
        x[i] = pcm[i] / 32768;
    sm_floats y = resample(SM_RESAMPLE_RESAMPY, 44100, 16000, 1, x, n, 4096);
    assert_int_equal(y.length, length);
    assert_true(test_normalised_error(y.data, golden, length) <= 1e-6); /* float32 sums in another order */
    sm_floats_free(&y);
    sm_weights_close(voice);
    sm_weights_close(answer);
}

/* ---- the originals' formulas, as slowly as they are written in the papers and packages ---- */

static double sinc(double t)
{
    return t == 0 ? 1 : sin(M_PI * t) / (M_PI * t);
}

static double at(const float *x, int64_t n, int64_t i, bool edges)
{
    return i >= 0 && i < n ? x[i] : edges ? x[SM_CLAMP(i, 0, n - 1)] : 0;
}

static double slow_sinc_bank(const float *x, int64_t n, int from, int to, int64_t t, int zeros, double rolloff,
                             bool julius)
{
    int64_t g = from, h = to;
    while (h) {
        const int64_t rest = g % h;
        g = h;
        h = rest;
    }
    const int64_t a = from / g, b = to / g, i = t % b;
    const double s = (double)SM_MIN(a, b) * rolloff;
    const int64_t w = (int64_t)ceil(zeros * (double)a / s);
    double y = 0, sum = 0;
    for (int64_t m = -w; m < w + a; m++) {
        double u = (-(double)i / (double)b + (double)m / (double)a) * s;
        u = SM_CLAMP(u, -zeros, zeros);
        const double k = sinc(u) * pow(cos(M_PI * u / (2 * zeros)), 2);
        sum += k;
        y += k * at(x, n, t / b * a + m, julius);
    }
    return julius ? y / sum : y * s / (double)a;
}

static double slow_julius(const float *x, int64_t n, int from, int to, int64_t t)
{
    return slow_sinc_bank(x, n, from, to, t, 24, 0.945, true);
}
static double slow_torchaudio(const float *x, int64_t n, int from, int to, int64_t t)
{
    return slow_sinc_bank(x, n, from, to, t, 6, 0.99, false);
}

static double bessel_i0(double x)
{
    double sum = 1, term = 1;
    for (int k = 1; k < 60; k++)
        sum += term *= x * x / 4 / ((double)k * k);
    return sum;
}

static double slow_window(int64_t q, int zeros, int per, double r, double beta)
{
    if (q > (int64_t)zeros * per)
        return 0;
    const double u = (double)q / ((double)zeros * per);
    return r * sinc(r * (double)q / per) * bessel_i0(beta * sqrt(1 - u * u)) / bessel_i0(beta);
}

static double slow_resampy(const float *x, int64_t n, int from, int to, int64_t t, int zeros, int per, double r,
                           double beta)
{
    const double ratio = (double)to / from, s = SM_MIN(1.0, ratio);
    const int64_t step = (int64_t)(s * per), entries = (int64_t)zeros * per + 1;
    int64_t centre = t * from / to; /* T, reduced exactly */
    double f = s * ((double)(t * from % to) / to), y = 0;
    if (zeros == 64 &&
        from > to) { /* 0.2 adds T up; below a whole number by rounding is another filter where steps are truncated */
        double sum = 0;
        for (int64_t k = 0; k < t; k++)
            sum += 1 / ratio;
        if (t * from % to == 0 && floor(sum) < (double)centre) {
            centre--;
            f = s;
        }
    }
    for (int side = 0; side < 2; side++, f = s - f) {
        const int64_t o = (int64_t)(f * per), count = (entries - o) / step;
        const double e = f * per - (double)o;
        for (int64_t i = 0; i < count; i++) {
            const double here = slow_window(o + i * step, zeros, per, r, beta);
            const double next = o + i * step + 1 < entries ? slow_window(o + i * step + 1, zeros, per, r, beta) : here;
            y += s * (here + e * (next - here)) * at(x, n, side ? centre + 1 + i : centre - i, false);
        }
    }
    return y;
}

static double slow_best(const float *x, int64_t n, int from, int to, int64_t t)
{
    return slow_resampy(x, n, from, to, t, 50, 8192, 0.9173473712608761, 12.984585247040012);
}
static double slow_fast(const float *x, int64_t n, int from, int to, int64_t t)
{
    return slow_resampy(x, n, from, to, t, 24, 512, 0.8682120388377784, 9.90322441645399);
}
static double slow_old(const float *x, int64_t n, int from, int to, int64_t t)
{
    return slow_resampy(x, n, from, to, t, 64, 512, 0.9475937167399596, 14.769656459379492);
}

static const struct {
    sm_resample_kind kind;
    const char *name;
    double (*slow)(const float *x, int64_t n, int from, int to, int64_t t);
} kinds[] = { { SM_RESAMPLE_JULIUS, "julius", slow_julius },
              { SM_RESAMPLE_TORCHAUDIO, "torchaudio", slow_torchaudio },
              { SM_RESAMPLE_RESAMPY, "resampy", slow_best },
              { SM_RESAMPLE_RESAMPY_FAST, "resampy fast", slow_fast },
              { SM_RESAMPLE_RESAMPY_02, "resampy 0.2", slow_old } };

/* Rates of all sorts: whole ratios, coprime ones (their banks are too large and rows are made one by one), extremes. */
static void equals_the_definition_at_any_ratio(void **state)
{
    static const int ratios[][2] = { { 3, 2 },         { 2, 3 },         { 8000, 192000 }, { 192000, 8000 },
                                     { 44100, 47989 }, { 96001, 44100 }, { 11025, 16000 }, { 7, 5 },
                                     { 48001, 16000 }, { 1, 2 } };
    enum { N = 3000 };
    static float x[N];

    (void)state;
    test_fill(x, N, "resample.definition", 1, 0, 0.5);
    for (size_t m = 0; m < SM_LENGTH(kinds); m++)
        for (size_t k = 0; k < SM_LENGTH(ratios); k++) {
            sm_floats y = resample(kinds[m].kind, ratios[k][0], ratios[k][1], 1, x, N, 1000);
            double worst = 0;
            assert_int_equal(y.length, sm_resampled_frames(kinds[m].kind, ratios[k][0], ratios[k][1], N));
            /* a few from all over, with both ends */
            for (size_t t = 0; t < y.length;
                 t = t + 1 < y.length && t + 1 + y.length / 6 >= y.length ? y.length - 1 : t + 1 + y.length / 6)
                worst = fmax(worst, fabs(y.data[t] - kinds[m].slow(x, N, ratios[k][0], ratios[k][1], (int64_t)t)));
            if (!(worst < 1e-6)) /* values near 0.5, filters in float32, sums of up to 1200 taps */
                fail_msg("%s %d -> %d: off by %g", kinds[m].name, ratios[k][0], ratios[k][1], worst);
            sm_floats_free(&y);
        }
}

static void gives_the_same_samples_however_the_input_is_cut(void **state)
{
    static const size_t cuts[] = { 1, 7, 4096, 5000 };
    enum { N = 20000 };
    static float x[2 * N];

    (void)state;
    test_fill(x, 2 * N, "resample.cuts", 1, 0, 0.5);
    for (int kind = SM_RESAMPLE_SOXR; kind <= SM_RESAMPLE_TORCHAUDIO; kind++) {
        sm_floats whole = resample((sm_resample_kind)kind, 44100, 16000, 2, x, N, N);
        for (size_t c = 0; c < SM_LENGTH(cuts); c++) {
            sm_floats y = resample((sm_resample_kind)kind, 44100, 16000, 2, x, N, cuts[c]);
            assert_int_equal(y.length, whole.length);
            if (memcmp(y.data, whole.data, y.length * sizeof *y.data) != 0)
                fail_msg("kind %d in pieces of %zu differs", kind, cuts[c]);
            sm_floats_free(&y);
        }
        sm_floats_free(&whole);
    }
}

static void treats_each_channel_like_a_stream_of_its_own(void **state)
{
    enum { N = 3000, CHANNELS = 3 };
    static float x[N * CHANNELS], one[N];

    (void)state;
    test_fill(x, N * CHANNELS, "resample.channels", 1, 0, 0.5);
    for (int kind = SM_RESAMPLE_SOXR; kind <= SM_RESAMPLE_TORCHAUDIO; kind++) {
        sm_floats all = resample((sm_resample_kind)kind, 48000, 44100, CHANNELS, x, N, 999);
        for (size_t c = 0; c < CHANNELS; c++) {
            for (size_t i = 0; i < N; i++)
                one[i] = x[i * CHANNELS + c];
            sm_floats y = resample((sm_resample_kind)kind, 48000, 44100, 1, one, N, N);
            assert_int_equal(all.length, y.length * CHANNELS);
            for (size_t i = 0; i < y.length; i++)
                assert_true(fabsf(all.data[i * CHANNELS + c] - y.data[i]) < 1e-6f);
            sm_floats_free(&y);
        }
        sm_floats_free(&all);
    }
}

/* int(n new / old), ceil, and what the 0.2 series' product of floats gives. Counted by hand. */
static void knows_the_originals_output_lengths(void **state)
{
    static const struct {
        sm_resample_kind kind;
        int from, to;
        int64_t n, expected;
    } rows[] = {
        { SM_RESAMPLE_RESAMPY, 44100, 16000, 1001, 363 },
        { SM_RESAMPLE_SOXR, 44100, 16000, 1001, 364 },
        { SM_RESAMPLE_TORCHAUDIO, 44100, 16000, 1001, 364 },
        { SM_RESAMPLE_JULIUS, 44100, 16000, 1001, 363 },
        { SM_RESAMPLE_RESAMPY_02, 22050, 48000, 1001, 2179 },
        { SM_RESAMPLE_RESAMPY, 44100, 44100, 17, 17 },
        { SM_RESAMPLE_SOXR, 48000, 44100, 0, 0 },
        { SM_RESAMPLE_JULIUS, 192000, 8000, 5, 0 },
        { SM_RESAMPLE_RESAMPY, 44100, 16000, 476280000, 172800000 }, /* three hours */
        { SM_RESAMPLE_TORCHAUDIO, 44100, 16000, 1LL << 40, 398915783321LL },
    };

    (void)state;
    for (size_t i = 0; i < SM_LENGTH(rows); i++)
        if (sm_resampled_frames(rows[i].kind, rows[i].from, rows[i].to, rows[i].n) != rows[i].expected)
            fail_msg("row %zu: %lld, expected %lld", i,
                     (long long)sm_resampled_frames(rows[i].kind, rows[i].from, rows[i].to, rows[i].n),
                     (long long)rows[i].expected);
}

/* Very short inputs have all the edge in them. */
static void takes_inputs_of_any_length(void **state)
{
    float x[70];

    (void)state;
    test_fill(x, 70, "resample.short", 1, 0, 0.5);
    for (size_t m = 0; m < SM_LENGTH(kinds); m++)
        for (size_t n = 0; n < 70; n++) {
            sm_floats y = resample(kinds[m].kind, 8000, 11025, 1, x, n, n + 1);
            assert_int_equal(y.length, sm_resampled_frames(kinds[m].kind, 8000, 11025, (int64_t)n));
            for (size_t t = 0; n % 23 == 1 && t < y.length; t++)
                assert_true(fabs(y.data[t] - kinds[m].slow(x, (int64_t)n, 8000, 11025, (int64_t)t)) < 1e-6);
            sm_floats_free(&y);
        }
}

static void a_reset_resampler_is_like_a_new_one(void **state)
{
    enum { N = 5000 };
    static float x[N];

    (void)state;
    test_fill(x, N, "resample.reset", 1, 0, 0.5);
    for (int kind = SM_RESAMPLE_SOXR; kind <= SM_RESAMPLE_TORCHAUDIO; kind++) {
        sm_resampler *r = NULL;
        sm_floats first = { 0 }, second = { 0 };
        test_ok(sm_resampler_new((sm_resample_kind)kind, 44100, 16000, 1, &r));
        test_ok(sm_resampler_push(r, x, N, &first));
        test_ok(sm_resampler_finish(r, &first));
        test_ok(sm_resampler_reset(r));
        test_ok(sm_resampler_push(r, x, N, &second));
        test_ok(sm_resampler_finish(r, &second));
        assert_int_equal(first.length, second.length);
        assert_memory_equal(first.data, second.data, first.length * sizeof *first.data);
        sm_resampler_free(r);
        sm_floats_free(&first);
        sm_floats_free(&second);
    }
}

/* What analysis listens to keeps a tone as it is: 1 kHz at 0.5, up and down, phase included. libsoxr's HQ is 20 bits: -120 dB. */
static void soxr_keeps_a_tone(void **state)
{
    static const int ratios[][2] = { { 44100, 48000 }, { 96000, 44100 }, { 44100, 16000 }, { 8000, 44100 } };

    (void)state;
    for (size_t k = 0; k < SM_LENGTH(ratios); k++) {
        const int from = ratios[k][0], to = ratios[k][1];
        const size_t n = (size_t)from;
        float *x = sm_alloc(n, sizeof *x);
        for (size_t i = 0; i < n; i++)
            x[i] = (float)(0.5 * sin(2 * M_PI * 1000 * (double)i / from));
        sm_floats y = resample(SM_RESAMPLE_SOXR, from, to, 1, x, n, 4096);
        double worst = 0;
        assert_int_equal(y.length, to);
        for (size_t t = y.length / 4; t < y.length * 3 / 4; t++) /* away from where the tone begins and ends */
            worst = fmax(worst, fabs(y.data[t] - 0.5 * sin(2 * M_PI * 1000 * (double)t / to)));
        if (worst > 2e-6)
            fail_msg("%d -> %d: off by %g", from, to, worst);
        sm_floats_free(&y);
        sm_free(x);
    }
}

static void every_dot_product_is_the_sum(void **state)
{
    static float a[1040], b[1040];
    sm_cpu_info cpu;

    (void)state;
    sm_cpu_detect(&cpu);
    test_fill(a, 1040, "dot.a", 1, 0, 1);
    test_fill(b, 1040, "dot.b", 1, 0, 1);
    for (const sm_dot_row *row = sm_dot_table; row->name; row++)
        for (int n = 0; row->usable(&cpu) && n <= 1024; n += SM_DOT_STEP)
            for (int shift = 0; shift < 3; shift++) { /* inputs are not aligned */
                double sum = 0;
                for (int i = 0; i < n; i++)
                    sum += (double)a[i] * b[i + shift];
                if (fabs(row->dot(a, b + shift, n) - sum) > 2e-5)
                    fail_msg("%s, %d values: %g, expected %g", row->name, n, (double)row->dot(a, b + shift, n), sum);
            }
}

static void refuses_what_makes_no_sense(void **state)
{
    sm_resampler *r = NULL;

    (void)state;
    test_fails(sm_resampler_new(SM_RESAMPLE_JULIUS, 0, 16000, 1, &r), SM_EUSAGE, "0 to 16000");
    test_fails(sm_resampler_new(SM_RESAMPLE_SOXR, 44100, -1, 1, &r), SM_EUSAGE, "-1");
    test_fails(sm_resampler_new(SM_RESAMPLE_SOXR, 44100, 48000, 0, &r), SM_EUSAGE, "channels");
    test_fails(sm_resampler_new((sm_resample_kind)99, 44100, 48000, 1, &r), SM_EUSAGE, "");
    assert_null(r);
}

static int resample_all(void *user)
{
    static const int rates[][2] = { { 44100, 16000 }, { 8000, 7999 } };
    sm_floats out = { 0 };
    int err = 0;

    (void)user;
    for (int kind = SM_RESAMPLE_SOXR; err == 0 && kind <= SM_RESAMPLE_TORCHAUDIO; kind++)
        for (int k = 0; err == 0 && k < 2; k++) {
            const float x[300] = { 1 };
            sm_resampler *r = NULL;
            err = sm_resampler_new((sm_resample_kind)kind, rates[k][0], rates[k][1], 1, &r);
            if (err == 0)
                err = sm_resampler_push(r, x, 300, &out);
            if (err == 0)
                err = sm_resampler_finish(r, &out);
            sm_resampler_free(r);
        }
    sm_floats_free(&out);
    return err;
}

static void survives_any_failed_allocation(void **state)
{
    (void)state;
    test_every_allocation_may_fail(resample_all, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matches_the_originals),
        cmocka_unit_test(gives_crepe_the_voice_it_was_given),
        cmocka_unit_test(equals_the_definition_at_any_ratio),
        cmocka_unit_test(gives_the_same_samples_however_the_input_is_cut),
        cmocka_unit_test(treats_each_channel_like_a_stream_of_its_own),
        cmocka_unit_test(knows_the_originals_output_lengths),
        cmocka_unit_test(takes_inputs_of_any_length),
        cmocka_unit_test(a_reset_resampler_is_like_a_new_one),
        cmocka_unit_test(soxr_keeps_a_tone),
        cmocka_unit_test(every_dot_product_is_the_sum),
        cmocka_unit_test(refuses_what_makes_no_sense),
        cmocka_unit_test(survives_any_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
