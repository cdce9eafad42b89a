/* What the key analyser is made of, for tests and for fitting. Private to this room. */
#ifndef DSP_KEY_H
#define DSP_KEY_H

#include "dsp/chroma.h"

enum { KEY_ROWS = 19 };
void key_features(const chroma_view *v, float out[KEY_ROWS][12]);
/* 0..1: is there a key at all? Drums, noise, lone tones: near 0. */
double key_tonality(const chroma_view *v);

#endif
