/* EfficientNet-B0 as an ONNX file of made-up weights, written here, imported as Discogs-EffNet is: every layer against the golden. */
#include "support/model_support.h"
#include "support/protobuf_out.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    sm_buffer graph;
    sm_weights *made_up;
    bool same;
} writer;

static void weights(writer *w, const char *name, const int64_t *dims, int rank)
{
    nn_shape s = { .rank = rank };
    nn_tensor t;
    memcpy(s.dim, dims, (size_t)rank * sizeof *dims);
    test_ok(sm_weights_get_f32(w->made_up, name, &s, &t));
    onnx_floats(&w->graph, name, dims, rank, t.data);
}

/* Conv named NAME from x; its output is called NAME.out */
static void conv(writer *w, const char *name, const char *x, int64_t in, int64_t out, int kernel, int stride,
                 int groups)
{
    char a[64], b[64], inputs[192], output[64], attrs[160];
    snprintf(a, sizeof a, "%s.weight", name);
    snprintf(b, sizeof b, "%s.bias", name);
    weights(w, a, (int64_t[]){ out, in / groups, kernel, kernel }, 4);
    weights(w, b, &out, 1);
    snprintf(inputs, sizeof inputs, "%s %s %s", x, a, b);
    snprintf(output, sizeof output, "%s.out", name);
    if (w->same)
        snprintf(attrs, sizeof attrs, "group=%d strides=[%d,%d] auto_pad=SAME_UPPER", groups, stride, stride);
    else
        snprintf(attrs, sizeof attrs, "group=%d strides=[%d,%d] pads=[%d,%d,%d,%d]", groups, stride, stride, kernel / 2,
                 kernel / 2, kernel / 2, kernel / 2);
    onnx_node(&w->graph, "Conv", inputs, output, attrs);
}

/* x * sigmoid(x), as PyTorch exports it */
static void swish(writer *w, const char *x, const char *y)
{
    char gate[96], inputs[192];
    snprintf(gate, sizeof gate, "%s.sigmoid", x);
    snprintf(inputs, sizeof inputs, "%s %s", x, gate);
    onnx_node(&w->graph, "Sigmoid", x, gate, NULL);
    onnx_node(&w->graph, "Mul", inputs, y, NULL);
}

static void block(writer *w, int i, const char *x, int64_t in, int expand, int kernel, int stride, int64_t out)
{
    const int64_t wide = in * expand;
    char n[8][64], two[192], name[32];
    snprintf(name, sizeof name, "blocks.%d", i);
#define NAME(k, text) (snprintf(n[k], sizeof n[k], "%s.%s", name, text), n[k])
    if (expand > 1) {
        conv(w, NAME(0, "expand"), x, in, wide, 1, 1, 1);
        swish(w, NAME(1, "expand.out"), NAME(2, "a"));
    } else
        snprintf(n[2], sizeof n[2], "%s", x);
    conv(w, NAME(0, "depthwise"), n[2], wide, wide, kernel, stride, (int)wide);
    swish(w, NAME(1, "depthwise.out"), NAME(3, "b"));
    onnx_node(&w->graph, "GlobalAveragePool", n[3], NAME(4, "mean"), NULL);
    conv(w, NAME(0, "se_reduce"), n[4], wide, in / 4, 1, 1, 1);
    swish(w, NAME(1, "se_reduce.out"), NAME(4, "c"));
    conv(w, NAME(0, "se_expand"), n[4], in / 4, wide, 1, 1, 1);
    onnx_node(&w->graph, "Sigmoid", NAME(1, "se_expand.out"), NAME(5, "gate"), NULL);
    snprintf(two, sizeof two, "%s %s", n[3], n[5]);
    onnx_node(&w->graph, "Mul", two, NAME(6, "d"), NULL);
    conv(w, NAME(0, "project"), n[6], wide, out, 1, 1, 1);
    if (stride == 1 && in == out) {
        snprintf(two, sizeof two, "%s %s", NAME(1, "project.out"), x);
        onnx_node(&w->graph, "Add", two, name, NULL);
    } else
        onnx_node(&w->graph, "Identity", NAME(1, "project.out"), name, NULL);
#undef NAME
}

static void write_model(writer *w, sm_buffer *out)
{
    static const int rows[16][4] = { { 1, 3, 1, 16 },  { 6, 3, 2, 24 },  { 6, 3, 1, 24 },  { 6, 5, 2, 40 },
                                     { 6, 5, 1, 40 },  { 6, 3, 2, 80 },  { 6, 3, 1, 80 },  { 6, 3, 1, 80 },
                                     { 6, 5, 1, 112 }, { 6, 5, 1, 112 }, { 6, 5, 1, 112 }, { 6, 5, 2, 192 },
                                     { 6, 5, 1, 192 }, { 6, 5, 1, 192 }, { 6, 5, 1, 192 }, { 6, 3, 1, 320 } };
    const int64_t one = 1, minus[2] = { 0, -1 };
    int64_t in = 32;
    char x[32] = "stem";
    onnx_input(&w->graph, "melspectrogram", (int64_t[]){ -1, 128, 96 }, 3);
    onnx_ints(&w->graph, "one", &one, 1);
    onnx_node(&w->graph, "Unsqueeze", "melspectrogram one", "picture", NULL);
    conv(w, "stem", "picture", 1, 32, 3, 2, 1);
    swish(w, "stem.out", "stem");
    for (int i = 0; i < 16; in = rows[i++][3]) {
        block(w, i, x, in, rows[i][0], rows[i][1], rows[i][2], rows[i][3]);
        snprintf(x, sizeof x, "blocks.%d", i);
    }
    conv(w, "head", x, 320, 1280, 1, 1, 1);
    swish(w, "head.out", "head");
    onnx_node(&w->graph, "GlobalAveragePool", "head", "pooled", NULL);
    onnx_ints(&w->graph, "rows", minus, 2);
    onnx_node(&w->graph, "Reshape", "pooled rows", "PartitionedCall:1", NULL);
    weights(w, "classifier.weight", (int64_t[]){ 400, 1280 }, 2);
    weights(w, "classifier.bias", (int64_t[]){ 400 }, 1);
    onnx_node(&w->graph, "Gemm", "PartitionedCall:1 classifier.weight classifier.bias", "logits", "transB=1");
    onnx_node(&w->graph, "Sigmoid", "logits", "PartitionedCall:0", NULL);
    onnx_output(&w->graph, "PartitionedCall:0", (int64_t[]){ -1, 400 }, 2);
    onnx_output(&w->graph, "PartitionedCall:1", (int64_t[]){ -1, 1280 }, 2);
    onnx_model(&w->graph, 13, out);
}

static void an_onnx_efficientnet_is_the_originals(void **state)
{
    static const char *const names[][2] = { { "predictions", "scores" }, { NULL, NULL } };
    const test_place *place = *state;
    sm_weights *front = test_golden_open("tests/data/dsp/frontend_musicnn.safetensors");
    const sm_named in = test_golden_input(front, "out.a", "melspectrogram", &NN_SHAPE(1, 128, 96));
    for (int same = 0; same < 2; same++) {
        writer w = { .same = same };
        sm_buffer file = { 0 };
        sm_weights *onnx, *golden, *converted;
        const sm_model *m;
        const sm_run_options o = { .taps = true };
        sm_named *out;
        size_t n;
        char variant[32];
        test_ok(sm_weights_generated(21, NULL, &w.made_up));
        write_model(&w, &file);
        test_ok(sm_weights_open_memory(file.data, file.length, "made-up.onnx", &onnx));
        test_ok(sm_model_recognise(onnx, NULL, NULL, &m, variant));
        assert_string_equal(m->name, "effnet-discogs");
        golden = test_golden_open(same ? "tests/data/models/effnet_b0_made_up_same.safetensors"
                                       : "tests/data/models/effnet_b0_made_up_sym.safetensors");
        test_ok(sm_model_run_tensors(m, onnx, &o, &in, 1, &out, &n));
        assert_true(test_golden_compare(golden, out, n, names, 1e-4, same ? "onnx, same" : "onnx, sym") >= 20);
        sm_named_free(out, n);
        converted = test_converted(m, onnx, variant, NULL, place->path);
        test_ok(sm_model_run_tensors(m, converted, NULL, &in, 1, &out, &n));
        test_golden_compare(golden, out, n, names, 1e-4, "converted");
        sm_named_free(out, n);
        sm_weights_close(converted);
        sm_weights_close(golden);
        sm_weights_close(onnx);
        sm_weights_close(w.made_up);
        sm_buffer_free(&file);
    }
    sm_weights_close(front);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_onnx_efficientnet_is_the_originals, test_place_make, test_place_remove),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
