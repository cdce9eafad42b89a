/* Running models on goldens and comparing every tensor that a golden holds. */
#ifndef SM_TEST_MODEL_SUPPORT_H
#define SM_TEST_MODEL_SUPPORT_H

#include "support/support.h"

#include "models/model.h"

/* A golden file, opened for the test's length; fails the test if it is not there. */
sm_weights *test_golden_open(const char *path);
/* Its tensor as an input for sm_model_run_tensors, under another name; rows: only its first rows, under `shape`. Borrowed data. */
sm_named test_golden_input(sm_weights *golden, const char *tensor, const char *name, const nn_shape *shape);

/* Largest normalised error of what `got` holds against the golden, where both have it:
 *   golden NAME.values/.shape (a trace)  with our NAME or out.NAME
 *   golden out.NAME, real.NAME (whole)   with our out.NAME or NAME
 * Fails the test when an error passes `bound`, when a shape differs, or when nothing was compared. Prints the worst. `alias` pairs
 * (golden name, our name) end in NULL; may be NULL. Gives how many were compared. */
int test_golden_compare(sm_weights *golden, const sm_named *got, size_t n, const char *const (*alias)[2], double bound,
                        const char *what);

/* Our tensor by name ("out.scores" or "scores"); fails the test if it is not there. */
const sm_named *test_named(const sm_named *list, size_t n, const char *name);
/* Backends that are built in, "onednn" only if it is. */
bool test_backend_there(const char *name);
/* Whole frames of a mel front end, or raw samples, through a stream to the end: for tests of files. */
void test_stream_result(sm_model_handle *h, const sm_stream_options *o, const float *rows, size_t n,
                        sm_model_result *out);

/* signal(name, samples) of the goldens' generator: noise and three decaying partials. The caller's: free(). */
float *test_signal(const char *name, size_t samples);
float *test_signals(const char *name, size_t samples, int channels); /* each channel's partials a radian further */
/* Audio through a model's front end: rows as sm_stream_push takes them, appended. */
void test_front_end(const char *name, const float *audio, size_t samples, sm_floats *rows);
/* Converts the weights as `models import` does, and opens the result. */
sm_weights *test_converted(const sm_model *m, sm_weights *w, const char *variant, const sm_card *card,
                           const char *path);
/* Largest absolute difference; fails the test when it passes `bound`. */
double test_within(const float *ours, sm_weights *golden, const char *name, size_t n, double bound, const char *what);

#endif
