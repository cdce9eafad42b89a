/* The dataset's file: what is put in comes out, what is known stays, a person's word stands, and bad files are refused. */
#include "support/support.h"

#include <math.h>
#include <signal.h>
#include <sqlite3.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "train/dataset.h"

static sm_dataset *made(const test_place *place)
{
    sm_dataset *d = NULL;
    test_ok(sm_dataset_open(place->path, SM_DATASET_CREATE, &d));
    return d;
}

static int64_t put(sm_dataset *d, const char *path, const char *label, const char *licence, const char *split)
{
    sm_item i;
    sm_item_init(&i);
    i.root = "/sounds", i.path = path;
    i.label = label, i.label_from = label ? "name" : NULL, i.confidence = label ? 0.8 : 0;
    i.licence = licence, i.split = split;
    test_ok(sm_dataset_put(d, &i));
    return i.id;
}

static int64_t count(sm_dataset *d, const sm_dataset_filter *f)
{
    int64_t n = -1;
    test_ok(sm_dataset_count(d, f, &n));
    return n;
}

static void an_item_comes_back_as_it_was_put(void **state)
{
    sm_dataset *d = made(*state);
    sm_arena *a = sm_arena_new();
    sm_item in = { .root = "/sounds",
                   .path = "Kicks/808 \"long\" \xc3\xa9.wav",
                   .label = "kick",
                   .label_from = "folder",
                   .confidence = 0.75,
                   .family = "TR-808",
                   .source = "a pack",
                   .licence = "CC-BY-3.0",
                   .attribution = "by somebody",
                   .url = "https://example.org/1",
                   .original_name = "BD.wav",
                   .sha256 = "ab",
                   .bytes = (int64_t)5 << 32,
                   .mtime_s = 1700000000.25,
                   .duration_s = 0.5,
                   .rate_hz = 44100,
                   .channels = 2,
                   .split = "val",
                   .split_given = true,
                   .random_split = "train",
                   .genre = "house",
                   .mood = "dark",
                   .energy = 7.5,
                   .pitch_midi = 36.5,
                   .brightness = 12,
                   .extra = "{\"decay_s\":0.4}" };
    sm_item out;
    test_ok(sm_dataset_put(d, &in));
    test_ok(sm_dataset_find(d, in.root, in.path, a, &out));
    assert_int_equal(out.id, in.id);
    assert_string_equal(out.label, "kick");
    assert_string_equal(out.path, in.path);
    assert_string_equal(out.attribution, in.attribution);
    assert_string_equal(out.extra, in.extra);
    assert_true(out.bytes == in.bytes && out.mtime_s == in.mtime_s && out.energy == 7.5 && out.pitch_midi == 36.5);
    assert_true(out.rate_hz == 44100 && out.channels == 2 && out.split_given && !out.verified &&
                out.confidence == 0.75);

    /* what a second put does not know stays; what it knows is new */
    sm_item again;
    sm_item_init(&again);
    again.root = in.root, again.path = in.path, again.duration_s = 0.6;
    test_ok(sm_dataset_put(d, &again));
    test_ok(sm_dataset_get(d, in.id, a, &out));
    assert_int_equal(again.id, in.id);
    assert_true(out.duration_s == 0.6 && out.energy == 7.5 && out.confidence == 0.75);
    assert_string_equal(out.label, "kick");
    sm_arena_free(a);
    sm_dataset_close(d);
}

static void what_is_not_known_stays_unknown(void **state)
{
    sm_dataset *d = made(*state);
    sm_arena *a = sm_arena_new();
    sm_item out;
    const int64_t id = put(d, "a.wav", NULL, NULL, NULL);
    test_ok(sm_dataset_get(d, id, a, &out));
    assert_null(out.label);
    assert_null(out.licence);
    assert_true(isnan(out.energy) && isnan(out.mtime_s) && out.bytes == 0 && out.twin_of == 0);
    test_fails(sm_dataset_get(d, id + 1, a, &out), SM_ENOTFOUND, "has no item 2");
    test_fails(sm_dataset_find(d, "/sounds", "b.wav", a, &out), SM_ENOTFOUND, "/sounds/b.wav");
    sm_arena_free(a);
    sm_dataset_close(d);
}

static void a_persons_word_stands_until_it_is_undone(void **state)
{
    sm_dataset *d = made(*state);
    sm_arena *a = sm_arena_new();
    sm_item before, now;
    const int64_t id = put(d, "a.wav", "snare", NULL, NULL);
    test_ok(sm_dataset_get(d, id, a, &before));
    test_ok(sm_dataset_decide(d, id, "clap", false, "verify"));
    put(d, "a.wav", "kick", NULL, NULL); /* an import that thinks otherwise */
    test_ok(sm_dataset_get(d, id, a, &now));
    assert_string_equal(now.label, "clap");
    assert_string_equal(now.label_from, "user");
    assert_true(now.verified && now.confidence == 1);
    test_ok(sm_dataset_decide(d, id, NULL, true, "verify"));
    assert_int_equal(count(d, NULL), 0);
    assert_int_equal(count(d, &(sm_dataset_filter){ .rejected = 1 }), 1);
    test_ok(sm_dataset_restore(d, &before));
    test_ok(sm_dataset_get(d, id, a, &now));
    assert_string_equal(now.label, "snare");
    assert_true(!now.verified && !now.rejected && now.confidence == 0.8);
    test_fails(sm_dataset_decide(d, 77, "kick", false, "verify"), SM_ENOTFOUND, "no item 77");
    sm_arena_free(a);
    sm_dataset_close(d);
}

static void filters_choose_by_lists_of_patterns(void **state)
{
    sm_dataset *d = made(*state);
    put(d, "a/1.wav", "kick", "CC0", "train");
    put(d, "a/2.wav", "snare", "CC-BY-3.0", "train");
    put(d, "b/3[x].wav", "kick", "GPL-2.0+ / CC-BY-SA", "val");
    put(d, "b/4.wav", NULL, NULL, NULL);
    static const struct {
        sm_dataset_filter filter;
        int expected;
    } rows[] = {
        { { 0 }, 4 },
        { { .split = "train" }, 2 },
        { { .split = "none" }, 1 },
        { { .split = "train", .by_random_split = true }, 0 },
        { { .labels = "KICK" }, 2 },
        { { .labels = "kick,snare" }, 3 },
        { { .labels = "-kick" }, 2 },
        { { .licences = "CC0, CC-BY*" }, 2 },
        { { .licences = "*CC-BY*,-*gpl*" }, 1 },
        { { .licences = "-*GPL*" }, 3 },
        { { .licences = "C?0" }, 1 },
        { { .licences = "*" }, 4 },
        { { .licences = "?*" }, 3 },
        { { .paths = "*/b/*" }, 2 },
        { { .paths = "*3[x]*" }, 1 },
        { { .labelled = 1 }, 3 },
        { { .labelled = -1 }, 1 },
        { { .verified = 1 }, 0 },
        { { .verified = -1 }, 4 },
        { { .confidence_at_most = 0.5 }, 1 },
        { { .labels = "k';DROP TABLE items--" }, 0 },
    };
    for (size_t i = 0; i < SM_LENGTH(rows); i++)
        if (count(d, &rows[i].filter) != rows[i].expected)
            fail_msg("row %zu: %d; expected %d", i, (int)count(d, &rows[i].filter), rows[i].expected);
    sm_dataset_close(d);
}

static int stop_at_third(void *user, const sm_item *item)
{
    int64_t *last = user;
    assert_true(item->id > *last);
    *last = item->id;
    return item->id == 3 ? 42 : 0;
}

static void each_goes_by_id_and_stops_when_told(void **state)
{
    sm_dataset *d = made(*state);
    int64_t last = 0;
    for (int i = 0; i < 5; i++) {
        char name[16];
        snprintf(name, sizeof name, "%d.wav", 9 - i);
        put(d, name, NULL, NULL, NULL);
    }
    assert_int_equal(sm_dataset_each(d, NULL, stop_at_third, &last), 42);
    assert_int_equal(last, 3);
    sm_dataset_close(d);
}

static void nonsense_is_refused(void **state)
{
    sm_dataset *d = made(*state);
    sm_item i;
    sm_item_init(&i);
    test_fails(sm_dataset_put(d, &i), SM_EUSAGE, "root and a path");
    i.root = "/", i.path = "x.wav", i.label = "kick";
    test_fails(sm_dataset_put(d, &i), SM_EUSAGE, "where it comes from");
    i.label_from = "csv", i.confidence = 1.5;
    test_fails(sm_dataset_put(d, &i), SM_EUSAGE, "confidence of 1.5");
    i.confidence = (double)NAN;
    test_fails(sm_dataset_put(d, &i), SM_EUSAGE, "confidence");
    i.confidence = 1, i.split = "validation";
    test_fails(sm_dataset_put(d, &i), SM_EUSAGE, "\"validation\"");
    sm_dataset_close(d);
}

static void proposals_are_kept_by_model_and_never_become_the_label(void **state)
{
    sm_dataset *d = made(*state);
    sm_arena *a = sm_arena_new();
    sm_proposal *list = NULL;
    size_t n = 0;
    sm_item item;
    const int64_t id = put(d, "a.wav", NULL, NULL, NULL);
    test_ok(sm_dataset_propose(d, &(sm_proposal){ id, "yamnet", "kick", 0.4, "[[\"kick\",0.4]]" }));
    test_ok(sm_dataset_propose(d, &(sm_proposal){ id, "own", "tom", 0.6, NULL }));
    test_ok(sm_dataset_propose(d, &(sm_proposal){ id, "yamnet", "snare", 0.5, NULL }));
    test_ok(sm_dataset_proposals(d, id, a, &list, &n));
    assert_int_equal(n, 2);
    assert_string_equal(list[0].model, "own");
    assert_string_equal(list[1].label, "snare");
    test_ok(sm_dataset_get(d, id, a, &item));
    assert_null(item.label);
    test_ok(sm_dataset_remove(d, id)); /* takes its proposals along */
    test_ok(sm_dataset_proposals(d, id, a, &list, &n));
    assert_int_equal(n, 0);
    sm_arena_free(a);
    sm_dataset_close(d);
}

static void a_reader_may_not_write_and_another_file_is_refused(void **state)
{
    test_place *place = *state;
    sm_dataset *d = NULL;
    test_fails(sm_dataset_open(place->path, SM_DATASET_READ, &d), SM_ENOTFOUND, "no such dataset");
    assert_null(d);
    d = made(place);
    put(d, "a.wav", "kick", NULL, NULL);
    sm_dataset_close(d);
    test_ok(sm_dataset_open(place->path, SM_DATASET_READ, &d));
    assert_int_equal(count(d, NULL), 1);
    test_fails(sm_dataset_remove(d, 1), SM_EIO, "reading only");
    test_fails(sm_dataset_begin(d), SM_EIO, "reading only");
    sm_dataset_close(d);

    test_write_file(place->path, "this is no database at all, but long enough to look like one, or so it seems", 77);
    test_fails(sm_dataset_open(place->path, SM_DATASET_WRITE, &d), SM_EFORMAT, "not a dataset");
    unlink(place->path);
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(place->path, &db), SQLITE_OK);
    sqlite3_exec(db, "CREATE TABLE x (y)", NULL, NULL, NULL);
    sqlite3_close(db);
    test_fails(sm_dataset_open(place->path, SM_DATASET_CREATE, &d), SM_EFORMAT, "another program's");
}

static void a_newer_version_is_refused(void **state)
{
    test_place *place = *state;
    sm_dataset *d = made(place);
    sqlite3 *db = NULL;
    sm_dataset_close(d);
    assert_int_equal(sqlite3_open(place->path, &db), SQLITE_OK);
    sqlite3_exec(db, "PRAGMA user_version = 99", NULL, NULL, NULL);
    sqlite3_close(db);
    test_fails(sm_dataset_open(place->path, SM_DATASET_WRITE, &d), SM_EFORMAT, "version 99");
}

/* A child that dies in the middle of a transaction leaves what was committed before, and nothing else. */
static void a_kill_loses_what_was_not_committed_and_nothing_else(void **state)
{
    test_place *place = *state;
    sm_dataset *d = NULL;
    const pid_t child = fork();
    if (child == 0) {
        sm_item i;
        sm_item_init(&i);
        i.root = "/s";
        if (sm_dataset_open(place->path, SM_DATASET_CREATE, &d) < 0)
            _exit(1);
        for (int k = 0; k < 30; k++) {
            char name[16];
            snprintf(name, sizeof name, "%d.wav", k);
            i.path = name;
            if ((k % 10 == 0 && sm_dataset_begin(d) < 0) || sm_dataset_put(d, &i) < 0)
                _exit(1);
            if (k % 10 == 9 && k < 25 && sm_dataset_commit(d) < 0)
                _exit(1);
        }
        kill(getpid(), SIGKILL);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    test_ok(sm_dataset_open(place->path, SM_DATASET_WRITE, &d));
    assert_int_equal(count(d, NULL), 20);
    put(d, "more.wav", NULL, NULL, NULL);
    sm_dataset_close(d);
}

/* A limit on the size of files stands for a disk that fills up: what was committed before is there afterwards. */
static void a_full_disk_is_an_error_in_words_and_loses_nothing(void **state)
{
    test_place *place = *state;
    sm_dataset *d = made(place);
    struct rlimit before, low;
    sm_item i;
    int err = 0, done = 0;
    sm_item_init(&i);
    i.root = "/s";
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    low = before;
    low.rlim_cur = 1000000;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
    for (; err == 0 && done < 10000; done += err == 0) {
        char name[32];
        snprintf(name, sizeof name, "%d.wav", done);
        i.path = name;
        err = sm_dataset_put(d, &i);
    }
    setrlimit(RLIMIT_FSIZE, &before);
    signal(SIGXFSZ, SIG_DFL);
    assert_int_equal(err, SM_EIO);
    assert_non_null(strstr(sm_last_error(), "cannot write to it"));
    sm_dataset_close(d);
    d = made(place);
    assert_int_equal(count(d, NULL), done);
    assert_true(done > 20);
    sm_dataset_close(d);
    test_fails(sm_dataset_open("/proc/nowhere/x.dataset", SM_DATASET_CREATE, &d), SM_EIO, "/proc/nowhere");
}

static int open_put_list(void *user)
{
    const test_place *place = user;
    sm_dataset *d = NULL;
    sm_arena *a = sm_arena_new();
    sm_item i, *list = NULL;
    size_t n = 0;
    sm_item_init(&i);
    i.root = "/s", i.path = "a.wav", i.label = "kick", i.label_from = "name";
    int err = a ? sm_dataset_open(place->path, SM_DATASET_CREATE, &d) : SM_ENOMEM;
    if (err == 0)
        err = sm_dataset_put(d, &i);
    if (err == 0)
        err = sm_dataset_list(d, &(sm_dataset_filter){ .labels = "k*", .licences = "-x" }, a, &list, &n);
    sm_dataset_close(d);
    sm_arena_free(a);
    return err;
}

static void every_allocation_may_fail(void **state)
{
    test_every_allocation_may_fail(open_put_list, *state);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, test_place_make, test_place_remove)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_item_comes_back_as_it_was_put),
        TEST(what_is_not_known_stays_unknown),
        TEST(a_persons_word_stands_until_it_is_undone),
        TEST(filters_choose_by_lists_of_patterns),
        TEST(each_goes_by_id_and_stops_when_told),
        TEST(nonsense_is_refused),
        TEST(proposals_are_kept_by_model_and_never_become_the_label),
        TEST(a_reader_may_not_write_and_another_file_is_refused),
        TEST(a_newer_version_is_refused),
        TEST(a_kill_loses_what_was_not_committed_and_nothing_else),
        TEST(a_full_disk_is_an_error_in_words_and_loses_nothing),
        TEST(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
