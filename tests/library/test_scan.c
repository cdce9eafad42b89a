/* Scanning: what is new, changed, moved, copied, gone or broken; what is analysed, and what is not because it is known. */
#include "support/support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audio/audio.h"
#include "library/scan.h"

typedef struct {
    char tree[128], other[160], home[128], library[128];
    sm_library *l;
    sm_scan_options o;
    sm_strings problems;
} fixture;

static void note_problem(void *user, const char *path, const char *reason)
{
    char line[600];
    snprintf(line, sizeof line, "%s: %s", path, reason);
    test_ok(sm_strings_add(&((fixture *)user)->problems, line));
}

static void set_up(void **state, fixture *f)
{
    const test_place *place = *state;
    *f = (fixture){ 0 };
    snprintf(f->tree, sizeof f->tree, "%s/tree", place->folder);
    snprintf(f->home, sizeof f->home, "%s/home", place->folder);
    snprintf(f->library, sizeof f->library, "%s/library", place->folder);
    test_ok(sm_make_directories(f->tree));
    sm_scan_options_init(&f->o);
    f->o.home = f->home;
    f->o.models = "";
    f->o.jobs = 2;
    f->o.problem = note_problem;
    f->o.user = f;
    test_ok(sm_library_open(f->library, SM_LIBRARY_CREATE, &f->l));
}

static void tear_down(fixture *f)
{
    sm_strings problems = { 0 };
    test_ok(sm_store_check(sm_library_store(f->l), &problems));
    for (size_t i = 0; i < problems.length; i++)
        print_message("%s\n", problems.items[i]);
    assert_int_equal(problems.length, 0);
    sm_strings_free(&problems);
    sm_strings_free(&f->problems);
    sm_library_close(f->l);
}

static const char *in_tree(fixture *f, const char *name)
{
    snprintf(f->other, sizeof f->other, "%s/%s", f->tree, name);
    return f->other;
}

static void sound(fixture *f, const char *name, int pitch, const char *title)
{
    sm_audio_writer *w = NULL;
    const sm_audio_write_options o = { .rate_hz = 22050, .channels = 1, .format = SM_SAMPLE_S16, .title = title };
    enum { FRAMES = 3000 };
    float x[FRAMES];
    char *path = sm_strdup(in_tree(f, name));
    char *folder = sm_strndup(path, (size_t)(strrchr(path, '/') - path));
    for (int i = 0; i < FRAMES; i++)
        x[i] = (float)(0.4 * exp(-i / 600.0) * sin(0.001 * pitch * i));
    test_ok(sm_make_directories(folder));
    test_ok(sm_audio_writer_open(path, &o, &w));
    test_ok(sm_audio_writer_write(w, x, FRAMES));
    test_ok(sm_audio_writer_commit(w));
    sm_free(folder);
    sm_free(path);
}

static sm_scan_result scan(fixture *f)
{
    const char *const paths[] = { f->tree };
    sm_scan_result r;
    test_ok(sm_library_scan(f->l, paths, 1, &f->o, &r));
    return r;
}

static void only_what_is_new_is_analysed_and_copies_and_moves_are_known(void **state)
{
    fixture f;
    char from[160], *to;
    set_up(state, &f);
    sound(&f, "a.wav", 50, NULL);
    sound(&f, "sub/b.wav", 60, NULL);
    sound(&f, "sub/copy of a.wav", 50, NULL);
    test_write_file(in_tree(&f, "notes.txt"), "x", 1);
    sm_scan_result r = scan(&f);
    assert_int_equal(r.files, 3);
    assert_int_equal(r.added, 3);
    assert_int_equal(r.analysed, 2);
    assert_int_equal(r.known, 1);
    r = scan(&f);
    assert_int_equal(r.added + r.changed + r.gone + r.analysed + r.known, 0);

    snprintf(from, sizeof from, "%s", in_tree(&f, "sub/b.wav"));
    to = sm_strdup(in_tree(&f, "moved.wav"));
    assert_int_equal(rename(from, to), 0);
    r = scan(&f);
    assert_int_equal(r.added, 1);
    assert_int_equal(r.gone, 1);
    assert_int_equal(r.moved, 1);
    assert_int_equal(r.analysed, 0);

    assert_int_equal(unlink(to), 0);
    r = scan(&f);
    assert_int_equal(r.gone, 1);
    sound(&f, "again.wav", 60, NULL); /* the same bytes come back under another name */
    r = scan(&f);
    assert_int_equal(r.analysed, 0);
    assert_int_equal(r.known, 1);
    sm_free(to);
    tear_down(&f);
}

static void a_changed_file_is_analysed_and_keeps_the_users_word_when_the_sound_is_the_same(void **state)
{
    fixture f;
    const char *json = NULL;
    set_up(state, &f);
    sound(&f, "a.wav", 50, NULL);
    scan(&f);
    test_ok(sm_library_correct(f.l, in_tree(&f, "a.wav"), "instrument", "bass"));
    sound(&f, "a.wav", 50, "with a title now");
    sm_scan_result r = scan(&f);
    assert_int_equal(r.changed, 1);
    assert_int_equal(r.analysed, 1);
    test_ok(sm_library_record(f.l, in_tree(&f, "a.wav"), &json));
    assert_non_null(strstr(json, "\"instrument\":\"bass\""));
    sound(&f, "a.wav", 70, "with another title"); /* another sound: what was said of the first does not hold */
    r = scan(&f);
    assert_int_equal(r.analysed, 1);
    test_ok(sm_library_record(f.l, in_tree(&f, "a.wav"), &json));
    assert_null(strstr(json, "\"instrument\":\"bass\""));
    tear_down(&f);
}

static int count_broken(void *user, const char *path, const char *reason)
{
    assert_non_null(strstr(path, "broken.wav"));
    assert_true(reason[0] != 0 && reason[0] != '/');
    ++*(int *)user;
    return 0;
}

static void broken_files_are_kept_with_a_reason_and_not_tried_until_they_change(void **state)
{
    fixture f;
    int n = 0;
    set_up(state, &f);
    test_write_file(in_tree(&f, "broken.wav"), "RIFF", 4);
    sm_scan_result r = scan(&f);
    assert_int_equal(r.broken, 1);
    assert_int_equal(f.problems.length, 1);
    test_ok(sm_library_each_broken(f.l, count_broken, &n));
    assert_int_equal(n, 1);
    r = scan(&f);
    assert_int_equal(r.broken, 0);
    f.o.retry = 1;
    r = scan(&f);
    assert_int_equal(r.broken, 1);
    f.o.retry = 0;
    sound(&f, "broken.wav", 50, NULL);
    r = scan(&f);
    assert_int_equal(r.changed, 1);
    assert_int_equal(r.analysed, 1);
    tear_down(&f);
}

static void loops_of_links_end_and_a_folder_is_listed_once(void **state)
{
    fixture f;
    set_up(state, &f);
    sound(&f, "sub/a.wav", 50, NULL);
    assert_int_equal(symlink("..", in_tree(&f, "sub/up")), 0);
    assert_int_equal(symlink("sub", in_tree(&f, "beside")), 0);
    assert_int_equal(symlink("nowhere", in_tree(&f, "dangling.wav")), 0);
    assert_int_equal(symlink("sub/a.wav", in_tree(&f, "link.wav")), 0);
    const sm_scan_result r = scan(&f);
    assert_int_equal(r.files, 2); /* a.wav, and the link to it */
    assert_int_equal(r.folders, 2);
    assert_int_equal(r.analysed, 1);
    tear_down(&f);
}

static void a_folder_that_may_not_be_read_keeps_what_is_known_of_it(void **state)
{
    fixture f;
    set_up(state, &f);
    sound(&f, "closed/deep/a.wav", 50, NULL);
    scan(&f);
    chmod(in_tree(&f, "closed"), 0);
    if (access(f.other, R_OK) == 0) { /* as root everything may be read */
        chmod(f.other, 0700);
        tear_down(&f);
        test_skip("this user may read everything");
    }
    const sm_scan_result r = scan(&f);
    chmod(in_tree(&f, "closed"), 0700);
    assert_int_equal(r.unreadable_folders, 1);
    assert_int_equal(r.gone, 0);
    tear_down(&f);
}

static void listing_alone_commits_names_and_the_next_scan_analyses(void **state)
{
    fixture f;
    const char *json = NULL;
    set_up(state, &f);
    for (int i = 0; i < 40; i++) {
        char name[32];
        snprintf(name, sizeof name, "%d/%d.wav", i % 3, i);
        sound(&f, name, 40 + i, NULL);
    }
    f.o.list_only = 1;
    sm_scan_result r = scan(&f);
    assert_int_equal(r.added, 40);
    assert_int_equal(r.waiting, 40);
    assert_int_equal(r.analysed, 0);
    test_fails(sm_library_record(f.l, in_tree(&f, "0/0.wav"), &json), SM_ENOTFOUND, "not analysed yet");
    f.o.list_only = 0;
    test_ok(sm_library_scan(f.l, NULL, 0, &f.o, &r)); /* what was scanned before */
    assert_int_equal(r.analysed, 40);
    test_ok(sm_library_record(f.l, in_tree(&f, "0/0.wav"), &json));
    assert_non_null(strstr(json, "\"duration_s\":0.13605"));
    f.o.again = 1;
    r = scan(&f);
    assert_int_equal(r.analysed, 40);
    tear_down(&f);
}

static int stop_at_once(void *user, const sm_progress_info *p)
{
    (void)user;
    (void)p;
    return 1;
}

static void a_scan_that_is_stopped_goes_on_later(void **state)
{
    fixture f;
    const char *paths[1];
    sm_scan_result r;
    set_up(state, &f);
    for (int i = 0; i < 20; i++) {
        char name[32];
        snprintf(name, sizeof name, "%d.wav", i);
        sound(&f, name, 40 + i, NULL);
    }
    f.o.progress = stop_at_once;
    paths[0] = f.tree;
    assert_int_equal(sm_library_scan(f.l, paths, 1, &f.o, &r), SM_ECANCELLED);
    assert_int_equal(r.added, 20);
    f.o.progress = NULL;
    const int64_t before = r.analysed;
    r = scan(&f);
    assert_int_equal(before + r.analysed, 20);
    tear_down(&f);
}

static void a_new_model_speaks_and_nothing_else_is_done_again(void **state)
{
    fixture f;
    const char *json = NULL;
    char models[600];
    const char *weights = test_shared("models/yamnet/yamnet.tflite");
    if (!weights)
        test_skip("no weights of YAMNet");
    snprintf(models, sizeof models, "samplemind,yamnet=%s", weights);
    set_up(state, &f);
    sound(&f, "a.wav", 50, NULL);
    sound(&f, "b.wav", 60, NULL);
    f.o.models = "samplemind";
    sm_scan_result r = scan(&f);
    assert_int_equal(r.analysed, 2);
    f.o.models = models;
    r = scan(&f);
    assert_int_equal(r.analysed, 0);
    assert_int_equal(r.refreshed, 2);
    test_ok(sm_library_record(f.l, in_tree(&f, "a.wav"), &json));
    assert_non_null(strstr(json, "\"samplemind\":{"));
    assert_non_null(strstr(json, "\"yamnet\":{"));
    char *verdict = sm_strndup(strstr(json, "\"instrument\":"), 30);
    r = scan(&f);
    assert_int_equal(r.analysed + r.refreshed, 0);
    f.o.again = 1; /* both at once give the same verdict */
    r = scan(&f);
    assert_int_equal(r.analysed, 2);
    test_ok(sm_library_record(f.l, in_tree(&f, "a.wav"), &json));
    assert_memory_equal(strstr(json, "\"instrument\":"), verdict, 24);
    sm_free(verdict);
    tear_down(&f);
}

static void names_that_are_no_text_are_kept_as_bytes(void **state)
{
    fixture f;
    const char *json = NULL;
    set_up(state, &f);
    sound(&f, "k\xff\xfe \xc3\xa9.wav", 50, NULL);
    sm_scan_result r = scan(&f);
    assert_int_equal(r.analysed, 1);
    test_ok(sm_library_record(f.l, in_tree(&f, "k\xff\xfe \xc3\xa9.wav"), &json));
    r = scan(&f);
    assert_int_equal(r.added + r.gone, 0);
    tear_down(&f);
}

static void what_cannot_be_scanned_is_said(void **state)
{
    fixture f;
    sm_library *reader = NULL;
    sm_scan_result r;
    set_up(state, &f);
    const char *const none[] = { "/there/is/no/such/folder" }, *const tree[] = { f.tree };
    test_fails(sm_library_scan(f.l, none, 1, &f.o, &r), SM_ENOTFOUND, "/there/is/no/such/folder");
    test_fails(sm_library_scan(f.l, NULL, 0, &f.o, &r), SM_EUSAGE, "name one");
    f.o.models = "nonesuch";
    test_fails(sm_library_scan(f.l, tree, 1, &f.o, &r), SM_EUSAGE, "nonesuch");
    f.o.models = "";
    test_ok(sm_library_open(f.library, SM_LIBRARY_READ, &reader));
    test_fails(sm_library_scan(reader, tree, 1, &f.o, &r), SM_EUSAGE, "reading only");
    sm_library_close(reader);
    tear_down(&f);
}

typedef struct {
    fixture *f;
    int step;
} watching;

/* Runs within the watch: makes a file in a new folder, waits until it is analysed, takes it away, waits again, stops. */
static int on_watch(void *user, const sm_progress_info *p)
{
    watching *w = user;
    const char *json = NULL;
    sm_library *reader = NULL;
    if (strcmp(p->what, "watching") != 0)
        return 0;
    if (w->step == 0) {
        sound(w->f, "new/folder/late.wav", 77, NULL);
        w->step = 1;
        return 0;
    }
    test_ok(sm_library_open(w->f->library, SM_LIBRARY_READ, &reader));
    const int err = sm_library_record(reader, in_tree(w->f, "new/folder/late.wav"), &json);
    sm_library_close(reader);
    if (w->step == 1 && err == 0)
        w->step = 2;
    return w->step == 2;
}

static void the_watch_sees_a_file_in_a_new_folder(void **state)
{
    fixture f;
    set_up(state, &f);
    watching w = { .f = &f };
    const char *const paths[] = { f.tree };
    sound(&f, "a.wav", 50, NULL);
    f.o.progress = on_watch;
    f.o.problem = NULL;
    f.o.user = &w;
    test_ok(sm_library_watch(f.l, paths, 1, &f.o));
    assert_int_equal(w.step, 2);
    tear_down(&f);
}

#define in_place(test) cmocka_unit_test_setup_teardown(test, test_place_make, test_place_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_place(only_what_is_new_is_analysed_and_copies_and_moves_are_known),
        in_place(a_changed_file_is_analysed_and_keeps_the_users_word_when_the_sound_is_the_same),
        in_place(broken_files_are_kept_with_a_reason_and_not_tried_until_they_change),
        in_place(loops_of_links_end_and_a_folder_is_listed_once),
        in_place(a_folder_that_may_not_be_read_keeps_what_is_known_of_it),
        in_place(listing_alone_commits_names_and_the_next_scan_analyses),
        in_place(a_scan_that_is_stopped_goes_on_later),
        in_place(a_new_model_speaks_and_nothing_else_is_done_again),
        in_place(names_that_are_no_text_are_kept_as_bytes),
        in_place(what_cannot_be_scanned_is_said),
        in_place(the_watch_sees_a_file_in_a_new_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
