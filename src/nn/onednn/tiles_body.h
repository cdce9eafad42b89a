/* The kernels of tiles.h for one instruction set. Included behind simd_*.h and vmath_body.h, with TILE_ROWS defined: rows of a tile,
 * so that TILE_ROWS x 2 sums, two vectors of the right operand and one number of the left fill the registers. */
#include "nn/onednn/tiles.h"

/* ---- products ---- */

/* One tile: rows from `a` on, of which `left` exist (the last is repeated). `step`: between numbers of a row; `next`: between rows of the
 * right operand. */
V_INLINE void tile(int columns, const nn_tile_rows *a, const float *data, int left, int64_t step, const float *b,
                   int64_t next, const float *start, float *c, int64_t ldc)
{
    vec sum[TILE_ROWS][NN_TILE_COLUMNS];
    const float *row[TILE_ROWS];

    for (int i = 0; i < TILE_ROWS; i++) {
        row[i] = data + (i < left ? i : left - 1) * a->row;
        for (int j = 0; j < columns; j++)
            sum[i][j] = start ? v_load(start + j * LANES) : v_zero();
    }
    for (int s = 0; s < a->slabs; s++) {
        const float *from[TILE_ROWS];
        for (int i = 0; i < TILE_ROWS; i++)
            from[i] = row[i] + a->slab[s];
        for (int64_t k = 0; k < a->depth; k++, b += next) {
            vec y[NN_TILE_COLUMNS];
            for (int j = 0; j < columns; j++)
                y[j] = v_load(b + j * LANES);
            for (int i = 0; i < TILE_ROWS; i++) {
                const vec x = v_set1(from[i][k * step]);
                for (int j = 0; j < columns; j++)
                    sum[i][j] = v_fma(x, y[j], sum[i][j]);
            }
        }
    }
    for (int i = 0; i < TILE_ROWS; i++)
        for (int j = 0; j < columns; j++)
            v_store(c + j * ldc + i * LANES, sum[i][j]);
}

static void product2(const nn_tile_rows *a, const float *b, const float *start, float *c, int64_t ldc)
{
    for (int i = 0; i < a->rows; i += TILE_ROWS)
        tile(2, a, a->data + i * a->row, a->rows - i, 1, b, 2 * LANES, start, c + i * LANES, ldc);
}

static void product1(const nn_tile_rows *a, const float *b, const float *start, float *c, int64_t ldc)
{
    for (int i = 0; i < a->rows; i += TILE_ROWS)
        tile(1, a, a->data + i * a->row, a->rows - i, 1, b, LANES, start, c + i * LANES, ldc);
}

static void product(const nn_tile_rows *a, const float *b, const float *start, int columns, float *c, int64_t ldc)
{
    if (columns == 2)
        product2(a, b, start, c, ldc);
    else
        product1(a, b, start, c, ldc);
}

/* The left operand is v's transpose: its rows are columns of v. */
static void moments(const float *v, int64_t rows, int width, int used, float *m)
{
    static const int64_t here = 0;
    const nn_tile_rows a = { .data = v, .row = 1, .rows = used, .slab = &here, .slabs = 1, .depth = (int)rows };
    float block[TILE_ROWS * LANES];

    for (int i = 0; i < used; i += TILE_ROWS)
        for (int j = 0; j < width; j += LANES) {
            tile(1, &a, v + i, used - i, width, v + j, width, NULL, block, 0);
            for (int r = 0; r < TILE_ROWS; r++)
                v_store(m + (int64_t)(i + r) * width + j, v_load(block + r * LANES));
        }
}

/* ---- behind a product ---- */

static void affine(float *v, int rows, const float *scale, const float *offset)
{
    const vec s = v_load(scale), o = v_load(offset);
    for (int i = 0; i < rows; i++, v += LANES)
        v_store(v, v_fma(v_load(v), s, o));
}

static void relu(float *v, int64_t n)
{
    for (int64_t i = 0; i < n; i += LANES)
        v_store(v + i, v_max(v_zero(), v_load(v + i)));
}

static void add(float *v, int rows, const nn_tile_place *from)
{
    for (int i = 0; i < rows; i++, v += LANES)
        if (from->at[i] >= 0 && from->channels == LANES)
            v_store(v, v_load(v) + v_load(from->data + from->at[i]));
        else if (from->at[i] >= 0)
            v_store(v, v_load(v) + v_load_part(from->data + from->at[i], from->channels));
}

static void store(const float *v, int rows, const nn_tile_place *to)
{
    for (int i = 0; i < rows; i++, v += LANES)
        if (to->at[i] >= 0 && to->channels == LANES)
            v_store(to->data + to->at[i], v_load(v));
        else if (to->at[i] >= 0)
            v_store_part(to->data + to->at[i], v_load(v), to->channels);
}

static void gate(float *a, const float *b, int64_t n)
{
    for (int64_t i = 0; i < n; i += LANES)
        v_store(a + i, v_load(a + i) * v_sigmoid(v_load(b + i)));
}

static void gate_store(const float *a, const float *b, int rows, const nn_tile_gate *g, const nn_tile_place *to)
{
    const vec sa = v_load(g->scale_a), oa = v_load(g->offset_a), sb = v_load(g->scale_b), ob = v_load(g->offset_b);
    const vec s = v_load(g->scale);

    for (int i = 0; i < rows; i++) {
        vec y = v_fma(v_load(a + i * LANES), sa, oa) * v_sigmoid(v_fma(v_load(b + i * LANES), sb, ob)) * s;
        if (to->at[i] < 0)
            continue;
        if (to->channels == LANES) {
            if (g->residual)
                y = y + v_load(g->residual + to->at[i]);
            v_store(to->data + to->at[i], y);
        } else {
            if (g->residual)
                y = y + v_load_part(g->residual + to->at[i], to->channels);
            v_store_part(to->data + to->at[i], y, to->channels);
        }
    }
}

/* ---- norms ---- */

static void sums(const float *v, int64_t rows, int width, float *sum)
{
    for (int j = 0; j < width; j += LANES) {
        const float *at = v + j;
        vec a = v_zero(), b = v_zero(), c = v_zero(), d = v_zero();
        int64_t i = 0;
        for (; i + 4 <= rows; i += 4, at += 4 * (int64_t)width) {
            a = a + v_load(at);
            b = b + v_load(at + width);
            c = c + v_load(at + 2 * (int64_t)width);
            d = d + v_load(at + 3 * (int64_t)width);
        }
        for (; i < rows; i++, at += width)
            a = a + v_load(at);
        v_store(sum + j, (a + b) + (c + d));
    }
}

static void squares(const float *v, int64_t rows, int width, const float *mean, float *sum)
{
    for (int j = 0; j < width; j += LANES) {
        const float *at = v + j;
        const vec m = v_load(mean + j);
        vec a = v_zero(), b = v_zero();
        int64_t i = 0;
        for (; i + 2 <= rows; i += 2, at += 2 * (int64_t)width) {
            const vec x = v_load(at) - m, y = v_load(at + width) - m;
            a = v_fma(x, x, a);
            b = v_fma(y, y, b);
        }
        if (i < rows)
            a = v_fma(v_load(at) - m, v_load(at) - m, a);
        v_store(sum + j, a + b);
    }
}

static void affine_gelu(float *v, int64_t rows, int width, const float *scale, const float *offset)
{
    for (int64_t i = 0; i < rows; i++, v += width)
        for (int j = 0; j < width; j += LANES)
            v_store(v + j, v_gelu(v_fma(v_load(v + j), v_load(scale + j), v_load(offset + j))));
}

/* ---- Winograd F(4, 3) with the points 0, +-1/sqrt 2, +-sqrt 2, infinity: 0.5 and 2 are their squares. Half the error of 0, +-1, +-2.
 * And F(3, 2) with 0, +-1, infinity, hardly less exact than the definition; F(5, 2) is twice as far from it, F(4, 2) more. ---- */

enum { WINO_OUT = 4 };

#define WINO_A 0.707106781186547524f
#define WINO_B 1.41421356237309505f

V_INLINE void wino_six(const vec x[6], vec y[6])
{
    const vec u = v_fnma(x[2], v_set1(2), x[4]), v = v_fnma(x[1], v_set1(2), x[3]);
    const vec p = v_fnma(x[2], v_set1(0.5f), x[4]), q = v_fnma(x[1], v_set1(0.5f), x[3]);
    y[0] = v_fnma(x[2], v_set1(2.5f), x[0] + x[4]);
    y[1] = v_fma(v, v_set1(WINO_A), u);
    y[2] = v_fnma(v, v_set1(WINO_A), u);
    y[3] = v_fma(q, v_set1(WINO_B), p);
    y[4] = v_fnma(q, v_set1(WINO_B), p);
    y[5] = v_fnma(x[3], v_set1(2.5f), x[1] + x[5]);
}

V_INLINE void wino_four(const vec m[6], vec y[4])
{
    const vec s = m[1] + m[2], d = m[1] - m[2], t = m[3] + m[4], e = m[3] - m[4];
    y[0] = m[0] + s + t;
    y[1] = v_fma(e, v_set1(WINO_B), d * v_set1(WINO_A));
    y[2] = v_fma(t, v_set1(2), s * v_set1(0.5f));
    y[3] = v_fma(e, v_set1(2 * WINO_B), v_fma(d, v_set1(0.5f * WINO_A), m[5]));
}

V_INLINE vec wino_load(const float *x, int64_t at, int channels)
{
    if (at < 0)
        return v_zero();
    return channels >= LANES ? v_load(x + at) : v_load_part(x + at, channels);
}

V_INLINE void wino_input_two(const float *x, const int64_t *at, int channels, float *v, int64_t step)
{
    const vec a = wino_load(x, at[0], channels), b = wino_load(x, at[1], channels);
    const vec c = wino_load(x, at[2], channels), d = wino_load(x, at[3], channels);
    v_store(v, c - a);
    v_store(v + step, b + c);
    v_store(v + 2 * step, c - b);
    v_store(v + 3 * step, d - b);
}

V_INLINE void wino_input_vector(int axes, const float *x, const int64_t *at, int channels, float *v, int64_t step)
{
    const int lines = axes == 2 ? NN_WINO_IN : 1;
    vec t[NN_WINO_IN][NN_WINO_IN], line[NN_WINO_IN], out[NN_WINO_IN];

    for (int i = 0; i < lines; i++) {
        for (int j = 0; j < NN_WINO_IN; j++)
            line[j] = wino_load(x, at[i * NN_WINO_IN + j], channels);
        wino_six(line, t[i]);
    }
    for (int j = 0; j < NN_WINO_IN; j++) {
        if (axes == 1) {
            v_store(v + j * step, t[0][j]);
            continue;
        }
        for (int i = 0; i < NN_WINO_IN; i++)
            line[i] = t[i][j];
        wino_six(line, out);
        for (int i = 0; i < NN_WINO_IN; i++)
            v_store(v + (i * NN_WINO_IN + j) * step, out[i]);
    }
}

static void wino_input(int axes, int taps, const float *x, const int64_t *at, int channels, float *v, int64_t step)
{
    for (int c = 0; c < channels; c += LANES)
        if (taps == 2)
            wino_input_two(x + c, at, channels - c, v + c, step);
        else if (axes == 2)
            wino_input_vector(2, x + c, at, channels - c, v + c, step);
        else
            wino_input_vector(1, x + c, at, channels - c, v + c, step);
}

static void wino_output_two(const float *m, int64_t step, vec bias, float *y)
{
    const vec b = v_load(m + step), c = v_load(m + 2 * step), sum = b + c;
    v_store(y, v_load(m) + sum + bias);
    v_store(y + LANES, b - c + bias);
    v_store(y + 2 * LANES, sum + v_load(m + 3 * step) + bias);
}

static void wino_output(int axes, int taps, const float *m, int64_t step, const float *bias, float *y)
{
    const vec b = bias ? v_load(bias) : v_zero();
    const int lines = axes == 2 ? NN_WINO_IN : 1;
    vec t[NN_WINO_IN][WINO_OUT], line[NN_WINO_IN], out[WINO_OUT];

    if (taps == 2) {
        wino_output_two(m, step, b, y);
        return;
    }
    for (int i = 0; i < lines; i++) {
        for (int j = 0; j < NN_WINO_IN; j++)
            line[j] = v_load(m + (i * NN_WINO_IN + j) * step);
        wino_four(line, t[i]);
    }
    for (int j = 0; j < WINO_OUT; j++) {
        if (axes == 1) {
            v_store(y + j * LANES, t[0][j] + b);
            continue;
        }
        for (int i = 0; i < NN_WINO_IN; i++)
            line[i] = t[i][j];
        wino_four(line, out);
        for (int i = 0; i < WINO_OUT; i++)
            v_store(y + (i * WINO_OUT + j) * LANES, out[i] + b);
    }
}

const nn_tiles SIMD(nn_tiles) = {
    .name = SIMD_TEXT,
    .lanes = LANES,
    .rows = TILE_ROWS,
    .product = product,
    .affine = affine,
    .relu = relu,
    .add = add,
    .store = store,
    .gate = gate,
    .gate_store = gate_store,
    .sums = sums,
    .squares = squares,
    .affine_gelu = affine_gelu,
    .moments = moments,
    .wino_input = wino_input,
    .wino_output = wino_output,
};
