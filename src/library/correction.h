/* The user's word about a field: whether it can be, how it is kept, and what else follows from it. Private to library. */
#ifndef SM_LIBRARY_CORRECTION_H
#define SM_LIBRARY_CORRECTION_H

#include <jansson.h>

#include "library/store.h"

enum { SM_CORRECTION_SIZE = 256 };
/* `field` by name or alias ("note" is note_midi), the value as it is kept: "Am" and "8A" become "A minor", "A#2" 46, "Kick" kick, "yes"
 * 1. An empty value says that there is none, and stays. SM_EUSAGE: no such field (names the nearest), or none that a user can
 * know better (path, hashes, sizes); a value out of its range. */
int sm_correction_read(const char *field, const char *value, const sm_property **p, char kept[SM_CORRECTION_SIZE]);
/* The field itself and all that follows: a key in its other notations, a note's name, that the user is sure. */
typedef int (*sm_follows_fn)(void *user, const sm_property *p, const char *value);
int sm_correction_each(const char *field, const char *kept, sm_follows_fn fn, void *user);
/* The same in a record. "corrected" there lists the fields that are the user's. A field that this version does not have is left. */
int sm_correction_apply(json_t *record, const char *field, const char *kept);
/* All that the store has for a content. */
int sm_corrections_apply(sm_store *s, int64_t content, json_t *record);

#endif
