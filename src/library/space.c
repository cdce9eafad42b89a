/* Fits of spaces: mean, main directions, whitening. */
#include <math.h>
#include <string.h>

#include "library/eigen.h"
#include "library/space.h"
#include "nn/nn.h"

enum { MOST_OUT = 128, LEAST_OUT = 16, MOST_EXACT = 512, VERSION = 1 };
static const char magic[8] = "SMFIT\r\n\0";

struct sm_space_fit {
    sm_fit_kind kind;
    int from, to;
    size_t sounds;
    uint64_t id;
    float *mean;   /* [from] */
    float *matrix; /* [to][from]; SCORES: [from], what to multiply by */
};

static size_t matrix_size(const sm_space_fit *f)
{
    return f->kind == SM_FIT_SCORES ? (size_t)f->from : (size_t)f->to * (size_t)f->from;
}

/* Spaces of networks that were trained to tell classes of sounds apart: their loud directions are what counts. */
sm_fit_kind sm_fit_kind_of(const char *space)
{
    static const struct {
        const char *begins;
        sm_fit_kind kind;
    } kinds[] = { { SM_ASPECT_SPACE "/", SM_FIT_SCORES }, { "samplemind", SM_FIT_TURN }, { "", SM_FIT_WHITEN } };
    size_t i = 0;

    while (strncmp(space, kinds[i].begins, strlen(kinds[i].begins)) != 0)
        i++;
    return kinds[i].kind;
}

static sm_space_fit *new_fit(sm_fit_kind kind, int from, int to, size_t sounds)
{
    sm_space_fit *f = sm_alloc_zero(1, sizeof *f);
    if (!f)
        return NULL;
    f->kind = kind;
    f->from = from;
    f->to = to;
    f->sounds = sounds;
    f->mean = sm_alloc_zero((size_t)from, sizeof *f->mean);
    f->matrix = sm_alloc_zero(matrix_size(f), sizeof *f->matrix);
    if (f->mean && f->matrix)
        return f;
    sm_fit_free(f);
    return NULL;
}

void sm_fit_free(sm_space_fit *f)
{
    if (!f)
        return;
    sm_free(f->mean);
    sm_free(f->matrix);
    sm_free(f);
}

static void set_id(sm_space_fit *f)
{
    f->id = sm_fnv1a64(f->mean, (size_t)f->from * sizeof *f->mean) * 31 +
            sm_fnv1a64(f->matrix, matrix_size(f) * sizeof *f->matrix) + (uint64_t)f->kind;
    f->id += f->id == 0;
}

/* ---- scores ---- */

static void fit_scores(sm_space_fit *f, const float *rows, size_t n)
{
    for (int j = 0; j < f->from; j++) {
        double sum = 0, square = 0, known = 0;
        for (size_t i = 0; i < n; i++) {
            const double x = (double)rows[i * (size_t)f->from + (size_t)j];
            if (isfinite(x))
                sum += x, square += x * x, known++;
        }
        const double mean = known > 0 ? sum / known : 0;
        const double variance = known > 0 ? square / known - mean * mean : 0;
        f->mean[j] = (float)mean;
        f->matrix[j] = variance > 1e-12 * (1 + mean * mean) ? (float)(1 / sqrt(variance)) : 0;
    }
}

/* ---- main directions ---- */

static void unit(const float *row, int n, float *out)
{
    const double square = sm_vectors_dot(row, row, (size_t)n);
    const double by = square > 1e-60 ? 1 / sqrt(square) : 0;
    for (int j = 0; j < n; j++)
        out[j] = (float)(by * (double)row[j]);
}

/* Rows to length 1, less their mean (kept in f). Values that are not finite count as 0. */
static void centre(sm_space_fit *f, const float *rows, size_t n, float *x)
{
    const size_t dims = (size_t)f->from;
    for (size_t i = 0; i < n; i++) {
        float *row = x + i * dims;
        for (size_t j = 0; j < dims; j++)
            row[j] = isfinite(rows[i * dims + j]) ? rows[i * dims + j] : 0;
        unit(row, f->from, row);
    }
    for (size_t j = 0; j < dims; j++) {
        double sum = 0;
        for (size_t i = 0; i < n; i++)
            sum += (double)x[i * dims + j];
        f->mean[j] = (float)(sum / (double)n);
        for (size_t i = 0; i < n; i++)
            x[i * dims + j] -= f->mean[j];
    }
}

/* a [n][dims] -> [dims][n] */
static void transpose(const float *a, size_t n, size_t dims, float *out)
{
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < dims; j++)
            out[j * n + i] = a[i * dims + j];
}

/* Eigenvectors (rows of *vectors) and values of x' x / n, x [n][dims]. */
static int directions(const float *x, size_t n, size_t dims, double *vectors, double *values)
{
    float *turned = sm_alloc_aligned(n * dims, sizeof *turned), *square = sm_alloc_aligned(dims * dims, sizeof *square);
    int err = turned && square ? 0 : SM_ENOMEM;

    if (err == 0) {
        transpose(x, n, dims, turned);
        err = nn_sgemm(true, (int64_t)dims, (int64_t)dims, (int64_t)n, turned, (int64_t)n, turned, (int64_t)n, square,
                       (int64_t)dims);
    }
    for (size_t i = 0; i < dims && err == 0; i++)
        for (size_t j = 0; j < dims; j++)
            vectors[i * dims + j] = (double)(square[SM_MAX(i, j) * dims + SM_MIN(i, j)]) / (double)n;
    if (err == 0)
        err = sm_eigen_symmetric(vectors, values, dims);
    sm_free(turned);
    sm_free(square);
    return err;
}

/* Orthonormal rows, one after the other (modified Gram-Schmidt, twice). */
static void orthonormal(float *rows, size_t n, size_t dims)
{
    for (size_t i = 0; i < n; i++) {
        float *row = rows + i * dims;
        for (int again = 0; again < 2; again++) {
            for (size_t k = 0; k < i; k++) {
                const double dot = sm_vectors_dot(row, rows + k * dims, dims);
                for (size_t j = 0; j < dims; j++)
                    row[j] -= (float)dot * rows[k * dims + j];
            }
            unit(row, (int)dims, row);
        }
    }
}

/* Of wide rows: where most of them lie, as MOST_EXACT orthonormal rows (Halko, Martinsson and Tropp 2011: random combinations of the
 * rows, made clearer by one pass over them). */
static int narrow(const float *x, size_t n, size_t dims, float *base)
{
    float *mix = sm_alloc_aligned(n * MOST_EXACT, sizeof *mix),
          *turned = sm_alloc_aligned(n * MOST_EXACT, sizeof *turned);
    const uint64_t stream = sm_unit_hash("directions", 0);
    int err = mix && turned ? 0 : SM_ENOMEM;

    if (err == 0) {
        for (size_t i = 0; i < MOST_EXACT * dims; i++)
            base[i] = (float)sm_unit(stream, i);
        err = nn_sgemm(true, (int64_t)n, MOST_EXACT, (int64_t)dims, x, (int64_t)dims, base, (int64_t)dims, mix,
                       MOST_EXACT);
    }
    if (err == 0) {
        transpose(mix, n, MOST_EXACT, turned);
        err = nn_sgemm(false, MOST_EXACT, (int64_t)dims, (int64_t)n, turned, (int64_t)n, x, (int64_t)dims, base,
                       (int64_t)dims);
    }
    if (err == 0)
        orthonormal(base, MOST_EXACT, dims);
    sm_free(mix);
    sm_free(turned);
    return err;
}

static void set_matrix(sm_space_fit *f, const double *vectors, const double *values, size_t dims, const float *base)
{
    const double middle = fmax(values[dims / 2], 1e-12);

    for (int i = 0; i < f->to; i++) {
        const double by = f->kind == SM_FIT_WHITEN ? 1 / sqrt(fmax(values[i], 0) + middle) : 1;
        for (int j = 0; j < f->from; j++) {
            double sum = base ? 0 : vectors[(size_t)i * dims + (size_t)j];
            for (size_t k = 0; base && k < dims; k++)
                sum += vectors[(size_t)i * dims + k] * (double)base[k * (size_t)f->from + (size_t)j];
            f->matrix[i * f->from + j] = (float)(by * sum);
        }
    }
}

static int fit_directions(sm_space_fit *f, const float *rows, size_t n)
{
    const bool wide = f->from > MOST_EXACT;
    const size_t from = (size_t)f->from, dims = wide ? MOST_EXACT : from;
    float *x = sm_alloc_aligned(n * from, sizeof *x);
    float *base = wide ? sm_alloc_aligned(dims * from, sizeof *base) : NULL;
    float *less = wide ? sm_alloc_aligned(n * dims, sizeof *less) : NULL;
    double *vectors = sm_alloc(dims, dims * sizeof *vectors), *values = sm_alloc(dims, sizeof *values);
    int err = x && vectors && values && (!wide || (base && less)) ? 0 : SM_ENOMEM;

    if (err == 0)
        centre(f, rows, n, x);
    if (err == 0 && wide)
        err = narrow(x, n, from, base);
    if (err == 0 && wide)
        err = nn_sgemm(true, (int64_t)n, (int64_t)dims, (int64_t)from, x, (int64_t)from, base, (int64_t)from, less,
                       (int64_t)dims);
    if (err == 0)
        err = directions(wide ? less : x, n, dims, vectors, values);
    if (err == 0)
        set_matrix(f, vectors, values, dims, base);
    sm_free(x);
    sm_free(base);
    sm_free(less);
    sm_free(vectors);
    sm_free(values);
    return err;
}

int sm_fit_new(sm_fit_kind kind, const float *rows, size_t n, int dims, size_t sounds, sm_space_fit **out)
{
    int to = SM_MIN(dims, SM_MIN((int)MOST_OUT, (int)SM_MIN(SM_MAX(n / 4, (size_t)LEAST_OUT), (size_t)MOST_OUT)));
    sm_space_fit *f;
    int err = 0;

    *out = NULL;
    if (kind == SM_FIT_SCORES)
        to = dims;
    f = new_fit(kind, dims, to, sounds);
    if (!f)
        return SM_ENOMEM;
    if (kind == SM_FIT_SCORES)
        fit_scores(f, rows, n);
    else
        err = fit_directions(f, rows, n);
    set_id(f);
    if (err < 0)
        sm_fit_free(f);
    else
        *out = f;
    return err;
}

int sm_fit_from(const sm_space_fit *f)
{
    return f->from;
}

int sm_fit_to(const sm_space_fit *f)
{
    return f->to;
}

uint64_t sm_fit_id(const sm_space_fit *f)
{
    return f->id;
}

size_t sm_fit_sounds(const sm_space_fit *f)
{
    return f->sounds;
}

sm_fit_kind sm_fit_kind_is(const sm_space_fit *f)
{
    return f->kind;
}

void sm_fit_apply(const sm_space_fit *f, const float *raw, float *out)
{
    double square = 0;

    if (f->kind == SM_FIT_SCORES) {
        for (int j = 0; j < f->from; j++)
            out[j] = isfinite(raw[j]) ? SM_CLAMP((raw[j] - f->mean[j]) * f->matrix[j], -4.0f, 4.0f) : 0;
        return;
    }
    for (int j = 0; j < f->from; j++)
        square += isfinite(raw[j]) ? (double)raw[j] * (double)raw[j] : 0;
    const double by = square > 1e-60 ? 1 / sqrt(square) : 0;
    for (int i = 0; i < f->to; i++) {
        const float *row = f->matrix + i * f->from;
        double sum = 0;
        for (int j = 0; j < f->from; j++)
            sum += ((isfinite(raw[j]) ? by * (double)raw[j] : 0) - (double)f->mean[j]) * (double)row[j];
        out[i] = (float)sum;
    }
}

/* ---- as a file: magic, then these numbers, mean, matrix ---- */

typedef struct {
    char magic[8];
    uint32_t version, kind, from, to;
    uint64_t sounds, id;
} fit_head;

int sm_fit_write(const sm_space_fit *f, const char *path)
{
    fit_head h = { .version = VERSION,
                   .kind = f->kind,
                   .from = (uint32_t)f->from,
                   .to = (uint32_t)f->to,
                   .sounds = f->sounds,
                   .id = f->id };
    sm_outfile *out = NULL;
    const int err = sm_outfile_open(path, &out);

    if (err < 0)
        return err;
    memcpy(h.magic, magic, sizeof magic);
    fwrite(&h, sizeof h, 1, sm_outfile_stream(out));
    fwrite(f->mean, sizeof *f->mean, (size_t)f->from, sm_outfile_stream(out));
    fwrite(f->matrix, sizeof *f->matrix, matrix_size(f), sm_outfile_stream(out));
    return sm_outfile_commit(out);
}

static int take_numbers(const char *path, const fit_head *h, const uint8_t *data, size_t size, sm_space_fit **out)
{
    if (memcmp(h->magic, magic, sizeof magic) != 0 || h->version != VERSION || h->kind > SM_FIT_SCORES || h->from < 1 ||
        h->from > 1 << 16 || h->to < 1 || h->to > h->from || (h->kind == SM_FIT_SCORES && h->to != h->from))
        return sm_fail(SM_EFORMAT, "%s: not a fit of a space, or of another version", path);
    sm_space_fit *f = new_fit((sm_fit_kind)h->kind, (int)h->from, (int)h->to, (size_t)h->sounds);
    if (!f)
        return SM_ENOMEM;
    const size_t mean = (size_t)f->from * sizeof *f->mean, matrix = matrix_size(f) * sizeof *f->matrix;
    if (size == mean + matrix) {
        memcpy(f->mean, data, mean);
        memcpy(f->matrix, data + mean, matrix);
        set_id(f);
    }
    if (f->id != h->id) {
        sm_fit_free(f);
        return sm_fail(SM_EFORMAT, "%s: damaged", path);
    }
    *out = f;
    return 0;
}

int sm_fit_read(const char *path, sm_space_fit **out)
{
    sm_map *map = NULL;
    fit_head h;
    int err = sm_map_open(path, &map);

    *out = NULL;
    if (err == 0 && sm_map_size(map) < sizeof h)
        err = sm_fail(SM_EFORMAT, "%s: not a fit of a space: %zu bytes", path, sm_map_size(map));
    if (err == 0) {
        memcpy(&h, sm_map_data(map), sizeof h);
        err = take_numbers(path, &h, sm_map_data(map) + sizeof h, sm_map_size(map) - sizeof h, out);
    }
    sm_map_close(map);
    return err;
}
