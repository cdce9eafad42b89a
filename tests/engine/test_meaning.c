/* What several networks' words on the instrument become: the rules of docs/record.md, by hand. */
#include "support/support.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

#include "engine/engine.h"

static json_t *judged(const sm_model_opinion *o, size_t n)
{
    sm_buffer text = { 0 };
    json_error_t why;
    test_ok(sm_opinions_judge(o, n, &text));
    json_t *root = json_loads(text.data, 0, &why);
    if (!root)
        fail_msg("%s in %s", why.text, text.data);
    sm_buffer_free(&text);
    return root;
}

static double score(const json_t *root, const char *name)
{
    return json_number_value(json_object_get(json_object_get(root, "instrument_scores"), name));
}

static const char *const three[] = { "kick", "snare", "tom" }, *const turned[] = { "tom", "snare", "kick" },
                         *const own[] = { "my kick", "my snare", "my tom" };
static const float sure[] = { 0.9f, 0.06f, 0.04f }, doubtful[] = { 0.5f, 0.3f, 0.2f }, other[] = { 0.3f, 0.1f, 0.6f };

static sm_model_opinion of(const char *model, const char *const *classes, const float *scores)
{
    return (sm_model_opinion){ .model = model, .weights = "0", .n_classes = 3, .classes = classes, .scores = scores };
}

static void one_network_is_taken_at_its_word(void **state)
{
    (void)state;
    const sm_model_opinion o[] = { of("samplemind", three, sure) };
    json_t *r = judged(o, 1);
    assert_string_equal(json_string_value(json_object_get(r, "instrument")), "kick");
    assert_float_equal(score(r, "kick"), 0.9, 1e-6);
    assert_int_equal(json_array_size(json_object_get(r, "instrument_votes")), 1);
    json_decref(r);
}

static void two_are_combined_by_their_geometric_mean_class_by_class(void **state)
{
    double p[3], sum = 0;
    (void)state;
    const sm_model_opinion o[] = { of("samplemind", three, doubtful), of("samplemind-tuned", turned, other) };
    json_t *r = judged(o, 2);
    for (int c = 0; c < 3; c++) /* the second one's classes stand in another order */
        sum += p[c] = sqrt(((double)doubtful[c] + 1e-4) * ((double)other[2 - c] + 1e-4));
    for (int c = 0; c < 3; c++)
        assert_float_equal(score(r, three[c]), p[c] / sum, 1e-6);
    assert_string_equal(json_string_value(json_object_get(r, "instrument")), "kick");
    assert_int_equal(json_array_size(json_object_get(r, "instrument_votes")), 2);
    json_decref(r);
}

static void classes_of_ones_own_are_not_mixed_with_ours(void **state)
{
    (void)state;
    const sm_model_opinion o[] = { of("samplemind", own, doubtful), of("samplemind-tuned", three, other) };
    json_t *r = judged(o, 2);
    assert_float_equal(score(r, "my kick"), 0.5, 1e-6);
    assert_int_equal(json_array_size(json_object_get(r, "instrument_votes")), 1);
    json_decref(r);
    /* without it the other one speaks */
    r = judged(o + 1, 1);
    assert_float_equal(score(r, "tom"), 0.6, 1e-6);
    json_decref(r);
}

static void the_second_opinion_is_asked_below_seventy_percent(void **state)
{
    (void)state;
    const sm_model_opinion low[] = { of("samplemind", three, doubtful), of("samplemind-yamnet", three, other) };
    const sm_model_opinion high[] = { of("samplemind", three, sure), of("samplemind-yamnet", three, other) };
    double p[3], sum = 0;
    json_t *r = judged(low, 2);
    for (int c = 0; c < 3; c++)
        sum += p[c] = ((double)doubtful[c] + 1e-4) * pow((double)other[c] + 1e-4, 0.05);
    for (int c = 0; c < 3; c++)
        assert_float_equal(score(r, three[c]), p[c] / sum, 1e-6);
    assert_int_equal(json_array_size(json_object_get(r, "instrument_votes")), 2);
    json_decref(r);
    r = judged(high, 2);
    assert_float_equal(score(r, "kick"), 0.9, 1e-6);
    assert_int_equal(json_array_size(json_object_get(r, "instrument_votes")), 1);
    json_decref(r);
    r = judged(low + 1, 1); /* alone it is all there is */
    assert_float_equal(score(r, "tom"), 0.6, 1e-6);
    json_decref(r);
}

static void all_of_them_have_a_vote(void **state)
{
    (void)state;
    const sm_model_opinion o[5] = { of("samplemind", three, doubtful), of("samplemind-tuned", three, doubtful),
                                    of("samplemind-tuned-wide", three, doubtful),
                                    of("samplemind-mobile", three, doubtful), of("samplemind-yamnet", three, other) };
    json_t *r = judged(o, 5);
    assert_int_equal(json_array_size(json_object_get(r, "instrument_votes")), 5);
    json_decref(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_network_is_taken_at_its_word),
        cmocka_unit_test(two_are_combined_by_their_geometric_mean_class_by_class),
        cmocka_unit_test(classes_of_ones_own_are_not_mixed_with_ours),
        cmocka_unit_test(the_second_opinion_is_asked_below_seventy_percent),
        cmocka_unit_test(all_of_them_have_a_vote),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
