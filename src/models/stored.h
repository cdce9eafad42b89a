/* Weights as they are stored (f32, f16, bf16, quantised), under names behind a prefix: for networks so large that a copy in f32 would
 * double their memory. */
#ifndef SM_MODELS_STORED_H
#define SM_MODELS_STORED_H

#include "weights/weights.h"

typedef struct {
    sm_weights *weights; /* borrowed */
    char prefix[96];     /* "text_encoder."; empty: none */
} sm_stored;

/* The tensor prefix + name. Errors as sm_weights_get. */
int sm_stored_get(const sm_stored *s, const char *name, const nn_shape *expected, nn_tensor *out);
bool sm_stored_has(const sm_stored *s, const char *name);
/* A look-up for nn_weight; `s` must outlive the graph and its plans. */
nn_source sm_stored_source(sm_stored *s);
/* out[i] (+)= row i0 of a table [rows, n] in f32, f16 or bf16. */
void sm_stored_row(const nn_tensor *table, int64_t row, bool add, float *out);

#endif
