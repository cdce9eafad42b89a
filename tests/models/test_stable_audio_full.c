/* Stable Audio's networks at official sizes with made-up weights, every traced layer. The goldens are larger data; the transformer of 1.0 takes
 * 9 GB and a minute and is only run when SM_TEST_LARGE is set. */
#include "support/model_support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define GOLDEN "golden/stable_audio/"

static sm_named made(const char *name, nn_shape shape)
{
    sm_named in = { .tensor = { .type = NN_F32, .shape = shape, .scale_axis = -1 } };
    const size_t n = (size_t)nn_elements(&shape);
    float *x = sm_alloc(n, sizeof *x);
    assert_non_null(x);
    test_fill(x, n, name, 0, 0, sqrt(3));
    snprintf(in.name, sizeof in.name, "%s", name);
    in.tensor.data = x;
    return in;
}

static void run(const char *file, const char *model, const char *config, sm_named *in, size_t n_in, int at_least)
{
    const sm_model *m = sm_model_find(model);
    const sm_run_options o = { .config = config, .taps = true };
    const char *path = test_shared(file);
    sm_weights *golden, *w;
    sm_named *out;
    size_t n;
    assert_non_null(path);
    golden = test_golden_open(path);
    test_ok(sm_weights_generated(0, m->generated, &w));
    test_ok(sm_model_run_tensors(m, w, &o, in, n_in, &out, &n));
    const int compared = test_golden_compare(golden, out, n, NULL, 1e-4, file); /* the spec's bar */
    if (compared < at_least)
        fail_msg("%s: %d tensors compared, %d expected", file, compared, at_least);
    sm_named_free(out, n);
    sm_weights_close(w);
    sm_weights_close(golden);
    for (size_t i = 0; i < n_in; i++)
        sm_free((void *)(uintptr_t)in[i].tensor.data);
}

static bool wanted(const char *file)
{
    return test_backend_there("onednn") && test_shared(file);
}

static void run_transformer(const char *file, const char *model, int tokens, int padding, int64_t global, int at_least)
{
    static const float t = 0.8f;
    char config[64];
    float *time = sm_alloc(1, sizeof *time);
    sm_named in[4] = { made("x", NN_SHAPE(1, 64, 256)),
                       made("cross", NN_SHAPE(1, tokens, 768)),
                       made("global", NN_SHAPE(1, global)),
                       { .name = "t",
                         .tensor = { .type = NN_F32, .shape = NN_SHAPE(1), .data = time, .scale_axis = -1 } } };
    assert_non_null(time);
    *time = t;
    float *cross = (float *)(uintptr_t)in[1].tensor.data;
    memset(cross + (size_t)20 * 768, 0, (size_t)(padding - 20) * 768 * sizeof *cross);
    snprintf(config, sizeof config, "part=dit,latents=256,tokens=%d", tokens);
    run(file, model, config, in, 4, at_least);
}

static void every_layer_of_the_small_transformer_is_the_originals(void **state)
{
    (void)state;
    if (!wanted(GOLDEN "dit_full_small.safetensors"))
        test_skip("needs SM_SHARED/" GOLDEN "dit_full_small.safetensors");
    run_transformer(GOLDEN "dit_full_small.safetensors", "stable-audio-small", 65, 64, 768, 32);
}

static void every_layer_of_the_large_transformer_is_the_originals(void **state)
{
    (void)state;
    if (!wanted(GOLDEN "dit_full_v10.safetensors"))
        test_skip("needs SM_SHARED/" GOLDEN "dit_full_v10.safetensors");
    if (!getenv("SM_TEST_LARGE"))
        test_skip("takes 9 GB: set SM_TEST_LARGE to run it");
    run_transformer(GOLDEN "dit_full_v10.safetensors", "stable-audio-open", 130, 128, 1536, 43);
}

static void every_layer_of_the_autoencoder_is_the_originals(void **state)
{
    (void)state;
    if (!wanted(GOLDEN "oobleck_full.safetensors"))
        test_skip("needs SM_SHARED/" GOLDEN "oobleck_full.safetensors");
    sm_named latent = made("latent", NN_SHAPE(1, 64, 32)), audio = made("audio", NN_SHAPE(1, 2, 65536));
    float *signal = test_signals("audio", 65536, 2);
    memcpy((float *)(uintptr_t)audio.tensor.data, signal, 2 * 65536 * sizeof *signal);
    free(signal);
    run(GOLDEN "oobleck_full.safetensors", "oobleck", "part=decoder,latents=32", &latent, 1, 8);
    run(GOLDEN "oobleck_full.safetensors", "oobleck", "part=encoder,latents=32", &audio, 1, 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_layer_of_the_autoencoder_is_the_originals),
        cmocka_unit_test(every_layer_of_the_small_transformer_is_the_originals),
        cmocka_unit_test(every_layer_of_the_large_transformer_is_the_originals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
