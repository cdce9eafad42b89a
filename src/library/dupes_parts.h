/* What the files of the search for duplicates share. */
#ifndef SM_LIBRARY_DUPES_PARTS_H
#define SM_LIBRARY_DUPES_PARTS_H

#include "library/dupes.h"

/* Reads the sound: format, hash of its samples (as in records; none for silence), fingerprint. Errors of sm_audio_open. */
int sm_dupe_read(const char *path, sm_dupe_sound *out);

/* What a library knows of files (dupes_store.c). Fills the sounds of files whose size and time are as they were; known[i] says which.
 * The prints are the sounds' own. n 0: *sounds and *n become all files of the library that are there; paths then are in `a`. */
int sm_dupe_recall(const char *library, sm_arena *a, sm_dupe_sound **sounds, bool **known, size_t *n);

#endif
