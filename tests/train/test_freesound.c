/* Freesound against a stand-in of its API: pages, licences, "too many requests", a download that breaks, going on. */
#include "support/http_server.h"

#include <stdlib.h>
#include <string.h>

#include "train/freesound.h"

#define SEARCH "/freesound.org/apiv2/search/text/?query=rim%20shot"
#define FIELDS "&fields=id,name,tags,license,username,url,type,previews&sort=created_asc&page_size=50&page="
#define CC0    "\"http://creativecommons.org/publicdomain/zero/1.0/\""
#define BY     "\"https://creativecommons.org/licenses/by/4.0/\""
#define BY_NC  "\"https://creativecommons.org/licenses/by-nc/3.0/\""
#define SOUND(id, name, licence, user)                                                                                 \
    "{\"id\":" #id ",\"name\":\"" name "\",\"tags\":[\"drum\"],\"license\":" licence ",\"username\":\"" user           \
    "\",\"url\":\"https://freesound.org/s/1/\",\"type\":\"wav\",\"previews\":{\"preview-hq-ogg\":"                     \
    "\"https://cdn.freesound.org/previews/" #id ".ogg\"}}"

static const char page_1[] = "{\"count\":5,\"next\":\"https://freesound.org/x?page=2\",\"results\":[" SOUND(
    11, "Rim Shot (dry).wav", CC0, "ann") "," SOUND(12, "../../etc/thing", BY, "bob") "," SOUND(13, "rim nc", BY_NC,
                                                                                                "cy") "]}";
static const char page_2[] =
    "{\"count\":5,\"next\":null,\"results\":[" SOUND(14, "snare 2", BY, "ann") "," SOUND(15, "gone", CC0, "ann") "]}";

enum { PAGE_1, PAGE_2, SOUND_11, SOUND_12, SOUND_14, FILES };

typedef struct {
    test_place place;
    sm_dataset *d;
    test_http_server *server;
    test_http_file files[FILES];
    char wav[2][9000];
    size_t length;
    char folder[160];
    sm_freesound_options options;
    int problems;
} fixture;

static void count_problem(void *user, const char *path, const char *reason)
{
    fixture *f = user;
    assert_true(*path && *reason);
    f->problems++;
}

/* A short wav: a stand-in for a preview (what a file is, its content says). */
static size_t make_wav(char *out, size_t room, unsigned seed)
{
    const uint32_t n = 2000, rate = 16000;
    const uint32_t words[] = { 36 + 2 * n, 16, 1 | 1u << 16, rate, 2 * rate, 2 | 16u << 16, 2 * n };
    assert_true(room >= 44 + 2 * n);
    memcpy(out, "RIFF....WAVEfmt ................data....", 40);
    memcpy(out + 4, &words[0], 4);
    memcpy(out + 16, &words[1], 20);
    memcpy(out + 36, "data", 4);
    memcpy(out + 40, &words[6], 4);
    for (uint32_t i = 0; i < n; i++) {
        const int16_t x = (int16_t)(8000 * sm_unit(seed, i));
        memcpy(out + 44 + 2 * i, &x, 2);
    }
    return 44 + 2 * n;
}

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    void *place = NULL;
    assert_non_null(f);
    test_place_make(&place);
    f->place = *(test_place *)place;
    test_place_remove(&place);
    assert_int_equal(sm_make_directories(f->place.folder), 0);
    snprintf(f->folder, sizeof f->folder, "%s/sounds", f->place.folder);
    f->length = make_wav(f->wav[0], sizeof f->wav[0], 1);
    make_wav(f->wav[1], sizeof f->wav[1], 2);
    f->files[PAGE_1] =
        (test_http_file){ .path = SEARCH FIELDS "1", .body = page_1, .length = strlen(page_1), .wants_token = true };
    f->files[PAGE_2] =
        (test_http_file){ .path = SEARCH FIELDS "2", .body = page_2, .length = strlen(page_2), .wants_token = true };
    f->files[SOUND_11] =
        (test_http_file){ .path = "/cdn.freesound.org/previews/11.ogg", .body = f->wav[0], .length = f->length };
    f->files[SOUND_12] =
        (test_http_file){ .path = "/cdn.freesound.org/previews/12.ogg", .body = f->wav[1], .length = f->length };
    f->files[SOUND_14] =
        (test_http_file){ .path = "/cdn.freesound.org/previews/14.ogg", .body = f->wav[0], .length = f->length };
    f->server = test_http_start(f->files, FILES);
    test_ok(sm_dataset_open(f->place.path, SM_DATASET_CREATE, &f->d));
    f->options = (sm_freesound_options){ .work = { .jobs = 1, .problem = count_problem, .user = f },
                                         .token = "secret",
                                         .query = "rim shot",
                                         .folder = f->folder,
                                         .mirror = test_http_url(f->server),
                                         .request_gap_s = 0.01,
                                         .retry_wait_s = 0.01 };
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    sm_dataset_close(f->d);
    test_http_stop(f->server);
    test_folder_remove(f->place.folder);
    free(f);
    return 0;
}

static void all_pages_come_with_licence_author_and_label(void **state)
{
    fixture *f = *state;
    sm_freesound_result r;
    sm_arena *a = sm_arena_new();
    sm_item *items = NULL;
    size_t n = 0;
    test_ok(sm_dataset_freesound(f->d, &f->options, &r));
    assert_int_equal(r.found, 5);
    assert_int_equal(r.items.added, 3);
    assert_int_equal(r.refused, 1);      /* NC is not among what is taken */
    assert_int_equal(r.items.broken, 1); /* 15 is not on the server */
    assert_int_equal(f->problems, 1);
    assert_int_equal(r.requests, 2);
    test_ok(sm_dataset_list(f->d, NULL, a, &items, &n));
    assert_int_equal(n, 3);
    assert_string_equal(items[0].path, "11_Rim_Shot_dry_.ogg");
    assert_string_equal(items[0].label, "rim");
    assert_string_equal(items[0].licence, "CC0");
    assert_string_equal(items[0].family, "freesound ann");
    assert_string_equal(items[0].url, "https://freesound.org/s/11/");
    /* a name cannot leave the folder */
    assert_null(strchr(items[1].path, '/'));
    assert_string_equal(items[1].licence, "CC-BY-4.0");
    assert_string_equal(items[1].attribution, "\"../../etc/thing\" by bob");
    assert_null(items[1].label);
    assert_string_equal(items[2].label, "snare");
    sm_arena_free(a);
}

static void a_second_run_fetches_nothing_again(void **state)
{
    fixture *f = *state;
    sm_freesound_result r;
    test_ok(sm_dataset_freesound(f->d, &f->options, &r));
    const int before = f->files[SOUND_11].requests;
    test_ok(sm_dataset_freesound(f->d, &f->options, &r));
    assert_int_equal(r.items.added, 0);
    assert_int_equal(r.items.unchanged, 3);
    assert_int_equal(f->files[SOUND_11].requests, before);
}

static void too_many_requests_are_waited_for_as_long_as_the_server_says(void **state)
{
    fixture *f = *state;
    sm_freesound_result r;
    f->files[PAGE_1].wants_token = false;
    f->files[PAGE_1].status = 429;
    f->files[PAGE_1].status_times = 1;
    f->files[PAGE_1].status_header = "Retry-After: 1\r\n";
    const double began = sm_now_s();
    test_ok(sm_dataset_freesound(f->d, &f->options, &r));
    assert_true(sm_now_s() - began >= 1);
    assert_int_equal(r.items.added, 3);
    assert_int_equal(r.requests, 3);
}

static void a_download_that_breaks_off_is_gone_on_with(void **state)
{
    fixture *f = *state;
    sm_freesound_result r;
    f->files[SOUND_12].break_after = 1000;
    f->files[SOUND_12].breaks = 1;
    test_ok(sm_dataset_freesound(f->d, &f->options, &r));
    assert_int_equal(r.items.added, 3);
    assert_int_equal(f->files[SOUND_12].ranged, 1);
}

static void a_run_that_fails_goes_on_at_its_page(void **state)
{
    fixture *f = *state;
    sm_freesound_result r;
    f->files[PAGE_2].wants_token = false;
    f->files[PAGE_2].status = 500;
    f->files[PAGE_2].status_times = 5;
    test_fails(sm_dataset_freesound(f->d, &f->options, &r), SM_EIO, "answered 500");
    assert_int_equal(r.items.added, 2); /* the first page is there */
    const int pages = f->files[PAGE_1].requests;
    test_ok(sm_dataset_freesound(f->d, &f->options, &r));
    assert_int_equal(f->files[PAGE_1].requests, pages);
    assert_int_equal(r.items.added, 1);
}

static void a_number_of_sounds_ends_it_and_the_next_run_has_the_rest(void **state)
{
    fixture *f = *state;
    sm_freesound_result r;
    f->options.most = 1;
    test_ok(sm_dataset_freesound(f->d, &f->options, &r));
    assert_int_equal(r.items.added, 1);
    assert_true(r.more);
    f->options.most = 0;
    test_ok(sm_dataset_freesound(f->d, &f->options, &r));
    assert_int_equal(r.items.added, 2);
}

static void the_days_requests_are_counted_over_runs(void **state)
{
    fixture *f = *state;
    sm_freesound_result r;
    f->options.requests_a_day = 3;
    test_ok(sm_dataset_freesound(f->d, &f->options, &r));
    test_fails(sm_dataset_freesound(f->d, &f->options, &r), SM_ELIMIT, "tomorrow");
}

static void what_is_wrong_is_said(void **state)
{
    fixture *f = *state;
    sm_freesound_result r;
    f->options.token = NULL;
    test_fails(sm_dataset_freesound(f->d, &f->options, &r), SM_EUSAGE, "token");
    f->options.token = "secret";
    f->options.label = "kik";
    test_fails(sm_dataset_freesound(f->d, &f->options, &r), SM_EUSAGE, "did you mean \"kick\"");
    f->options.label = NULL;
    f->files[PAGE_1].wants_token = false;
    f->files[PAGE_1].status = 401;
    test_fails(sm_dataset_freesound(f->d, &f->options, &r), SM_EUNSUPPORTED, "token is refused");
    f->files[PAGE_1].status = 0;
    f->files[PAGE_1].body = "<html>";
    f->files[PAGE_1].length = 6;
    test_fails(sm_dataset_freesound(f->d, &f->options, &r), SM_EFORMAT, "no JSON");
    f->files[PAGE_1].body = "{}";
    f->files[PAGE_1].length = 2;
    test_fails(sm_dataset_freesound(f->d, &f->options, &r), SM_EFORMAT, "\"results\"");
}

static void licences_have_short_names(void **state)
{
    static const struct {
        const char *url, *name;
    } rows[] = { { "http://creativecommons.org/publicdomain/zero/1.0/", "CC0" },
                 { "https://creativecommons.org/licenses/by/4.0/", "CC-BY-4.0" },
                 { "http://creativecommons.org/licenses/by/3.0/", "CC-BY-3.0" },
                 { "http://creativecommons.org/licenses/by-nc/3.0/", "CC-BY-NC-3.0" },
                 { "http://creativecommons.org/licenses/sampling+/1.0/", "Sampling+" },
                 { "something else", "something else" } };
    char name[64];
    (void)state;
    for (size_t i = 0; i < SM_LENGTH(rows); i++) {
        sm_freesound_licence(rows[i].url, name);
        assert_string_equal(name, rows[i].name);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(all_pages_come_with_licence_author_and_label),
        TEST(a_second_run_fetches_nothing_again),
        TEST(too_many_requests_are_waited_for_as_long_as_the_server_says),
        TEST(a_download_that_breaks_off_is_gone_on_with),
        TEST(a_run_that_fails_goes_on_at_its_page),
        TEST(a_number_of_sounds_ends_it_and_the_next_run_has_the_rest),
        TEST(the_days_requests_are_counted_over_runs),
        TEST(what_is_wrong_is_said),
        cmocka_unit_test(licences_have_short_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
