/* Tempo as the file itself states it. Private to this room. */
#ifndef DSP_TEMPO_NAME_H
#define DSP_TEMPO_NAME_H

#include "dsp/dsp.h"

/* "Loop_128bpm.wav", "128 BPM", "bpm 92.5", "kick_128_Am": 128, 128, 92.5, 128. A number with "bpm" wins over a bare one; a bare one counts only
 * between separators, as a whole number from 60 to 200, and only if it is the only such. NAN: none. */
double tempo_from_name(const char *name);
/* The acid chunk: its tempo, else its beats over the duration. NAN: none, or marked as one-shot. */
double tempo_from_acid(const dsp_evidence *e, double duration_s);

#endif
