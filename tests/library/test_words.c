/* Cutting names, the table of meanings, ranks. */
#include "support/support.h"

#include <math.h>
#include <string.h>
#include <strings.h>

#include "library/query.h"
#include "library/rank.h"
#include "library/words.h"
#include "models/model.h"

static void names_are_cut_where_a_reader_would(void **state)
{
    static const struct {
        const char *name, *words;
    } rows[] = {
        { "kick.wav", "kick" },
        { "DarkBass_F#m-120bpm.wav", "Dark Bass DarkBass F#m 120 bpm" },
        { "HHClosed1-Hard.wav", "HH Closed 1 Hard" },
        { "Hi-Hat 7.wav", "Hi Hat HiHat 7" },
        { "TR808Kick01.aif", "TR 808 Kick 01" },
        { "Open_Hat_04.flac", "Open Hat OpenHat 04" },
        { "BPMs", "BPMs" },
        { "Vengeance Vol. 1", "Vengeance Vol 1" },
        { "Gr\xC3\xB6\xC3\x9F"
          "e M\xC3\x9CLL.wav",
          "Gr\xC3\xB6\xC3\x9F"
          "e M\xC3\x9CLL" },
        { "\xff\xfe.wav", NULL },
        { ".hidden", "hidden" },
        { "Am 8A C#2.wav", "Am 8 A C# 2" },
    };
    thesaurus *t = NULL;
    (void)state;
    test_ok(thesaurus_open(NULL, &t));
    for (size_t i = 0; i < SM_LENGTH(rows); i++) {
        sm_buffer out = { 0 };
        words_cut_name(rows[i].name, t, &out);
        if (rows[i].words ? !out.data || strcmp(out.data, rows[i].words) != 0 : out.length > 0)
            fail_msg("%s: \"%s\"", rows[i].name, out.data ? out.data : "");
        sm_buffer_free(&out);
    }
    thesaurus_free(t);
}

static void what_the_index_is_asked_is_always_quoted(void **state)
{
    static const struct {
        const char *text;
        bool prefix;
        const char *expression; /* NULL: nothing to ask */
    } rows[] = {
        { "kick", true, "\"kick\" *" },
        { "kick", false, "\"kick\"" },
        { "bd", true, "\"bd\"" },
        { "robots", true, "\"robot\" *" },
        { "bass", true, "\"bass\" *" },
        { "deep house", false, "\"deep house\"" },
        { "\" OR 1 NEAR(", true, "\"OR 1 NEAR\" *" },
        { "tr808", true, "\"tr 808\" *" },
        { "a*b^c:d", false, "\"a b c d\"" },
        { "!!!", true, NULL },
        { "'; DROP TABLE words; --", true, "\"DROP TABLE word\" *" },
    };
    (void)state;
    for (size_t i = 0; i < SM_LENGTH(rows); i++) {
        sm_buffer out = { 0 };
        const bool any = words_expression(rows[i].text, rows[i].prefix, &out);
        if (any != (rows[i].expression != NULL) || (any && strcmp(out.data, rows[i].expression) != 0))
            fail_msg("%s: %s", rows[i].text, any ? out.data : "nothing");
        sm_buffer_free(&out);
    }
}

static bool is_class(const char *name)
{
    for (size_t i = 0; i < SM_INSTRUMENTS; i++)
        if (!strcmp(sm_instruments[i], name))
            return true;
    return false;
}

static void every_meaning_that_ships_can_be_met(void **state)
{
    thesaurus *t = NULL;
    size_t rows = 0;
    (void)state;
    test_ok(thesaurus_open(NULL, &t));
    assert_true(thesaurus_words(t) >= 300);
    for (size_t i = 0; i < thesaurus_words(t); i++) {
        const thesaurus_word *w = thesaurus_at(t, i);
        if (i > 0)
            assert_true(strcasecmp(thesaurus_at(t, i - 1)->word, w->word) < 0);
        assert_ptr_equal(thesaurus_find(t, w->word, strlen(w->word)), w);
        for (size_t k = 0; k < w->n_rows; k++, rows++) {
            const thesaurus_row *r = &w->rows[k];
            query_field f;
            assert_true(r->weight > 0 && r->weight <= 1);
            if (r->kind == THESAURUS_CLASS && !is_class(r->target))
                fail_msg("%s: no class %s", w->word, r->target);
            if (r->kind == THESAURUS_DESCRIPTOR && !query_field_find(r->target, &f))
                fail_msg("%s: no field %s", w->word, r->target);
            if (r->kind == THESAURUS_DESCRIPTOR && r->direction != THESAURUS_VALUE)
                assert_true(f.type <= QUERY_BOOLEAN);
            if (r->kind == THESAURUS_OUTPUT && !strchr(r->target, ':'))
                fail_msg("%s: %s is no MODEL:CLASS", w->word, r->target);
        }
    }
    assert_true(rows >= 600);
    thesaurus_free(t);
}

static void words_are_found_in_the_forms_people_write(void **state)
{
    static const struct {
        const char *form, *word; /* NULL: not known */
    } rows[] = { { "kicks", "kick" }, { "KICK", "kick" },      { "basslines", "bassline" }, { "darkish", "dark" },
                 { "claps", "clap" }, { "glitchy", "glitch" }, { "warmer", "warm" },        { "bas", NULL },
                 { "xyzzy", NULL },   { "s", NULL },           { "crashes", "crash" },      { "snapping", "snap" } };
    thesaurus *t = NULL;
    (void)state;
    test_ok(thesaurus_open(NULL, &t));
    for (size_t i = 0; i < SM_LENGTH(rows); i++) {
        const thesaurus_word *w = thesaurus_find_form(t, rows[i].form, strlen(rows[i].form));
        /* "crashes" is a word of the table itself */
        if (rows[i].word ? !w || strncmp(w->word, rows[i].word, strlen(rows[i].word)) != 0 : w != NULL)
            fail_msg("%s: %s", rows[i].form, w ? w->word : "not known");
    }
    thesaurus_free(t);
}

static void a_users_table_wins_row_by_row(void **state)
{
    const test_place *place = *state;
    static const char table[] = "word,kind,target,direction,weight,note\n"
                                "donk,class,bass,=,0.9,\n"
                                "donk,descriptor,bpm,140..160,0.5,\n"
                                "kick,class,kick,=,0.25,\n"
                                "dark,descriptor,spectral_rolloff_hz,-,0,taken away\n"
                                "angry,mood,essentia:mood_aggressive:aggressive,+,0.1,\n";
    thesaurus *t = NULL;
    test_write_file(place->path, table, sizeof table - 1);
    test_ok(thesaurus_open(place->path, &t));
    const thesaurus_word *donk = thesaurus_find(t, "donk", 4), *kick = thesaurus_find(t, "kick", 4),
                         *dark = thesaurus_find(t, "dark", 4), *angry = thesaurus_find(t, "angry", 5);
    assert_int_equal(donk->n_rows, 2);
    assert_true(donk->rows[1].direction == THESAURUS_RANGE && donk->rows[1].low == 140 && donk->rows[1].high == 160);
    assert_true(kick->rows[0].kind == THESAURUS_CLASS && kick->rows[0].weight == 0.25);
    assert_true(kick->n_rows > 1); /* its other rows stay */
    assert_int_equal(dark->n_rows, 2);
    assert_true(angry->rows[0].kind == THESAURUS_OUTPUT &&
                !strcmp(angry->rows[0].target, "mood_aggressive:aggressive"));
    thesaurus_free(t);
}

static void a_users_table_that_is_wrong_is_refused_with_its_line(void **state)
{
    const test_place *place = *state;
    static const struct {
        const char *table, *why;
    } rows[] = {
        { "word,kind,target,direction\nx,class,bass,=\n", "no column \"weight\"" },
        { "word,kind,target,direction,weight\nx,colour,bass,=,1\n", "line 2: expected word, kind" },
        { "word,kind,target,direction,weight\nx,class,bass,=,2\n", "line 2: the weight is \"2\"" },
        { "word,kind,target,direction,weight\nx,descriptor,bpm,9..1,1\n", "the range 9..1" },
    };
    for (size_t i = 0; i < SM_LENGTH(rows); i++) {
        thesaurus *t = NULL;
        test_write_file(place->path, rows[i].table, strlen(rows[i].table));
        test_fails(thesaurus_open(place->path, &t), SM_EFORMAT, rows[i].why);
        assert_null(t);
    }
}

static void the_table_as_a_file_is_the_same_table(void **state)
{
    const test_place *place = *state;
    thesaurus *t = NULL, *again = NULL;
    sm_buffer first = { 0 }, second = { 0 };
    test_ok(thesaurus_open(NULL, &t));
    thesaurus_csv(t, &first);
    test_write_file(place->path, first.data, first.length);
    test_ok(thesaurus_open(place->path, &again));
    thesaurus_csv(again, &second);
    assert_string_equal(first.data, second.data);
    sm_buffer_free(&first);
    sm_buffer_free(&second);
    thesaurus_free(t);
    thesaurus_free(again);
}

/* ---- ranks ---- */

/* The definition: the part that is smaller, and half of the equals. */
static double plain_rank(const float *values, const float *classes, size_t n, size_t i)
{
    double below = 0, equal = 0, known = 0;
    for (size_t k = 0; k < n; k++)
        if (classes[k] == classes[i] && !isnan(values[k])) {
            known++;
            below += values[k] < values[i];
            equal += values[k] == values[i];
        }
    return (below + equal / 2) / known;
}

static void a_rank_is_the_part_of_its_class_that_lies_below(void **state)
{
    enum { N = 20000 };
    float *values = sm_alloc(N, sizeof *values), *classes = sm_alloc(N, sizeof *classes);
    uint64_t *alive = sm_alloc(N / 64 + 1, sizeof *alive);
    rank_groups g;
    rank_field *f = NULL;
    (void)state;
    memset(alive, 0xff, (N / 64 + 1) * sizeof *alive);
    for (size_t i = 0; i < N; i++) {
        classes[i] = (float)(i % 7 == 0 ? 3 : 8); /* 2,857 and 17,143: one whole, one a sample */
        const double u = sm_unit(5, i);
        values[i] = i % 11 == 0 ? NAN : i % 3 == 0 ? -1 : (float)(classes[i] * u); /* many equals */
    }
    test_ok(rank_groups_make(classes, NULL, alive, N, &g));
    test_ok(rank_field_new(&g, values, &f));
    double worst_whole = 0, worst_sample = 0;
    for (size_t i = 0; i < N; i += 13) {
        if (isnan(values[i])) {
            assert_true(isnan(rank_of(f, &g, i)));
            continue;
        }
        const double away = fabs((double)rank_of(f, &g, i) - plain_rank(values, classes, N, i));
        double *worst = classes[i] == 3 ? &worst_whole : &worst_sample;
        *worst = SM_MAX(*worst, away);
        assert_int_equal(rank_group_of(f, &g, i), RANK_AMONG_CLASS);
    }
    assert_true(worst_whole < 1e-6);
    assert_true(worst_sample < 0.04); /* 4,096 of 15,584 drawn evenly: four standard errors of a half */
    rank_field_free(f);
    rank_groups_free(&g);
    sm_free(values);
    sm_free(classes);
    sm_free(alive);
}

static void a_class_of_few_is_ranked_among_its_kind(void **state)
{
    enum { N = 100 };
    float values[N], classes[N], kinds[N];
    uint64_t alive[2] = { ~(uint64_t)0, ~(uint64_t)0 };
    rank_groups g;
    rank_field *f = NULL;
    (void)state;
    for (size_t i = 0; i < N; i++) {
        values[i] = (float)i;
        classes[i] = i < 10 ? 1 : i < 60 ? 2 : NAN;
        kinds[i] = i < 70 ? 1 : NAN;
    }
    alive[0] &= ~(uint64_t)1; /* the first is gone and does not count */
    test_ok(rank_groups_make(classes, kinds, alive, N, &g));
    test_ok(rank_field_new(&g, values, &f));
    assert_int_equal(rank_group_of(f, &g, 5), RANK_AMONG_KIND);
    assert_int_equal(rank_group_of(f, &g, 30), RANK_AMONG_CLASS);
    assert_int_equal(rank_group_of(f, &g, 90), RANK_AMONG_ALL);
    assert_true(fabs((double)rank_of(f, &g, 5) - 4.5 / 69) < 1e-6);
    assert_true(fabs((double)rank_of(f, &g, 30) - 20.5 / 50) < 1e-6);
    rank_field_free(f);
    rank_groups_free(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_cut_where_a_reader_would),
        cmocka_unit_test(what_the_index_is_asked_is_always_quoted),
        cmocka_unit_test(every_meaning_that_ships_can_be_met),
        cmocka_unit_test(words_are_found_in_the_forms_people_write),
        cmocka_unit_test_setup_teardown(a_users_table_wins_row_by_row, test_place_make, test_place_remove),
        cmocka_unit_test_setup_teardown(a_users_table_that_is_wrong_is_refused_with_its_line, test_place_make,
                                        test_place_remove),
        cmocka_unit_test_setup_teardown(the_table_as_a_file_is_the_same_table, test_place_make, test_place_remove),
        cmocka_unit_test(a_rank_is_the_part_of_its_class_that_lies_below),
        cmocka_unit_test(a_class_of_few_is_ranked_among_its_kind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
