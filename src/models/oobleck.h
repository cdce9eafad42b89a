/* Oobleck, the autoencoder of Stable Audio (Evans and others, Fast Timing-Conditioned Latent Audio Diffusion, 2024): stereo samples to
 * latents and back. Private to the models room. */
#ifndef SM_MODELS_OOBLECK_H
#define SM_MODELS_OOBLECK_H

#include "models/model.h"

enum { OOBLECK_MAX_BLOCKS = 8, OOBLECK_AUDIO = 2 /* channels */ };
#define OOBLECK_PREFIX "pretransform.model."

typedef struct {
    int blocks, latent;
    int width[OOBLECK_MAX_BLOCKS +
              1]; /* of the encoder: in front of block 0, behind each block; the decoder's backwards */
    int stride[OOBLECK_MAX_BLOCKS]; /* even */
    bool final_tanh;
} oobleck_size;

/* From the shapes of w, or the official size; then what config says: oobleck_config_keys. */
int oobleck_size_read(sm_weights *w, const sm_model_config *c, oobleck_size *out);
extern const char *const oobleck_config_keys[];
int64_t oobleck_ratio(const oobleck_size *s); /* samples of a latent: 2048 */
bool oobleck_found(sm_weights *w);            /* are its weights here, in any layout? */
/* Gives canonical tensors: weight norm folded, any layout's names. sm_adapt's contract; for names with OOBLECK_PREFIX. */
int oobleck_adapt(sm_view *v, const char *name, const nn_shape *expected, nn_tensor *out);
bool oobleck_generated(const char *name, const nn_shape *s, double *offset, double *scale); /* sm_weights_rule */

/* Adds layers first..last-1 of blocks + 3 (decoder.layers.i; encoder.layers.i) behind x [1, C, L]. */
nn_id oobleck_decoder_layers(nn_graph *g, const oobleck_size *s, const nn_source *w, nn_id x, int first, int last);
nn_id oobleck_encoder_layers(nn_graph *g, const oobleck_size *s, const nn_source *w, nn_id x, int first, int last);
/* Positions of x on each side of which an exact output position takes notice, at most. */
int64_t oobleck_decoder_reach(const oobleck_size *s, int first, int last);
int64_t oobleck_encoder_reach(const oobleck_size *s, int first, int last);

/* ---- running (oobleck_run.c) ----
 * In windows, with so much of the surroundings that the result is that of the whole at once (but for the order of sums): memory is a
 * window's. The narrow layers run over latents, the wide ones over pieces of a second or so. */
typedef struct oobleck oobleck;
/* v outlives it. o: backend, precision, threads. */
int oobleck_open(sm_view *v, const oobleck_size *s, const nn_compile_options *o, oobleck **out);
void oobleck_close(oobleck *a);
/* Windows of so many latents (beside their surroundings) instead of those that are fastest. */
void oobleck_set_window(oobleck *a, int64_t latents);
/* 0..1 of the work; not 0: stop with SM_ECANCELLED. */
typedef int (*oobleck_progress)(void *user, double done);
/* latents [latent][n]; out [2][(to - from) * ratio]: only these latents' samples. Not clipped: peaks above 1 are possible. */
int oobleck_decode(oobleck *a, const float *latents, int64_t n, int64_t from, int64_t to, float *out,
                   oobleck_progress progress, void *user);
/* audio [2][samples]; moments [2 latent][samples / ratio]: means, then what softplus makes deviations of. */
int oobleck_encode(oobleck *a, const float *audio, int64_t samples, float *moments, oobleck_progress progress,
                   void *user);
/* mean + deviation * noise: [latent][n]; noise NULL: the mean. */
void oobleck_sample(const oobleck_size *s, const float *moments, const float *noise, int64_t n, float *latents);
/* About how many bytes a decode of n latents takes at most, beside weights and what the caller gives. */
size_t oobleck_memory(const oobleck *a, int64_t n);

#endif
