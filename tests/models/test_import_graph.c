/* Foreign operators one by one, in ONNX files written here, against numbers worked out by hand or by a plain loop. */
#include "support/model_support.h"
#include "support/protobuf_out.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    const char *op, *inputs, *attrs; /* inputs: x, and names of constants */
    int opset, rank;
    int64_t dims[4]; /* of x; its values are -n/4 .. by 0.5 */
    int out_rank;
    int64_t out_dims[4];
    int n;
    double want[16];
    const char *ints;   /* "NAME=[1,2]": a constant of whole numbers; several separated by spaces */
    const char *floats; /* likewise of floats */
} row;

#define X4                                                                                                             \
    1,                                                                                                                 \
    {                                                                                                                  \
        4                                                                                                              \
    } /* -1 -0.5 0 0.5 */
#define X22                                                                                                            \
    2,                                                                                                                 \
    {                                                                                                                  \
        2, 2                                                                                                           \
    } /* -1 -0.5 / 0 0.5 */
#define X23                                                                                                            \
    2,                                                                                                                 \
    {                                                                                                                  \
        2, 3                                                                                                           \
    } /* -1.5 -1 -0.5 / 0 0.5 1 */
#define X114                                                                                                           \
    3,                                                                                                                 \
    {                                                                                                                  \
        1, 1, 4                                                                                                        \
    }
#define X122                                                                                                           \
    3,                                                                                                                 \
    {                                                                                                                  \
        1, 2, 2                                                                                                        \
    }
#define X1122                                                                                                          \
    4,                                                                                                                 \
    {                                                                                                                  \
        1, 1, 2, 2                                                                                                     \
    }

// clang-format off
static const row rows[] = {
    { "Relu", "x", "", 13, X4, 1, { 4 }, 4, { 0, 0, 0, 0.5 }, NULL, NULL },
    { "LeakyRelu", "x", "alpha=0.5", 13, X4, 1, { 4 }, 4, { -0.5, -0.25, 0, 0.5 }, NULL, NULL },
    { "Elu", "x", "", 13, X4, 1, { 4 }, 4, { -0.632121, -0.393469, 0, 0.5 }, NULL, NULL },
    { "Sigmoid", "x", "", 13, X4, 1, { 4 }, 4, { 0.268941, 0.377541, 0.5, 0.622459 }, NULL, NULL },
    { "HardSigmoid", "x", "alpha=0.5 beta=0.25", 13, X4, 1, { 4 }, 4, { 0, 0, 0.25, 0.5 }, NULL, NULL },
    { "Tanh", "x", "", 13, X4, 1, { 4 }, 4, { -0.761594, -0.462117, 0, 0.462117 }, NULL, NULL },
    { "Erf", "x", "", 13, X4, 1, { 4 }, 4, { -0.842701, -0.520500, 0, 0.520500 }, NULL, NULL },
    { "Exp", "x", "", 13, X4, 1, { 4 }, 4, { 0.367879, 0.606531, 1, 1.648721 }, NULL, NULL },
    { "Abs", "x", "", 13, X4, 1, { 4 }, 4, { 1, 0.5, 0, 0.5 }, NULL, NULL },
    { "Neg", "x", "", 13, X4, 1, { 4 }, 4, { 1, 0.5, 0, -0.5 }, NULL, NULL },
    { "Sin", "x", "", 13, X4, 1, { 4 }, 4, { -0.841471, -0.479426, 0, 0.479426 }, NULL, NULL },
    { "Softplus", "x", "", 13, X4, 1, { 4 }, 4, { 0.313262, 0.474077, 0.693147, 0.974077 }, NULL, NULL },
    { "Clip", "x lo hi", "", 13, X4, 1, { 4 }, 4, { -0.5, -0.5, 0, 0.25 }, NULL, "lo=[-0.5] hi=[0.25]" },
    { "Clip", "x", "min=-0.5 max=0.25", 6, X4, 1, { 4 }, 4, { -0.5, -0.5, 0, 0.25 }, NULL, NULL },
    { "PRelu", "x s", "", 13, X4, 1, { 4 }, 4, { -0.25, -0.125, 0, 0.5 }, NULL, "s=[0.25]" },
    { "Softmax", "x", "", 13, X22, 2, { 2, 2 }, 4, { 0.377541, 0.622459, 0.377541, 0.622459 }, NULL, NULL },
    { "Softmax", "x", "axis=0", 11, X22, 2, { 2, 2 }, 4, { 0.101536, 0.167405, 0.276004, 0.455054 }, NULL, NULL }, /* all of it is one axis */
    { "Softmax", "x", "axis=0", 13, X22, 2, { 2, 2 }, 4, { 0.268941, 0.268941, 0.731059, 0.731059 }, NULL, NULL },
    { "Add", "x c", "", 13, X22, 2, { 2, 2 }, 4, { 9, 19.5, 10, 20.5 }, NULL, "c=[10,20]" },
    { "Sub", "c x", "", 13, X22, 2, { 2, 2 }, 4, { 11, 20.5, 10, 19.5 }, NULL, "c=[10,20]" },
    { "Mul", "x c", "", 13, X22, 2, { 2, 2 }, 4, { -10, -10, 0, 10 }, NULL, "c=[10,20]" },
    { "Div", "x c", "", 13, X22, 2, { 2, 2 }, 4, { -0.1, -0.025, 0, 0.025 }, NULL, "c=[10,20]" },
    { "Pow", "x c", "", 13, X4, 1, { 4 }, 4, { 1, 0.25, 0, 0.25 }, NULL, "c=[2]" },
    { "Max", "x c", "", 13, X4, 1, { 4 }, 4, { 0, 0, 0, 0.5 }, NULL, "c=[0]" },
    { "Sum", "x x x", "", 13, X4, 1, { 4 }, 4, { -3, -1.5, 0, 1.5 }, NULL, NULL },
    { "Where", "m x c", "", 13, X4, 1, { 4 }, 4, { -1, 7, 0, 7 }, "m=[1,0,1,0]", "c=[7]" },
    { "Where", "m c x", "", 13, X4, 1, { 4 }, 4, { 7, -0.5, 7, 0.5 }, "m=[1,0,1,0]", "c=[7]" },
    { "ReduceMean", "x", "axes=[1] keepdims=0", 13, X23, 1, { 2 }, 2, { -1, 0.5 }, NULL, NULL },
    { "ReduceMean", "x a", "keepdims=1", 18, X23, 2, { 2, 1 }, 2, { -1, 0.5 }, "a=[-1]", NULL },
    { "ReduceSum", "x a", "", 13, X23, 2, { 1, 3 }, 3, { -1.5, -0.5, 0.5 }, "a=[0]", NULL },
    { "ReduceMax", "x", "", 13, X23, 2, { 1, 1 }, 1, { 1 }, NULL, NULL },
    { "Reshape", "x s", "", 13, X23, 2, { 3, 2 }, 6, { -1.5, -1, -0.5, 0, 0.5, 1 }, "s=[3,-1]", NULL },
    { "Reshape", "x s", "", 13, X23, 3, { 2, 1, 3 }, 6, { -1.5, -1, -0.5, 0, 0.5, 1 }, "s=[0,1,3]", NULL },
    { "Flatten", "x", "axis=1", 13, X122, 2, { 1, 4 }, 4, { -1, -0.5, 0, 0.5 }, NULL, NULL },
    { "Squeeze", "x a", "", 13, X122, 2, { 2, 2 }, 4, { -1, -0.5, 0, 0.5 }, "a=[0]", NULL },
    { "Squeeze", "x", "axes=[0]", 11, X122, 2, { 2, 2 }, 4, { -1, -0.5, 0, 0.5 }, NULL, NULL },
    { "Unsqueeze", "x a", "", 13, X22, 3, { 2, 2, 1 }, 4, { -1, -0.5, 0, 0.5 }, "a=[-1]", NULL },
    { "Transpose", "x", "perm=[1,0]", 13, X23, 2, { 3, 2 }, 6, { -1.5, 0, -1, 0.5, -0.5, 1 }, NULL, NULL },
    { "Transpose", "x", "", 13, X23, 2, { 3, 2 }, 6, { -1.5, 0, -1, 0.5, -0.5, 1 }, NULL, NULL },
    { "Concat", "x c x", "axis=1", 13, X22, 2, { 2, 5 }, 10, { -1, -0.5, 8, -1, -0.5, 0, 0.5, 9, 0, 0.5 }, NULL, "c=[8;9]" },
    { "Slice", "x b e a", "", 13, X23, 2, { 2, 2 }, 4, { -1, -0.5, 0.5, 1 }, "b=[1] e=[99] a=[1]", NULL },
    { "Slice", "x b e a s", "", 13, X23, 2, { 2, 2 }, 4, { -1.5, -0.5, 0, 1 }, "b=[0] e=[3] a=[-1] s=[2]", NULL },
    { "Slice", "x", "starts=[-1] ends=[9] axes=[0]", 9, X23, 2, { 1, 3 }, 3, { 0, 0.5, 1 }, NULL, NULL },
    { "Pad", "x p", "", 13, X22, 2, { 2, 4 }, 8, { 0, -1, -0.5, 0, 0, 0, 0.5, 0 }, "p=[0,1,0,1]", NULL },
    { "Pad", "x", "pads=[0,0,1,0] mode=edge", 10, X22, 2, { 3, 2 }, 6, { -1, -0.5, 0, 0.5, 0, 0.5 }, NULL, NULL },
    { "Pad", "x p", "mode=reflect", 13, X4, 1, { 6 }, 6, { 0, -0.5, -1, -0.5, 0, 0.5 }, "p=[2,0]", NULL },
    { "Expand", "x s", "", 13, 2, { 2, 1 }, 2, { 2, 3 }, 6, { -0.5, -0.5, -0.5, 0, 0, 0 }, "s=[2,3]", NULL },
    { "Tile", "x s", "", 13, X22, 2, { 2, 4 }, 8, { -1, -0.5, -1, -0.5, 0, 0.5, 0, 0.5 }, "s=[1,2]", NULL },
    { "Gather", "x i", "axis=1", 13, X23, 2, { 2, 2 }, 4, { -0.5, -1.5, 1, 0 }, "i=[-1,0]", NULL },
    { "Identity", "x", "", 13, X4, 1, { 4 }, 4, { -1, -0.5, 0, 0.5 }, NULL, NULL },
    { "Dropout", "x", "", 13, X4, 1, { 4 }, 4, { -1, -0.5, 0, 0.5 }, NULL, NULL },
    { "Cast", "x", "to=1", 13, X4, 1, { 4 }, 4, { -1, -0.5, 0, 0.5 }, NULL, NULL },
    { "MatMul", "x w", "", 13, X22, 2, { 2, 2 }, 4, { -2.5, -4, 1.5, 2 }, NULL, "w=[1,2;3,4]" },
    { "Gemm", "x w b", "", 13, X22, 2, { 2, 2 }, 4, { 7.5, 16, 11.5, 22 }, NULL, "w=[1,2;3,4] b=[10,20]" },
    { "Gemm", "x w b", "alpha=2.0 beta=0.5 transB=1 transA=1", 13, X22, 2, { 2, 2 }, 4, { 0.5, -1, 3.5, 6 }, NULL, "w=[1,2;3,4] b=[5,10]" },
    { "GlobalAveragePool", "x", "", 13, X1122, 4, { 1, 1, 1, 1 }, 1, { -0.25 }, NULL, NULL },
    { "GlobalMaxPool", "x", "", 13, X1122, 4, { 1, 1, 1, 1 }, 1, { 0.5 }, NULL, NULL },
    { "MaxPool", "x", "kernel_shape=[2] strides=[1]", 13, X114, 3, { 1, 1, 3 }, 3, { -0.5, 0, 0.5 }, NULL, NULL },
    { "AveragePool", "x", "kernel_shape=[2] strides=[2] pads=[1,1]", 13, X114, 3, { 1, 1, 3 }, 3, { -1, -0.25, 0.5 }, NULL, NULL },
    { "AveragePool", "x", "kernel_shape=[2] strides=[2] pads=[1,1] count_include_pad=1", 13, X114, 3, { 1, 1, 3 }, 3, { -0.5, -0.25, 0.25 }, NULL, NULL },
    { "Conv", "x k", "pads=[1,0]", 13, X114, 3, { 1, 1, 4 }, 4, { -10, -6, -0.5, 5 }, NULL, "k=[[1,10]]" },
    { "Conv", "x k b", "strides=[2] auto_pad=SAME_UPPER", 13, X114, 3, { 1, 1, 2 }, 2, { 94, 105 }, NULL, "k=[[1,10]] b=[100]" },
    { "ConvTranspose", "x k", "strides=[2] output_padding=[1]", 13, X114, 3, { 1, 1, 9 }, 9, { -1, -10, -0.5, -5, 0, 0, 0.5, 5, 0 }, NULL, "k=[[1,10]]" },
    { "BatchNormalization", "x g b m v", "epsilon=0.0", 13, X122, 3, { 1, 2, 2 }, 4, { -1, 1, 21, 21.5 }, NULL, "g=[4,2] b=[1,20] m=[-0.5,-1] v=[1,4]" },
    { "LayerNormalization", "x g b", "epsilon=0.0", 17, X22, 2, { 2, 2 }, 4, { 1, 5, 1, 5 }, NULL, "g=[1,2] b=[2,3]" },
    { "InstanceNormalization", "x g b", "epsilon=0.0", 13, X122, 3, { 1, 2, 2 }, 4, { 1, 3, 1, 5 }, NULL, "g=[1,2] b=[2,3]" },
};
// clang-format on

static void fill_x(const row *r, float *x, int64_t *n)
{
    *n = 1;
    for (int k = 0; k < r->rank; k++)
        *n *= r->dims[k];
    for (int64_t i = 0; i < *n; i++)
        x[i] = 0.5f * (float)(i - *n / 2);
}

/* "a=[1,2;3,4] b=[5]": ';' starts a row of a matrix, "[[..]]" is a kernel of one output and one input channel. */
static void constants(sm_buffer *graph, const char *text, bool whole)
{
    while (text && *text) {
        float f[64];
        int64_t k[64];
        int n = 0, rows_of = 1;
        char name[16];
        const size_t key = strcspn(text, "=");
        const bool kernel = !strncmp(text + key + 1, "[[", 2);
        snprintf(name, sizeof name, "%.*s", (int)key, text);
        for (char *at = (char *)(uintptr_t)text + key + 2 + kernel; *at != ']';) {
            f[n] = strtof(at, &at);
            k[n] = (int64_t)f[n];
            n++;
            rows_of += *at == ';';
            at += *at == ',' || *at == ';';
        }
        if (whole)
            onnx_ints(graph, name, k, n);
        else {
            const int64_t shape[3] = { kernel ? 1 : rows_of > 1 ? rows_of : n, kernel ? 1 : n / rows_of, n };
            onnx_floats(graph, name, shape, kernel ? 3 : rows_of > 1 ? 2 : 1, f);
        }
        text = strchr(text, ' ');
        text += text != NULL;
    }
}

static int run(sm_buffer *graph, int opset, const sm_named *in, size_t n_in, const char *backend, sm_named **out,
               size_t *n)
{
    const sm_run_options o = { .backend = backend };
    sm_buffer file = { 0 };
    sm_weights *w;
    int err;
    onnx_model(graph, opset, &file);
    test_ok(sm_weights_open_memory(file.data, file.length, "test.onnx", &w));
    err = sm_model_run_tensors(NULL, w, &o, in, n_in, out, n);
    sm_weights_close(w);
    sm_buffer_free(&file);
    return err;
}

static void each_operator_gives_its_numbers(void **state)
{
    static const char *const backends[] = { "ref", "onednn" };
    (void)state;
    for (size_t i = 0; i < SM_LENGTH(rows); i++)
        for (size_t b = 0; b < SM_LENGTH(backends) && test_backend_there(backends[b]); b++) {
            const row *r = &rows[i];
            sm_buffer graph = { 0 };
            sm_named in = { "x", { .type = NN_F32 } }, *out;
            float x[64];
            int64_t elements;
            size_t n;
            fill_x(r, x, &elements);
            in.tensor.shape.rank = r->rank;
            memcpy(in.tensor.shape.dim, r->dims, sizeof r->dims);
            in.tensor.data = x;
            onnx_input(&graph, "x", r->dims, r->rank);
            onnx_output(&graph, "y", NULL, 0);
            constants(&graph, r->ints, true);
            constants(&graph, r->floats, false);
            onnx_node(&graph, r->op, r->inputs, "y", r->attrs);
            if (run(&graph, r->opset, &in, 1, backends[b], &out, &n) < 0)
                fail_msg("%s %s: %s", r->op, r->attrs, sm_last_error());
            const nn_shape *s = &out->tensor.shape;
            bool same = n == 1 && s->rank == r->out_rank && nn_elements(s) == r->n;
            for (int k = 0; same && k < r->out_rank; k++)
                same = s->dim[k] == r->out_dims[k];
            for (int k = 0; k < r->n && same; k++)
                if (!(fabs(((const float *)out->tensor.data)[k] - r->want[k]) <= 2e-6))
                    fail_msg("%s %s on %s: [%d] is %g, %g expected", r->op, r->attrs, backends[b], k,
                             ((const float *)out->tensor.data)[k], r->want[k]);
            char text[96];
            if (!same)
                fail_msg("%s %s (%s): the shape is %s", r->op, r->attrs, r->inputs, nn_shape_text(s, text));
            sm_named_free(out, n);
        }
}

/* What PyTorch exports for x.view(x.size(0), 2, -1) and chunk: shapes are computed in the graph. */
static void shape_arithmetic_happens_at_import(void **state)
{
    sm_buffer g = { 0 };
    const int64_t zero = 0, two = 2, minus = -1, dims[3] = { -1, 4, 3 }, back = -1, end = INT64_MIN;
    float x[24];
    sm_named in = { "x", { .type = NN_F32, .shape = NN_SHAPE(2, 4, 3), .data = x } }, *out;
    size_t n;
    (void)state;
    for (int i = 0; i < 24; i++)
        x[i] = (float)i;
    onnx_input(&g, "x", dims, 3);
    onnx_output(&g, "y", NULL, 0);
    onnx_ints(&g, "zero", &zero, 1);
    onnx_ints(&g, "two", &two, 1);
    onnx_ints(&g, "minus", &minus, 1);
    onnx_ints(&g, "back", &back, 1);
    onnx_ints(&g, "end", &end, 1);
    onnx_node(&g, "Shape", "x", "s", NULL);                           /* [2, 4, 3] */
    onnx_node(&g, "Gather", "s zero", "batch", NULL);                 /* [2] */
    onnx_node(&g, "Slice", "s back end zero back", "reversed", NULL); /* [3, 4, 2] */
    onnx_node(&g, "Gather", "reversed two", "batch2", NULL);          /* [2] */
    onnx_node(&g, "Equal", "batch batch2", "same", NULL);             /* [1] */
    onnx_node(&g, "Where", "same two minus", "second", NULL);         /* [2] */
    onnx_node(&g, "Div", "second two", "one", NULL);                  /* whole-number division: [1] */
    onnx_node(&g, "Mul", "one two", "columns", NULL);
    onnx_node(&g, "Concat", "batch columns minus", "shape", "axis=0");
    onnx_node(&g, "Reshape", "x shape", "wide", NULL); /* [2, 2, 6] */
    onnx_node(&g, "Split", "wide", "a b", "axis=2");
    onnx_node(&g, "Sub", "b a", "y", NULL);
    test_ok(run(&g, 13, &in, 1, "ref", &out, &n));
    assert_true(nn_shape_equal(&out->tensor.shape, &NN_SHAPE(2, 2, 3)));
    for (int i = 0; i < 12; i++)
        assert_float_equal(((const float *)out->tensor.data)[i], 3, 1e-6);
    sm_named_free(out, n);
}

/* A position table as PyTorch fills it: table[0::2] = ..., then repeated over a batch; and data repeated along axes of one element. */
static void tables_are_filled_at_import(void **state)
{
    const float table[4] = { 1, 2, 3, 4 }, updates[2] = { 10, 30 };
    const int64_t places[2] = { 0, -2 }, last[2] = { 2, 1 }, repeats[2] = { 3, 1 }, wide[2] = { 3, 4 };
    float x[4] = { 0, 1, 0, 1 };
    const sm_named in = { "x", { .type = NN_F32, .shape = NN_SHAPE(1, 4), .data = x } };
    static const float want[12] = { 10, 3, 30, 5, 10, 3, 30, 5, 10, 3, 30, 5 };
    sm_buffer g = { 0 };
    sm_named *out;
    size_t n;
    (void)state;
    onnx_input(&g, "x", (int64_t[]){ 1, 4 }, 2);
    onnx_output(&g, "y", NULL, 0);
    onnx_floats(&g, "table", (int64_t[]){ 4 }, 1, table);
    onnx_floats(&g, "updates", (int64_t[]){ 2 }, 1, updates);
    onnx_ints(&g, "flat", places, 2);
    onnx_ints(&g, "two_one", last, 2);
    onnx_ints(&g, "repeats", repeats, 2);
    onnx_ints(&g, "wide", wide, 2);
    onnx_node(&g, "Reshape", "flat two_one", "places", NULL);
    onnx_node(&g, "ScatterND", "table places updates", "filled", NULL);
    onnx_node(&g, "Expand", "filled wide", "rows", NULL);
    onnx_node(&g, "Tile", "x repeats", "xs", NULL);
    onnx_node(&g, "Add", "xs rows", "y", NULL);
    test_ok(run(&g, 13, &in, 1, "ref", &out, &n));
    assert_true(nn_shape_equal(&out->tensor.shape, &NN_SHAPE(3, 4)));
    for (int i = 0; i < 12; i++)
        assert_float_equal(((const float *)out->tensor.data)[i], want[i], 1e-6);
    sm_named_free(out, n);
}

/* ONNX' gates are i, o, f, c: against the recurrence written out in double. */
static void an_lstm_is_the_recurrence(void **state)
{
    enum { T = 5, N = 2, C = 3, H = 2 };
    float x[T * N * C], w[4 * H * C], r[4 * H * H], b[8 * H];
    double h[N][H] = { { 0 } }, c[N][H] = { { 0 } };
    sm_buffer g = { 0 };
    sm_named in = { "x", { .type = NN_F32, .shape = NN_SHAPE(T, N, C), .data = x } }, *out;
    size_t n;
    (void)state;
    test_fill(x, SM_LENGTH(x), "x", 0, 0, 1);
    test_fill(w, SM_LENGTH(w), "w", 0, 0, 1);
    test_fill(r, SM_LENGTH(r), "r", 0, 0, 1);
    test_fill(b, SM_LENGTH(b), "b", 0, 0, 1);
    onnx_input(&g, "x", (int64_t[]){ T, N, C }, 3);
    onnx_output(&g, "y", NULL, 0);
    onnx_floats(&g, "w", (int64_t[]){ 1, 4 * H, C }, 3, w);
    onnx_floats(&g, "r", (int64_t[]){ 1, 4 * H, H }, 3, r);
    onnx_floats(&g, "b", (int64_t[]){ 1, 8 * H }, 2, b);
    onnx_node(&g, "LSTM", "x w r b", "y", "hidden_size=2");
    test_ok(run(&g, 13, &in, 1, "ref", &out, &n));
    assert_true(nn_shape_equal(&out->tensor.shape, &NN_SHAPE(T, 1, N, H)));
    for (int t = 0; t < T; t++)
        for (int s = 0; s < N; s++) {
            double gate[4 * H];
            for (int k = 0; k < 4 * H; k++) {
                gate[k] = b[k] + b[4 * H + k];
                for (int i = 0; i < C; i++)
                    gate[k] += w[k * C + i] * x[(t * N + s) * C + i];
                for (int i = 0; i < H; i++)
                    gate[k] += r[k * H + i] * h[s][i];
            }
            for (int k = 0; k < H; k++) {
                const double i = 1 / (1 + exp(-gate[k])), o = 1 / (1 + exp(-gate[H + k])),
                             f = 1 / (1 + exp(-gate[2 * H + k]));
                c[s][k] = f * c[s][k] + i * tanh(gate[3 * H + k]);
                gate[k] = o * tanh(c[s][k]);
            }
            for (int k = 0; k < H; k++) {
                h[s][k] = gate[k];
                assert_float_equal(((const float *)out->tensor.data)[(t * N + s) * H + k], h[s][k], 1e-5);
            }
        }
    sm_named_free(out, n);
}

static void what_is_missing_is_named(void **state)
{
    static const struct {
        const char *op, *inputs, *attrs, *says;
        int code;
    } bad[] = {
        { "Einsum", "x", "", "operator Einsum of node y: not one of ours", SM_EUNSUPPORTED },
        { "Equal", "x x", "", "Equal of node y: on data", SM_EUNSUPPORTED },
        { "Reshape", "x x", "", "must be known before running", SM_EUNSUPPORTED },
        { "ReduceMean", "x", "axes=[7]", "axis 7", SM_EFORMAT },
        { "Concat", "x x", "axis=5", "axis 5", SM_EFORMAT },
        { "Add", "x", "", "Add", 0 },
        { "Clip", "x x", "", "bounds", SM_EUNSUPPORTED },
        { "Conv", "x x", "", "Conv", SM_EUNSUPPORTED },
    };
    float x[4] = { 0 };
    const sm_named in = { "x", { .type = NN_F32, .shape = NN_SHAPE(2, 2), .data = x } };
    (void)state;
    for (size_t i = 0; i < SM_LENGTH(bad); i++) {
        sm_buffer g = { 0 };
        sm_named *out = NULL;
        size_t n;
        onnx_input(&g, "x", (int64_t[]){ 2, 2 }, 2);
        onnx_output(&g, "y", NULL, 0);
        onnx_node(&g, bad[i].op, bad[i].inputs, "y", bad[i].attrs);
        const int err = run(&g, 13, &in, 1, "ref", &out, &n);
        if (err != bad[i].code || (err < 0 && !strstr(sm_last_error(), bad[i].says)))
            fail_msg("%s: %s \"%s\", \"%s\" expected", bad[i].op, sm_code_name(err), sm_last_error(), bad[i].says);
        sm_named_free(out, out ? n : 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_operator_gives_its_numbers), cmocka_unit_test(shape_arithmetic_happens_at_import),
        cmocka_unit_test(tables_are_filled_at_import),     cmocka_unit_test(an_lstm_is_the_recurrence),
        cmocka_unit_test(what_is_missing_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
