/* One chunk through an HTDemucs, with all that a golden may have of it. */
#ifndef SM_TEST_HTDEMUCS_SUPPORT_H
#define SM_TEST_HTDEMUCS_SUPPORT_H

#include "support/model_support.h"

#include "models/htdemucs_chunk.h"

/* A network on a chunk, ready to be compared. */
typedef struct {
    sm_view *view;
    htdemucs_net *net;
    htdemucs_work *work;
    const float *out;
    sm_named *got;
    size_t n, capacity;
} test_chunk;

/* The model's network for weights w (sizes by config, or the weights' own when NULL); rows NULL: each source. */
void test_chunk_open(test_chunk *c, const sm_model *m, sm_weights *w, const char *config, const char *backend,
                     bool taps, const htdemucs_rows *rows);
/* mix [2][segment]; fills got: with taps each traced layer, and always inputs, spectra and out.sources. */
void test_chunk_run(test_chunk *c, const float *mix, bool taps);
void test_chunk_close(test_chunk *c);
/* Adds data * scale + offset to got. */
void test_chunk_keep(test_chunk *c, const char *name, const float *data, nn_shape shape, double scale, double offset);

#endif
