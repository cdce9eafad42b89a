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
    sm_named *got; /* the traced layers first, in the plan's memory */
    size_t n, capacity, n_taps;
} test_chunk;

/* The model's network for weights w (sizes by config, or the weights' own when NULL); rows NULL: each source. taps: traces layers whose name
 * contains it ("": all), NULL: none. */
void test_chunk_open(test_chunk *c, const sm_model *m, sm_weights *w, const char *config, const char *backend,
                     const char *taps, const htdemucs_rows *rows);
/* mix [2][segment]; fills got: traced layers, inputs, spectra and out.sources. Once a chunk. */
void test_chunk_run(test_chunk *c, const float *mix);
void test_chunk_close(test_chunk *c);
/* Adds data * scale + offset to got. */
void test_chunk_keep(test_chunk *c, const char *name, const float *data, nn_shape shape, double scale, double offset);

#endif
