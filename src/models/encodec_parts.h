/* EnCodec inside: tensors under canonical names, and the network in the parts that are run one after the other. */
#ifndef SM_MODELS_ENCODEC_PARTS_H
#define SM_MODELS_ENCODEC_PARTS_H

#include "models/encodec.h"

/* ---- encodec_names.c ----
 * Canonical: (encoder|decoder).N.(weight|bias), .N.up. (transposed), .N.block.M., .N.lstm.{weight_ih_l,weight_hh_l,bias_l}K, codebook.Q;
 * N as the originals number their layers; weight norm folded, the LSTM's two biases added. */
typedef float *(*encodec_room)(void *user, size_t n); /* floats that live as long as the look-up */
int encodec_tensor(sm_weights *w, const char *prefix, const char *name, const nn_shape *expected, encodec_room room,
                   void *user, nn_tensor *out);
/* Behind which prefix the codec lies; false: there is none. */
bool encodec_prefix(sm_weights *w, char out[96]);
/* What a converted file must say beside tensors: {"pad_mode": ..}; the caller's. */
char *encodec_keep(sm_weights *w);

/* ---- encodec_graph.c ---- */
/* What lies beyond the ends of what a part is given: nothing (VALID), zeros, or what the model says of a sound's ends. */
typedef enum { ENCODEC_VALID, ENCODEC_ZERO, ENCODEC_ENDS } encodec_edge;
typedef struct {
    nn_graph *g;
    const nn_source *w;
    const sm_encodec_size *s;
} encodec_net;
int encodec_wide(const sm_encodec_size *s);          /* channels at frame rate: 1024 */
int encodec_hop(const sm_encodec_size *s);           /* 640 */
int encodec_decoder_reach(const sm_encodec_size *s); /* frames to either side that a frame of sound depends on */
int encodec_encoder_reach(const sm_encodec_size *s);
nn_id encodec_first(const encodec_net *n, nn_id x, encodec_edge edge); /* latents [1, width, T] -> [1, wide, T] */
nn_id encodec_last(const encodec_net *n, nn_id x, encodec_edge edge);  /* [1, wide, T] -> latents */
nn_id encodec_memory(const encodec_net *n, bool decoder, nn_id x,
                     bool keeps); /* LSTM, [1, T, wide]; keeps: its state from run to run */
nn_id encodec_up(const encodec_net *n, nn_id x, encodec_edge edge);   /* [1, wide, T] -> sound [1, 1, T hop] */
nn_id encodec_down(const encodec_net *n, nn_id x, encodec_edge edge); /* sound [1, 1, L] -> [1, wide, ceil(L / hop)] */

#endif
