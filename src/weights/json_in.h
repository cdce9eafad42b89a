/* Shared by the readers whose headers are JSON (jansson). */
#ifndef SM_WEIGHTS_JSON_IN_H
#define SM_WEIGHTS_JSON_IN_H

#include <jansson.h>

#include "weights/store.h"

/* Parses a whole text; *out is the caller's: json_decref. Doubled keys and zero bytes are refused. `what` names the text. */
int w_json_parse(const void *text, size_t size, const char *what, json_t **out);
/* An array of integers >= 0 as a shape. `what` names it. */
int w_json_shape(const json_t *array, const char *what, nn_shape *out);

#endif
