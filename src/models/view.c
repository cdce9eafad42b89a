/* A model's weights under its canonical names, whatever container they came from. Tensors that had to be made (transposed,
 * dequantised, folded) are made once and keep their address: plans of several batch sizes then share packed copies of them. */
#include <pthread.h>
#include <string.h>

#include "models/essentia.h"
#include "models/view.h"

typedef struct {
    const char *name;
    nn_tensor tensor;
} made;

struct sm_view {
    const sm_model *model; /* NULL: a bare graph */
    sm_weights *weights;
    char variant[32];
    bool canonical;
    view_watcher watcher;
    void *watcher_user;
    const sm_foreign_graph *graph; /* of a converted file, in the arena */
    sm_arena *arena;
    pthread_mutex_t lock;
    made *items;
    size_t n, cap;
};

int sm_view_open(const sm_model *m, sm_weights *w, const char *variant, sm_view **out)
{
    sm_view *v = sm_alloc_zero(1, sizeof *v);
    *out = NULL;
    if (!v)
        return SM_ENOMEM;
    v->arena = sm_arena_new();
    if (!v->arena || pthread_mutex_init(&v->lock, NULL)) {
        sm_arena_free(v->arena);
        sm_free(v);
        return sm_fail(SM_ENOMEM, "no memory to look at %s", sm_weights_label(w));
    }
    v->model = m;
    v->weights = w;
    v->canonical = sm_weights_meta(w, "samplemind") != NULL;
    snprintf(v->variant, sizeof v->variant, "%s", variant ? variant : "");
    const char *graph = v->canonical ? sm_weights_meta(w, "graph") : NULL;
    if (graph) {
        const int err = sm_graph_read(graph, strlen(graph), v->arena, &v->graph);
        if (err < 0) {
            sm_view_close(v);
            return sm_fail_prefix(err, "%s", sm_weights_label(w));
        }
    }
    *out = v;
    return 0;
}

void sm_view_close(sm_view *v)
{
    if (!v)
        return;
    pthread_mutex_destroy(&v->lock);
    sm_arena_free(v->arena);
    sm_free(v->items);
    sm_free(v);
}

const sm_model *sm_view_model(const sm_view *v)
{
    return v->model;
}

sm_weights *sm_view_weights(sm_view *v)
{
    return v->weights;
}

const sm_foreign_graph *sm_view_graph(sm_view *v)
{
    const sm_foreign_graph *f = v->graph ? v->graph : sm_weights_graph(v->weights);
    return f && f->dialect && strcmp(f->dialect, "tflite") ? f : NULL;
}

const char *sm_view_variant(const sm_view *v)
{
    return v->variant;
}

float *view_floats(sm_view *v, size_t n)
{
    return sm_arena_get(v->arena, n, sizeof(float), 64);
}

nn_tensor view_tensor(const float *data, const nn_shape *shape)
{
    return (nn_tensor){ .type = NN_F32, .shape = *shape, .data = data, .scale_axis = -1 };
}

int view_official(sm_view *v, const char *name, const nn_shape *expected, nn_tensor *out)
{
    return sm_weights_get_f32(v->weights, name, expected, out);
}

int view_permuted(sm_view *v, const nn_tensor *in, const int *order, nn_tensor *out)
{
    const int rank = in->shape.rank;
    const int64_t n = nn_elements(&in->shape);
    const float *from = in->data;
    int64_t step[NN_MAX_RANK], at[NN_MAX_RANK] = { 0 };
    nn_shape shape = { .rank = rank };
    float *to;

    for (int k = 0; k < rank; k++) {
        step[k] = 1;
        for (int j = order[k] + 1; j < rank; j++)
            step[k] *= in->shape.dim[j];
        shape.dim[k] = in->shape.dim[order[k]];
    }
    to = n < 0 ? NULL : view_floats(v, (size_t)n);
    if (!to)
        return sm_fail(SM_ENOMEM, "%s: no memory for a transposed tensor", sm_weights_label(v->weights));
    int64_t offset = 0;
    for (int64_t i = 0; i < n; i++) {
        to[i] = from[offset];
        for (int k = rank - 1; k >= 0; k--) {
            offset += step[k];
            if (++at[k] < shape.dim[k])
                break;
            offset -= step[k] * shape.dim[k];
            at[k] = 0;
        }
    }
    *out = view_tensor(to, &shape);
    return 0;
}

const char *sm_weights_find(sm_weights *w, const char *prefix, const char *suffix)
{
    const size_t p = strlen(prefix), s = strlen(suffix);
    for (size_t i = 0; i < sm_weights_count(w); i++) {
        const char *name = sm_weights_name(w, i);
        const size_t n = strlen(name);
        if (n >= p + s && !strncmp(name, prefix, p) && !strcmp(name + n - s, suffix) && strchr("/.", name[p]))
            return name;
    }
    return NULL;
}

const char *view_find(sm_view *v, const char *prefix, const char *suffix)
{
    return sm_weights_find(v->weights, prefix, suffix);
}

/* "NAME#3201": the tensor NAME transposed; its new shape may be regrouped by `expected` (depthwise kernels). */
static int derive(sm_view *v, const char *name, const char *mark, const nn_shape *expected, nn_tensor *out)
{
    char base[512];
    int order[NN_MAX_RANK] = { 0 };
    nn_tensor in;
    int err;
    if ((size_t)(mark - name) >= sizeof base)
        return sm_fail(SM_ELIMIT, "%s: a tensor's name of %zu bytes", sm_weights_label(v->weights), strlen(name));
    snprintf(base, sizeof base, "%.*s", (int)(mark - name), name);
    if ((err = view_official(v, base, NULL, &in)) < 0)
        return err;
    if (strlen(mark + 1) != (size_t)in.shape.rank)
        return sm_fail(SM_EINTERNAL, "%s: rank %d", name, in.shape.rank);
    for (int k = 0; k < in.shape.rank; k++)
        order[k] = mark[1 + k] - '0';
    if ((err = view_permuted(v, &in, order, out)) < 0)
        return err;
    if (expected && nn_elements(expected) == nn_elements(&out->shape))
        out->shape = *expected;
    return 0;
}

static int remember(sm_view *v, const char *name, const nn_tensor *t)
{
    const char *copy = sm_arena_strdup(v->arena, name);
    if (!copy || sm_grow(&v->items, &v->cap, v->n + 1, sizeof *v->items) < 0)
        return SM_ENOMEM;
    v->items[v->n++] = (made){ copy, *t };
    return 0;
}

static int get_locked(sm_view *v, const char *name, const nn_shape *expected, nn_tensor *out)
{
    const char *mark = strrchr(name, '#');
    int err;
    for (size_t i = 0; i < v->n; i++)
        if (!strcmp(v->items[i].name, name)) {
            *out = v->items[i].tensor;
            return 0;
        }
    if (mark && mark[1] >= '0' && mark[1] < '0' + NN_MAX_RANK && sm_weights_count(v->weights) > 0 &&
        !sm_weights_has(v->weights, name))
        err = derive(v, name, mark, expected, out);
    else if (v->canonical || !v->model || !v->model->adapt || sm_view_graph(v)) /* a graph asks for what its file has */
        return sm_weights_get_f32(v->weights, name, expected, out);
    else
        err = v->model->adapt(v, name, expected, out);
    return err < 0 ? err : remember(v, name, out);
}

static int get(void *user, const char *name, const nn_shape *expected, nn_tensor *out)
{
    sm_view *v = user;
    char is[96], wanted[96];
    int err;
    pthread_mutex_lock(&v->lock);
    err = get_locked(v, name, expected, out);
    pthread_mutex_unlock(&v->lock);
    if (err == 0 && expected && !nn_shape_equal(expected, &out->shape))
        err = sm_fail(SM_EFORMAT, "%s is %s in %s, expected %s", name, nn_shape_text(&out->shape, is),
                      sm_weights_label(v->weights), nn_shape_text(expected, wanted));
    return err == 0 && v->watcher ? v->watcher(v->watcher_user, name, out) : err;
}

void view_watch(sm_view *v, view_watcher watcher, void *user)
{
    v->watcher = watcher;
    v->watcher_user = user;
}

nn_source sm_view_source(sm_view *v)
{
    return (nn_source){ get, v, sm_weights_label(v->weights) };
}
