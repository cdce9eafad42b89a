/* What the engine's tests share: a data folder of made-up models, engines over it, records as JSON, and sounds. */
#ifndef SM_TEST_ENGINE_SUPPORT_H
#define SM_TEST_ENGINE_SUPPORT_H

#include "support/support.h"

#include <jansson.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/engine.h"

/* Converts made-up weights of an official size into FOLDER/models/NAME.safetensors, as `models import` would. */
static inline void test_install(const char *home, const char *name, const char *variant)
{
    const sm_model *m = sm_model_find(name);
    sm_weights *w = NULL;
    char folder[256];
    assert_non_null(m);
    snprintf(folder, sizeof folder, "%s/models", home);
    test_ok(sm_make_directories(folder));
    char *path = sm_installed_path(home, name);
    test_ok(sm_weights_generated(5, m->generated, &w));
    test_ok(sm_model_convert(m, w, variant, NULL, "0123456789abcdef0123456789abcdef", path));
    sm_weights_close(w);
    sm_free(path);
}

static inline sm_engine *test_engine(const char *home, const char *models, int jobs)
{
    sm_options o;
    sm_engine *e = NULL;
    sm_options_init(&o);
    o.home = home;
    o.models = models;
    o.jobs = jobs;
    test_ok(sm_engine_open(&o, &e));
    return e;
}

/* Keys that stand twice are an error, and so is a number that JSON does not have. The caller's: json_decref. */
static inline json_t *test_json(const sm_record *r)
{
    json_error_t error;
    json_t *root = json_loads(sm_record_json(r), JSON_REJECT_DUPLICATES, &error);
    if (!root)
        fail_msg("%s: %s in %s", sm_record_path(r), error.text, sm_record_json(r));
    return root;
}

static inline json_t *test_analyzed(sm_engine *e, const char *path)
{
    sm_record *r = NULL;
    test_ok(sm_analyze_file(e, path, &r));
    json_t *root = test_json(r);
    sm_record_free(r);
    return root;
}

static inline double test_number(const json_t *root, const char *field)
{
    const json_t *v = json_object_get(root, field);
    if (!v)
        fail_msg("%s: no field %s", json_string_value(json_object_get(root, "path")), field);
    return json_is_number(v) ? json_number_value(v) : NAN;
}

static inline void test_near(const json_t *root, const char *field, double truth, double bound)
{
    const double got = test_number(root, field);
    if (!(fabs(got - truth) <= bound))
        fail_msg("%s: %s is %.6g, expected %.6g within %g", json_string_value(json_object_get(root, "path")), field,
                 got, truth, bound);
}

static inline void test_is_text(const json_t *root, const char *field, const char *truth)
{
    const json_t *v = json_object_get(root, field);
    const char *got = json_string_value(v);
    if (!v || !truth != !got || (truth && strcmp(got, truth) != 0))
        fail_msg("%s: %s is %s, expected %s", json_string_value(json_object_get(root, "path")), field,
                 got ? got : "null", truth ? truth : "null");
}

static inline void test_is_null(const json_t *root, const char *field)
{
    if (!json_is_null(json_object_get(root, field)))
        fail_msg("%s: %s should be null", json_string_value(json_object_get(root, "path")), field);
}

/* The reason with which `what` stands in `failed`; NULL: it does not. */
static inline const char *test_failed_reason(const json_t *root, const char *what)
{
    const json_t *failed = json_object_get(root, "failed");
    for (size_t i = 0; i < json_array_size(failed); i++) {
        const json_t *f = json_array_get(failed, i);
        if (!strcmp(json_string_value(json_object_get(f, "what")), what))
            return json_string_value(json_object_get(f, "reason"));
    }
    return NULL;
}

/* A sine on all channels; the caller's: sm_free. */
static inline float *test_sine(double hz, double seconds, int rate, int channels, double amplitude)
{
    const size_t n = (size_t)llround(seconds * rate);
    float *x = sm_alloc(n * (size_t)channels + 1, sizeof *x);
    for (size_t i = 0; i < n; i++)
        for (int c = 0; c < channels; c++)
            x[i * (size_t)channels + (size_t)c] = (float)(amplitude * sin(2 * M_PI * hz * (double)i / rate));
    return x;
}

static inline void test_write_wav(const char *path, const float *x, size_t frames, int rate, int channels)
{
    const sm_audio_write_options o = { .rate_hz = rate, .channels = channels };
    sm_audio_writer *w = NULL;
    test_ok(sm_audio_writer_open(path, &o, &w));
    test_ok(sm_audio_writer_write(w, x, frames));
    test_ok(sm_audio_writer_commit(w));
}

#endif
