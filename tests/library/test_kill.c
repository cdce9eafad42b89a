/* A scan that is killed at any moment: the store holds, nothing is lost, nothing is done twice, and in the end everything is as if
 * nothing had happened. SM_LONG=1: 100 moments of scans of 2,000 files; else 6 of 150. */
#include "support/support.h"

#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "audio/audio.h"
#include "library/store.h"

/* A short decaying tone; every seventh file is a copy of an earlier one. */
static void make_sound(const char *path, int n)
{
    sm_audio_writer *w = NULL;
    const sm_audio_write_options o = { .rate_hz = 22050, .channels = 1, .format = SM_SAMPLE_S16 };
    const uint64_t name = sm_unit_hash("kill", (uint64_t)n);
    const size_t frames = 400 + (size_t)(fabs(sm_unit(name, 0)) * 3000);
    const double hz = 60 + 900 * fabs(sm_unit(name, 1));
    float *x = sm_alloc(frames, sizeof *x);
    for (size_t i = 0; i < frames; i++)
        x[i] = (float)(0.5 * exp(-4.0 * (double)i / (double)frames) * sin(6.283185307 * hz * (double)i / 22050) +
                       0.02 * sm_unit(name, i + 2));
    test_ok(sm_audio_writer_open(path, &o, &w));
    test_ok(sm_audio_writer_write(w, x, frames));
    test_ok(sm_audio_writer_commit(w));
    sm_free(x);
}

static void make_tree(const char *folder, int n)
{
    char path[256];
    for (int i = 0; i < n; i++) {
        snprintf(path, sizeof path, "%s/pack%02d", folder, i / 40);
        test_ok(sm_make_directories(path));
        snprintf(path, sizeof path, "%s/pack%02d/sound %04d.wav", folder, i / 40, i);
        make_sound(path, i % 7 == 6 ? i - 6 : i);
    }
    snprintf(path, sizeof path, "%s/pack00/broken.wav", folder);
    test_write_file(path, "RIFF", 4);
}

static pid_t start_scan(const char *library, const char *tree)
{
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (!freopen("/dev/null", "w", stdout) || !freopen("/dev/null", "w", stderr))
            _exit(126);
        execl(test_program(), "samplemind", "scan", "-j2", "--models", "samplemind", "--library", library, tree,
              (char *)NULL);
        _exit(127);
    }
    return child;
}

/* Its exit status; -1: it was killed. */
static int end_of(pid_t child)
{
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void sleep_s(double s)
{
    nanosleep(&(struct timespec){ (time_t)s, (long)((s - floor(s)) * 1e9) }, NULL);
}

static int count_content(void *user, const sm_content_row *c)
{
    (void)c;
    ++*(int64_t *)user;
    return 0;
}

/* The check passes, and as many analyses were kept as there are contents: none was done twice. Gives how many. */
static int64_t contents_of(const char *library)
{
    sm_store *s = NULL;
    sm_strings problems = { 0 };
    sm_buffer analyses = { 0 };
    int64_t n = 0;
    if (sm_store_open(library, SM_STORE_READ, &s) == SM_ENOTFOUND)
        return 0; /* killed before there was one, or anything in it */
    if (!s)
        fail_msg("%s", sm_last_error());
    test_ok(sm_store_check(s, &problems));
    for (size_t i = 0; i < problems.length; i++)
        print_message("%s\n", problems.items[i]);
    assert_int_equal(problems.length, 0);
    test_ok(sm_store_each_content(s, count_content, &n));
    test_ok(sm_store_state_get(s, "analyses", &analyses));
    assert_int_equal(analyses.data ? atoll(analyses.data) : 0, n);
    sm_strings_free(&problems);
    sm_buffer_free(&analyses);
    sm_store_close(s);
    return n;
}

/* ---- everything that a library knows, as text ---- */

typedef struct {
    sm_store *store;
    sm_buffer text;
} dump;

static int dump_output(void *user, int64_t content, const sm_output_row *o)
{
    dump *d = user;
    (void)content;
    sm_buffer_printf(&d->text, " %s %s", o->model, o->weights);
    for (size_t i = 0; i < o->n; i++)
        sm_buffer_printf(&d->text, " %a", (double)o->scores[i]);
    return 0;
}

static int dump_file(void *user, const sm_file_row *f)
{
    dump *d = user;
    sm_content_row c = { 0 };
    test_ok(sm_store_file_path(d->store, f->id, &d->text));
    sm_buffer_printf(&d->text, " %lld %lld %d %s\n", (long long)f->size, (long long)f->mtime_ns, (int)f->state,
                     f->reason ? f->reason : "");
    if (f->content == 0)
        return 0;
    test_ok(sm_store_content_get(d->store, f->content, &c));
    for (int i = 0; i < SM_HASH_BYTES; i++)
        sm_buffer_printf(&d->text, "%02x%02x", c.hash[i], c.audio_hash[i]);
    test_ok(sm_store_record(d->store, f->content, &d->text));
    test_ok(sm_store_outputs_of(d->store, f->content, dump_output, d));
    sm_buffer_text(&d->text, "\n");
    return 0;
}

static int dump_folder(void *user, int64_t id, const char *path)
{
    (void)path;
    dump *d = user;
    return sm_store_files_in(d->store, id, dump_file, d);
}

/* Which of all files was first decides the id of a content; ids are not in it. */
static char *whole_of(const char *library)
{
    dump d = { 0 };
    test_ok(sm_store_open(library, SM_STORE_READ, &d.store));
    test_ok(sm_store_each_folder(d.store, NULL, dump_folder, &d));
    sm_store_close(d.store);
    assert_false(d.text.failed);
    return d.text.data;
}

static void killed_scans_lose_nothing_and_do_nothing_twice(void **state)
{
    const test_place *place = *state;
    const bool is_long = getenv("SM_LONG") != NULL;
    const int files = is_long ? 2000 : 150, kills = is_long ? 100 : 6, part = is_long ? 5 : 3;
    const char *seed = getenv("SM_TEST_SEED");
    const uint64_t random = sm_unit_hash("moments", seed ? strtoull(seed, NULL, 10) : 1);
    char tree[128], whole[128], library[128];
    if (!test_program())
        test_skip("the program is not known");
    setenv("SAMPLEMIND_HOME", place->folder, 1);
    snprintf(tree, sizeof tree, "%s/tree", place->folder);
    snprintf(whole, sizeof whole, "%s/whole", place->folder);
    make_tree(tree, files);
    const double began = sm_now_s();
    assert_int_equal(end_of(start_scan(whole, tree)), 3); /* one file is broken */
    const double took = sm_now_s() - began;
    char *expected = whole_of(whole);
    const int64_t contents = contents_of(whole);
    assert_true(contents > files / 2);

    int done = 0, scans = 0;
    while (done < kills) { /* scans one after the other, each killed until it gets through */
        int64_t before = 0;
        snprintf(library, sizeof library, "%s/library%d", place->folder, scans++);
        for (;;) {
            /* from before the first file to so far that a scan is killed several times before it gets through */
            const double moment = fabs(sm_unit(random, (uint64_t)(done + 1000 * scans))) * SM_MAX(took / part, 0.3);
            const pid_t child = start_scan(library, tree);
            if (done < kills) {
                sleep_s(moment);
                kill(child, SIGKILL);
            }
            const int status = end_of(child);
            const int64_t now = contents_of(library);
            if (now < before)
                fail_msg("%lld contents of %lld are left after a scan was killed", (long long)now, (long long)before);
            before = now;
            if (status >= 0) {
                assert_int_equal(status == 0 || status == 3, 1);
                break;
            }
            done++;
        }
        char *got = whole_of(library);
        assert_int_equal(contents_of(library), contents);
        if (strcmp(got, expected) != 0)
            fail_msg("after %d kills the library is not the one of a scan that was left alone", done);
        sm_free(got);
    }
    print_message("%d kills in %d scans of %d files; a scan alone took %.1f s\n", done, scans, files, took);
    sm_free(expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(killed_scans_lose_nothing_and_do_nothing_twice, test_place_make,
                                        test_place_remove),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
