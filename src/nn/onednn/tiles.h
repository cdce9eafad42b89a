/* Matrix products in tiles that fill the vector registers, for what is done while the result is still in cache: convolutions read
 * as products (conv_tile.c), Winograd's products (winograd.c), DConv (dconv_step.c). One body (tiles_body.h), compiled once for each
 * instruction set.
 *
 * The left operand is rows of activations, channels innermost, read where they lie; the right one is packed in panels of one or two
 * vectors of columns: float [depth][columns][lanes]. Results are blocks float [columns][ldc / lanes rows][lanes], small enough for the
 * first cache; what follows (bias, activation, gate, residual) works on them there, and the last operation writes them out. */
#ifndef SM_NN_ONEDNN_TILES_H
#define SM_NN_ONEDNN_TILES_H

#include "nn/nn.h"

enum {
    NN_TILE_BLOCK = 96,
    NN_TILE_LANES = 16,
    NN_TILE_COLUMNS = 2
};                             /* rows of a block; most lanes; most vectors of a panel */
enum { NN_TILE_APART = 1024 }; /* floats between two workers' scratch: a prefetcher reaches a page further */
enum {
    NN_WINO_IN = 6,
    NN_WINO_IN2 = 4
}; /* F(4, 3) and F(3, 2): six numbers make four results of three taps, four make three of two */

/* Row i, number k of slab s: data[i * row + slab[s] + k], k < depth. */
typedef struct {
    const float *data;
    int64_t row;
    int rows; /* at least 1 */
    const int64_t *slab;
    int slabs, depth;
} nn_tile_rows;

/* Where a block's rows go: row i at data + at[i], `channels` numbers (1..lanes); at[i] < 0: nowhere. */
typedef struct {
    float *data;
    const int64_t *at;
    int channels;
} nn_tile_place;

/* y = residual + scale (a scale_a + offset_a) sigmoid(b scale_b + offset_b). Vectors of `lanes` numbers. residual lies as the result
 * does (the same at[]); NULL: y is the gate alone. */
typedef struct {
    const float *scale_a, *offset_a, *scale_b, *offset_b, *scale, *residual;
} nn_tile_gate;

typedef struct {
    const char *name;
    int lanes, rows; /* of a tile: blocks of a multiple of `rows` waste nothing */
    /* c = start + the sum over slabs. start: [columns][lanes], NULL: 0. b: a panel, its depth slabs * depth. Rows up to the next
     * multiple of `rows` are written: c has room for them. */
    void (*product)(const nn_tile_rows *a, const float *b, const float *start, int columns, float *c, int64_t ldc);
    void (*affine)(float *v, int rows, const float *scale, const float *offset);
    void (*relu)(float *v, int64_t n);
    void (*add)(float *v, int rows, const nn_tile_place *from);
    void (*store)(const float *v, int rows, const nn_tile_place *to);
    void (*gate)(float *a, const float *b, int64_t n); /* a = a sigmoid(b) */
    void (*gate_store)(const float *a, const float *b, int rows, const nn_tile_gate *g, const nn_tile_place *to);
    /* For norms over rows v [rows][width], width a multiple of the lanes; results are [width]. */
    void (*sums)(const float *v, int64_t rows, int width, float *sum);
    void (*squares)(const float *v, int64_t rows, int width, const float *mean, float *sum); /* of v - mean */
    void (*affine_gelu)(float *v, int64_t rows, int width, const float *scale, const float *offset);
    /* m [used][width] = v^T v of the first `used` columns; rows of m up to the next multiple of `rows` are written. */
    void (*moments)(const float *v, int64_t rows, int width, int used, float *m);
    /* Winograd's transforms in one axis (`axes` 1: six numbers a tile; of 2 taps four) or two (36). Input: number i at x + at[i]
     * (at[i] < 0: zeros), all channels; to v + i * step. Output: number i at m + i * step, one vector; + bias to y, 4 or 16 vectors; of 2
     * taps, which have one axis only, 3. */
    void (*wino_input)(int axes, int taps, const float *x, const int64_t *at, int channels, float *v, int64_t step);
    void (*wino_output)(int axes, int taps, const float *m, int64_t step, const float *bias, float *y);
} nn_tiles;

extern const nn_tiles nn_tiles_base, nn_tiles_avx2, nn_tiles_avx512;
const nn_tiles *nn_tiles_best(void); /* on this CPU */

#endif
