#include "weights/graph_text.h"

static void initialisers_and_constants_are_weights(void **state)
{
    nn_tensor t;
    (void)state;
    sm_weights *w = fixture_open("model.onnx");
    assert_string_equal(sm_weights_format(w), "onnx");
    assert_int_equal(sm_weights_count(w), 10);
    expect_unit(w, "conv.weight", NN_SHAPE(4, 2, 3, 3), "onnx.conv", EXACT); /* raw_data */
    expect_unit(w, "fc.bias", NN_SHAPE(3), "onnx.bias", EXACT);              /* float_data */
    expect_unit(w, "half", NN_SHAPE(4), "onnx.half", HALF_ULP);              /* 16 bits in int32_data */
    expect_unit(w, "d", NN_SHAPE(2), "onnx.d", EXACT);                       /* double_data */
    test_ok(sm_weights_get(w, "i64", &NN_SHAPE(2), &t));
    assert_int_equal(((const int64_t *)t.data)[0], -1);
    assert_true(((const int64_t *)t.data)[1] == INT64_C(1) << 40);
    expect_stored(w, "bytes", NN_I8, NN_SHAPE(5));
    expect_values(w, "shape", 1, -1);
    expect_values(w, "k", 0.5f); /* value_float: a scalar */
    expect_stored(w, "k", NN_F32, NN_SCALAR);
    expect_values(w, "ks", 3, -1, 4); /* value_ints */
    expect_meta(w, "producer_name", "make.py");
    expect_meta(w, "note", "made up");
    sm_weights_close(w);
}

static void the_graph_is_sorted_and_has_its_attributes(void **state)
{
    (void)state;
    sm_weights *w = fixture_open("model.onnx");
    const sm_foreign_graph *g = sm_weights_graph(w);
    expect_graph(w, true,
                 "Conv(x, conv.weight, ) -> c kernel_shape=3,3 pads=1,1,1,1 strides=2,2 auto_pad='NOTSET'\n"
                 "Relu(c) -> r\n"
                 "Reshape(r, shape) -> flat\n"
                 "Gemm(flat, fc.weight, fc.bias) -> logits alpha=1 transB=1\n"
                 "ConstantOfShape(ks) -> unused value=f32[1]\n"
                 "com.example:FusedThing(logits, k) -> y  scales=0.5,2 modes='a','bc'\n");
    assert_string_equal(g->dialect, "onnx");
    assert_int_equal(g->opset, 17);
    assert_string_equal(g->nodes[0].name, "conv");
    assert_string_equal(g->nodes[1].name, "r"); /* has none: its output's */
    assert_int_equal(g->n_inputs, 1);           /* fc.bias is an initialiser */
    assert_true(nn_shape_equal(&g->inputs[0].shape, &NN_SHAPE(-1, 2, 8, 8)));
    assert_string_equal(g->outputs[0].name, "y");
    const sm_foreign_attr *value = sm_foreign_attr_find(&g->nodes[4], "value");
    assert_true(*(const float *)value->tensor.data == 2.5f);
    sm_weights_close(w);
}

/* torch.onnx of PyTorch 1.13, opset 13 */
static void what_torch_exports_is_read(void **state)
{
    (void)state;
    sm_weights *w = fixture_open("real.onnx");
    const sm_foreign_graph *g = sm_weights_graph(w);
    expect_unit(w, "0.weight", NN_SHAPE(3, 2, 3, 3), "onnx.0.weight", EXACT);
    expect_unit(w, "4.bias", NN_SHAPE(2), "onnx.4.bias", EXACT);
    expect_graph(w, true,
                 "Conv(x, 0.weight, 0.bias) -> /0/Conv_output_0 dilations=1,1 group=1 kernel_shape=3,3 pads=1,1,1,1 "
                 "strides=1,1\n"
                 "Relu(/0/Conv_output_0) -> /1/Relu_output_0\n"
                 "GlobalAveragePool(/1/Relu_output_0) -> /2/GlobalAveragePool_output_0\n"
                 "Flatten(/2/GlobalAveragePool_output_0) -> /3/Flatten_output_0 axis=1\n"
                 "Gemm(/3/Flatten_output_0, 4.weight, 4.bias) -> /4/Gemm_output_0 alpha=1 beta=1 transB=1\n"
                 "Softmax(/4/Gemm_output_0) -> p axis=1\n");
    assert_int_equal(g->opset, 13);
    assert_true(nn_shape_equal(&g->inputs[0].shape, &NN_SHAPE(-1, 2, 8, 8)));
    sm_weights_close(w);
}

static void what_onnx_may_hold_but_we_do_not_is_named(void **state)
{
    (void)state;
    /* ir_version 8, graph { initializer { dims 1, type FLOAT, name "w", ... } } */
#define REFUSED(bytes, code, message) expect_refused(bytes, sizeof(bytes) - 1, code, message)
#define MODEL(graph)                  "\x08\x08\x3A" graph
    REFUSED(MODEL("\x0D\x2A\x0B\x08\1\x10\1\x42\1w\x6A\2\n\0"), SM_EUNSUPPORTED,
            "\"w\" keeps its data in another file");
    REFUSED(MODEL("\x09\x2A\x07\x08\1\x10\x08\x42\1w"), SM_EUNSUPPORTED, "\"w\" has type number 8");
    REFUSED(MODEL("\x0C\x2A\x0A\x08\2\x10\1\x42\1w\x4A\1z"), SM_EFORMAT, "\"w\" has 1 bytes, expected 8");
    REFUSED(MODEL("\x09\x2A\x07\x08\2\x10\1\x42\1w"), SM_EFORMAT, "\"w\" has 0 values, expected 2");
    REFUSED(MODEL("\x04\x7A\2\n\0"), SM_EUNSUPPORTED, "sparse");
    REFUSED("\x08\x08\x12\1a\x3A\x7F", SM_EFORMAT, "beyond the end");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(initialisers_and_constants_are_weights),
        cmocka_unit_test(the_graph_is_sorted_and_has_its_attributes),
        cmocka_unit_test(what_torch_exports_is_read),
        cmocka_unit_test(what_onnx_may_hold_but_we_do_not_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
