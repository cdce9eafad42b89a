/* Norms over rows of tokens. Statistics of long runs are joined from blocks that lie in the first cache (Chan, Golub and LeVeque 1979),
 * in double: one pass through memory, no cancellation. */
#ifndef SM_NN_ONEDNN_NORM_H
#define SM_NN_ONEDNN_NORM_H

#include "nn/nn.h"

/* Count, mean and sum of squared differences from it. */
typedef struct {
    double n, mean, squares;
} nn_moments;
void nn_moments_join(nn_moments *a, const nn_moments *b);

typedef struct {
    const char *name;
    void (*moments)(const float *x, int64_t n, nn_moments *out);
    /* y = (x - mean) * inverse * gamma + beta, x [rows, width]; gamma, beta [width] or NULL; y may be x. */
    void (*apply)(const float *x, float *y, int64_t rows, int64_t width, double mean, double inverse,
                  const float *gamma, const float *beta);
    /* Each row to mean 0 (not `rms`) and mean square 1, then gamma and beta. */
    void (*rows)(const float *x, float *y, int64_t rows, int64_t width, bool rms, float eps, const float *gamma,
                 const float *beta);
} nn_norm_kernel;

extern const nn_norm_kernel nn_norm_base, nn_norm_avx2, nn_norm_avx512;
const nn_norm_kernel *nn_norm_best(void); /* on this CPU */

#endif
