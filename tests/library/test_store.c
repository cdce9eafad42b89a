/* The store: rows go in and come back, the user's word stays, what is damaged is told. */
#include "support/support.h"

#include <math.h>
#include <sqlite3.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "library/store.h"

static sm_store *fresh(void **state)
{
    const test_place *place = *state;
    sm_store *s = NULL;
    test_ok(sm_store_open(place->folder, SM_STORE_CREATE, &s));
    return s;
}

static const char record[] =
    "{\"path\":\"/a/kick.wav\",\"audio_xxh128\":\"00112233445566778899aabbccddeeff\",\"duration_s\":0.5,"
    "\"bpm\":120,\"key\":\"A minor\",\"loopable\":true,\"kind\":\"loop\",\"loudness_lufs\":null,"
    "\"instrument\":\"kick\",\"instrument_confidence\":0.9,\"failed\":[]}";

static int64_t content_of(sm_store *s, uint8_t first)
{
    sm_content_row c = { .hash = { first }, .pipeline = 1 };
    test_ok(sm_store_content_put(s, &c, record));
    assert_true(c.id > 0);
    return c.id;
}

static int check_is_clean(sm_store *s)
{
    sm_strings problems = { 0 };
    test_ok(sm_store_check(s, &problems));
    for (size_t i = 0; i < problems.length; i++)
        print_message("%s\n", problems.items[i]);
    const int n = (int)problems.length;
    sm_strings_free(&problems);
    return n;
}

typedef struct {
    sm_file_row row;
    char name[64], reason[64];
    int n;
} seen;

static int see(void *user, const sm_file_row *f)
{
    seen *s = user;
    s->row = *f;
    snprintf(s->name, sizeof s->name, "%s", f->name);
    snprintf(s->reason, sizeof s->reason, "%s", f->reason ? f->reason : "");
    s->n++;
    return 0;
}

static void files_are_found_by_id_by_path_by_folder_and_by_content(void **state)
{
    sm_store *s = fresh(state);
    int64_t folder = 0, same = 0, id = 0;
    seen got = { 0 };
    sm_buffer path = { 0 };
    test_ok(sm_store_folder_id(s, "/a/b", true, &folder));
    test_ok(sm_store_folder_id(s, "/a/b", true, &same));
    assert_int_equal(folder, same);
    const sm_file_row f = {
        .folder = folder, .name = "k\xff.wav", .size = 44, .mtime_ns = 1234567890123456789, .added_s = 5
    };
    test_ok(sm_store_file_add(s, &f, &id));
    test_ok(sm_store_file_find(s, "/a/b/k\xff.wav", see, &got));
    assert_int_equal(got.row.id, id);
    assert_int_equal(got.row.mtime_ns, f.mtime_ns);
    assert_int_equal(got.row.state, SM_FILE_LISTED);
    test_ok(sm_store_file_path(s, id, &path));
    assert_string_equal(path.data, "/a/b/k\xff.wav");
    got.row.content = content_of(s, 1);
    got.row.state = SM_FILE_ANALYSED;
    got.row.name = got.name;
    got.row.reason = NULL;
    test_ok(sm_store_file_set(s, &got.row));
    const int64_t content = got.row.content;
    got = (seen){ 0 };
    test_ok(sm_store_files_of(s, content, see, &got));
    assert_int_equal(got.n, 1);
    test_ok(sm_store_file_move(s, id, "/c.wav", &same));
    got = (seen){ 0 };
    test_ok(sm_store_file_find(s, "/c.wav", see, &got));
    assert_int_equal(got.row.content, content);
    test_fails(sm_store_file_get(s, id, see, &got), SM_ENOTFOUND, "no file");
    test_fails(sm_store_file_find(s, "/a/b/k\xff.wav", see, &got), SM_ENOTFOUND, "not in the library");
    assert_int_equal(check_is_clean(s), 0);
    sm_buffer_free(&path);
    sm_store_close(s);
}

static int collect(void *user, int64_t id, const char *path)
{
    (void)id;
    return sm_strings_add(user, path);
}

static void folders_below_a_folder_are_those_and_no_neighbours(void **state)
{
    static const char *const paths[] = { "/a", "/a/b", "/a/b/c", "/a/b c", "/a/b0", "/a/ba", "/" };
    sm_store *s = fresh(state);
    sm_strings list = { 0 };
    int64_t id;
    for (size_t i = 0; i < SM_LENGTH(paths); i++)
        test_ok(sm_store_folder_id(s, paths[i], true, &id));
    test_ok(sm_store_each_folder(s, "/a/b/", collect, &list));
    assert_int_equal(list.length, 2);
    assert_string_equal(list.items[1], "/a/b/c");
    sm_strings_free(&list);
    test_ok(sm_store_each_folder(s, "/", collect, &list));
    assert_int_equal(list.length, SM_LENGTH(paths));
    sm_strings_free(&list);
    sm_store_close(s);
}

static double number_of(sm_store *s, int64_t content, const char *name)
{
    double v;
    test_ok(sm_store_number(s, content, sm_property_find(name), &v));
    return v;
}

static const char *text_of(sm_store *s, int64_t content, const char *name)
{
    const char *v;
    test_ok(sm_store_text(s, content, sm_property_find(name), &v));
    return v;
}

static void a_record_comes_back_and_its_values_are_columns(void **state)
{
    sm_store *s = fresh(state);
    sm_buffer json = { 0 };
    sm_content_row c = { 0 };
    const int64_t id = content_of(s, 7);
    test_ok(sm_store_record(s, id, &json));
    assert_string_equal(json.data, record);
    test_ok(sm_store_content_get(s, id, &c));
    assert_int_equal(c.audio_hash[1], 0x11);
    assert_true(c.duration_s == 0.5);
    assert_true(number_of(s, id, "bpm") == 120);
    assert_true(number_of(s, id, "tempo") == 120); /* by its alias */
    assert_true(number_of(s, id, "loopable") == 1);
    assert_true(isnan(number_of(s, id, "loudness_lufs")));
    assert_string_equal(text_of(s, id, "key"), "A minor");
    assert_null(text_of(s, id, "genre"));
    assert_null(sm_property_find("beat_times_s")); /* lists are no columns */
    test_fails(sm_store_content_put(s, &c, "{}"), SM_EFORMAT, "audio_xxh128");
    test_fails(sm_store_content_put(s, &c, "[1"), SM_EFORMAT, "no JSON");
    assert_int_equal(check_is_clean(s), 0);
    sm_buffer_free(&json);
    sm_store_close(s);
}

static void a_users_word_replaces_the_records_and_stays_through_analysis(void **state)
{
    sm_store *s = fresh(state);
    const int64_t id = content_of(s, 7);
    test_ok(sm_store_correct(s, id, "instrument", "bass"));
    test_ok(sm_store_correct(s, id, "bpm", "60"));
    assert_string_equal(text_of(s, id, "instrument"), "bass");
    assert_int_equal(content_of(s, 7), id); /* analysed again */
    assert_string_equal(text_of(s, id, "instrument"), "bass");
    assert_true(number_of(s, id, "bpm") == 60);
    test_ok(sm_store_correct(s, id, "instrument", NULL));
    assert_string_equal(text_of(s, id, "instrument"), "kick");
    assert_true(number_of(s, id, "bpm") == 60);
    test_fails(sm_store_correct(s, id, "bpm", "fast"), SM_EUSAGE, "a number");
    test_fails(sm_store_correct(s, id, "brightness", "101"), SM_EUSAGE, "between 0 and 100");
    test_fails(sm_store_correct(s, id, "instrumnt", "x"), SM_EUSAGE, "did you mean \"instrument\"");
    sm_store_close(s);
}

static int count_tag(void *user, int64_t content, const char *tag, const char *by)
{
    (void)content;
    (void)tag;
    (void)by;
    ++*(int *)user;
    return 0;
}

static void an_edited_file_inherits_what_the_user_said(void **state)
{
    sm_store *s = fresh(state);
    int64_t collection = 0;
    int n = 0;
    bool liked = false;
    const int64_t a = content_of(s, 1), b = content_of(s, 2);
    test_ok(sm_store_correct(s, a, "instrument", "bass"));
    test_ok(sm_store_tag_add(s, a, "warm", "user"));
    test_ok(sm_store_tag_add(s, a, "warm", "user"));
    test_ok(sm_store_favourite(s, a, true));
    test_ok(sm_store_collection(s, "Best", true, &collection));
    test_ok(sm_store_collection_put(s, collection, a, true));
    test_ok(sm_store_inherit(s, a, b));
    assert_string_equal(text_of(s, b, "instrument"), "bass");
    test_ok(sm_store_tags_of(s, 0, count_tag, &n));
    assert_int_equal(n, 2);
    test_ok(sm_store_is_favourite(s, b, &liked));
    assert_true(liked);
    test_ok(sm_store_content_remove(s, a));
    test_ok(sm_store_content_remove(s, b));
    n = 0;
    test_ok(sm_store_tags_of(s, 0, count_tag, &n));
    assert_int_equal(n, 0);
    assert_int_equal(check_is_clean(s), 0);
    sm_store_close(s);
}

static int see_output(void *user, int64_t content, const sm_output_row *o)
{
    (void)content;
    assert_int_equal(o->n, 2);
    assert_true(o->scores[1] == 0.25f);
    assert_string_equal(o->weights, "abcd");
    ++*(int *)user;
    return 0;
}

static void outputs_keep_scores_and_class_names_and_newer_weights_replace_them(void **state)
{
    static const float scores[] = { 0.75f, 0.25f };
    static const char *const classes[] = { "kick", "snare" };
    sm_store *s = fresh(state);
    sm_strings names = { 0 };
    int n = 0;
    const int64_t id = content_of(s, 1);
    test_ok(sm_store_output_put(s, id, &(sm_output_row){ "own", "0000", 2, scores }, classes));
    test_ok(sm_store_output_put(s, id, &(sm_output_row){ "own", "abcd", 2, scores }, classes));
    test_ok(sm_store_outputs_of(s, id, see_output, &n));
    assert_int_equal(n, 1);
    test_ok(sm_store_model_classes(s, "own", "abcd", &names));
    assert_int_equal(names.length, 2);
    assert_string_equal(names.items[1], "snare");
    sm_strings_free(&names);
    sm_store_close(s);
}

static int see_vector(void *user, int64_t content, const float *vector, int dims)
{
    (void)content;
    assert_int_equal(dims, 3);
    assert_true(vector[2] == 3);
    ++*(int *)user;
    return 0;
}

static int see_id(void *user, int64_t id)
{
    *(int64_t *)user += id;
    return 0;
}

static void vectors_belong_to_a_versioned_space_and_what_lacks_one_is_found(void **state)
{
    static const float v[] = { 1, 2, 3 };
    sm_store *s = fresh(state);
    int64_t one = 0, two = 0, lacking = 0, count = 0;
    float back[3];
    int n = 0;
    const int64_t a = content_of(s, 1), b = content_of(s, 2);
    test_ok(sm_store_space(s, "samplemind", 1, 3, &one));
    test_ok(sm_store_space(s, "samplemind", 2, 3, &two));
    assert_int_not_equal(one, two);
    test_fails(sm_store_space(s, "samplemind", 1, 4, &count), SM_EFORMAT, "3 dimensions, not 4");
    test_ok(sm_store_space(s, "none", 1, 0, &count));
    assert_int_equal(count, 0);
    test_ok(sm_store_vector_put(s, a, one, v, 3));
    test_ok(sm_store_vector_put(s, a, one, v, 3));
    test_ok(sm_store_vector_get(s, a, one, back, 3));
    assert_true(back[1] == 2);
    test_fails(sm_store_vector_get(s, a, two, back, 3), SM_ENOTFOUND, "no vector");
    test_ok(sm_store_each_vector(s, one, 0, see_vector, &n));
    assert_int_equal(n, 1);
    test_ok(sm_store_vector_count(s, one, &count));
    assert_int_equal(count, 1);
    test_ok(sm_store_lacking(s, one, 0, see_id, &lacking));
    assert_int_equal(lacking, b);
    sm_store_close(s);
}

static int stop_at_first(void *user, int64_t id, double time_s, const char *what, const char *json)
{
    (void)time_s;
    (void)what;
    assert_string_equal(json, "{\"n\":2}");
    *(int64_t *)user = id;
    return SM_ECANCELLED;
}

static void the_journal_gives_the_newest_first_and_a_callback_may_stop_it(void **state)
{
    sm_store *s = fresh(state);
    int64_t id = 0, last = 0;
    sm_buffer value = { 0 };
    test_ok(sm_store_journal_add(s, "tag", "{\"n\":1}", &id));
    test_ok(sm_store_journal_add(s, "tag", "{\"n\":2}", &id));
    test_ok(sm_store_journal_add(s, "move", "{}", &last));
    assert_int_equal(sm_store_journal_each(s, "tag", 0, stop_at_first, &last), SM_ECANCELLED);
    assert_int_equal(last, id);
    test_ok(sm_store_state_set(s, "x", "1"));
    test_ok(sm_store_state_set(s, "x", "2"));
    test_ok(sm_store_state_get(s, "x", &value));
    assert_string_equal(value.data, "2");
    sm_buffer_free(&value);
    sm_store_close(s);
}

static void a_failed_transaction_leaves_nothing(void **state)
{
    sm_store *s = fresh(state);
    bool own = false, inner = false;
    int64_t id = 0;
    test_ok(sm_store_begin(s, &own));
    assert_true(own);
    test_ok(sm_store_begin(s, &inner));
    assert_false(inner);
    test_ok(sm_store_folder_id(s, "/x", true, &id));
    test_ok(sm_store_end(s, inner, 0));
    assert_int_equal(sm_store_end(s, own, SM_ECANCELLED), SM_ECANCELLED);
    test_ok(sm_store_folder_id(s, "/x", false, &id));
    assert_int_equal(id, 0);
    sm_store_close(s);
}

static void run_sql(const char *folder, const char *sql)
{
    char path[512];
    sqlite3 *db = NULL;
    snprintf(path, sizeof path, "%s/library.db", folder);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static void the_check_tells_what_does_not_hold(void **state)
{
    const char *folder = ((const test_place *)*state)->folder;
    sm_store *s = NULL;
    test_ok(sm_store_open(folder, SM_STORE_CREATE, &s));
    content_of(s, 1);
    sm_store_close(s);
    run_sql(folder, "INSERT INTO files (id, name, size, mtime_ns, state, added_s) VALUES (5, 'x', 0, 0, 1, 0);"
                    "INSERT INTO tags VALUES (77, 't', 'user'); DELETE FROM records");
    test_ok(sm_store_open(folder, SM_STORE_READ, &s));
    assert_int_equal(check_is_clean(s), 4); /* no folder, no content, no record, no row for the tag */
    sm_store_close(s);
}

static void files_that_are_no_library_are_refused_by_name(void **state)
{
    const char *folder = ((const test_place *)*state)->folder;
    sm_store *s = NULL;
    char path[512];
    test_fails(sm_store_open(folder, SM_STORE_WRITE, &s), SM_ENOTFOUND, "samplemind scan DIR makes one");
    assert_null(s);
    snprintf(path, sizeof path, "%s/library.db", folder);
    test_write_file(path, "this is no database, but it is longer than a header of one would be....................",
                    80);
    test_fails(sm_store_open(folder, SM_STORE_READ, &s), SM_EFORMAT, "not a library");
    unlink(path);
    run_sql(folder, "CREATE TABLE other (x)");
    test_fails(sm_store_open(folder, SM_STORE_WRITE, &s), SM_EFORMAT, "another program's");
    unlink(path);
    test_ok(sm_store_open(folder, SM_STORE_CREATE, &s));
    sm_store_close(s);
    run_sql(folder, "PRAGMA user_version = 99");
    test_fails(sm_store_open(folder, SM_STORE_WRITE, &s), SM_EFORMAT, "version 99");
}

static void an_older_file_gets_the_columns_that_it_lacks(void **state)
{
    const char *folder = ((const test_place *)*state)->folder;
    sm_store *s = NULL;
    test_ok(sm_store_open(folder, SM_STORE_CREATE, &s));
    sm_store_close(s);
    run_sql(folder, "ALTER TABLE properties DROP COLUMN bpm; ALTER TABLE properties DROP COLUMN key");
    test_ok(sm_store_open(folder, SM_STORE_WRITE, &s));
    const int64_t id = content_of(s, 1);
    assert_true(number_of(s, id, "bpm") == 120);
    sm_store_close(s);
}

static int open_and_put(void *user)
{
    sm_store *s = NULL;
    int64_t id = 0;
    int err = sm_store_open(user, SM_STORE_CREATE, &s);
    sm_content_row c = { .hash = { 3 }, .pipeline = 1 };
    if (err == 0)
        err = sm_store_content_put(s, &c, record);
    if (err == 0)
        err = sm_store_correct(s, c.id, "instrument", NULL);
    if (err == 0)
        err = sm_store_folder_id(s, "/f", true, &id);
    if (err == 0)
        err = sm_store_file_add(s,
                                &(sm_file_row){ .folder = id, .name = "n", .content = c.id, .state = SM_FILE_ANALYSED },
                                &id);
    if (err == 0)
        err = sm_store_file_move(s, id, "/f/m", &id);
    sm_store_close(s);
    return err;
}

static void every_allocation_may_fail(void **state)
{
    test_place *place = *state;
    test_every_allocation_may_fail(open_and_put, place->folder);
}

#define in_place(test) cmocka_unit_test_setup_teardown(test, test_place_make, test_place_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_place(files_are_found_by_id_by_path_by_folder_and_by_content),
        in_place(folders_below_a_folder_are_those_and_no_neighbours),
        in_place(a_record_comes_back_and_its_values_are_columns),
        in_place(a_users_word_replaces_the_records_and_stays_through_analysis),
        in_place(an_edited_file_inherits_what_the_user_said),
        in_place(outputs_keep_scores_and_class_names_and_newer_weights_replace_them),
        in_place(vectors_belong_to_a_versioned_space_and_what_lacks_one_is_found),
        in_place(the_journal_gives_the_newest_first_and_a_callback_may_stop_it),
        in_place(a_failed_transaction_leaves_nothing),
        in_place(the_check_tells_what_does_not_hold),
        in_place(files_that_are_no_library_are_refused_by_name),
        in_place(an_older_file_gets_the_columns_that_it_lacks),
        in_place(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
