/* One note of a synthesizer plugin, played offline: what the hosts of DSSI (dssi_note.c) and LV2 (lv2_note.c) have in common. */
#ifndef SYNTH_NOTE_H
#define SYNTH_NOTE_H

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

/* The plugin's next NOTE_BLOCK values, of both sides together; the note's keys go down at frame NOTE_LEAD and up at NOTE_LEAD + hold. */
typedef void (*note_block_fn)(void *synth, const note *n, int frame, float *out);
/* Plays what the command line says, KEY[+KEY] VELOCITY SECONDS FILE.wav, and ends the program: plugins are not asked to tidy up, since
 * some crash and some have threads that do. */
_Noreturn void note_play(char **arguments, int n_arguments, note_block_fn block, void *synth);
/* Both sides (or the one) of a plugin's outputs, together. */
void note_mix(float (*sides)[NOTE_BLOCK], int n_sides, float *out);

#endif
