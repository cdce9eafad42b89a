/* The parts that recipes are made of. Private to synth_*.c. */
#ifndef SM_TRAIN_SYNTH_PARTS_H
#define SM_TRAIN_SYNTH_PARTS_H

#include <math.h>

#include "train/synth.h"

#define SYNTH_TAU 6.283185307179586

/* Random numbers of one sound. Each place in the source draws from a stream of its own, since compilers evaluate arguments in
 * different orders and a seed means the same sound for all. */
enum { SYNTH_PLACES = 512 };
typedef struct {
    uint64_t stream, noise;
    uint32_t drawn[SYNTH_PLACES];
} synth_random;
double synth_draw(synth_random *r, int place); /* 0..1 */
#define synth_between(r, low, high)     ((low) + ((high) - (low)) * synth_draw(r, __COUNTER__))
#define synth_log_between(r, low, high) synth_log_mix(low, high, synth_draw(r, __COUNTER__)) /* evenly in octaves */
#define synth_chance(r, p)              (synth_draw(r, __COUNTER__) < (p))
#define synth_choose(r, n)              synth_pick(n, synth_draw(r, __COUNTER__)) /* 0..n-1 */
static inline int synth_pick(int n, double way)
{
    return SM_CLAMP((int)(way * n), 0, n - 1);
}
static inline double synth_log_mix(double low, double high, double way)
{
    return low * pow(high / low, way);
}

/* A sound in the making. */
typedef struct {
    synth_random *r;
    int rate;
    double dt; /* 1 / rate */
    float *x;  /* [n], zeros at first */
    size_t n;
    sm_synth_facts facts;
    bool failed; /* no memory: recipes need not look */
} synth_sound;
void synth_length(synth_sound *s, double seconds); /* once, first */
double synth_pitch(synth_sound *s, int low_midi,
                   int high_midi); /* a note, a little out of tune; told as the sound's pitch */

/* exp(-t / ...): 1 at 0, 60 dB down at t = t60 */
static inline double synth_decay(double t, double t60)
{
    return t < 0 ? 0 : exp(-6.907755 * t / t60);
}
/* Rises to 1 within `attack` (half a cosine), then decays; 60 dB down after t60 more. Keeps both as facts. */
typedef struct {
    double attack, t60, hold; /* hold: seconds at 1 in between */
} synth_envelope;
synth_envelope synth_shape(synth_sound *s, double attack, double hold, double t60);
double synth_level(const synth_envelope *e, double t);

/* Oscillators; phase in cycles, 0..1. The steps of saw and square are rounded over a sample (PolyBLEP), dt in cycles. */
typedef enum { SYNTH_SINE, SYNTH_TRIANGLE, SYNTH_SAW, SYNTH_SQUARE, SYNTH_WAVES } synth_wave;
double synth_osc(synth_wave w, double phase, double dt, double width);
static inline double synth_turn(double *phase, double hz, double dt)
{
    *phase += hz * dt;
    *phase -= floor(*phase);
    return *phase;
}

/* State variable filter (trapezoidal): low, band, high of one input. */
typedef struct {
    double a, b; /* states */
    double low, band, high;
} synth_filter;
void synth_filter_run(synth_filter *f, double x, double hz, double q, double dt);
double synth_noise(synth_random *r); /* -1..1, white */

/* Sums n decaying sines: partial i has frequency hz * ratio[i], level[i], and t60 * ratio[i]^-damp. From `from` seconds on. */
void synth_modes(synth_sound *s, double hz, const double *ratio, const double *level, int n, double t60, double damp,
                 double from);
/* Filtered noise with an exponential end, from `from` seconds on: band of centre hz and quality q, or highs (band false). */
void synth_burst(synth_sound *s, double hz, double q, bool band, double level, double attack, double t60, double from);
/* A plucked string: noise in a loop of one period (Karplus and Strong 1983), damped by `dull` 0..1, picked at `place` 0..0.5. */
void synth_string(synth_sound *s, double hz, double dull, double place, double t60, double level);
void synth_drive(synth_sound *s, double gain); /* tanh, level kept */

/* ---- the recipes, one function a row of synth.def ---- */
#define SYNTH(function, name, label, method, says) void synth_##function(synth_sound *s);
#include "train/synth.def"
#undef SYNTH

#endif
