/* Models propose: what ships hears the examples; labels only where they were asked for, and never over a person's word. */
#include "support/support.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "models/model.h"
#include "train/dataset_tools.h"

typedef struct {
    test_place *place;
    sm_dataset *d;
    sm_arena *arena;
    int64_t kick, hihat, named;
} fixture;

static int64_t put(fixture *f, const char *name, const char *label, double confidence)
{
    sm_item item;
    char root[512];
    sm_item_init(&item);
    assert_non_null(getcwd(root, sizeof root));
    item.root = root;
    item.path = name;
    item.label = label;
    item.label_from = label ? "folder" : NULL;
    item.confidence = confidence;
    test_ok(sm_dataset_put(f->d, &item));
    return item.id;
}

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    void *place = NULL;
    assert_non_null(f);
    test_place_make(&place);
    f->place = place;
    f->arena = sm_arena_new();
    test_ok(sm_dataset_open(f->place->path, SM_DATASET_CREATE, &f->d));
    f->kick = put(f, "examples/kick.wav", NULL, 0);
    f->hihat = put(f, "examples/hihat.wav", "cymbal", 0.5); /* doubtful */
    f->named = put(f, "examples/bass_e1.wav", "bass", 0.95);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    void *place = f->place;
    sm_dataset_close(f->d);
    sm_arena_free(f->arena);
    free(f);
    return test_place_remove(&place);
}

static bool has_model(void)
{
    size_t size = 0;
    return sm_model_shipped("samplemind", &size) != NULL;
}

static sm_dataset_autolabel_result run(fixture *f, double take, bool all)
{
    sm_dataset_autolabel_options o = { .models = "samplemind", .take = take, .all = all };
    sm_dataset_autolabel_result r;
    o.work.jobs = 1;
    test_ok(sm_dataset_autolabel(f->d, &o, &r));
    return r;
}

static sm_item item_of(fixture *f, int64_t id)
{
    sm_item item;
    test_ok(sm_dataset_get(f->d, id, f->arena, &item));
    return item;
}

static void what_is_doubtful_is_heard_and_only_proposed(void **state)
{
    fixture *f = *state;
    sm_proposal *p;
    size_t n;
    if (!has_model())
        test_skip("this tree has no models/samplemind.safetensors");
    const sm_dataset_autolabel_result r = run(f, 0, false);
    assert_int_equal(r.heard, 2); /* what is named with confidence is not asked about */
    assert_int_equal(r.proposed, 2);
    assert_int_equal(r.taken, 0);
    assert_int_equal(r.agreed, 0); /* the hat is no cymbal */
    assert_null(item_of(f, f->kick).label);
    test_ok(sm_dataset_proposals(f->d, f->kick, f->arena, &p, &n));
    assert_int_equal(n, 1);
    assert_string_equal(p[0].model, "samplemind");
    assert_string_equal(p[0].label, "kick");
    assert_true(p[0].confidence > 0.3 && p[0].confidence <= 1);
    assert_non_null(strstr(p[0].top, "[[\"kick\","));
    test_ok(sm_dataset_proposals(f->d, f->named, f->arena, &p, &n));
    assert_int_equal(n, 0);
    /* heard again: the proposal is replaced, not doubled */
    run(f, 0, true);
    test_ok(sm_dataset_proposals(f->d, f->kick, f->arena, &p, &n));
    assert_int_equal(n, 1);
    test_ok(sm_dataset_proposals(f->d, f->named, f->arena, &p, &n));
    assert_int_equal(n, 1);
}

static void an_unlabelled_sound_takes_a_sure_answer_when_asked_to(void **state)
{
    fixture *f = *state;
    if (!has_model())
        test_skip("this tree has no models/samplemind.safetensors");
    assert_int_equal(run(f, 1, true).taken, 0); /* nobody is that sure */
    assert_int_equal(run(f, 0.3, true).taken, 1);
    const sm_item kick = item_of(f, f->kick), hihat = item_of(f, f->hihat);
    assert_string_equal(kick.label, "kick");
    assert_string_equal(kick.label_from, "model");
    assert_true(kick.confidence >= 0.3 && kick.confidence <= 1);
    assert_false(kick.verified);
    assert_string_equal(hihat.label, "cymbal"); /* what has a label keeps it: it is for a person to decide */
    assert_string_equal(hihat.label_from, "folder");
}

static void a_model_that_is_not_there_is_named(void **state)
{
    fixture *f = *state;
    sm_dataset_autolabel_options o = { .models = "no-such-model" };
    sm_dataset_autolabel_result r;
    test_fails(sm_dataset_autolabel(f->d, &o, &r), SM_EUSAGE, "no-such-model");
}

#define ON_A_DATASET(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_A_DATASET(what_is_doubtful_is_heard_and_only_proposed),
        ON_A_DATASET(an_unlabelled_sound_takes_a_sure_answer_when_asked_to),
        ON_A_DATASET(a_model_that_is_not_there_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
