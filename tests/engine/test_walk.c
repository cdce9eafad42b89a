/* Folders with everything that folders have in them. */
#include "engine/engine_support.h"

#include <unistd.h>

typedef struct {
    sm_strings files, problems;
} found;

static found walk(const char *path)
{
    found f = { { 0 }, { 0 } };
    test_ok(sm_walk(path, &f.files, &f.problems));
    return f;
}

static void found_free(found *f)
{
    sm_strings_free(&f->files);
    sm_strings_free(&f->problems);
}

static const char *in(const test_place *place, const char *name)
{
    static char path[4][4200];
    static int turn;
    char *p = path[turn++ % 4];
    snprintf(p, sizeof path[0], "%s/%s", place->folder, name);
    return p;
}

static void touch(const test_place *place, const char *name)
{
    test_write_file(in(place, name), "x", 1);
}

static void sounds_are_found_by_their_endings_in_order(void **state)
{
    const test_place *place = *state;
    static const char *const names[] = { "b.wav",       "a.AIFF",  "c.txt",      "z/d.Flac",  "z/y/e.mp3", "z/readme",
                                         ".hidden.wav", "._b.wav", ".git/x.wav", "f.wav.bak", "wav" };
    static const char *const expected[] = { "a.AIFF", "b.wav", "z/d.Flac", "z/y/e.mp3" };
    test_ok(sm_make_directories(in(place, "z/y")));
    test_ok(sm_make_directories(in(place, ".git")));
    test_ok(sm_make_directories(in(place, "empty.wav"))); /* a folder of that name is searched, not read */
    for (size_t i = 0; i < SM_LENGTH(names); i++)
        touch(place, names[i]);
    found f = walk(place->folder);
    assert_int_equal(f.problems.length, 0);
    assert_int_equal(f.files.length, SM_LENGTH(expected));
    for (size_t i = 0; i < SM_LENGTH(expected); i++)
        assert_string_equal(f.files.items[i], in(place, expected[i]));
    found_free(&f);
    char slash[100];
    snprintf(slash, sizeof slash, "%s/", place->folder);
    f = walk(slash); /* no "//" in the names */
    assert_string_equal(f.files.items[0], in(place, "a.AIFF"));
    found_free(&f);
}

static void a_file_that_is_named_is_taken_whatever_its_name(void **state)
{
    const test_place *place = *state;
    touch(place, "notes.txt");
    found f = walk(in(place, "notes.txt"));
    assert_int_equal(f.files.length, 1);
    found_free(&f);
    f = walk(in(place, "no-such")); /* whoever reads it says what is wrong */
    assert_int_equal(f.files.length, 1);
    assert_int_equal(f.problems.length, 0);
    found_free(&f);
}

static void loops_of_links_end_and_linked_sounds_are_found(void **state)
{
    const test_place *place = *state;
    test_ok(sm_make_directories(in(place, "a/b")));
    touch(place, "a/b/x.wav");
    assert_int_equal(symlink("../..", in(place, "a/b/up")), 0);
    assert_int_equal(symlink("b/x.wav", in(place, "a/y.wav")), 0);
    found f = walk(place->folder);
    assert_int_equal(f.problems.length, 0);
    assert_int_equal(f.files.length, 2);
    assert_string_equal(f.files.items[0], in(place, "a/b/x.wav"));
    assert_string_equal(f.files.items[1], in(place, "a/y.wav"));
    found_free(&f);
}

static void a_link_to_nothing_is_a_problem_only_if_it_is_called_a_sound(void **state)
{
    const test_place *place = *state;
    assert_int_equal(symlink("nowhere", in(place, "gone.wav")), 0);
    assert_int_equal(symlink("nowhere", in(place, "gone.txt")), 0);
    found f = walk(place->folder);
    assert_int_equal(f.files.length, 0);
    assert_int_equal(f.problems.length, 1);
    assert_non_null(strstr(f.problems.items[0], "gone.wav: No such file"));
    found_free(&f);
}

static void folders_nested_beyond_reason_are_told(void **state)
{
    const test_place *place = *state;
    char deep[4096] = "d";
    for (int i = 0; i < 80; i++)
        strcat(deep, "/d");
    test_ok(sm_make_directories(in(place, deep)));
    strcat(deep, "/x.wav");
    touch(place, deep);
    found f = walk(place->folder);
    assert_int_equal(f.files.length, 0);
    assert_int_equal(f.problems.length, 1);
    assert_non_null(strstr(f.problems.items[0], "deeper"));
    found_free(&f);
}

static void a_folder_that_may_not_be_read_is_told_and_the_rest_goes_on(void **state)
{
    const test_place *place = *state;
    const bool root = geteuid() == 0;
    test_ok(sm_make_directories(in(place, "secret")));
    touch(place, "x.wav");
    assert_int_equal(chmod(place->folder, 0755), 0);
    assert_int_equal(chmod(in(place, "secret"), 0), 0);
    if (root && seteuid(65534) != 0) /* root may read everything: be nobody */
        test_skip("this root cannot be anybody else");
    found f = walk(place->folder);
    if (root)
        assert_int_equal(seteuid(0), 0);
    assert_int_equal(f.files.length, 1);
    assert_int_equal(f.problems.length, 1);
    assert_non_null(strstr(f.problems.items[0], "secret"));
    chmod(in(place, "secret"), 0700);
    found_free(&f);
}

int main(void)
{
#define AT_A_PLACE(test) cmocka_unit_test_setup_teardown(test, test_place_make, test_place_remove)
    const struct CMUnitTest tests[] = {
        AT_A_PLACE(sounds_are_found_by_their_endings_in_order),
        AT_A_PLACE(a_file_that_is_named_is_taken_whatever_its_name),
        AT_A_PLACE(loops_of_links_end_and_linked_sounds_are_found),
        AT_A_PLACE(a_link_to_nothing_is_a_problem_only_if_it_is_called_a_sound),
        AT_A_PLACE(folders_nested_beyond_reason_are_told),
        AT_A_PLACE(a_folder_that_may_not_be_read_is_told_and_the_rest_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
