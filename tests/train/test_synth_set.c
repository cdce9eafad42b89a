/* Made sounds as a dataset: what is known of them is in it, what is there is not made again. */
#include "support/support.h"

#include <jansson.h>
#include <string.h>
#include <unistd.h>

#include "train/dataset_tools.h"

static sm_dataset *opened(const test_place *place)
{
    sm_dataset *d = NULL;
    char path[160];
    snprintf(path, sizeof path, "%s/d.dataset", place->folder);
    test_ok(sm_dataset_open(path, SM_DATASET_CREATE, &d));
    return d;
}

static int check_item(void *user, const sm_item *item)
{
    json_t *extra = json_loads(item->extra ? item->extra : "", 0, NULL);
    int *seen = user;
    assert_string_equal(item->label, "kick");
    assert_string_equal(item->label_from, "synth");
    assert_string_equal(item->licence, "own synthesis");
    assert_string_equal(item->split, "val");
    assert_true(item->duration_s > 0.05 && item->duration_s <= 2.5);
    assert_int_equal(item->rate_hz, 22050);
    assert_string_equal(json_string_value(json_object_get(extra, "recipe")), "analogue kick");
    assert_int_equal(json_integer_value(json_object_get(extra, "seed")), 1000 + *seen);
    /* the tone of a kick lies between 38 and 70 Hz: that is what its recipe draws from */
    assert_in_range((uint64_t)json_number_value(json_object_get(extra, "pitch_hz")), 37, 71);
    json_decref(extra);
    (*seen)++;
    return 0;
}

static void recipes_become_items_once(void **state)
{
    const test_place *place = *state;
    sm_dataset *d = opened(place);
    sm_dataset_result r;
    char folder[160];
    int seen = 0;
    snprintf(folder, sizeof folder, "%s/made", place->folder);
    const sm_dataset_synth_options o = {
        .folder = folder, .labels = "kick", .each = 5, .seed = 1000, .rate_hz = 22050, .split = "val"
    };
    test_ok(sm_dataset_synth(d, &o, &r));
    assert_int_equal(r.added, 5);
    assert_int_equal(r.broken, 0);
    test_ok(sm_dataset_each(d, &(const sm_dataset_filter){ 0 }, check_item, &seen));
    assert_int_equal(seen, 5);
    test_ok(sm_dataset_synth(d, &o, &r));
    assert_int_equal(r.added, 0);
    assert_int_equal(r.unchanged, 5);
    sm_dataset_close(d);
}

static void a_class_without_a_recipe_is_named(void **state)
{
    const test_place *place = *state;
    sm_dataset *d = opened(place);
    sm_dataset_result r;
    const sm_dataset_synth_options o = { .folder = place->folder, .labels = "kick,theremin", .each = 1 };
    test_fails(sm_dataset_synth(d, &o, &r), SM_EUSAGE, "\"theremin\"");
    sm_dataset_close(d);
}

static int count_labels(void *user, const sm_item *item)
{
    int *counts = user;
    counts[0] += !strcmp(item->label, "kick");
    counts[1] += !strcmp(item->label, "woodwind");
    assert_true(item->pitch_midi > 0 || strstr(item->path, "_b128_"));
    return 0;
}

static void a_soundfont_gives_notes_of_known_classes(void **state)
{
    static const char font[] = "/usr/share/sounds/sf2/TimGM6mb.sf2";
    const test_place *place = *state;
    sm_dataset_result r;
    sm_strings missing = { 0 };
    char folder[160];
    int counts[2] = { 0 };
    if (access(font, R_OK) != 0)
        test_skip("needs the package timgm6mb-soundfont");
    sm_dataset *d = opened(place);
    snprintf(folder, sizeof folder, "%s/notes", place->folder);
    const sm_dataset_soundfont_options o = { .folder = folder, .step = 48, .velocities = 1, .rate_hz = 8000 };
    const int err = sm_dataset_soundfont(d, font, &o, &missing, &r);
    if (err == SM_EUNSUPPORTED) {
        sm_dataset_close(d);
        test_skip("%s", sm_last_error());
    }
    test_ok(err);
    assert_true(r.added >= 200); /* 122 programs, two notes each, and 42 drums, less what a program does not reach */
    test_ok(sm_dataset_each(d, &(const sm_dataset_filter){ 0 }, count_labels, counts));
    assert_in_range(counts[0], 1, 2); /* keys 35 and 36 */
    assert_in_range(counts[1], 20, 36);
    sm_dataset_close(d);
    sm_strings_free(&missing);
}

static void what_is_no_soundfont_is_told(void **state)
{
    const test_place *place = *state;
    sm_dataset *d = opened(place);
    sm_dataset_result r;
    sm_strings missing = { 0 };
    const sm_dataset_soundfont_options o = { .folder = place->folder };
    test_fails(sm_dataset_soundfont(d, "no-such.sf2", &o, &missing, &r), SM_ENOTFOUND, "no-such.sf2");
    test_write_file(place->path, "RIFF, but no more", 17);
    const int err = sm_dataset_soundfont(d, place->path, &o, &missing, &r);
    assert_true(err == SM_EFORMAT || err == SM_EUNSUPPORTED); /* the latter: without FluidSynth nobody can tell */
    sm_dataset_close(d);
}

#define PLACED(test) cmocka_unit_test_setup_teardown(test, test_place_make, test_place_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PLACED(recipes_become_items_once),
        PLACED(a_class_without_a_recipe_is_named),
        PLACED(a_soundfont_gives_notes_of_known_classes),
        PLACED(what_is_no_soundfont_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
