/* NumPy's .npz: a zip of .npy arrays, stored. */
#ifndef SM_CLI_NPZ_H
#define SM_CLI_NPZ_H

#include "base/base.h"

typedef struct {
    const char *name; /* "embedding" */
    const char *type; /* "<f4", "<f8" */
    size_t rank, dim[2];
    const void *data; /* C order, little-endian */
    size_t bytes;
} sm_npz_array;

/* Writes the file; it appears when whole. SM_EIO, SM_ENOMEM, SM_ELIMIT (4 GiB and more: not this form of zip). */
int sm_npz_write(const char *path, const sm_npz_array *arrays, size_t n);

#endif
