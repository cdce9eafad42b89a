/* Small pieces of music made of sines and noise, for tests of tempo and key. Rate 44.1 kHz, mono; everything is added to what is there. */
#ifndef SM_TEST_MUSIC_H
#define SM_TEST_MUSIC_H

#include <stddef.h>

enum { MUSIC_RATE = 44100 };

typedef enum { MUSIC_KICK, MUSIC_SNARE, MUSIC_HAT, MUSIC_CLICK, MUSIC_CLAP } music_drum;

void music_hit(float *x, size_t n, double at_s, music_drum drum, float gain);
/* pattern: one character a step, repeated to the end: 'x' hit, 'o' loud, anything else a rest. steps_per_beat 4: sixteenths. swing: how
 * many beats each second half of a beat comes late (0: straight, 1/6: triplets). */
void music_pattern(float *x, size_t n, double start_s, double bpm, double steps_per_beat, double swing, music_drum drum,
                   const char *pattern, float gain);
/* A tone of five partials that fades; midi 69 is `a4_hz`. */
void music_tone(float *x, size_t n, double at_s, double midi, double seconds, float gain, double a4_hz);
/* Triad with its root doubled an octave below. */
void music_chord(float *x, size_t n, double at_s, int root_midi, int minor, double seconds, float gain, double a4_hz);

#endif
