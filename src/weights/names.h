/* A map from names to numbers. The names are borrowed. */
#ifndef SM_WEIGHTS_NAMES_H
#define SM_WEIGHTS_NAMES_H

#include <stdbool.h>
#include <stddef.h>

typedef struct {
    struct w_name {
        const char *name; /* NULL: free */
        size_t value;
    } * slots;
    size_t n_slots, n; /* n_slots: a power of two */
} w_names;

int w_names_put(w_names *m, const char *name, size_t value); /* replaces what was there; SM_ENOMEM */
bool w_names_get(const w_names *m, const char *name, size_t *value);
void w_names_clear(w_names *m); /* frees, and leaves it usable */

#endif
