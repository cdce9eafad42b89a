/* MusicGen's language model against the original: every logit of small networks, tokens, the official size layer by layer. */
#include "support/model_support.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

#include "models/musicgen.h"
#include "models/t5.h"

#define DATA "tests/data/models/musicgen/"

/* MUSICGEN.md, section 12 */
static bool rule(const char *name, const nn_shape *shape, double *offset, double *scale)
{
    if (!strncmp(name, "emb.", 4)) {
        *offset = 0;
        *scale = 1.5;
        return true;
    }
    if (!sm_text_has_suffix(name, "SelfAttention.q.weight"))
        return false;
    *offset = 0;
    *scale = sqrt(3.0 / (double)shape->dim[1]) / sqrt((double)shape->dim[0] / 4);
    return true;
}

static const sm_t5_size tiny_t5 = { 32, 8, 4, 64, 2, 64 };
static const int32_t text_a[] = { 12, 5, 33, 7, 1 }, text_b[] = { 40, 9, 1 };

static sm_musicgen_size tiny_size(int books, bool melody)
{
    sm_musicgen_size s = { .width = 64,
                           .heads = 4,
                           .hidden = 256,
                           .layers = 2,
                           .codebooks = books,
                           .card = 32,
                           .text_width = 32,
                           .melody = melody,
                           .chroma_frames = 24,
                           .window_s = 30 };
    for (int k = 0; k < books; k++)
        s.delays[k] = books == 8 ? k / 2 : k;
    return s;
}

/* A run of a tiny model, its logits kept. */
typedef struct {
    sm_weights *weights;
    sm_musicgen *m;
    float condition[8 * 64];
    size_t n_condition;
    float *logits; /* [steps][rows][books * card] */
    int32_t codes[8 * 32];
    int rows, books, steps;
} tiny;

static int keep(void *user, int step, const float *logits, int rows)
{
    tiny *t = user;
    const size_t one = (size_t)rows * (size_t)t->books * 32;
    t->rows = rows;
    t->steps = step + 1;
    t->logits = realloc(t->logits, (size_t)t->steps * one * sizeof(float));
    memcpy(t->logits + (size_t)step * one, logits, one * sizeof(float));
    return 0;
}

static void tiny_open(tiny *t, int books, bool melody, const int32_t *ids, size_t n, const sm_musicgen_options *base)
{
    const sm_musicgen_size size = tiny_size(books, melody);
    const sm_t5_options t5_options = { .size = &tiny_t5 };
    sm_musicgen_options o = *base;
    float states[8 * 32];
    sm_t5 *t5;
    memset(t, 0, sizeof *t);
    o.size = &size;
    t->books = books;
    t->n_condition = n;
    test_ok(sm_weights_generated(1, rule, &t->weights));
    test_ok(sm_musicgen_open(t->weights, &o, &t->m));
    if (n) {
        test_ok(sm_t5_open(t->weights, NULL, &t5_options, &t5));
        test_ok(sm_t5_encode(t5, ids, n, states));
        test_ok(sm_musicgen_project(t->m, states, n, t->condition));
        sm_t5_free(t5);
    }
}

static void tiny_run(tiny *t, sm_musicgen_request r)
{
    r.condition = t->condition;
    r.n_condition = t->n_condition;
    r.variations = 1;
    r.guidance = r.guidance != 0 ? r.guidance : 3;
    r.watch = keep;
    r.user = t;
    test_ok(sm_musicgen_generate(t->m, &r, t->codes));
}

static void tiny_close(tiny *t)
{
    sm_musicgen_free(t->m);
    sm_weights_close(t->weights);
    free(t->logits);
}

/* Row `row` of our logits against a golden [steps, n, books, 32] at its index `at`. */
static void expect_logits(const tiny *t, sm_weights *golden, const char *name, int at, int row, double bound)
{
    const size_t one = (size_t)t->books * 32;
    nn_tensor want;
    test_ok(sm_weights_get_f32(golden, name, NULL, &want));
    assert_int_equal(want.shape.dim[0], t->steps);
    const size_t per = (size_t)want.shape.dim[1];
    float *ours = malloc((size_t)t->steps * one * sizeof *ours),
          *theirs = malloc((size_t)t->steps * one * sizeof *ours);
    for (size_t s = 0; s < (size_t)t->steps; s++) {
        memcpy(ours + s * one, t->logits + (s * (size_t)t->rows + (size_t)row) * one, one * sizeof(float));
        memcpy(theirs + s * one, (const float *)want.data + (s * per + (size_t)at) * one, one * sizeof(float));
    }
    const double err = test_normalised_error(ours, theirs, (size_t)t->steps * one);
    print_message("%s: %.1e\n", name, err);
    if (!(err < bound))
        fail_msg("%s: error %g, at most %g", name, err, bound);
    free(ours);
    free(theirs);
}

static void expect_codes(const tiny *t, sm_weights *golden, const char *name, int at)
{
    nn_tensor want;
    test_ok(sm_weights_get(golden, name, NULL, &want));
    const int64_t n = want.shape.dim[1] * want.shape.dim[2];
    for (int64_t i = 0; i < n; i++)
        if (t->codes[i] != ((const int64_t *)want.data)[at * n + i])
            fail_msg("%s: code %d is %d, expected %d", name, (int)i, (int)t->codes[i],
                     (int)((const int64_t *)want.data)[at * n + i]);
}

/* Caches in f32 agree to some 1e-6; in f16 (what is used) to half a thousandth, with the same tokens. */
static const struct {
    const char *name, *backend;
    bool exact;
    double bound;
} ways[] = { { "ref", "ref", true, 1e-5 },
             { "f32 cache", "onednn", true, 1e-5 },
             { "f16 cache", "onednn", false, 2e-3 } };

static void each_way(void (*one)(const sm_musicgen_options *o, double bound))
{
    for (size_t i = 0; i < SM_LENGTH(ways); i++)
        if (test_backend_there(ways[i].backend)) {
            const sm_musicgen_options o = { .backend = ways[i].backend, .exact_cache = ways[i].exact };
            one(&o, ways[i].bound);
        }
}

static void greedy(const sm_musicgen_options *o, double bound)
{
    sm_weights *golden = test_golden_open(DATA "lm_tiny_greedy.safetensors");
    tiny t;
    tiny_open(&t, 4, false, text_a, 5, o);
    nn_tensor want;
    test_ok(sm_weights_get_f32(golden, "out.condition", NULL, &want));
    assert_true(test_normalised_error(t.condition, want.data, 5 * 64) < 1e-5);
    tiny_run(&t, (sm_musicgen_request){ .frames = 12, .sampling.greedy = true });
    expect_logits(&t, golden, "out.logits_cond", 0, 0, bound);
    expect_logits(&t, golden, "out.logits_uncond", 0, 1, bound);
    expect_codes(&t, golden, "out.codes", 0);
    tiny_close(&t);
    sm_weights_close(golden);
}

static void greedy_runs_are_the_originals(void **state)
{
    (void)state;
    each_way(greedy);
}

static void sampled(const sm_musicgen_options *o, double bound)
{
    static const struct {
        const char *file;
        sm_musicgen_sampling sampling;
    } rows[] = { { DATA "lm_tiny_topk.safetensors", { .top_k = 10, .temperature = 0.9 } },
                 { DATA "lm_tiny_topp.safetensors", { .top_p = 0.7, .temperature = 1.2 } },
                 { DATA "lm_tiny_full.safetensors", { .temperature = 1 } } };
    for (size_t i = 0; i < SM_LENGTH(rows); i++) {
        sm_weights *golden = test_golden_open(rows[i].file);
        nn_tensor u;
        tiny t;
        test_ok(sm_weights_get(golden, "in.uniform", NULL, &u));
        tiny_open(&t, 4, false, text_a, 5, o);
        tiny_run(&t, (sm_musicgen_request){ .frames = 12, .sampling = rows[i].sampling, .uniform = u.data });
        expect_logits(&t, golden, "out.logits_cond", 0, 0, bound);
        expect_logits(&t, golden, "out.logits_uncond", 0, 1, bound);
        expect_codes(&t, golden, "out.codes", 0);
        tiny_close(&t);
        sm_weights_close(golden);
    }
}

static void recorded_draws_give_the_originals_tokens(void **state)
{
    (void)state;
    each_way(sampled);
}

static void batch(const sm_musicgen_options *o, double bound)
{
    sm_weights *golden = test_golden_open(DATA "lm_tiny_batch.safetensors");
    tiny t;
    tiny_open(&t, 4, false, text_b, 3, o);
    tiny_run(&t, (sm_musicgen_request){ .frames = 8, .sampling.greedy = true });
    expect_logits(&t, golden, "out.logits_cond_alone", 0, 0, bound);
    expect_codes(&t, golden, "out.codes_alone", 0);
    free(t.logits);
    t.logits = NULL;
    t.n_condition = 5; /* the original's batch pads a text with rows of zeros, which take attention: two of them */
    tiny_run(&t, (sm_musicgen_request){ .frames = 8, .sampling.greedy = true });
    expect_logits(&t, golden, "out.logits_cond", 1, 0, bound);
    expect_logits(&t, golden, "out.logits_uncond", 1, 1, bound);
    expect_codes(&t, golden, "out.codes", 1);
    tiny_close(&t);
    sm_weights_close(golden);
}

static void a_text_alone_and_padded_is_the_originals(void **state)
{
    (void)state;
    each_way(batch);
}

static void prompted(const sm_musicgen_options *o, double bound)
{
    sm_weights *golden = test_golden_open(DATA "lm_tiny_prompt.safetensors");
    int32_t prefix[16];
    nn_tensor p;
    tiny t;
    test_ok(sm_weights_get(golden, "in.prompt", NULL, &p));
    for (int i = 0; i < 16; i++)
        prefix[i] = (int32_t)((const int64_t *)p.data)[i];
    tiny_open(&t, 4, false, text_a, 5, o);
    tiny_run(&t, (sm_musicgen_request){ .frames = 10, .sampling.greedy = true, .prefix = prefix, .n_prefix = 4 });
    expect_logits(&t, golden, "out.logits_cond", 0, 0, bound);
    expect_logits(&t, golden, "out.logits_uncond", 0, 1, bound);
    expect_codes(&t, golden, "out.codes", 0);
    tiny_close(&t);
    sm_weights_close(golden);
}

static void continuations_are_the_originals(void **state)
{
    (void)state;
    each_way(prompted);
}

static void stereo(const sm_musicgen_options *o, double bound)
{
    sm_weights *golden = test_golden_open(DATA "lm_tiny_stereo.safetensors");
    tiny t;
    tiny_open(&t, 8, false, text_a, 5, o);
    tiny_run(&t, (sm_musicgen_request){ .frames = 8, .sampling.greedy = true });
    expect_logits(&t, golden, "out.logits_cond", 0, 0, bound);
    expect_logits(&t, golden, "out.logits_uncond", 0, 1, bound);
    expect_codes(&t, golden, "out.codes", 0);
    tiny_close(&t);
    sm_weights_close(golden);
}

static void stereo_models_are_the_originals(void **state)
{
    (void)state;
    each_way(stereo);
}

/* The first `n` samples of the golden's melody. */
static float *melody(size_t n)
{
    sm_weights *golden = test_golden_open(DATA "chroma.safetensors");
    nn_tensor wav;
    float *x = malloc(n * sizeof *x);
    test_ok(sm_weights_get(golden, "in.wav_i16", NULL, &wav));
    for (size_t i = 0; i < n; i++)
        x[i] = (float)((const int16_t *)wav.data)[i] / 32768;
    sm_weights_close(golden);
    return x;
}

static void melodic(const sm_musicgen_options *o, double bound)
{
    static const struct {
        const char *file;
        bool melody;
        double beta;
    } rows[] = { { DATA "lm_tiny_melody.safetensors", true, 0 },
                 { DATA "lm_tiny_nomelody.safetensors", false, 0 },
                 { DATA "lm_tiny_double.safetensors", true, 4 } };
    float *x = melody(40000);
    uint8_t chroma[24];
    test_ok(sm_musicgen_chroma(x, 40000, 24, chroma, NULL, NULL));
    for (size_t i = 0; i < SM_LENGTH(rows); i++) {
        sm_weights *golden = test_golden_open(rows[i].file);
        tiny t;
        tiny_open(&t, 4, true, text_a, 5, o);
        tiny_run(&t, (sm_musicgen_request){ .frames = 8,
                                            .sampling.greedy = true,
                                            .chroma = rows[i].melody ? chroma : NULL,
                                            .guidance_beta = rows[i].beta });
        if (rows[i].beta > 0) {
            for (int r = 0; r < 3; r++)
                expect_logits(&t, golden, "out.logits_rows", r, r, bound);
        } else {
            expect_logits(&t, golden, "out.logits_cond", 0, 0, bound);
            expect_logits(&t, golden, "out.logits_uncond", 0, 1, bound);
        }
        expect_codes(&t, golden, "out.codes", 0);
        tiny_close(&t);
        sm_weights_close(golden);
    }
    free(x);
}

static void melody_models_are_the_originals(void **state)
{
    (void)state;
    each_way(melodic);
}

static void chroma_is_the_originals(void **state)
{
    sm_weights *golden = test_golden_open(DATA "chroma.safetensors");
    float *x = melody(96000), *raw, zero = 0;
    uint8_t class[24];
    size_t n;
    nn_tensor want;
    (void)state;
    test_ok(sm_musicgen_chroma(x, 96000, 24, class, &raw, &n));
    assert_int_equal(n, 24);
    test_within(raw, golden, "out.chroma", 24 * 12, 2e-5, "chroma");
    test_ok(sm_weights_get(golden, "out.argmax", NULL, &want));
    for (int i = 0; i < 24; i++)
        assert_int_equal(class[i], ((const int64_t *)want.data)[i]);
    sm_free(raw);
    test_ok(sm_musicgen_chroma(x, 5000, 5, class, &raw, &n));
    assert_int_equal(n, 5);
    sm_free(raw);
    test_ok(sm_weights_get_f32(golden, "out.chroma_short5000", NULL, &want));
    for (int i = 0; i < 5; i++)
        assert_int_equal(((const float *)want.data)[i * 12 + class[i]], 1);
    test_ok(sm_musicgen_chroma(&zero, 1, 24, class, NULL, NULL));
    for (int i = 0; i < 24; i++)
        assert_int_equal(class[i], 0);
    free(x);
    sm_weights_close(golden);
}

static void the_delay_pattern_is_the_originals(void **state)
{
    static const char *const names[] = { "out.mono.sequence", "out.stereo.sequence" };
    sm_weights *golden = test_golden_open(DATA "delay.safetensors");
    (void)state;
    for (int i = 0; i < 2; i++) {
        const sm_musicgen_size s = tiny_size(i ? 8 : 4, false);
        nn_tensor want;
        test_ok(sm_weights_get(golden, names[i], NULL, &want));
        assert_int_equal(sm_musicgen_columns(&s, 10), want.shape.dim[1]);
        for (int k = 0; k < s.codebooks; k++)
            for (int c = 0; c < 14; c++) {
                const int t = sm_musicgen_frame(&s, k, c, 10);
                assert_int_equal(t < 0 ? 2048 : k * 10 + t, ((const int64_t *)want.data)[k * 14 + c]);
            }
    }
    sm_weights_close(golden);
}

static void long_generations_are_cut_into_the_originals_windows(void **state)
{
    json_error_t e;
    json_t *all = json_load_file(DATA "windows.json", 0, &e), *list = json_object_get(all, "cases"), *one;
    size_t i;
    (void)state;
    assert_non_null(all);
    json_array_foreach(list, i, one)
    {
        const double duration = json_number_value(json_object_get(one, "duration")),
                     stride = json_number_value(json_object_get(one, "extend_stride"));
        const json_int_t prompt = json_integer_value(json_object_get(one, "prompt_frames")),
                         melody_n = json_integer_value(json_object_get(one, "melody_samples"));
        const json_t *windows = json_object_get(one, "windows");
        sm_musicgen_window w;
        int n = 0;
        for (; sm_musicgen_window_at(duration, 30, stride, prompt, n, &w); n++) {
            const json_t *want = json_array_get(windows, (size_t)n);
            assert_int_equal(w.prefix, json_integer_value(json_array_get(want, 0)));
            assert_int_equal(w.frames, json_integer_value(json_array_get(want, 1)));
            if (melody_n)
                assert_int_equal(w.melody_start % melody_n, json_integer_value(json_array_get(want, 2)));
        }
        assert_int_equal(n, json_array_size(windows));
    }
    json_decref(all);
}

/* Variations share each read of the weights; alone or together, one or two threads, they are the same tokens. */
static void variations_do_not_depend_on_each_other_nor_on_threads(void **state)
{
    static const uint64_t seeds[] = { 5, 6, 7 };
    int32_t together[3][4 * 12], alone[4 * 12];
    (void)state;
    for (int threads = 1; threads <= 2; threads++) {
        const sm_musicgen_options o = { .threads = threads };
        sm_musicgen_request r = {
            .variations = 3, .seeds = seeds, .frames = 12, .guidance = 3, .sampling = { .top_k = 10, .temperature = 1 }
        };
        tiny t;
        tiny_open(&t, 4, false, text_a, 5, &o);
        r.condition = t.condition;
        r.n_condition = 5;
        int32_t now[3][4 * 12];
        test_ok(sm_musicgen_generate(t.m, &r, now[0]));
        if (threads == 1)
            memcpy(together, now, sizeof now);
        assert_memory_equal(together, now, sizeof now);
        r.variations = 1;
        for (int v = 0; v < 3; v++) {
            r.seeds = &seeds[v];
            test_ok(sm_musicgen_generate(t.m, &r, alone));
            assert_memory_equal(alone, together[v], sizeof alone);
        }
        tiny_close(&t);
    }
    assert_memory_not_equal(together[0], together[1], sizeof together[0]);
}

static void requests_that_make_no_sense_are_refused(void **state)
{
    const sm_musicgen_options o = { 0 };
    uint8_t chroma[24] = { 0 };
    int32_t codes[64], bad[4] = { 0, 0, 32, 0 };
    sm_musicgen_request r = { .variations = 1, .frames = 8, .guidance = 3, .sampling.greedy = true };
    tiny t;
    (void)state;
    tiny_open(&t, 4, false, text_a, 5, &o);
    r.frames = 0;
    test_fails(sm_musicgen_generate(t.m, &r, codes), SM_EUSAGE, "0 frames");
    r.frames = 1501;
    test_fails(sm_musicgen_generate(t.m, &r, codes), SM_EUSAGE, "1501");
    r.frames = 8;
    r.chroma = chroma;
    test_fails(sm_musicgen_generate(t.m, &r, codes), SM_EUSAGE, "melody");
    r.chroma = NULL;
    r.prefix = bad;
    r.n_prefix = 1;
    test_fails(sm_musicgen_generate(t.m, &r, codes), SM_EUSAGE, "32");
    r.n_prefix = 0;
    r.variations = 99;
    test_fails(sm_musicgen_generate(t.m, &r, codes), SM_EUSAGE, "99");
    tiny_close(&t);
}

/* ---- weights of 8 bits ---- */

/* Of each step of a greedy golden run, from the golden's own past: what the rounded model would choose. */
typedef struct {
    const int64_t *codes; /* the golden's [books][frames] */
    sm_musicgen_size size;
    int frames, known, column, equal, all; /* known: frames that no model chose */
} rounded;

enum { ENOUGH = -1000 /* no code of the library's */ };

static int choose_rounded(void *user, int step, const float *logits, int rows)
{
    rounded *r = user;
    const int card = r->size.card;
    assert_int_equal(step, 0);
    assert_int_equal(rows, 2);
    for (int k = 0; k < r->size.codebooks; k++) {
        const float *c = logits + k * card, *n = c + r->size.codebooks * card;
        const int t = sm_musicgen_frame(&r->size, k, r->column, r->frames);
        int best = 0;
        for (int i = 1; i < card; i++)
            if (n[i] + 3 * (c[i] - n[i]) > n[best] + 3 * (c[best] - n[best]))
                best = i;
        if (t >= r->known) {
            r->equal += best == r->codes[k * r->frames + t];
            r->all++;
        }
    }
    return ENOUGH;
}

/* base: the golden's request; codes: the golden's [1, books, frames]. */
static void compare_rounded(sm_musicgen *m, const sm_musicgen_request *base, const nn_tensor *codes, rounded *r)
{
    sm_musicgen_request q = *base;
    int32_t prefix[512], out[512];
    r->size = *sm_musicgen_size_in(m);
    r->codes = codes->data;
    r->frames = q.frames;
    r->known = q.n_prefix;
    assert_true(r->size.codebooks * q.frames <= 512);
    q.variations = 1;
    q.guidance = 3;
    q.sampling.greedy = true;
    q.watch = choose_rounded;
    q.user = r;
    q.prefix = prefix;
    for (int t = base->n_prefix; t < q.frames; t++) {
        for (int k = 0; k < r->size.codebooks; k++)
            for (int i = 0; i < t; i++)
                prefix[k * t + i] = (int32_t)r->codes[k * q.frames + i];
        q.n_prefix = t;
        r->column = t + 1;
        assert_int_equal(sm_musicgen_generate(m, &q, out), ENOUGH);
    }
}

/* What 8 bits may cost, by the issue of weights of 8 bits: a token of twenty. */
static void expect_rounded(const char *name, const rounded *r)
{
    print_message("%s: %d of %d tokens\n", name, r->equal, r->all);
    assert_true(r->all > 0 && r->equal >= 0.95 * r->all);
}

static void weights_of_8_bits_choose_the_originals_tokens(void **state)
{
    static const struct {
        const char *file;
        int books, frames, known;
        bool melody, heard;
    } rows[] = { { DATA "lm_tiny_greedy.safetensors", 4, 12, 0, false, false },
                 { DATA "lm_tiny_prompt.safetensors", 4, 10, 4, false, false },
                 { DATA "lm_tiny_stereo.safetensors", 8, 8, 0, false, false },
                 { DATA "lm_tiny_melody.safetensors", 4, 8, 0, true, true },
                 { DATA "lm_tiny_nomelody.safetensors", 4, 8, 0, true, false } };
    const sm_musicgen_options o = { .precision = NN_PRECISION_INT8 };
    float *x = melody(40000);
    uint8_t chroma[24];
    rounded r = { 0 };
    (void)state;
    if (!test_backend_there("onednn"))
        test_skip("no fast backend");
    test_ok(sm_musicgen_chroma(x, 40000, 24, chroma, NULL, NULL));
    for (size_t i = 0; i < SM_LENGTH(rows); i++) {
        sm_weights *golden = test_golden_open(rows[i].file);
        nn_tensor codes;
        tiny t;
        tiny_open(&t, rows[i].books, rows[i].melody, text_a, 5, &o);
        test_ok(sm_weights_get(golden, "out.codes", NULL, &codes));
        const sm_musicgen_request q = { .condition = t.condition,
                                        .n_condition = 5,
                                        .frames = rows[i].frames,
                                        .n_prefix = rows[i].known,
                                        .chroma = rows[i].heard ? chroma : NULL };
        compare_rounded(t.m, &q, &codes, &r);
        print_message("%s: %d of %d so far\n", rows[i].file, r.equal, r.all);
        tiny_close(&t);
        sm_weights_close(golden);
    }
    expect_rounded("8 bits, small networks", &r);
    free(x);
}

/* ---- the official size ---- */

typedef struct {
    sm_weights *golden;
    sm_musicgen *m;
    int compared;
} official;

/* Traces of layers [2, 1, 1024] in steps 0, 1 and 7, and of both rows' logits in steps 0 to 7. */
static int compare(void *user, int step, const float *logits, int rows)
{
    official *o = user;
    char name[160];
    assert_int_equal(rows, 2);
    for (int i = 0; i < 24; i++) {
        const char *tap;
        nn_tensor t;
        test_ok(sm_musicgen_tap(o->m, i, &tap, &t));
        snprintf(name, sizeof name, "step%d.%s.values", step, tap);
        if (!sm_weights_has(o->golden, name))
            continue;
        sm_named got = { .tensor = t };
        snprintf(got.name, sizeof got.name, "step%d.%s", step, tap);
        o->compared += test_golden_compare(o->golden, &got, 1, NULL, 1e-4, tap);
    }
    for (int row = 0; row < 2; row++) {
        sm_named got = {
            .tensor = { .type = NN_F32, .shape = NN_SHAPE(4, 2048), .data = logits + row * 8192, .scale_axis = -1 }
        };
        snprintf(got.name, sizeof got.name, "step%d.logits_%s", step, row ? "uncond" : "cond");
        snprintf(name, sizeof name, "%s.values", got.name);
        if (sm_weights_has(o->golden, name))
            o->compared += test_golden_compare(o->golden, &got, 1, NULL, 1e-4, got.name);
    }
    return 0;
}

static void the_official_size_is_the_originals(void **state)
{
    sm_musicgen_size size = { .width = 1024,
                              .heads = 16,
                              .hidden = 4096,
                              .layers = 24,
                              .codebooks = 4,
                              .card = 2048,
                              .text_width = 768,
                              .delays = { 0, 1, 2, 3 },
                              .window_s = 30 };
    const sm_musicgen_options options = { .size = &size, .exact_cache = true, .taps = true };
    float *hidden = malloc(5376 * sizeof *hidden), *condition = malloc((size_t)7 * 1024 * sizeof *condition);
    official o = { .golden = test_golden_open(DATA "lm_small_full.safetensors") };
    int32_t codes[64];
    sm_weights *w;
    nn_tensor want;
    (void)state;
    if (!test_backend_there("onednn"))
        test_skip("no fast backend");
    test_fill(hidden, 5376, "in.text_hidden", 0, 0, 1);
    for (int i = 0; i < 5376; i++)
        hidden[i] *= 0.3f;
    test_ok(sm_weights_generated(0, rule, &w));
    test_ok(sm_musicgen_open(w, &options, &o.m));
    test_ok(sm_musicgen_project(o.m, hidden, 7, condition));
    const sm_musicgen_request r = { .condition = condition,
                                    .n_condition = 7,
                                    .variations = 1,
                                    .frames = 16,
                                    .guidance = 3,
                                    .sampling.greedy = true,
                                    .watch = compare,
                                    .user = &o };
    test_ok(sm_musicgen_generate(o.m, &r, codes));
    assert_int_equal(o.compared, 72 + 16);
    print_message("%d traces compared\n", o.compared);
    test_ok(sm_weights_get(o.golden, "out.codes", NULL, &want));
    for (int i = 0; i < 64; i++)
        assert_int_equal(codes[i], ((const int64_t *)want.data)[i]);
    sm_musicgen_free(o.m);

    const sm_musicgen_options bits = { .size = &size, .precision = NN_PRECISION_INT8, .threads = 2 };
    const sm_musicgen_request q = { .condition = condition, .n_condition = 7, .frames = 16 };
    rounded eight = { 0 };
    test_ok(sm_musicgen_open(w, &bits, &o.m));
    compare_rounded(o.m, &q, &want, &eight);
    expect_rounded("8 bits, official size", &eight);
    sm_musicgen_free(o.m);
    sm_weights_close(w);
    sm_weights_close(o.golden);
    free(hidden);
    free(condition);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(greedy_runs_are_the_originals),
        cmocka_unit_test(recorded_draws_give_the_originals_tokens),
        cmocka_unit_test(a_text_alone_and_padded_is_the_originals),
        cmocka_unit_test(continuations_are_the_originals),
        cmocka_unit_test(stereo_models_are_the_originals),
        cmocka_unit_test(melody_models_are_the_originals),
        cmocka_unit_test(chroma_is_the_originals),
        cmocka_unit_test(the_delay_pattern_is_the_originals),
        cmocka_unit_test(long_generations_are_cut_into_the_originals_windows),
        cmocka_unit_test(variations_do_not_depend_on_each_other_nor_on_threads),
        cmocka_unit_test(weights_of_8_bits_choose_the_originals_tokens),
        cmocka_unit_test(requests_that_make_no_sense_are_refused),
        cmocka_unit_test(the_official_size_is_the_originals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
