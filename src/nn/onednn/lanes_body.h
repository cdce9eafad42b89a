/* The kernels of lanes.h, in terms of simd_*.h and TILE_ROWS, TILE_COLUMNS (2; rows x columns fill the registers).
 * Included once by each; not a header for anyone else. */

#define LANE_INLINE static inline __attribute__((always_inline))

typedef struct {
    vec r, i;
} cvec;

/* `swap` reads and writes imaginary parts as real ones. An inverse transform is a forward one of swapped numbers, so that one
 * set of butterflies does both. */
LANE_INLINE cvec c_load(const float *z, int swap)
{
    return (cvec){ v_load(z + swap * LANES), v_load(z + (1 - swap) * LANES) };
}

LANE_INLINE void c_store(float *z, int swap, cvec v)
{
    v_store(z + swap * LANES, v.r);
    v_store(z + (1 - swap) * LANES, v.i);
}

LANE_INLINE cvec c_add(cvec a, cvec b)
{
    return (cvec){ a.r + b.r, a.i + b.i };
}

LANE_INLINE cvec c_sub(cvec a, cvec b)
{
    return (cvec){ a.r - b.r, a.i - b.i };
}

/* a - i b and a + i b */
LANE_INLINE cvec c_sub_i(cvec a, cvec b)
{
    return (cvec){ a.r + b.i, a.i - b.r };
}

LANE_INLINE cvec c_add_i(cvec a, cvec b)
{
    return (cvec){ a.r - b.i, a.i + b.r };
}

LANE_INLINE cvec c_mul(cvec a, const float *w)
{
    const vec wr = v_set1(w[0]), wi = v_set1(w[1]);
    return (cvec){ v_fnma(a.i, wi, a.r * wr), v_fma(a.r, wi, a.i * wr) };
}

LANE_INLINE void butterfly2(cvec x[2])
{
    const cvec a = x[0], b = x[1];
    x[0] = c_add(a, b);
    x[1] = c_sub(a, b);
}

LANE_INLINE void butterfly3(cvec x[3])
{
    const vec half = v_set1(0.5f), s = v_set1(0.866025403784438647f);
    const cvec sum = c_add(x[1], x[2]), d = c_sub(x[1], x[2]);
    const cvec m = { v_fnma(sum.r, half, x[0].r), v_fnma(sum.i, half, x[0].i) };
    const cvec sd = { d.r * s, d.i * s };
    x[0] = c_add(x[0], sum);
    x[1] = c_sub_i(m, sd);
    x[2] = c_add_i(m, sd);
}

LANE_INLINE void butterfly4(cvec x[4])
{
    const cvec a = c_add(x[0], x[2]), b = c_sub(x[0], x[2]), c = c_add(x[1], x[3]), d = c_sub(x[1], x[3]);
    x[0] = c_add(a, c);
    x[1] = c_sub_i(b, d);
    x[2] = c_sub(a, c);
    x[3] = c_add_i(b, d);
}

LANE_INLINE void butterfly5(cvec x[5])
{
    const vec c1 = v_set1(0.309016994374947424f), c2 = v_set1(-0.809016994374947424f);
    const vec s1 = v_set1(0.951056516295153572f), s2 = v_set1(0.587785252292473129f);
    const cvec a = c_add(x[1], x[4]), b = c_add(x[2], x[3]), c = c_sub(x[1], x[4]), d = c_sub(x[2], x[3]);
    const cvec p = { v_fma(b.r, c2, v_fma(a.r, c1, x[0].r)), v_fma(b.i, c2, v_fma(a.i, c1, x[0].i)) };
    const cvec q = { v_fma(b.r, c1, v_fma(a.r, c2, x[0].r)), v_fma(b.i, c1, v_fma(a.i, c2, x[0].i)) };
    const cvec u = { v_fma(d.r, s2, c.r * s1), v_fma(d.i, s2, c.i * s1) };
    const cvec w = { v_fnma(d.r, s1, c.r * s2), v_fnma(d.i, s1, c.i * s2) };
    x[0] = c_add(x[0], c_add(a, b));
    x[1] = c_sub_i(p, u);
    x[4] = c_add_i(p, u);
    x[2] = c_sub_i(q, w);
    x[3] = c_add_i(q, w);
}

LANE_INLINE void butterfly8(cvec x[8])
{
    const vec h = v_set1(0.707106781186547524f);
    cvec e[4] = { x[0], x[2], x[4], x[6] }, o[4] = { x[1], x[3], x[5], x[7] };

    butterfly4(e);
    butterfly4(o);
    const cvec o1 = { (o[1].r + o[1].i) * h, (o[1].i - o[1].r) * h };
    const cvec o3 = { (o[3].i - o[3].r) * h, -(o[3].r + o[3].i) * h };
    x[0] = c_add(e[0], o[0]);
    x[4] = c_sub(e[0], o[0]);
    x[1] = c_add(e[1], o1);
    x[5] = c_sub(e[1], o1);
    x[2] = c_sub_i(e[2], o[2]);
    x[6] = c_add_i(e[2], o[2]);
    x[3] = c_add(e[3], o3);
    x[7] = c_sub(e[3], o3);
}

LANE_INLINE void butterfly(cvec *x, int radix)
{
    if (radix == 2)
        butterfly2(x);
    else if (radix == 3)
        butterfly3(x);
    else if (radix == 4)
        butterfly4(x);
    else if (radix == 5)
        butterfly5(x);
    else
        butterfly8(x);
}

/* One pass over blocks of m * radix numbers. Forward: butterfly, then twiddles. Inverse: twiddles, then butterfly. */
LANE_INLINE void fft_pass(float *z, int n, int m, const float *twiddle, int radix, int inverse)
{
    for (int j = 0; j < m; j++, twiddle += 2 * (radix - 1))
        for (int block = j; block < n; block += m * radix) {
            float *at = z + (size_t)block * 2 * LANES;
            cvec x[8];
            for (int q = 0; q < radix; q++) {
                x[q] = c_load(at + (size_t)q * (size_t)m * 2 * LANES, inverse);
                if (inverse && q > 0 && m > 1)
                    x[q] = c_mul(x[q], twiddle + 2 * (q - 1));
            }
            butterfly(x, radix);
            for (int q = 0; q < radix; q++) {
                if (!inverse && q > 0 && m > 1)
                    x[q] = c_mul(x[q], twiddle + 2 * (q - 1));
                c_store(at + (size_t)q * (size_t)m * 2 * LANES, inverse, x[q]);
            }
        }
}

LANE_INLINE void fft_pass_m(float *z, int n, int m, const float *twiddle, int radix, int inverse)
{
    if (m == 1)
        fft_pass(z, n, 1, twiddle, radix, inverse);
    else
        fft_pass(z, n, m, twiddle, radix, inverse);
}

LANE_INLINE void fft_pass_any(float *z, int n, int m, const float *twiddle, int radix, int inverse)
{
    if (radix == 2)
        fft_pass_m(z, n, m, twiddle, 2, inverse);
    else if (radix == 3)
        fft_pass_m(z, n, m, twiddle, 3, inverse);
    else if (radix == 4)
        fft_pass_m(z, n, m, twiddle, 4, inverse);
    else if (radix == 5)
        fft_pass_m(z, n, m, twiddle, 5, inverse);
    else
        fft_pass_m(z, n, m, twiddle, 8, inverse);
}

static void fft_forward(const nn_fft *f, float *z)
{
    for (int p = 0, m = f->n; p < f->passes; p++) {
        m /= f->radix[p];
        fft_pass_any(z, f->n, m, f->twiddle[p], f->radix[p], 0);
    }
}

static void fft_inverse(const nn_fft *f, float *z)
{
    for (int p = f->passes - 1, m = 1; p >= 0; p--) {
        fft_pass_any(z, f->n, m, f->twiddle[p], f->radix[p], 1);
        m *= f->radix[p];
    }
}

/* ---- finishing ---- */

typedef struct {
    vec sign, bias, scale, offset;
    int relu;
} finish_vec;

LANE_INLINE finish_vec finish_load(const nn_lane_finish *f)
{
    return (finish_vec){ v_load(f->sign), v_load(f->bias), v_load(f->scale), v_load(f->offset), f->relu };
}

LANE_INLINE vec finish_apply(const finish_vec *f, vec v)
{
    v = v_fma(v, f->sign, f->bias);
    if (f->relu)
        v = v_max(v, v_zero());
    return v_fma(v, f->scale, f->offset);
}

LANE_INLINE void store_some(float *out, vec v, int channels)
{
    float part[LANES];
    if (channels == LANES) {
        v_store(out, v);
        return;
    }
    v_store(part, v);
    for (int l = 0; l < channels; l++)
        out[l] = part[l];
}

LANE_INLINE vec load_some(const float *in, int channels)
{
    float part[LANES] = { 0 };
    if (channels == LANES)
        return v_load(in);
    for (int l = 0; l < channels; l++)
        part[l] = in[l];
    return v_load(part);
}

/* z: row a in the real parts, row b (which has no more outputs) in the imaginary parts, natural order. b NULL: no second row. */
static void finish_rows(const float *z, nn_fold fold, const nn_lane_finish *finish, int channels,
                        const nn_lane_result *ra, const nn_lane_result *rb, int64_t out_stride, float *folded)
{
    const finish_vec f = finish_load(finish);
    const int step = fold == NN_FOLD_POOL2 ? 2 : 1, outputs = ra->outputs;
    float *a = ra->data, *b = rb ? rb->data : NULL;

    if (fold == NN_FOLD_ROWS) {
        for (int t = 0; t < outputs; t++, z += 2 * LANES, folded += LANES) {
            const vec m = b ? v_max(v_load(z), v_load(z + LANES)) : v_load(z);
            v_store(folded, v_max(v_load(folded), m));
        }
        return;
    }
    if (fold == NN_FOLD_ALL) {
        vec ma = v_load(z), mb = v_load(z + LANES);
        for (int t = 1; t < outputs; t++) {
            ma = v_max(ma, v_load(z + 2 * t * LANES));
            mb = v_max(mb, v_load(z + (2 * t + 1) * LANES));
        }
        store_some(a, finish_apply(&f, ma), channels);
        if (b)
            store_some(b, finish_apply(&f, mb), channels);
        return;
    }
    const int outputs_b = b ? rb->outputs : 0;
    for (int t = 0; t + step <= outputs; t += step, z += 2 * step * LANES, a += out_stride) {
        vec va = v_load(z), vb = v_load(z + LANES);
        if (step == 2) {
            va = v_max(va, v_load(z + 2 * LANES));
            vb = v_max(vb, v_load(z + 3 * LANES));
        }
        store_some(a, finish_apply(&f, va), channels);
        if (t + step <= outputs_b) {
            store_some(b, finish_apply(&f, vb), channels);
            b += out_stride;
        }
    }
}

/* ---- few input channels: product and inverse in cache ---- */

/* Y of both rows at bin k: sums over taps of spectrum times weight. */
LANE_INLINE void product_bin(const nn_lane_product *p, const int32_t *sa, const int32_t *sb, int64_t signal_size, int k,
                             const float *w, cvec *ya, cvec *yb)
{
    vec ar = v_zero(), ai = v_zero(), br = v_zero(), bi = v_zero();
    for (int j = 0; j < p->taps; j++, w += 2 * LANES) {
        const float *xa = p->spectra + sa[j] * signal_size + 2 * k, *xb = p->spectra + sb[j] * signal_size + 2 * k;
        const vec wr = v_load(w), wi = v_load(w + LANES);
        const vec xar = v_set1(xa[0]), xai = v_set1(xa[1]), xbr = v_set1(xb[0]), xbi = v_set1(xb[1]);
        ar = v_fma(xar, wr, ar);
        ai = v_fma(xar, wi, ai);
        br = v_fma(xbr, wr, br);
        bi = v_fma(xbr, wi, bi);
        ar = v_fnma(xai, wi, ar);
        ai = v_fma(xai, wr, ai);
        br = v_fnma(xbi, wi, br);
        bi = v_fma(xbi, wr, bi);
    }
    *ya = (cvec){ ar, ai };
    *yb = (cvec){ br, bi };
}

/* z[k] = a + i b, and for a real pair z[n - k] = conj a + i conj b */
LANE_INLINE void join_bins(const nn_fft *f, int k, cvec a, cvec b, float *z)
{
    c_store(z + (size_t)f->position[k] * 2 * LANES, 0, c_add_i(a, b));
    if (k > 0 && 2 * k < f->n)
        c_store(z + (size_t)f->position[f->n - k] * 2 * LANES, 0, (cvec){ a.r + b.i, b.r - a.i });
}

static void product_rows(const nn_lane_product *p, int first, int count, float *out, int64_t row_stride,
                         int64_t out_stride)
{
    const nn_fft *f = p->fft;
    const int64_t signal_size = (int64_t)f->n + 2;
    float *folded = p->work + (size_t)f->n * 2 * LANES;

    if (p->fold == NN_FOLD_ROWS)
        for (int t = 0; t < p->outputs; t++)
            v_store(folded + t * LANES, v_set1(-3.4e38f));
    for (int r = 0; r < count; r += 2) {
        const bool two = r + 1 < count;
        const int32_t *sa = p->signal + (int64_t)(first + r) * p->taps, *sb = two ? sa + p->taps : sa;
        const float *w = p->weights;
        for (int k = 0; 2 * k <= f->n; k++, w += (size_t)p->taps * 2 * LANES) {
            cvec a, b;
            product_bin(p, sa, sb, signal_size, k, w, &a, &b);
            join_bins(f, k, a, b, p->work);
        }
        fft_inverse(f, p->work);
        const nn_lane_result ra = { out + r * row_stride, p->outputs }, rb = { out + (r + 1) * row_stride, p->outputs };
        finish_rows(p->work, p->fold, &p->finish, p->channels, &ra, two ? &rb : NULL, out_stride, folded);
    }
    if (p->fold == NN_FOLD_ROWS) {
        const finish_vec finish = finish_load(&p->finish);
        for (int t = 0; t < p->outputs; t++)
            store_some(out + t * out_stride, finish_apply(&finish, v_load(folded + t * LANES)), p->channels);
    }
}

/* ---- many input channels: spectra for matrix products, and back ---- */

/* Puts a line into the real (part 0) or imaginary (1) parts of work. line NULL: zeros. */
LANE_INLINE void load_line(const nn_lane_line *line, int64_t in_stride, int channels, int n, float *work)
{
    const int lead = line ? line->lead : n, end = line ? line->lead + line->count : n;

    for (int t = 0; t < lead; t++)
        v_store(work + 2 * t * LANES, v_zero());
    for (int t = lead; t < end; t++)
        v_store(work + 2 * t * LANES, load_some(line->data + (t - lead) * in_stride, channels));
    for (int t = end; t < n; t++)
        v_store(work + 2 * t * LANES, v_zero());
}

static void spectrum_rows(const nn_fft *f, const nn_lane_line *a, const nn_lane_line *b, int64_t in_stride,
                          int channels, float *work, float *out, int64_t bin_stride, int64_t row_stride)
{
    const vec half = v_set1(0.5f);
    const int n = f->n;

    load_line(a, in_stride, channels, n, work);
    load_line(b, in_stride, channels, n, work + LANES);
    fft_forward(f, work);
    for (int k = 0; 2 * k <= n; k++, out += 3 * bin_stride) {
        const cvec p = c_load(work + (size_t)f->position[k] * 2 * LANES, 0);
        const cvec q = c_load(work + (size_t)f->position[(n - k) % n] * 2 * LANES, 0);
        const cvec x = { (p.r + q.r) * half, (p.i - q.i) * half }, y = { (p.i + q.i) * half, (q.r - p.r) * half };
        store_some(out, x.r, channels);
        if (b)
            store_some(out + row_stride, y.r, channels);
        if (k == 0 || 2 * k == n)
            continue;
        store_some(out + bin_stride, x.i, channels);
        store_some(out + 2 * bin_stride, x.r + x.i, channels);
        if (b) {
            store_some(out + bin_stride + row_stride, y.i, channels);
            store_some(out + 2 * bin_stride + row_stride, y.r + y.i, channels);
        }
    }
}

/* Parts: 0 = re (wr + wi) ... see conv_fft.c: with p0 = xr (wi - wr), p1 = xi (wr + wi), p2 = (xr + xi) wr:
 * re = p2 - p1, im = p2 + p0. */
LANE_INLINE cvec product_value(const float *at, int64_t bin_stride, bool real, int channels)
{
    const vec p0 = load_some(at, channels);
    if (real)
        return (cvec){ p0, v_zero() };
    const vec p1 = load_some(at + bin_stride, channels), p2 = load_some(at + 2 * bin_stride, channels);
    return (cvec){ p2 - p1, p2 + p0 };
}

static void product_inverse(const nn_fft *f, const float *products, int64_t bin_stride, int64_t row_stride,
                            nn_fold fold, const nn_lane_finish *finish, int channels, float *work,
                            const nn_lane_result *a, const nn_lane_result *b, int64_t out_stride)
{
    for (int k = 0; 2 * k <= f->n; k++, products += 3 * bin_stride) {
        const bool real = k == 0 || 2 * k == f->n;
        const cvec x = product_value(products, bin_stride, real, channels);
        const cvec y =
            b ? product_value(products + row_stride, bin_stride, real, channels) : (cvec){ v_zero(), v_zero() };
        join_bins(f, k, x, y, work);
    }
    fft_inverse(f, work);
    finish_rows(work, fold, finish, channels, a, b, out_stride, NULL);
}

/* ---- narrow matrix products ---- */

/* rows x columns * LANES results in registers */
LANE_INLINE void matmul_tile(int rows, int columns, int k, const float *a, int64_t lda, const float *b, int n, float *c,
                             int64_t ldc)
{
    vec sum[TILE_ROWS][TILE_COLUMNS];
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < columns; j++)
            sum[i][j] = v_zero();
    for (int p = 0; p < k; p++, b += n) {
        vec y[TILE_COLUMNS];
        if (p % 16 == 0) /* the next tile's numbers, which no prefetcher foresees */
            for (int i = 0; i < rows; i++)
                __builtin_prefetch(a + (i + rows) * lda + p);
        for (int j = 0; j < columns; j++)
            y[j] = v_load(b + j * LANES);
        for (int i = 0; i < rows; i++) {
            const vec x = v_set1(a[i * lda + p]);
            for (int j = 0; j < columns; j++)
                sum[i][j] = v_fma(x, y[j], sum[i][j]);
        }
    }
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < columns; j++)
            v_store(c + i * ldc + j * LANES, sum[i][j]);
}

/* As many tiles of `rows` as there are from row i on; the row behind them. */
LANE_INLINE int matmul_tiles(int rows, int columns, int i, int m, int k, const float *a, int64_t lda, const float *b,
                             int n, float *c, int64_t ldc)
{
    for (; i + rows <= m; i += rows)
        matmul_tile(rows, columns, k, a + i * lda, lda, b, n, c + i * ldc, ldc);
    return i;
}

/* What is left of the rows goes by fours, whose sums still outnumber the cycles that one of them takes. */
LANE_INLINE void matmul_rows(int columns, int m, int k, const float *a, int64_t lda, const float *b, int n, float *c,
                             int64_t ldc)
{
    int i = matmul_tiles(TILE_ROWS, columns, 0, m, k, a, lda, b, n, c, ldc);
    i = matmul_tiles(4, columns, i, m, k, a, lda, b, n, c, ldc);
    matmul_tiles(1, columns, i, m, k, a, lda, b, n, c, ldc);
}

static void matmul_columns(int columns, int m, int k, const float *a, int64_t lda, const float *b, int n, float *c,
                           int64_t ldc)
{
    if (columns == 2)
        matmul_rows(2, m, k, a, lda, b, n, c, ldc);
    else
        matmul_rows(1, m, k, a, lda, b, n, c, ldc);
}

/* n must be a multiple of the lanes. */
static void small_matmul(int m, int n, int k, const float *a, int64_t lda, const float *b, float *c, int64_t ldc)
{
    for (int j = 0; j < n; j += 2 * LANES)
        matmul_columns(n - j >= 2 * LANES ? 2 : 1, m, k, a, lda, b + j, n, c + j, ldc);
}

const nn_lanes SIMD(nn_lanes) = {
    .name = SIMD_TEXT,
    .lanes = LANES,
    .forward = fft_forward,
    .inverse = fft_inverse,
    .product_rows = product_rows,
    .spectrum_rows = spectrum_rows,
    .product_inverse = product_inverse,
    .small_matmul = small_matmul,
};
