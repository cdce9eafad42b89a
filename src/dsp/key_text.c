#include <stdio.h>
#include <string.h>

#include "dsp/dsp.h"

static const char *const tonics[12] = { "C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B" };

/* Camelot and Open Key number the circle of fifths; a minor key stands with its relative major. */
const char *dsp_key_text(const dsp_key *k, const char *notation, char out[16])
{
    out[0] = 0;
    if (k->tonic < 0 || k->tonic > 11)
        return NULL;
    const int fifths = (k->tonic + (k->minor ? 3 : 0)) * 7 % 12;
    if (strcmp(notation, "musical") == 0)
        snprintf(out, 16, "%s %s", tonics[k->tonic], k->minor ? "minor" : "major");
    else if (strcmp(notation, "camelot") == 0)
        snprintf(out, 16, "%d%c", (fifths + 7) % 12 + 1, k->minor ? 'A' : 'B');
    else if (strcmp(notation, "openkey") == 0)
        snprintf(out, 16, "%d%c", fifths + 1, k->minor ? 'm' : 'd');
    else
        return NULL;
    return out;
}
