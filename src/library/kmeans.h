/* Spherical k-means (Dhillon and Modha 2001), by matrix products: centres of length 1, and which of them are nearest to each row. */
#ifndef SM_LIBRARY_KMEANS_H
#define SM_LIBRARY_KMEANS_H

#include "base/base.h"

enum { SM_KMEANS_NEAR = 64 };

typedef struct {
    void (*row)(const void *user, uint32_t row, float *out); /* its values [dims]: of length 1, or zeros */
    const void *user;
    const uint32_t *rows;  /* [n]: which ones */
    size_t n, dims, cells; /* 1 <= cells <= n */
    int rounds;
    size_t sample_a_cell; /* centres are moved by a sample of so many rows for each */
    int near;             /* how many cells are told of each row, 1..SM_KMEANS_NEAR, <= cells */
    sm_pool *pool;        /* or NULL */
} sm_kmeans;

/* centres [cells][dims]; near [n][k->near], the nearest first, of equals the lower number. The same on any number of threads. */
int sm_kmeans_run(const sm_kmeans *k, float *centres, uint32_t *near);

#endif
