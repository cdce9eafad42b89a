/* The subset of HDF5 that Keras writes: superblocks 0-3, object headers 1-2, symbol-table and compact link groups, contiguous,
 * compact and chunked (deflate, shuffle, checksum) data, attributes. After the "HDF5 File Format Specification" versions 1-3.
 * Every address is checked against the file; every walk has a budget, since addresses may form loops. */
#ifndef SM_WEIGHTS_H5_H
#define SM_WEIGHTS_H5_H

#include "weights/store.h"

typedef struct {
    const uint8_t *data; /* from the superblock's base address on: addresses count from here */
    uint64_t size;
    int offset_size, length_size; /* of addresses and lengths: 2, 4 or 8 bytes */
    uint64_t *work;               /* bytes of headers that may still be read while opening: loops and repetitions end */
} h5_file;

/* n bytes at an address, or NULL after sm_fail. `what` names them. */
const uint8_t *h5_at(const h5_file *f, uint64_t address, uint64_t n, const char *what);
uint64_t h5_uint(const uint8_t *p, int size); /* little-endian, 1 to 8 bytes */
uint64_t h5_address(const h5_file *f, const uint8_t *p);
bool h5_undefined(const h5_file *f, uint64_t address); /* all ones: nothing there */

/* ---- h5_object.c ---- */
enum {
    H5_DATASPACE = 1,
    H5_LINK_INFO = 2,
    H5_DATATYPE = 3,
    H5_FILL = 5,
    H5_LINK = 6,
    H5_LAYOUT = 8,
    H5_FILTERS = 11,
    H5_ATTRIBUTE = 12,
    H5_CONTINUATION = 16,
    H5_SYMBOL_TABLE = 17,
    H5_ATTRIBUTE_INFO = 21
};
enum { H5_SHARED = 2 }; /* flag of a message: its body is an address of the real one */
typedef int (*h5_message)(void *user, unsigned type, unsigned flags, const uint8_t *body, size_t n);
/* Calls `each` for the messages of the object whose header is at `address`; stops at the first failure. */
int h5_messages(const h5_file *f, uint64_t address, h5_message each, void *user);

typedef struct {
    bool number, string, vlen_string; /* none: something else (compounds, references ...) */
    nn_type type;                     /* of a number */
    uint32_t size;                    /* bytes of one element as stored */
    bool space_padded;
} h5_type;
int h5_read_type(const uint8_t *p, size_t n, h5_type *out);
typedef struct {
    bool null; /* no elements at all */
    int rank;
    uint64_t dim[32];
} h5_space;
int h5_read_space(const h5_file *f, const uint8_t *p, size_t n, h5_space *out);

/* ---- h5_data.c ---- */
/* What the messages of one object said about its data. */
typedef struct {
    const h5_file *file;
    bool has_space, has_type, has_layout, shared;
    h5_space space;
    h5_type type;
    const uint8_t *layout, *filters, *fill;
    size_t n_layout, n_filters, n_fill;
} h5_dataset;
/* Adds the data set as tensor `name`; leaves out what is no number. */
int h5_add_dataset(sm_weights *w, const h5_dataset *d, const char *name);

/* ---- h5_chunks.c ---- */
typedef struct {
    int id;        /* 1 deflate, 2 shuffle, 3 checksum */
    uint32_t unit; /* shuffle: bytes of an element */
} h5_filter;
typedef struct {
    h5_file file;
    int rank;
    uint64_t dim[NN_MAX_RANK];
    uint32_t chunk[NN_MAX_RANK], unit; /* unit: bytes of an element */
    size_t chunk_bytes;
    uint64_t address;
    bool tree;       /* address is of a B-tree; else of the only chunk */
    uint64_t stored; /* bytes of the only chunk */
    uint32_t mask;   /* filters that the only chunk skips */
    int n_filters;
    h5_filter filters[8];
    uint8_t fill[8];
} h5_chunks;
int h5_read_filters(const uint8_t *p, size_t n, h5_chunks *out);
int h5_fill_chunks(const sm_weights *w, const w_tensor *t, void *out);

/* ---- h5_attr.c ---- */
/* Keeps an attribute message as metadata "NAME" (group "") or "NAME:GROUP". */
int h5_add_attribute(sm_weights *w, const h5_file *f, const char *group, const uint8_t *p, size_t n);

#endif
