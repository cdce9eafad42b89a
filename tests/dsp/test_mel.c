#include "support/golden.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "dsp/dsp.h"

/* All frames of a sound that arrives in pieces of `piece`. */
static sm_floats run(const dsp_mel_spec *spec, const float *x, size_t n, size_t piece)
{
    sm_floats out = { 0 };
    dsp_mel *m;
    test_ok(dsp_mel_new(spec, &m));
    for (size_t at = 0; at < n; at += piece)
        test_ok(dsp_mel_push(m, x + at, SM_MIN(piece, n - at), &out));
    test_ok(dsp_mel_finish(m, &out));
    dsp_mel_free(m);
    assert_int_equal(out.length, dsp_mel_frames(spec, (int64_t)n) * spec->bands);
    return out;
}

/* signal(name, samples) of the goldens' generator: noise and three decaying partials. */
static float *golden_signal(const char *name, size_t n)
{
    static const double cycles[] = { 0.0125, 0.031, 0.0873 };
    char full[64];
    float *x = malloc(n * sizeof *x);
    snprintf(full, sizeof full, "%s.0", name);
    const uint64_t h = sm_unit_hash(full, 0);
    for (size_t t = 0; t < n; t++) {
        double y = 0.1 * sm_unit(h, t);
        for (int k = 0; k < 3; k++)
            y += 0.25 / (k + 1) * sin(2 * M_PI * cycles[k] * (double)t + k) *
                 exp(-(double)t / ((double)n * (0.2 + 0.3 * k)));
        x[t] = (float)y;
    }
    return x;
}

/* ESSENTIA.md: 1e-5 (MusiCNN), 2e-5 (the others) normalised; the filters' edges are added in float32 there. */
static const struct {
    const char *front_end, *file, *tensor, *signal;
    size_t samples;
    double tolerance;
} essentia[] = {
    { "musicnn", "frontend_musicnn", "out.a", "essentia.a", 48000, 1e-5 },
    { "musicnn", "frontend_musicnn_b", "out.b", "essentia.b", 160000, 1e-5 },
    { "vggish", "frontend_vggish", "out.a", "essentia.a", 48000, 2e-5 },
    { "tempocnn", "frontend_tempocnn", "out.t", "essentia.t", 132300, 2e-5 },
};

static void compare(const char *what, const sm_floats *got, const float *golden, size_t n, double tolerance,
                    double absolute)
{
    double worst = 0;
    assert_int_equal(got->length, n);
    for (size_t i = 0; i < n; i++)
        worst = fmax(worst, fabs(got->data[i] - golden[i]));
    const double error = test_normalised_error(got->data, golden, n);
    if (!(error <= tolerance) || !(worst <= absolute))
        fail_msg("%s: normalised error %g (at most %g), absolute %g (at most %g)", what, error, tolerance, worst,
                 absolute);
}

static void essentia_front_ends_give_the_originals_numbers(void **state)
{
    (void)state;
    for (size_t i = 0; i < SM_LENGTH(essentia); i++) {
        char path[128];
        size_t n;
        snprintf(path, sizeof path, "tests/data/dsp/%s.safetensors", essentia[i].file);
        float *golden = test_golden_f32(path, essentia[i].tensor, &n);
        float *x = golden_signal(essentia[i].signal, essentia[i].samples);
        sm_floats got = run(dsp_mel_find(essentia[i].front_end), x, essentia[i].samples, 4096);
        compare(essentia[i].file, &got, golden, n, essentia[i].tolerance,
                strcmp(essentia[i].front_end, "musicnn") == 0 ? 5e-4 : INFINITY);
        sm_floats_free(&got);
        free(x), free(golden);
    }
}

static void silent_frames_are_neither_dropped_nor_filled_with_noise(void **state)
{
    (void)state;
    size_t n;
    float *golden = test_golden_f32("tests/data/dsp/frontend_musicnn.safetensors", "out.gap", &n);
    float *sound = golden_signal("essentia.a", 16000), *x = calloc(64000, sizeof *x);
    memcpy(x + 16000, sound, 16000 * sizeof *x);
    sm_floats got = run(dsp_mel_find("musicnn"), x, 64000, 4096);
    compare("gap", &got, golden, n, 1e-5, 5e-4);
    sm_floats_free(&got);
    free(golden), free(sound), free(x);
}

static void yamnet_file(const char *path)
{
    size_t n, frames;
    float *x = test_golden_f32(path, "in.audio", &n), *golden = test_golden_f32(path, "out.log_mel", &frames);
    sm_floats got = run(dsp_mel_find("yamnet"), x, n, 4096);
    compare(path, &got, golden, frames, INFINITY, 5e-3); /* YAMNET.md: the log amplifies float32 rounding near 0.001 */
    for (size_t i = 0; i < frames; i++) {
        got.data[i] = expf(got.data[i]);
        golden[i] = expf(golden[i]);
    }
    double worst = 0;
    for (size_t i = 0; i < frames; i++)
        worst = fmax(worst, fabs(got.data[i] - golden[i]) / fmax(1, golden[i]));
    if (!(worst <= 1e-4))
        fail_msg("%s: %g in the linear mel value", path, worst);
    sm_floats_free(&got);
    free(x), free(golden);
}

static void yamnet_gives_the_originals_numbers(void **state)
{
    (void)state;
    yamnet_file("tests/data/dsp/yamnet_sine440.safetensors");
    yamnet_file("tests/data/dsp/yamnet_kick.safetensors");
}

static void yamnet_gives_the_originals_numbers_on_recorded_sounds(void **state)
{
    static const char *const names[] = { "noise", "clicks", "silence", "voice" };
    (void)state;
    for (size_t i = 0; i < SM_LENGTH(names); i++) {
        char name[128], path[512];
        snprintf(name, sizeof name, "golden/yamnet/real_%s.safetensors", names[i]);
        if (!test_shared(name))
            test_skip("no %s", name);
        snprintf(path, sizeof path, "%s", test_shared(name));
        yamnet_file(path);
    }
}

/* frame_counts.json: what the original cuts from n samples */
static void efficientat_gives_the_originals_numbers(void **state)
{
    size_t n;
    float *golden = test_golden_f32("tests/data/dsp/frontend_efficientat.safetensors", "out.a", &n);
    float *x = golden_signal("efficientat.a", 20000);
    (void)state;
    sm_floats got = run(dsp_mel_find("efficientat"), x, 20000, 4096);
    for (size_t i = 0; i < got.length; i++) /* the network's own numbers */
        got.data[i] = (got.data[i] + logf(1e-5f) + 4.5f) / 5;
    /* the golden is in double; ln(1 + 1e5 M) is at most 20 here, so its last digit is 1e-6, and a fifth of it counts */
    compare("efficientat", &got, golden, n, 5e-6, 1e-4);
    sm_floats_free(&got);
    free(x), free(golden);
}

static void what_is_mirrored_may_be_shorter_than_half_a_frame(void **state)
{
    const dsp_mel_spec *s = dsp_mel_find("efficientat");
    float *x = golden_signal("short", 2000);
    (void)state;
    for (size_t n = 0; n < 2000; n += n < 10 || (n > 395 && n < 410) ? 1 : 37) {
        sm_floats rows = run(s, x, n, 5000);
        assert_int_equal(rows.length, (n < 2 ? 1 : 1 + (n - 1) / 320) * 128);
        for (size_t i = 0; i < rows.length; i++)
            assert_true(rows.data[i] >= 0 && isfinite(rows.data[i]) && (n > 1 || rows.data[i] == 0));
        sm_floats_free(&rows);
    }
    free(x);
}

static void centred_framing_counts_like_the_original(void **state)
{
    static const int rows[][4] = { { 1, 2, 2, 2 },    { 100, 2, 2, 2 },       { 255, 2, 3, 2 }, { 256, 2, 3, 2 },
                                   { 257, 3, 3, 2 },  { 400, 3, 4, 2 },       { 511, 3, 5, 2 }, { 512, 3, 5, 2 },
                                   { 513, 4, 5, 3 },  { 767, 4, 6, 3 },       { 768, 4, 6, 3 }, { 769, 5, 6, 3 },
                                   { 1024, 5, 8, 3 }, { 48000, 189, 301, 95 } };
    static const char *const names[] = { "musicnn", "vggish", "tempocnn" };
    (void)state;
    for (size_t i = 0; i < SM_LENGTH(rows); i++)
        for (int k = 0; k < 3; k++) {
            const int64_t got = dsp_mel_frames(dsp_mel_find(names[k]), rows[i][0]);
            if (got != rows[i][k + 1])
                fail_msg("%s: %d samples: %d frames, %d expected", names[k], rows[i][0], (int)got, rows[i][k + 1]);
        }
}

/* The rule as ESSENTIA.md states it, as a loop. */
static int64_t loop_count(int frame, int hop, int64_t n)
{
    int64_t count = 0;
    for (int64_t start = -((frame + 1) / 2); start < n; start += hop) {
        count++;
        if (start + frame > n && start + frame / 2 >= n)
            break;
    }
    return count;
}

static void frame_counts_follow_the_rule_for_every_length(void **state)
{
    (void)state;
    for (int odd = 0; odd < 2; odd++) {
        dsp_mel_spec s = *dsp_mel_find("vggish");
        s.frame += odd;
        for (int64_t n = 0; n < 3000; n++)
            assert_int_equal(dsp_mel_frames(&s, n), loop_count(s.frame, s.hop, n));
    }
    const dsp_mel_spec *y = dsp_mel_find("yamnet");
    assert_int_equal(dsp_mel_frames(y, 0), 96);
    assert_int_equal(dsp_mel_frames(y, 15600), 96);
    assert_int_equal(dsp_mel_frames(y, 15601), 144);
    assert_int_equal(dsp_mel_frames(y, 15600 + 7680), 144);
    assert_int_equal(dsp_mel_frames(y, 15600 + 7681), 192);
}

static void pieces_of_any_size_give_the_same_bits(void **state)
{
    static const char *const names[] = { "yamnet", "musicnn", "vggish", "tempocnn", "efficientat" };
    static const size_t lengths[] = { 0, 1, 399, 5000, 17001 }, pieces[] = { 1, 7, 4096 };
    float *x = golden_signal("pieces", 17001);
    (void)state;
    for (size_t k = 0; k < SM_LENGTH(names); k++)
        for (size_t i = 0; i < SM_LENGTH(lengths); i++) {
            sm_floats whole = run(dsp_mel_find(names[k]), x, lengths[i], 1 << 20);
            for (size_t p = 0; p < SM_LENGTH(pieces); p++) {
                sm_floats cut = run(dsp_mel_find(names[k]), x, lengths[i], pieces[p]);
                assert_int_equal(cut.length, whole.length);
                if (memcmp(cut.data, whole.data, whole.length * sizeof(float)) != 0)
                    fail_msg("%s: %zu samples in pieces of %zu", names[k], lengths[i], pieces[p]);
                sm_floats_free(&cut);
            }
            sm_floats_free(&whole);
        }
    free(x);
}

static void a_finished_front_end_takes_another_sound(void **state)
{
    (void)state;
    float *x = golden_signal("again", 9000);
    sm_floats out = { 0 };
    dsp_mel *m;
    for (int k = 0; k < 2; k++) {
        test_ok(dsp_mel_new(dsp_mel_find(k ? "efficientat" : "musicnn"), &m));
        for (int i = 0; i < 2; i++) {
            test_ok(dsp_mel_push(m, x, 9000, &out));
            test_ok(dsp_mel_finish(m, &out));
        }
        assert_int_equal(out.length % 2, 0);
        assert_memory_equal(out.data, out.data + out.length / 2, out.length / 2 * sizeof(float));
        dsp_mel_free(m);
        sm_floats_free(&out);
    }
    free(x);
}

static void specs_that_do_not_fit_together_are_refused(void **state)
{
    (void)state;
    dsp_mel *m;
    dsp_mel_spec s = *dsp_mel_find("yamnet");
    s.frame = 513;
    test_fails(dsp_mel_new(&s, &m), SM_EUSAGE, "yamnet");
    s = *dsp_mel_find("yamnet");
    s.f_max = 8001;
    test_fails(dsp_mel_new(&s, &m), SM_EUSAGE, "yamnet");
    assert_null(m);
    assert_null(dsp_mel_find("nothing"));
}

static int whole_run(void *user)
{
    sm_floats out = { 0 };
    dsp_mel *m;
    int err = dsp_mel_new(dsp_mel_find("efficientat"), &m);
    if (err == 0)
        err = dsp_mel_push(m, user, 2000, &out);
    if (err == 0)
        err = dsp_mel_finish(m, &out);
    dsp_mel_free(m);
    sm_floats_free(&out);
    return err;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    float *x = golden_signal("fail", 2000);
    test_every_allocation_may_fail(whole_run, x);
    free(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(essentia_front_ends_give_the_originals_numbers),
        cmocka_unit_test(silent_frames_are_neither_dropped_nor_filled_with_noise),
        cmocka_unit_test(yamnet_gives_the_originals_numbers),
        cmocka_unit_test(yamnet_gives_the_originals_numbers_on_recorded_sounds),
        cmocka_unit_test(efficientat_gives_the_originals_numbers),
        cmocka_unit_test(what_is_mirrored_may_be_shorter_than_half_a_frame),
        cmocka_unit_test(centred_framing_counts_like_the_original),
        cmocka_unit_test(frame_counts_follow_the_rule_for_every_length),
        cmocka_unit_test(pieces_of_any_size_give_the_same_bits),
        cmocka_unit_test(a_finished_front_end_takes_another_sound),
        cmocka_unit_test(specs_that_do_not_fit_together_are_refused),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
