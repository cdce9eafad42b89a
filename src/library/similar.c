/* Searching by sound: the reference, the weights, the answer. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "library/similar.h"

struct sm_similar {
    sm_store *store;
    sm_pool *pool;
    int64_t content;
    bool exact;
    double weights[SM_SIMILARITIES];   /* they add up to 1 */
    sm_space_index space, descriptors; /* what the weights want, and perhaps the other; else empty */
    float *vector;                     /* in `space`, of length 1 */
    float aspects[SM_ASPECT_VALUES];   /* in `descriptors` */
};

const char *sm_similar_part_name(int i)
{
    return i == 0 ? "overall" : sm_aspects()[i - 1].name;
}

double sm_similarity(double score)
{
    return SM_CLAMP(score, 0.0, 1.0);
}

/* ---- weights ---- */

static int weight_named(const char *name, size_t length)
{
    for (int i = 0; i < SM_SIMILARITIES; i++)
        if (strlen(sm_similar_part_name(i)) == length && !strncmp(sm_similar_part_name(i), name, length))
            return i;
    return -1;
}

static int one_weight(const char *text, size_t length, double weights[SM_SIMILARITIES])
{
    const char *equals = memchr(text, '=', length);
    const size_t name = equals ? (size_t)(equals - text) : length;
    const int i = weight_named(text, name);
    char number[32] = "1";
    double value;

    if (i < 0)
        return sm_fail(SM_EUSAGE, "\"%.*s\": there is overall, timbre, pitch, envelope and rhythm", (int)name, text);
    if (equals && length - name - 1 < sizeof number)
        snprintf(number, sizeof number, "%.*s", (int)(length - name - 1), equals + 1);
    if ((equals && length - name - 1 >= sizeof number) || !sm_parse_double(number, &value) ||
        !(value >= 0 && value <= 1e6))
        return sm_fail(SM_EUSAGE, "\"%.*s\": a weight is a number from 0 up", (int)length, text);
    weights[i] = value;
    return 0;
}

static int read_weights(const char *by, double weights[SM_SIMILARITIES])
{
    double sum = 0;
    int err = 0;

    for (int i = 0; i < SM_SIMILARITIES; i++)
        weights[i] = by ? (double)NAN : (double)(i == 0);
    for (const char *at = by; at && *at && err == 0;) {
        const size_t length = strcspn(at, ",");
        err = one_weight(at, length, weights);
        at += length + (at[length] == ',');
    }
    for (int i = 0; i < SM_SIMILARITIES; i++)
        sum += isnan(weights[i]) ? 0 : weights[i];
    for (int i = 0; i < SM_SIMILARITIES; i++)
        if (isnan(weights[i]))
            weights[i] = sum > 0 ? 0 : 1;
    sum = 0;
    for (int i = 0; i < SM_SIMILARITIES; i++)
        sum += weights[i];
    if (err == 0 && sum == 0)
        err = sm_fail(SM_EUSAGE, "\"%s\": all weights are 0", by ? by : "");
    for (int i = 0; i < SM_SIMILARITIES; i++)
        weights[i] /= sum;
    return err;
}

static bool wants_aspects(const sm_similar *x)
{
    return x->weights[0] < 1;
}

static bool wants_space(const sm_similar *x)
{
    return x->weights[0] > 0;
}

/* The rows that are searched. */
static sm_vectors *rows_of(const sm_similar *x)
{
    return wants_space(x) ? x->space.vectors : x->descriptors.vectors;
}

/* ---- the sound that others are compared with ---- */

static void set_vector(sm_similar *x, const float *raw)
{
    const size_t dims = (size_t)sm_fit_to(x->space.fit);
    sm_fit_apply(x->space.fit, raw, x->vector);
    const double square = sm_vectors_dot(x->vector, x->vector, dims), by = square > 0 ? 1 / sqrt(square) : 0;
    for (size_t j = 0; j < dims; j++)
        x->vector[j] = (float)(by * (double)x->vector[j]);
}

/* What only is to be shown may be missing. */
static int spared(int err, bool wanted, sm_space_index *index)
{
    if (err != SM_ENOTFOUND || wanted)
        return err;
    sm_space_index_close(index);
    return 0;
}

static int from_library(sm_similar *x)
{
    float raw[SM_ASPECT_VALUES];
    int err = 0;

    if (x->space.fit) {
        float *values = sm_alloc((size_t)x->space.dims, sizeof *values);
        err = values ? sm_store_vector_get(x->store, x->content, x->space.id, values, x->space.dims) : SM_ENOMEM;
        if (err == 0)
            set_vector(x, values);
        sm_free(values);
        err = spared(err, wants_space(x), &x->space);
    }
    if (err == 0 && x->descriptors.fit) {
        err = sm_store_vector_get(x->store, x->content, x->descriptors.id, raw, x->descriptors.dims);
        if (err == 0)
            sm_fit_apply(x->descriptors.fit, raw, x->aspects);
        err = spared(err, wants_aspects(x), &x->descriptors);
    }
    return err;
}

static int from_record(sm_similar *x, const sm_record *r)
{
    float raw[SM_ASPECT_VALUES];
    char name[SM_VECTORS_SPACE], whole[SM_VECTORS_SPACE + 16];
    int version;

    if (x->descriptors.fit) {
        sm_space_aspects_of(r, raw);
        sm_fit_apply(x->descriptors.fit, raw, x->aspects);
    }
    for (size_t i = 0; x->space.fit && i < sm_record_embeddings(r); i++) {
        const sm_embedding *e = sm_record_embedding(r, i);
        if (!sm_space_name(e->space, e->weights, name, &version) || (int)e->dims != x->space.dims)
            continue;
        snprintf(whole, sizeof whole, "%s/%d", name, version);
        if (strcmp(whole, x->space.name) != 0)
            continue;
        set_vector(x, e->values);
        return 0;
    }
    if (!wants_space(x))
        sm_space_index_close(&x->space);
    return x->space.fit
               ? sm_fail(
                     SM_ENOTFOUND,
                     "%s: no vector in the library's space %s: it is silent, or that space was made by other weights "
                     "than are installed now",
                     sm_record_path(r), x->space.name)
               : 0;
}

/* A file that the library does not know: heard now, by the model of the space alone. */
static int from_file(sm_similar *x, const char *path, const char *home)
{
    sm_options options;
    sm_engine *engine = NULL;
    sm_record *record = NULL;
    const size_t own = strcspn(x->space.name, "@/");

    sm_options_init(&options);
    options.home = home;
    options.jobs = x->pool ? sm_pool_threads(x->pool) : 1;
    options.models = !wants_space(x)                                          ? ""
                     : own == 10 && !strncmp(x->space.name, "samplemind", 10) ? "samplemind"
                                                                              : NULL;
    int err = sm_engine_open(&options, &engine);
    if (err == 0)
        err = sm_analyze_file(engine, path, &record);
    if (err == 0)
        err = from_record(x, record);
    sm_record_free(record);
    sm_engine_close(engine);
    return err;
}

static int take_content(void *user, const sm_file_row *f)
{
    *(int64_t *)user = f->content;
    return 0;
}

/* The content of a file that the library knows as it is; 0: it does not. */
static int find_content(sm_similar *x, const char *path)
{
    char *whole = realpath(path, NULL); /* of the C library: not ours to count */
    int err = 0;

    if (whole)
        err = sm_store_file_find(x->store, whole, take_content, &x->content);
    free(whole);
    return err == SM_ENOTFOUND ? 0 : err;
}

static int take_reference(sm_similar *x, const sm_similar_query *q)
{
    int err = 0;

    x->content = q->path ? 0 : q->content;
    if (q->path)
        err = find_content(x, q->path);
    if (err == 0 && x->content > 0) {
        err = from_library(x);
        if (err != SM_ENOTFOUND || !q->path)
            return err;
        err = 0; /* without a vector so far */
    }
    if (err == 0 && q->path)
        err = from_file(x, q->path, q->home);
    else if (err == 0)
        err = sm_fail(SM_EUSAGE, "similar to what? neither a file nor a content");
    return err;
}

int sm_similar_open(sm_store *s, sm_pool *pool, const sm_similar_query *q, sm_similar **out)
{
    sm_similar *x = sm_alloc_zero(1, sizeof *x);
    int err = x ? read_weights(q->by, x->weights) : SM_ENOMEM;

    *out = NULL;
    if (err == 0) {
        x->store = s;
        x->pool = pool;
        x->exact = q->exact;
        if (wants_space(x) || q->all_parts)
            err = spared(sm_space_index_open(s, pool, q->space, &x->space), wants_space(x), &x->space);
        if (err == 0 && (wants_aspects(x) || q->all_parts))
            err = spared(sm_space_index_open(s, pool, SM_ASPECT_SPACE, &x->descriptors), wants_aspects(x),
                         &x->descriptors);
        if (err == 0 && x->descriptors.fit && x->descriptors.dims != sm_aspect_values())
            err = sm_fail(SM_EFORMAT, "the library's descriptors are of another version; scan it again");
    }
    if (err == 0 && x->space.fit) {
        x->vector = sm_alloc((size_t)sm_fit_to(x->space.fit), sizeof *x->vector);
        err = x->vector ? 0 : SM_ENOMEM;
    }
    if (err == 0)
        err = take_reference(x, q);
    if (err < 0)
        sm_similar_close(x);
    else
        *out = x;
    return err;
}

void sm_similar_close(sm_similar *x)
{
    if (!x)
        return;
    sm_space_index_close(&x->space);
    sm_space_index_close(&x->descriptors);
    sm_free(x->vector);
    sm_free(x);
}

int64_t sm_similar_content(const sm_similar *x)
{
    return x->content;
}

const char *sm_similar_space(const sm_similar *x)
{
    return wants_space(x) ? x->space.name : x->descriptors.name;
}

/* ---- scores ---- */

static double aspects_score(const sm_similar *x, const float *row)
{
    double sum = 0;
    for (int i = 0; i < SM_ASPECTS; i++)
        if (x->weights[1 + i] > 0)
            sum += x->weights[1 + i] * sm_aspect_similarity(&sm_aspects()[i], x->aspects, row);
    return sum;
}

typedef struct {
    sm_similar *x;
    sm_vectors *rows; /* those that are searched */
    float *extra;     /* [rows] */
} extra_job;

enum { EXTRA_ROWS = 8192 };

static int extra_part(void *user, size_t part, int worker)
{
    const extra_job *j = user;
    sm_vectors *known = j->x->descriptors.vectors;
    const size_t end = SM_MIN((part + 1) * EXTRA_ROWS, sm_vectors_rows(j->rows));

    (void)worker;
    for (size_t row = part * EXTRA_ROWS; row < end; row++) {
        size_t at = row;
        const int64_t id = sm_vectors_id(j->rows, row);
        const bool there = j->rows == known || (id > 0 && sm_vectors_find(known, id, &at) == 0);
        j->extra[row] = there ? (float)aspects_score(j->x, sm_vectors_row(known, at)) : 0;
    }
    return 0;
}

/* What the aspects add to each row of `rows`; NULL where none counts. */
static int make_extra(sm_similar *x, sm_vectors *rows, float **out)
{
    const size_t n = sm_vectors_rows(rows), parts = (n + EXTRA_ROWS - 1) / EXTRA_ROWS;
    extra_job j = { x, rows, NULL };
    size_t row;
    int err = 0;

    *out = NULL;
    if (!wants_aspects(x))
        return 0;
    if ((err = sm_vectors_find(x->descriptors.vectors, 1, &row)) < 0 &&
        err != SM_ENOTFOUND) /* makes the table, before threads */
        return err;
    if (!(j.extra = *out = sm_alloc(n, sizeof *j.extra)))
        return SM_ENOMEM;
    if (x->pool)
        return sm_pool_run(x->pool, parts, extra_part, &j);
    for (size_t i = 0; i < parts; i++)
        extra_part(&j, i, 0);
    return 0;
}

static bool is_wanted(const uint64_t *wanted, size_t n_bits, int64_t id)
{
    return !wanted || (id >= 0 && (uint64_t)id < n_bits && (wanted[id / 64] >> id % 64 & 1));
}

/* The rows of wanted contents as bits; NULL: all. */
static int make_keep(const sm_vectors *rows, const uint64_t *wanted, size_t n_bits, uint64_t **out, size_t *kept)
{
    const size_t n = sm_vectors_rows(rows);

    *out = NULL;
    *kept = n;
    if (!wanted)
        return 0;
    if (!(*out = sm_alloc_zero(n / 64 + 1, sizeof **out)))
        return SM_ENOMEM;
    *kept = 0;
    for (size_t row = 0; row < n; row++)
        if (is_wanted(wanted, n_bits, sm_vectors_id(rows, row))) {
            (*out)[row / 64] |= UINT64_C(1) << row % 64;
            (*kept)++;
        }
    return 0;
}

/* By cells only where most rows may be answers: what a filter leaves is read faster directly, and completely. */
static int search(sm_similar *x, sm_vectors *rows, const sm_vectors_query *q, size_t kept, sm_hit *hits, size_t *n,
                  bool *approximate)
{
    int err = 0;

    *approximate = false;
    if (x->space.cells && !x->exact && !wants_aspects(x) && kept > sm_vectors_rows(rows) / 4) {
        err = sm_cells_search(x->space.cells, rows, x->pool, q, 0, hits, n);
        *approximate = true;
        if (err < 0 || *n == q->limit)
            return err;
    }
    *approximate = false;
    return sm_vectors_search(rows, x->pool, q, hits, n);
}

static int best_once(sm_similar *x, const uint64_t *wanted, size_t n_bits, size_t limit, sm_hit *hits, size_t *n,
                     bool *approximate)
{
    sm_vectors *rows = rows_of(x);
    sm_vectors_query q = {
        .vector = wants_space(x) ? x->vector : NULL, .weight = x->weights[0], .except = x->content, .limit = limit
    };
    float *extra = NULL;
    uint64_t *keep = NULL;
    size_t kept;
    int err = make_extra(x, rows, &extra);

    if (err == 0)
        err = make_keep(rows, wanted, n_bits, &keep, &kept);
    q.extra = extra;
    q.keep = keep;
    if (err == 0)
        err = search(x, rows, &q, kept, hits, n, approximate);
    sm_free(extra);
    sm_free(keep);
    return err;
}

int sm_similar_best(sm_similar *x, const uint64_t *wanted, size_t n_bits, size_t limit, sm_hit *hits, size_t *n,
                    bool *approximate)
{
    *n = 0;
    int err = best_once(x, wanted, n_bits, limit, hits, n, approximate);
    if (err != SM_EFORMAT || !sm_store_is_writable(x->store))
        return err;
    /* a damaged row: the file is made anew, by the same fit or by one that is as good, and asked again */
    err = 0;
    if (x->space.fit)
        err = sm_space_index_mend(x->store, x->pool, &x->space);
    if (err == 0 && x->descriptors.fit)
        err = sm_space_index_mend(x->store, x->pool, &x->descriptors);
    return err == 0 ? best_once(x, wanted, n_bits, limit, hits, n, approximate) : err;
}

int sm_similar_parts(sm_similar *x, int64_t content, double out[SM_SIMILARITIES])
{
    size_t row;
    int err = 0;

    for (int i = 0; i < SM_SIMILARITIES; i++)
        out[i] = (double)NAN;
    if (x->space.fit && (err = sm_vectors_find(x->space.vectors, content, &row)) == 0)
        out[0] = sm_vectors_dot(x->vector, sm_vectors_row(x->space.vectors, row), (size_t)sm_fit_to(x->space.fit));
    if ((err == 0 || err == SM_ENOTFOUND) && x->descriptors.fit &&
        (err = sm_vectors_find(x->descriptors.vectors, content, &row)) == 0)
        for (int i = 0; i < SM_ASPECTS; i++)
            out[1 + i] =
                sm_aspect_similarity(&sm_aspects()[i], x->aspects, sm_vectors_row(x->descriptors.vectors, row));
    return err == SM_ENOTFOUND ? 0 : err;
}

static int all_scores(sm_similar *x, const uint64_t *wanted, size_t n_bits, float *similarity)
{
    sm_vectors *rows = rows_of(x);
    const size_t n = sm_vectors_rows(rows);
    float *extra = NULL;
    int err = make_extra(x, rows, &extra);

    for (size_t row = 0; row < n && err == 0; row++) {
        const int64_t id = sm_vectors_id(rows, row);
        if (id < 1 || (uint64_t)id >= n_bits || !is_wanted(wanted, n_bits, id))
            continue;
        const double dot =
            wants_space(x) ? sm_vectors_dot(x->vector, sm_vectors_row(rows, row), (size_t)sm_fit_to(x->space.fit)) : 0;
        similarity[id] = (float)sm_similarity(x->weights[0] * dot + (extra ? (double)extra[row] : 0));
    }
    sm_free(extra);
    return err;
}

int sm_similar_scores(sm_store *s, sm_pool *pool, const sm_similar_query *q, const uint64_t *wanted, size_t n_bits,
                      float *similarity, bool *approximate)
{
    sm_similar *x = NULL;
    int err = sm_similar_open(s, pool, q, &x);

    *approximate = false;
    for (size_t i = 0; i < n_bits; i++)
        similarity[i] = NAN;
    if (err == 0)
        err = all_scores(x, wanted, n_bits, similarity);
    sm_similar_close(x);
    return err;
}
