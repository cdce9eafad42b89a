/* Disjoint sets of 0..n-1. */
#ifndef SM_BASE_UNION_FIND_H
#define SM_BASE_UNION_FIND_H

#include "base/base.h"

static inline size_t *union_find_new(size_t n)
{
    size_t *parent = sm_alloc(n, sizeof *parent);
    for (size_t i = 0; parent && i < n; i++)
        parent[i] = i;
    return parent;
}

static inline size_t union_find_root(size_t *parent, size_t i)
{
    while (parent[i] != i)
        i = parent[i] = parent[parent[i]];
    return i;
}

/* The smaller number becomes the root, so that the sets do not depend on the order of the calls. */
static inline void union_find_join(size_t *parent, size_t a, size_t b)
{
    a = union_find_root(parent, a);
    b = union_find_root(parent, b);
    parent[SM_MAX(a, b)] = SM_MIN(a, b);
}

#endif
