/* What augmentation is made of: plain effects on a mono sound. Private to the train room.
 * All append to or replace `out`; inputs stay. 0 or SM_ENOMEM. */
#ifndef SM_TRAIN_EFFECTS_H
#define SM_TRAIN_EFFECTS_H

#include "dsp/dsp.h"
#include "train/random.h"

/* What effects work in: transforms and memory, kept from sound to sound. Of one thread; begins as zeros. */
enum { TRAIN_FFT_SIZES = 20 };
typedef struct {
    dsp_fft *fft[TRAIN_FFT_SIZES]; /* of 2^i samples, made when first asked for */
    sm_floats row[4];
} train_scratch;
void train_scratch_free(train_scratch *w);

/* The sound read `step` times as fast: n / step samples; frequencies above `cutoff` (share of Nyquist of the input) are removed by a
 * windowed sinc. */
int train_resample(const float *x, size_t n, double step, double cutoff, sm_floats *out);
/* `ratio` times as long at the same pitch: grains of 40 ms laid where they fit best (WSOLA). */
int train_stretch(const float *x, size_t n, int rate_hz, double ratio, sm_floats *out);

/* Second-order sections (Bristow-Johnson's cookbook), in place. */
typedef enum { TRAIN_LOWPASS, TRAIN_HIGHPASS, TRAIN_LOWSHELF, TRAIN_HIGHSHELF, TRAIN_PEAK } train_filter_kind;
void train_filter(float *x, size_t n, int rate_hz, train_filter_kind kind, double hz, double q_or_slope,
                  double gain_db);

void train_saturate(float *x, size_t n, double gain_db);
void train_fade_end(float *x, size_t n, size_t length); /* the last `length` samples, by a raised cosine */
float train_peak(const float *x, size_t n);
/* Adds noise of this level (rms, as a factor); pink: -3 dB an octave (Kellet's filter). */
void train_add_noise(float *x, size_t n, double level, bool pink, train_random *r);
/* x + wet * (x through a room): noise that decays by 60 dB in t60_s and gets darker. At most `most` samples. */
int train_reverb(train_scratch *w, sm_floats *x, int rate_hz, double t60_s, double wet, size_t most, train_random *r);
/* Leaves of each short spectrum what a lossy codec of so many kbit/s would: steps by band, nothing that is small or high. */
int train_codec(train_scratch *w, sm_floats *x, int rate_hz, double kbps);

#endif
