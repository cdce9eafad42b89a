/* What the files of the scan share, and what others hang into it: fingerprints, vectors, words. Private to this room. */
#ifndef SM_LIBRARY_SCAN_H
#define SM_LIBRARY_SCAN_H

#include "engine/engine.h"
#include "library/library.h"
#include "library/store.h"

/* The beginning of a sound, decoded once for all parts that want it. */
enum { SM_SCAN_SECONDS = 30 };
typedef struct {
    const char *path;
    const float *audio; /* interleaved */
    size_t frames;
    int rate_hz, channels;
    bool whole; /* nothing follows */
} sm_scan_audio;

/* A part of what is kept of a content besides its record: one constant in a file of its owner, one row in scan_parts.c.
 * It must be a function of its arguments alone. */
typedef struct {
    const char *name; /* "fingerprint": kept with each content, so that what lacks it is made up for */
    int version;      /* another version is made again for all contents */
    /* Any thread, several at a time: the result as bytes, or nothing. A failure of a sound (SM_EFORMAT and so on) leaves its part
     * empty; SM_ENOMEM ends the scan. NULL: no audio is wanted. */
    int (*compute)(const sm_scan_audio *a, sm_buffer *out);
    /* One at a time, within the transaction that keeps the content: what compute gave (length 0: nothing), and the record with what
     * each model said (sm_record_opinion: scores; sm_record_embedding). record is NULL when only this part is made again: then what the
     * store has (sm_store_record) must do, or `needs_record`. */
    int (*keep)(sm_store *s, int64_t content, const sm_record *record, const sm_buffer *computed);
    bool needs_record; /* another version of it means a new analysis */
    /* NULL, or: all files are up to date (once at the end of each scan, outside of transactions). The word index, vector files. */
    int (*finish)(sm_store *s);
} sm_scan_part;
extern const sm_scan_part *const sm_scan_parts[]; /* scan_parts.c; NULL at the end */

#endif
