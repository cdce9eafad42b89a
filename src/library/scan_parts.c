/* The list of parts: what is kept of a sound besides its record. Each is a constant of its owner's file. */
#include "library/scan.h"

extern const sm_scan_part sm_scan_fingerprint; /* dupes_store.c */

const sm_scan_part *const sm_scan_parts[] = {
    &sm_scan_fingerprint,
    NULL,
};
