/* Made-up weights: a tensor's values depend on the seed, its name and its shape only, so that a network of official size can
 * be compared with the original without storing one weight. The rule is golden/README.md's:
 *   v(i) = sm_unit(hash of name and seed, i), 24 bits in [-1, 1);  value[i] = (float)(offset + scale * v(i)) */
#include <math.h>

#include "weights/store.h"

int sm_weights_generated(uint64_t seed, sm_weights_rule rule, sm_weights **out)
{
    char label[48];
    *out = NULL;
    snprintf(label, sizeof label, "generated:%llu", (unsigned long long)seed);
    sm_weights *w = w_new(label);
    if (!w)
        return w_no_memory();
    w->format = "generated";
    w->seed = seed;
    w->rule = rule;
    *out = w;
    return 0;
}

int sm_weights_generated_half(uint64_t seed, sm_weights_rule rule, sm_weights **out)
{
    const int err = sm_weights_generated(seed, rule, out);
    if (err == 0)
        (*out)->half = true;
    return err;
}

bool w_is_generated(const sm_weights *w)
{
    return w->format && strcmp(w->format, "generated") == 0;
}

/* The last part of "a/b.c:0" is "c". */
static bool last_part_is(const char *name, const char *part)
{
    const char *at = name;
    for (const char *p = name; *p; p++)
        if (*p == '.' || *p == '/')
            at = p + 1;
    const size_t n = strcspn(at, ":");
    return n == strlen(part) && memcmp(at, part, n) == 0;
}

static void default_rule(const char *name, const nn_shape *shape, double *offset, double *scale)
{
    *offset = 0;
    *scale = 0.1;
    if (last_part_is(name, "running_mean") || last_part_is(name, "moving_mean"))
        return;
    if (last_part_is(name, "running_var") || last_part_is(name, "moving_variance")) {
        *offset = 1;
        *scale = 0.5;
    } else if (shape->rank <= 1) {
        if (last_part_is(name, "weight") || last_part_is(name, "gamma")) {
            *offset = 1;
            *scale = 0.2;
        }
    } else {
        double fan_in = 1;
        for (int i = 1; i < shape->rank; i++)
            fan_in *= (double)shape->dim[i];
        *scale = sqrt(3.0 / fan_in);
    }
}

static int generate(sm_weights *w, const char *name, const char *key, const nn_shape *shape, nn_type type)
{
    double offset = 0, scale = 0;
    int err = w_check_shape(name, NN_F32, shape);
    if (err < 0)
        return err;
    if (!w->rule || !w->rule(name, shape, &offset, &scale))
        default_rule(name, shape, &offset, &scale);
    w_tensor t = { .type = type, .shape = *shape, .scale_axis = -1 };
    const size_t n = (size_t)nn_elements(shape);
    float *values = sm_alloc_aligned(n, nn_type_size(type));
    t.name = sm_arena_strdup(w->arena, key);
    if (!values || !t.name) {
        sm_free(values);
        return w_no_memory();
    }
    const uint64_t hash = sm_unit_hash(name, w->seed);
    for (size_t i = 0; i < n; i++) {
        float v = (float)(offset + scale * sm_unit(hash, i));
        if (w->half && shape->rank >= 2)
            v = w_half(w_to_half(v));
        if (type == NN_F16)
            ((uint16_t *)(void *)values)[i] = w_to_half(v);
        else
            values[i] = v;
    }
    t.bytes = (const uint8_t *)values;
    if ((err = w_add(w, &t)) < 0) {
        sm_free(values);
        return err;
    }
    w->tensors[w->n_tensors - 1].made = values;
    return 0;
}

int w_generate(sm_weights *w, const char *name, const nn_shape *shape, bool f32, nn_tensor *out)
{
    char text[96], key[512];
    if (!shape)
        return sm_fail(SM_EUSAGE, "%s: %s needs a shape", w->label, name);
    const nn_type type = w->half && !f32 && shape->rank >= 2 ? NN_F16 : NN_F32;
    const int length =
        snprintf(key, sizeof key, "%s %s%s", name, nn_shape_text(shape, text), type == NN_F16 ? " f16" : "");
    if (length < 0 || (size_t)length >= sizeof key)
        return sm_fail(SM_ELIMIT, "%s: a name of %zu bytes", w->label, strlen(name));
    pthread_mutex_lock(&w->lock);
    int err = w_find(w, key) ? 0 : generate(w, name, key, shape, type);
    if (err == 0)
        *out = (nn_tensor){ type, *shape, w_find(w, key)->made, NULL, NULL, -1 };
    pthread_mutex_unlock(&w->lock);
    return err < 0 ? sm_fail_prefix(err, "%s: %s", w->label, name) : 0;
}
