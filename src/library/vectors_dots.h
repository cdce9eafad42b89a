/* Products of one query with many rows of bytes: the whole work of a search through vectors, which should run as fast as memory
 * can be read.
 *
 * A row is stored as byte[j] = round(x[j] / scale) + 128, 1..255. The query is 14 bits fine: value[j] = high[j] * 128 + low[j].
 * Rows are padded by 128 and the query by 0 to a multiple of 64. All kernels answer with the same integers. */
#ifndef SM_LIBRARY_VECTORS_DOTS_H
#define SM_LIBRARY_VECTORS_DOTS_H

#include "base/base.h"

/* Longest row: with it no sum of 32 bits can overflow in any kernel. */
enum { SM_DOTS_MOST = 4096, SM_DOTS_ALIGN = 64, SM_DOTS_QUERY_MAX = 127 * 128 };

typedef struct {
    int16_t value[SM_DOTS_MOST];
    int8_t high[SM_DOTS_MOST], low[SM_DOTS_MOST]; /* -127..127, -64..63 */
    int64_t bias;                                 /* 128 * sum of value: what the offset of the rows adds */
    double scale;                                 /* the query is about scale * value */
    double error, norm;                           /* of the query less scale * value; of the query */
} sm_dots_query;

/* length <= padded <= SM_DOTS_MOST, padded a multiple of SM_DOTS_ALIGN. Values must be finite. */
void sm_dots_query_make(sm_dots_query *q, const float *x, size_t length, size_t padded);

typedef struct {
    const char *name;
    /* out[i] = sum over j of (rows[i * padded + j] - 128) * value[j]; exact but for the rounding to float. */
    void (*dots)(const uint8_t *rows, size_t padded, size_t n, const sm_dots_query *q, float *out);
} sm_dots;

extern const sm_dots sm_dots_base, sm_dots_avx2, sm_dots_vnni;
const sm_dots *sm_dots_best(void); /* on this CPU */
/* All that this CPU can run, sm_dots_base first; ends with NULL. For tests. */
void sm_dots_all(const sm_dots *out[4]);

#endif
