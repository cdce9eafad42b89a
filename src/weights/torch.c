/* PyTorch's two files: the zip archive (data.pkl and one entry a storage), and the older row of pickles with the storages'
 * bytes after them. */
#include <stdlib.h>
#include <zlib.h>

#include "weights/torch_tree.h"
#include "weights/zip.h"

/* ---- the zip archive ---- */

bool w_torch_zip_probe(const uint8_t *d, size_t n)
{
    return n >= 4 && (w_u32(d) == 0x04034B50 || w_u32(d) == 0x06054B50);
}

typedef struct {
    zip_archive zip;
    const char *prefix; /* "archive/" */
    size_t n_prefix;
} package;

static const zip_entry *member(const package *p, const char *name, size_t n)
{
    char path[1024];
    if (p->n_prefix + n > sizeof path)
        return NULL;
    memcpy(path, p->prefix, p->n_prefix);
    memcpy(path + p->n_prefix, name, n);
    return zip_find(&p->zip, path, p->n_prefix + n);
}

static int zip_storage(p_vm *vm, const p_value *id, p_value **out)
{
    char name[256];
    int err = torch_storage(vm, id, out);
    if (err < 0)
        return err;
    p_storage *s = (*out)->storage;
    if (s->n_key > sizeof name - 5)
        return sm_fail(SM_EFORMAT, "a storage with a very long key");
    memcpy(name, "data/", 5);
    memcpy(name + 5, s->key, s->n_key);
    const zip_entry *e = member(vm->user, name, 5 + s->n_key);
    if (!e)
        return sm_fail(SM_EFORMAT, "the archive lacks the entry data/%.*s", (int)s->n_key, s->key);
    if ((err = zip_readable(e)) < 0)
        return err;
    if (s->supported && (s->whole > UINT64_MAX / 8 || s->whole * nn_type_size(s->type) > e->size))
        return sm_fail(SM_EFORMAT, "storage \"%.*s\" has %llu bytes, too few for %llu values", (int)s->n_key, s->key,
                       (unsigned long long)e->size, (unsigned long long)s->whole);
    s->data = e->data + s->offset * nn_type_size(s->type);
    return 0;
}

static const zip_entry *find_pickle(package *p)
{
    static const char tail[] = "data.pkl";
    const size_t n = sizeof tail - 1;
    for (size_t i = 0; i < p->zip.n; i++) {
        const zip_entry *e = &p->zip.entries[i];
        if (e->n_name < n || memcmp(e->name + e->n_name - n, tail, n) != 0 ||
            (e->n_name > n && e->name[e->n_name - n - 1] != '/'))
            continue;
        p->prefix = e->name;
        p->n_prefix = e->n_name - n;
        return e;
    }
    return NULL;
}

static int read_package(sm_weights *w, package *p, p_vm *vm)
{
    const zip_entry *pickle = find_pickle(p), *order;
    const p_value *root;
    size_t used;
    if (!pickle)
        return sm_fail(SM_EFORMAT, "a zip archive without data.pkl: not from PyTorch");
    int err = zip_readable(pickle);
    if (err < 0)
        return err;
    order = member(p, "byteorder", 9);
    if (order && order->data && order->size >= 3 && memcmp(order->data, "big", 3) == 0)
        return sm_fail(SM_EUNSUPPORTED, "its numbers are big-endian");
    /* torch.save can leave check sums out; they are 0 then */
    if (pickle->crc && pickle->size <= UINT32_MAX && crc32(0, pickle->data, (uInt)pickle->size) != pickle->crc)
        return sm_fail(SM_EFORMAT, "data.pkl does not have its check sum");
    err = p_run(vm, pickle->data, (size_t)pickle->size, &root, &used);
    return err < 0 ? err : torch_add_tree(w, root, vm->n_steps);
}

int w_torch_zip_open(sm_weights *w)
{
    package p = { 0 };
    p_vm vm = { .persistent = zip_storage, .user = &p };
    int err = zip_open(w->data, w->size, &p.zip);
    if (err == 0) {
        vm.arena = sm_arena_new();
        err = vm.arena ? read_package(w, &p, &vm) : w_no_memory();
    }
    p_free(&vm);
    sm_arena_free(vm.arena);
    zip_close(&p.zip);
    return err;
}

/* ---- the older form ---- */

/* torch.serialization's MAGIC_NUMBER 0x1950a86a20f9469cfc6c: too long for 64 bits, so it stays bytes */
static const uint8_t magic[] = { 0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20, 0x6A, 0xA8, 0x50, 0x19 };

bool w_torch_raw_probe(const uint8_t *d, size_t n)
{
    return n >= 3 && d[0] == 0x80 && d[1] >= 2 && d[1] <= 5;
}

/* Storages as the pickle names them, to be given their bytes when these come. */
typedef struct {
    p_storage **items;
    size_t n, cap;
} storages;

/* Beside storages, classes of modules have persistent ids here: ("module", class, file, source). */
static int raw_storage(p_vm *vm, const p_value *id, p_value **out)
{
    storages *all = vm->user;
    if (p_is(p_item(id, 0, P_TEXT), "module") && p_item(id, 1, P_GLOBAL)) {
        *out = id->list.items[1];
        return 0;
    }
    int err = torch_storage(vm, id, out);
    if (err == 0 && (err = sm_grow(&all->items, &all->cap, all->n + 1, sizeof *all->items)) == 0)
        all->items[all->n++] = (*out)->storage;
    return err;
}

static int compare_keys(const char *a, size_t na, const char *b, size_t nb)
{
    const int c = memcmp(a, b, SM_MIN(na, nb));
    return c ? c : na < nb ? -1 : na > nb;
}

static int by_key(const void *a, const void *b)
{
    const p_storage *x = *(p_storage *const *)a, *y = *(p_storage *const *)b;
    return compare_keys(x->key, x->n_key, y->key, y->n_key);
}

/* All storages of this key get their bytes; they may name several views of one. */
static int give_data(const storages *all, const p_value *key, const uint8_t *data, uint64_t numel, uint64_t room,
                     uint64_t *bytes)
{
    size_t low = 0, high = all->n;
    while (low < high) {
        const size_t middle = (low + high) / 2;
        if (compare_keys(all->items[middle]->key, all->items[middle]->n_key, key->text.s, key->text.n) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == all->n || compare_keys(all->items[low]->key, all->items[low]->n_key, key->text.s, key->text.n) != 0)
        return sm_fail(SM_EFORMAT, "the list of storages names one that nothing uses");
    const size_t unit = nn_type_size(all->items[low]->type);
    if (!all->items[low]->supported)
        return sm_fail(SM_EUNSUPPORTED, "a storage of class %s, which is not supported", all->items[low]->class);
    if (numel > room / unit)
        return sm_fail(SM_EFORMAT, "storage \"%.*s\" goes beyond the end of the file",
                       (int)SM_MIN(key->text.n, (size_t)80), key->text.s);
    *bytes = numel * unit;
    for (size_t i = low;
         i < all->n && compare_keys(all->items[i]->key, all->items[i]->n_key, key->text.s, key->text.n) == 0; i++) {
        p_storage *s = all->items[i];
        if (s->data || nn_type_size(s->type) != unit || s->whole > numel)
            return sm_fail(SM_EFORMAT, "storage \"%.*s\" is told twice, or in two ways",
                           (int)SM_MIN(s->n_key, (size_t)80), s->key);
        s->data = data + s->offset * unit;
    }
    return 0;
}

/* After the pickles: for each key in their order an i64 count and the values. */
static int read_storages(sm_weights *w, size_t at, const p_value *keys, const storages *all)
{
    int err = 0;
    if (keys->kind != P_LIST)
        return sm_fail(SM_EFORMAT, "the list of storages is no list");
    if (all->n)
        qsort(all->items, all->n, sizeof *all->items, by_key);
    for (size_t i = 0; i < keys->list.n && err == 0; i++) {
        const p_value *key = p_item(keys, i, P_TEXT);
        uint64_t bytes = 0;
        if (!key || w->size - at < 8)
            return sm_fail(SM_EFORMAT, "the storages are cut short");
        err = give_data(all, key, w->data + at + 8, w_u64(w->data + at), w->size - at - 8, &bytes);
        at += 8 + (size_t)bytes;
    }
    return err;
}

/* Runs the next pickle of the row. */
static int next(sm_weights *w, p_vm *vm, size_t *at, const p_value **out)
{
    size_t used = 0;
    const int err = p_run(vm, w->data + *at, w->size - *at, out, &used);
    *at += used;
    return err;
}

static int read_row(sm_weights *w, p_vm *vm, storages *all)
{
    size_t at = 0;
    const p_value *number, *protocol, *system, *root, *keys;
    int err = next(w, vm, &at, &number);
    if (err < 0 || number->kind != P_BYTES || number->text.n != sizeof magic ||
        memcmp(number->text.s, magic, sizeof magic) != 0)
        return sm_fail_prefix(err < 0 ? err : sm_fail(SM_EFORMAT, "it does not start with their number"),
                              "a pickle, but not one of PyTorch's");
    if ((err = next(w, vm, &at, &protocol)) < 0 || (err = next(w, vm, &at, &system)) < 0)
        return err;
    if (protocol->kind != P_INT || protocol->i != 1001)
        return sm_fail(SM_EUNSUPPORTED, "PyTorch's serialisation in a protocol other than 1001");
    const p_value *little = p_lookup(system, "little_endian");
    if (little && little->kind == P_BOOL && !little->i)
        return sm_fail(SM_EUNSUPPORTED, "its numbers are big-endian");
    vm->persistent = raw_storage;
    vm->user = all;
    if ((err = next(w, vm, &at, &root)) < 0)
        return err;
    vm->persistent = NULL;
    if ((err = next(w, vm, &at, &keys)) < 0 || (err = read_storages(w, at, keys, all)) < 0)
        return err;
    return torch_add_tree(w, root, vm->n_steps);
}

int w_torch_raw_open(sm_weights *w)
{
    storages all = { 0 };
    p_vm vm = { .arena = sm_arena_new() };
    const int err = vm.arena ? read_row(w, &vm, &all) : w_no_memory();
    p_free(&vm);
    sm_free(all.items);
    sm_arena_free(vm.arena);
    return err;
}
