#include "support/support.h"

#include "dsp/parts.h"
#include "dsp/sounds.h"

typedef struct {
    double *times;
    size_t n;
} onsets;

static onsets measure(const float *x, size_t n, size_t piece)
{
    onsets out;
    dsp_spectral ignored;
    dsp_envelope *e;
    dsp_onsets *o;
    dsp_spectrum *s;
    test_ok(dsp_envelope_new(&e));
    test_ok(dsp_onsets_new(e, DSP_SPECTRUM_FRAME, DSP_SPECTRUM_HOP, &o));
    test_ok(dsp_spectrum_new(o, &s));
    for (size_t at = 0; at < n; at += piece) {
        test_ok(dsp_envelope_push(e, x + at, SM_MIN(piece, n - at)));
        test_ok(dsp_spectrum_push(s, x + at, SM_MIN(piece, n - at)));
    }
    test_ok(dsp_spectrum_finish(s, &ignored));
    test_ok(dsp_onsets_finish(o, (double)n / DSP_RATE, &out.times, &out.n));
    dsp_spectrum_free(s);
    dsp_onsets_free(o);
    dsp_envelope_free(e);
    return out;
}

static void expect(const char *what, onsets got, const double *times, size_t n, double tolerance)
{
    bool good = got.n == n;
    for (size_t i = 0; i < n && good; i++)
        good = fabs(got.times[i] - times[i]) <= tolerance;
    if (!good) {
        for (size_t i = 0; i < SM_MAX(got.n, n); i++)
            print_message("%zu: %.3f %.3f\n", i, i < got.n ? got.times[i] : NAN, i < n ? times[i] : NAN);
        fail_msg("%s: %zu onsets, %zu expected", what, got.n, n);
    }
    sm_free(got.times);
}

static void hits_are_found_within_10_ms(void **state)
{
    (void)state;
    static const double at[] = { 0.1, 0.35, 0.5, 0.62, 1.0, 1.333, 1.41, 1.8 };
    for (int kind = 0; kind < 4; kind++) {
        size_t n;
        float *x = sound_new(2.2, &n);
        for (size_t i = 0; i < SM_LENGTH(at); i++) {
            const double loud = i % 2 ? 0.25 : 0.5; /* every other 6 dB softer */
            if (kind == 0)
                add_tone(x, n, at[i], 180, 50, 0.03, 0.03, 0, loud);
            if (kind == 1)
                add_noise(x, n, at[i], 0.02, true, loud);
            if (kind == 2)
                add_tone(x, n, at[i], 440 * (double)(i + 2) / 2, 440 * (double)(i + 2) / 2, 1, 0.05, 0.005, loud);
            if (kind == 3)
                add_noise(x, n, at[i], 0.03, false, loud);
        }
        expect(kind == 0   ? "kicks"
               : kind == 1 ? "hats"
               : kind == 2 ? "tones"
                           : "snares",
               measure(x, n, 4096), at, SM_LENGTH(at), 0.010);
        free(x);
    }
}

static void a_loop_of_eighths_has_its_eighths(void **state)
{
    (void)state;
    static const double bpms[] = { 70, 120, 174 };
    for (size_t k = 0; k < SM_LENGTH(bpms); k++) {
        double times[32];
        size_t n;
        float *x = drum_loop(bpms[k], 16, &n);
        for (int i = 0; i < 32; i++)
            times[i] = i * 30 / bpms[k];
        expect("loop", measure(x, n, 4096), times, 32, 0.012);
        free(x);
    }
}

/* New notes over a sustained chord, and over noise 30 dB below. */
static void notes_are_found_over_a_background(void **state)
{
    (void)state;
    static const double at[] = { 0, 0.5, 1.0, 1.5 };
    for (int kind = 0; kind < 2; kind++) {
        size_t n;
        float *x = sound_new(2, &n);
        if (kind == 0)
            for (int k = 0; k < 3; k++)
                add_tone(x, n, 0, 220 * (k + 2) / 2, 220 * (k + 2) / 2, 1, 1e9, 0, 0.1);
        else
            add_noise(x, n, 0, 1e9, false, 0.01);
        for (size_t i = 1; i < 4; i++)
            for (int h = 1; h < 6; h++)
                add_tone(x, n, at[i], 523.0 * h, 523.0 * h, 1, 0.15, 0.004, 0.25 / h);
        expect(kind ? "over noise" : "over a chord", measure(x, n, 4096), at, 4, 0.015);
        free(x);
    }
}

static void steady_sounds_and_vibrato_begin_once(void **state)
{
    (void)state;
    static const double zero = 0;
    for (int kind = 0; kind < 4; kind++) {
        size_t n;
        float *x = sound_new(3, &n);
        double phase = 0;
        for (size_t i = 0; i < n; i++) {
            const double t = (double)i / DSP_RATE;
            phase += 2 * M_PI * 440 * pow(2, kind == 2 ? 0.3 / 12 * sin(2 * M_PI * 6 * t) : 0) / DSP_RATE;
            for (int h = 1; h < 8 && kind != 1; h++)
                x[i] += (float)(0.1 / h * sin(h * phase) * (kind == 3 ? 1 + 0.2 * sin(2 * M_PI * 5 * t) : 1));
        }
        if (kind == 1)
            add_noise(x, n, 0, 1e9, false, 0.3);
        expect(kind == 0   ? "tone"
               : kind == 1 ? "noise"
               : kind == 2 ? "vibrato"
                           : "tremolo",
               measure(x, n, 4096), &zero, 1, 0.005);
        free(x);
    }
}

static void silence_and_nothing_have_none(void **state)
{
    (void)state;
    size_t n;
    float *x = sound_new(1, &n);
    expect("silence", measure(x, n, 4096), NULL, 0, 0);
    expect("nothing", measure(x, 0, 4096), NULL, 0, 0);
    free(x);
}

static void pieces_of_any_size_give_the_same_times(void **state)
{
    (void)state;
    static const size_t pieces[] = { 1, 7, 4096 };
    size_t n;
    float *x = drum_loop(133, 4, &n);
    for (size_t p = 0; p < SM_LENGTH(pieces); p++) {
        const onsets whole = measure(x, n, 1000);
        expect("pieces", measure(x, n, pieces[p]), whole.times, whole.n, 0);
        sm_free(whole.times);
    }
    free(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hits_are_found_within_10_ms),       cmocka_unit_test(a_loop_of_eighths_has_its_eighths),
        cmocka_unit_test(notes_are_found_over_a_background), cmocka_unit_test(steady_sounds_and_vibrato_begin_once),
        cmocka_unit_test(silence_and_nothing_have_none),     cmocka_unit_test(pieces_of_any_size_give_the_same_times),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
