/* The file of vectors.
 *
 *     0      two heads of 2,048 bytes. The one with the higher sequence whose check is right counts; the other is written next,
 *            after the rows that it speaks of are on the disk. So a crash at any moment leaves one that is right.
 *     4096   blocks of 1,024 rows: ids i64, checks u64, scales f32, errors f32, bytes [1024][padded], values f32 [1024][dims].
 *
 * Numbers are little-endian. Rows behind `count` mean nothing. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "library/vectors.h"

enum { VERSION = 1, HEAD_BYTES = 2048, DATA_AT = 4096, BLOCK = SM_VECTORS_BLOCK };
static const char magic[8] = "SMVECT\r\n";

typedef struct {
    char magic[8];
    uint32_t version, dims, unit, block;
    uint64_t sequence, count, fit, sorted, layout, puts, replaced;
    char space[SM_VECTORS_SPACE];
    uint64_t check; /* of all before it */
} file_head;

struct sm_vectors {
    sm_vectors_info info;
    file_head head;
    size_t padded, block_bytes;
    char *path;          /* where its bytes are: the temporary name until committed */
    char *target;        /* where it will be */
    int fd;              /* -1: may not be changed */
    sm_outfile *outfile; /* not committed yet */
    sm_map *map;
    const uint8_t *data; /* of the map */
    const sm_dots *dots; /* asked for once: it takes longer than a small search */
    uint32_t *slots;     /* row + 1 by hash of the id; 0: empty */
    size_t n_slots;      /* a power of two; 0: not made */
};

/* Eight bytes at a time; against damage, not against anyone. */
static uint64_t mix(uint64_t h, const void *data, size_t length)
{
    const uint8_t *p = data;
    uint64_t word;

    for (; length >= 8; p += 8, length -= 8) {
        memcpy(&word, p, 8);
        h = (h ^ word) * 0x9e3779b97f4a7c15u;
        h ^= h >> 29;
    }
    for (; length > 0; p++, length--)
        h = (h ^ *p) * 0x100000001b3u;
    return h ^ h >> 32;
}

static uint64_t head_check(const file_head *h)
{
    return mix(1, h, offsetof(file_head, check));
}

static uint64_t row_check(const sm_vectors *v, int64_t id, float scale, float error, const uint8_t *bytes,
                          const float *values)
{
    uint64_t h = mix(mix(mix(2, &id, sizeof id), &scale, sizeof scale), &error, sizeof error);
    h = mix(h, bytes, v->padded);
    return mix(h, values, (size_t)v->info.dims * sizeof *values);
}

/* ---- where things are ---- */

static size_t padded_of(int dims)
{
    return ((size_t)dims + SM_DOTS_ALIGN - 1) / SM_DOTS_ALIGN * SM_DOTS_ALIGN;
}

enum part { IDS, CHECKS, SCALES, ERRORS, BYTES, VALUES, PARTS };

static size_t part_item(const sm_vectors *v, enum part part)
{
    const size_t sizes[PARTS] = { sizeof(int64_t), sizeof(uint64_t), sizeof(float),
                                  sizeof(float),   v->padded,        (size_t)v->info.dims * sizeof(float) };
    return sizes[part];
}

static size_t part_at(const sm_vectors *v, size_t row, enum part part)
{
    size_t at = DATA_AT + row / BLOCK * v->block_bytes;
    for (enum part p = IDS; p < part; p++)
        at += BLOCK * part_item(v, p);
    return at + row % BLOCK * part_item(v, part);
}

static void layout_of(sm_vectors *v)
{
    v->padded = padded_of(v->info.dims);
    v->block_bytes = 0;
    for (enum part p = IDS; p < PARTS; p++)
        v->block_bytes += BLOCK * part_item(v, p);
}

static size_t file_bytes(const sm_vectors *v, size_t rows)
{
    return DATA_AT + (rows + BLOCK - 1) / BLOCK * v->block_bytes;
}

void sm_vectors_block_of(const sm_vectors *v, size_t block, sm_vectors_block *out)
{
    const size_t row = block * BLOCK;
    *out = (sm_vectors_block){
        .ids = (const int64_t *)(const void *)(v->data + part_at(v, row, IDS)),
        .checks = (const uint64_t *)(const void *)(v->data + part_at(v, row, CHECKS)),
        .scales = (const float *)(const void *)(v->data + part_at(v, row, SCALES)),
        .errors = (const float *)(const void *)(v->data + part_at(v, row, ERRORS)),
        .bytes = v->data + part_at(v, row, BYTES),
        .values = (const float *)(const void *)(v->data + part_at(v, row, VALUES)),
    };
}

const sm_vectors_info *sm_vectors_about(const sm_vectors *v)
{
    return &v->info;
}

size_t sm_vectors_rows(const sm_vectors *v)
{
    return (size_t)v->head.count;
}

size_t sm_vectors_padded(const sm_vectors *v)
{
    return v->padded;
}

const sm_dots *sm_vectors_dots(const sm_vectors *v)
{
    return v->dots;
}

int64_t sm_vectors_id(const sm_vectors *v, size_t row)
{
    return *(const int64_t *)(const void *)(v->data + part_at(v, row, IDS));
}

const float *sm_vectors_row(const sm_vectors *v, size_t row)
{
    return (const float *)(const void *)(v->data + part_at(v, row, VALUES));
}

bool sm_vectors_sound(const sm_vectors *v, size_t row)
{
    sm_vectors_block b;
    const size_t i = row % BLOCK;

    sm_vectors_block_of(v, row / BLOCK, &b);
    return b.checks[i] == row_check(v, b.ids[i], b.scales[i], b.errors[i], b.bytes + i * v->padded,
                                    b.values + i * (size_t)v->info.dims);
}

void sm_vectors_layout(const sm_vectors *v, uint64_t *sorted, uint64_t *layout)
{
    *sorted = v->head.sorted;
    *layout = v->head.layout;
}

/* ---- opening ---- */

static int fail_io(const sm_vectors *v, const char *doing)
{
    const int code = errno == ENOENT ? SM_ENOTFOUND : SM_EIO;
    return sm_fail(code, "%s: cannot %s: %s", v->path, doing, strerror(errno));
}

static bool head_right(const file_head *h)
{
    return memcmp(h->magic, magic, sizeof magic) == 0 && h->check == head_check(h);
}

static int read_head(sm_vectors *v)
{
    const size_t size = sm_map_size(v->map);
    file_head heads[2];

    if (size < DATA_AT)
        return sm_fail(SM_EFORMAT, "%s: no file of vectors: %zu bytes", v->path, size);
    memcpy(&heads[0], sm_map_data(v->map), sizeof *heads);
    memcpy(&heads[1], sm_map_data(v->map) + HEAD_BYTES, sizeof *heads);
    const bool right[2] = { head_right(&heads[0]), head_right(&heads[1]) };
    if (!right[0] && !right[1])
        return sm_fail(SM_EFORMAT, "%s: no file of vectors, or its head is damaged", v->path);
    v->head = heads[right[1] && (!right[0] || heads[1].sequence > heads[0].sequence)];
    const file_head *h = &v->head;
    if (h->version != VERSION || h->block != BLOCK)
        return sm_fail(SM_EFORMAT, "%s: version %u of the format; this program reads %d", v->path, h->version, VERSION);
    if (h->dims < 1 || h->dims > SM_DOTS_MOST || !memchr(h->space, 0, sizeof h->space) || h->sorted > h->count)
        return sm_fail(SM_EFORMAT, "%s: a head that cannot be (%u values a row)", v->path, h->dims);
    v->info = (sm_vectors_info){
        .fit = h->fit, .dims = (int)h->dims, .unit = h->unit != 0, .puts = h->puts, .replaced = h->replaced
    };
    memcpy(v->info.space, h->space, sizeof h->space);
    layout_of(v);
    if (h->count / BLOCK >= (size - DATA_AT) / v->block_bytes + 1 || h->count >= UINT32_MAX ||
        file_bytes(v, (size_t)h->count) > size)
        return sm_fail(SM_EFORMAT, "%s: cut: %llu rows in %zu bytes", v->path, (unsigned long long)h->count, size);
    return 0;
}

static int map_again(sm_vectors *v)
{
    sm_map_close(v->map);
    v->map = NULL;
    v->data = NULL;
    const int err = sm_map_open(v->path, &v->map);
    if (err == 0)
        v->data = sm_map_data(v->map);
    else
        v->head.count = 0; /* nothing that could be read */
    return err;
}

static sm_vectors *new_handle(const char *path)
{
    sm_vectors *v = sm_alloc_zero(1, sizeof *v);
    if (!v)
        return NULL;
    v->fd = -1;
    v->dots = sm_dots_best();
    v->path = sm_strdup(path);
    if (!v->path) {
        sm_free(v);
        return NULL;
    }
    return v;
}

/* Waits for who else is changing the file, who may have put another in its place meanwhile. */
static int open_to_change(sm_vectors *v)
{
    struct stat ours, there;

    for (;;) {
        v->fd = open(v->path, O_RDWR | O_CLOEXEC);
        if (v->fd < 0)
            return fail_io(v, "open it");
        while (flock(v->fd, LOCK_EX) < 0)
            if (errno != EINTR)
                return fail_io(v, "lock it");
        if (fstat(v->fd, &ours) < 0 || stat(v->path, &there) < 0)
            return fail_io(v, "open it");
        if (ours.st_ino == there.st_ino && ours.st_dev == there.st_dev)
            return 0;
        close(v->fd);
    }
}

int sm_vectors_open(const char *path, bool writable, sm_vectors **out)
{
    sm_vectors *v = new_handle(path);
    int err = v ? 0 : SM_ENOMEM;

    *out = NULL;
    if (err == 0 && writable)
        err = open_to_change(v);
    if (err == 0)
        err = map_again(v);
    if (err == 0)
        err = read_head(v);
    if (err < 0)
        sm_vectors_close(v);
    else
        *out = v;
    return err;
}

void sm_vectors_close(sm_vectors *v)
{
    if (!v)
        return;
    sm_map_close(v->map);
    if (v->fd >= 0)
        close(v->fd);
    sm_outfile_abandon(v->outfile);
    sm_free(v->slots);
    sm_free(v->target);
    sm_free(v->path);
    sm_free(v);
}

/* ---- writing ---- */

static int write_at(sm_vectors *v, const void *data, size_t length, size_t at)
{
    const uint8_t *p = data;

    while (length > 0) {
        const ssize_t n = pwrite(v->fd, p, length, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail_io(v, "write to it");
        p += n, at += (size_t)n, length -= (size_t)n;
    }
    return 0;
}

/* A file that nobody can see yet is synced once, when it is committed. */
static int sync_now(sm_vectors *v)
{
    return v->outfile || fdatasync(v->fd) == 0 ? 0 : fail_io(v, "write to it");
}

/* Puts *h in force: what it speaks of is on the disk before it is. */
static int write_head(sm_vectors *v, const file_head *h)
{
    file_head next = *h;
    int err = sync_now(v);

    next.sequence = v->head.sequence + 1;
    next.check = head_check(&next);
    if (err == 0)
        err = write_at(v, &next, sizeof next, next.sequence % 2 * HEAD_BYTES);
    if (err == 0)
        err = sync_now(v);
    if (err == 0)
        v->head = next;
    return err;
}

int sm_vectors_set_layout(sm_vectors *v, uint64_t sorted, uint64_t layout)
{
    file_head h = v->head;
    h.sorted = sorted;
    h.layout = layout;
    return write_head(v, &h);
}

int sm_vectors_set_seen(sm_vectors *v, uint64_t puts)
{
    file_head h = v->head;
    h.puts = v->info.puts = puts;
    return write_head(v, &h);
}

int sm_vectors_create(const char *path, const sm_vectors_info *info, sm_vectors **out)
{
    sm_vectors *v = new_handle(path);
    int err = v ? 0 : SM_ENOMEM;

    *out = NULL;
    if (err == 0 && (info->dims < 1 || info->dims > SM_DOTS_MOST))
        err = sm_fail(SM_EUSAGE, "%s: vectors of %d values; 1..%d are possible", path, info->dims, SM_DOTS_MOST);
    if (err == 0 && (err = sm_outfile_open(path, &v->outfile)) == 0) {
        v->target = v->path;
        v->path = sm_strdup(sm_outfile_path(v->outfile));
        err = v->path ? open_to_change(v) : SM_ENOMEM;
    }
    if (err == 0) {
        file_head h = { .version = VERSION,
                        .dims = (uint32_t)info->dims,
                        .unit = info->unit,
                        .block = BLOCK,
                        .fit = info->fit,
                        .puts = info->puts,
                        .replaced = info->replaced };
        memcpy(h.magic, magic, sizeof magic);
        snprintf(h.space, sizeof h.space, "%s", info->space);
        v->info = *info;
        layout_of(v);
        err = ftruncate(v->fd, DATA_AT) < 0 ? fail_io(v, "write to it") : write_head(v, &h);
    }
    if (err == 0)
        err = map_again(v);
    if (err < 0)
        sm_vectors_close(v);
    else
        *out = v;
    return err;
}

int sm_vectors_commit(sm_vectors *v)
{
    sm_outfile *f = v->outfile;
    v->outfile = NULL;
    const int err = sm_outfile_commit(f);
    if (err == 0) {
        sm_free(v->path);
        v->path = v->target;
        v->target = NULL;
    }
    return err;
}

/* A run of rows as it will lie in a block. */
typedef struct {
    int64_t *ids;
    uint64_t *checks;
    float *scales, *errors, *values;
    uint8_t *bytes;
} row_run;

/* Length 1, bytes with their scale, and how far they are off. False: a value that is not finite. */
static bool make_row(const sm_vectors *v, const float *from, float *row, uint8_t *bytes, float *scale, float *error)
{
    const size_t dims = (size_t)v->info.dims;
    double square = 0, largest = 0, off = 0;

    for (size_t j = 0; j < dims; j++) {
        if (!isfinite(from[j]))
            return false;
        square += (double)from[j] * (double)from[j];
    }
    const double by = v->info.unit && square > 1e-60 ? 1 / sqrt(square) : 1;
    for (size_t j = 0; j < dims; j++) {
        row[j] = (float)(by * (double)from[j]);
        largest = fmax(largest, fabs((double)row[j]));
    }
    *scale = (float)(largest / 127);
    memset(bytes, 128, v->padded);
    for (size_t j = 0; j < dims; j++) {
        const long q = *scale > 1e-30f ? lrint((double)row[j] / (double)*scale) : 0;
        bytes[j] = (uint8_t)(128 + SM_CLAMP(q, -127, 127));
        const double left = (double)row[j] - (double)*scale * (double)(bytes[j] - 128);
        off += left * left;
    }
    *error = (float)(sqrt(off) * (1 + 1e-6));
    return true;
}

static int fill_run(const sm_vectors *v, row_run *r, const int64_t *ids, const float *values, size_t n)
{
    const size_t dims = (size_t)v->info.dims;

    for (size_t i = 0; i < n; i++) {
        float *row = r->values + i * dims;
        uint8_t *bytes = r->bytes + i * v->padded;
        if (ids[i] < 1)
            return sm_fail(SM_EUSAGE, "%s: a vector of number %lld", v->path, (long long)ids[i]);
        if (!make_row(v, values + i * dims, row, bytes, &r->scales[i], &r->errors[i]))
            return sm_fail(SM_EUSAGE, "%s: the vector of %lld has a value that is not finite", v->path,
                           (long long)ids[i]);
        r->ids[i] = ids[i];
        r->checks[i] = row_check(v, ids[i], r->scales[i], r->errors[i], bytes, row);
    }
    return 0;
}

static int run_new(const sm_vectors *v, size_t n, sm_arena **arena, row_run *r)
{
    sm_arena *a = *arena = sm_arena_new();
    if (!a)
        return SM_ENOMEM;
    r->ids = sm_arena_zero(a, n, sizeof *r->ids);
    r->checks = sm_arena_zero(a, n, sizeof *r->checks);
    r->scales = sm_arena_zero(a, n, sizeof *r->scales);
    r->errors = sm_arena_zero(a, n, sizeof *r->errors);
    r->values = sm_arena_zero(a, n * (size_t)v->info.dims, sizeof *r->values);
    r->bytes = sm_arena_zero(a, n, v->padded);
    return r->ids && r->checks && r->scales && r->errors && r->values && r->bytes ? 0 : SM_ENOMEM;
}

/* Rows row..row+n-1, all of one block. */
static int write_run(sm_vectors *v, const row_run *r, size_t row, size_t n)
{
    const void *const parts[PARTS] = { r->ids, r->checks, r->scales, r->errors, r->bytes, r->values };
    int err = 0;
    for (enum part p = IDS; p < PARTS && err == 0; p++)
        err = write_at(v, parts[p], n * part_item(v, p), part_at(v, row, p));
    return err;
}

static int may_change(const sm_vectors *v)
{
    return v->fd >= 0 ? 0 : sm_fail(SM_EUSAGE, "%s: was opened for reading only", v->path);
}

/* The table of ids is made anew when it is next wanted. */
static void forget_ids(sm_vectors *v)
{
    sm_free(v->slots);
    v->slots = NULL;
    v->n_slots = 0;
}

int sm_vectors_append(sm_vectors *v, const int64_t *ids, const float *values, size_t n)
{
    const size_t start = (size_t)v->head.count;
    sm_arena *arena = NULL;
    row_run r;
    int err = may_change(v);

    if (err < 0 || n == 0)
        return err;
    if (n >= UINT32_MAX - start)
        return sm_fail(SM_ELIMIT, "%s: more than %u vectors", v->path, UINT32_MAX - 1);
    forget_ids(v);
    err = run_new(v, SM_MIN(n, (size_t)BLOCK), &arena, &r);
    if (err == 0 && ftruncate(v->fd, (off_t)file_bytes(v, start + n)) < 0)
        err = fail_io(v, "make it longer");
    for (size_t done = 0, now; done < n && err == 0; done += now) {
        const size_t row = start + done;
        now = SM_MIN(n - done, BLOCK - row % BLOCK);
        err = fill_run(v, &r, ids + done, values + done * (size_t)v->info.dims, now);
        if (err == 0)
            err = write_run(v, &r, row, now);
    }
    if (err == 0) {
        file_head h = v->head;
        h.count = start + n;
        err = write_head(v, &h);
    }
    if (err == 0)
        err = map_again(v);
    sm_arena_free(arena);
    return err;
}

int sm_vectors_put(sm_vectors *v, size_t row, int64_t id, const float *values)
{
    sm_arena *arena = NULL;
    row_run r;
    int err = may_change(v);

    if (err < 0)
        return err;
    forget_ids(v);
    err = run_new(v, 1, &arena, &r);
    if (err == 0)
        err = fill_run(v, &r, &id, values, 1);
    if (err == 0)
        err = write_run(v, &r, row, 1);
    sm_arena_free(arena);
    return err;
}

int sm_vectors_remove(sm_vectors *v, size_t row)
{
    sm_vectors_block b;
    const size_t i = row % BLOCK;
    const int64_t none = 0;
    int err = may_change(v);

    if (err < 0)
        return err;
    forget_ids(v);
    sm_vectors_block_of(v, row / BLOCK, &b);
    const uint64_t check =
        row_check(v, none, b.scales[i], b.errors[i], b.bytes + i * v->padded, b.values + i * (size_t)v->info.dims);
    err = write_at(v, &none, sizeof none, part_at(v, row, IDS));
    return err == 0 ? write_at(v, &check, sizeof check, part_at(v, row, CHECKS)) : err;
}

/* ---- by id ---- */

static size_t slot_of(const sm_vectors *v, int64_t id)
{
    return (size_t)((uint64_t)id * 0x9e3779b97f4a7c15u >> 20) & (v->n_slots - 1);
}

static int make_slots(sm_vectors *v)
{
    size_t n = 64;

    while (n < 2 * (size_t)v->head.count)
        n *= 2;
    v->slots = sm_alloc_zero(n, sizeof *v->slots);
    if (!v->slots)
        return SM_ENOMEM;
    v->n_slots = n;
    for (size_t row = 0; row < v->head.count; row++) {
        const int64_t id = sm_vectors_id(v, row);
        size_t at = slot_of(v, id);
        while (v->slots[at])
            at = (at + 1) & (n - 1);
        if (id > 0)
            v->slots[at] = (uint32_t)row + 1;
    }
    return 0;
}

int sm_vectors_find(sm_vectors *v, int64_t id, size_t *row)
{
    int err = v->n_slots ? 0 : make_slots(v);

    if (err < 0)
        return err;
    for (size_t at = slot_of(v, id); v->slots[at]; at = (at + 1) & (v->n_slots - 1))
        if (sm_vectors_id(v, v->slots[at] - 1) == id) {
            *row = v->slots[at] - 1;
            return 0;
        }
    return SM_ENOTFOUND;
}

size_t sm_vectors_alive(const sm_vectors *v)
{
    size_t alive = 0;
    for (size_t row = 0; row < v->head.count; row++)
        alive += sm_vectors_id(v, row) > 0;
    return alive;
}
