/* Products of few rows with many weights, bound by reading the weights: they are streamed once, in the type in which they are stored (f32, f16,
 * bf16, or 8 bits with a scale for each output), widened in registers and multiplied with all rows; and attention of few queries to a long
 * cache, which is the same for keys and values. Sums are in f32. */
#ifndef SM_NN_ONEDNN_STREAM_H
#define SM_NN_ONEDNN_STREAM_H

#include "nn/nn.h"

typedef struct {
    nn_type type;       /* NN_F32, NN_F16, NN_BF16, NN_I8 */
    const void *data;   /* [out, depth] */
    const float *scale; /* [out] of NN_I8 */
    const int32_t *sum; /* [out] of NN_I8: sums of the whole numbers of a row, for nn_stream_digits */
    int64_t depth;
} nn_stream_weights;

/* The keys or values of one head: rows of d numbers. */
typedef struct {
    bool half;
    void *data;
    int64_t d;
} nn_stream_cache;

typedef struct {
    const char *name;
    /* y[i * ldy + o] = sum over k of x[i * depth + k] w[o, k] for i < rows, first <= o < last. */
    void (*product)(const nn_stream_weights *w, const float *x, int64_t rows, int64_t first, int64_t last, float *y,
                    int64_t ldy);
    /* Rounds w's rows first..last-1, f32, f16 or bf16, to 8 bits. */
    void (*quantise)(const nn_stream_weights *w, int64_t first, int64_t last, int8_t *out, float *scale, int32_t *sum);
    /* Writes row `at` of a cache. */
    void (*keep)(const nn_stream_cache *c, int64_t at, const float *x);
    /* y = softmax(scale q K^T) V over rows 0..seen-1; work: seen + 64 floats. */
    void (*attend)(const nn_stream_cache *k, const nn_stream_cache *v, const float *q, int64_t seen, float scale,
                   float *work, float *y);
    /* The sum of n numbers: a plain read, beside which products are measured. */
    float (*sum)(const float *x, int64_t n);
} nn_stream_kernel;

extern const nn_stream_kernel nn_stream_base, nn_stream_avx2, nn_stream_avx512;
const nn_stream_kernel *nn_stream_best(void); /* on this CPU */

/* Products of NN_I8 in whole numbers: rows of x are split once into digits, which all products with them then read. */
typedef struct {
    const char *name;
    size_t (*room)(int64_t rows, int64_t depth); /* bytes of the digits; depth < NN_STREAM_DEEPEST */
    void (*split)(const float *x, int64_t rows, int64_t depth, void *digits);
    void (*product)(const nn_stream_weights *w, const void *digits, int64_t rows, int64_t first, int64_t last, float *y,
                    int64_t ldy);
} nn_stream_digits;
enum { NN_STREAM_DEEPEST = 1 << 16 }; /* sums of bytes' products stay below 2^31 */

extern const nn_stream_digits nn_stream_vnni;
const nn_stream_digits *nn_stream_digits_best(void); /* NULL: none on this CPU */

#endif
