#include "weights/torch_tree.h"

enum { MAX_DEPTH = 48, META_DEPTH = 4, MAX_META = 4096, META_VALUES = 1 << 16 };

typedef struct {
    sm_weights *w;
    size_t budget; /* values that may still be visited: shared ones are reached again and again */
    size_t json;   /* values that may still be written as metadata */
    size_t n_meta;
} tree;

/* ---- storages ---- */

int torch_storage(p_vm *vm, const p_value *id, p_value **out)
{
    const p_value *class = p_item(id, 1, P_GLOBAL), *key = p_item(id, 2, P_TEXT), *numel = p_item(id, 4, P_INT);
    const p_value *view = p_item(id, 5, P_TUPLE), *offset = p_item(view, 1, P_INT), *size = p_item(view, 2, P_INT);
    if (!p_is(p_item(id, 0, P_TEXT), "storage") || !class || !key || !numel || numel->i < 0)
        return sm_fail(SM_EFORMAT, "the pickle names a storage that makes no sense");
    if (view &&
        (!offset || !size || offset->i < 0 || size->i < 0 || offset->i > numel->i || size->i > numel->i - offset->i))
        return sm_fail(SM_EFORMAT, "the pickle names a view of a storage that makes no sense");
    p_value *v = p_new(vm, P_STORAGE);
    p_storage *s = sm_arena_zero(vm->arena, 1, sizeof *s);
    if (!v || !s)
        return w_no_memory();
    s->key = key->text.s;
    s->n_key = key->text.n;
    s->class = class->text.s;
    s->supported = p_storage_type(class, &s->type);
    s->whole = (uint64_t)numel->i;
    s->numel = view ? (uint64_t)size->i : s->whole;
    s->offset = view ? (uint64_t)offset->i : 0;
    v->storage = s;
    *out = v;
    return 0;
}

/* ---- tensors ---- */

typedef struct {
    const uint8_t *data; /* element [0, 0, ...] */
    int64_t stride[NN_MAX_RANK];
} strided;

static int fill_strided(const sm_weights *w, const w_tensor *t, void *out)
{
    (void)w;
    const strided *s = t->how;
    const size_t unit = nn_type_size(t->type), n = (size_t)nn_elements(&t->shape);
    int64_t at[NN_MAX_RANK] = { 0 };
    uint8_t *to = out;
    size_t from = 0;
    for (size_t i = 0; i < n; i++, to += unit) {
        memcpy(to, s->data + from * unit, unit);
        for (int axis = t->shape.rank - 1; axis >= 0; axis--) {
            from += (size_t)s->stride[axis];
            if (++at[axis] < t->shape.dim[axis])
                break;
            from -= (size_t)s->stride[axis] * (size_t)t->shape.dim[axis];
            at[axis] = 0;
        }
    }
    return 0;
}

static int read_shape(const p_value *v, const char *name, nn_shape *shape, int64_t stride[NN_MAX_RANK])
{
    const p_value *size = v->tensor.size, *strides = v->tensor.stride;
    if (size->list.n > NN_MAX_RANK)
        return sm_fail(SM_EUNSUPPORTED, "tensor \"%s\" has %zu axes, at most %d are supported", name, size->list.n,
                       NN_MAX_RANK);
    shape->rank = (int)size->list.n;
    for (size_t i = 0; i < size->list.n; i++) {
        const p_value *n = p_item(size, i, P_INT), *s = p_item(strides, i, P_INT);
        if (!n || !s || n->i < 0 || s->i < 0 || strides->list.n != size->list.n)
            return sm_fail(SM_EFORMAT, "tensor \"%s\" has no proper size and strides", name);
        shape->dim[i] = n->i;
        stride[i] = s->i;
    }
    return 0;
}

/* Bytes from element 0 to the end of the last one; false: beyond any storage. */
static bool reach(const w_tensor *t, const int64_t *stride, uint64_t *out)
{
    uint64_t last = 0;
    for (int i = 0; i < t->shape.rank; i++) {
        uint64_t step;
        if (__builtin_mul_overflow((uint64_t)(t->shape.dim[i] - 1), (uint64_t)stride[i], &step) ||
            __builtin_add_overflow(last, step, &last))
            return false;
    }
    return !__builtin_add_overflow(last, 1, &last) &&
           !__builtin_mul_overflow(last, (uint64_t)nn_type_size(t->type), out);
}

static bool is_dense(const w_tensor *t, const int64_t *stride)
{
    int64_t expected = 1;
    for (int i = t->shape.rank - 1; i >= 0; i--) {
        if (t->shape.dim[i] != 1 && stride[i] != expected)
            return false;
        expected *= t->shape.dim[i];
    }
    return true;
}

static int add_tensor(tree *k, const p_value *v, const char *name)
{
    const p_storage *s = v->tensor.storage;
    w_tensor t = { .name = name, .type = v->tensor.typed ? v->tensor.type : s->type, .scale_axis = -1 };
    int64_t stride[NN_MAX_RANK];
    uint64_t start, length = 0, total;
    int err;
    if (!s->supported)
        return sm_fail(SM_EUNSUPPORTED, "tensor \"%s\" is kept in a %s, which is not supported", name, s->class);
    if ((err = read_shape(v, name, &t.shape, stride)) < 0 || (err = w_check_shape(name, t.type, &t.shape)) < 0)
        return err;
    const size_t unit = nn_type_size(t.type), storage_unit = nn_type_size(s->type);
    const bool empty = nn_elements(&t.shape) == 0;
    /* the offset counts in the tensor's elements, the storage in its own */
    if (v->tensor.offset->i < 0 || __builtin_mul_overflow((uint64_t)v->tensor.offset->i, unit, &start) ||
        __builtin_mul_overflow(s->numel, storage_unit, &total) ||
        (!empty && (!reach(&t, stride, &length) || !w_inside(start, length, total))))
        return sm_fail(SM_EFORMAT, "tensor \"%s\" reaches beyond its storage of %llu values", name,
                       (unsigned long long)s->numel);
    if (!s->data && !empty)
        return sm_fail(SM_EFORMAT, "tensor \"%s\" has no data: storage \"%.*s\" is missing", name,
                       (int)SM_MIN(s->n_key, (size_t)80), s->key);
    if (empty || is_dense(&t, stride)) {
        t.bytes = empty ? k->w->data : s->data + start;
        return w_add(k->w, &t);
    }
    strided *how = sm_arena_get(k->w->arena, 1, sizeof *how, 8);
    if (!how)
        return w_no_memory();
    how->data = s->data + start;
    memcpy(how->stride, stride, sizeof stride);
    t.how = how;
    t.fill = fill_strided;
    return w_add(k->w, &t);
}

/* ---- the walk ---- */

static int walk(tree *k, const p_value *v, const char *path, int depth, bool *has_tensor);

/* "path.key" */
static int child_path(tree *k, const char *path, const char *key, size_t n, const char **out)
{
    const char *text = NULL;
    int err = w_text(k->w, key, n, "a key of the pickle", &text);
    if (err < 0 || (err = w_spend(k->w, strlen(path) + n)) < 0)
        return err;
    *out = *path ? sm_arena_printf(k->w->arena, "%s.%s", path, text) : text;
    return *out ? 0 : w_no_memory();
}

static int add_meta(tree *k, const p_value *v, const char *path)
{
    sm_buffer text = { 0 };
    sm_json j;
    if (k->n_meta == MAX_META)
        return 0;
    sm_json_init(&j, &text, false);
    int err = p_json(v, &j, &k->json);
    if (err == SM_ELIMIT) /* too much to tell: left out */
        err = 0;
    else if (err == 0 && text.failed)
        err = w_no_memory();
    else if (err == 0) {
        err = w_meta(k->w, path, text.data);
        k->n_meta++;
    }
    sm_buffer_free(&text);
    return err;
}

static int walk_child(tree *k, const p_value *v, const char *path, const char *key, size_t n, bool named, int depth,
                      bool *has_tensor)
{
    bool tensors = false;
    const char *child = NULL;
    int err = child_path(k, path, key, n, &child);
    if (err == 0)
        err = walk(k, v, child, depth + 1, &tensors);
    if (err == 0 && named && !tensors && depth < META_DEPTH)
        err = add_meta(k, v, child);
    *has_tensor |= tensors;
    return err;
}

static int walk_dict(tree *k, const p_value *v, const char *path, int depth, bool *has_tensor)
{
    int err = 0;
    for (size_t i = 0; i + 1 < v->list.n && err == 0; i += 2) {
        const p_value *key = v->list.items[i], *item = v->list.items[i + 1];
        char number[32];
        if (key->kind == P_TEXT) {
            err = walk_child(k, item, path, key->text.s, key->text.n, true, depth, has_tensor);
        } else if (key->kind == P_INT) {
            snprintf(number, sizeof number, "%lld", (long long)key->i);
            err = walk_child(k, item, path, number, strlen(number), true, depth, has_tensor);
        }
    }
    return err;
}

static int walk(tree *k, const p_value *v, const char *path, int depth, bool *has_tensor)
{
    char number[32];
    int err = 0;
    if (k->budget == 0 || depth > MAX_DEPTH)
        return sm_fail(SM_ELIMIT, "the pickle is nested too deep, or in circles, at \"%.100s\"", path);
    k->budget--;
    switch (v->kind) {
    case P_TENSOR:
        *has_tensor = true;
        return add_tensor(k, v, *path ? path : "tensor");
    case P_DICT:
        return walk_dict(k, v, path, depth, has_tensor);
    case P_LIST:
    case P_TUPLE:
        for (size_t i = 0; i < v->list.n && err == 0; i++) {
            const p_kind kind = v->list.items[i]->kind;
            if (kind != P_TENSOR && kind != P_DICT && kind != P_LIST && kind != P_TUPLE && kind != P_OBJECT)
                continue;
            snprintf(number, sizeof number, "%zu", i);
            err = walk_child(k, v->list.items[i], path, number, strlen(number), false, depth, has_tensor);
        }
        return err;
    case P_OBJECT: /* a module: what it was filled with and its state hold its tensors */
        if (v->object.items)
            err = walk(k, v->object.items, path, depth + 1, has_tensor);
        if (err == 0 && v->object.state)
            err = walk(k, v->object.state, path, depth + 1, has_tensor);
        return err;
    default:
        return 0;
    }
}

int torch_add_tree(sm_weights *w, const p_value *root, size_t n_steps)
{
    tree k = { .w = w, .budget = 64 + 4 * n_steps, .json = META_VALUES };
    bool has_tensor = false;
    const int err = walk(&k, root, "", 0, &has_tensor);
    if (err == 0 && !has_tensor && k.n_meta == 0)
        return sm_fail(SM_EFORMAT, "a pickle without tensors");
    return err;
}
