/* The classes that EfficientAT and YAMNet name: AudioSet's, all or all but six. */
#include <string.h>

#include "models/model.h"
#include "support/support.h"

static void efficientat_names_all_of_audioset(void **state)
{
    const sm_classes *c = sm_model_find("mn04_as_mAP_432")->classes;
    (void)state;
    assert_int_equal(c->n, 527);
    assert_string_equal(c->names[0], "Speech");
    assert_string_equal(c->ids[0], "/m/09x0r");
    assert_string_equal(c->names[137], "Music");
    assert_string_equal(c->names[526], "Field recording");
}

static void yamnet_leaves_six_of_them_out(void **state)
{
    const sm_classes *all = sm_model_find("mn04_as_mAP_432")->classes, *c = sm_model_find("yamnet")->classes;
    size_t k = 0;
    (void)state;
    assert_int_equal(c->n, 521);
    assert_string_equal(c->names[132], "Music");
    for (size_t i = 0; i < all->n; i++) {
        assert_true(all->ids[i][0] == '/');
        if (k < c->n && !strcmp(all->ids[i], c->ids[k])) {
            assert_string_equal(all->names[i], c->names[k]);
            k++;
        } else {
            assert_true(strstr(all->names[i], "ale s") || !strcmp(all->names[i], "Battle cry") ||
                        !strcmp(all->names[i], "Funny music"));
        }
    }
    assert_int_equal(k, c->n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(efficientat_names_all_of_audioset),
        cmocka_unit_test(yamnet_leaves_six_of_them_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
