/* The inside of the weights room: what a container reader fills, and the helpers that all of them share.
 * A reader is `int NAME_open(sm_weights *w)`: it looks at w->data / w->size, adds tensors, metadata and perhaps a graph, and
 * fails with a sentence that names the place (the file's name is put in front of it by weights.c). */
#ifndef SM_WEIGHTS_STORE_H
#define SM_WEIGHTS_STORE_H

#include <pthread.h>
#include <string.h>

#include "weights/names.h"
#include "weights/weights.h"

typedef struct w_tensor w_tensor;
struct w_tensor {
    const char *name; /* in the arena */
    nn_type type;
    nn_shape shape;
    const uint8_t
        *bytes; /* dense, C order, little-endian, somewhere in the file; NULL: fill() makes it when asked for */
    int (*fill)(const sm_weights *w, const w_tensor *t, void *out); /* out: dense, of w_tensor_bytes(t) */
    const void *how;                                                /* fill's own */
    const float *scale;                                             /* as in nn_tensor */
    const int32_t *zero;
    int scale_axis;
    void *made; /* what fill() or an aligning copy gave; freed with the store */
    float *f32; /* the converted form */
};

typedef struct {
    const char *key, *value;
} w_pair;

/* Reads the file `name` that stands beside the main one (tfjs shards). */
typedef int (*w_part_reader)(const sm_weights *w, const char *name, size_t limit, sm_buffer *out);

struct sm_weights {
    char *label;
    const char *format;
    sm_arena *arena;     /* names, metadata, graph; only grows while opening */
    sm_map *map;         /* who owns `data`: the map, `unpacked`, or the caller */
    sm_buffer unpacked;  /* what .gz or .bz2 held */
    sm_weights **joined; /* a folder: its parts, whose tensors these are */
    size_t n_joined;
    sm_buffer *parts; /* tfjs: one a group of shards */
    size_t n_parts;
    w_part_reader read_part;
    const void *part_user;
    const uint8_t *data;
    size_t size;
    w_tensor *tensors;
    size_t n_tensors, cap_tensors;
    w_names index; /* of the tensors by name */
    w_pair *meta;
    size_t n_meta, cap_meta;
    sm_foreign_graph *graph;
    size_t budget; /* bytes that may still be made of this file, so that a small file cannot ask for all memory */
    pthread_mutex_t lock;
    /* sm_weights_generated only */
    uint64_t seed;
    sm_weights_rule rule;
    bool half; /* matrices are stored in f16 */
};

/* ---- store.c ---- */
sm_weights *w_new(const char *label);
/* Makes `data` what the readers see, and sets the budget by its size. */
void w_set_data(sm_weights *w, const uint8_t *data, size_t size);
/* Copies *t into the store. SM_EFORMAT: no name, a name twice, negative or overflowing shape; SM_ELIMIT: over the budget. */
int w_add(sm_weights *w, const w_tensor *t);
w_tensor *w_find(const sm_weights *w, const char *name); /* NULL: none */
size_t w_tensor_bytes(const w_tensor *t);                /* only for shapes that w_add or w_check_shape accepted */
/* 0, or SM_EFORMAT / SM_EUNSUPPORTED when rank, a dim or the number of bytes is not sensible. */
int w_check_shape(const char *name, nn_type type, const nn_shape *s);
int w_spend(sm_weights *w, size_t bytes);                      /* takes from the budget; SM_ELIMIT */
int w_meta(sm_weights *w, const char *key, const char *value); /* copied; the first value of a key stays */
/* A string of the arena from bytes of the file. SM_EFORMAT: zero bytes inside, or not UTF-8. `what` names it in messages. */
int w_text(sm_weights *w, const void *bytes, size_t n, const char *what, const char **out);
int w_no_memory(void); /* SM_ENOMEM with a sentence */
/* Tensor data as it is stored, aligned for its type; made at the first call. Call with the lock held. */
int w_ready(sm_weights *w, w_tensor *t);

/* ---- folder.c ---- */
int w_folder_open(const char *dir, sm_weights **out);

/* ---- generated.c ---- */
bool w_is_generated(const sm_weights *w);
int w_generate(sm_weights *w, const char *name, const nn_shape *shape, bool f32, nn_tensor *out);

/* ---- convert.c ---- */
/* n values of `type` to f32, without scales. src may have any alignment. */
void w_to_f32(nn_type type, const void *src, size_t n, float *dst);
/* With scale and zero point; t->bytes or t->made must be there. */
void w_dequantise(const w_tensor *t, const void *src, float *dst);
float w_half(uint16_t h);
uint16_t w_to_half(float v); /* the nearest, ties to even */

/* ---- safetensors.c ---- */
const char *w_safetensors_type(nn_type type); /* "F32"; NULL: has no name there */

/* ---- foreign.c: the graph ---- */
/* A list of nodes while it grows; ends as w->graph. */
typedef struct {
    sm_foreign_node *nodes;
    size_t n, cap;
    sm_foreign_value *inputs, *outputs;
    size_t n_inputs, cap_inputs, n_outputs, cap_outputs;
} w_graph;
void w_graph_free(w_graph *g);
int w_graph_node(w_graph *g, const sm_foreign_node *n); /* what it points to must be in the arena */
int w_graph_input(w_graph *g, const sm_foreign_value *v);
int w_graph_output(w_graph *g, const sm_foreign_value *v);
/* Sorts and copies into the arena; sets w->graph. SM_EFORMAT: a value that nothing makes, made twice, or a cycle. */
int w_graph_finish(sm_weights *w, w_graph *g, const char *dialect, int64_t opset);

/* ---- little-endian bytes ---- */
static inline uint16_t w_u16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}
static inline uint32_t w_u32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}
static inline uint64_t w_u64(const uint8_t *p)
{
    return (uint64_t)w_u32(p) | (uint64_t)w_u32(p + 4) << 32;
}
static inline float w_f32(const uint8_t *p)
{
    const uint32_t bits = w_u32(p);
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}
static inline double w_f64(const uint8_t *p)
{
    const uint64_t bits = w_u64(p);
    double d;
    memcpy(&d, &bits, sizeof d);
    return d;
}
/* Whether [offset, offset + length) lies inside size bytes. */
static inline bool w_inside(uint64_t offset, uint64_t length, uint64_t size)
{
    return offset <= size && length <= size - offset;
}

/* ---- the table of containers (containers.def) ---- */
typedef struct {
    const char *format; /* what sm_weights_format says; NULL: a wrapping, open() dispatches again */
    bool (*probe)(const uint8_t *data, size_t size);
    int (*open)(sm_weights *w);
} w_container;
int w_dispatch(sm_weights *w); /* finds the container of w->data and opens it */

#define SM_CONTAINER(id, format)                                                                                       \
    bool w_##id##_probe(const uint8_t *data, size_t size);                                                             \
    int w_##id##_open(sm_weights *w);
#include "weights/containers.def"
#undef SM_CONTAINER

#endif
