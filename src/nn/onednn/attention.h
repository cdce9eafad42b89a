/* Attention of one head, in blocks of queries and keys: scores of a few rows and a few hundred keys lie in the first cache, are turned into
 * weights there and multiplied with the values at once; a running maximum keeps the sums (Milakov and Gimelshein 2018, "Online
 * normalizer calculation for softmax"). Nothing of the size queries x keys exists. */
#ifndef SM_NN_ONEDNN_ATTENTION_H
#define SM_NN_ONEDNN_ATTENTION_H

#include "nn/nn.h"

/* Rows of d (or dv) numbers, `..._row` floats apart. */
typedef struct {
    const float *q, *k, *v;
    int64_t q_row, k_row, v_row;
    int64_t tq, tk, d, dv;
    int64_t visible; /* keys 0..visible-1 count */
    float scale;
    bool causal;       /* query i sees keys up to i + visible - tq */
    const float *mask; /* added to query i's score of key j: mask[i * mask_row + j * mask_key]; NULL: none */
    int64_t mask_row, mask_key;
    float *out;
    int64_t out_row;
} nn_attention_head;

enum { NN_ATTENTION_BLOCK = 96 }; /* queries of one call of block() */

typedef struct {
    const char *name;
    /* Keys and values of a head rearranged for block(): sizes in floats, and keys first..last-1 of them. `first` is a multiple of 64. */
    size_t (*packed_keys)(int64_t tk, int64_t d);
    size_t (*packed_values)(int64_t tk, int64_t dv);
    void (*pack)(const nn_attention_head *h, int64_t first, int64_t last, float *keys, float *values);
    /* Queries first..first+count-1, count <= NN_ATTENTION_BLOCK; work: block_work() floats. */
    size_t (*block_work)(int64_t d, int64_t dv);
    void (*block)(const nn_attention_head *h, const float *keys, const float *values, int64_t first, int64_t count,
                  float *work);
    /* One query, from keys and values as they are: where so few come that packing would not pay. work: tk + 64 floats. */
    void (*row)(const nn_attention_head *h, int64_t query, float *work);
} nn_attention_kernel;

extern const nn_attention_kernel nn_attention_base, nn_attention_avx2, nn_attention_avx512, nn_attention_avx512_bf16;
/* On this CPU. bf16: queries, keys, weights and values are rounded to it before they are multiplied (sums and softmax stay in f32) where
 * the CPU does that natively; elsewhere nothing is rounded. */
const nn_attention_kernel *nn_attention_best(bool bf16);

#endif
