/* The only allocator of the project, with the counters that let tests fail each allocation once and find leaks. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"

#define ALIGNMENT ((size_t)64)

/* Process-wide on purpose: they describe the process's heap, and only tests read them. */
static atomic_long fail_in = -1;
static atomic_bool has_failed;
static atomic_long alive;
static atomic_long made;

void sm_test_fail_allocation(long n)
{
    atomic_store(&has_failed, false);
    atomic_store(&fail_in, n < 0 ? -1 : n);
}

bool sm_test_allocation_failed(void)
{
    return atomic_load(&has_failed);
}

long sm_test_allocations_alive(void)
{
    return atomic_load(&alive);
}

long sm_test_allocations_made(void)
{
    return atomic_load(&made);
}

static bool must_fail(void)
{
    if (atomic_load_explicit(&fail_in, memory_order_relaxed) < 0 || atomic_fetch_sub(&fail_in, 1) != 0)
        return false;
    atomic_store(&has_failed, true);
    return true;
}

static void *no_memory(size_t count, size_t size)
{
    if (size == 1)
        sm_fail(SM_ENOMEM, "no memory for %zu bytes", count);
    else
        sm_fail(SM_ENOMEM, "no memory for %zu x %zu bytes", count, size);
    return NULL;
}

/* Bytes to ask for, at least one; false: too many for any object. */
static bool byte_count(size_t count, size_t size, size_t *bytes)
{
    if (sm_mul_overflow(count, size, bytes) || *bytes > PTRDIFF_MAX - ALIGNMENT)
        return false;
    *bytes = SM_MAX(*bytes, 1);
    return true;
}

static void *counted(void *p, size_t count, size_t size)
{
    if (!p)
        return no_memory(count, size);
    atomic_fetch_add_explicit(&alive, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&made, 1, memory_order_relaxed);
    return p;
}

void *sm_alloc(size_t count, size_t size)
{
    size_t bytes = 0;

    if (!byte_count(count, size, &bytes) || must_fail())
        return no_memory(count, size);
    return counted(malloc(bytes), count, size);
}

void *sm_alloc_zero(size_t count, size_t size)
{
    size_t bytes = 0;

    if (!byte_count(count, size, &bytes) || must_fail())
        return no_memory(count, size);
    return counted(calloc(bytes, 1), count, size);
}

void *sm_alloc_aligned(size_t count, size_t size)
{
    size_t bytes = 0;

    if (!byte_count(count, size, &bytes) || must_fail())
        return no_memory(count, size);
    return counted(aligned_alloc(ALIGNMENT, (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT), count, size);
}

void *sm_realloc(void *old, size_t count, size_t size)
{
    size_t bytes = 0;
    void *p;

    if (!old)
        return sm_alloc(count, size);
    if (!byte_count(count, size, &bytes) || must_fail())
        return no_memory(count, size);
    p = realloc(old, bytes);
    return p ? p : no_memory(count, size);
}

void sm_free(void *p)
{
    if (p)
        atomic_fetch_sub_explicit(&alive, 1, memory_order_relaxed);
    free(p);
}

char *sm_strndup(const char *s, size_t n)
{
    const size_t length = strnlen(s, n);
    char *copy = sm_alloc(length + 1, 1);

    if (copy) {
        memcpy(copy, s, length);
        copy[length] = 0;
    }
    return copy;
}

char *sm_strdup(const char *s)
{
    return sm_strndup(s, strlen(s));
}

char *sm_printf_new(const char *format, ...)
{
    va_list args;
    int length;
    char *text;

    va_start(args, format);
    length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    text = length < 0 ? no_memory(0, 1) : sm_alloc((size_t)length + 1, 1);
    if (!text)
        return NULL;
    va_start(args, format);
    vsnprintf(text, (size_t)length + 1, format, args);
    va_end(args);
    return text;
}

bool sm_mul_overflow(size_t a, size_t b, size_t *out)
{
    size_t product;

    if (__builtin_mul_overflow(a, b, &product))
        return true;
    *out = product;
    return false;
}

bool sm_add_overflow(size_t a, size_t b, size_t *out)
{
    size_t sum;

    if (__builtin_add_overflow(a, b, &sum))
        return true;
    *out = sum;
    return false;
}

int sm_grow(void *items, size_t *cap, size_t need, size_t size)
{
    void *old, *p;
    size_t target = SM_MAX(*cap, 8);

    if (need <= *cap)
        return 0;
    while (target < need)
        if (sm_mul_overflow(target, 2, &target))
            target = need;
    /* `items` points at a pointer of any object type: copy it as bytes, as the types do not alias. */
    memcpy(&old, items, sizeof old);
    p = sm_realloc(old, target, size);
    if (!p)
        return SM_ENOMEM;
    memcpy(items, &p, sizeof p);
    *cap = target;
    return 0;
}
