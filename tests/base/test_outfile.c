#include "support/support.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void assert_holds(const char *path, const char *text)
{
    sm_buffer b = { 0 };

    test_ok(sm_file_read(path, 1000, &b));
    assert_string_equal(b.data, text);
    sm_buffer_free(&b);
}

static size_t files_in(const char *folder)
{
    sm_strings list = { 0 };
    size_t n;

    test_ok(sm_list_directory(folder, &list));
    n = list.length;
    sm_strings_free(&list);
    return n;
}

static void a_file_appears_only_when_committed(void **state)
{
    const test_place *p = *state;
    sm_outfile *f = NULL;

    test_ok(sm_outfile_open(p->path, &f));
    fputs("new", sm_outfile_stream(f));
    assert_int_not_equal(access(p->path, F_OK), 0);
    assert_int_equal(access(sm_outfile_path(f), F_OK), 0);
    assert_int_equal(strncmp(sm_outfile_path(f), p->folder, strlen(p->folder)), 0);
    assert_int_equal(sm_path_name(sm_outfile_path(f))[0], '.');
    assert_true(sm_text_has_suffix(sm_outfile_path(f), ".part"));
    test_ok(sm_outfile_commit(f));
    assert_holds(p->path, "new");
    assert_int_equal(files_in(p->folder), 1);
}

static void an_abandoned_file_leaves_the_old_one(void **state)
{
    const test_place *p = *state;
    sm_outfile *f = NULL;

    test_write_file(p->path, "old", 3);
    test_ok(sm_outfile_open(p->path, &f));
    fputs("half", sm_outfile_stream(f));
    sm_outfile_abandon(f);
    sm_outfile_abandon(NULL);
    assert_holds(p->path, "old");
    assert_int_equal(files_in(p->folder), 1);
    test_ok(sm_outfile_open(p->path, &f));
    fputs("new", sm_outfile_stream(f));
    test_ok(sm_outfile_commit(f));
    assert_holds(p->path, "new");
}

static void two_writers_do_not_meet(void **state)
{
    const test_place *p = *state;
    sm_outfile *a = NULL, *b = NULL;

    test_ok(sm_outfile_open(p->path, &a));
    test_ok(sm_outfile_open(p->path, &b));
    assert_string_not_equal(sm_outfile_path(a), sm_outfile_path(b));
    fputs("a", sm_outfile_stream(a));
    fputs("b", sm_outfile_stream(b));
    test_ok(sm_outfile_commit(b));
    test_ok(sm_outfile_commit(a));
    assert_holds(p->path, "a");
}

static void the_mode_follows_the_umask(void **state)
{
    static const mode_t masks[] = { 022, 077, 002 };
    const test_place *p = *state;

    for (size_t i = 0; i < SM_LENGTH(masks); i++) {
        const mode_t old = umask(masks[i]);
        sm_outfile *f = NULL;
        struct stat st;
        const int err = sm_outfile_open(p->path, &f);
        umask(old);
        test_ok(err);
        test_ok(sm_outfile_commit(f));
        assert_int_equal(stat(p->path, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0666 & ~masks[i]);
        unlink(p->path);
    }
}

static void a_name_as_long_as_allowed_works(void **state)
{
    const test_place *p = *state;
    char path[400];
    const size_t start = (size_t)snprintf(path, sizeof path, "%s/", p->folder);
    sm_outfile *f = NULL;

    memset(path + start, 'n', 255);
    path[start + 255] = 0;
    test_ok(sm_outfile_open(path, &f));
    test_ok(sm_outfile_commit(f));
    assert_int_equal(access(path, F_OK), 0);
}

static void a_device_is_written_directly(void **state)
{
    struct stat before, after;
    sm_outfile *f = NULL;
    (void)state;

    assert_int_equal(stat("/dev/null", &before), 0);
    test_ok(sm_outfile_open("/dev/null", &f));
    assert_string_equal(sm_outfile_path(f), "/dev/null");
    fputs("x", sm_outfile_stream(f));
    test_ok(sm_outfile_commit(f));
    assert_int_equal(stat("/dev/null", &after), 0);
    assert_true(S_ISCHR(after.st_mode) && after.st_ino == before.st_ino);
}

static void what_cannot_be_written_says_why(void **state)
{
    const test_place *p = *state;
    sm_outfile *f = NULL;
    char path[200];

    test_fails(sm_outfile_open(p->folder, &f), SM_EIO, "directory");
    snprintf(path, sizeof path, "%s/none/x", p->folder);
    test_fails(sm_outfile_open(path, &f), SM_ENOTFOUND, path);
    snprintf(path, sizeof path, "%s/", p->folder);
    test_fails(sm_outfile_open(path, &f), SM_EIO, "directory");
    assert_null(f);
}

static void a_full_disk_is_noticed(void **state)
{
    sm_outfile *f = NULL;
    (void)state;

    if (access("/dev/full", W_OK) != 0)
        test_skip("no /dev/full here");
    test_ok(sm_outfile_open("/dev/full", &f));
    for (int i = 0; i < 10000; i++)
        fputs("0123456789", sm_outfile_stream(f));
    test_fails(sm_outfile_commit(f), SM_EIO, "/dev/full");
}

static int write_one(void *user)
{
    const test_place *p = user;
    sm_outfile *f = NULL;
    int err = sm_outfile_open(p->path, &f);

    if (err == 0) {
        fputs("x", sm_outfile_stream(f));
        err = sm_outfile_commit(f);
    }
    return err;
}

static void any_allocation_of_writing_may_fail(void **state)
{
    const test_place *p = *state;

    test_every_allocation_may_fail(write_one, *state);
    assert_int_equal(files_in(p->folder), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_file_appears_only_when_committed, test_place_make, test_place_remove),
        cmocka_unit_test_setup_teardown(an_abandoned_file_leaves_the_old_one, test_place_make, test_place_remove),
        cmocka_unit_test_setup_teardown(two_writers_do_not_meet, test_place_make, test_place_remove),
        cmocka_unit_test_setup_teardown(the_mode_follows_the_umask, test_place_make, test_place_remove),
        cmocka_unit_test_setup_teardown(a_name_as_long_as_allowed_works, test_place_make, test_place_remove),
        cmocka_unit_test_setup_teardown(a_device_is_written_directly, test_place_make, test_place_remove),
        cmocka_unit_test_setup_teardown(what_cannot_be_written_says_why, test_place_make, test_place_remove),
        cmocka_unit_test_setup_teardown(a_full_disk_is_noticed, test_place_make, test_place_remove),
        cmocka_unit_test_setup_teardown(any_allocation_of_writing_may_fail, test_place_make, test_place_remove),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
