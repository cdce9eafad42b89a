/* Shared by this folder's tests: opening fixtures, and tensors held against the made-up values they were made from. */
#ifndef SM_TEST_WEIGHTS_FIXTURE_H
#define SM_TEST_WEIGHTS_FIXTURE_H

#include "support/support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "weights/weights.h"

/* Half a unit in the last place below 1: what rounding to these types may cost. */
#define EXACT    0.0
#define HALF_ULP 0x1p-12
#define BF16_ULP 0x1p-9

static inline const char *fixture_path(const char *name)
{
    static char path[512];
    snprintf(path, sizeof path, "tests/data/weights/%s", name);
    return path;
}

static inline sm_weights *fixture_open(const char *name)
{
    sm_weights *w = NULL;
    test_ok(sm_weights_open(fixture_path(name), &w));
    return w;
}

/* Tensor `name` as f32 is `scale * unit(source, i)` within `tolerance`. */
static inline void expect_unit(sm_weights *w, const char *name, nn_shape shape, const char *source, double tolerance)
{
    nn_tensor t;
    test_ok(sm_weights_get_f32(w, name, &shape, &t));
    const size_t n = (size_t)nn_elements(&shape);
    float *expected = malloc((n + 1) * sizeof *expected);
    assert_non_null(expected);
    test_fill(expected, n, source, 0, 0, 1);
    for (size_t i = 0; i < n; i++) {
        const double got = ((const float *)t.data)[i];
        if (!(fabs(got - expected[i]) <= tolerance))
            fail_msg("%s[%zu] is %.9g, expected %.9g within %g", name, i, got, expected[i], tolerance);
    }
    free(expected);
}

/* Tensor `name` as f32 is this list. */
static inline void expect_list(sm_weights *w, const char *name, const float *values, size_t n)
{
    nn_tensor t;
    test_ok(sm_weights_get_f32(w, name, NULL, &t));
    assert_int_equal(nn_elements(&t.shape), n);
    for (size_t i = 0; i < n; i++)
        if (((const float *)t.data)[i] != values[i])
            fail_msg("%s[%zu] is %.9g, expected %.9g", name, i, (double)((const float *)t.data)[i], (double)values[i]);
}
#define expect_values(w, name, ...)                                                                                    \
    expect_list(w, name, (const float[]){ __VA_ARGS__ }, sizeof((const float[]){ __VA_ARGS__ }) / sizeof(float))

static inline void expect_stored(sm_weights *w, const char *name, nn_type type, nn_shape shape)
{
    nn_tensor t;
    char found[96];
    test_ok(sm_weights_get(w, name, &shape, &t));
    if (t.type != type)
        fail_msg("%s is stored as %s %s, expected %s", name, nn_type_name(t.type), nn_shape_text(&t.shape, found),
                 nn_type_name(type));
    assert_int_equal((uintptr_t)t.data % nn_type_size(t.type), 0);
}

static inline void expect_meta(const sm_weights *w, const char *key, const char *value)
{
    const char *got = sm_weights_meta(w, key);
    if (!got || strcmp(got, value) != 0)
        fail_msg("metadata %s is %s, expected %s", key, got ? got : "(none)", value);
}

/* Opening these bytes fails with this code and a message with `part`. The copy is exact, so that a sanitizer sees any excess. */
static inline void expect_refused(const void *data, size_t size, int code, const char *part)
{
    uint8_t *copy = malloc(size ? size : 1);
    sm_weights *w = NULL;
    assert_non_null(copy);
    memcpy(copy, data, size);
    test_fails(sm_weights_open_memory(copy, size, "bytes", &w), code, part);
    assert_null(w);
    assert_int_equal(strncmp(sm_last_error(), "bytes: ", 7), 0);
    free(copy);
}

/* SHA-256 of the f32 values of all tensors in the order of their names. */
static inline void hash_all(sm_weights *w, char out[65])
{
    sm_hasher *h = NULL;
    test_ok(sm_hasher_new(SM_HASH_SHA256, &h));
    const size_t n = sm_weights_count(w);
    const char *last = "";
    for (size_t k = 0; k < n; k++) {
        const char *next = NULL;
        nn_tensor t;
        for (size_t i = 0; i < n; i++) {
            const char *name = sm_weights_name(w, i);
            if (strcmp(name, last) > 0 && (!next || strcmp(name, next) < 0))
                next = name;
        }
        test_ok(sm_weights_get_f32(w, next, NULL, &t));
        sm_hasher_add(h, next, strlen(next));
        sm_hasher_add(h, t.data, (size_t)nn_elements(&t.shape) * sizeof(float));
        last = next;
    }
    sm_hasher_hex(h, out);
    sm_hasher_free(h);
}

#endif
