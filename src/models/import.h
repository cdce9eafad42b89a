/* Inside of the graph importer: values, what handlers of foreign operators may ask and give.
 *
 * A value is a node of our graph, a tensor of the file, or numbers that are known now (shape arithmetic). TensorFlow's images
 * are channel-last; to keep convolutions in one layout without transposes between, such a value may exist as its channel-first
 * twin only: [N, H, W, C] as [N, C, H, W]. imp_node() makes the foreign layout when somebody needs it. */
#ifndef SM_MODELS_IMPORT_H
#define SM_MODELS_IMPORT_H

#include "models/model.h"

enum { IMP_KNOWN_LIMIT = 65536 };
/* Kinds of handlers beyond nn's own: known numbers only, or made of several of ours. */
enum { IMP_REDUCE_PROD = NN_REDUCE_KINDS };
enum {
    IMP_MOD = NN_BINARY_KINDS,
    IMP_FLOOR_DIV,
    IMP_SQUARED_DIFFERENCE,
    IMP_EQUAL,
    IMP_LESS,
    IMP_GREATER,
    IMP_AND,
    IMP_OR
};
enum { IMP_FLOOR = NN_UNARY_KINDS, IMP_CEIL, IMP_NOT, IMP_RELU6 };

typedef struct imp_value imp_value;
struct imp_value {
    const char *name;
    nn_shape shape;        /* in the foreign layout */
    nn_id id;              /* NN_NONE: not made (yet) */
    nn_id twin;            /* channel-first form; NN_NONE: none */
    const char *source;    /* a tensor of the file; NULL: none */
    const double *numbers; /* [elements]; NULL: not known now */
    bool is_int;
    /* what made it, for fusing with what follows: */
    nn_id padded_from; /* twin before zero padding of H and W */
    int pad_before[2], pad_after[2];
    nn_id scaled_from, scale;    /* twin before a multiplication by a vector along C */
    const struct imp_conv *conv; /* a convolution without bias */
    const imp_value *sigmoid_of; /* times it: swish */
};

typedef struct imp_conv {
    nn_id x, w;
    nn_conv_attrs attrs;
} imp_conv;

typedef struct {
    nn_graph *g;
    const sm_foreign_graph *f;
    const nn_source *w;
    const sm_import_options *o;
    sm_arena *arena;
    imp_value **slots;
    size_t n_slots;
    const sm_foreign_node *node; /* the one at work */
} importer;

typedef struct imp_op {
    const char *dialect, *name;
    int (*make)(importer *m, const struct imp_op *op);
    int kind; /* the handler's own */
} imp_op;

/* ---- asking (import_graph.c) ---- */
size_t imp_inputs(const importer *m);                 /* of the node at work */
imp_value *imp_in(importer *m, size_t i);             /* NULL: absent; an unknown name is an error */
int imp_need(importer *m, size_t i, imp_value **out); /* SM_EFORMAT when absent */
nn_id imp_node(importer *m, imp_value *v);            /* as a node in the foreign layout */
nn_id imp_twin(importer *m, imp_value *v);            /* rank >= 3, as a node with channels first */
/* The numbers of a value if they are known now and not more than IMP_KNOWN_LIMIT; else NULL. */
const double *imp_numbers(importer *m, imp_value *v);
const double *imp_numbers_up_to(importer *m, imp_value *v, int64_t most);
/* As int64, at most `most`; gives how many, or SM_EUNSUPPORTED when they depend on the input. */
int imp_ints(importer *m, size_t i, int64_t *out, int most);
int imp_fail(importer *m, const char *format, ...)
    SM_PRINTF(2, 3); /* SM_EUNSUPPORTED, with operator and node in front */
int64_t imp_attr_int(const importer *m, const char *name, int64_t standard);
double imp_attr_float(const importer *m, const char *name, double standard);
const char *imp_attr_text(const importer *m, const char *name, const char *standard);
int imp_attr_ints(const importer *m, const char *name, int64_t *out, int most); /* how many; 0: absent */
bool imp_is_tf(const importer *m);
int imp_axis(importer *m, int64_t axis, int rank, int *out); /* negative ones counted from the end; SM_EFORMAT */

/* ---- giving ---- */
imp_value *imp_give(importer *m, size_t output, nn_id id); /* in the foreign layout; NULL: no memory or NN_NONE */
imp_value *imp_give_twin(importer *m, size_t output, nn_id twin); /* channels first */
int imp_give_numbers(importer *m, size_t output, const nn_shape *shape, const double *numbers, bool is_int);
int imp_give_alias(importer *m, size_t output, imp_value *v);
int imp_given(importer *m, const imp_value *v); /* 0, or the graph's error when v is NULL */
/* An inner step that the file's fused node hides: given under NODE's folder + "/" + op, if nothing else has that name. */
int imp_give_inner(importer *m, const char *op, nn_id id);

/* ---- numbers (import_values.c): everything C order, made in the importer's arena; NULL: no memory ---- */
double *imp_room(importer *m, int64_t n);
int imp_broadcast(importer *m, const nn_shape *a, const nn_shape *b, nn_shape *out);
const double *imp_expand_numbers(importer *m, const double *x, const nn_shape *from, const nn_shape *to);
const double *imp_transpose_numbers(importer *m, const double *x, const nn_shape *shape, const int *order);
const double *imp_slice_numbers(importer *m, const double *x, const nn_shape *shape, int axis, int64_t begin,
                                int64_t step, int64_t count);
const double *imp_concat_numbers(importer *m, const double *const *parts, const nn_shape *shapes, int n, int axis);

/* ---- handlers ---- */
#define SM_FOREIGN(dialect, name, handler, kind) int handler(importer *m, const imp_op *op);
#include "models/foreign_ops.def"
#undef SM_FOREIGN

#endif
