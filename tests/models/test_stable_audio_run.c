/* Stable Audio's pipelines against the originals: from T5 states and seconds to latents and samples; windows; conditions; guidance. */
#include "support/model_support.h"

#include <math.h>
#include <string.h>

#include "models/oobleck.h"
#include "models/stable_audio.h"
#include "models/stable_audio_run.h"

#define DATA "tests/data/models/stable_audio_"

#define TINY_V10                                                                                                       \
    "io=8,latent=8,channels=8,width=256,depth=2,heads=4,cond=128,inner=128,global=256,prompt=16,canvas=13065"
#define TINY_SMALL                                                                                                     \
    "io=8,latent=8,channels=8,width=256,depth=2,heads=2,cond=96,inner=256,global=96,prompt=16,canvas=12288"
enum { T = 6, N = 8 * T };

static const float *tensor(sm_weights *golden, const char *name, int64_t n)
{
    nn_tensor t;
    test_ok(sm_weights_get_f32(golden, name, NULL, &t));
    assert_int_equal(nn_elements(&t.shape), n);
    return t.data;
}

static void near(const float *ours, const float *golden, size_t n, double bound, const char *what)
{
    const double e = test_normalised_error(ours, golden, n);
    print_message("%s: %.2g\n", what, e);
    if (!(e <= bound))
        fail_msg("%s: error %g", what, e);
}

/* ---- windows of the autoencoder ---- */

typedef struct {
    sm_weights *w;
    sm_view *view;
    oobleck *vae;
    oobleck_size size;
} coder;

static void coder_open(coder *c, const char *config, uint64_t seed, int threads)
{
    const sm_model *m = sm_model_find("oobleck");
    const sm_model_config k = { .batch = 1, .text = config };
    const nn_compile_options o = { .threads = threads };
    test_ok(sm_weights_generated(seed, m->generated, &c->w));
    test_ok(sm_view_open(m, c->w, NULL, &c->view));
    test_ok(oobleck_size_read(c->w, &k, &c->size));
    test_ok(oobleck_open(c->view, &c->size, &o, &c->vae));
}

static void coder_close(coder *c)
{
    oobleck_close(c->vae);
    sm_view_close(c->view);
    sm_weights_close(c->w);
}

static void windows_of_any_size_give_the_whole(void **state)
{
    enum { LATENTS = 101, SAMPLES = 808 };
    static const int windows[] = { 1, 7, 32, 1000 };
    sm_weights *golden = test_golden_open(DATA "oobleck_chunked.safetensors");
    const float *latent = tensor(golden, "in.latent", 4 * LATENTS), *audio = tensor(golden, "in.audio", 2 * SAMPLES),
                *decoded = tensor(golden, "out.decoded", 2 * SAMPLES);
    static float out[2 * SAMPLES], moments[8 * LATENTS], some[2 * SAMPLES];
    coder c;
    (void)state;
    coder_open(&c, "channels=8,strides=2-4,latent=4", 3, 1);
    assert_int_equal(oobleck_ratio(&c.size), 8);
    for (size_t i = 0; i < SM_LENGTH(windows); i++) {
        oobleck_set_window(c.vae, windows[i]);
        test_ok(oobleck_decode(c.vae, latent, LATENTS, 0, LATENTS, out, NULL, NULL));
        near(out, decoded, 2 * SAMPLES, 1e-5, "decoded");
        test_ok(oobleck_encode(c.vae, audio, SAMPLES, moments, NULL, NULL));
        near(moments, tensor(golden, "out.encoded_mean", 4 * LATENTS), 4 * LATENTS, 1e-5, "encoded");
        test_ok(oobleck_decode(c.vae, latent, LATENTS, 40, 61, out, NULL, NULL));
        for (int k = 0; k < 2; k++)
            memcpy(some + k * 21 * 8, decoded + k * SAMPLES + 40 * 8, 21 * 8 * sizeof *some);
        near(out, some, 2 * 21 * 8, 1e-5, "a part");
    }
    test_fails(oobleck_decode(c.vae, latent, LATENTS, 5, 5, out, NULL, NULL), SM_EUSAGE, "latents 5 to 5");
    test_fails(oobleck_encode(c.vae, audio, 7, moments, NULL, NULL), SM_EUSAGE, "7 samples");
    coder_close(&c);
    sm_weights_close(golden);
}

static void one_thread_and_two_decode_the_same_bits(void **state)
{
    enum { LATENTS = 40, SAMPLES = 8 * LATENTS };
    float latent[4 * LATENTS];
    static float out[2][2 * SAMPLES];
    (void)state;
    test_fill(latent, 4 * LATENTS, "latent", 0, 0, 1.7);
    for (int threads = 1; threads <= 2; threads++) {
        coder c;
        coder_open(&c, "channels=8,strides=2-4,latent=4", 3, threads);
        oobleck_set_window(c.vae, 16);
        test_ok(oobleck_decode(c.vae, latent, LATENTS, 0, LATENTS, out[threads - 1], NULL, NULL));
        coder_close(&c);
    }
    assert_memory_equal(out[0], out[1], sizeof out[0]);
}

/* ---- conditions and guidance ---- */

static void numbers_of_seconds_are_the_originals(void **state)
{
    static const char *const models[2][2] = { { "stable-audio-open", "v10" }, { "stable-audio-small", "small" } };
    static const char *const names[2] = { "seconds_start", "seconds_total" };
    sm_weights *golden = test_golden_open(DATA "conditioners_rng.safetensors");
    const float *seconds = tensor(golden, "in.seconds", 7);
    (void)state;
    for (int i = 0; i < 2; i++)
        for (int k = 0; k < 2; k++) {
            const sm_model *m = sm_model_find(models[i][0]);
            float ours[7 * 768];
            char name[64];
            sm_weights *w;
            test_ok(sm_weights_generated(0, m->generated, &w));
            const nn_source source = sm_weights_source(w);
            for (int j = 0; j < 7; j++)
                test_ok(sa_number(m->binding, &source, names[k], (double)seconds[j], ours + 768 * j));
            snprintf(name, sizeof name, "out.%s.%s", models[i][1], names[k]);
            near(ours, tensor(golden, name, 7 * 768), 7 * 768, 1e-5, name);
            sm_weights_close(w);
        }
    sm_weights_close(golden);
}

/* One evaluation in the form that steps use, of one item of a small golden. */
static void evaluate(const sa_size *s, const nn_source *w, const float *x, float t, const float *cross,
                     const float *negative, const float *global, int rows, float *v)
{
    enum { TOKENS = 9, LENGTH = 20, MOST = 64 };
    const int branches = negative ? 2 : 1;
    float *tokens = sm_alloc_zero(2 * TOKENS * (size_t)s->cond_width, sizeof *tokens), mask[2 * TOKENS] = { 0 };
    float *embed = sm_alloc(s->width, sizeof *embed), *made[MOST] = { NULL };
    const void *in[MOST];
    const nn_compile_options o = { .threads = 1 };
    nn_graph *g = nn_graph_new();
    nn_plan *plan;
    nn_run_state *run;
    assert_true(tokens && embed && g);
    int keys = sa_merge_zero_rows(cross, TOKENS, s->cond_width, tokens, mask);
    if (negative) { /* both unmerged: as many keys each */
        keys = TOKENS;
        memset(mask, 0, sizeof mask);
        memcpy(tokens, cross, TOKENS * (size_t)s->cond_width * sizeof *tokens);
        memcpy(tokens + TOKENS * s->cond_width, negative, TOKENS * (size_t)s->cond_width * sizeof *tokens);
    }
    test_ok(sa_graph_conditions(g, s, w, branches, keys));
    test_ok(nn_compile(g, &o, &plan));
    test_ok(nn_run_state_new(plan, &run));
    for (int i = 0; i < nn_plan_inputs(plan); i++)
        in[i] = strcmp(nn_plan_input_name(plan, i), "cross") ? global : tokens;
    for (int i = 0; i < nn_plan_outputs(plan); i++) {
        const nn_shape shape = nn_plan_output_shape(plan, i);
        made[i] = sm_alloc((size_t)nn_elements(&shape), sizeof(float));
        assert_non_null(made[i]);
    }
    test_ok(nn_run(plan, run, in, made));
    nn_graph_free(g);
    assert_non_null(g = nn_graph_new());
    nn_plan *step;
    nn_run_state *step_run;
    test_ok(sa_graph_step(g, s, w, &(sa_form){ LENGTH, rows, branches, keys }));
    test_ok(nn_compile(g, &o, &step));
    test_ok(nn_run_state_new(step, &step_run));
    for (int i = 0; i < nn_plan_inputs(step); i++) {
        const char *name = nn_plan_input_name(step, i);
        in[i] = !strcmp(name, "x") ? (const void *)x : !strcmp(name, "t") ? &t : !strcmp(name, "mask") ? mask : NULL;
        for (int k = 0; k < nn_plan_outputs(plan); k++)
            if (!strcmp(nn_plan_output_name(plan, k), name))
                in[i] = made[k];
        assert_non_null(in[i]);
    }
    test_ok(nn_run(step, step_run, in, &v));
    for (int i = 0; i < nn_plan_outputs(plan); i++)
        sm_free(made[i]);
    nn_run_state_free(run);
    nn_run_state_free(step_run);
    nn_plan_free(plan);
    nn_plan_free(step);
    nn_graph_free(g);
    sm_free(tokens);
    sm_free(embed);
}

static void guidance_is_the_originals(void **state)
{
    enum { LENGTH = 20, FLOATS = 8 * LENGTH, TOKENS = 9 };
    static const char *const rows[2][3] = { { "stable-audio-open", TINY_V10, DATA "dit_tiny_v10.safetensors" },
                                            { "stable-audio-small", TINY_SMALL, DATA "dit_tiny_small.safetensors" } };
    (void)state;
    for (int r = 0; r < 2; r++) {
        const sm_model *m = sm_model_find(rows[r][0]);
        const sm_model_config c = { .batch = 1, .text = rows[r][1] };
        sm_weights *golden = test_golden_open(rows[r][2]), *w;
        sa_size s;
        test_ok(sm_weights_generated(1, m->generated, &w));
        test_ok(sa_size_read(m, w, &c, &s));
        const nn_source source = sm_weights_source(w);
        const int width = s.cond_width;
        const float *x = tensor(golden, "in.x", 2 * FLOATS), *t = tensor(golden, "in.t", 2),
                    *cross = tensor(golden, "in.cross", 2 * TOKENS * width),
                    *global = tensor(golden, "in.global", 2 * s.global_width),
                    *given = tensor(golden, "in.negative", 2 * TOKENS * width),
                    *counts = tensor(golden, "in.negative_mask", 2 * TOKENS);
        float *negative = sm_alloc(2 * TOKENS * (size_t)width, sizeof *negative);
        float both[2 * FLOATS], plain[2 * FLOATS], cfg[2 * FLOATS], rescaled[2 * FLOATS], by_words[2 * FLOATS];
        assert_non_null(negative);
        for (int i = 0; i < 2 * TOKENS * width; i++)
            negative[i] = counts[i / width] != 0 ? given[i] : 0;
        for (int i = 0; i < 2; i++) {
            const float *item = cross + i * TOKENS * width, *whole = global + i * s.global_width;
            evaluate(&s, &source, x + i * FLOATS, t[i], item, NULL, whole, 1, plain + i * FLOATS);
            evaluate(&s, &source, x + i * FLOATS, t[i], item, NULL, whole, 2, both);
            sa_guide(both, both + FLOATS, 8, LENGTH, 7, 0, cfg + i * FLOATS);
            sa_guide(both, both + FLOATS, 8, LENGTH, 7, 0.75, rescaled + i * FLOATS);
            near(both + FLOATS, tensor(golden, "out.uncond", 2 * FLOATS) + i * FLOATS, FLOATS, 1e-5, "uncond");
            evaluate(&s, &source, x + i * FLOATS, t[i], item, negative + i * TOKENS * width, whole, 2, both);
            sa_guide(both, both + FLOATS, 8, LENGTH, 7, 0, by_words + i * FLOATS);
        }
        near(plain, tensor(golden, "out.plain", 2 * FLOATS), 2 * FLOATS, 1e-5, "plain");
        near(cfg, tensor(golden, "out.cfg7", 2 * FLOATS), 2 * FLOATS, 3e-5, "cfg7");
        near(rescaled, tensor(golden, "out.cfg7_rescale0.75", 2 * FLOATS), 2 * FLOATS, 3e-5, "rescaled");
        near(by_words, tensor(golden, "out.cfg7_negative", 2 * FLOATS), 2 * FLOATS, 3e-5, "negative");
        sm_free(negative);
        sm_weights_close(w);
        sm_weights_close(golden);
    }
}

static void rows_of_zeros_are_one_key(void **state)
{
    const float cross[6][2] = { { 1, 2 }, { 0, 0 }, { 0, 0 }, { 3, 0 }, { 0, 0 }, { 4, 5 } };
    const float expected[4][2] = { { 1, 2 }, { 0, 0 }, { 3, 0 }, { 4, 5 } };
    float keys[6][2], mask[6];
    (void)state;
    assert_int_equal(sa_merge_zero_rows(cross[0], 6, 2, keys[0], mask), 4);
    assert_memory_equal(keys, expected, sizeof expected);
    assert_true(mask[0] == 0 && mask[2] == 0 && mask[3] == 0);
    assert_true(fabs((double)mask[1] - log(3)) < 1e-6);
    assert_int_equal(sa_merge_zero_rows(cross[0], 1, 2, keys[0], mask), 1);
    assert_int_equal(sa_merge_zero_rows(cross[1], 2, 2, keys[0], mask), 1);
}

/* ---- whole pipelines ---- */

typedef struct {
    sm_weights *w, *golden;
    sm_stable_audio *a;
    sm_stable_audio_request r;
    float *words, *negative;
} pipeline;

static float *masked(sm_weights *golden, const char *name, const char *mask, int width)
{
    const float *x = tensor(golden, name, 16 * width), *counts = tensor(golden, mask, 16);
    float *out = sm_alloc(16 * (size_t)width, sizeof *out);
    assert_non_null(out);
    for (int i = 0; i < 16 * width; i++)
        out[i] = counts[i / width] != 0 ? x[i] : 0;
    return out;
}

static int given_noise(void *user, sa_noise_use use, int i, float *out)
{
    char name[32];
    (void)user, (void)use;
    snprintf(name, sizeof name, "noise.%d", i);
    test_fill(out, N, name, 0, 0, sqrt(3));
    return 0;
}

static void pipeline_open(pipeline *p, const char *model, const char *config, const char *golden, uint64_t seed,
                          int width, int threads)
{
    const sm_model *m = sm_model_find(model);
    const sm_stable_audio_options o = { .threads = threads, .config = config };
    *p = (pipeline){ .golden = test_golden_open(golden) };
    test_ok(sm_weights_generated(seed, m->generated, &p->w));
    test_ok(sm_stable_audio_open(m, p->w, &o, &p->a));
    p->r = sm_stable_audio_defaults(p->a);
    assert_int_equal(p->r.latents, T);
    p->words = masked(p->golden, "in.prompt", "in.prompt_mask", width);
    p->r.prompt = p->words;
    p->r.n_prompt = 16;
    p->r.seconds_total = 0.3;
}

static void pipeline_close(pipeline *p)
{
    sm_stable_audio_close(p->a);
    sm_weights_close(p->w);
    sm_weights_close(p->golden);
    sm_free(p->words);
    sm_free(p->negative);
}

static void the_small_pipeline_of_the_v_objective_is_the_originals(void **state)
{
    (void)state;
    for (int threads = 1; threads <= 2; threads++) {
        pipeline p;
        static float latents[N], audio[2 * 2048 * T];
        pipeline_open(&p, "stable-audio-open", TINY_V10, DATA "pipeline_tiny_v10.safetensors", 5, 128, threads);
        p.r.seed = 42;
        p.r.steps = 7;
        p.r.noise = given_noise;
        test_ok(sm_stable_audio_sample(p.a, &p.r, latents));
        near(latents, tensor(p.golden, "out.latents", N), N, 1e-4, "latents");
        test_ok(sm_stable_audio_decode(p.a, latents, T, 0, T, audio, NULL, NULL));
        near(audio, tensor(p.golden, "out.audio", 2 * 2048 * T), 2 * 2048 * T, 3e-4, "audio");
        p.negative = masked(p.golden, "in.negative", "in.negative_mask", 128);
        p.r.negative = p.negative;
        p.r.n_negative = 16;
        test_ok(sm_stable_audio_sample(p.a, &p.r, latents));
        near(latents, tensor(p.golden, "out.latents_negative", N), N, 1e-4, "negative");
        p.r.negative = NULL;
        p.r.init = tensor(p.golden, "in.init_audio", 2 * 11288);
        p.r.init_samples = 11288;
        p.r.init_canvas = 13065;
        p.r.init_noise = 10;
        test_ok(sm_stable_audio_sample(p.a, &p.r, latents));
        near(latents, tensor(p.golden, "out.latents_init10", N), N, 1e-4, "init");
        pipeline_close(&p);
    }
}

static void the_small_pipeline_of_the_flow_is_the_originals(void **state)
{
    pipeline p;
    float latents[N];
    (void)state;
    pipeline_open(&p, "stable-audio-small", TINY_SMALL, DATA "pipeline_tiny_small.safetensors", 6, 96, 1);
    p.r.seed = 7;
    test_ok(sm_stable_audio_sample(p.a, &p.r, latents));
    near(latents, tensor(p.golden, "out.latents", N), N, 1e-4, "latents");
    p.r.init = tensor(p.golden, "in.init_audio", 2 * 11288);
    p.r.init_samples = 11288;
    p.r.init_noise = 0.6;
    test_ok(sm_stable_audio_sample(p.a, &p.r, latents));
    near(latents, tensor(p.golden, "out.latents_init0.6", N), N, 1e-4, "init");
    p.r.init = NULL;
    p.r.sampler = "euler";
    p.r.cfg = 4;
    test_ok(sm_stable_audio_sample(p.a, &p.r, latents));
    near(latents, tensor(p.golden, "out.latents_cfg4_euler", N), N, 1e-4, "euler");
    pipeline_close(&p);
}

static void the_same_seed_gives_the_same_bits_on_one_thread_and_two(void **state)
{
    float latents[2][N];
    (void)state;
    for (int threads = 1; threads <= 2; threads++) {
        pipeline p;
        pipeline_open(&p, "stable-audio-open", TINY_V10, DATA "pipeline_tiny_v10.safetensors", 5, 128, threads);
        p.r.steps = 3;
        p.r.seed = 5;
        test_ok(sm_stable_audio_sample(p.a, &p.r, latents[threads - 1]));
        pipeline_close(&p);
    }
    assert_memory_equal(latents[0], latents[1], sizeof latents[0]);
}

static void what_cannot_be_asked_for_is_refused(void **state)
{
    pipeline p;
    float latents[N];
    (void)state;
    pipeline_open(&p, "stable-audio-small", TINY_SMALL, DATA "pipeline_tiny_small.safetensors", 6, 96, 1);
    sm_stable_audio_request r = p.r;
    r.sampler = "dpmpp-3m-sde";
    test_fails(sm_stable_audio_sample(p.a, &r, latents), SM_EUSAGE, "takes pingpong");
    r = p.r;
    r.sampler = "ddpm";
    test_fails(sm_stable_audio_sample(p.a, &r, latents), SM_EUSAGE, "no sampler \"ddpm\"");
    r = p.r;
    r.latents = 0;
    test_fails(sm_stable_audio_sample(p.a, &r, latents), SM_EUSAGE, "0 latents");
    r = p.r;
    r.prompt = NULL;
    test_fails(sm_stable_audio_sample(p.a, &r, latents), SM_EUSAGE, "no prompt");
    r = p.r;
    r.seconds_total = NAN;
    test_fails(sm_stable_audio_sample(p.a, &r, latents), SM_EUSAGE, "nan");
    r = p.r;
    r.cfg_rescale = 2;
    test_fails(sm_stable_audio_sample(p.a, &r, latents), SM_EUSAGE, "rescaled by 2");
    size_t weights, work;
    test_ok(sm_stable_audio_memory(p.a, &p.r, &weights, &work));
    assert_true(weights > 0 && work > 0);
    pipeline_close(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(windows_of_any_size_give_the_whole),
        cmocka_unit_test(one_thread_and_two_decode_the_same_bits),
        cmocka_unit_test(numbers_of_seconds_are_the_originals),
        cmocka_unit_test(rows_of_zeros_are_one_key),
        cmocka_unit_test(guidance_is_the_originals),
        cmocka_unit_test(the_small_pipeline_of_the_v_objective_is_the_originals),
        cmocka_unit_test(the_small_pipeline_of_the_flow_is_the_originals),
        cmocka_unit_test(the_same_seed_gives_the_same_bits_on_one_thread_and_two),
        cmocka_unit_test(what_cannot_be_asked_for_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
