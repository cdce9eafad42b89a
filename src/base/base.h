/* base: what every room stands on. Errors, memory, strings, hashes, files, threads, JSON. Knows nothing of audio or models. */
#ifndef SM_BASE_H
#define SM_BASE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "samplemind.h"

#define SM_PRINTF(format_at, args_at) __attribute__((format(printf, format_at, args_at)))
#define SM_LENGTH(array)              (sizeof(array) / sizeof *(array))
#define SM_MIN(a, b)                  ((a) < (b) ? (a) : (b))
#define SM_MAX(a, b)                  ((a) > (b) ? (a) : (b))
#define SM_CLAMP(x, low, high)        SM_MIN(SM_MAX(x, low), high)

/* ---- errors (error.c) ----
 * sm_fail keeps the message for this thread and returns `code`, so that a check is one statement. A message says the file
 * (and tensor, line or option), what was found and what was expected; no "Error:", no full stop. */
int sm_fail(int code, const char *format, ...) SM_PRINTF(2, 3);
/* Puts "format: " in front of the message that is there (a caller adds what it knows); returns `code`. */
int sm_fail_prefix(int code, const char *format, ...) SM_PRINTF(2, 3);
void sm_clear_error(void);
const char *sm_code_name(int code); /* "SM_EIO"; "0"; "?" */

/* ---- memory (memory.c) ----
 * The only allocator of this project. Failure returns NULL and has set the thread's error (SM_ENOMEM); a zero size is
 * never NULL. Sizes are checked for overflow. All are freed by sm_free (which accepts NULL). */
void *sm_alloc(size_t count, size_t size);              /* not cleared */
void *sm_alloc_zero(size_t count, size_t size);         /* cleared */
void *sm_alloc_aligned(size_t count, size_t size);      /* 64-byte aligned, not cleared */
void *sm_realloc(void *old, size_t count, size_t size); /* old stays valid when NULL comes back */
void sm_free(void *p);
char *sm_strdup(const char *s);
char *sm_strndup(const char *s, size_t n);
char *sm_printf_new(const char *format, ...) SM_PRINTF(1, 2); /* a new string; NULL: no memory */
bool sm_mul_overflow(size_t a, size_t b, size_t *out);        /* true: a*b does not fit, *out untouched */
bool sm_add_overflow(size_t a, size_t b, size_t *out);
/* Grows *items (cap in elements) so that `need` fit, doubling. 0 or SM_ENOMEM (then nothing has changed). */
int sm_grow(void *items, size_t *cap, size_t need, size_t size);

/* For tests only: the n-th allocation from now on (0: the next) fails once; negative: none. Process-wide. */
void sm_test_fail_allocation(long n);
bool sm_test_allocation_failed(void); /* since the last sm_test_fail_allocation */
long sm_test_allocations_alive(void); /* blocks made and not freed, process-wide */
long sm_test_allocations_made(void);  /* ever */

/* ---- arena (arena.c): what lives and dies together. Grows by chaining; not for sharing between threads. ---- */
typedef struct sm_arena sm_arena;
sm_arena *sm_arena_new(void); /* NULL: no memory */
void sm_arena_free(sm_arena *a);
void *sm_arena_get(sm_arena *a, size_t count, size_t size, size_t align); /* NULL: no memory or overflow; not cleared */
void *sm_arena_zero(sm_arena *a, size_t count, size_t size);              /* cleared, 64-byte aligned */
char *sm_arena_strdup(sm_arena *a, const char *s);
char *sm_arena_strndup(sm_arena *a, const char *s, size_t n);
char *sm_arena_printf(sm_arena *a, const char *format, ...) SM_PRINTF(2, 3);
size_t sm_arena_mark(const sm_arena *a);
void sm_arena_back(sm_arena *a, size_t mark); /* everything since the mark is gone */

/* ---- growing bytes (buffer.c) ----  A failed growth is remembered in `failed`: check once, at the end. */
typedef struct {
    char *data; /* always ends in a zero byte when not NULL */
    size_t length, capacity;
    bool failed;
} sm_buffer;
void sm_buffer_add(sm_buffer *b, const void *data, size_t length);
void sm_buffer_text(sm_buffer *b, const char *text);
void sm_buffer_printf(sm_buffer *b, const char *format, ...) SM_PRINTF(2, 3);
void sm_buffer_free(sm_buffer *b); /* leaves it empty and usable */

/* ---- text (text.c) ---- */
bool sm_utf8_valid(const char *s, size_t length);
size_t sm_utf8_length(const char *s, size_t length);        /* bytes of its first character; 0: not well formed */
bool sm_text_has_suffix(const char *s, const char *suffix); /* ASCII case does not count */
const char *sm_path_name(const char *path);                 /* after the last '/' */
/* The candidate that is nearest to `word` by edit distance, or NULL if none is near. For "did you mean". */
const char *sm_text_nearest(const char *word, const char *const *candidates, size_t n);
/* Parses a whole string; false when anything is left over or it does not fit. */
bool sm_parse_double(const char *s, double *out);
bool sm_parse_int(const char *s, int64_t *out);
/* Shortest decimal form that reads back to the same float32; "null" when not finite. */
void sm_format_f32(float value, char out[32]);
void sm_format_f64(double value, char out[32]);

/* A growing list of owned strings. */
typedef struct {
    char **items;
    size_t length, capacity;
} sm_strings;
int sm_strings_add(sm_strings *list, const char *text);                  /* a copy; 0 or SM_ENOMEM */
int sm_strings_add_n(sm_strings *list, const char *text, size_t length); /* its first `length` bytes */
void sm_strings_sort(sm_strings *list);                                  /* by bytes */
void sm_strings_free(sm_strings *list);                                  /* leaves it empty and usable */

/* ---- hashes and random numbers (hash.c) ---- */
uint64_t sm_fnv1a64(const void *data, size_t length);
/* i-th value in [-1, 1) of the stream `name`, seed: the generator of made-up weights and test signals. 24 bits, exact. */
double sm_unit(uint64_t name_hash_with_seed, uint64_t i);
uint64_t sm_unit_hash(const char *name, uint64_t seed); /* first argument of sm_unit */
typedef struct sm_hasher sm_hasher;
typedef enum { SM_HASH_SHA256, SM_HASH_SHA1, SM_HASH_MD5, SM_HASH_XXH128 } sm_hash_kind;
int sm_hasher_new(sm_hash_kind kind, sm_hasher **out);
void sm_hasher_add(sm_hasher *h, const void *data, size_t length);
void sm_hasher_hex(sm_hasher *h, char out[65]); /* lower case; ends the hash; "" if the library failed on the way */
void sm_hasher_free(sm_hasher *h);
int sm_hash_file(sm_hash_kind kind, const char *path, char out[65]);

/* ---- files (file.c) ---- */
typedef struct sm_map sm_map;                    /* a file mapped read-only; an empty file has size 0 */
int sm_map_open(const char *path, sm_map **out); /* SM_ENOTFOUND, SM_EIO (directory, permission), SM_ENOMEM */
const uint8_t *sm_map_data(const sm_map *m);
size_t sm_map_size(const sm_map *m);
void sm_map_close(sm_map *m);
int sm_file_read(const char *path, size_t limit, sm_buffer *out); /* whole; SM_ELIMIT when larger than limit */
int sm_make_directories(const char *path);                        /* like mkdir -p */
bool sm_is_directory(const char *path);
int sm_list_directory(const char *path, sm_strings *out); /* adds the names in it, sorted, without "." and ".." */
/* Where this user's models and settings live: SAMPLEMIND_HOME, else XDG_DATA_HOME/samplemind, else
 * ~/.local/share/samplemind. Not made. The caller's: sm_free(); NULL: no memory, or no home. */
char *sm_data_directory(void);
/* A file that appears only when whole: written under a temporary name beside it, renamed by commit. A device or a pipe
 * that is already there (/dev/null, /dev/stdout) is written directly. */
typedef struct sm_outfile sm_outfile;
int sm_outfile_open(const char *path, sm_outfile **out);
FILE *sm_outfile_stream(sm_outfile *f);
const char *sm_outfile_path(const sm_outfile *f); /* the temporary name, for libraries that open by name */
int sm_outfile_commit(sm_outfile *f);             /* flush, sync, rename; frees f, also on failure */
void sm_outfile_abandon(sm_outfile *f);           /* accepts NULL; removes the temporary file */

/* ---- JSON out (json.c): writes into a buffer; commas are its business ---- */
typedef struct {
    sm_buffer *out;
    int depth;
    bool pretty; /* two-space indent */
    bool after_key;
    uint64_t has_items; /* bit d: level d already has an item */
} sm_json;
void sm_json_init(sm_json *j, sm_buffer *out, bool pretty);
void sm_json_begin_object(sm_json *j);
void sm_json_end_object(sm_json *j);
void sm_json_begin_array(sm_json *j);
void sm_json_end_array(sm_json *j);
void sm_json_key(sm_json *j, const char *key);
void sm_json_string(sm_json *j, const char *text); /* NULL: null; invalid UTF-8 becomes U+FFFD */
void sm_json_f32(sm_json *j, double value);        /* shortest float32 form; not finite: null */
void sm_json_f64(sm_json *j, double value);
void sm_json_int(sm_json *j, int64_t value);
void sm_json_bool(sm_json *j, bool value);
void sm_json_null(sm_json *j);
void sm_json_raw(sm_json *j, const char *json); /* a finished value */

/* ---- threads (pool.c) ---- */
typedef struct sm_pool sm_pool;
/* threads >= 1. A pool of 1 runs everything on the caller's thread. */
int sm_pool_new(int threads, sm_pool **out);
void sm_pool_free(sm_pool *p); /* waits for what runs */
int sm_pool_threads(const sm_pool *p);
/* Runs fn(user, i, worker) for i = 0..n-1, worker in 0..threads-1 (the caller works too), in any order. Returns 0 or the
 * first failure (its message is moved to the caller's thread); later items are then not started. Not re-entrant. */
int sm_pool_run(sm_pool *p, size_t n, int (*fn)(void *user, size_t i, int worker), void *user);
int sm_cpu_count(void); /* cores this process may use */

/* ---- the machine and the clock (system.c) ---- */
typedef struct {
    bool avx2, fma, f16c, avx512, avx512_vnni, avx512_bf16, amx_bf16, amx_int8;
    char name[64];
} sm_cpu_info;
void sm_cpu_detect(sm_cpu_info *out);
double sm_now_s(void);      /* monotonic */
double sm_cpu_time_s(void); /* of this process, all threads */
double
sm_free_memory(void); /* bytes that may still be taken without swapping, or up to this group's limit; 0: not known */

#endif
