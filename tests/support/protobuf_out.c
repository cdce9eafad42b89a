#include "support/protobuf_out.h"

#include <stdlib.h>
#include <string.h>

static void varint(sm_buffer *b, uint64_t v)
{
    do {
        const uint8_t byte = (uint8_t)(v & 127) | (v > 127 ? 128 : 0);
        sm_buffer_add(b, &byte, 1);
        v >>= 7;
    } while (v);
}

void out_pb_int(sm_buffer *b, int field, int64_t value)
{
    varint(b, (uint64_t)field << 3);
    varint(b, (uint64_t)value);
}

void out_pb_bytes(sm_buffer *b, int field, const void *data, size_t n)
{
    varint(b, (uint64_t)field << 3 | 2);
    varint(b, n);
    sm_buffer_add(b, data, n);
}

void out_pb_text(sm_buffer *b, int field, const char *text)
{
    out_pb_bytes(b, field, text, strlen(text));
}

void out_pb_float(sm_buffer *b, int field, float value)
{
    varint(b, (uint64_t)field << 3 | 5);
    sm_buffer_add(b, &value, sizeof value);
}

void out_pb_message(sm_buffer *b, int field, sm_buffer *inner)
{
    out_pb_bytes(b, field, inner->data ? inner->data : "", inner->length);
    sm_buffer_free(inner);
}

/* ---- ONNX ---- */
static void names(sm_buffer *node, int field, const char *list)
{
    while (*list) {
        const size_t n = strcspn(list, " ");
        if (n == 1 && *list == '-') /* an optional input that is absent */
            out_pb_bytes(node, field, "", 0);
        else
            out_pb_bytes(node, field, list, n);
        list += n + (list[n] == ' ');
    }
}

/* NAME=VALUE: a list of integers in brackets, an integer, a number with a point, or a word. */
static void attribute(sm_buffer *node, const char *text, size_t n)
{
    sm_buffer a = { 0 };
    const size_t key = strcspn(text, "=");
    const char *value = text + key + 1;
    const size_t length = n - key - 1;
    char word[64];
    snprintf(word, sizeof word, "%.*s", (int)length, value);
    out_pb_bytes(&a, 1, text, key);
    if (*word == '[') {
        for (char *at = word + 1; *at && *at != ']'; at += *at == ',')
            out_pb_int(&a, 8, strtoll(at, &at, 10));
        out_pb_int(&a, 20, 7);
    } else if (strspn(word, "-0123456789.e") < length) {
        out_pb_text(&a, 4, word);
        out_pb_int(&a, 20, 3);
    } else if (strchr(word, '.')) {
        out_pb_float(&a, 2, strtof(word, NULL));
        out_pb_int(&a, 20, 1);
    } else {
        out_pb_int(&a, 3, strtoll(word, NULL, 10));
        out_pb_int(&a, 20, 2);
    }
    out_pb_message(node, 5, &a);
}

void onnx_node(sm_buffer *graph, const char *op, const char *inputs, const char *outputs, const char *attrs)
{
    sm_buffer node = { 0 };
    names(&node, 1, inputs);
    names(&node, 2, outputs);
    out_pb_bytes(&node, 3, outputs, strcspn(outputs, " "));
    out_pb_text(&node, 4, op);
    while (attrs && *attrs) {
        const size_t n = strcspn(attrs, " ");
        attribute(&node, attrs, n);
        attrs += n + (attrs[n] == ' ');
    }
    out_pb_message(graph, 1, &node);
}

static void tensor(sm_buffer *graph, const char *name, const int64_t *dims, int rank, int type, const void *data,
                   size_t size)
{
    sm_buffer t = { 0 };
    size_t n = size;
    for (int k = 0; k < rank; k++) {
        out_pb_int(&t, 1, dims[k]);
        n *= (size_t)dims[k];
    }
    out_pb_int(&t, 2, type);
    out_pb_text(&t, 8, name);
    out_pb_bytes(&t, 9, data, n);
    out_pb_message(graph, 5, &t);
}

void onnx_floats(sm_buffer *graph, const char *name, const int64_t *dims, int rank, const float *x)
{
    tensor(graph, name, dims, rank, 1, x, sizeof *x);
}

void onnx_ints(sm_buffer *graph, const char *name, const int64_t *x, int n)
{
    const int64_t dims[1] = { n };
    tensor(graph, name, dims, 1, 7, x, sizeof *x);
}

static void value_info(sm_buffer *graph, int field, const char *name, const int64_t *dims, int rank)
{
    sm_buffer shape = { 0 }, type = { 0 }, tensor_type = { 0 }, info = { 0 };
    for (int k = 0; k < rank; k++) {
        sm_buffer dim = { 0 };
        if (dims[k] < 0)
            out_pb_text(&dim, 2, "n");
        else
            out_pb_int(&dim, 1, dims[k]);
        out_pb_message(&shape, 1, &dim);
    }
    out_pb_int(&tensor_type, 1, 1);
    if (rank > 0)
        out_pb_message(&tensor_type, 2, &shape);
    out_pb_message(&type, 1, &tensor_type);
    out_pb_text(&info, 1, name);
    out_pb_message(&info, 2, &type);
    out_pb_message(graph, field, &info);
}

void onnx_input(sm_buffer *graph, const char *name, const int64_t *dims, int rank)
{
    value_info(graph, 11, name, dims, rank);
}

void onnx_output(sm_buffer *graph, const char *name, const int64_t *dims, int rank)
{
    value_info(graph, 12, name, dims, rank);
}

void onnx_model(sm_buffer *graph, int opset, sm_buffer *out)
{
    sm_buffer set = { 0 };
    out_pb_text(&set, 1, "");
    out_pb_int(&set, 2, opset);
    out_pb_int(out, 1, 8);
    out_pb_message(out, 7, graph);
    out_pb_message(out, 8, &set);
}

/* ---- TensorFlow ---- */
static void tf_attr(sm_buffer *node, const char *key, size_t key_length, sm_buffer *value)
{
    sm_buffer entry = { 0 };
    out_pb_bytes(&entry, 1, key, key_length);
    out_pb_message(&entry, 2, value);
    out_pb_message(node, 5, &entry);
}

static void tf_attribute(sm_buffer *node, const char *text, size_t n)
{
    sm_buffer v = { 0 }, list = { 0 };
    const size_t key = strcspn(text, "=");
    char word[64];
    snprintf(word, sizeof word, "%.*s", (int)(n - key - 1), text + key + 1);
    if (*word == '[') {
        for (char *at = word + 1; *at && *at != ']'; at += *at == ',')
            out_pb_int(&list, 3, strtoll(at, &at, 10));
        out_pb_message(&v, 1, &list);
    } else if (!strcmp(word, "true") || !strcmp(word, "false"))
        out_pb_int(&v, 5, *word == 't');
    else if (!strcmp(word, "DT_FLOAT"))
        out_pb_int(&v, 6, 1);
    else if (strspn(word, "-0123456789.e") < strlen(word))
        out_pb_text(&v, 2, word);
    else if (strchr(word, '.'))
        out_pb_float(&v, 4, strtof(word, NULL));
    else
        out_pb_int(&v, 3, strtoll(word, NULL, 10));
    tf_attr(node, text, key, &v);
}

void tf_node(sm_buffer *graph, const char *op, const char *name, const char *inputs, const char *attrs)
{
    sm_buffer node = { 0 };
    out_pb_text(&node, 1, name);
    out_pb_text(&node, 2, op);
    names(&node, 3, inputs);
    while (attrs && *attrs) {
        const size_t n = strcspn(attrs, " ");
        tf_attribute(&node, attrs, n);
        attrs += n + (attrs[n] == ' ');
    }
    out_pb_message(graph, 1, &node);
}

static void tf_shape(sm_buffer *out, int field, const int64_t *dims, int rank)
{
    sm_buffer shape = { 0 };
    for (int k = 0; k < rank; k++) {
        sm_buffer dim = { 0 };
        out_pb_int(&dim, 1, dims[k]);
        out_pb_message(&shape, 2, &dim);
    }
    out_pb_message(out, field, &shape);
}

void tf_placeholder(sm_buffer *graph, const char *name, const int64_t *dims, int rank)
{
    sm_buffer node = { 0 }, shape = { 0 }, type = { 0 };
    out_pb_text(&node, 1, name);
    out_pb_text(&node, 2, "Placeholder");
    tf_shape(&shape, 7, dims, rank);
    tf_attr(&node, "shape", 5, &shape);
    out_pb_int(&type, 6, 1);
    tf_attr(&node, "dtype", 5, &type);
    out_pb_message(graph, 1, &node);
}

static void tf_const(sm_buffer *graph, const char *name, const int64_t *dims, int rank, int type, const void *x,
                     size_t size)
{
    sm_buffer node = { 0 }, data = { 0 }, value = { 0 }, dtype = { 0 };
    for (int k = 0; k < rank; k++)
        size *= (size_t)dims[k];
    out_pb_int(&data, 1, type);
    tf_shape(&data, 2, dims, rank);
    out_pb_bytes(&data, 4, x, size);
    out_pb_message(&value, 8, &data);
    out_pb_text(&node, 1, name);
    out_pb_text(&node, 2, "Const");
    tf_attr(&node, "value", 5, &value);
    out_pb_int(&dtype, 6, type);
    tf_attr(&node, "dtype", 5, &dtype);
    out_pb_message(graph, 1, &node);
}

void tf_floats(sm_buffer *graph, const char *name, const int64_t *dims, int rank, const float *x)
{
    tf_const(graph, name, dims, rank, 1, x, sizeof *x);
}

void tf_ints(sm_buffer *graph, const char *name, const int32_t *x, int n)
{
    const int64_t dims[1] = { n };
    tf_const(graph, name, dims, n > 1 ? 1 : 0, 3, x, n > 1 ? sizeof *x : (size_t)4);
}
