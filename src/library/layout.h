/* Places in the plane for sounds, similar ones near each other: a graph of neighbours, laid out. */
#ifndef SM_LIBRARY_LAYOUT_H
#define SM_LIBRARY_LAYOUT_H

#include "library/vectors.h"

enum { SM_LAYOUT_NEIGHBOURS = 15, SM_LAYOUT_CELLS_LEAST = 50000 };

typedef struct {
    uint64_t seed;
    int epochs;        /* 0: 300, or 200 above 10,000 sounds */
    const bool *fixed; /* [n] or NULL: these stay where they are; others start among their neighbours */
    bool from_places;  /* without fixed: start from `places`, not from the first two values of the rows */
    int (*progress)(void *user, double part); /* or NULL; not 0: SM_ECANCELLED */
    void *user;
} sm_layout_options;

/* The nearest others of n rows: near [n][NEIGHBOURS] as places in `rows`, -1: none; cosines likewise. From CELLS_LEAST rows on in cells. */
int sm_layout_neighbours(const sm_vectors *v, sm_pool *pool, const uint32_t *rows, size_t n, int32_t *near,
                         float *cosines);
/* The same in some cells about each row, which misses a few and takes n^1.5 (layout_near.c). Rows of length 1. */
int sm_layout_neighbours_in_cells(const sm_vectors *v, sm_pool *pool, const uint32_t *rows, size_t n, int32_t *near,
                                  float *cosines);
/* places [n][2]. The same input gives the same places, on one thread. */
int sm_layout_run(const sm_vectors *v, const uint32_t *rows, size_t n, const int32_t *near, const float *cosines,
                  const sm_layout_options *o, float *places);
/* Turns, mirrors, scales and moves `places` so that those that are known lie nearest to where they lay: old [n][2]. */
void sm_layout_align(float *places, const float *old, const bool *known, size_t n);
/* 1 - 2 / (n k (2 n - 3 k - 1)) * sum of (rank - k) over neighbours on the map that are none in truth (Venna and Kaski 2001), of a
 * sample of at most 2,000. */
int sm_layout_trust(const sm_vectors *v, const uint32_t *rows, size_t n, const float *places, double *out);

#endif
