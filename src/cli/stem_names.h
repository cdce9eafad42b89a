/* Where `separate` writes: "{track}/{stem}.{ext}" filled in. */
#ifndef SM_STEM_NAMES_H
#define SM_STEM_NAMES_H

#include "base/base.h"

/* What the words in braces stand for. */
typedef struct {
    const char *track_path; /* {track}: its name up to the last dot; {trackext}: what follows it */
    const char *stem, *ext, *model;
    size_t index;          /* {index}: of the track in this run, from 1 */
    const char *bpm, *key; /* NULL: not known, "unknown" is written */
} sm_stem_words;

/* 0, or SM_EUSAGE naming the word that is none, a brace that is not closed, or that {stem} is missing. */
int sm_stem_pattern_check(const char *pattern);
bool sm_stem_pattern_has(const char *pattern, const char *word); /* "bpm" */
/* "FOLDER/MODEL/" + the pattern filled in; the caller's. NULL: no memory. A "/" in a value becomes "-". */
char *sm_stem_path(const char *folder, const char *pattern, const sm_stem_words *words);

#endif
