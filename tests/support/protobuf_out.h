/* Writes ONNX models and TensorFlow graphs byte by byte, for tests of their readers and of the importer. */
#ifndef SM_TEST_PROTOBUF_OUT_H
#define SM_TEST_PROTOBUF_OUT_H

#include "support/support.h"

/* ---- fields of any message ---- */
void out_pb_int(sm_buffer *b, int field, int64_t value);
void out_pb_bytes(sm_buffer *b, int field, const void *data, size_t n);
void out_pb_text(sm_buffer *b, int field, const char *text);
void out_pb_float(sm_buffer *b, int field, float value);
void out_pb_message(sm_buffer *b, int field, sm_buffer *inner); /* empties inner */

/* ---- ONNX: nodes and initialisers are added to a GraphProto ---- */
/* inputs, outputs: names separated by spaces. attrs: "group=2 pads=[0,1] alpha=0.5 mode=reflect" */
void onnx_node(sm_buffer *graph, const char *op, const char *inputs, const char *outputs, const char *attrs);
void onnx_floats(sm_buffer *graph, const char *name, const int64_t *dims, int rank, const float *x);
void onnx_ints(sm_buffer *graph, const char *name, const int64_t *x, int n);
/* dim -1: symbolic */
void onnx_input(sm_buffer *graph, const char *name, const int64_t *dims, int rank);
void onnx_output(sm_buffer *graph, const char *name, const int64_t *dims, int rank);
void onnx_model(sm_buffer *graph, int opset, sm_buffer *out); /* empties graph */

/* ---- TensorFlow: nodes are added to a GraphDef ---- */
/* attrs: as of onnx_node; lists of integers, integers, numbers, words (true and false: booleans; DT_FLOAT: a type) */
void tf_node(sm_buffer *graph, const char *op, const char *name, const char *inputs, const char *attrs);
void tf_placeholder(sm_buffer *graph, const char *name, const int64_t *dims, int rank);
void tf_floats(sm_buffer *graph, const char *name, const int64_t *dims, int rank, const float *x);
void tf_ints(sm_buffer *graph, const char *name, const int32_t *x, int n);

#endif
