/* For models' adapters: making canonical tensors from official ones. Called with the view's lock held. */
#ifndef SM_MODELS_VIEW_H
#define SM_MODELS_VIEW_H

#include "models/model.h"

/* n floats that live as long as the view; NULL: no memory. */
float *view_floats(sm_view *v, size_t n);
/* A dense f32 tensor over data that live long enough. */
nn_tensor view_tensor(const float *data, const nn_shape *shape);
/* The official tensor `name` with shape `expected` (NULL: any), as f32. */
int view_official(sm_view *v, const char *name, const nn_shape *expected, nn_tensor *out);
/* out[i0, i1, ...] = in[.. i_k at axis order[k] ..]: numpy's transpose(order). */
int view_permuted(sm_view *v, const nn_tensor *in, const int *order, nn_tensor *out);
/* The only official tensor whose name starts with `prefix` (followed by '/' or '.' or its end) and ends in `suffix`. */
const char *view_find(sm_view *v, const char *prefix, const char *suffix);
const char *sm_weights_find(sm_weights *w, const char *prefix, const char *suffix); /* same without a view */

/* Sees every tensor that the network asks for, under its canonical name, until called with NULL. */
typedef int (*view_watcher)(void *user, const char *name, const nn_tensor *t);
void view_watch(sm_view *v, view_watcher watcher, void *user);

#endif
