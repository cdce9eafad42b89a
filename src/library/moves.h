/* Files that get another name or place, in a way that can be taken back. Private to library. */
#ifndef SM_LIBRARY_MOVES_H
#define SM_LIBRARY_MOVES_H

#include "base/base.h"
#include "library/store.h"

/* from[i] becomes to[i], all absolute. The journal has the whole list before the first is moved. A target that is there, or that two
 * would get, is a problem of that file alone. m: see samplemind.h. SM_ENOMEM, and the store's errors. */
int sm_moves_run(sm_store *s, const char *what, const sm_strings *from, const sm_strings *to, sm_moves *m);

/* ---- bytes in JSON: "KEY" when they are UTF-8, else "KEY_hex" (moves_json.c) ---- */
void sm_json_bytes(sm_json *j, const char *key, const void *bytes, size_t n);
void sm_json_path(sm_json *j, const char *key, const char *path);
/* Appended; false: neither key is there, or it is no such text. `object` is a json_t. */
bool sm_json_bytes_in(const void *object, const char *key, sm_buffer *out);

#endif
