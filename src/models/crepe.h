/* CREPE's activations and what is made of them. */
#ifndef SM_MODELS_CREPE_H
#define SM_MODELS_CREPE_H

#include "models/pooling.h"

enum { CREPE_FRAME = 1024, CREPE_BINS = 360 };

double crepe_hz(double cents);
/* The centre of a bin in cents above 10 Hz. */
double crepe_cents(int bin);
/* Weighted mean of the cents of bins centre - 4 .. centre + 4, as Hz; 0 where all weights are 0. */
double crepe_local_hz(const float *activation, int centre);

/* A Viterbi search whose answer is final as early as it can be: frames are pushed one by one, decided bins come out as soon as all
 * surviving paths agree, so that hours of sound need the memory of seconds. The answer is that of the search over everything. */
typedef struct crepe_viterbi crepe_viterbi;
typedef enum { CREPE_VITERBI_ARGMAX /* crepe */, CREPE_VITERBI_SOFTMAX /* torchcrepe */ } crepe_viterbi_kind;
/* low, high: torchcrepe's open bins low <= b < high */
int crepe_viterbi_new(crepe_viterbi_kind kind, int low, int high, crepe_viterbi **out);
void crepe_viterbi_free(crepe_viterbi *v);
/* Calls take(user, frame, bin) for each newly decided frame, in order. */
typedef int (*crepe_take)(void *user, size_t frame, int bin);
int crepe_viterbi_push(crepe_viterbi *v, const float *activation, crepe_take take, void *user);
int crepe_viterbi_finish(crepe_viterbi *v, crepe_take take, void *user);

/* torchcrepe's open bins for a range of frequencies. */
void crepe_open_bins(double f_min, double f_max, int *low, int *high);

/* Frames in, pitch out; used by the pooling and by sm_pitch_decode. */
typedef struct crepe_decoder crepe_decoder;
int crepe_decoder_new(sm_pitch_decoder kind, double f_min, double f_max, crepe_decoder **out);
void crepe_decoder_free(crepe_decoder *d);
int crepe_decoder_push(crepe_decoder *d, const float *activation);
int crepe_decoder_finish(crepe_decoder *d);
size_t crepe_decoder_frames(const crepe_decoder *d); /* decided */
const float *crepe_decoder_hz(const crepe_decoder *d);
const float *crepe_decoder_confidence(const crepe_decoder *d);
const int32_t *crepe_decoder_bins(const crepe_decoder *d);

extern const sm_pooling crepe_pooling;

#endif
