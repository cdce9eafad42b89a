/* The list of parts: what is kept of a sound besides its record. Each is a constant of its owner's file. */
#include "library/scan.h"

const sm_scan_part *const sm_scan_parts[] = {
    NULL,
};
