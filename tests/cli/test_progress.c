#include "support/support.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"

typedef struct {
    sm_cli cli;
    char *text;
    size_t length;
    sm_progress *progress;
} fixture;

static void begin(fixture *f, const char *mode, bool terminal, bool quiet, const char *unit)
{
    *f = (fixture){ 0 };
    f->cli.err = open_memstream(&f->text, &f->length);
    f->cli.err_is_terminal = terminal;
    f->cli.common.progress = mode;
    f->cli.common.quiet = quiet;
    test_ok(sm_progress_new(&f->cli, "analyze", 100, unit, &f->progress));
}

static void end(fixture *f)
{
    sm_progress_free(f->progress);
    fclose(f->cli.err);
}

static void nothing_is_printed_into_a_pipe_or_when_quiet(void **state)
{
    static const struct {
        const char *mode;
        bool terminal, quiet;
    } rows[] = { { "auto", false, false }, { "none", true, false }, { "auto", true, true } };
    (void)state;

    for (size_t i = 0; i < SM_LENGTH(rows); i++) {
        fixture f;
        begin(&f, rows[i].mode, rows[i].terminal, rows[i].quiet, "files");
        assert_null(f.progress);
        sm_progress_start(f.progress, "a", 1);
        sm_progress_file(f.progress, "a", 1, 1);
        sm_progress_set(f.progress, 5);
        sm_progress_set_total(f.progress, 5);
        sm_progress_finish(f.progress, "a", NULL);
        sm_progress_clear(f.progress);
        end(&f);
        assert_int_equal(f.length, 0);
        free(f.text);
    }
}

static size_t count(const char *text, const char *part)
{
    size_t n = 0;

    for (; (text = strstr(text, part)) != NULL; text++)
        n++;
    return n;
}

static void a_terminal_gets_one_line_at_most_ten_times_a_second(void **state)
{
    const double began = sm_now_s();
    fixture f;
    double seconds;
    (void)state;

    begin(&f, "auto", true, false, "files");
    sm_progress_set(f.progress, 1);
    fflush(f.cli.err);
    assert_int_equal(f.length, 0); /* what is done at once shows no bar */
    for (int i = 0; i < 300; i++) {
        sm_progress_set(f.progress, 0.25 * i);
        usleep(3000);
    }
    seconds = sm_now_s() - began;
    end(&f);
    const size_t lines = count(f.text, "\r\033[Kanalyze");
    assert_in_range(lines, 2, (size_t)(seconds * 10) + 1);
    assert_null(strchr(f.text, '\n'));
    assert_non_null(strstr(f.text, "% "));
    assert_non_null(strstr(f.text, " files/s  ETA 0:0"));
    assert_non_null(strstr(f.text, "  peak "));
    assert_string_equal(f.text + f.length - 4, "\r\033[K"); /* and it is taken away */
    free(f.text);
}

static void units_are_those_of_the_work(void **state)
{
    static const struct {
        const char *unit, *rate;
    } rows[] = { { "s of audio", "x real time" }, { "B", "B/s" }, { "files", " files/s" } };
    (void)state;

    for (size_t i = 0; i < SM_LENGTH(rows); i++) {
        fixture f;
        begin(&f, "auto", true, false, rows[i].unit);
        usleep(320000);
        sm_progress_set(f.progress, 50);
        end(&f);
        if (!strstr(f.text, rows[i].rate) || !strstr(f.text, " 50%"))
            fail_msg("%s: %s", rows[i].unit, f.text);
        free(f.text);
    }
}

static void events_are_json_objects_one_a_line(void **state)
{
    static const char *const events[] = { "start", "progress", "done", "start", "failed" };
    fixture f;
    size_t n = 0;
    (void)state;

    begin(&f, "json", false, true, "files"); /* also in a pipe, also when quiet: it was asked for */
    sm_progress_start(f.progress, "a \"1\".wav", 3);
    sm_progress_file(f.progress, "a \"1\".wav", 1.5, 3);
    sm_progress_file(f.progress, "a \"1\".wav", 1.6, 3); /* too soon after the last */
    sm_progress_set(f.progress, 1);
    sm_progress_finish(f.progress, "a \"1\".wav", NULL);
    sm_progress_start(f.progress, "b", -1);
    sm_progress_finish(f.progress, "b", "b: is a directory");
    end(&f);
    for (char *save = NULL, *line = strtok_r(f.text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        json_t *object = json_loads(line, 0, NULL);
        assert_non_null(object);
        assert_string_equal(json_string_value(json_object_get(object, "event")), events[n]);
        assert_string_equal(json_string_value(json_object_get(object, "path")), n < 3 ? "a \"1\".wav" : "b");
        if (n == 1)
            assert_true(json_number_value(json_object_get(object, "done_s")) == 1.5);
        if (n == 4)
            assert_string_equal(json_string_value(json_object_get(object, "reason")), "b: is a directory");
        json_decref(object);
        n++;
    }
    assert_int_equal(n, SM_LENGTH(events));
    free(f.text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_printed_into_a_pipe_or_when_quiet),
        cmocka_unit_test(a_terminal_gets_one_line_at_most_ten_times_a_second),
        cmocka_unit_test(units_are_those_of_the_work),
        cmocka_unit_test(events_are_json_objects_one_a_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
