/* Made-up vectors that lie as embeddings of sounds do: in clusters of very different sizes, within a subspace. For tests and bench. */
#ifndef SM_TEST_CLUSTERED_H
#define SM_TEST_CLUSTERED_H

#include <math.h>

#include "base/base.h"

/* Vectors of length 1 in `dims` dimensions; all lie in a subspace of `inner` dimensions. */
typedef struct {
    int dims, inner, clusters;
    float *basis;   /* [inner][dims] */
    float *centres; /* [clusters][inner] */
    double *border; /* [clusters]: sums of the clusters' shares, 0..1 */
    double spread;  /* of a cluster, where the centres' own is 1 */
} test_clustered;

static inline uint64_t test_random(uint64_t *state) /* splitmix64 */
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static inline double test_random_unit(uint64_t *state) /* 0 < u < 1 */
{
    return ((double)(test_random(state) >> 12) + 0.5) / 4503599627370496.0;
}

static inline double test_random_normal(uint64_t *state)
{
    const double u = test_random_unit(state), v = test_random_unit(state);
    return sqrt(-2 * log(u)) * cos(6.283185307179586 * v);
}

static inline void test_clustered_free(test_clustered *c)
{
    sm_free(c->basis);
    sm_free(c->centres);
    sm_free(c->border);
}

/* False: no memory. Shares of the clusters are drawn from a flat Dirichlet distribution. */
static inline bool test_clustered_make(test_clustered *c, int dims, int inner, int clusters, double spread,
                                       uint64_t seed)
{
    uint64_t state = seed;
    double sum = 0;

    *c = (test_clustered){ .dims = dims, .inner = inner, .clusters = clusters, .spread = spread };
    c->basis = sm_alloc((size_t)inner * (size_t)dims, sizeof *c->basis);
    c->centres = sm_alloc((size_t)clusters * (size_t)inner, sizeof *c->centres);
    c->border = sm_alloc((size_t)clusters, sizeof *c->border);
    if (!c->basis || !c->centres || !c->border)
        return false;
    for (int i = 0; i < inner * dims; i++)
        c->basis[i] = (float)test_random_normal(&state);
    for (int i = 0; i < clusters * inner; i++)
        c->centres[i] = (float)test_random_normal(&state);
    for (int i = 0; i < clusters; i++)
        c->border[i] = sum -= log(test_random_unit(&state));
    for (int i = 0; i < clusters; i++)
        c->border[i] /= sum;
    return true;
}

/* The i-th vector of stream `seed`: the same whatever else was drawn. */
static inline void test_clustered_row(const test_clustered *c, uint64_t seed, uint64_t i, float *out)
{
    uint64_t state = seed * 0x2545f4914f6cdd1du + i * 0xd1342543de82ef95u;
    double square = 0;
    int cluster = 0;

    test_random(&state);
    const double u = test_random_unit(&state);
    while (cluster < c->clusters - 1 && c->border[cluster] < u)
        cluster++;
    for (int j = 0; j < c->dims; j++)
        out[j] = 0;
    for (int k = 0; k < c->inner; k++) {
        const float z = c->centres[cluster * c->inner + k] + (float)(c->spread * test_random_normal(&state));
        const float *basis = c->basis + k * c->dims;
        for (int j = 0; j < c->dims; j++)
            out[j] += z * basis[j];
    }
    for (int j = 0; j < c->dims; j++)
        square += (double)out[j] * (double)out[j];
    for (int j = 0; j < c->dims; j++)
        out[j] = (float)((double)out[j] / sqrt(square));
}

#endif
