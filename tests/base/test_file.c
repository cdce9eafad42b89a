#include "support/support.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void a_map_shows_the_bytes_of_a_file(void **state)
{
    const test_place *p = *state;
    sm_map *m = NULL;

    test_write_file(p->path, "abc\0d", 5);
    test_ok(sm_map_open(p->path, &m));
    assert_int_equal(sm_map_size(m), 5);
    assert_memory_equal(sm_map_data(m), "abc\0d", 5);
    sm_map_close(m);

    test_write_file(p->path, "", 0);
    test_ok(sm_map_open(p->path, &m));
    assert_int_equal(sm_map_size(m), 0);
    sm_map_close(m);
    sm_map_close(NULL);
}

static void what_cannot_be_mapped_says_why(void **state)
{
    const test_place *p = *state;
    sm_map *m = (sm_map *)(void *)p->folder;
    sm_buffer b = { 0 };

    test_fails(sm_map_open(p->path, &m), SM_ENOTFOUND, p->path);
    assert_null(m);
    test_fails(sm_map_open(p->folder, &m), SM_EIO, "directory");
    test_fails(sm_file_read(p->folder, 10, &b), SM_EIO, "directory");
    assert_int_equal(mkfifo(p->path, 0600), 0);
    test_fails(sm_map_open(p->path, &m), SM_EIO, "regular"); /* and does not wait for a writer */
    test_fails(sm_map_open("/dev/null/x", &m), SM_ENOTFOUND, "/dev/null/x");
}

static void a_file_is_read_whole_up_to_a_limit(void **state)
{
    const test_place *p = *state;
    const size_t size = 100000;
    char *bytes = sm_alloc(size, 1);
    sm_buffer b = { 0 };

    for (size_t i = 0; i < size; i++)
        bytes[i] = (char)(i * 7 >> 3);
    test_write_file(p->path, bytes, size);
    test_ok(sm_file_read(p->path, size, &b));
    assert_int_equal(b.length, size);
    assert_memory_equal(b.data, bytes, size);
    sm_buffer_free(&b);
    sm_free(bytes);
    test_fails(sm_file_read(p->path, size - 1, &b), SM_ELIMIT, "99999");
    sm_buffer_free(&b);
    test_ok(sm_file_read("/proc/self/status", 1 << 20, &b)); /* says its size is 0 */
    assert_non_null(strstr(b.data, "Name:"));
    sm_buffer_free(&b);
    test_write_file(p->path, "", 0);
    test_ok(sm_file_read(p->path, 0, &b));
    assert_string_equal(b.data, "");
    sm_buffer_free(&b);
}

static void folders_are_made_down_to_the_last(void **state)
{
    const test_place *p = *state;
    char deep[256];

    snprintf(deep, sizeof deep, "%s/a//b/c/", p->folder);
    test_ok(sm_make_directories(deep));
    assert_true(sm_is_directory(deep));
    test_ok(sm_make_directories(deep)); /* again: nothing to do */
    snprintf(deep, sizeof deep, "%s/x", p->folder);
    test_ok(sm_make_directories(deep));
    assert_true(sm_is_directory(deep));
    test_ok(sm_make_directories("/"));
    test_ok(sm_make_directories("."));
    test_write_file(p->path, "", 0);
    snprintf(deep, sizeof deep, "%s/below", p->path);
    test_fails(sm_make_directories(deep), SM_EIO, p->path);
    assert_false(sm_is_directory(p->path));
}

static void a_folder_is_listed_in_order(void **state)
{
    static const char *const names[] = { "b", "a", ".hidden", "\xFF", "Z" };
    const test_place *p = *state;
    sm_strings list = { 0 };
    char path[128];

    for (size_t i = 0; i < SM_LENGTH(names); i++) {
        snprintf(path, sizeof path, "%s/%s", p->folder, names[i]);
        test_write_file(path, "", 0);
    }
    test_ok(sm_strings_add(&list, "first")); /* names are added behind */
    test_ok(sm_list_directory(p->folder, &list));
    assert_int_equal(list.length, 6);
    static const char *const sorted[] = { "first", ".hidden", "Z", "a", "b", "\xFF" };
    for (size_t i = 0; i < SM_LENGTH(sorted); i++)
        assert_string_equal(list.items[i], sorted[i]);
    sm_strings_free(&list);
    test_fails(sm_list_directory(p->path, &list), SM_ENOTFOUND, p->path);
}

static void the_data_folder_follows_the_environment(void **state)
{
    static const struct {
        const char *own, *xdg, *home, *expected;
    } rows[] = {
        { "/own", "/xdg", "/home/x", "/own" },
        { "", "/xdg", "/home/x", "/xdg/samplemind" },
        { NULL, "relative", "/home/x", "/home/x/.local/share/samplemind" },
        { NULL, NULL, "/home/x", "/home/x/.local/share/samplemind" },
        { NULL, NULL, "", NULL },
    };
    static const char *const names[] = { "SAMPLEMIND_HOME", "XDG_DATA_HOME", "HOME" };
    char *saved[3];
    (void)state;

    for (size_t i = 0; i < 3; i++)
        saved[i] = getenv(names[i]) ? sm_strdup(getenv(names[i])) : NULL;
    for (size_t i = 0; i < SM_LENGTH(rows); i++) {
        const char *const values[] = { rows[i].own, rows[i].xdg, rows[i].home };
        for (size_t k = 0; k < 3; k++)
            values[k] ? setenv(names[k], values[k], 1) : unsetenv(names[k]);
        char *folder = sm_data_directory();
        if (rows[i].expected)
            assert_string_equal(folder, rows[i].expected);
        else
            assert_null(folder);
        sm_free(folder);
    }
    for (size_t i = 0; i < 3; i++) {
        saved[i] ? setenv(names[i], saved[i], 1) : unsetenv(names[i]);
        sm_free(saved[i]);
    }
}

static int use_files(void *user)
{
    const test_place *p = user;
    sm_buffer b = { 0 };
    sm_strings list = { 0 };
    sm_map *m = NULL;
    int err = sm_map_open(p->path, &m);

    if (err == 0)
        err = sm_file_read(p->path, 1 << 20, &b);
    if (err == 0)
        err = sm_list_directory(p->folder, &list);
    if (err == 0)
        err = sm_make_directories(p->folder);
    sm_map_close(m);
    sm_buffer_free(&b);
    sm_strings_free(&list);
    return err;
}

static void any_allocation_of_reading_may_fail(void **state)
{
    test_write_file(((test_place *)*state)->path, "abc", 3);
    test_every_allocation_may_fail(use_files, *state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_map_shows_the_bytes_of_a_file, test_place_make, test_place_remove),
        cmocka_unit_test_setup_teardown(what_cannot_be_mapped_says_why, test_place_make, test_place_remove),
        cmocka_unit_test_setup_teardown(a_file_is_read_whole_up_to_a_limit, test_place_make, test_place_remove),
        cmocka_unit_test_setup_teardown(folders_are_made_down_to_the_last, test_place_make, test_place_remove),
        cmocka_unit_test_setup_teardown(a_folder_is_listed_in_order, test_place_make, test_place_remove),
        cmocka_unit_test_setup_teardown(the_data_folder_follows_the_environment, test_place_make, test_place_remove),
        cmocka_unit_test_setup_teardown(any_allocation_of_reading_may_fail, test_place_make, test_place_remove),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
