/* Models that come, stay and go: import, pin, verify, remove, and a whole pull from a server on loopback. */
#include "engine/engine_support.h"

#include <unistd.h>

#include "support/http_server.h"
#include "support/protobuf_out.h"

#define YAMNET "/storage.googleapis.com/audioset/yamnet.h5"
#define HEAD   "/essentia.upf.edu/models/classification-heads/timbre/timbre-discogs-effnet-1"

static const char *in(const test_place *place, const char *name)
{
    static char path[4][256];
    static int turn;
    char *p = path[turn++ % 4];
    snprintf(p, sizeof path[0], "%s/%s", place->folder, name);
    return p;
}

/* A file of made-up weights that is recognised as `name`. */
static void made_up(const char *path, const char *name, uint64_t seed)
{
    const sm_model *m = sm_model_find(name);
    sm_weights *w = NULL;
    test_ok(sm_weights_generated(seed, m->generated, &w));
    test_ok(sm_model_convert(m, w, "", NULL, "00", path));
    sm_weights_close(w);
}

static void a_file_is_recognised_converted_and_pinned(void **state)
{
    const test_place *place = *state;
    const sm_model *m = NULL, *yamnet = sm_model_find("yamnet");
    sm_installed i = { 0 };
    char hash[65];
    made_up(in(place, "whatever.bin"), "yamnet", 1);
    test_fails(sm_installed_read(place->folder, yamnet, &i), SM_ENOTFOUND, "samplemind models pull yamnet");
    test_ok(sm_models_import(place->folder, in(place, "whatever.bin"), false, &m, NULL));
    assert_ptr_equal(m, yamnet);
    test_ok(sm_installed_read(place->folder, m, &i));
    assert_string_equal(i.path, in(place, "models/yamnet.safetensors"));
    assert_true(i.bytes > 10000000); /* 3.7 million weights of 4 bytes */
    test_ok(sm_hash_file(SM_HASH_SHA256, in(place, "whatever.bin"), hash));
    assert_string_equal(i.source_sha256, hash);
    test_ok(sm_hash_file(SM_HASH_SHA256, i.path, hash));
    assert_string_equal(i.file_sha256, hash);
    sm_installed_free(&i);
    test_ok(sm_models_verify(place->folder, m));
    /* the same again is no other file */
    test_ok(sm_models_import(place->folder, in(place, "whatever.bin"), false, &m, NULL));
}

static void another_file_than_the_pinned_one_is_only_taken_on_purpose(void **state)
{
    const test_place *place = *state;
    const sm_model *m = NULL;
    char first[65], second[65];
    made_up(in(place, "a"), "crepe-tiny", 1);
    made_up(in(place, "b"), "crepe-tiny", 2);
    test_ok(sm_models_import(place->folder, in(place, "a"), false, &m, NULL));
    test_ok(sm_hash_file(SM_HASH_SHA256, in(place, "models/crepe-tiny.safetensors"), first));
    test_fails(sm_models_import(place->folder, in(place, "b"), false, &m, NULL), SM_EFORMAT, "--force");
    test_ok(sm_hash_file(SM_HASH_SHA256, in(place, "models/crepe-tiny.safetensors"), second));
    assert_string_equal(first, second); /* the old one stays */
    test_ok(sm_models_import(place->folder, in(place, "b"), true, &m, NULL));
    test_ok(sm_hash_file(SM_HASH_SHA256, in(place, "models/crepe-tiny.safetensors"), second));
    assert_string_not_equal(first, second);
    test_ok(sm_models_verify(place->folder, m));
}

static void a_changed_file_does_not_verify(void **state)
{
    const test_place *place = *state;
    const sm_model *m = NULL;
    made_up(in(place, "a"), "crepe-tiny", 1);
    test_ok(sm_models_import(place->folder, in(place, "a"), false, &m, NULL));
    FILE *f = fopen(in(place, "models/crepe-tiny.safetensors"), "r+b");
    fseek(f, -100, SEEK_END);
    fputc('x', f); /* one weight of half a million */
    fclose(f);
    test_fails(sm_models_verify(place->folder, m), SM_EFORMAT, "has changed since it was imported");
    assert_non_null(strstr(sm_last_error(), "models pull --force crepe-tiny"));
    test_write_file(in(place, "models/crepe-tiny.pin"), "what?", 5);
    test_fails(sm_models_verify(place->folder, m), SM_EFORMAT, "crepe-tiny.pin");
    test_ok(sm_models_remove(place->folder, m));
    assert_int_not_equal(access(in(place, "models/crepe-tiny.safetensors"), F_OK), 0);
    assert_int_not_equal(access(in(place, "models/crepe-tiny.pin"), F_OK), 0);
    test_fails(sm_models_remove(place->folder, m), SM_ENOTFOUND, "crepe-tiny: is not installed");
    test_fails(sm_models_verify(place->folder, m), SM_ENOTFOUND, "not installed");
}

static void what_is_no_model_leaves_nothing_behind(void **state)
{
    const test_place *place = *state;
    const sm_model *m = NULL;
    test_write_file(in(place, "letter"), "Dear all,\n", 10);
    assert_true(sm_models_import(place->folder, in(place, "letter"), false, &m, NULL) < 0);
    assert_non_null(strstr(sm_last_error(), "letter"));
    assert_null(m);
    /* weights, but of nobody */
    test_fails(sm_models_import(place->folder, "tests/data/weights/types.safetensors", false, &m, NULL), SM_ENOTFOUND,
               "types.safetensors");
    test_fails(sm_models_import(place->folder, in(place, "none"), false, &m, NULL), SM_ENOTFOUND, "none");
    assert_int_not_equal(access(in(place, "models"), F_OK), 0);
}

static void a_name_that_no_model_has_gets_the_nearest(void **state)
{
    const sm_model *m = NULL;
    (void)state;
    test_fails(sm_model_named("crepe-tinny", &m), SM_EUSAGE, "did you mean \"crepe-tiny\"");
    test_fails(sm_model_named("zzzzzzzzzzzz", &m), SM_EUSAGE, "models list");
    test_ok(sm_model_named("msd-musicnn-1", &m)); /* the publisher's name */
    assert_string_equal(m->name, "musicnn");
}

/* ---- pull ---- */

static void a_model_is_pulled_resumed_and_installed(void **state)
{
    const test_place *place = *state;
    const sm_model *yamnet = sm_model_find("yamnet");
    sm_buffer body = { 0 };
    made_up(in(place, "official"), "yamnet", 3);
    test_ok(sm_file_read(in(place, "official"), 100 << 20, &body));
    test_http_file file = {
        .path = YAMNET, .body = body.data, .length = body.length, .break_after = body.length / 2, .breaks = 1
    };
    test_http_server *server = test_http_start(&file, 1);
    sm_pull_options o = { .mirror = test_http_url(server), .retry_wait_s = 0.001 };
    test_ok(sm_models_pull(place->folder, yamnet, &o));
    assert_int_equal(file.requests, 2);
    assert_int_equal(file.ranged, 1);
    test_ok(sm_models_verify(place->folder, yamnet));
    assert_int_not_equal(access(in(place, "downloads/yamnet.h5"), F_OK), 0); /* it is converted; the original goes */
    test_ok(sm_models_pull(place->folder, yamnet, &o));                      /* is here: nothing is fetched */
    assert_int_equal(file.requests, 2);
    o.replace = true;
    test_ok(sm_models_pull(place->folder, yamnet, &o));
    assert_int_equal(file.requests, 3);
    test_http_stop(server);
    sm_buffer_free(&body);
}

static void a_pull_that_breaks_off_goes_on_the_next_time(void **state)
{
    const test_place *place = *state;
    const sm_model *yamnet = sm_model_find("yamnet");
    sm_buffer body = { 0 };
    made_up(in(place, "official"), "yamnet", 3);
    test_ok(sm_file_read(in(place, "official"), 100 << 20, &body));
    test_http_file file = {
        .path = YAMNET, .body = body.data, .length = body.length, .break_after = 500000, .breaks = 5
    };
    test_http_server *server = test_http_start(&file, 1);
    const sm_pull_options o = { .mirror = test_http_url(server), .retry_wait_s = 0.001 };
    test_fails(sm_models_pull(place->folder, yamnet, &o), SM_EIO, "yamnet");
    assert_int_equal(access(in(place, "downloads/yamnet.h5.part"), F_OK), 0);
    assert_int_not_equal(access(in(place, "models/yamnet.safetensors"), F_OK), 0);
    test_ok(sm_models_pull(place->folder, yamnet, &o));
    test_ok(sm_models_verify(place->folder, yamnet));
    test_http_stop(server);
    sm_buffer_free(&body);
}

static void the_file_of_another_model_is_refused(void **state)
{
    const test_place *place = *state;
    const sm_model *yamnet = sm_model_find("yamnet");
    sm_buffer body = { 0 };
    made_up(in(place, "official"), "crepe-tiny", 3);
    test_ok(sm_file_read(in(place, "official"), 100 << 20, &body));
    test_http_file file = { .path = YAMNET, .body = body.data, .length = body.length };
    test_http_server *server = test_http_start(&file, 1);
    const sm_pull_options o = { .mirror = test_http_url(server), .retry_wait_s = 0.001 };
    test_fails(sm_models_pull(place->folder, yamnet, &o), SM_EFORMAT, "holds the model crepe-tiny");
    assert_int_not_equal(access(in(place, "models/yamnet.safetensors"), F_OK), 0);
    assert_int_not_equal(access(in(place, "models/crepe-tiny.safetensors"), F_OK), 0); /* nobody asked for it */
    file.body = "<html>Sign in</html>";
    file.length = 20;
    assert_true(sm_models_pull(place->folder, yamnet, &o) < 0);
    assert_non_null(strstr(sm_last_error(), "yamnet"));
    assert_int_not_equal(access(in(place, "models/yamnet.safetensors"), F_OK), 0);
    assert_int_not_equal(access(in(place, "downloads/yamnet.h5"), F_OK), 0); /* not in the way of the next try */
    file.status = 404;
    test_fails(sm_models_pull(place->folder, yamnet, &o), SM_ENOTFOUND, "yamnet");
    test_http_stop(server);
    sm_buffer_free(&body);
}

/* A head comes with the .json that names its classes, which stay with it. */
static void a_card_is_pulled_with_its_model(void **state)
{
    static const char json[] =
        "{\"name\": \"timbre\", \"type\": \"classifier\", \"link\": "
        "\"https://essentia.upf.edu/models/classification-heads/timbre/timbre-discogs-effnet-1.onnx\","
        "\"classes\": [\"glassy\", \"woolly\"], \"schema\": {\"inputs\": [{\"name\": \"model/Placeholder\"}],"
        "\"outputs\": [{\"name\": \"model/Softmax\", \"output_purpose\": \"predictions\"}]}}";
    const test_place *place = *state;
    const sm_model *timbre = sm_model_find("timbre");
    sm_buffer graph = { 0 }, onnx = { 0 };
    float w[1280 * 2];
    assert_non_null(timbre);
    test_fill(w, SM_LENGTH(w), "w", 1, 0, 0.1);
    onnx_input(&graph, "model/Placeholder", (const int64_t[]){ -1, 1280 }, 2);
    onnx_floats(&graph, "w", (const int64_t[]){ 1280, 2 }, 2, w);
    onnx_node(&graph, "MatMul", "model/Placeholder w", "logits", "");
    onnx_node(&graph, "Softmax", "logits", "model/Softmax", "axis=1");
    onnx_output(&graph, "model/Softmax", (const int64_t[]){ -1, 2 }, 2);
    onnx_model(&graph, 13, &onnx);
    test_http_file files[] = { { .path = HEAD ".onnx", .body = onnx.data, .length = onnx.length },
                               { .path = HEAD ".json", .body = json, .length = sizeof json - 1 } };
    test_http_server *server = test_http_start(files, 2);
    const sm_pull_options o = { .mirror = test_http_url(server), .retry_wait_s = 0.001 };
    test_ok(sm_models_pull(place->folder, timbre, &o));
    assert_int_equal(files[0].requests, 1);
    assert_int_equal(files[1].requests, 1);
    sm_weights *converted = NULL;
    sm_card *card = NULL;
    const sm_model *m = NULL;
    char variant[32];
    test_ok(sm_model_open_file(in(place, "models/timbre.safetensors"), &converted, &card, &m, variant));
    assert_ptr_equal(m, timbre);
    assert_non_null(card);
    assert_int_equal(card->n_classes, 2);
    assert_string_equal(card->classes[1], "woolly");
    sm_card_free(card);
    sm_weights_close(converted);
    test_http_stop(server);
    sm_buffer_free(&onnx);
}

static int import_it(void *user)
{
    const test_place *place = user;
    const sm_model *m = NULL;
    return sm_models_import(place->folder, in(place, "a"), true, &m, NULL);
}

static void an_import_survives_any_failed_allocation(void **state)
{
    test_place *place = *state;
    const sm_model *m = NULL;
    made_up(in(place, "a"), "crepe-tiny", 1);
    const long before = sm_test_allocations_made();
    test_ok(import_it(place));
    const long n = sm_test_allocations_made() - before;
    for (long k = 0; k < n; k += SM_MAX(n / 50, 1)) { /* each writes 2 MB: a sample */
        const long alive = sm_test_allocations_alive();
        sm_test_fail_allocation(k);
        const int err = import_it(place);
        sm_test_fail_allocation(-1);
        if (err != SM_ENOMEM || sm_test_allocations_alive() != alive)
            fail_msg("allocation %ld of %ld: %s \"%s\", %ld blocks left", k, n, sm_code_name(err), sm_last_error(),
                     sm_test_allocations_alive() - alive);
    }
    test_ok(sm_model_named("crepe-tiny", &m));
    test_ok(sm_models_verify(place->folder, m)); /* what was there stays whole */
}

int main(void)
{
#define AT_A_PLACE(test) cmocka_unit_test_setup_teardown(test, test_place_make, test_place_remove)
    const struct CMUnitTest tests[] = {
        AT_A_PLACE(a_file_is_recognised_converted_and_pinned),
        AT_A_PLACE(another_file_than_the_pinned_one_is_only_taken_on_purpose),
        AT_A_PLACE(a_changed_file_does_not_verify),
        AT_A_PLACE(what_is_no_model_leaves_nothing_behind),
        cmocka_unit_test(a_name_that_no_model_has_gets_the_nearest),
        AT_A_PLACE(a_model_is_pulled_resumed_and_installed),
        AT_A_PLACE(a_pull_that_breaks_off_goes_on_the_next_time),
        AT_A_PLACE(the_file_of_another_model_is_refused),
        AT_A_PLACE(a_card_is_pulled_with_its_model),
        AT_A_PLACE(an_import_survives_any_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
