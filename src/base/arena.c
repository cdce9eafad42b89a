/* Arenas: blocks chained as needed, freed together.
 *
 *   sm_arena -> [ newest block | header | used ........ | free ] -> [ older ] -> ... -> NULL
 *
 * A mark is a position in the concatenation of all blocks, so that it needs no pointer. What lies beyond the newest
 * position is poisoned under ASan, and so is a gap after each piece. One emptied block is kept for the next growth, so
 * that mark, get, back in a loop does not go to the heap each time. */
#include <string.h>

#include "base/base.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POISONS 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define POISONS 1
#endif

#ifdef POISONS
#include <sanitizer/asan_interface.h>
#define GAP ((size_t)16)
#else
#define ASAN_POISON_MEMORY_REGION(at, n)   ((void)(at), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(at, n) ((void)(at), (void)(n))
#define GAP                                ((size_t)0)
#endif

#define FIRST_BLOCK     ((size_t)16 * 1024)
#define LARGEST_STEP    ((size_t)1024 * 1024)
#define LEAST_ALIGNMENT ((size_t)8) /* ASan's shadow has one byte for eight */

typedef struct block {
    struct block *older;
    size_t start; /* position of data[0] in the arena */
    size_t size, used;
    _Alignas(64) unsigned char data[];
} block;

struct sm_arena {
    block *newest; /* NULL: nothing yet */
    block *spare;  /* empty, may be NULL */
    size_t next_size;
};

sm_arena *sm_arena_new(void)
{
    sm_arena *a = sm_alloc_zero(1, sizeof *a);

    if (a)
        a->next_size = FIRST_BLOCK;
    return a;
}

static void block_free(block *b)
{
    if (b)
        ASAN_UNPOISON_MEMORY_REGION(b->data, b->size);
    sm_free(b);
}

void sm_arena_free(sm_arena *a)
{
    if (!a)
        return;
    while (a->newest) {
        block *older = a->newest->older;
        block_free(a->newest);
        a->newest = older;
    }
    block_free(a->spare);
    sm_free(a);
}

/* Puts an empty block of at least `size` bytes in front. */
static bool add_block(sm_arena *a, size_t size)
{
    block *b = a->spare;
    size_t bytes = 0;

    if (b && b->size >= size) {
        a->spare = NULL;
    } else {
        size = SM_MAX(size, a->next_size);
        if (sm_add_overflow(size, sizeof *b, &bytes)) {
            sm_fail(SM_ENOMEM, "no memory for %zu bytes", size);
            return false;
        }
        b = sm_alloc_aligned(bytes, 1);
        if (!b)
            return false;
        b->size = size;
        a->next_size = SM_MIN(a->next_size * 2, LARGEST_STEP);
    }
    b->older = a->newest;
    b->start = a->newest ? a->newest->start + a->newest->size : 0;
    b->used = 0;
    a->newest = b;
    ASAN_POISON_MEMORY_REGION(b->data, b->size);
    return true;
}

/* `bytes` of the block at this alignment, or NULL if they do not fit. */
static void *take(block *b, size_t bytes, size_t align)
{
    const uintptr_t free_at = (uintptr_t)b->data + b->used;
    const size_t skip = (align - free_at % align) % align;
    unsigned char *p = b->data + b->used + skip;

    if (skip > b->size - b->used || bytes > b->size - b->used - skip)
        return NULL;
    ASAN_UNPOISON_MEMORY_REGION(p, bytes);
    b->used += SM_MIN(skip + bytes + GAP, b->size - b->used);
    return p;
}

void *sm_arena_get(sm_arena *a, size_t count, size_t size, size_t align)
{
    size_t bytes = 0, room = 0;
    void *p = NULL;

    align = SM_MAX(align, LEAST_ALIGNMENT);
    if (sm_mul_overflow(count, size, &bytes) || sm_add_overflow(bytes, align + GAP, &room) || room > PTRDIFF_MAX) {
        sm_fail(SM_ENOMEM, "no memory for %zu x %zu bytes", count, size);
        return NULL;
    }
    bytes = SM_MAX(bytes, 1);
    if (a->newest)
        p = take(a->newest, bytes, align);
    if (!p && add_block(a, room + 1))
        p = take(a->newest, bytes, align);
    return p;
}

void *sm_arena_zero(sm_arena *a, size_t count, size_t size)
{
    void *p = sm_arena_get(a, count, size, 64);

    if (p)
        memset(p, 0, count * size);
    return p;
}

char *sm_arena_strndup(sm_arena *a, const char *s, size_t n)
{
    const size_t length = strnlen(s, n);
    char *copy = sm_arena_get(a, length + 1, 1, 1);

    if (copy) {
        memcpy(copy, s, length);
        copy[length] = 0;
    }
    return copy;
}

char *sm_arena_strdup(sm_arena *a, const char *s)
{
    return sm_arena_strndup(a, s, strlen(s));
}

char *sm_arena_printf(sm_arena *a, const char *format, ...)
{
    va_list args;
    int length;
    char *text;

    va_start(args, format);
    length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (length < 0) {
        sm_fail(SM_EINTERNAL, "cannot format \"%s\"", format);
        return NULL;
    }
    text = sm_arena_get(a, (size_t)length + 1, 1, 1);
    if (!text)
        return NULL;
    va_start(args, format);
    vsnprintf(text, (size_t)length + 1, format, args);
    va_end(args);
    return text;
}

size_t sm_arena_mark(const sm_arena *a)
{
    return a->newest ? a->newest->start + a->newest->used : 0;
}

void sm_arena_back(sm_arena *a, size_t mark)
{
    /* A block that begins at the mark holds only newer things, but may be the first: it stays, empty. */
    while (a->newest && a->newest->start > mark) {
        block *b = a->newest;
        a->newest = b->older;
        if (!a->spare || a->spare->size < b->size) {
            block_free(a->spare);
            a->spare = b;
        } else {
            block_free(b);
        }
    }
    if (!a->newest)
        return;
    a->newest->used = SM_MIN(a->newest->used, mark - a->newest->start);
    ASAN_POISON_MEMORY_REGION(a->newest->data + a->newest->used, a->newest->size - a->newest->used);
}
