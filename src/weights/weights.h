/* weights: containers in, safetensors out. Knows what tensors are called, not what a model computes.
 * Every reader is bounded: no byte of a file is believed before it is checked against the file's length. */
#ifndef SM_WEIGHTS_H
#define SM_WEIGHTS_H

#include "nn/nn.h"

typedef struct sm_weights sm_weights;

/* Opens a file by what is inside it (never by its name): safetensors, PyTorch zip or raw pickle, Keras HDF5, TensorFlow frozen
 * .pb, ONNX, .tflite, tfjs model.json (shards beside it), each also inside .gz or .bz2. A folder: model.safetensors in it, else the
 * only such file, all its shards ("model-00001-of-00003.safetensors"), model.ckpt, state_dict.bin or pytorch_model.bin; else the
 * safetensors files of its folders (diffusers' pipelines), whose tensors are then called PART/NAME. Errors name the file and the place. */
int sm_weights_open(const char *path, sm_weights **out);
/* The files that a folder is opened by, in order; added to *paths. */
int sm_weights_folder_files(const char *dir, sm_strings *paths);
/* The path of a file beside w's (of a folder that is one store: in it); the caller's, NULL: no memory. It may not be there. */
char *sm_weights_beside(const sm_weights *w, const char *name);
int sm_weights_open_memory(const void *data, size_t size, const char *label, sm_weights **out); /* data borrowed */
/* Made-up weights (golden/README.md's generator): any name at any shape can be asked for. rule may be NULL (default rules); it
 * returns true when it knows a special (offset, scale) for this tensor. */
typedef bool (*sm_weights_rule)(const char *name, const nn_shape *shape, double *offset, double *scale);
int sm_weights_generated(uint64_t seed, sm_weights_rule rule, sm_weights **out);
/* The same, with all tensors of two or more dimensions stored in f16. */
int sm_weights_generated_half(uint64_t seed, sm_weights_rule rule, sm_weights **out);
void sm_weights_close(sm_weights *w);

const char *sm_weights_label(const sm_weights *w); /* path, or "generated:SEED" */
const char *sm_weights_format(
    const sm_weights *w); /* "safetensors", "pytorch", "keras-h5", "tf-pb", "onnx", "tflite", "tfjs", "generated" */
size_t sm_weights_count(const sm_weights *w); /* 0 for generated */
const char *sm_weights_name(const sm_weights *w, size_t i);
/* i-th tensor as stored (borrowed; may be computed at first use). */
int sm_weights_at(sm_weights *w, size_t i, nn_tensor *out);
bool sm_weights_has(const sm_weights *w, const char *name);
/* By name; expected NULL: any shape. Type as stored. SM_ENOTFOUND, SM_EFORMAT ("x is [..] in FILE, expected [..]"). Thread-safe. */
int sm_weights_get(sm_weights *w, const char *name, const nn_shape *expected, nn_tensor *out);
/* Same, converted to dense f32 (dequantised); borrowed, made once. */
int sm_weights_get_f32(sm_weights *w, const char *name, const nn_shape *expected, nn_tensor *out);
nn_source sm_weights_source(sm_weights *w); /* nn's look-up over sm_weights_get_f32 */
/* Free-form metadata by key, NULL: none. What there is:
 *   safetensors  the strings of __metadata__
 *   keras-h5     attributes of the root ("model_config", "keras_version", "layer_names") and of groups ("weight_names:conv1"):
 *                one string as it is, anything else as JSON
 *   pytorch      every value that is no tensor, as JSON text, by its dotted path: "kwargs.channels" = 48, "kwargs" = {...},
 *                a class is a string "\"demucs.htdemucs.HTDemucs\"", a fraction {"_type":"fraction","numerator":39,"denominator":5}
 *   onnx         "producer_name", "producer_version", "domain", "doc_string", "graph", and the model's metadata_props
 *   tflite       "description"
 *   tfjs         "format", "generatedBy", "convertedBy", "userDefinedMetadata" (JSON), "signature" (JSON) */
const char *sm_weights_meta(const sm_weights *w, const char *key);
size_t sm_weights_meta_count(const sm_weights *w);
const char *sm_weights_meta_key(const sm_weights *w, size_t i);

/* ---- the graph inside ONNX, frozen pb, tfjs and tflite files ---- */
typedef enum {
    SM_ATTR_INT,
    SM_ATTR_FLOAT,
    SM_ATTR_STRING,
    SM_ATTR_INTS,
    SM_ATTR_FLOATS,
    SM_ATTR_TENSOR,
    SM_ATTR_TYPE,
    SM_ATTR_STRINGS
} sm_attr_kind;
typedef struct {
    const char *name; /* "strides" */
    sm_attr_kind kind;
    int64_t
        i; /* SM_ATTR_INT, also of bools; SM_ATTR_TYPE: the nn_type, -1: none of ours; s is then the file's own name, "DT_FLOAT" */
    double f;
    const char *s;
    size_t n; /* of ints, floats, strings */
    const int64_t *ints;
    const float *floats;
    const char *const *strings;
    nn_tensor tensor;
} sm_foreign_attr;
typedef struct {
    const char *name, *op; /* "conv2d/Conv2D", "Conv2D" */
    size_t n_inputs, n_outputs, n_attrs;
    const char *const
        *inputs; /* value names; "" or NULL: an optional input that is absent. TF "^x" control inputs are left out,
                                 * "x:0" is written "x" */
    const char *const *outputs; /* value names */
    const sm_foreign_attr *attrs;
} sm_foreign_node;
typedef struct {
    const char *name;
    nn_type type;
    nn_shape shape; /* a dim of -1: unknown or symbolic; a rank of -1: unknown */
} sm_foreign_value;
typedef struct {
    const char *dialect; /* "onnx", "tf", "tflite" */
    int64_t opset;       /* onnx */
    size_t n_nodes, n_inputs, n_outputs;
    const sm_foreign_node *nodes; /* in an order in which inputs come first */
    const sm_foreign_value *inputs, *outputs;
} sm_foreign_graph;
/* NULL when the container holds none. Constants and initialisers are weights of the same file, by value name.
 *   tf      operators and attributes as in the file; shapes are SM_ATTR_INTS (unknown rank: ints NULL); function calls are inlined,
 *           their nodes are called "CALL/node"; output k > 0 of a node is "node:k"; text constants stay nodes ("Const")
 *   onnx    operators of other domains are "domain:Op"; attributes that are graphs are left out
 *   tflite  operators "CONV_2D" ..., value names are tensor names (made unique by "#INDEX"), attributes are the builtin options
 *           by their schema names: "padding" "SAME" | "VALID", "stride_w", "stride_h", "fused_activation_function" "NONE" | "RELU" | "RELU6" ... */
const sm_foreign_graph *sm_weights_graph(const sm_weights *w);
const sm_foreign_attr *sm_foreign_attr_find(const sm_foreign_node *n, const char *name); /* NULL: absent */

/* ---- safetensors out: tensors are appended, the file appears when whole. Integers with a scale (nn_tensor.scale) are kept:
 * "NAME@scale" F32 and "NAME@zero" I32 stand beside NAME, the metadata "NAME@axis" says which axis; our reader joins them. ---- */
typedef struct sm_safetensors_writer sm_safetensors_writer;
int sm_safetensors_writer_open(const char *path, sm_safetensors_writer **out);
int sm_safetensors_writer_meta(sm_safetensors_writer *w, const char *key, const char *value);
int sm_safetensors_writer_add(sm_safetensors_writer *w, const char *name,
                              const nn_tensor *t);          /* data copied or written at once */
int sm_safetensors_writer_commit(sm_safetensors_writer *w); /* frees w, also on failure */
void sm_safetensors_writer_abandon(sm_safetensors_writer *w);

#endif
