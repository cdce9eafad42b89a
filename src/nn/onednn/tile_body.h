/* Matrix products in registers, in terms of simd_*.h: C [rows, columns * LANES] = (C +) A [rows, k] B [k, columns * LANES], with B packed so that
 * its rows lie behind each other. Row counts fill the registers: 24 sums of 32 registers, or 12 of 16. */
#ifndef SM_NN_ONEDNN_TILE_BODY_H
#define SM_NN_ONEDNN_TILE_BODY_H

#include "base/base.h"

/* What A and B are made of: numbers, or pairs of bf16 numbers that lie behind each other along k. */
#ifdef SIMD_BF16
typedef uint32_t tile_cell;
typedef __m512bh tile_vec;
enum { CELL_NUMBERS = 2 };
#define t_set1(x)      ((__m512bh)_mm512_set1_epi32((int)(x)))
#define t_load(p)      ((__m512bh)_mm512_loadu_si512(p))
#define t_fma(a, b, c) _mm512_dpbf16_ps(c, a, b)
#else
typedef float tile_cell;
typedef vec tile_vec;
enum { CELL_NUMBERS = 1 };
#define t_set1(x)      v_set1(x)
#define t_load(p)      v_load(p)
#define t_fma(a, b, c) v_fma(a, b, c)
#endif

#define T_INLINE static inline __attribute__((always_inline))

enum { TILE_GROUP = 24 }; /* rows that tile_group does; a multiple of every tile's rows */
#if LANES_BITS == 512
enum { TILE_MOST_COLUMNS = 4, TILE_SUMS = 24 };
#else
enum { TILE_MOST_COLUMNS = 2, TILE_SUMS = 12 };
#endif

/* rows and columns are constants where this is inlined */
T_INLINE void tile(int rows, int columns, int64_t k, const tile_cell *a, int64_t lda, const tile_cell *b, float *c,
                   int64_t ldc, bool add)
{
    vec sum[TILE_SUMS][TILE_MOST_COLUMNS];

#pragma GCC unroll 24
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 4
        for (int j = 0; j < columns; j++)
            sum[i][j] = add ? v_load(c + i * ldc + j * LANES) : v_zero();
    for (int64_t p = 0; p < k; p++, b += columns * LANES) {
        tile_vec y[TILE_MOST_COLUMNS];
#pragma GCC unroll 4
        for (int j = 0; j < columns; j++)
            y[j] = t_load(b + j * LANES);
#pragma GCC unroll 24
        for (int i = 0; i < rows; i++) {
            const tile_vec x = t_set1(a[i * lda + p]);
#pragma GCC unroll 4
            for (int j = 0; j < columns; j++)
                sum[i][j] = t_fma(x, y[j], sum[i][j]);
        }
    }
#pragma GCC unroll 24
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 4
        for (int j = 0; j < columns; j++)
            v_store(c + i * ldc + j * LANES, sum[i][j]);
}

/* A group of TILE_GROUP rows, for each number of columns that there is. */
#define TILE_OF(COLUMNS, ROWS)                                                                                         \
    static void tile_group_##COLUMNS(int64_t k, const tile_cell *a, int64_t lda, const tile_cell *b, float *c,         \
                                     int64_t ldc, bool add)                                                            \
    {                                                                                                                  \
        for (int i = 0; i < TILE_GROUP; i += (ROWS))                                                                   \
            if (add)                                                                                                   \
                tile(ROWS, COLUMNS, k, a + i * lda, lda, b, c + i * ldc, ldc, true);                                   \
            else                                                                                                       \
                tile(ROWS, COLUMNS, k, a + i * lda, lda, b, c + i * ldc, ldc, false);                                  \
    }
#if LANES_BITS == 512
TILE_OF(1, 12)
TILE_OF(2, 12)
TILE_OF(3, 8)
TILE_OF(4, 6)
#else
TILE_OF(1, 12)
TILE_OF(2, 6)
#endif

T_INLINE void tile_group(int columns, int64_t k, const tile_cell *a, int64_t lda, const tile_cell *b, float *c,
                         int64_t ldc, bool add)
{
    if (columns == 1)
        tile_group_1(k, a, lda, b, c, ldc, add);
    else if (columns == 2)
        tile_group_2(k, a, lda, b, c, ldc, add);
#if LANES_BITS == 512
    else if (columns == 3)
        tile_group_3(k, a, lda, b, c, ldc, add);
    else
        tile_group_4(k, a, lda, b, c, ldc, add);
#endif
}

#endif
