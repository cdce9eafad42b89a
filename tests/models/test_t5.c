/* T5's tokenizer against SentencePiece's answers, its encoder against the original's layers. */
#include "support/model_support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "models/t5.h"

#define DATA "tests/data/models/"

/* ---- tokenizer ---- */

/* The next number or string of the little JSON that holds the cases; enough for a file of our own. */
static const char *skip_to(const char *p, const char *key)
{
    p = strstr(p, key);
    return p ? p + strlen(key) : NULL;
}

static const char *read_string(const char *p, char *out, size_t size)
{
    size_t n = 0;
    for (p = strchr(p, '"') + 1; *p && *p != '"'; p++) {
        char c = *p;
        if (c == '\\') {
            c = *++p;
            c = c == 'n' ? '\n' : c == 't' ? '\t' : c;
        }
        assert_true(n + 1 < size);
        out[n++] = c;
    }
    out[n] = 0;
    return p;
}

static void tokens_are_those_of_sentencepiece(void **state)
{
    sm_t5_tokens *t;
    sm_buffer json = { 0 };
    char text[4096];
    int cases = 0;
    (void)state;
    test_ok(sm_t5_tokens_open(DATA "t5_tiny.model", &t));
    test_ok(sm_file_read(DATA "t5_tiny_tokens.json", 1 << 20, &json));
    for (const char *p = json.data; (p = skip_to(p, "\"text\":")); cases++) {
        sm_t5_ids ids;
        p = read_string(p, text, sizeof text);
        test_ok(sm_t5_tokens_encode(t, text, &ids));
        p = skip_to(p, "\"ids\": [");
        for (size_t i = 0; i < ids.n; i++) {
            char *end;
            const long want = strtol(p, &end, 10);
            if (want != ids.ids[i])
                fail_msg("'%s': token %zu is %d, expected %ld", text, i, (int)ids.ids[i], want);
            p = end + strspn(end, ", \n");
        }
        if (*p != ']')
            fail_msg("'%s': too few tokens (%zu)", text, ids.n);
        sm_t5_ids_free(&ids);
    }
    assert_int_equal(cases, 18);
    assert_int_equal(sm_t5_tokens_count(t), 319);
    sm_buffer_free(&json);
    sm_t5_tokens_free(t);
}

static void damaged_tokenizers_are_refused_and_never_crash(void **state)
{
    sm_buffer model = { 0 };
    sm_t5_tokens *t;
    (void)state;
    test_ok(sm_file_read(DATA "t5_tiny.model", 1 << 20, &model));
    test_fails(sm_t5_tokens_open_memory("", 0, "nothing", &t), SM_EFORMAT, "nothing");
    test_fails(sm_t5_tokens_open_memory("RIFF....", 8, "a sound", &t), SM_EFORMAT, "a sound");
    for (size_t i = 0; i < 400; i++) { /* one bit of the file flipped, somewhere in its beginning, its trie, its end */
        const size_t at = i * 7919 % model.length;
        sm_t5_ids ids;
        model.data[at] ^= (char)(1 << i % 8);
        if (sm_t5_tokens_open_memory(model.data, model.length - i % 3, "damaged", &t) == 0) {
            if (sm_t5_tokens_encode(t, "Ｆｕｌｌ loop \xff\xfe at 128 BPM", &ids) == 0)
                sm_t5_ids_free(&ids);
            sm_t5_tokens_free(t);
        }
        model.data[at] ^= (char)(1 << i % 8);
    }
    sm_buffer_free(&model);
}

static int open_and_encode(void *user)
{
    sm_t5_tokens *t;
    sm_t5_ids ids;
    int err = sm_t5_tokens_open(user, &t);
    if (err < 0)
        return err;
    err = sm_t5_tokens_encode(t, "warm house loop", &ids);
    sm_t5_ids_free(&ids);
    sm_t5_tokens_free(t);
    return err;
}

static void every_allocation_of_the_tokenizer_may_fail(void **state)
{
    char path[] = DATA "t5_tiny.model";
    (void)state;
    test_every_allocation_may_fail(open_and_encode, path);
}

/* ---- encoder ---- */

/* MUSICGEN.md, section 12: queries are made so that scores stay small. */
static bool rule(const char *name, const nn_shape *shape, double *offset, double *scale)
{
    if (!sm_text_has_suffix(name, "SelfAttention.q.weight"))
        return false;
    *offset = 0;
    *scale = sqrt(3.0 / (double)shape->dim[1]) / sqrt((double)shape->dim[0] / (shape->dim[1] == 768 ? 12 : 4));
    return true;
}

static void buckets_are_the_originals(void **state)
{
    sm_weights *golden = test_golden_open(DATA "t5_tiny.safetensors");
    nn_tensor t;
    (void)state;
    test_ok(sm_weights_get(golden, "out.buckets_q0", NULL, &t));
    for (int i = 0; i < 601; i++)
        assert_int_equal(sm_t5_bucket(i - 300), ((const int64_t *)t.data)[i]);
    sm_weights_close(golden);
}

/* A padded batch of the original against each of its texts alone: `want`[row] for the real tokens. */
static void tiny_case(const char *path, const sm_t5_size *size, int seed, bool scaled, const char *backend,
                      double bound)
{
    sm_weights *w, *golden = test_golden_open(path);
    const sm_t5_options o = { .backend = backend, .size = size, .taps = true };
    nn_tensor ids, mask, want;
    sm_t5 *t;
    test_ok(sm_weights_generated((uint64_t)seed, scaled ? rule : NULL, &w));
    test_ok(sm_t5_open(w, NULL, &o, &t));
    assert_int_equal(sm_t5_width(t), size->width);
    test_ok(sm_weights_get(golden, "in.ids", NULL, &ids));
    test_ok(sm_weights_get(golden, "in.mask", NULL, &mask));
    test_ok(sm_weights_get_f32(golden, sm_weights_has(golden, "out.final") ? "out.final" : "out.last_hidden_state",
                               NULL, &want));
    const int64_t rows = ids.shape.dim[0], length = ids.shape.dim[1], width = size->width;
    for (int64_t r = 0; r < rows; r++) {
        int32_t list[256];
        float out[128 * 64];
        size_t n = 0;
        while ((int64_t)n < length && ((const int64_t *)mask.data)[r * length + (int64_t)n]) {
            list[n] = (int32_t)((const int64_t *)ids.data)[r * length + (int64_t)n];
            n++;
        }
        if (n == 0)
            continue;
        test_ok(sm_t5_encode(t, list, n, out));
        const double err = test_normalised_error(out, (const float *)want.data + r * length * width, n * (size_t)width);
        if (!(err < bound))
            fail_msg("%s, row %d of %zu tokens on %s: error %g", path, (int)r, n, backend, err);
    }
    sm_t5_free(t);
    sm_weights_close(w);
    sm_weights_close(golden);
}

static void small_encoders_are_the_originals(void **state)
{
    static const sm_t5_size tiny = { 32, 8, 4, 64, 2, 64 }, wide = { 64, 16, 4, 128, 2, 100 };
    static const char *const backends[] = { "ref", "onednn" };
    (void)state;
    for (int b = 0; b < 2; b++)
        if (test_backend_there(backends[b])) {
            tiny_case(DATA "t5_tiny.safetensors", &tiny, 1, true, backends[b], 1e-5);
            tiny_case(DATA "t5_tiny_stable_audio.safetensors", &wide, 0, false, backends[b], 1e-5);
        }
}

/* 110 million made-up numbers: every block against its trace. */
static void the_official_size_is_the_originals(void **state)
{
    static const sm_t5_size base = { 768, 64, 12, 3072, 12, 32128 };
    const sm_t5_options o = { .size = &base, .taps = true };
    sm_weights *w, *golden = test_golden_open(DATA "t5_base_full.safetensors");
    const float *final;
    sm_named got[13];
    nn_tensor ids, mask;
    sm_t5 *t;
    (void)state;
    if (!test_backend_there("onednn"))
        test_skip("no fast backend");
    test_ok(sm_weights_get(golden, "in.ids", NULL, &ids));
    test_ok(sm_weights_get(golden, "in.mask", NULL, &mask));
    int32_t list[32];
    size_t n = 0;
    for (; ((const int64_t *)mask.data)[n]; n++)
        list[n] = (int32_t)((const int64_t *)ids.data)[n];
    assert_int_equal(n, 13);
    test_ok(sm_weights_generated(0, rule, &w));
    test_ok(sm_t5_open(w, NULL, &o, &t));
    float *out = malloc(n * 768 * sizeof *out);
    test_ok(sm_t5_encode(t, list, n, out));
    final = out;
    for (int i = 0; i < 13; i++) {
        const char *name = "final";
        nn_tensor tap = { .type = NN_F32, .data = final, .scale_axis = -1 };
        if (i < 12)
            test_ok(sm_t5_tap(t, i, &name, &tap));
        tap.shape = NN_SHAPE(13, 768);
        snprintf(got[i].name, sizeof got[i].name, "%s", name);
        got[i].tensor = tap;
    }
    assert_int_equal(test_golden_compare(golden, got, 13, NULL, 1e-4, "t5-base"), 13);
    free(out);
    sm_t5_free(t);
    sm_weights_close(w);
    sm_weights_close(golden);
}

static void a_token_outside_of_the_vocabulary_is_refused(void **state)
{
    static const sm_t5_size tiny = { 32, 8, 4, 64, 2, 64 };
    const sm_t5_options o = { .size = &tiny };
    float out[64];
    sm_weights *w;
    sm_t5 *t;
    (void)state;
    test_ok(sm_weights_generated(1, NULL, &w));
    test_ok(sm_t5_open(w, NULL, &o, &t));
    test_fails(sm_t5_encode(t, (int32_t[]){ 64 }, 1, out), SM_EUSAGE, "64");
    test_fails(sm_t5_encode(t, (int32_t[]){ -1 }, 1, out), SM_EUSAGE, "-1");
    test_fails(sm_t5_encode(t, NULL, 0, out), SM_EUSAGE, "tokens");
    sm_t5_free(t);
    sm_weights_close(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokens_are_those_of_sentencepiece),
        cmocka_unit_test(damaged_tokenizers_are_refused_and_never_crash),
        cmocka_unit_test(every_allocation_of_the_tokenizer_may_fail),
        cmocka_unit_test(buckets_are_the_originals),
        cmocka_unit_test(small_encoders_are_the_originals),
        cmocka_unit_test(the_official_size_is_the_originals),
        cmocka_unit_test(a_token_outside_of_the_vocabulary_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
