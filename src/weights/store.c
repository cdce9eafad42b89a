#include "weights/store.h"

sm_weights *w_new(const char *label)
{
    sm_weights *w = sm_alloc_zero(1, sizeof *w);
    if (!w)
        return NULL;
    pthread_mutex_init(&w->lock, NULL);
    w->label = sm_strdup(label);
    w->arena = sm_arena_new();
    if (!w->label || !w->arena) {
        sm_weights_close(w);
        return NULL;
    }
    return w;
}

void sm_weights_close(sm_weights *w)
{
    if (!w)
        return;
    for (size_t i = 0; i < w->n_tensors; i++) {
        sm_free(w->tensors[i].made);
        sm_free(w->tensors[i].f32);
    }
    for (size_t i = 0; i < w->n_joined; i++)
        sm_weights_close(w->joined[i]);
    sm_free(w->joined);
    for (size_t i = 0; i < w->n_parts; i++)
        sm_buffer_free(&w->parts[i]);
    sm_free(w->parts);
    sm_free(w->tensors);
    w_names_clear(&w->index);
    sm_free(w->meta);
    sm_buffer_free(&w->unpacked);
    sm_map_close(w->map);
    sm_arena_free(w->arena);
    sm_free(w->label);
    pthread_mutex_destroy(&w->lock);
    sm_free(w);
}

void w_set_data(sm_weights *w, const uint8_t *data, size_t size)
{
    w->data = data;
    w->size = size;
    /* Deflated weights shrink to a third at best, views of one storage repeat it a few times; 64 is far beyond either. */
    if (sm_mul_overflow(size, 64, &w->budget) || sm_add_overflow(w->budget, (size_t)64 << 20, &w->budget))
        w->budget = SIZE_MAX;
}

int w_no_memory(void)
{
    return sm_fail(SM_ENOMEM, "no memory");
}

int w_spend(sm_weights *w, size_t bytes)
{
    if (bytes > w->budget)
        return sm_fail(SM_ELIMIT, "asks for %zu bytes more than a file of %zu bytes may", bytes - w->budget, w->size);
    w->budget -= bytes;
    return 0;
}

size_t w_tensor_bytes(const w_tensor *t)
{
    return (size_t)nn_elements(&t->shape) * nn_type_size(t->type);
}

int w_check_shape(const char *name, nn_type type, const nn_shape *s)
{
    size_t bytes;
    if (s->rank < 0 || s->rank > NN_MAX_RANK)
        return sm_fail(SM_EUNSUPPORTED, "tensor \"%s\" has %d axes, at most %d are supported", name, s->rank,
                       NN_MAX_RANK);
    for (int i = 0; i < s->rank; i++)
        if (s->dim[i] < 0)
            return sm_fail(SM_EFORMAT, "tensor \"%s\" has a negative size on axis %d", name, i);
    const int64_t n = nn_elements(s);
    if (n < 0 || (uint64_t)n > SIZE_MAX / 2 || sm_mul_overflow((size_t)n, nn_type_size(type), &bytes) ||
        bytes > SIZE_MAX / 2)
        return sm_fail(SM_EFORMAT, "tensor \"%s\" has an impossible size", name);
    return 0;
}

w_tensor *w_find(const sm_weights *w, const char *name)
{
    size_t at;
    return w_names_get(&w->index, name, &at) ? &w->tensors[at] : NULL;
}

int w_add(sm_weights *w, const w_tensor *t)
{
    int err;
    if (!t->name || !*t->name)
        return sm_fail(SM_EFORMAT, "a tensor without a name");
    if ((err = w_check_shape(t->name, t->type, &t->shape)) < 0)
        return err;
    if (w_find(w, t->name))
        return sm_fail(SM_EFORMAT, "two tensors are called \"%s\"", t->name);
    if (!t->bytes && (err = w_spend(w, w_tensor_bytes(t))) < 0)
        return sm_fail_prefix(err, "tensor \"%s\"", t->name);
    if ((err = sm_grow(&w->tensors, &w->cap_tensors, w->n_tensors + 1, sizeof *w->tensors)) < 0 ||
        (err = w_names_put(&w->index, t->name, w->n_tensors)) < 0)
        return err;
    w->tensors[w->n_tensors] = *t;
    w->tensors[w->n_tensors].made = NULL;
    w->tensors[w->n_tensors].f32 = NULL;
    w->n_tensors++;
    return 0;
}

/* ---- text and metadata ---- */

int w_text(sm_weights *w, const void *bytes, size_t n, const char *what, const char **out)
{
    *out = NULL;
    if (n && (memchr(bytes, 0, n) || !sm_utf8_valid(bytes, n)))
        return sm_fail(SM_EFORMAT, "%s is not UTF-8 text", what);
    *out = sm_arena_strndup(w->arena, n ? bytes : "", n);
    return *out ? 0 : w_no_memory();
}

const char *sm_weights_meta(const sm_weights *w, const char *key)
{
    for (size_t i = 0; i < w->n_meta; i++)
        if (strcmp(w->meta[i].key, key) == 0)
            return w->meta[i].value;
    return NULL;
}

int w_meta(sm_weights *w, const char *key, const char *value)
{
    int err = sm_grow(&w->meta, &w->cap_meta, w->n_meta + 1, sizeof *w->meta);
    if (err < 0)
        return err;
    w_pair *p = &w->meta[w->n_meta];
    p->key = sm_arena_strdup(w->arena, key);
    p->value = sm_arena_strdup(w->arena, value);
    if (!p->key || !p->value)
        return w_no_memory();
    w->n_meta++;
    return 0;
}

size_t sm_weights_meta_count(const sm_weights *w)
{
    return w->n_meta;
}

const char *sm_weights_meta_key(const sm_weights *w, size_t i)
{
    return i < w->n_meta ? w->meta[i].key : NULL;
}

/* ---- data ---- */

int w_ready(sm_weights *w, w_tensor *t)
{
    const size_t align = nn_type_size(t->type);
    if (t->made || (t->bytes && (uintptr_t)t->bytes % align == 0))
        return 0;
    const size_t n = w_tensor_bytes(t);
    void *made = sm_alloc_aligned(1, n);
    int err = 0;
    if (!made)
        return sm_fail_prefix(w_no_memory(), "tensor \"%s\"", t->name);
    if (t->bytes)
        memcpy(made, t->bytes, n);
    else
        err = t->fill(w, t, made);
    if (err < 0) {
        sm_free(made);
        return sm_fail_prefix(err, "tensor \"%s\"", t->name);
    }
    t->made = made;
    return 0;
}
