/* The structs of compiling and running, for compile*.c, pack.c, memory_plan.c, plan.c and run.c only (and their tests). */
#ifndef SM_NN_PLAN_TYPE_H
#define SM_NN_PLAN_TYPE_H

#include "nn/backend.h"

/* Where a value's memory comes from. */
typedef enum {
    NN_IN_ARENA, /* activations: a place in the run state's arena, shared with values of other times */
    NN_IN_INPUT, /* the caller's memory of input `index` */
    NN_IN_OUTPUT,
    NN_IN_STATE, /* at `offset` of the run state's states */
    NN_IN_PLAN   /* constants: `fixed` */
} nn_place;

/* A value as the plan knows it: beside nn_value, same number. */
typedef struct {
    nn_place place;
    int index;
    size_t offset; /* in the arena or the states */
    const void *fixed;
    nn_id node;
    int32_t alias;     /* its memory is part of this value's (-1: its own) ... */
    size_t alias_at;   /* ... from this byte on */
    int32_t next_form; /* the same node's value in another layout; -1: none */
    int first, last;   /* of the group, kept at its root: steps that write and read; -1: none */
    bool pinned;       /* must stay until the end of the run (taps) */
} nn_slot;

typedef struct {
    const char *name;
    nn_shape shape;
    nn_type type;
    int32_t value;
} nn_port;

struct nn_plan {
    sm_arena *arena; /* steps' arrays, names; backends' states may be here too */
    nn_graph *graph; /* the rewritten one: constants and names live in it */
    const nn_backend *backend;
    nn_pack *pack;
    bool own_pack;
    int threads;
    nn_step *steps;
    size_t n_steps, cap_steps;
    nn_value *values;
    nn_slot *slots;
    size_t n_values, cap_values, cap_slots;
    nn_port *inputs, *outputs, *taps;
    int n_inputs, n_outputs, n_taps;
    size_t activations, states, scratch; /* bytes of a run state */
    double macs;
};

typedef struct nn_held nn_held; /* numbers of constants computed during compile */

struct nn_compiler {
    nn_plan *plan;
    nn_graph *graph;
    nn_compile_options options;
    int32_t *value_of; /* by node id: the first form; -1: not made yet */
    nn_held *held;
    size_t n_held, cap_held;
};

/* The value at the root of v's chain of aliases; *at: v's place in it, bytes (may be NULL). */
int32_t nn_root(const nn_plan *p, int32_t v, size_t *at);
/* A new value of node `id` in its plain form. < 0: SM_ENOMEM. */
int32_t nn_new_value(nn_compiler *c, nn_id id, nn_place place);
/* Adds a finished step that writes s->out. */
int nn_append_step(nn_compiler *c, const nn_step *s);
/* A step that copies a plain value. */
int nn_copy_value(nn_compiler *c, int32_t from, int32_t to);
/* compile_view.c: 1 when node `id` needs no step because its value is part of another's memory, or is made of its parts'. */
int nn_try_view(nn_compiler *c, nn_id id, bool reorder_first);
/* memory_plan.c: places of all values; sizes of arena, states, scratch. */
int nn_plan_places(nn_plan *p);
/* 0, or SM_EINTERNAL naming two values that live at the same time in the same memory. For tests and debugging. */
int nn_plan_check(const nn_plan *p);
/* passes.c: the passes of passes.def in order. */
int nn_run_passes(nn_graph *g, const nn_backend *b, const nn_compile_options *o);
const nn_backend *nn_find_backend(const char *name);

/* pack.c */
int nn_pack_find(nn_pack *p, uint64_t identity, const char *key, size_t bytes,
                 int (*fill)(nn_compiler *c, void *user, void *data), nn_compiler *c, void *user, const void **data);

#endif
