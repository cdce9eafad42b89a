/* The entries of a zip archive that are stored, not compressed: how PyTorch packs its weights. */
#ifndef SM_WEIGHTS_ZIP_H
#define SM_WEIGHTS_ZIP_H

#include "weights/store.h"

typedef struct {
    const char *name; /* not ended by a zero byte */
    size_t n_name;
    uint32_t crc;
    const uint8_t *data; /* NULL: compressed or encrypted, so out of reach */
    uint64_t size;
} zip_entry;

typedef struct {
    zip_entry *entries; /* sorted by name */
    size_t n;
} zip_archive;

int zip_open(const uint8_t *data, size_t size, zip_archive *out); /* zip_close(), also after a failure */
void zip_close(zip_archive *z);
const zip_entry *zip_find(const zip_archive *z, const char *name, size_t n); /* NULL: none */
int zip_readable(const zip_entry *e); /* 0, or SM_EUNSUPPORTED: e->data is NULL */

#endif
