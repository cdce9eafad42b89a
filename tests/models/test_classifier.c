/* Our classifier: its front end, what a file says about itself, streams and batches; made-up weights (what it learned is another matter). */
#include "support/model_support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "models/classifier.h"

enum { PATCH = SM_CLASSIFIER_PATCH, BANDS = SM_CLASSIFIER_BANDS };

/* The definition in double: Hann over 1024 samples centred on 384 t, 2048 points, triangles of area 1 Hz, log10(1 + 1.5625e11 m). */
static double mel_by_definition(const float *x, size_t n, int t, int band)
{
    const double low = 2595 * log10(1 + 30.0 / 700), high = 2595 * log10(1 + 16000.0 / 700);
    double edge[3], sum = 0;
    for (int i = 0; i < 3; i++)
        edge[i] = 700 * (pow(10, (low + (high - low) * (band + i) / 129) / 2595) - 1);
    for (int k = 0; k <= 1024; k++) {
        const double f = k * 32000.0 / 2048;
        const double w = fmax(0, fmin((f - edge[0]) / (edge[1] - edge[0]), (edge[2] - f) / (edge[2] - edge[1])));
        double re = 0, im = 0;
        for (int i = 0; i < 1024 && w > 0; i++) {
            const int64_t at = 384 * (int64_t)t - 512 + i;
            const double v = at >= 0 && at < (int64_t)n ? (double)x[at] * (0.5 - 0.5 * cos(2 * M_PI * i / 1024)) : 0;
            re += v * cos(2 * M_PI * k * i / 2048);
            im -= v * sin(2 * M_PI * k * i / 2048);
        }
        sum += w * 2 / (edge[2] - edge[0]) * (re * re + im * im);
    }
    return log10(1 + 1.5625e11 * sum);
}

static void the_front_end_is_its_definition(void **state)
{
    enum { N = 20000 };
    float *x = malloc(N * sizeof *x);
    sm_floats rows = { 0 };
    dsp_mel *m;
    (void)state;
    for (int i = 0; i < N; i++)
        x[i] = (float)(exp(-i / 6000.0) * (0.5 * sin(0.03 * i) + 0.3 * sin(0.4 * i)) + 0.001 * sm_unit(5, (uint64_t)i));
    test_ok(dsp_mel_new(dsp_mel_find("samplemind"), &m));
    test_ok(dsp_mel_push(m, x, N, &rows));
    test_ok(dsp_mel_finish(m, &rows));
    for (int t = 0; t < 50; t += 7)
        for (int b = 0; b < BANDS; b += 18) {
            const double want = mel_by_definition(x, N, t, b), got = (double)rows.data[t * BANDS + b];
            if (fabs(want - got) > 1e-4) /* float32 of a logarithm of 10 or so */
                fail_msg("frame %d, band %d: %.6f, by definition %.6f", t, b, got, want);
        }
    dsp_mel_free(m);
    sm_floats_free(&rows);
    free(x);
}

static void a_picture_is_decibels_below_its_loudest_place(void **state)
{
    float p[4] = { 14, 13, 4, 0 }; /* 140, 130, 40 dB, silence */
    float silence[2] = { 0, 0 };
    (void)state;
    sm_classifier_prepare(p, 4);
    assert_float_equal(p[0], 2, 1e-6);
    assert_float_equal(p[1], 1.5, 1e-6); /* -10 dB: (-10 + 40) / 20 */
    assert_float_equal(p[2], -2, 1e-6);  /* -100 dB is cut */
    assert_float_equal(p[3], -2, 1e-6);
    sm_classifier_prepare(silence, 2);
    assert_float_equal(silence[0], SM_CLASSIFIER_SILENCE, 0);
    float louder[3] = { 9, 8, 2 }, softer[3] = { 8, 7, 1 };
    sm_classifier_prepare(louder, 3);
    sm_classifier_prepare(softer, 3);
    assert_memory_equal(louder, softer, sizeof louder);
}

/* A sound of n rows: a loud beginning, `before` rows of silence in front. */
static float *make_rows(size_t before, size_t n)
{
    float *x = calloc((before + n) * BANDS, sizeof *x);
    for (size_t i = 0; i < n * BANDS; i++)
        x[before * BANDS + i] = (float)(11 + 3 * sm_unit(77, i) - 4.0 * (double)(i / BANDS) / (double)n);
    return x;
}

static void a_tuned_picture_is_yamnets_at_full_level(void **state)
{
    enum { N = 16000 };
    float *x = malloc(N * sizeof *x), *softer = malloc(N * sizeof *x);
    sm_floats rows[3] = { { 0 }, { 0 }, { 0 } };
    dsp_mel *m;
    (void)state;
    for (int i = 0; i < N; i++) {
        x[i] = (float)(exp(-i / 4000.0) * (0.5 * sin(0.05 * i) + 0.3 * sin(0.9 * i)));
        softer[i] = x[i] / 64;
    }
    for (int i = 0; i < 3; i++) {
        test_ok(dsp_mel_new(dsp_mel_find(i == 0 ? "yamnet" : "samplemind-16k"), &m));
        test_ok(dsp_mel_push(m, i == 2 ? softer : x, N, &rows[i]));
        test_ok(dsp_mel_finish(m, &rows[i]));
        dsp_mel_free(m);
    }
    assert_int_equal(rows[0].length, rows[1].length);
    double top = 0;
    for (size_t i = 0; i < rows[0].length; i++)
        top = fmax(top, exp((double)rows[0].data[i]) - 0.001);
    sm_tuned_prepare(rows[1].data, rows[1].length);
    sm_tuned_prepare(rows[2].data, rows[2].length);
    for (size_t i = 0; i < rows[0].length; i++) {
        const double want = log(40 / top * (exp((double)rows[0].data[i]) - 0.001) + 0.001);
        /* f32 of ln(M + 0.001) near silence; a sound 36 dB softer keeps 5 digits less */
        assert_float_equal(rows[1].data[i], want, 2e-3);
        assert_float_equal(rows[2].data[i], rows[1].data[i], 2e-3);
    }
    float silence[2] = { 0, 0 };
    sm_tuned_prepare(silence, 2);
    assert_float_equal(silence[0], log(0.001), 1e-6);
    for (int i = 0; i < 3; i++)
        sm_floats_free(&rows[i]);
    free(x);
    free(softer);
}

/* Rows of the front end "efficientat", f0 `step` radians a sample. */
static void mobile_rows(double step, float level, sm_floats *rows)
{
    enum { N = 16000 };
    float *x = malloc(N * sizeof *x);
    dsp_mel *m;
    for (int i = 0; i < N; i++)
        x[i] = level * (float)(exp(-i / 4000.0) * 0.89 * sin(step * i));
    test_ok(dsp_mel_new(dsp_mel_find("efficientat"), &m));
    test_ok(dsp_mel_push(m, x, N, rows));
    test_ok(dsp_mel_finish(m, rows));
    dsp_mel_free(m);
    free(x);
}

static void a_mobile_picture_knows_no_level_and_leaves_bass_below_treble(void **state)
{
    sm_floats rows = { 0 }, softer = { 0 }, high = { 0 };
    float top = -9, top_high = -9, silence[128] = { 0 };
    (void)state;
    mobile_rows(0.02, 1, &rows); /* 102 Hz */
    mobile_rows(0.02, 1 / 64.0f, &softer);
    mobile_rows(0.4, 1, &high); /* 2 kHz */
    sm_mobile_prepare(rows.data, rows.length);
    sm_mobile_prepare(softer.data, softer.length);
    sm_mobile_prepare(high.data, high.length);
    for (size_t i = 0; i < rows.length; i++) {
        assert_float_equal(rows.data[i], softer.data[i],
                           1e-3); /* ln(1 + x) keeps fewer digits of a sound 36 dB softer */
        top = fmaxf(top, rows.data[i]);
        top_high = fmaxf(top_high, high.data[i]);
    }
    /* the pre-emphasis lifts 2 kHz by 20.8 dB over 102 Hz: ln(10^2.08) / 5 here. A low band is a third as wide as a tone's main lobe, one at
     * 2 kHz most of it: a factor of three at most */
    assert_float_equal(top_high - top, log(pow(10, 2.08)) / 5, log(3) / 5);
    sm_mobile_prepare(silence, 128);
    assert_float_equal(silence[0], SM_EFFICIENTAT_SILENCE, 1e-6);
    assert_float_equal(SM_EFFICIENTAT_SILENCE, (log(1e-5) + 4.5) / 5, 1e-6);
    sm_floats_free(&rows);
    sm_floats_free(&softer);
    sm_floats_free(&high);
}

static void every_architecture_gives_probabilities_and_an_embedding(void **state)
{
    size_t n;
    const sm_classifier_arch *all = sm_classifier_archs(&n);
    float *x = make_rows(0, 300);
    (void)state;
    for (size_t i = 0; i < n; i++) {
        const sm_model *m = sm_model_find(all[i].model);
        sm_weights *w;
        sm_model_handle *h;
        sm_model_result r;
        assert_non_null(m);
        test_ok(sm_weights_generated(1, m->generated, &w));
        test_ok(sm_model_open(m, w, &(sm_model_options){ .variant = all[i].name }, &h));
        test_stream_result(h, NULL, x, 300, &r);
        double sum = 0;
        for (size_t c = 0; c < r.n_classes; c++)
            sum += (double)r.mean[c];
        assert_float_equal(sum, 1, 1e-5);
        assert_int_equal(r.n_classes, SM_INSTRUMENTS);
        assert_int_equal(r.n_embedding, m->embedding ? all[i].dense : 0);
        assert_int_equal(r.patches, 1); /* a one-shot is judged by its beginning, as it was trained */
        sm_model_result_free(&r);
        sm_model_close(h);
        sm_weights_close(w);
    }
    free(x);
}

static void silence_before_a_sound_changes_nothing(void **state)
{
    const sm_model *m = sm_model_find("samplemind");
    sm_model_result plain, late, nothing;
    sm_weights *w;
    sm_model_handle *h;
    float *x = make_rows(0, 60), *y = make_rows(40, 60), *z = make_rows(30, 0);
    (void)state;
    test_ok(sm_weights_generated(1, m->generated, &w));
    test_ok(sm_model_open(m, w, &(sm_model_options){ .variant = "tiny" }, &h));
    test_stream_result(h, NULL, x, 60, &plain);
    test_stream_result(h, NULL, y, 100, &late);
    assert_memory_equal(plain.mean, late.mean, plain.n_classes * sizeof(float));
    test_stream_result(h, NULL, z, 30, &nothing); /* silence is heard as such */
    assert_int_equal(nothing.patches, 1);
    sm_model_result_free(&plain);
    sm_model_result_free(&late);
    sm_model_result_free(&nothing);
    sm_model_close(h);
    sm_weights_close(w);
    free(x);
    free(y);
    free(z);
}

/* A file of two heads with temperatures: written by what the network asks for, with metadata of its own. */
static int made_up(void *user, const char *name, const nn_shape *shape, nn_tensor *out)
{
    sm_weights *made = user;
    return sm_weights_get_f32(made, name, shape, out);
}

static void write_file(const char *path, const char *heads)
{
    sm_weights *made;
    sm_safetensors_writer *f;
    nn_tensor t;
    static const struct {
        const char *name;
        nn_shape shape;
    } extra[] = { { "head.genre.weight", { 2, { 2, 32 } } },          { "head.genre.bias", { 1, { 2 } } },
                  { "head.instrument.weight", { 2, { 3, 32 } } },     { "head.instrument.bias", { 1, { 3 } } },
                  { "conv1.weight", { 4, { 8, 1, 5, 5 } } },          { "block2.conv1.weight", { 4, { 16, 8, 3, 3 } } },
                  { "block2.conv2.weight", { 4, { 16, 16, 3, 3 } } }, { "block2.skip.weight", { 4, { 16, 8, 1, 1 } } },
                  { "conv3.weight", { 4, { 32, 16, 3, 3 } } },        { "dense.weight", { 2, { 32, 64 } } } };
    static const struct {
        const char *name;
        int64_t n;
    } norms[] = { { "conv1", 8 },        { "block2.conv1", 16 }, { "block2.conv2", 16 },
                  { "block2.skip", 16 }, { "conv3", 32 },        { "dense", 32 } };
    static const char *const parts[] = { "weight", "bias", "running_mean", "running_var" };
    test_ok(sm_weights_generated(4, NULL, &made));
    test_ok(sm_safetensors_writer_open(path, &f));
    for (size_t i = 0; i < SM_LENGTH(extra); i++) {
        test_ok(made_up(made, extra[i].name, &extra[i].shape, &t));
        test_ok(sm_safetensors_writer_add(f, extra[i].name, &t));
    }
    for (size_t i = 0; i < SM_LENGTH(norms); i++)
        for (size_t k = 0; k < SM_LENGTH(parts); k++) {
            char name[64];
            snprintf(name, sizeof name, "%s.norm.%s", norms[i].name, parts[k]);
            test_ok(made_up(made, name, &NN_SHAPE(norms[i].n), &t));
            test_ok(sm_safetensors_writer_add(f, name, &t));
        }
    test_ok(sm_safetensors_writer_meta(f, "samplemind", "test"));
    test_ok(sm_safetensors_writer_meta(f, "model", "samplemind"));
    test_ok(sm_safetensors_writer_meta(f, "variant", "tiny"));
    test_ok(sm_safetensors_writer_meta(f, "heads", heads));
    test_ok(sm_safetensors_writer_meta(f, "classes", "[\"a\",\"b\",\"c\"]"));
    test_ok(sm_safetensors_writer_commit(f));
    sm_weights_close(made);
}

static void run_file(const char *path, float mean[3], const char **first)
{
    float *x = make_rows(0, 100);
    sm_weights *w;
    sm_card *card;
    const sm_model *m;
    sm_model_handle *h;
    sm_model_result r;
    char variant[32];
    static char name[32];
    test_ok(sm_model_open_file(path, &w, &card, &m, variant));
    test_ok(sm_model_open(m, w, &(sm_model_options){ .variant = variant }, &h));
    test_stream_result(h, NULL, x, 100, &r);
    assert_int_equal(r.n_classes, 3);
    memcpy(mean, r.mean, 3 * sizeof *mean);
    snprintf(name, sizeof name, "%s", sm_model_classes(h)->names[0]);
    *first = name;
    sm_model_result_free(&r);
    sm_model_close(h);
    sm_weights_close(w);
    free(x);
}

static void heads_classes_and_temperature_come_from_the_file(void **state)
{
    const test_place *place = *state;
    float cold[3], warm[3];
    const char *first;
    write_file(place->path, "[{\"name\":\"instrument\",\"temperature\":1,\"classes\":[\"a\",\"b\",\"c\"]},"
                            "{\"name\":\"genre\",\"temperature\":2,\"classes\":[\"x\",\"y\"]}]");
    run_file(place->path, cold, &first);
    assert_string_equal(first, "a");
    write_file(place->path, "[{\"name\":\"instrument\",\"temperature\":2.5,\"classes\":[\"a\",\"b\",\"c\"]}]");
    run_file(place->path, warm, &first);
    /* softmax(x / T): ratios are those of T = 1 to the power 1 / T */
    assert_float_equal(log((double)warm[0] / (double)warm[1]), log((double)cold[0] / (double)cold[1]) / 2.5, 1e-5);
    assert_float_equal(log((double)warm[0] / (double)warm[2]), log((double)cold[0] / (double)cold[2]) / 2.5, 1e-5);
}

static void damaged_metadata_is_refused(void **state)
{
    const test_place *place = *state;
    static const char *const bad[] = { "",
                                       "{}",
                                       "[]",
                                       "[{\"name\":\"instrument\"}]",
                                       "[{\"name\":\"\",\"classes\":[\"a\"]}]",
                                       "[{\"name\":\"i\",\"classes\":[1,2]}]",
                                       "[{\"name\":\"i\",\"classes\":[\"a\"],\"temperature\":0}]" };
    for (size_t i = 0; i < SM_LENGTH(bad); i++) {
        sm_weights *w;
        sm_model_handle *h;
        write_file(place->path, bad[i]);
        test_ok(sm_weights_open(place->path, &w));
        test_fails(sm_model_open(sm_model_find("samplemind"), w, &(sm_model_options){ .variant = "tiny" }, &h),
                   SM_EFORMAT, "heads");
        sm_weights_close(w);
    }
}

static void importing_keeps_what_the_file_says(void **state)
{
    const test_place *place = *state;
    float before[3], after[3];
    const char *first;
    char second[160];
    sm_weights *w;
    write_file(place->path, "[{\"name\":\"instrument\",\"temperature\":1.5,\"classes\":[\"a\",\"b\",\"c\"]}]");
    run_file(place->path, before, &first);
    snprintf(second, sizeof second, "%s.imported", place->path);
    test_ok(sm_weights_open(place->path, &w));
    test_ok(sm_model_convert(sm_model_find("samplemind"), w, "tiny", NULL, "0", second));
    sm_weights_close(w);
    run_file(second, after, &first);
    assert_memory_equal(before, after, sizeof before);
    assert_string_equal(first, "a");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_front_end_is_its_definition),
        cmocka_unit_test(a_picture_is_decibels_below_its_loudest_place),
        cmocka_unit_test(a_tuned_picture_is_yamnets_at_full_level),
        cmocka_unit_test(a_mobile_picture_knows_no_level_and_leaves_bass_below_treble),
        cmocka_unit_test(every_architecture_gives_probabilities_and_an_embedding),
        cmocka_unit_test(silence_before_a_sound_changes_nothing),
        cmocka_unit_test_setup_teardown(heads_classes_and_temperature_come_from_the_file, test_place_make,
                                        test_place_remove),
        cmocka_unit_test_setup_teardown(damaged_metadata_is_refused, test_place_make, test_place_remove),
        cmocka_unit_test_setup_teardown(importing_keeps_what_the_file_says, test_place_make, test_place_remove),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
