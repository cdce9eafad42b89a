/* Downloads from a local server that breaks off, lies about sizes and serves the wrong file. */
#include "support/support.h"

#include <string.h>
#include <unistd.h>

#include "engine/download.h"
#include "support/http_server.h"

#define URL  "https://example.org/dir/file.bin"
#define PATH "/example.org/dir/file.bin"
enum { SIZE = 300000 };

/* A place, a body, its hashes, and one file on the server. */
typedef struct {
    test_place place;
    char *body;
    char sha256[65];
    test_http_file file;
    sm_remote_file remote;
    sm_download_options options;
    test_http_server *server;
    void *made;
} fixture;

static int make(void **state)
{
    fixture *f = test_calloc(1, sizeof *f);
    void *place = NULL;
    sm_hasher *h = NULL;
    if (test_place_make(&place) != 0)
        return -1;
    f->made = place;
    f->place = *(test_place *)place;
    f->body = sm_alloc(SIZE, 1);
    for (size_t i = 0; i < SIZE; i++)
        f->body[i] = (char)(i * 2654435761u >> 11);
    test_ok(sm_hasher_new(SM_HASH_SHA256, &h));
    sm_hasher_add(h, f->body, SIZE);
    sm_hasher_hex(h, f->sha256);
    sm_hasher_free(h);
    f->file = (test_http_file){ .path = PATH, .body = f->body, .length = SIZE };
    f->remote = (sm_remote_file){ .name = "thing", .url = URL, .bytes = SIZE, .sha256 = f->sha256 };
    f->server = test_http_start(&f->file, 1);
    f->options = (sm_download_options){ .mirror = test_http_url(f->server), .retry_wait_s = 0.001 };
    *state = f;
    return 0;
}

static int unmake(void **state)
{
    fixture *f = *state;
    void *place = f->made;
    test_http_stop(f->server);
    sm_free(f->body);
    test_free(f);
    return test_place_remove(&place);
}

static char *part_of(const fixture *f)
{
    static char part[160];
    snprintf(part, sizeof part, "%s.part", f->place.path);
    return part;
}

static void expect_whole(const fixture *f)
{
    sm_map *m = NULL;
    test_ok(sm_map_open(f->place.path, &m));
    assert_int_equal(sm_map_size(m), SIZE);
    assert_memory_equal(sm_map_data(m), f->body, SIZE);
    sm_map_close(m);
    assert_int_not_equal(access(part_of(f), F_OK), 0);
}

static void expect_nothing(const fixture *f)
{
    assert_int_not_equal(access(f->place.path, F_OK), 0);
}

static void a_file_comes_whole_from_the_mirror(void **state)
{
    fixture *f = *state;
    test_ok(sm_download(&f->remote, f->place.path, &f->options));
    expect_whole(f);
    assert_int_equal(f->file.requests, 1);
}

static void what_breaks_off_is_resumed(void **state)
{
    fixture *f = *state;
    f->file.break_after = 70000;
    f->file.breaks = 3;
    test_ok(sm_download(&f->remote, f->place.path, &f->options));
    expect_whole(f);
    assert_int_equal(f->file.requests, 4);
    assert_int_equal(f->file.ranged, 3);
}

static void what_breaks_off_for_good_is_gone_on_with_next_time(void **state)
{
    fixture *f = *state;
    f->file.break_after = 30000;
    f->file.breaks = 5;
    test_fails(sm_download(&f->remote, f->place.path, &f->options), SM_EIO, "thing");
    expect_nothing(f);
    assert_int_equal(access(part_of(f), F_OK), 0);
    test_ok(sm_download(&f->remote, f->place.path, &f->options));
    expect_whole(f);
}

static void a_server_without_ranges_starts_over(void **state)
{
    fixture *f = *state;
    f->file.break_after = 100000;
    f->file.breaks = 2;
    f->file.no_ranges = true;
    test_ok(sm_download(&f->remote, f->place.path, &f->options));
    expect_whole(f);
}

static void a_server_that_promises_more_than_it_sends_is_not_believed(void **state)
{
    fixture *f = *state;
    f->file.lie =
        1000; /* the connection ends before the promised length: all the bytes are there, so the next try is content */
    test_ok(sm_download(&f->remote, f->place.path, &f->options));
    expect_whole(f);
    f->remote.bytes = 0; /* not known beforehand: then it can only be called broken off */
    f->remote.sha256 = NULL;
    unlink(f->place.path);
    test_fails(sm_download(&f->remote, f->place.path, &f->options), SM_EIO, "thing");
    expect_nothing(f);
}

static void more_bytes_than_expected_are_refused(void **state)
{
    fixture *f = *state;
    f->remote.bytes = SIZE - 100;
    test_fails(sm_download(&f->remote, f->place.path, &f->options), SM_EFORMAT, "more than the 299900 bytes");
    expect_nothing(f);
    assert_int_not_equal(access(part_of(f), F_OK), 0);
}

static void fewer_bytes_than_expected_are_refused(void **state)
{
    fixture *f = *state;
    f->remote.bytes = SIZE + 100;
    f->remote.sha256 = NULL;
    test_fails(sm_download(&f->remote, f->place.path, &f->options), SM_EFORMAT,
               "has 300000 bytes, the official file has 300100");
    expect_nothing(f);
}

static void the_wrong_file_is_refused(void **state)
{
    fixture *f = *state;
    f->body[1234] ^= 1;
    test_fails(sm_download(&f->remote, f->place.path, &f->options), SM_EFORMAT, "SHA-256");
    expect_nothing(f);
    assert_int_not_equal(access(part_of(f), F_OK), 0);
}

static void a_part_of_another_file_is_fetched_anew(void **state)
{
    fixture *f = *state;
    char *other = sm_alloc_zero(5000, 1);
    test_write_file(part_of(f), other, 5000);
    sm_free(other);
    test_ok(sm_download(&f->remote, f->place.path, &f->options));
    expect_whole(f);
}

static void git_hashes_are_checked_too(void **state)
{
    fixture *f = *state;
    char text[64], hex[65];
    sm_hasher *h = NULL;
    test_ok(sm_hasher_new(SM_HASH_SHA1, &h));
    sm_hasher_add(h, text, (size_t)snprintf(text, sizeof text, "blob %d", SIZE) + 1);
    sm_hasher_add(h, f->body, SIZE);
    sm_hasher_hex(h, hex);
    sm_hasher_free(h);
    f->remote.sha256 = NULL;
    f->remote.git_sha1 = hex;
    test_ok(sm_download(&f->remote, f->place.path, &f->options));
    hex[0] = hex[0] == 'a' ? 'b' : 'a';
    test_fails(sm_remote_file_check(&f->remote, f->place.path), SM_EFORMAT, "git blob");
}

static void a_missing_file_says_404_and_is_not_asked_for_again(void **state)
{
    fixture *f = *state;
    f->file.status = 404;
    test_fails(sm_download(&f->remote, f->place.path, &f->options), SM_ENOTFOUND, "404");
    assert_int_equal(f->file.requests, 1);
}

static void a_busy_server_is_asked_again(void **state)
{
    fixture *f = *state;
    f->file.status = 503;
    f->file.status_times = 2;
    test_ok(sm_download(&f->remote, f->place.path, &f->options));
    assert_int_equal(f->file.requests, 3);
}

static void a_login_is_asked_for_by_its_name(void **state)
{
    fixture *f = *state;
    f->file.wants_token = true;
    test_fails(sm_download(&f->remote, f->place.path, &f->options), SM_EUNSUPPORTED, "HF_TOKEN");
    f->options.hf_token = "secret";
    test_fails(sm_download(&f->remote, f->place.path, &f->options), SM_EUNSUPPORTED,
               "HF_TOKEN"); /* not for that host */
}

static void the_token_goes_to_hugging_face(void **state)
{
    fixture *f = *state;
    f->file.wants_token = true;
    f->file.path = "/huggingface.co/x/file.bin";
    f->remote.url = "https://huggingface.co/x/file.bin";
    f->options.hf_token = "secret";
    test_ok(sm_download(&f->remote, f->place.path, &f->options));
    expect_whole(f);
}

static void plain_http_is_refused_without_a_mirror(void **state)
{
    fixture *f = *state;
    char url[128];
    snprintf(url, sizeof url, "%s%s", test_http_url(f->server), PATH);
    f->remote.url = url;
    f->options.mirror = NULL;
    test_fails(sm_download(&f->remote, f->place.path, &f->options), SM_EIO, "thing");
    assert_int_equal(f->file.requests, 0);
}

static void nobody_there_is_an_error_and_not_a_hang(void **state)
{
    fixture *f = *state;
    f->options.mirror = "http://127.0.0.1:1";
    test_fails(sm_download(&f->remote, f->place.path, &f->options), SM_EIO, "thing");
    expect_nothing(f);
}

static void a_folder_that_is_not_there_is_named(void **state)
{
    fixture *f = *state;
    char path[200];
    snprintf(path, sizeof path, "%s/no/such/file", f->place.folder);
    test_fails(sm_download(&f->remote, path, &f->options), SM_EIO, "/no/such/file.part");
}

static int stop_at_once(void *user, const sm_progress_info *p)
{
    ++*(int *)user;
    assert_string_equal(p->unit, "bytes");
    return 1;
}

static void the_callback_stops_it_and_the_part_stays(void **state)
{
    fixture *f = *state;
    int calls = 0;
    f->options.progress = stop_at_once;
    f->options.user = &calls;
    test_fails(sm_download(&f->remote, f->place.path, &f->options), SM_ECANCELLED, "goes on");
    assert_int_equal(calls, 1);
    expect_nothing(f);
    f->options.progress = NULL;
    test_ok(sm_download(&f->remote, f->place.path, &f->options));
    expect_whole(f);
}

static void mirrors_take_host_and_path(void **state)
{
    char *url = sm_mirror_url("https://a.org/b/c", "http://m/x/");
    (void)state;
    assert_string_equal(url, "http://m/x/a.org/b/c");
    sm_free(url);
    url = sm_mirror_url("https://a.org/b/c", NULL);
    assert_string_equal(url, "https://a.org/b/c");
    sm_free(url);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, make, unmake)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_file_comes_whole_from_the_mirror),
        CASE(what_breaks_off_is_resumed),
        CASE(what_breaks_off_for_good_is_gone_on_with_next_time),
        CASE(a_server_without_ranges_starts_over),
        CASE(a_server_that_promises_more_than_it_sends_is_not_believed),
        CASE(more_bytes_than_expected_are_refused),
        CASE(fewer_bytes_than_expected_are_refused),
        CASE(the_wrong_file_is_refused),
        CASE(a_part_of_another_file_is_fetched_anew),
        CASE(git_hashes_are_checked_too),
        CASE(a_missing_file_says_404_and_is_not_asked_for_again),
        CASE(a_busy_server_is_asked_again),
        CASE(a_login_is_asked_for_by_its_name),
        CASE(the_token_goes_to_hugging_face),
        CASE(plain_http_is_refused_without_a_mirror),
        CASE(nobody_there_is_an_error_and_not_a_hang),
        CASE(a_folder_that_is_not_there_is_named),
        CASE(the_callback_stops_it_and_the_part_stays),
        cmocka_unit_test(mirrors_take_host_and_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
