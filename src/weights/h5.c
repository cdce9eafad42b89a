/* Keras .h5: the superblock, and the walk over groups. A tensor's name is its path without the leading '/'. */
#include "weights/h5.h"

enum { MAX_DEPTH = 32, MAX_LEVEL = 16 };
static const uint8_t signature[8] = { 0x89, 'H', 'D', 'F', '\r', '\n', 0x1A, '\n' };

/* The walk. Each object and each node of a tree is paid for in bytes of headers (h5_file.work), so that loops end. */
typedef struct {
    sm_weights *w;
    h5_file f;
} walk;

static int visit(walk *k, uint64_t address, const char *path, int depth);

/* The signature stands at byte 0, or after a user block of 512, 1024, 2048 ... bytes. */
static size_t find_signature(const uint8_t *d, size_t n)
{
    if (n >= 8 && memcmp(d, signature, 8) == 0)
        return 0;
    for (size_t at = 512; at < (1 << 20) && n >= 8 && at <= n - 8; at *= 2)
        if (memcmp(d + at, signature, 8) == 0)
            return at;
    return SIZE_MAX;
}

bool w_h5_probe(const uint8_t *d, size_t n)
{
    return find_signature(d, n) != SIZE_MAX;
}

static int read_superblock(const uint8_t *d, size_t n, h5_file *f, uint64_t *root)
{
    const size_t start = find_signature(d, n);
    const uint8_t *s = d + start;
    const size_t left = n - start;
    if (left < 16)
        return sm_fail(SM_EFORMAT, "the superblock is cut short");
    const int version = s[8];
    const bool old = version < 2;
    size_t at = old ? (version == 1 ? 28 : 24) : 12;
    if (version > 3)
        return sm_fail(SM_EUNSUPPORTED, "HDF5 superblock of version %d", version);
    f->offset_size = s[old ? 13 : 9];
    f->length_size = s[old ? 14 : 10];
    if ((f->offset_size != 2 && f->offset_size != 4 && f->offset_size != 8) ||
        (f->length_size != 2 && f->length_size != 4 && f->length_size != 8))
        return sm_fail(SM_EFORMAT, "HDF5 addresses of %d and lengths of %d bytes", f->offset_size, f->length_size);
    const size_t o = (size_t)f->offset_size;
    if (left < at + (old ? 6 : 4) * o)
        return sm_fail(SM_EFORMAT, "the superblock is cut short");
    const uint64_t base = h5_uint(s + at, f->offset_size), end = h5_uint(s + at + 2 * o, f->offset_size);
    const uint64_t from = base ? base : start; /* some writers of a user block store 0 */
    if (from > n || end > n)
        return sm_fail(SM_EFORMAT, "the file is cut short: it says it has %llu bytes and has %zu",
                       (unsigned long long)end, n);
    f->data = d + from;
    f->size = n - from;
    *root = h5_uint(s + at + (old ? 5 : 3) * o, f->offset_size);
    return 0;
}

static int spend(const walk *k, uint64_t entries)
{
    if (entries * 16 > *k->f.work)
        return sm_fail(SM_EFORMAT, "its groups go round in circles");
    *k->f.work -= entries * 16;
    return 0;
}

/* ---- links ---- */

static int follow(walk *k, uint64_t address, const char *path, const uint8_t *name, size_t n, int depth)
{
    const char *leaf, *full;
    int err = spend(k, 1);
    if (err < 0 || (err = w_text(k->w, name, n, "the name of a group or data set", &leaf)) < 0)
        return err;
    if ((err = w_spend(k->w, strlen(path) + n)) < 0)
        return err;
    full = *path ? sm_arena_printf(k->w->arena, "%s/%s", path, leaf) : leaf;
    return full ? visit(k, address, full, depth + 1) : w_no_memory();
}

/* Message 6, a link of a new-style group. Soft and external links are left alone. */
static int read_link(walk *k, const char *path, int depth, const uint8_t *p, size_t n)
{
    const size_t o = (size_t)k->f.offset_size;
    if (n < 2 || p[0] != 1)
        return sm_fail(SM_EFORMAT, "a link of an unknown version");
    const unsigned flags = p[1];
    const int width = 1 << (flags & 3);
    size_t at = 2 + (flags & 8 ? 1 : 0) + (flags & 4 ? 8 : 0) + (flags & 16 ? 1 : 0);
    if (flags & 8 && n > 2 && p[2] != 0)
        return 0;
    if (n < at + (size_t)width)
        return sm_fail(SM_EFORMAT, "a link is cut short");
    const uint64_t length = h5_uint(p + at, width);
    at += (size_t)width;
    if (!w_inside(at, length, n) || n - at - length < o)
        return sm_fail(SM_EFORMAT, "a link is cut short");
    return follow(k, h5_address(&k->f, p + at + length), path, p + at, (size_t)length, depth);
}

static int read_symbols(walk *k, uint64_t address, const uint8_t *names, uint64_t n_names, const char *path, int depth)
{
    const h5_file *f = &k->f;
    const size_t o = (size_t)f->offset_size, entry = 2 * o + 24;
    const uint8_t *p = h5_at(f, address, 8, "a symbol table");
    int err = 0;
    if (!p)
        return SM_EFORMAT;
    const size_t n = w_u16(p + 6);
    if (memcmp(p, "SNOD", 4) != 0)
        return sm_fail(SM_EFORMAT, "a symbol table is damaged");
    p = h5_at(f, address, 8 + n * entry, "a symbol table");
    if (!p || (err = spend(k, n)) < 0)
        return p ? err : SM_EFORMAT;
    for (size_t i = 0; i < n && err == 0; i++) {
        const uint8_t *s = p + 8 + i * entry;
        const uint64_t name = h5_address(f, s);
        if (w_u32(s + 2 * o) == 2) /* a symbolic link */
            continue;
        if (name >= n_names || !memchr(names + name, 0, (size_t)(n_names - name)))
            return sm_fail(SM_EFORMAT, "a name lies outside its heap");
        err = follow(k, h5_address(f, s + o), path, names + name, strlen((const char *)names + name), depth);
    }
    return err;
}

static int read_tree(walk *k, uint64_t address, int level_above, const uint8_t *names, uint64_t n_names,
                     const char *path, int depth)
{
    const h5_file *f = &k->f;
    const size_t o = (size_t)f->offset_size, l = (size_t)f->length_size, head = 8 + 2 * o;
    const uint8_t *p = h5_at(f, address, head, "an index of a group");
    int err;
    if (!p)
        return SM_EFORMAT;
    const int level = p[5];
    const size_t n = w_u16(p + 6);
    if (memcmp(p, "TREE", 4) != 0 || p[4] != 0 || level >= level_above)
        return sm_fail(SM_EFORMAT, "the index of group \"%s\" is damaged", path);
    if ((err = spend(k, n + 1)) < 0)
        return err;
    p = h5_at(f, address, head + n * (o + l) + l, "an index of a group");
    if (!p)
        return SM_EFORMAT;
    for (size_t i = 0; i < n && err == 0; i++) {
        const uint64_t child = h5_address(f, p + head + l + i * (o + l));
        err = level ? read_tree(k, child, level, names, n_names, path, depth)
                    : read_symbols(k, child, names, n_names, path, depth);
    }
    return err;
}

/* Message 17: an old-style group, a B-tree of symbol tables with the names in a local heap. */
static int read_symbol_table(walk *k, const char *path, int depth, const uint8_t *p, size_t n)
{
    const h5_file *f = &k->f;
    const size_t o = (size_t)f->offset_size, l = (size_t)f->length_size;
    if (n < 2 * o)
        return sm_fail(SM_EFORMAT, "group \"%s\" is damaged", path);
    const uint64_t tree = h5_address(f, p), heap = h5_address(f, p + o);
    const uint8_t *h = h5_at(f, heap, 8 + 2 * l + o, "a heap of names");
    if (!h)
        return SM_EFORMAT;
    if (memcmp(h, "HEAP", 4) != 0)
        return sm_fail(SM_EFORMAT, "the names of group \"%s\" are damaged", path);
    const uint64_t size = h5_uint(h + 8, f->length_size);
    const uint8_t *names = h5_at(f, h5_address(f, h + 8 + 2 * l), size, "a heap of names");
    return names ? read_tree(k, tree, MAX_LEVEL + 1, names, size, path, depth) : SM_EFORMAT;
}

/* Message 2 says where the links are that do not stand in the header. */
static int check_link_info(const walk *k, const char *path, const uint8_t *p, size_t n)
{
    const size_t at = 2 + (n > 1 && p[1] & 1 ? 8 : 0);
    if (n < at + (size_t)k->f.offset_size)
        return sm_fail(SM_EFORMAT, "group \"%s\" is damaged", path);
    if (h5_undefined(&k->f, h5_address(&k->f, p + at)))
        return 0;
    return sm_fail(
        SM_EUNSUPPORTED,
        "group \"%s\" keeps its links in a fractal heap, which is not supported (written with libver=\"latest\")",
        path);
}

/* ---- objects ---- */

typedef struct {
    walk *k;
    const char *path;
    int depth;
    bool group;
    h5_dataset set;
} object;

static int collect(void *user, unsigned type, unsigned flags, const uint8_t *p, size_t n)
{
    object *o = user;
    h5_dataset *d = &o->set;
    const bool shared = flags & H5_SHARED;
    switch (type) {
    case H5_DATASPACE:
        d->has_space = true;
        d->shared |= shared;
        return shared ? 0 : h5_read_space(d->file, p, n, &d->space);
    case H5_DATATYPE:
        d->has_type = true;
        d->shared |= shared;
        return shared ? 0 : h5_read_type(p, n, &d->type);
    case H5_LAYOUT:
        d->has_layout = true;
        d->layout = p;
        d->n_layout = n;
        return 0;
    case H5_FILTERS:
        d->shared |= shared;
        d->filters = p;
        d->n_filters = n;
        return 0;
    case H5_FILL:
        if (!shared) {
            d->fill = p;
            d->n_fill = n;
        }
        return 0;
    case H5_SYMBOL_TABLE:
    case H5_LINK:
    case H5_LINK_INFO:
        o->group = true;
        return 0;
    default:
        return 0;
    }
}

static int enter(void *user, unsigned type, unsigned flags, const uint8_t *p, size_t n)
{
    object *o = user;
    walk *k = o->k;
    if (type == H5_ATTRIBUTE)
        return flags & H5_SHARED ? 0 : h5_add_attribute(k->w, &k->f, o->path, p, n);
    if (type == H5_SYMBOL_TABLE)
        return read_symbol_table(k, o->path, o->depth, p, n);
    if (type == H5_LINK)
        return read_link(k, o->path, o->depth, p, n);
    if (type == H5_LINK_INFO)
        return check_link_info(k, o->path, p, n);
    return 0;
}

static int visit(walk *k, uint64_t address, const char *path, int depth)
{
    object o = { .k = k, .path = path, .depth = depth, .set = { .file = &k->f } };
    int err;
    if (depth > MAX_DEPTH)
        return sm_fail(SM_ELIMIT, "groups are nested more than %d deep", MAX_DEPTH);
    if ((err = h5_messages(&k->f, address, collect, &o)) < 0)
        return sm_fail_prefix(err, "\"/%s\"", path);
    if (!o.group && o.set.has_layout)
        return h5_add_dataset(k->w, &o.set, path);
    if (!o.group && depth)
        return 0; /* a named datatype */
    return h5_messages(&k->f, address, enter, &o);
}

int w_h5_open(sm_weights *w)
{
    uint64_t root = 0,
             work = 65536 + (uint64_t)w->size * 4; /* each header is read at most twice, if nothing is shared */
    walk k = { .w = w, .f = { .work = &work } };
    const int err = read_superblock(w->data, w->size, &k.f, &root);
    return err < 0 ? err : visit(&k, root, "", 0);
}
