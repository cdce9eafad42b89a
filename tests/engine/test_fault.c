/* Memory that runs out while analyze works: every one of the first allocations and a sample of the later ones fails once. What comes
 * back is SM_ENOMEM or a whole record; nothing crashes, and nothing is left. */
#include "engine/engine_support.h"

#include <unistd.h>

enum { EACH = 200, SAMPLED = 100 };

typedef struct {
    const char *home, *models, *path;
    bool failed_models; /* out: a model was left out of the record, for want of memory of a library's own */
} work;

/* Opens an engine and analyses one file. */
static int analyze(void *user)
{
    work *w = user;
    sm_options o;
    sm_engine *e = NULL;
    sm_record *r = NULL;
    sm_options_init(&o);
    o.home = w->home;
    o.models = w->models;
    o.jobs = 1;
    int err = sm_engine_open(&o, &e);
    if (err == 0)
        err = sm_analyze_file(e, w->path, &r);
    if (err == 0) {
        json_t *root = json_loads(sm_record_json(r), JSON_REJECT_DUPLICATES, NULL);
        assert_non_null(root);
        assert_true(json_is_number(json_object_get(root, "duration_s")));
        w->failed_models = sm_record_failures(r) > 0;
        json_decref(root);
    } else {
        assert_null(r);
    }
    sm_record_free(r);
    sm_engine_close(e);
    return err;
}

/* Fails allocation k of the work; false: there were fewer. */
static bool fail_one(work *w, long k)
{
    const long before = sm_test_allocations_alive();
    w->failed_models = false;
    sm_test_fail_allocation(k);
    const int err = analyze(w);
    const bool failed = sm_test_allocation_failed();
    sm_test_fail_allocation(-1);
    if (sm_test_allocations_alive() != before)
        fail_msg("allocation %ld failed: %ld blocks are left", k, sm_test_allocations_alive() - before);
    if (err != 0 && err != SM_ENOMEM)
        fail_msg("allocation %ld failed: %s \"%s\"; expected SM_ENOMEM or a record", k, sm_code_name(err),
                 sm_last_error());
    if (err == SM_ENOMEM && !strstr(sm_last_error(), "memory"))
        fail_msg("allocation %ld failed: \"%s\" does not speak of memory", k, sm_last_error());
    if (err == 0 && w->failed_models)
        fail_msg("allocation %ld failed: a model is told as failed instead of SM_ENOMEM", k);
    return failed;
}

static long count(work *w)
{
    const long before = sm_test_allocations_made();
    test_ok(analyze(w));
    return sm_test_allocations_made() - before;
}

static void fail_many(work *w, int each, int sampled)
{
    test_ok(analyze(w)); /* what is made once a process is made now */
    const long n = count(w);
    const uint64_t hash = sm_unit_hash("faults", 7);
    int hit = 0;
    for (long k = 0; k < each && k < n; k++)
        hit += fail_one(w, k);
    for (int i = 0; i < sampled && n > each; i++)
        hit += fail_one(w, each + (long)((sm_unit(hash, (uint64_t)i) + 1) / 2 * (double)(n - each)));
    print_message("%ld allocations, %d of them failed\n", n, hit);
    assert_true(hit >= SM_MIN(each, n) * 9 / 10);
}

/* Every allocation, without a model. */
static void a_sound_without_models_survives_any_failed_allocation(void **state)
{
    work w = { .home = "/nonexistent", .models = "", .path = "examples/hihat.wav" };
    (void)state;
    fail_many(&w, EACH, 2 * SAMPLED);
}

static void a_compressed_file_survives_any_failed_allocation(void **state)
{
    work w = { .home = "/nonexistent", .models = "", .path = "examples/melody_c_major.mp3" };
    (void)state;
    fail_many(&w, EACH / 4, SAMPLED / 4);
}

static void a_sound_with_models_survives_any_failed_allocation(void **state)
{
    const test_place *place = *state;
    work w = { .home = place->folder, .models = "yamnet,crepe-tiny", .path = "examples/hihat.wav" };
    test_install(place->folder, "yamnet", "");
    test_install(place->folder, "crepe-tiny", "");
    fail_many(&w, EACH, SAMPLED);
}

static void a_file_that_cannot_be_read_survives_any_failed_allocation(void **state)
{
    (void)state;
    sm_engine *e = test_engine("/nonexistent", "", 1);
    for (long k = 0;; k++) {
        sm_record *r = NULL;
        const long before = sm_test_allocations_alive();
        sm_test_fail_allocation(k);
        const int err = sm_analyze_file(e, "Makefile", &r);
        const bool failed = sm_test_allocation_failed();
        sm_test_fail_allocation(-1);
        assert_null(r);
        assert_int_equal(sm_test_allocations_alive(), before);
        if (err != SM_ENOMEM && err != SM_EFORMAT)
            fail_msg("allocation %ld failed: %s \"%s\"", k, sm_code_name(err), sm_last_error());
        if (!failed)
            break;
    }
    sm_engine_close(e);
}

static int keep_none(void *user, size_t index, sm_record *r, int err)
{
    (void)user, (void)index, (void)err;
    sm_record_free(r);
    return 0;
}

/* On two threads which allocation fails is a matter of luck; that nothing is left is not. */
static void many_files_on_two_threads_leave_nothing_behind(void **state)
{
    static const char *const paths[] = { "examples/hihat.wav", "examples/silence.wav", "Makefile",
                                         "examples/kick.wav",  "no/such.wav",          "examples/hihat.wav" };
    (void)state;
    sm_engine *e = test_engine("/nonexistent", "", 2);
    const long first = sm_test_allocations_made();
    test_ok(sm_analyze_files(e, paths, SM_LENGTH(paths), keep_none, NULL, NULL));
    const long n = sm_test_allocations_made() - first;
    const long before = sm_test_allocations_alive();
    for (long k = 0; k < n; k += SM_MAX(n / 60, 1)) {
        sm_test_fail_allocation(k);
        const int err = sm_analyze_files(e, paths, SM_LENGTH(paths), keep_none, NULL, NULL);
        sm_test_fail_allocation(-1);
        if (err != 0 && err != SM_ENOMEM)
            fail_msg("allocation %ld failed: %s \"%s\"", k, sm_code_name(err), sm_last_error());
    }
    sm_engine_close(e);
    e = NULL;
    assert_true(sm_test_allocations_alive() < before); /* the engine's own are gone too */
}

static int registry(void *user)
{
    const char *home = user;
    sm_installed i = { 0 };
    const sm_model *m = NULL;
    int err = sm_model_named("yamnet", &m);
    if (err == 0)
        err = sm_installed_read(home, m, &i);
    sm_installed_free(&i);
    return err;
}

static int walking(void *user)
{
    sm_strings files = { 0 }, problems = { 0 };
    const int err = sm_walk(user, &files, &problems);
    sm_strings_free(&files);
    sm_strings_free(&problems);
    return err;
}

static void the_registry_and_the_walk_survive_any_failed_allocation(void **state)
{
    test_place *place = *state;
    char folder[] = "examples";
    test_install(place->folder, "yamnet", "");
    test_every_allocation_may_fail(registry, place->folder);
    test_every_allocation_may_fail(walking, folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sound_without_models_survives_any_failed_allocation),
        cmocka_unit_test(a_compressed_file_survives_any_failed_allocation),
        cmocka_unit_test_setup_teardown(a_sound_with_models_survives_any_failed_allocation, test_place_make,
                                        test_place_remove),
        cmocka_unit_test(a_file_that_cannot_be_read_survives_any_failed_allocation),
        cmocka_unit_test(many_files_on_two_threads_leave_nothing_behind),
        cmocka_unit_test_setup_teardown(the_registry_and_the_walk_survive_any_failed_allocation, test_place_make,
                                        test_place_remove),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
