/* What each model said of each content, with its scores as numbers, so that a query needs no JSON and verdicts can be made again. */
#include <string.h>

#include "library/store_internal.h"

/* The id of a model with these weights; made with its class names when it is not there. */
static int model_id(sm_store *s, const sm_output_row *o, const char *const *classes, int64_t *id)
{
    sqlite3_stmt *st = NULL;
    *id = 0;
    int err = sql_cached(&s->sql, "SELECT id FROM models WHERE name = ? AND weights = ?", &st);
    if (err < 0)
        return err;
    sql_bind_text(st, 1, o->model);
    sql_bind_text(st, 2, o->weights);
    err = store_ask(s, st, id);
    if (err < 0 || *id > 0)
        return err;
    sm_buffer names = { 0 };
    sm_json j;
    sm_json_init(&j, &names, false);
    sm_json_begin_array(&j);
    for (size_t i = 0; classes && i < o->n; i++)
        sm_json_string(&j, classes[i]);
    sm_json_end_array(&j);
    err =
        names.failed ? SM_ENOMEM : store_change(s, "INSERT INTO models (name, weights, classes) VALUES (?, ?, ?)", &st);
    if (err == 0) {
        sql_bind_text(st, 1, o->model);
        sql_bind_text(st, 2, o->weights);
        sql_bind_text(st, 3, names.data);
        if ((err = store_done(s, st)) == 0)
            *id = sqlite3_last_insert_rowid(s->sql.db);
    }
    sm_buffer_free(&names);
    return err;
}

int sm_store_output_remove(sm_store *s, int64_t content, const char *model)
{
    sqlite3_stmt *st = NULL;
    int err =
        store_change(s, "DELETE FROM outputs WHERE content = ? AND model IN (SELECT id FROM models WHERE name = ?)",
                     &st);
    if (err < 0)
        return err;
    sqlite3_bind_int64(st, 1, content);
    sql_bind_text(st, 2, model);
    return store_done(s, st);
}

int sm_store_output_put(sm_store *s, int64_t content, const sm_output_row *o, const char *const *classes)
{
    sqlite3_stmt *st = NULL;
    int64_t model = 0;
    bool own = false;
    int err = sm_store_begin(s, &own);
    if (err == 0)
        err = model_id(s, o, classes, &model);
    if (err == 0)
        err = sm_store_output_remove(s, content, o->model); /* also of other weights */
    if (err == 0)
        err = store_change(s, "INSERT INTO outputs (content, model, scores) VALUES (?, ?, ?)", &st);
    if (err == 0) {
        sqlite3_bind_int64(st, 1, content);
        sqlite3_bind_int64(st, 2, model);
        if (o->n > 0)
            sql_bind_bytes(st, 3, o->scores, o->n * sizeof *o->scores);
        err = store_done(s, st);
    }
    return sm_store_end(s, own, err);
}

typedef struct {
    sm_output_fn fn;
    void *user;
} output_walk;

static int give_output(void *user, sqlite3_stmt *st)
{
    const output_walk *w = user;
    const size_t n = (size_t)sqlite3_column_bytes(st, 3) / sizeof(float);
    float *scores = n > 0 ? sm_alloc(n, sizeof *scores) : NULL; /* a blob need not be aligned */
    if (n > 0 && !scores)
        return SM_ENOMEM;
    if (n > 0)
        memcpy(scores, sqlite3_column_blob(st, 3), n * sizeof *scores);
    const sm_output_row o = { .model = sql_text(st, 1), .weights = sql_text(st, 2), .n = n, .scores = scores };
    const int err = w->fn(w->user, sqlite3_column_int64(st, 0), &o);
    sm_free(scores);
    return err;
}

#define OUTPUTS "SELECT o.content, m.name, m.weights, o.scores FROM outputs o JOIN models m ON m.id = o.model "

int sm_store_outputs_of(sm_store *s, int64_t content, sm_output_fn fn, void *user)
{
    sqlite3_stmt *st = NULL;
    output_walk w = { fn, user };
    const int err = sql_prepare(&s->sql, OUTPUTS "WHERE o.content = ? AND m.name NOT LIKE '#%' ORDER BY m.id", &st);
    if (err < 0)
        return err;
    sqlite3_bind_int64(st, 1, content);
    return store_walk(s, st, give_output, &w);
}

int sm_store_each_output(sm_store *s, const char *model, sm_output_fn fn, void *user)
{
    sqlite3_stmt *st = NULL;
    output_walk w = { fn, user };
    const int err = sql_prepare(&s->sql, OUTPUTS "WHERE m.name = ? ORDER BY o.content", &st);
    if (err < 0)
        return err;
    sql_bind_text(st, 1, model);
    return store_walk(s, st, give_output, &w);
}

int sm_store_model_classes(sm_store *s, const char *model, const char *weights, sm_strings *out)
{
    sqlite3_stmt *st = NULL;
    json_t *names = NULL;
    int err = sql_cached(&s->sql, "SELECT classes FROM models WHERE name = ? AND weights = ?", &st);
    if (err < 0)
        return err;
    sql_bind_text(st, 1, model);
    sql_bind_text(st, 2, weights);
    err = sql_step(&s->sql, st);
    if (err == 1) {
        err = 0;
        names = json_loads(sql_text(st, 0) ? sql_text(st, 0) : "[]", 0, NULL);
    }
    sqlite3_reset(st);
    sqlite3_clear_bindings(st);
    for (size_t i = 0; i < json_array_size(names) && err == 0; i++) {
        const char *name = json_string_value(json_array_get(names, i));
        err = sm_strings_add(out, name ? name : "");
    }
    json_decref(names);
    return err;
}

int sm_store_lacking_output(sm_store *s, const char *model, const char *weights, sm_id_fn fn, void *user)
{
    sqlite3_stmt *st = NULL;
    const int err = sql_prepare(&s->sql,
                                "SELECT id FROM contents WHERE NOT EXISTS (SELECT 1 FROM outputs WHERE content ="
                                " contents.id AND model = (SELECT id FROM models WHERE name = ? AND weights = ?))"
                                " ORDER BY id",
                                &st);
    if (err < 0)
        return err;
    sql_bind_text(st, 1, model);
    sql_bind_text(st, 2, weights);
    return store_walk_ids(s, st, fn, user);
}

int sm_store_of_other_pipelines(sm_store *s, int pipeline, sm_id_fn fn, void *user)
{
    sqlite3_stmt *st = NULL;
    const int err = sql_prepare(&s->sql, "SELECT id FROM contents WHERE pipeline != ? ORDER BY id", &st);
    if (err < 0)
        return err;
    sqlite3_bind_int(st, 1, pipeline);
    return store_walk_ids(s, st, fn, user);
}
