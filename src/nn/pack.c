/* Packed weights: forms of constants that plans share, found by what the numbers are and how they are packed. */
#include "nn/plan_type.h"

#include <pthread.h>
#include <string.h>

typedef struct {
    uint64_t identity;
    char *key;
    void *data;
    size_t bytes;
} form;

struct nn_pack {
    pthread_mutex_t lock; /* recursive: filling one form may ask for another */
    form *forms;
    size_t n, cap, bytes;
};

int nn_pack_new(nn_pack **out)
{
    pthread_mutexattr_t attributes;
    nn_pack *p = sm_alloc_zero(1, sizeof *p);

    *out = NULL;
    if (!p)
        return SM_ENOMEM;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
    const int failed = pthread_mutex_init(&p->lock, &attributes);
    pthread_mutexattr_destroy(&attributes);
    if (failed) {
        sm_free(p);
        return sm_fail(SM_ENOMEM, "no memory for a lock");
    }
    *out = p;
    return 0;
}

void nn_pack_free(nn_pack *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < p->n; i++) {
        sm_free(p->forms[i].key);
        sm_free(p->forms[i].data);
    }
    sm_free(p->forms);
    pthread_mutex_destroy(&p->lock);
    sm_free(p);
}

size_t nn_pack_bytes(const nn_pack *p)
{
    nn_pack *open = (nn_pack *)(uintptr_t)p; /* the lock changes, the pack does not */
    pthread_mutex_lock(&open->lock);
    const size_t bytes = p->bytes;
    pthread_mutex_unlock(&open->lock);
    return bytes;
}

static const form *find(const nn_pack *p, uint64_t identity, const char *key, size_t bytes)
{
    for (size_t i = 0; i < p->n; i++)
        if (p->forms[i].identity == identity && p->forms[i].bytes == bytes && !strcmp(p->forms[i].key, key))
            return &p->forms[i];
    return NULL;
}

static int make(nn_pack *p, form *f, int (*fill)(nn_compiler *c, void *user, void *data), nn_compiler *c, void *user,
                const char *key)
{
    int err = 0;
    f->key = sm_strdup(key);
    f->data = sm_alloc_aligned(SM_MAX(f->bytes, 1), 1);
    if (!f->key || !f->data)
        err = SM_ENOMEM;
    else
        err = fill(c, user, f->data);
    if (err >= 0)
        err = sm_grow(&p->forms, &p->cap, p->n + 1, sizeof *p->forms);
    if (err < 0) {
        sm_free(f->key);
        sm_free(f->data);
        return err;
    }
    p->forms[p->n++] = *f;
    p->bytes += f->bytes;
    return 0;
}

int nn_pack_find(nn_pack *p, uint64_t identity, const char *key, size_t bytes,
                 int (*fill)(nn_compiler *c, void *user, void *data), nn_compiler *c, void *user, const void **data)
{
    form made = { .identity = identity, .bytes = bytes };
    int err = 0;

    *data = NULL;
    pthread_mutex_lock(&p->lock);
    const form *f = find(p, identity, key, bytes);
    if (f)
        *data = f->data;
    else if ((err = make(p, &made, fill, c, user, key)) == 0)
        *data = made.data;
    pthread_mutex_unlock(&p->lock);
    return err;
}
