/* Protocol buffers on the wire: field numbers, varints, fixed words, bytes. Shared by frozen TensorFlow graphs and ONNX. */
#ifndef SM_WEIGHTS_PROTOBUF_H
#define SM_WEIGHTS_PROTOBUF_H

#include "weights/store.h"

typedef struct {
    const uint8_t *p, *end;
} pb_bytes;

enum { PB_VARINT = 0, PB_FIXED64 = 1, PB_BYTES = 2, PB_FIXED32 = 5 };

typedef struct {
    uint32_t number;
    int wire;
    uint64_t value; /* of varints and fixed words */
    pb_bytes bytes; /* of PB_BYTES */
} pb_field;

/* Takes the next field off *m: 1, 0 at the end, or SM_EFORMAT with a message. */
int pb_next(pb_bytes *m, pb_field *out);
bool pb_varint(pb_bytes *m, uint64_t *out);
int pb_last(pb_bytes m, uint32_t number, pb_bytes *out); /* the last bytes field of this number; empty: none */
int pb_count(pb_bytes m, uint32_t number, size_t *n);    /* how many bytes fields of this number */
int pb_text(sm_weights *w, pb_field f, const char *what, const char **out); /* a field as text; `what` names it */
static inline size_t pb_size(pb_bytes b)
{
    return (size_t)(b.end - b.p);
}

/* The numbers of a repeated field, packed or not, in order. */
typedef struct {
    pb_bytes message, packed;
    uint32_t number;
    int wire; /* of one number: PB_VARINT, PB_FIXED32, PB_FIXED64 */
} pb_numbers;
int pb_numbers_next(pb_numbers *n, uint64_t *out); /* 1, 0 at the end, SM_EFORMAT */

/* ---- TensorProto, TensorFlow's and ONNX's ---- */
/* Where a kind of number stands in a TensorProto. */
typedef struct {
    int dtype;
    nn_type type;
    uint32_t field;
    int wire;
} pb_type;
/* Data of a tensor: `raw` in place when there are raw bytes, else the list field `type->field`. `repeat`: a list that is too short
 * repeats its last value (TensorFlow); else it must be whole. Fills in t->bytes or t->fill; name, type and shape must be set. */
int pb_tensor_data(sm_weights *w, pb_bytes message, pb_bytes raw, const pb_type *type, bool repeat, w_tensor *t);

#endif
