#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

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

/* Camelot and Open Key: the number counts fifths (dsp_key_text), the letter is the mode. */
static bool wheel_key(const char *text, int *tonic, int *minor)
{
    const size_t digits = strspn(text, "0123456789");
    if (digits < 1 || digits > 2 || !text[digits] || text[digits + 1])
        return false;
    const int hour = digits == 1 ? text[0] - '0' : (text[0] - '0') * 10 + text[1] - '0';
    const char letter = (char)toupper((unsigned char)text[digits]);
    if (hour < 1 || hour > 12 || !strchr("ABMD", letter))
        return false;
    const bool camelot = letter == 'A' || letter == 'B';
    const int fifths = (hour - 1 + (camelot ? 5 : 0)) % 12; /* 8B and 1d are C major */
    *minor = letter == 'A' || letter == 'M';
    *tonic = (fifths * 7 + (*minor ? 9 : 0)) % 12;
    return true;
}

const char *dsp_tonic_read(const char *text, int *tonic)
{
    static const int steps[7] = { 9, 11, 0, 2, 4, 5, 7 }; /* A..G */
    const char letter = (char)toupper((unsigned char)text[0]);
    if (letter < 'A' || letter > 'G')
        return NULL;
    *tonic = steps[letter - 'A'];
    text++;
    if (*text == '#')
        (*tonic)++, text++;
    else if (!strncmp(text, "\xE2\x99\xAF", 3))
        (*tonic)++, text += 3;
    else if (*text == 'b')
        (*tonic)--, text++;
    else if (!strncmp(text, "\xE2\x99\xAD", 3))
        (*tonic)--, text += 3;
    *tonic = (*tonic + 12) % 12;
    return text;
}

bool dsp_key_read(const char *text, int *tonic, int *minor)
{
    static const struct {
        const char *text;
        int minor;
    } modes[] = { { "", 0 },  { "maj", 0 }, { "major", 0 }, { "dur", 0 },
                  { "m", 1 }, { "min", 1 }, { "minor", 1 }, { "moll", 1 } };
    if (wheel_key(text, tonic, minor))
        return true;
    const char *rest = dsp_tonic_read(text, tonic);
    if (!rest)
        return false;
    rest += strspn(rest, " -_");
    if (!strcmp(rest, "M")) {
        *minor = 0;
        return true;
    }
    for (size_t i = 0; i < SM_LENGTH(modes); i++)
        if (!strcasecmp(rest, modes[i].text)) {
            *minor = modes[i].minor;
            return true;
        }
    return false;
}
