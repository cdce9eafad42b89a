#include "weights/graph_text.h"

static void constants_of_all_spellings_are_read(void **state)
{
    (void)state;
    sm_weights *w = fixture_open("frozen.pb");
    assert_string_equal(sm_weights_format(w), "tf-pb");
    assert_int_equal(sm_weights_count(w), 10);                                 /* the text is none */
    expect_unit(w, "conv/kernel", NN_SHAPE(3, 3, 2, 4), "conv/kernel", EXACT); /* tensor_content */
    expect_unit(w, "bias", NN_SHAPE(4), "bias", EXACT);                        /* a list, one field a number */
    expect_unit(w, "packed", NN_SHAPE(2, 2), "packed", EXACT);                 /* a packed list */
    expect_unit(w, "half", NN_SHAPE(3), "half", HALF_ULP);                     /* 16 bits as varints */
    expect_values(w, "ones", 1, 1, 1, 1, 1, 1, 1, 1, 1, 1);                    /* one value for all */
    expect_values(w, "axes", 1, 2);
    expect_values(w, "scalar", 7);
    expect_stored(w, "scalar", NN_I64, NN_SCALAR);
    expect_unit(w, "call/inner/w", NN_SHAPE(2, 3), "dense/w", EXACT); /* inside a function inside a function */
    sm_weights_close(w);
}

static void the_graph_is_sorted_and_functions_are_inlined(void **state)
{
    (void)state;
    sm_weights *w = fixture_open("frozen.pb");
    const sm_foreign_graph *g = sm_weights_graph(w);
    expect_graph(w, true,
                 "Identity(conv/kernel) -> conv/kernel/read T=DT_FLOAT\n"
                 "Conv2D(x, conv/kernel/read) -> conv T=DT_FLOAT strides=1,2,2,1 padding='SAME' data_format='NHWC' "
                 "dilations=1,1,1,1 "
                 "use_cudnn_on_gpu=1\n"
                 "BiasAdd(conv, bias) -> bias_add T=DT_FLOAT\n"
                 "Relu(bias_add) -> relu T=DT_FLOAT\n"
                 "NoOp() -> init\n"
                 "Const() -> text dtype=DT_STRING\n"
                 "Split(split_axis, relu) -> split split:1 T=DT_FLOAT num_split=2\n"
                 "Mean(split:1, call/axes) -> call/mean keep_dims=0 T=DT_FLOAT\n"
                 "MatMul(call/mean, call/inner/w) -> call/inner/mm T=DT_FLOAT transpose_a=0\n"
                 "Softmax(call/mean) -> probabilities T=DT_FLOAT\n"
                 "Sigmoid(call/inner/mm) -> scores T=DT_FLOAT alpha=0.25 names='a','b'\n");
    assert_string_equal(g->dialect, "tf");
    assert_int_equal(g->n_inputs, 1);
    assert_string_equal(g->inputs[0].name, "x");
    assert_int_equal(g->inputs[0].type, NN_F32);
    assert_true(nn_shape_equal(&g->inputs[0].shape, &NN_SHAPE(-1, 8, 8, 2)));
    assert_int_equal(g->n_outputs, 2); /* what nothing uses */
    assert_string_equal(g->outputs[0].name, "probabilities");
    assert_string_equal(g->outputs[1].name, "scores");
    sm_weights_close(w);
}

/* Nodes by hand: "\n" is field 1 as bytes (a node; in it the name), "\x12" field 2 (the operator), "\x1A" field 3 (an input). */
static void graphs_that_make_no_sense_are_refused(void **state)
{
    (void)state;
#define REFUSED(bytes, code, message) expect_refused(bytes, sizeof(bytes) - 1, code, message)
    REFUSED("\n\x0C\n\1a\x12\4Relu\x1A\1b", SM_EFORMAT, "wants \"b\", which nothing makes");
    REFUSED("\n\x0C\n\1a\x12\4Relu\x1A\1a", SM_EUNSUPPORTED, "loop through \"a\"");
    REFUSED("\n\x09\n\1a\x12\4Relu\n\x09\n\1a\x12\4Relu", SM_EFORMAT, "two nodes are called \"a\"");
    REFUSED("\n\x06\x12\4Relu", SM_EFORMAT, "without a name");
    REFUSED("\n\x7F\n\1a\x12\4Relu", SM_EFORMAT, "beyond the end");
    REFUSED("\x08\1\x12\2\n\0", SM_EUNSUPPORTED, "SavedModel");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(constants_of_all_spellings_are_read),
        cmocka_unit_test(the_graph_is_sorted_and_functions_are_inlined),
        cmocka_unit_test(graphs_that_make_no_sense_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
