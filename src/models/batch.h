/* Between streams and the workers that run their patches. */
#ifndef SM_MODELS_BATCH_H
#define SM_MODELS_BATCH_H

#include "models/handle.h"

sm_model_handle *stream_handle(const sm_stream *s);
/* The next patch as it is, [patch][bands], into `to`; sm_stream_ready must not be 0. */
void stream_take_patch(sm_stream *s, float *to);
/* What the model does to a patch before the network sees it, in place. Any thread. */
void stream_prepare(const sm_stream *s, float *patch);
/* One patch's answers, in the order of the patches, into the pool and on to the heads. heard: it is not silence. */
int stream_take_answer(sm_stream *s, const float *scores, const float *embedding, bool heard);
/* Rows that no patch will need any more are given back. */
void stream_forget(sm_stream *s);

#endif
