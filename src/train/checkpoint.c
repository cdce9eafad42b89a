/* Where a training run stands, in one file that is replaced whole after each epoch: whoever is killed loses an epoch at most. */
#include <jansson.h>
#include <string.h>
#include <unistd.h>

#include "train/trainer.h"

static char *path_of(const trainer *t)
{
    return sm_printf_new("%s.checkpoint.safetensors", t->o->out);
}

/* What must be the same for a run to go on: anything that changes a bit of the result, but for the number of threads. */
static int signature(const trainer *t, char out[65])
{
    const sm_train_options *o = t->o;
    sm_hasher *h = NULL;
    char text[512];
    int err = sm_hasher_new(SM_HASH_SHA256, &h);
    if (err < 0)
        return err;
    const int n = snprintf(text, sizeof text,
                           "4 %s %s %d %d %.17g %.17g %.17g %.17g %.17g %.17g %.17g %.17g %.17g %.17g %.17g %llu %d "
                           "%zu %.17g %.17g %d %s %s %d",
                           t->net.arch->name, t->front_end->name, o->epochs, (int)t->batch, o->rate, o->warmup,
                           o->decay, o->smoothing, o->clip, o->ema, o->balance, o->class_weight, o->family_weight,
                           o->teacher_weight, o->held_out, (unsigned long long)o->seed, o->random_split, t->net.length,
                           o->base ? o->base_rate : 0, o->base ? o->base_slower : 0, o->base ? o->base_frozen : 0,
                           o->base ? o->base : "", o->teacher ? o->teacher : "", o->fold);
    sm_hasher_add(h, text, (size_t)SM_MIN(n, (int)sizeof text));
    sm_hasher_add(h, &o->augment, sizeof o->augment);
    for (size_t i = 0; i < t->learned.n; i++) {
        const sm_sound *s = sm_sounds_at(t->sounds, t->learned.sound[i]);
        sm_hasher_add(h, sm_path_name(s->path), strlen(sm_path_name(s->path)) + 1);
        sm_hasher_add(h, s->label[0], strlen(s->label[0]) + 1);
        sm_hasher_add(h, &s->length, sizeof s->length);
    }
    sm_hasher_hex(h, out);
    sm_hasher_free(h);
    return 0;
}

/* ---- writing ---- */
static int add(sm_safetensors_writer *w, const char *name, const float *x, size_t n)
{
    const nn_tensor t = { .type = NN_F32, .shape = NN_SHAPE((int64_t)n), .data = x, .scale_axis = -1 };
    return sm_safetensors_writer_add(w, name, &t);
}

static void write_number(sm_json *j, const char *key, double x)
{
    sm_json_key(j, key);
    sm_json_f64(j, x); /* shortest form that reads back the same; NAN: null */
}

static int write_meta(sm_safetensors_writer *w, const trainer *t)
{
    char step[32], hash[65];
    sm_buffer text = { 0 };
    sm_json j;
    sm_json_init(&j, &text, false);
    sm_json_begin_object(&j);
    write_number(&j, "epoch", t->epoch);
    write_number(&j, "step", (double)t->state.step);
    write_number(&j, "best_epoch", t->best_epoch);
    write_number(&j, "best_top1", t->best_top1);
    write_number(&j, "best_loss", t->best_loss);
    write_number(&j, "stale", t->stale);
    sm_json_key(&j, "history");
    sm_json_begin_array(&j);
    for (int i = 0; i < t->epoch; i++) {
        sm_json_begin_object(&j);
        write_number(&j, "loss", t->history[i].loss);
        write_number(&j, "held_loss", t->history[i].held_loss);
        write_number(&j, "held_top1", t->history[i].held_top1);
        write_number(&j, "val_top1", t->history[i].val_top1);
        sm_json_end_object(&j);
    }
    sm_json_end_array(&j);
    sm_json_end_object(&j);
    snprintf(step, sizeof step, "%lld", (long long)t->state.step);
    int err = text.failed ? SM_ENOMEM : signature(t, hash);
    if (err == 0)
        err = sm_safetensors_writer_meta(w, "samplemind_checkpoint", hash);
    if (err == 0)
        err = sm_safetensors_writer_meta(w, "state", text.data);
    sm_buffer_free(&text);
    return err;
}

int trainer_checkpoint_write(const trainer *t)
{
    const train_state *s = &t->state;
    const struct {
        const char *name;
        const float *x;
        size_t n;
    } rows[] = { { "parameters", s->parameters, s->length },
                 { "m", s->m, s->length },
                 { "v", s->v, s->length },
                 { "average", s->average, s->length },
                 { "best", t->best, s->length },
                 { "stats", s->stats, s->stats_length },
                 { "best_stats", t->best_stats, s->stats_length } };
    sm_safetensors_writer *w = NULL;
    char *path = path_of(t);
    int err = path ? sm_safetensors_writer_open(path, &w) : SM_ENOMEM;
    if (err == 0)
        err = write_meta(w, t);
    for (size_t i = 0; i < SM_LENGTH(rows) && err == 0; i++)
        err = add(w, rows[i].name, rows[i].x, rows[i].n);
    if (err == 0) {
        err = sm_safetensors_writer_commit(w);
        w = NULL;
    }
    if (w)
        sm_safetensors_writer_abandon(w);
    sm_free(path);
    return err;
}

/* ---- reading ---- */
static double number(const json_t *j, const char *key)
{
    const json_t *x = json_object_get(j, key);
    return json_is_number(x) ? json_number_value(x) : NAN;
}

static int read_state(trainer *t, const char *text, const char *path)
{
    json_t *j = json_loads(text ? text : "", 0, NULL);
    const json_t *history = json_object_get(j, "history");
    const double epoch = number(j, "epoch");
    int err = 0;
    if (!(epoch >= 0 && epoch <= t->o->epochs) || json_array_size(history) != (size_t)epoch)
        err = sm_fail(SM_EFORMAT, "%s: its state is damaged", path);
    if (err == 0) {
        t->epoch = (int)epoch;
        t->state.step = (int64_t)number(j, "step");
        t->best_epoch = (int)number(j, "best_epoch");
        t->best_top1 = number(j, "best_top1");
        t->best_loss = number(j, "best_loss");
        t->stale = (int)number(j, "stale");
        for (int i = 0; i < t->epoch; i++) {
            const json_t *x = json_array_get(history, (size_t)i);
            t->history[i] = (train_epoch){ number(x, "loss"), number(x, "held_loss"), number(x, "held_top1"),
                                           number(x, "val_top1") };
        }
    }
    json_decref(j);
    return err;
}

int trainer_checkpoint_read(trainer *t)
{
    train_state *s = &t->state;
    const struct {
        const char *name;
        float *x;
        size_t n;
    } rows[] = { { "parameters", s->parameters, s->length },
                 { "m", s->m, s->length },
                 { "v", s->v, s->length },
                 { "average", s->average, s->length },
                 { "best", t->best, s->length },
                 { "stats", s->stats, s->stats_length },
                 { "best_stats", t->best_stats, s->stats_length } };
    sm_weights *w = NULL;
    char hash[65];
    char *path = path_of(t);
    int err = path ? 0 : SM_ENOMEM;
    if (err == 0 && access(path, F_OK) != 0) {
        sm_free(path);
        return 0;
    }
    if (err == 0)
        err = sm_weights_open(path, &w);
    if (err == 0)
        err = signature(t, hash);
    const char *theirs = err == 0 ? sm_weights_meta(w, "samplemind_checkpoint") : NULL;
    if (err == 0 && (!theirs || strcmp(theirs, hash) != 0))
        err = sm_fail(SM_EUSAGE, "%s: is of a run with other options or other sounds; go on with those, or remove it",
                      path);
    for (size_t i = 0; i < SM_LENGTH(rows) && err == 0; i++) {
        nn_tensor x;
        if (rows[i].n > 0 && (err = sm_weights_get(w, rows[i].name, &NN_SHAPE((int64_t)rows[i].n), &x)) == 0) {
            if (x.type != NN_F32)
                err = sm_fail(SM_EFORMAT, "%s: %s is not f32", path, rows[i].name);
            else
                memcpy(rows[i].x, x.data, rows[i].n * sizeof(float));
        }
    }
    if (err == 0)
        err = read_state(t, sm_weights_meta(w, "state"), path);
    sm_weights_close(w);
    sm_free(path);
    return err < 0 ? err : 1;
}

void trainer_checkpoint_remove(const trainer *t)
{
    char *path = path_of(t);
    if (path)
        unlink(path);
    sm_free(path);
}
