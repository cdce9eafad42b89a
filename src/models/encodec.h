/* EnCodec 32 kHz (Défossez, Copet, Synnaeve, Adi: High Fidelity Neural Audio Compression, 2022), as MusicGen uses it: mono samples to
 * 4 codes of 2048 in each of 50 frames a second, and back.
 *
 *     sm_encodec_open(weights, NULL, &options, &codec);               // finds the codec in any container, behind any prefix
 *     frames = sm_encodec_frames(codec, samples);
 *     sm_encodec_encode(codec, planes, samples, 2, codes);            // stereo: rows 0, 2, 4, 6 left, 1, 3, 5, 7 right
 *     sm_encodec_decode(codec, codes, frames, 2, out);
 *
 * Everything is computed in pieces, with so much of the surroundings (and the state of the LSTM carried on) that the answer is that of the
 * whole at once; memory does not grow with the length. A codec belongs to one thread at a time. */
#ifndef SM_MODELS_ENCODEC_H
#define SM_MODELS_ENCODEC_H

#include "models/model.h"

enum { SM_ENCODEC_MAX_STAGES = 6, SM_ENCODEC_MAX_BOOKS = 32 };

typedef struct {
    int filters, width, books, bins, stages; /* 64, 128 (of a latent), 4, 2048, 4 */
    int ratio[SM_ENCODEC_MAX_STAGES];        /* in the decoder's order: 8, 5, 4, 4 */
    bool reflect; /* beyond the ends of the sound it is mirrored (HF's files) rather than zero */
} sm_encodec_size;
extern const sm_encodec_size sm_encodec_32khz;
/* From the tensors' shapes and, where the container says it, its pad_mode (AC's YAML; HF's is in config.json: reflect). prefix as for
 * sm_encodec_open. SM_ENOTFOUND: no such codec. SM_EUNSUPPORTED: another EnCodec (24 and 48 kHz). */
int sm_encodec_size_of(sm_weights *w, const char *prefix, sm_encodec_size *out);

typedef struct {
    const char *backend;         /* NULL: "onednn" */
    int threads;                 /* 0: 1 */
    const sm_encodec_size *size; /* NULL: sm_encodec_size_of; of made-up weights sm_encodec_32khz */
} sm_encodec_options;

typedef struct sm_encodec sm_encodec;
/* `prefix` stands in front of the tensors' names ("audio_encoder."); NULL: whichever is found. w borrowed. options NULL: defaults. Tensors
 * by AC's or HF's names, weight norm as g and v (old and new style) or folded. */
int sm_encodec_open(sm_weights *w, const char *prefix, const sm_encodec_options *options, sm_encodec **out);
void sm_encodec_close(sm_encodec *e);
const sm_encodec_size *sm_encodec_sizes(const sm_encodec *e);
int sm_encodec_hop(const sm_encodec *e);                       /* samples of a frame: 640 */
size_t sm_encodec_frames(const sm_encodec *e, size_t samples); /* that so many samples are coded in */

/* audio[c]: `samples` of channel c; codes [channels * books][frames]: row q * channels + c. samples >= 1. */
int sm_encodec_encode(sm_encodec *e, const float *const *audio, size_t samples, int channels, int32_t *codes);
/* The reverse; audio[c] has room for frames * hop samples. Not clipped: peaks above 1 are possible. SM_EUSAGE: a code that is none. */
int sm_encodec_decode(sm_encodec *e, const int32_t *codes, size_t frames, int channels, float *const *audio);
/* Quantised latents of codes [books][frames] and latents of audio, [frames][width]: for tests. */
int sm_encodec_latents(sm_encodec *e, const float *audio, size_t samples, float *latents);
int sm_encodec_quantized(const sm_encodec *e, const int32_t *codes, size_t frames, float *latents);

/* ---- decoding while codes are still being made ----
 * Sound comes out as soon as what follows cannot change it any more: some SM_ENCODEC_BLOCK + 4 frames behind. */
enum { SM_ENCODEC_BLOCK = 16 };
typedef struct sm_encodec_stream sm_encodec_stream;
int sm_encodec_stream_new(sm_encodec *e, int channels, sm_encodec_stream **out); /* e outlives it */
/* n frames: row r of codes (r < channels * books) begins at codes + r * stride. Appends to planes[c]. */
int sm_encodec_stream_push(sm_encodec_stream *s, const int32_t *codes, size_t stride, size_t n, sm_floats *planes);
int sm_encodec_stream_end(sm_encodec_stream *s, sm_floats *planes); /* the rest; s is then as new */
void sm_encodec_stream_free(sm_encodec_stream *s);

#endif
