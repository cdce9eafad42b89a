#include "weights/graph_text.h"

#include "weights/store.h"

static sm_weights *store(void)
{
    sm_weights *w = w_new("test");
    assert_non_null(w);
    w_set_data(w, (const uint8_t *)"1234", 4);
    test_ok(w_add(w, &(w_tensor){
                         .name = "weight", .type = NN_F32, .shape = NN_SHAPE(1), .bytes = w->data, .scale_axis = -1 }));
    return w;
}

/* n nodes, each using the one before it, given last first: deeper than any recursion could go. */
static void a_long_chain_is_sorted(void **state)
{
    enum { LENGTH = 50000 };
    sm_weights *w = store();
    w_graph g = { 0 };
    (void)state;
    test_ok(w_graph_input(&g, &(sm_foreign_value){ .name = "n0" }));
    for (int i = LENGTH; i > 0; i--) {
        const char **names = sm_arena_get(w->arena, 2, sizeof *names, 8);
        names[0] = sm_arena_printf(w->arena, "n%d", i - 1);
        names[1] = sm_arena_printf(w->arena, "n%d", i);
        test_ok(w_graph_node(&g, &(sm_foreign_node){ .name = names[1],
                                                     .op = "Next",
                                                     .n_inputs = 1,
                                                     .n_outputs = 1,
                                                     .inputs = names,
                                                     .outputs = names + 1 }));
    }
    test_ok(w_graph_finish(w, &g, "test", 1));
    assert_int_equal(w->graph->n_nodes, LENGTH);
    assert_string_equal(w->graph->nodes[0].name, "n1");
    assert_string_equal(w->graph->nodes[LENGTH - 1].name, "n50000");
    w_graph_free(&g);
    sm_weights_close(w);
}

static void what_is_wrong_with_a_graph_is_said(void **state)
{
    static const struct {
        const char *input[2], *output[2]; /* of two nodes "a" and "b" */
        const char *result;
        int code;
        const char *message;
    } cases[] = {
        { { "x", "weight" }, { "p", "q" }, "q", 0, "" },
        { { "x", "p" }, { "p", "q" }, "x", 0, "" }, /* an input may be an output */
        { { "x", "" }, { "p", "q" }, "p", 0, "" },  /* an optional input that is absent */
        { { "x", "z" }, { "p", "q" }, "q", SM_EFORMAT, "operator \"b\" (Op) wants \"z\", which nothing makes" },
        { { "q", "p" }, { "p", "q" }, "q", SM_EUNSUPPORTED, "loop" },
        { { "p", "x" }, { "p", "q" }, "q", SM_EUNSUPPORTED, "loop through \"p\"" },
        { { "x", "x" }, { "p", "p" }, "p", SM_EFORMAT, "two operators of the graph make \"p\"" },
        { { "x", "x" }, { "p", "q" }, "r", SM_EFORMAT, "output \"r\" is made by nothing" },
    };
    (void)state;
    for (size_t i = 0; i < SM_LENGTH(cases); i++) {
        sm_weights *w = store();
        w_graph g = { 0 };
        test_ok(w_graph_input(&g, &(sm_foreign_value){ .name = "x" }));
        test_ok(w_graph_output(&g, &(sm_foreign_value){ .name = cases[i].result }));
        for (int k = 0; k < 2; k++)
            test_ok(w_graph_node(&g, &(sm_foreign_node){ .name = k ? "b" : "a",
                                                         .op = "Op",
                                                         .n_inputs = 1,
                                                         .n_outputs = 1,
                                                         .inputs = &cases[i].input[k],
                                                         .outputs = &cases[i].output[k] }));
        const int err = w_graph_finish(w, &g, "test", 1);
        if (err != cases[i].code || (err < 0 && !strstr(sm_last_error(), cases[i].message)))
            fail_msg("case %zu: %s \"%s\"", i, sm_code_name(err), sm_last_error());
        w_graph_free(&g);
        sm_weights_close(w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_long_chain_is_sorted),
        cmocka_unit_test(what_is_wrong_with_a_graph_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
