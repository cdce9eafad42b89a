/* How many there are of everything. */
#include "library/store_internal.h"

typedef struct {
    int (*fn)(void *user, const sm_file_totals *t);
    void *user;
} totals_walk;

static int give_totals(void *user, sqlite3_stmt *st)
{
    const totals_walk *w = user;
    const sm_file_totals t = { .state = (sm_file_state)sqlite3_column_int(st, 0),
                               .files = sqlite3_column_int64(st, 1),
                               .bytes = sqlite3_column_int64(st, 2) };
    return w->fn(w->user, &t);
}

int sm_store_count_files(sm_store *s, int (*fn)(void *user, const sm_file_totals *t), void *user)
{
    sqlite3_stmt *st = NULL;
    totals_walk w = { fn, user };
    const int err =
        sql_prepare(&s->sql, "SELECT state, count(*), sum(size) FROM files GROUP BY state ORDER BY state", &st);
    return err < 0 ? err : store_walk(s, st, give_totals, &w);
}

int sm_store_count(sm_store *s, sm_store_totals *out)
{
    sqlite3_stmt *st = NULL;
    *out = (sm_store_totals){ 0 };
    int err = sql_prepare(&s->sql,
                          "SELECT (SELECT count(*) FROM folders), count(*), coalesce(sum(duration_s), 0),"
                          " (SELECT count(*) FROM corrections), (SELECT count(*) FROM tags),"
                          " (SELECT count(*) FROM collections), (SELECT count(*) FROM favourites) FROM contents",
                          &st);
    if (err == 0 && (err = sql_step(&s->sql, st)) == 1) {
        *out = (sm_store_totals){ .folders = sqlite3_column_int64(st, 0),
                                  .contents = sqlite3_column_int64(st, 1),
                                  .duration_s = sqlite3_column_double(st, 2),
                                  .corrections = sqlite3_column_int64(st, 3),
                                  .tags = sqlite3_column_int64(st, 4),
                                  .collections = sqlite3_column_int64(st, 5),
                                  .favourites = sqlite3_column_int64(st, 6) };
        err = 0;
    }
    sqlite3_finalize(st);
    return err;
}

typedef struct {
    int (*fn)(void *user, const char *value, int64_t contents);
    void *user;
} value_walk;

static int give_value(void *user, sqlite3_stmt *st)
{
    const value_walk *w = user;
    return w->fn(w->user, sql_text(st, 0), sqlite3_column_int64(st, 1));
}

int sm_store_count_values(sm_store *s, const sm_property *p, int (*fn)(void *user, const char *value, int64_t contents),
                          void *user)
{
    sqlite3_stmt *st = NULL;
    value_walk w = { fn, user };
    char sql[256];
    snprintf(sql, sizeof sql,
             "SELECT \"%s\", count(*) FROM properties WHERE \"%s\" IS NOT NULL GROUP BY 1 ORDER BY 2 DESC, 1", p->name,
             p->name);
    const int err = sql_prepare(&s->sql, sql, &st);
    return err < 0 ? err : store_walk(s, st, give_value, &w);
}

typedef struct {
    int (*fn)(void *user, const char *model, const char *weights, int64_t contents);
    void *user;
} model_walk;

static int give_model(void *user, sqlite3_stmt *st)
{
    const model_walk *w = user;
    return w->fn(w->user, sql_text(st, 0), sql_text(st, 1), sqlite3_column_int64(st, 2));
}

int sm_store_count_outputs(sm_store *s, int (*fn)(void *user, const char *model, const char *weights, int64_t contents),
                           void *user)
{
    sqlite3_stmt *st = NULL;
    model_walk w = { fn, user };
    const int err = sql_prepare(&s->sql,
                                "SELECT m.name, m.weights, count(*) FROM outputs o JOIN models m ON m.id = o.model"
                                " GROUP BY m.id ORDER BY m.id",
                                &st);
    return err < 0 ? err : store_walk(s, st, give_model, &w);
}
