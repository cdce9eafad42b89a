/* synth: labelled sounds of our own making, without end, whose parameters are known exactly; and notes of installed SoundFonts.
 *
 * A sound is a function of (recipe, seed, rate) alone: the same three give the same samples on every machine that rounds as IEEE 754
 * says and has this libm. Recipes are rows of synth.def; each belongs to one class of sm_instruments. */
#ifndef SM_TRAIN_SYNTH_H
#define SM_TRAIN_SYNTH_H

#include "audio/audio.h"

/* What is known of a sound because we made it. */
typedef struct {
    double pitch_hz; /* fundamental; 0: none, or of several notes */
    double attack_s; /* from the start to the full level */
    double decay_s;  /* from there until it is 60 dB down, or ends */
    double
        brightness_hz; /* where its spectrum is cut: the filter's corner at its highest, or the highest strong partial */
} sm_synth_facts;

typedef struct {
    const char *name, *label; /* "analogue kick", "kick" */
    const char *method; /* "subtractive", "FM", "modal", "plucked string", "additive", "noise", "formant", "waveform" */
    const char *says;   /* one line for docs and `dataset synth --list` */
} sm_synth_recipe;
/* All recipes, sorted by label. */
const sm_synth_recipe *sm_synth_recipes(size_t *n);

/* Makes the sound `seed` of a recipe: mono at rate_hz (8,000 to 192,000), peak 0.89, at most 2.5 s. Appends to *out; facts may be
 * NULL. SM_EUSAGE: no such recipe or rate. */
int sm_synth_make(size_t recipe, uint64_t seed, int rate_hz, sm_floats *out, sm_synth_facts *facts);

/* ---- SoundFonts (soundfont.c), through libfluidsynth ---- */
typedef struct sm_soundfont sm_soundfont;
/* SM_EUNSUPPORTED: libfluidsynth is not installed (the message names the package); SM_EFORMAT: not a SoundFont. */
int sm_soundfont_open(const char *path, int rate_hz, sm_soundfont **out);
void sm_soundfont_close(sm_soundfont *s);
typedef struct {
    int bank, program;
    char name[64];
} sm_soundfont_preset;
/* i-th preset in the file's order; false past the end. */
bool sm_soundfont_preset_at(sm_soundfont *s, size_t i, sm_soundfont_preset *out);
/* One note: mono, held for hold_s, with its release, at most most_s; appends. SM_ENOTFOUND: no such preset. A note outside of the
 * preset's keys comes out empty, which is no failure. */
int sm_soundfont_render(sm_soundfont *s, int bank, int program, int key, int velocity, double hold_s, double most_s,
                        sm_floats *out);
/* The class of a General MIDI program (bank 0), or of a drum note (bank 128); NULL: none that is ours. */
const char *sm_gm_program_label(int program);
const char *sm_gm_drum_label(int key);

/* What the stored corpus went through, so that synthetic and recorded sounds look alike: leading silence off (46 dB below the peak),
 * the end cut where the level stays 62 dB below the peak, at most most_s with a 50 ms fade, peak 0.89. In place; gives the
 * samples that are left (0: silence). */
size_t sm_sound_trim(float *x, size_t n, int rate_hz, double most_s);
double sm_label_most_s(const char *label); /* the length at which sounds of this class are cut */

#endif
