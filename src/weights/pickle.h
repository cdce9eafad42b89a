/* Python's pickle (protocols 0 to 5), read as data: no class is ever looked up and nothing is called. What a pickle would call
 * must be in the list of pickle_classes.c, where it either has a meaning here (dicts, tensors, sizes) or is kept as an inert
 * object: its class's name, its arguments, its state. Anything else is refused by name. */
#ifndef SM_WEIGHTS_PICKLE_H
#define SM_WEIGHTS_PICKLE_H

#include "weights/store.h"

typedef enum {
    P_NONE,
    P_BOOL,
    P_INT,
    P_FLOAT,
    P_TEXT,
    P_BYTES,
    P_GLOBAL /* a class, named only */,
    P_LIST,
    P_TUPLE,
    P_SET,
    P_DICT,
    P_OBJECT,
    P_STORAGE,
    P_TENSOR,
    P_MARK
} p_kind;

typedef struct p_value p_value;

/* Numbers that tensors look at. Several values may name one storage. */
typedef struct {
    const char *key, *class;
    size_t n_key;
    bool supported; /* the class has a type here */
    nn_type type;
    uint64_t whole;         /* values of what the file holds under the key */
    uint64_t offset, numel; /* the part of it that this is; all but for views in old files */
    const uint8_t *data;    /* of the part; NULL until found */
} p_storage;

struct p_value {
    p_kind kind;
    union {
        int64_t i; /* P_INT, P_BOOL */
        double f;
        struct {
            const char *s; /* not ended by a zero byte */
            size_t n;
        } text; /* P_TEXT, P_BYTES, P_GLOBAL ("torch.FloatStorage") */
        struct {
            p_value **items; /* P_DICT: key, value, key, value */
            size_t n, cap;
        } list;
        struct {
            const p_value *class;
            p_value *args, *state; /* a tuple; NULL or what BUILD gave */
            p_value *items;        /* NULL, or a P_DICT or P_LIST that the object was filled with */
        } object;
        p_storage *storage;
        struct {
            p_storage *storage;
            const p_value *offset, *size, *stride;
            bool typed; /* `type` replaces the storage's */
            nn_type type;
        } tensor;
    };
};

typedef struct p_vm p_vm;
/* Makes the value that a persistent id stands for. */
typedef int (*p_persistent)(p_vm *vm, const p_value *id, p_value **out);

struct p_vm {
    sm_arena *arena; /* of all values; the caller's */
    p_persistent persistent;
    void *user;
    /* the machine */
    const uint8_t *data, *at, *end;
    p_value **stack;
    size_t n_stack, cap_stack;
    p_value **memo;
    size_t n_memo, cap_memo, n_puts;
    size_t n_steps; /* operations so far: what walks over values may be as long as this */
};

/* Runs one pickle from data on. *out lives in the arena and points into data; *used: its length. */
int p_run(p_vm *vm, const uint8_t *data, size_t size, const p_value **out, size_t *used);
void p_free(p_vm *vm); /* the machine, not the arena */

p_value *p_new(p_vm *vm, p_kind kind); /* NULL: no memory */
int p_append(p_vm *vm, p_value *list, p_value *item);
bool p_is(const p_value *v, const char *text);                     /* a P_TEXT or P_GLOBAL that says so */
const p_value *p_lookup(const p_value *dict, const char *key);     /* NULL: none, or no dict */
const p_value *p_item(const p_value *list, size_t i, p_kind kind); /* NULL: none, or of another kind */

/* ---- pickle_classes.c ---- */
/* What `class(*args)` stands for. SM_EUNSUPPORTED: not on the list. */
int p_call(p_vm *vm, const p_value *class, p_value *args, p_value **out);
bool p_storage_type(const p_value *class, nn_type *out);

/* ---- pickle_json.c ---- */
/* A value as JSON. Deep or shared structures are cut at `budget` values: SM_ELIMIT. */
int p_json(const p_value *v, sm_json *j, size_t *budget);

#endif
