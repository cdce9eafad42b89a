/* What the search for duplicates asks of the store besides store.h. Private to this room. */
#ifndef SM_LIBRARY_STORE_DUPES_H
#define SM_LIBRARY_STORE_DUPES_H

#include "library/store.h"

/* The fingerprint of one content, appended. *there false: it has none of that version. */
int sm_store_print_get(sm_store *s, int64_t content, int version, sm_buffer *out, bool *there);

#endif
