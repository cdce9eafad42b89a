/* Opening by content, and the look-up that all containers share. */
#include "weights/store.h"

static const w_container containers[] = {
#define SM_CONTAINER(id, format) { format, w_##id##_probe, w_##id##_open },
#include "weights/containers.def"
#undef SM_CONTAINER
};

int w_dispatch(sm_weights *w)
{
    for (size_t i = 0; i < SM_LENGTH(containers); i++) {
        if (!containers[i].probe(w->data, w->size))
            continue;
        if (containers[i].format)
            w->format = containers[i].format;
        return containers[i].open(w);
    }
    if (w->size == 0)
        return sm_fail(SM_EFORMAT, "the file is empty");
    return sm_fail(SM_EFORMAT,
                   "not a container of weights that is known (safetensors, PyTorch, Keras HDF5, frozen TensorFlow .pb, "
                   "ONNX, .tflite, TensorFlow.js model.json)");
}

static int open_data(sm_weights *w, sm_weights **out)
{
    const int err = w_dispatch(w);
    if (err < 0) {
        sm_fail_prefix(err, "%s", w->label);
        sm_weights_close(w);
        return err;
    }
    *out = w;
    return 0;
}

/* A shard's file stands in the folder of the main file. */
static int read_beside(const sm_weights *w, const char *name, size_t limit, sm_buffer *out)
{
    const size_t folder = (size_t)(sm_path_name(w->label) - w->label);
    char *path = sm_printf_new("%.*s%s", (int)folder, w->label, name);
    if (!path)
        return w_no_memory();
    const int err = sm_file_read(path, limit, out);
    sm_free(path);
    return err;
}

int sm_weights_open(const char *path, sm_weights **out)
{
    *out = NULL;
    if (sm_is_directory(path))
        return w_folder_open(path, out);
    sm_map *map = NULL;
    const int err = sm_map_open(path, &map);
    if (err < 0)
        return err;
    sm_weights *w = w_new(path);
    if (!w) {
        sm_map_close(map);
        return w_no_memory();
    }
    w->map = map;
    w->read_part = read_beside;
    w_set_data(w, sm_map_data(map), sm_map_size(map));
    return open_data(w, out);
}

int sm_weights_open_memory(const void *data, size_t size, const char *label, sm_weights **out)
{
    *out = NULL;
    sm_weights *w = w_new(label ? label : "memory");
    if (!w)
        return w_no_memory();
    w_set_data(w, data, size);
    return open_data(w, out);
}

const char *sm_weights_label(const sm_weights *w)
{
    return w->label;
}

const char *sm_weights_format(const sm_weights *w)
{
    return w->format;
}

size_t sm_weights_count(const sm_weights *w)
{
    return w->format && strcmp(w->format, "generated") == 0 ? 0 : w->n_tensors;
}

const char *sm_weights_name(const sm_weights *w, size_t i)
{
    return i < sm_weights_count(w) ? w->tensors[i].name : NULL;
}

bool sm_weights_has(const sm_weights *w, const char *name)
{
    return w_is_generated(w) || w_find(w, name) != NULL;
}

const sm_foreign_graph *sm_weights_graph(const sm_weights *w)
{
    return w->graph;
}

/* ---- look-up ---- */

/* As stored, or as dense f32. With the lock held. */
static int deliver(sm_weights *w, w_tensor *t, bool f32, nn_tensor *out)
{
    int err = w_ready(w, t);
    if (err < 0)
        return err;
    const void *data = t->made ? t->made : t->bytes;
    if (!f32 || (t->type == NN_F32 && !t->scale)) {
        *out = (nn_tensor){ t->type, t->shape, data, t->scale, t->zero, t->scale_axis };
        return 0;
    }
    if (!t->f32) {
        t->f32 = sm_alloc_aligned((size_t)nn_elements(&t->shape), sizeof(float));
        if (!t->f32)
            return sm_fail_prefix(w_no_memory(), "tensor \"%s\"", t->name);
        w_dequantise(t, data, t->f32);
    }
    *out = (nn_tensor){ NN_F32, t->shape, t->f32, NULL, NULL, -1 };
    return 0;
}

static int missing(const sm_weights *w, const char *name)
{
    enum { MANY = 4096 };
    const char *near = NULL;
    const char **names = w->n_tensors && w->n_tensors <= MANY ? sm_alloc(w->n_tensors, sizeof *names) : NULL;
    if (names) {
        for (size_t i = 0; i < w->n_tensors; i++)
            names[i] = w->tensors[i].name;
        near = sm_text_nearest(name, names, w->n_tensors);
        sm_free(names);
    }
    if (near)
        return sm_fail(SM_ENOTFOUND, "%s holds no tensor \"%s\"; the nearest name is \"%s\"", w->label, name, near);
    return sm_fail(SM_ENOTFOUND, "%s holds no tensor \"%s\"", w->label, name);
}

static int get(sm_weights *w, const char *name, const nn_shape *expected, bool f32, nn_tensor *out)
{
    memset(out, 0, sizeof *out);
    if (w_is_generated(w))
        return w_generate(w, name, expected, f32, out);
    w_tensor *t = w_find(w, name);
    if (!t)
        return missing(w, name);
    if (expected && !nn_shape_equal(&t->shape, expected)) {
        char found[96], wanted[96];
        return sm_fail(SM_EFORMAT, "%s is %s in %s, expected %s", name, nn_shape_text(&t->shape, found), w->label,
                       nn_shape_text(expected, wanted));
    }
    pthread_mutex_lock(&w->lock);
    const int err = deliver(w, t, f32, out);
    pthread_mutex_unlock(&w->lock);
    return err < 0 ? sm_fail_prefix(err, "%s", w->label) : 0;
}

int sm_weights_get(sm_weights *w, const char *name, const nn_shape *expected, nn_tensor *out)
{
    return get(w, name, expected, false, out);
}

int sm_weights_get_f32(sm_weights *w, const char *name, const nn_shape *expected, nn_tensor *out)
{
    return get(w, name, expected, true, out);
}

int sm_weights_at(sm_weights *w, size_t i, nn_tensor *out)
{
    memset(out, 0, sizeof *out);
    if (i >= sm_weights_count(w))
        return sm_fail(SM_ENOTFOUND, "%s: no tensor number %zu, there are %zu", w->label, i, sm_weights_count(w));
    pthread_mutex_lock(&w->lock);
    const int err = deliver(w, &w->tensors[i], false, out);
    pthread_mutex_unlock(&w->lock);
    return err < 0 ? sm_fail_prefix(err, "%s", w->label) : 0;
}

static int source_get(void *user, const char *name, const nn_shape *expected, nn_tensor *out)
{
    return sm_weights_get_f32(user, name, expected, out);
}

nn_source sm_weights_source(sm_weights *w)
{
    return (nn_source){ source_get, w, w->label };
}
