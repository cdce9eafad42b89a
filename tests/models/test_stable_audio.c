/* Stable Audio's networks against the originals: every traced layer, small and at official sizes; conditions; guidance. */
#include "support/model_support.h"

#include <math.h>
#include <string.h>

#include "models/stable_audio.h"

#define DATA "tests/data/models/stable_audio_"

#define TINY_V10   "io=8,latent=8,width=256,depth=2,heads=4,cond=128,inner=128,global=256,"
#define TINY_SMALL "io=8,latent=8,width=256,depth=2,heads=2,cond=96,inner=256,global=96,"
#define TINY_VAE   "channels=8,latent=8,"

static void run_case(const char *golden_path, const char *model, const char *config, uint64_t seed,
                     const char *const *inputs, const char *backend, bool taps, double bound, int at_least,
                     const char *const (*alias)[2])
{
    const sm_model *m = sm_model_find(model);
    const sm_run_options o = { .backend = backend, .config = config, .taps = taps };
    sm_weights *golden = test_golden_open(golden_path), *w;
    sm_named in[4], *out;
    size_t n_in = 0, n;
    char what[160];
    snprintf(what, sizeof what, "%s on %s%s", golden_path, backend, taps ? "" : ", fused");
    for (; inputs[n_in]; n_in++) {
        char tensor[32];
        snprintf(tensor, sizeof tensor, "in.%s", inputs[n_in]);
        in[n_in] = test_golden_input(golden, tensor, inputs[n_in], NULL);
    }
    assert_non_null(m);
    test_ok(sm_weights_generated(seed, m->generated, &w));
    test_ok(sm_model_run_tensors(m, w, &o, in, n_in, &out, &n));
    const int compared = test_golden_compare(golden, out, n, alias, bound, what);
    if (taps && compared < at_least)
        fail_msg("%s: %d tensors compared, %d expected", what, compared, at_least);
    sm_named_free(out, n);
    sm_weights_close(w);
    sm_weights_close(golden);
}

static const char *const dit_inputs[] = { "x", "t", "cross", "global", NULL };
static const char *const dit_names[][2] = { { "plain", "v" }, { NULL, NULL } };

static void every_layer_of_small_transformers_is_the_originals(void **state)
{
    static const char *const backends[] = { "ref", "onednn" };
    (void)state;
    for (size_t b = 0; b < SM_LENGTH(backends); b++)
        for (int taps = 1; taps >= 0 && test_backend_there(backends[b]); taps--) {
            run_case(DATA "dit_tiny_v10.safetensors", "stable-audio-open", TINY_V10 "part=dit,latents=20,tokens=9", 1,
                     dit_inputs, backends[b], taps, 1e-5, 10, dit_names);
            run_case(DATA "dit_tiny_small.safetensors", "stable-audio-small", TINY_SMALL "part=dit,latents=20,tokens=9",
                     1, dit_inputs, backends[b], taps, 1e-5, 10, dit_names);
        }
}

static void every_layer_of_small_autoencoders_is_the_originals(void **state)
{
    static const char *const latent[] = { "latent", NULL }, *const audio[] = { "audio", NULL };
    static const char *const backends[] = { "ref", "onednn" };
    (void)state;
    for (size_t b = 0; b < SM_LENGTH(backends); b++)
        for (int taps = 1; taps >= 0 && test_backend_there(backends[b]); taps--) {
            run_case(DATA "oobleck_tiny.safetensors", "oobleck", TINY_VAE "part=decoder,latents=5", 2, latent,
                     backends[b], taps, 1e-5, 3, NULL);
            run_case(DATA "oobleck_tiny.safetensors", "oobleck", TINY_VAE "part=encoder,latents=5", 2, audio,
                     backends[b], taps, 1e-5, 3, NULL);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_layer_of_small_transformers_is_the_originals),
        cmocka_unit_test(every_layer_of_small_autoencoders_is_the_originals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
