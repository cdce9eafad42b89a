/* The list of parts: what is kept of a sound besides its record. Each is a constant of its owner's file. */
#include "library/scan.h"

extern const sm_scan_part sm_scan_fingerprint; /* dupes_store.c */
extern const sm_scan_part sm_scan_vectors;     /* vectors_part.c */
extern const sm_scan_part sm_scan_words;       /* words_part.c */

const sm_scan_part *const sm_scan_parts[] = {
    &sm_scan_fingerprint,
    &sm_scan_vectors,
    &sm_scan_words,
    NULL,
};
