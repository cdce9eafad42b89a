/* EnCodec against AudioCraft: small networks with both kinds of ends, the official size layer by layer, pieces against the whole, and the
 * names of every container. */
#include "support/model_support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "models/encodec.h"

#define DATA "tests/data/models/"

static const sm_encodec_size tiny = {
    .filters = 4, .width = 8, .books = 4, .bins = 16, .stages = 2, .ratio = { 4, 3 }, .reflect = true
};

static sm_encodec *open_tiny(bool reflect, const char *backend, sm_weights **w)
{
    sm_encodec_size size = tiny;
    const sm_encodec_options o = { .size = &size, .backend = backend };
    sm_encodec *e;
    size.reflect = reflect;
    test_ok(sm_weights_generated(1, NULL, w));
    test_ok(sm_encodec_open(*w, NULL, &o, &e));
    assert_int_equal(sm_encodec_hop(e), 12);
    return e;
}

static const void *golden_data(sm_weights *golden, const char *name, nn_type type, int64_t n)
{
    nn_tensor t;
    test_ok(sm_weights_get(golden, name, NULL, &t));
    assert_int_equal(t.type, type);
    assert_int_equal(nn_elements(&t.shape), n);
    return t.data;
}

/* Ours lie [frames][width], the golden's [width][frames]. */
static void same_latents(sm_weights *golden, const char *name, const float *ours, int frames, int width)
{
    const float *should = golden_data(golden, name, NN_F32, (int64_t)frames * width);
    float *turned = malloc((size_t)(frames * width) * sizeof *turned);
    for (int t = 0; t < frames; t++)
        for (int k = 0; k < width; k++)
            turned[k * frames + t] = ours[t * width + k];
    const double error = test_normalised_error(turned, should, (size_t)(frames * width));
    print_message("%s: %.2g\n", name, error);
    assert_true(error <= 1e-4);
    free(turned);
}

static void check_tiny(const char *file, bool reflect, const char *backend)
{
    static const struct {
        const char *name;
        size_t samples;
        int frames;
    } inputs[] = {
        { "out.latent", 245, 21 }, { "out.latent_1", 1, 1 }, { "out.latent_5", 5, 1 }, { "out.latent_30", 30, 3 }
    };
    sm_weights *w, *golden = test_golden_open(file);
    sm_encodec *e = open_tiny(reflect, backend, &w);
    const float *audio = golden_data(golden, "in.audio", NN_F32, 245);
    float latents[21 * 8], out[21 * 12];
    float *planes[1] = { out };
    int32_t codes[4 * 21], first[4];
    for (size_t i = 0; i < SM_LENGTH(inputs); i++) {
        assert_int_equal(sm_encodec_frames(e, inputs[i].samples), inputs[i].frames);
        test_ok(sm_encodec_latents(e, audio, inputs[i].samples, latents));
        same_latents(golden, inputs[i].name, latents, inputs[i].frames, 8);
    }
    test_ok(sm_encodec_encode(e, &audio, 245, 1, codes));
    const int64_t *should = golden_data(golden, "out.codes", NN_I64, 4 * 21);
    for (int i = 0; i < 4 * 21; i++)
        assert_int_equal(codes[i], should[i]); /* its smallest margin is a thousand times our error */
    test_ok(sm_encodec_quantized(e, codes, 21, latents));
    same_latents(golden, "out.quantized", latents, 21, 8);
    test_ok(sm_encodec_decode(e, codes, 21, 1, planes));
    assert_true(test_normalised_error(out, golden_data(golden, "out.audio", NN_F32, 252), 252) <= 1e-4);
    for (int q = 0; q < 4; q++)
        first[q] = codes[q * 21];
    test_ok(sm_encodec_decode(e, first, 1, 1, planes));
    assert_true(test_normalised_error(out, golden_data(golden, "out.audio_1frame", NN_F32, 12), 12) <= 1e-4);
    sm_encodec_close(e);
    sm_weights_close(w);
    sm_weights_close(golden);
}

static void small_codecs_are_the_originals(void **state)
{
    (void)state;
    for (int fast = 0; fast <= test_backend_there("onednn"); fast++) {
        check_tiny(DATA "encodec_tiny_reflect.safetensors", true, fast ? "onednn" : "ref");
        check_tiny(DATA "encodec_tiny_constant.safetensors", false, fast ? "onednn" : "ref");
    }
}

/* Codes in pieces of any size, of two channels that share rows: each channel is the mono answer, to the bit of what the pieces allow. */
static void streams_are_the_whole_whatever_the_pieces(void **state)
{
    enum { FRAMES = 131 };
    static const size_t pieces[] = { 1, 7, 16, 50, FRAMES };
    sm_weights *w;
    (void)state;
    for (int reflect = 0; reflect < 2; reflect++) {
        sm_encodec *e = open_tiny(reflect, "ref", &w);
        sm_encodec_stream *s;
        int32_t codes[8][FRAMES], mono[2][4][FRAMES];
        float whole[2][FRAMES * 12];
        for (int r = 0; r < 8; r++)
            for (int t = 0; t < FRAMES; t++)
                mono[r % 2][r / 2][t] = codes[r][t] = (int32_t)((sm_unit(3, (uint64_t)(r * FRAMES + t)) + 1) * 7.99);
        for (int c = 0; c < 2; c++)
            test_ok(sm_encodec_decode(e, mono[c][0], FRAMES, 1, (float *[]){ whole[c] }));
        test_ok(sm_encodec_stream_new(e, 2, &s));
        for (size_t k = 0; k < SM_LENGTH(pieces); k++) {
            sm_floats planes[2] = { { 0 }, { 0 } };
            for (size_t t = 0; t < FRAMES; t += pieces[k])
                test_ok(sm_encodec_stream_push(s, &codes[0][t], FRAMES, SM_MIN(pieces[k], FRAMES - t), planes));
            assert_true(planes[0].length >=
                        (FRAMES - 2 * SM_ENCODEC_BLOCK - 8) * 12); /* comes while it is being made */
            test_ok(sm_encodec_stream_end(s, planes));
            for (int c = 0; c < 2; c++) {
                assert_int_equal(planes[c].length, FRAMES * 12);
                assert_true(test_normalised_error(planes[c].data, whole[c], FRAMES * 12) <= 1e-6);
                sm_floats_free(&planes[c]);
            }
        }
        sm_encodec_stream_free(s);
        sm_encodec_close(e);
        sm_weights_close(w);
    }
}

/* The first frames of a sound are coded as those of a longer one where the longer cannot be known; and windows of 48 frames end somewhere. */
static void long_sounds_are_encoded_as_their_parts(void **state)
{
    enum { SAMPLES = 12 * 150 + 5 };
    sm_weights *w;
    float *x = test_signal("encodec.long", SAMPLES), *a, *b;
    (void)state;
    sm_encodec *e = open_tiny(true, "ref", &w);
    a = malloc(151 * 8 * sizeof *a);
    b = malloc(151 * 8 * sizeof *b);
    test_ok(sm_encodec_latents(e, x, SAMPLES, a));
    for (size_t n = 100; n < 140;
         n += 13) { /* causal but for 3 frames of the last convolution and the local layers' reach */
        test_ok(sm_encodec_latents(e, x, n * 12, b));
        assert_true(test_normalised_error(b, a, (n - 6) * 8) <= 1e-6);
    }
    sm_encodec_close(e);
    sm_weights_close(w);
    free(a), free(b), free(x);
}

/* ---- official size ---- */

static void check_part(sm_weights *w, sm_weights *golden, const char *config, sm_named *in, int at_least)
{
    const sm_run_options o = { .config = config, .taps = true };
    sm_named *out;
    size_t n;
    test_ok(sm_model_run_tensors(sm_model_find("encodec"), w, &o, in, 1, &out, &n));
    assert_true(test_golden_compare(golden, out, n, NULL, 1e-4, config) >= at_least);
    sm_named_free(out, n);
}

static void the_official_size_is_the_originals(void **state)
{
    sm_weights *w, *golden = test_golden_open(DATA "encodec_full.safetensors");
    sm_encodec *e;
    (void)state;
    if (!test_backend_there("onednn"))
        test_skip("without the fast backend this takes minutes");
    test_ok(sm_weights_generated(0, NULL, &w));
    test_ok(sm_encodec_open(w, NULL, NULL, &e));
    const int64_t *in = golden_data(golden, "in.codes", NN_I64, 200);
    int32_t codes[200], ours[200];
    for (int i = 0; i < 200; i++)
        codes[i] = (int32_t)in[i];
    float *latents = malloc(50 * 128 * sizeof *latents), *turned = malloc(50 * 128 * sizeof *turned);
    float *audio = test_signal("in.audio", 32000), *sound = malloc(32000 * sizeof *sound);
    test_ok(sm_encodec_quantized(e, codes, 50, latents));
    for (int i = 0; i < 50 * 128; i++)
        turned[i % 128 * 50 + i / 128] = latents[i];
    sm_named x = { "latents", { .type = NN_F32, .shape = NN_SHAPE(1, 128, 50), .data = turned, .scale_axis = -1 } };
    check_part(w, golden, "part=decoder,frames=50", &x, 17);
    x = (sm_named){ "audio", { .type = NN_F32, .shape = NN_SHAPE(1, 1, 32000), .data = audio, .scale_axis = -1 } };
    check_part(w, golden, "part=encoder,frames=50", &x, 16);
    test_ok(sm_encodec_decode(e, codes, 50, 1, &sound));
    assert_true(test_normalised_error(sound, golden_data(golden, "out.audio_first640", NN_F32, 640), 640) <= 1e-4);
    assert_true(test_normalised_error(sound + 49 * 640, golden_data(golden, "out.audio_last640", NN_F32, 640), 640) <=
                1e-4);
    /* a code may differ where two rows are equally near, and then those behind it in the same frame */
    test_ok(sm_encodec_encode(e, (const float *const *)&audio, 32000, 1, ours));
    const int64_t *should = golden_data(golden, "out.codes", NN_I64, 200);
    const float *margin = golden_data(golden, "out.codes_margin", NN_F32, 200);
    for (int t = 0; t < 50; t++)
        for (int q = 0; q < 4 && margin[q * 50 + t] >= 1e-4f; q++)
            assert_int_equal(ours[q * 50 + t], should[q * 50 + t]);
    sm_encodec_close(e);
    sm_weights_close(w);
    sm_weights_close(golden);
    free(latents), free(turned), free(audio), free(sound);
}

/* ---- containers ---- */

typedef struct {
    const char *prefix, *root, *conv, *up, *g, *v, *books;
} container;

/* The tiny codec's tensors under a container's names. */
static void write_container(const container *t, const char *path)
{
    static const struct {
        const char *layer;
        int64_t shape[3];
    } rows[] = { { "encoder.0", { 4, 1, 7 } },         { "encoder.1.block.1", { 2, 4, 3 } },
                 { "encoder.1.block.3", { 4, 2, 1 } }, { "encoder.3", { 8, 4, 6 } },
                 { "encoder.4.block.1", { 4, 8, 3 } }, { "encoder.4.block.3", { 8, 4, 1 } },
                 { "encoder.6", { 16, 8, 8 } },        { "encoder.9", { 8, 16, 7 } },
                 { "decoder.0", { 16, 8, 7 } },        { "decoder.3.up", { 16, 8, 8 } },
                 { "decoder.4.block.1", { 4, 8, 3 } }, { "decoder.4.block.3", { 8, 4, 1 } },
                 { "decoder.6.up", { 8, 4, 6 } },      { "decoder.7.block.1", { 2, 4, 3 } },
                 { "decoder.7.block.3", { 4, 2, 1 } }, { "decoder.9", { 1, 4, 7 } } };
    static const char *const lstm[] = { "weight_ih", "weight_hh", "bias_ih", "bias_hh" };
    sm_safetensors_writer *f;
    sm_weights *w;
    char from[128], to[160];
    nn_tensor x;
    test_ok(sm_weights_generated(1, NULL, &w));
    test_ok(sm_safetensors_writer_open(path, &f));
    for (size_t i = 0; i < SM_LENGTH(rows); i++) {
        char side[8], rest[16] = "";
        int number;
        assert_true(sscanf(rows[i].layer, "%7[a-z].%d.%15s", side, &number, rest) >= 2);
        const bool up = !strcmp(rest, "up");
        const char *block = up ? "" : rest, *dot = *block ? "." : "";
        const nn_shape v = NN_SHAPE(rows[i].shape[0], rows[i].shape[1], rows[i].shape[2]), g = NN_SHAPE(v.dim[0], 1, 1),
                       b = NN_SHAPE(up ? v.dim[1] : v.dim[0]);
        const struct {
            const char *ac, *ours;
            const nn_shape *shape;
        } parts[] = { { "weight_g", t->g, &g }, { "weight_v", t->v, &v }, { "bias", "bias", &b } };
        for (size_t k = 0; k < 3; k++) {
            snprintf(from, sizeof from, "%s.model.%d%s%s.%s.%s", side, number, dot, block,
                     up ? "convtr.convtr" : "conv.conv", parts[k].ac);
            snprintf(to, sizeof to, "%s%s.%s.%d%s%s.%s.%s", t->prefix, side, t->root, number, dot, block,
                     up ? t->up : t->conv, parts[k].ours);
            test_ok(sm_weights_get_f32(w, from, parts[k].shape, &x));
            test_ok(sm_safetensors_writer_add(f, to, &x));
        }
    }
    for (int i = 0; i < 16; i++) {
        const char *part = lstm[i % 4], *side = i < 8 ? "encoder" : "decoder";
        const int number = i < 8 ? 7 : 1, k = i / 4 % 2;
        const nn_shape shape = i % 4 < 2 ? NN_SHAPE(64, 16) : NN_SHAPE(64);
        snprintf(from, sizeof from, "%s.model.%d.lstm.%s_l%d", side, number, part, k);
        snprintf(to, sizeof to, "%s%s.%s.%d.lstm.%s_l%d", t->prefix, side, t->root, number, part, k);
        test_ok(sm_weights_get_f32(w, from, &shape, &x));
        test_ok(sm_safetensors_writer_add(f, to, &x));
    }
    for (int q = 0; q < 4; q++) {
        snprintf(from, sizeof from, "quantizer.vq.layers.%d._codebook.embed", q);
        snprintf(to, sizeof to, t->books, t->prefix, q);
        test_ok(sm_weights_get_f32(w, from, &NN_SHAPE(16, 8), &x));
        test_ok(sm_safetensors_writer_add(f, to, &x));
    }
    test_ok(sm_safetensors_writer_commit(f));
    sm_weights_close(w);
}

static void every_container_names_the_same_codec(void **state)
{
    static const container rows[] = {
        { "", "model", "conv.conv", "convtr.convtr", "weight_g", "weight_v",
          "%squantizer.vq.layers.%d._codebook.embed" },
        { "best_state.", "model", "conv.conv", "convtr.convtr", "weight_g", "weight_v",
          "%squantizer.vq.layers.%d._codebook.embed" },
        { "audio_encoder.", "layers", "conv", "conv", "weight_g", "weight_v", "%squantizer.layers.%d.codebook.embed" },
        { "", "layers", "conv", "conv", "parametrizations.weight.original0", "parametrizations.weight.original1",
          "%squantizer.layers.%d.codebook.embed" },
    };
    const test_place *place = *state;
    int32_t codes[4 * 9];
    float whole[9 * 12], got[9 * 12];
    sm_weights *w;
    for (int i = 0; i < 36; i++)
        codes[i] = (i * 7 + 3) % 16;
    sm_encodec *e = open_tiny(true, "ref", &w);
    test_ok(sm_encodec_decode(e, codes, 9, 1, (float *[]){ whole }));
    sm_encodec_close(e);
    sm_weights_close(w);
    for (size_t i = 0; i < SM_LENGTH(rows); i++) {
        sm_encodec_size size;
        write_container(&rows[i], place->path);
        test_ok(sm_weights_open(place->path, &w));
        test_ok(sm_encodec_size_of(w, NULL, &size));
        assert_int_equal(size.reflect, i >= 2); /* AudioCraft's default is zeros */
        size.reflect = true;
        assert_memory_equal(&size, &tiny, sizeof size);
        test_ok(sm_encodec_open(w, NULL, &(sm_encodec_options){ .size = &size, .backend = "ref" }, &e));
        test_ok(sm_encodec_decode(e, codes, 9, 1, (float *[]){ got }));
        assert_memory_equal(got, whole, sizeof got);
        sm_encodec_close(e);
        sm_weights_close(w);
    }
}

static void what_is_no_codec_or_no_code_is_refused(void **state)
{
    sm_weights *w;
    sm_encodec *e;
    sm_encodec_size size;
    float out[12];
    const int32_t wrong[4] = { 0, 16, 0, 0 };
    (void)state;
    test_ok(sm_weights_open("tests/data/weights/types.safetensors", &w));
    test_fails(sm_encodec_open(w, NULL, NULL, &e), SM_ENOTFOUND, "no EnCodec");
    test_fails(sm_encodec_size_of(w, NULL, &size), SM_ENOTFOUND, "no EnCodec");
    assert_null(e);
    sm_weights_close(w);
    e = open_tiny(true, "ref", &w);
    test_fails(sm_encodec_decode(e, wrong, 1, 1, (float *[]){ out }), SM_EUSAGE, "code 16 of codebook 1");
    test_fails(sm_encodec_decode(e, wrong, 1, 0, (float *[]){ out }), SM_EUSAGE, "0 channels");
    test_fails(sm_encodec_latents(e, out, 0, out), SM_EUSAGE, "without samples");
    sm_encodec_close(e);
    sm_weights_close(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_codecs_are_the_originals),
        cmocka_unit_test(streams_are_the_whole_whatever_the_pieces),
        cmocka_unit_test(long_sounds_are_encoded_as_their_parts),
        cmocka_unit_test(the_official_size_is_the_originals),
        cmocka_unit_test_setup_teardown(every_container_names_the_same_codec, test_place_make, test_place_remove),
        cmocka_unit_test(what_is_no_codec_or_no_code_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
