/* One note of a synthesizer plugin, played offline: what the hosts of DSSI (dssi_note.c) and LV2 (lv2_note.c) have in common. */
#ifndef SYNTH_NOTE_H
#define SYNTH_NOTE_H

#include <stdbool.h>
#include <stddef.h>

#define NOTE_RATE   44100
#define NOTE_BLOCK  64
#define NOTE_FRAMES (NOTE_BLOCK * 1517) /* 2.2 s */
#define NOTE_KEYS   4
#define NOTE_LEAD                                                                                                      \
    (NOTE_BLOCK * 69) /* 0.1 s before the key goes down, in which a plugin takes up its program; not kept */

typedef struct {
    int keys[NOTE_KEYS], n_keys; /* played together */
    int velocity;
    int hold; /* frames, whole blocks */
} note;

/* "60" or "48+55+60", "100", "0.8" (seconds). */
bool note_parse(note *n, const char *keys, const char *velocity, const char *hold);

/* A 16 bit WAV file of one channel: less what is below 10 Hz (an offset that a key switches on and off), the loudest value .9, from the first to the last value of a thousandth of that, with 64 values
 * before and behind; the end fades over 30 ms. Changes x. False, said on stderr, for silence and values that are no numbers. */
bool note_write(const char *path, float *x, size_t frames);

#endif
