/* Several networks that began with the same weights become one: the mean of each number. */
#include <jansson.h>
#include <math.h>
#include <string.h>

#include "engine/engine.h"
#include "train/trainer.h"

typedef struct {
    const char *name;
    sm_weights *weights;
    sm_card *card;
    const sm_model *model;
    char variant[32];
    sm_arena *arena;
    sm_classifier_head heads[SM_CLASSIFIER_HEADS];
    size_t n_heads;
    double held_out; /* sounds by which its temperature was fitted */
} member;

static void member_close(member *m)
{
    sm_arena_free(m->arena);
    sm_card_free(m->card);
    sm_weights_close(m->weights);
}

/* What a file does not say, as of an older version, counts as one sound. */
static double held_out_of(const sm_weights *w)
{
    const char *text = sm_weights_meta(w, "training");
    json_t *training = text ? json_loads(text, 0, NULL) : NULL;
    const double n = json_number_value(json_object_get(training, "held_out_sounds"));
    json_decref(training);
    return n >= 1 ? n : 1;
}

static int member_open(const char *name, member *m)
{
    m->name = name;
    int err = trainer_open_model(name, &m->weights, &m->card, &m->model, m->variant);
    const sm_classifier_arch *arch = err == 0 ? sm_classifier_arch_find(m->variant) : NULL;
    if (err == 0 && !arch)
        err = sm_fail(SM_EUSAGE, "%s is no classifier of ours, but %s", name, m->model->name);
    if (err == 0 && (!arch->base || arch->norm || arch->norm_in_training))
        err = sm_fail(SM_EUSAGE,
                      "%s: a mean is of networks without norms that learned on from another model's weights (--on "
                      "MODEL --tune); %s is none",
                      name, arch->name);
    if (err == 0 && !(m->arena = sm_arena_new()))
        err = SM_ENOMEM;
    if (err == 0)
        m->held_out = held_out_of(m->weights);
    return err == 0 ? sm_classifier_heads(m->weights, m->arena, m->heads, &m->n_heads) : err;
}

static bool same_text(const char *a, const char *b)
{
    return !strcmp(a ? a : "", b ? b : "");
}

static bool same_heads(const member *a, const member *b)
{
    bool same = a->n_heads == b->n_heads;
    for (size_t i = 0; same && i < a->n_heads; i++) {
        const sm_classifier_head *x = &a->heads[i], *y = &b->heads[i];
        same = !strcmp(x->name, y->name) && x->n_classes == y->n_classes;
        for (size_t c = 0; same && c < x->n_classes; c++)
            same = !strcmp(x->classes[c], y->classes[c]);
    }
    return same;
}

/* What of two files must be alike for a mean of them to be a network. */
static int compare(const member *a, const member *b)
{
    static const char *const keys[] = { "front_end", "split" };
    if (strcmp(a->variant, b->variant) != 0)
        return sm_fail(SM_EUSAGE, "%s has the architecture %s, %s %s: a mean is of one", a->name, a->variant, b->name,
                       b->variant);
    if (!same_heads(a, b))
        return sm_fail(SM_EUSAGE, "%s and %s have other classes: a mean is of networks with the same", a->name,
                       b->name);
    for (size_t i = 0; i < SM_LENGTH(keys); i++)
        if (!same_text(sm_weights_meta(a->weights, keys[i]), sm_weights_meta(b->weights, keys[i])))
            return sm_fail(SM_EUSAGE, "%s and %s differ in \"%s\"", a->name, b->name, keys[i]);
    return 0;
}

/* ---- the file ---- */
static int write_mean(sm_safetensors_writer *w, const member *members, size_t n, size_t at)
{
    sm_weights *first = members[0].weights;
    const char *name = sm_weights_name(first, at);
    nn_tensor stored, x;
    int err = sm_weights_at(first, at, &stored);
    if (err < 0)
        return err;
    train_tensor t = { .name = (char *)name, .shape = stored.shape, .n = (size_t)nn_elements(&stored.shape) };
    double *sum = sm_alloc_zero(t.n, sizeof *sum);
    float *mean = sm_alloc(t.n, sizeof *mean);
    err = sum && mean ? 0 : SM_ENOMEM;
    for (size_t k = 0; k < n && err == 0; k++) {
        err = sm_weights_get_f32(members[k].weights, name, &t.shape, &x);
        for (size_t i = 0; i < t.n && err == 0; i++)
            sum[i] += (double)((const float *)x.data)[i];
    }
    for (size_t i = 0; i < t.n && err == 0; i++)
        mean[i] = (float)(sum[i] / (double)n);
    if (err == 0)
        err = train_tensor_write(w, &t, mean, stored.type == NN_F16);
    sm_free(sum);
    sm_free(mean);
    return err;
}

/* Of few held-out families most resemble the learned, and the temperature comes out too low: what was fitted on fewer than half as many
 * sounds as another does not count. */
static double mean_temperature(const member *members, size_t n, size_t head)
{
    double sum = 0, sounds = 0, most = 0;
    for (size_t k = 0; k < n; k++)
        most = fmax(most, members[k].held_out);
    for (size_t k = 0; k < n; k++) {
        const double weight = members[k].held_out < most / 2 ? 0 : members[k].held_out;
        sum += weight * log(members[k].heads[head].temperature);
        sounds += weight;
    }
    return exp(sum / sounds);
}

static int write_heads(sm_safetensors_writer *w, const member *members, size_t n)
{
    train_head heads[SM_CLASSIFIER_HEADS] = { 0 };
    double temperature[SM_CLASSIFIER_HEADS];
    for (size_t i = 0; i < members[0].n_heads; i++) {
        const sm_classifier_head *h = &members[0].heads[i];
        heads[i] = (train_head){ .n_classes = h->n_classes, .classes = h->classes, .kept = true };
        memcpy(heads[i].name, h->name, sizeof heads[i].name);
        temperature[i] = mean_temperature(members, n, i);
    }
    return train_heads_write(w, heads, members[0].n_heads, temperature);
}

/* How each came to be is kept: "training" of the mean lists theirs. */
static int write_meta(sm_safetensors_writer *w, const member *members, size_t n, const char *note)
{
    static const char *const keys[] = { "model", "variant", "front_end", "split" };
    double held_out = 0;
    sm_buffer text = { 0 };
    sm_json j;
    sm_json_init(&j, &text, false);
    sm_json_begin_object(&j);
    sm_json_key(&j, "average_of");
    sm_json_begin_array(&j);
    for (size_t k = 0; k < n; k++) {
        const char *training = sm_weights_meta(members[k].weights, "training");
        sm_json_raw(&j, training ? training : "null");
        held_out += members[k].held_out;
    }
    sm_json_end_array(&j);
    sm_json_key(&j, "held_out_sounds");
    sm_json_f64(&j, held_out);
    sm_json_key(&j, "data");
    sm_json_string(&j, note);
    sm_json_end_object(&j);
    int err = text.failed ? SM_ENOMEM : sm_safetensors_writer_meta(w, "training", text.data);
    sm_buffer_free(&text);
    if (err == 0)
        err = sm_safetensors_writer_meta(w, "samplemind", sm_version());
    for (size_t i = 0; i < SM_LENGTH(keys) && err == 0; i++) {
        const char *value = sm_weights_meta(members[0].weights, keys[i]);
        err = value ? sm_safetensors_writer_meta(w, keys[i], value) : 0;
    }
    return err;
}

static int write_all(const member *members, size_t n, const char *note, const char *out)
{
    sm_safetensors_writer *w = NULL;
    int err = sm_safetensors_writer_open(out, &w);
    if (err < 0)
        return err;
    err = write_meta(w, members, n, note);
    if (err == 0)
        err = write_heads(w, members, n);
    for (size_t i = 0; i < sm_weights_count(members[0].weights) && err == 0; i++)
        err = write_mean(w, members, n, i);
    if (err == 0)
        return sm_safetensors_writer_commit(w);
    sm_safetensors_writer_abandon(w);
    return err;
}

int sm_train_average(const char *const *files, size_t n, const char *note, const char *out, bool *random_split)
{
    member *members = sm_alloc_zero(n + 1, sizeof *members);
    int err = members ? 0 : SM_ENOMEM;
    if (err == 0 && n < 2)
        err = sm_fail(SM_EUSAGE, "a mean is of two networks at least");
    for (size_t k = 0; k < n && err == 0; k++) {
        err = member_open(files[k], &members[k]);
        if (err == 0 && k > 0)
            err = compare(&members[0], &members[k]);
    }
    if (err == 0)
        err = write_all(members, n, note, out);
    if (err == 0)
        *random_split = same_text(sm_weights_meta(members[0].weights, "split"), "random");
    for (size_t k = 0; k < n && members; k++)
        member_close(&members[k]);
    sm_free(members);
    return err;
}
