/* Notes of a pitch track, as a standard MIDI file. */
#ifndef SM_ENGINE_MIDI_H
#define SM_ENGINE_MIDI_H

#include "base/base.h"

typedef struct {
    double start_s, end_s;
    int note;     /* MIDI */
    int velocity; /* 1..127, from the level */
} sm_note;

/* Frames of one rounded note in a row, at least 50 ms, where confidence >= threshold; gaps and slips of up to 30 ms are bridged.
 * *notes: the caller's (sm_free). */
int sm_notes_of_pitch(const sm_pitch_result *r, double threshold, sm_note **notes, size_t *n);
/* Format 0, 480 ticks a quarter at 120 BPM; appears when whole. */
int sm_midi_write(const char *path, const sm_note *notes, size_t n);

#endif
