/* Essentia's networks with official weights where ../shared has them: every node, whole sounds, short ones; tempo. */
#include "support/model_support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NEEDS(name)                                                                                                    \
    if (!test_shared(name))                                                                                            \
    test_skip("needs ../shared/%s", name)

typedef struct {
    sm_weights *w;
    sm_card *card;
    const sm_model *m;
    sm_model_handle *h;
} opened;

static opened open_model(const char *file)
{
    opened o;
    char variant[32];
    test_ok(sm_model_open_file(test_shared(file), &o.w, &o.card, &o.m, variant));
    const sm_model_options options = { .variant = variant, .card = o.card };
    test_ok(sm_model_open(o.m, o.w, &options, &o.h));
    return o;
}

static void close_model(opened *o)
{
    sm_model_close(o->h);
    sm_card_free(o->card);
    sm_weights_close(o->w);
}

/* ---- every node of two published graphs ---- */
static void each_node_of_the_published_graphs_is_the_originals(void **state)
{
    static const char *const graphs[] = { "msd-musicnn-1", "danceability-musicnn-msd-2" };
    static const char *const names[][2] = { { NULL, NULL } };
    NEEDS("models/essentia/msd-musicnn-1/model.json");
    sm_weights *front = test_golden_open("tests/data/dsp/frontend_musicnn_b.safetensors");
    const sm_named in = test_golden_input(front, "out.b", "model/Placeholder", &NN_SHAPE(1, 187, 96));
    (void)state;
    for (size_t i = 0; i < SM_LENGTH(graphs); i++) {
        const sm_run_options o = { .taps = true };
        char file[128];
        sm_weights *w, *golden;
        sm_named *out;
        size_t n;
        snprintf(file, sizeof file, "models/essentia/%s/model.json", graphs[i]);
        test_ok(sm_weights_open(test_shared(file), &w));
        snprintf(file, sizeof file, "golden/essentia/real_trace_%s.safetensors", graphs[i]);
        golden = test_golden_open(test_shared(file));
        test_ok(sm_model_run_tensors(NULL, w, &o, &in, 1, &out, &n));
        assert_true(test_golden_compare(golden, out, n, names, 1e-4, graphs[i]) >= 58);
        sm_named_free(out, n);
        sm_weights_close(golden);
        sm_weights_close(w);
    }
    sm_weights_close(front);
}

/* ---- whole sounds, from the stored signal ---- */
static void read_wav(const char *file, sm_floats *out)
{
    sm_audio *a;
    float block[4096];
    int64_t n;
    test_ok(sm_audio_open(test_shared(file), &a));
    while ((n = sm_audio_read(a, block, SM_LENGTH(block))) > 0)
        test_ok(sm_floats_add(out, block, (size_t)n));
    assert_int_equal(n, 0);
    sm_audio_close(a);
}

typedef struct {
    const char *golden, *signal, *wav;
    size_t samples, used; /* of the signal; how many of them are heard */
} heard;

static const heard sounds[] = {
    { "real_a", "essentia.a", NULL, 48000, 48000 },
    { "real_b", "essentia.b", NULL, 160000, 160000 },
    { "real_drums", NULL, "golden/essentia/drums128_16k.wav", 0, 0 },
    { "real_cadence", NULL, "golden/essentia/cadence_Am_16k.wav", 0, 0 },
    { "real_short", "essentia.a", NULL, 48000, 8000 }, /* half a second, tiled to one patch */
};

static void hear(const heard *s, sm_floats *rows)
{
    sm_floats audio = { 0 };
    if (s->wav)
        read_wav(s->wav, &audio);
    else {
        float *x = test_signal(s->signal, s->samples);
        test_ok(sm_floats_add(&audio, x, s->used));
        free(x);
    }
    test_front_end("musicnn", audio.data, audio.length, rows);
    sm_floats_free(&audio);
}

/* activations of every patch, their mean, and embeddings where the golden has them */
static void same_answers(sm_model_handle *h, const heard *s, const char *name, const char *how)
{
    char file[128], key[128], what[160];
    const sm_stream_options o = { .curve = true };
    sm_floats rows = { 0 };
    sm_model_result r;
    nn_tensor t;
    sm_weights *golden;
    double worst;

    snprintf(file, sizeof file, "golden/essentia/%s.safetensors", s->golden);
    golden = test_golden_open(test_shared(file));
    hear(s, &rows);
    test_stream_result(h, &o, rows.data, rows.length / 96, &r);
    snprintf(what, sizeof what, "%s on %s%s", name, s->golden, how);
    snprintf(key, sizeof key, "real.%s.activations", name);
    worst = test_within(r.curve, golden, key, r.patches * r.n_classes, 1e-4, what);
    snprintf(key, sizeof key, "real.%s.mean", name);
    if (sm_weights_has(golden, key))
        test_within(r.mean, golden, key, r.n_classes, 1e-4, what);
    snprintf(key, sizeof key, "real.%s.embeddings", name);
    if (sm_weights_has(golden, key)) {
        test_ok(sm_weights_get_f32(golden, key, NULL, &t));
        const double error = test_normalised_error(r.embeddings, t.data, r.patches * r.n_embedding);
        if (!(error <= 1e-4))
            fail_msg("%s: embeddings differ by %.3g", what, error);
        print_message("%s: embeddings %.2g\n", what, error);
    }
    print_message("%s: %zu patches, activations within %.2g\n", what, r.patches, worst);
    sm_model_result_free(&r);
    sm_floats_free(&rows);
    sm_weights_close(golden);
}

static void sounds_get_the_originals_activations(void **state)
{
    static const struct {
        const char *file, *model, *name;
        size_t classes;
    } rows[] = {
        { "models/essentia/msd-musicnn-1/model.json", "musicnn", "msd", 50 },
        { "models/essentia/danceability-musicnn-msd-2/model.json", "danceability-musicnn-whole", "danceability", 2 },
        { "models/essentia/mood_happy-musicnn-msd-2/model.json", "mood_happy-musicnn-whole", "mood_happy", 2 },
    };
    const test_place *place = *state;
    NEEDS("models/essentia/msd-musicnn-1/model.json");
    for (size_t i = 0; i < SM_LENGTH(rows); i++) {
        opened m = open_model(rows[i].file);
        assert_string_equal(m.m->name, rows[i].model);
        assert_int_equal(sm_model_classes(m.h)->n, rows[i].classes);
        for (size_t k = 0; k < SM_LENGTH(sounds); k++)
            same_answers(m.h, &sounds[k], rows[i].name, "");
        /* and again from the file that an import makes */
        sm_model_handle *again;
        sm_weights *converted = test_converted(m.m, m.w, "", m.card, place->path);
        test_ok(sm_model_open(m.m, converted, NULL, &again));
        same_answers(again, &sounds[1], rows[i].name, ", converted");
        sm_model_close(again);
        sm_weights_close(converted);
        close_model(&m);
    }
}

/* ---- tempo ---- */
static void songs_get_the_originals_tempo(void **state)
{
    static const struct {
        const char *song;
        int bpm, or_bpm;
    } songs[] = {
        { "clicks_120", 120, 120 }, { "drums_085", 85, 84 }, { "drums_128", 128, 128 }, { "drums_174", 87, 174 }
    };
    const test_place *place = *state;
    NEEDS("models/essentia/tempocnn/deeptemp_k4.h5");
    opened m = open_model("models/essentia/tempocnn/deeptemp_k4.h5");
    sm_weights *golden = test_golden_open(test_shared("golden/essentia/real_tempocnn_deeptemp_k4.safetensors"));
    sm_weights *converted = test_converted(m.m, m.w, sm_model_variant(m.h), NULL, place->path);
    sm_model_handle *again;
    assert_string_equal(m.m->name, "tempocnn-deeptemp_k4");
    test_ok(sm_model_open(m.m, converted, NULL, &again));
    for (size_t i = 0; i < 2 * SM_LENGTH(songs); i++) {
        const size_t k = i / 2;
        const sm_stream_options o = { .curve = true };
        sm_model_result r;
        nn_tensor mel;
        char key[64];
        snprintf(key, sizeof key, "in.%s.mel", songs[k].song);
        test_ok(sm_weights_get_f32(golden, key, NULL, &mel));
        test_stream_result(i % 2 ? again : m.h, &o, mel.data, 432, &r);
        snprintf(key, sizeof key, "real.%s.probabilities", songs[k].song);
        const double worst = test_within(r.curve, golden, key, 512, 1e-5, "tempocnn");
        print_message("%s%s: within %.2g, %g BPM (%.2f)\n", songs[k].song, i % 2 ? ", converted" : "", worst, r.bpm,
                      r.bpm_confidence);
        if (r.bpm != songs[k].bpm && r.bpm != songs[k].or_bpm)
            fail_msg("%s: %g BPM", songs[k].song, r.bpm);
        sm_model_result_free(&r);
    }
    sm_model_close(again);
    sm_weights_close(converted);
    sm_weights_close(golden);
    close_model(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_node_of_the_published_graphs_is_the_originals),
        cmocka_unit_test_setup_teardown(sounds_get_the_originals_activations, test_place_make, test_place_remove),
        cmocka_unit_test_setup_teardown(songs_get_the_originals_tempo, test_place_make, test_place_remove),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
