/* Items in and out: one table of columns says how each member of sm_item is kept, and binding, reading and copying follow it. */
#include <math.h>
#include <string.h>

#include "train/dataset_db.h"

typedef enum { COLUMN_TEXT, COLUMN_INT64, COLUMN_INT, COLUMN_NUMBER, COLUMN_FLAG } column_type;
/* How an update treats a column: */
typedef enum {
    KEEP_UNKNOWN, /* what is not known leaves what was there */
    KEEP_KEY,     /* root and path: never change */
    KEEP_LABEL,   /* label, label_from, confidence: together, not once verified */
    KEEP_SET      /* flags: once set they stay */
} column_keeping;
typedef struct {
    const char *name;
    column_type type;
    size_t offset;
    column_keeping keeping;
} column;

#define COLUMN(type, name, keeping)                                                                                    \
    {                                                                                                                  \
#name, COLUMN_##type, offsetof(sm_item, name), KEEP_##keeping                                                  \
    }
/* in the order of COLUMN_NAMES, after id */
static const column columns[] = {
    COLUMN(TEXT, root, KEY),
    COLUMN(TEXT, path, KEY),
    COLUMN(TEXT, label, LABEL),
    COLUMN(TEXT, label_from, LABEL),
    COLUMN(NUMBER, confidence, LABEL),
    COLUMN(FLAG, verified, SET),
    COLUMN(FLAG, rejected, SET),
    COLUMN(TEXT, family, UNKNOWN),
    COLUMN(TEXT, source, UNKNOWN),
    COLUMN(TEXT, licence, UNKNOWN),
    COLUMN(TEXT, attribution, UNKNOWN),
    COLUMN(TEXT, url, UNKNOWN),
    COLUMN(TEXT, original_name, UNKNOWN),
    COLUMN(TEXT, sha256, UNKNOWN),
    COLUMN(INT64, bytes, UNKNOWN),
    COLUMN(NUMBER, mtime_s, UNKNOWN),
    COLUMN(NUMBER, duration_s, UNKNOWN),
    COLUMN(INT, rate_hz, UNKNOWN),
    COLUMN(INT, channels, UNKNOWN),
    COLUMN(TEXT, split, UNKNOWN),
    COLUMN(FLAG, split_given, SET),
    COLUMN(TEXT, random_split, UNKNOWN),
    COLUMN(INT64, twin_of, UNKNOWN),
    COLUMN(TEXT, genre, UNKNOWN),
    COLUMN(TEXT, mood, UNKNOWN),
    COLUMN(NUMBER, energy, UNKNOWN),
    COLUMN(NUMBER, pitch_midi, UNKNOWN),
    COLUMN(NUMBER, brightness, UNKNOWN),
    COLUMN(TEXT, extra, UNKNOWN),
};
#define COLUMN_NAMES                                                                                                   \
    "root,path,label,label_from,confidence,verified,rejected,family,source,licence,attribution,url,original_name,"     \
    "sha256,bytes,mtime_s,duration_s,rate_hz,channels,split,split_given,random_split,twin_of,genre,mood,energy,"       \
    "pitch_midi,brightness,extra"

const char *ds_item_columns(void)
{
    return "id," COLUMN_NAMES;
}

static void *member(const sm_item *i, const column *c)
{
    return (char *)(uintptr_t)i + c->offset;
}

void sm_item_init(sm_item *i)
{
    *i = (sm_item){ 0 };
    for (size_t k = 0; k < SM_LENGTH(columns); k++)
        if (columns[k].type == COLUMN_NUMBER && columns[k].keeping != KEEP_LABEL)
            *(double *)member(i, &columns[k]) = (double)NAN;
}

int sm_item_copy(sm_arena *a, const sm_item *from, sm_item *to)
{
    sm_item copy = *from;
    for (size_t k = 0; k < SM_LENGTH(columns); k++) {
        const char **text = member(&copy, &columns[k]);
        if (columns[k].type == COLUMN_TEXT && *text && !(*text = sm_arena_strdup(a, *text)))
            return SM_ENOMEM;
    }
    *to = copy;
    return 0;
}

char *sm_item_file(const sm_item *i)
{
    return sm_printf_new("%s/%s", i->root, i->path);
}

static void bind(sqlite3_stmt *s, int at, const sm_item *i, const column *c)
{
    const void *value = member(i, c);
    switch (c->type) {
    case COLUMN_TEXT:
        ds_bind_text(s, at, *(const char *const *)value);
        break;
    case COLUMN_INT64:
        if (*(const int64_t *)value)
            sqlite3_bind_int64(s, at, *(const int64_t *)value);
        else
            sqlite3_bind_null(s, at);
        break;
    case COLUMN_INT:
        if (*(const int *)value)
            sqlite3_bind_int(s, at, *(const int *)value);
        else
            sqlite3_bind_null(s, at);
        break;
    case COLUMN_NUMBER:
        sqlite3_bind_double(s, at, *(const double *)value); /* SQLite keeps NaN as null */
        break;
    case COLUMN_FLAG:
        sqlite3_bind_int(s, at, *(const bool *)value);
        break;
    }
}

void ds_item_read(sqlite3_stmt *s, sm_item *out)
{
    sm_item_init(out);
    out->id = sqlite3_column_int64(s, 0);
    for (size_t k = 0; k < SM_LENGTH(columns); k++) {
        const int at = (int)k + 1;
        void *value = member(out, &columns[k]);
        switch (columns[k].type) {
        case COLUMN_TEXT:
            *(const char **)value = ds_text(s, at);
            break;
        case COLUMN_INT64:
            *(int64_t *)value = sqlite3_column_int64(s, at);
            break;
        case COLUMN_INT:
            *(int *)value = sqlite3_column_int(s, at);
            break;
        case COLUMN_NUMBER:
            *(double *)value = columns[k].keeping == KEEP_LABEL ? sqlite3_column_double(s, at) : ds_number(s, at);
            break;
        case COLUMN_FLAG:
            *(bool *)value = sqlite3_column_int(s, at) != 0;
            break;
        }
    }
}

/* INSERT ... ON CONFLICT DO UPDATE, each column after its rule. */
static int prepare_put(sm_dataset *d)
{
    static const char *const rules[] = {
        [KEEP_UNKNOWN] = "%1$s = coalesce(excluded.%1$s, %1$s)",
        [KEEP_LABEL] = "%1$s = CASE WHEN verified OR excluded.label IS NULL THEN %1$s ELSE excluded.%1$s END",
        [KEEP_SET] = "%1$s = max(%1$s, excluded.%1$s)",
    };
    sm_buffer sql = { 0 };
    sm_buffer_text(&sql, "INSERT INTO items (" COLUMN_NAMES ") VALUES (?");
    for (size_t k = 1; k < SM_LENGTH(columns); k++)
        sm_buffer_text(&sql, ",?");
    sm_buffer_text(&sql, ") ON CONFLICT (root, path) DO UPDATE SET ");
    bool first = true;
    for (size_t k = 0; k < SM_LENGTH(columns); k++) {
        char rule[160] = "";
        if (columns[k].keeping == KEEP_KEY)
            continue;
        snprintf(rule, sizeof rule, rules[columns[k].keeping], columns[k].name);
        sm_buffer_printf(&sql, "%s%s", first ? "" : ", ", rule);
        first = false;
    }
    sm_buffer_text(&sql, " RETURNING id");
    const int err = sql.failed ? SM_ENOMEM : ds_prepare(d, sql.data, &d->put);
    sm_buffer_free(&sql);
    return err;
}

static bool is_split(const char *name)
{
    return !name || !strcmp(name, "train") || !strcmp(name, "val") || !strcmp(name, "test");
}

static int check(const sm_item *i)
{
    const char *name = i->path ? i->path : "(no path)";
    if (!i->root || !i->path || !*i->path)
        return sm_fail(SM_EUSAGE, "an item of a dataset needs a root and a path");
    if (i->label && (!*i->label || !i->label_from))
        return sm_fail(SM_EUSAGE, "%s: a label needs a name, and where it comes from", name);
    if (!(i->confidence >= 0 && i->confidence <= 1))
        return sm_fail(SM_EUSAGE, "%s: a confidence of %g; 0 to 1 was expected", name, i->confidence);
    if (!is_split(i->split) || !is_split(i->random_split))
        return sm_fail(SM_EUSAGE, "%s: the split \"%s\"; train, val or test was expected", name,
                       is_split(i->split) ? i->random_split : i->split);
    return 0;
}

int sm_dataset_put(sm_dataset *d, sm_item *item)
{
    int err = check(item);
    if (err == 0)
        err = ds_writable(d);
    if (err == 0 && !d->put)
        err = prepare_put(d);
    if (err < 0)
        return err;
    for (size_t k = 0; k < SM_LENGTH(columns); k++)
        bind(d->put, (int)k + 1, item, &columns[k]);
    err = ds_step(d, d->put);
    const int64_t id = err == 1 ? sqlite3_column_int64(d->put, 0) : 0;
    if (err == 1)
        err = ds_step(d, d->put); /* to the end, so that it is kept */
    sqlite3_reset(d->put);
    sqlite3_clear_bindings(d->put);
    if (err == 0)
        item->id = id;
    return err;
}

/* The one row of a bound statement, copied; SM_ENOTFOUND without a message of its own. */
static int read_one(sm_dataset *d, sqlite3_stmt *s, sm_arena *a, sm_item *out)
{
    sm_item row;
    int err = ds_step(d, s);
    if (err == 1) {
        ds_item_read(s, &row);
        err = sm_item_copy(a, &row, out);
    } else if (err == 0) {
        err = SM_ENOTFOUND;
    }
    sqlite3_reset(s);
    return err;
}

int sm_dataset_get(sm_dataset *d, int64_t id, sm_arena *a, sm_item *out)
{
    int err = 0;
    sm_item_init(out);
    if (!d->byid)
        err = ds_prepare(d, "SELECT id," COLUMN_NAMES " FROM items WHERE id = ?", &d->byid);
    if (err == 0) {
        sqlite3_bind_int64(d->byid, 1, id);
        err = read_one(d, d->byid, a, out);
    }
    return err == SM_ENOTFOUND ? sm_fail(err, "%s: has no item %lld", d->sql.path, (long long)id) : err;
}

int sm_dataset_find(sm_dataset *d, const char *root, const char *path, sm_arena *a, sm_item *out)
{
    int err = 0;
    sm_item_init(out);
    if (!d->find)
        err = ds_prepare(d, "SELECT id," COLUMN_NAMES " FROM items WHERE root = ? AND path = ?", &d->find);
    if (err == 0) {
        ds_bind_text(d->find, 1, root);
        ds_bind_text(d->find, 2, path);
        err = read_one(d, d->find, a, out);
    }
    return err == SM_ENOTFOUND ? sm_fail(err, "%s: has no item %s/%s", d->sql.path, root, path) : err;
}

int sm_dataset_each(sm_dataset *d, const sm_dataset_filter *f, int (*fn)(void *user, const sm_item *item), void *user)
{
    sqlite3_stmt *s = NULL;
    sm_item row;
    int err = ds_filter_prepare(d, "SELECT id," COLUMN_NAMES " FROM items", f, "ORDER BY id", &s);
    int more = 1;
    while (err == 0 && (more = ds_step(d, s)) == 1) {
        ds_item_read(s, &row);
        err = fn(user, &row);
    }
    sqlite3_finalize(s);
    return err ? err : SM_MIN(more, 0);
}

int sm_dataset_count(sm_dataset *d, const sm_dataset_filter *f, int64_t *out)
{
    sqlite3_stmt *s = NULL;
    int err = ds_filter_prepare(d, "SELECT count(*) FROM items", f, "", &s);
    *out = 0;
    if (err == 0 && (err = ds_step(d, s)) == 1)
        *out = sqlite3_column_int64(s, 0);
    sqlite3_finalize(s);
    return SM_MIN(err, 0);
}

typedef struct {
    sm_arena *arena;
    sm_item *items;
    size_t n, capacity;
} gathered;

static int gather(void *user, const sm_item *item)
{
    gathered *g = user;
    int err = sm_grow(&g->items, &g->capacity, g->n + 1, sizeof *g->items);
    if (err == 0)
        err = sm_item_copy(g->arena, item, &g->items[g->n]);
    g->n += err == 0;
    return err;
}

int sm_dataset_list(sm_dataset *d, const sm_dataset_filter *f, sm_arena *a, sm_item **items, size_t *n)
{
    gathered g = { .arena = a };
    int err = sm_dataset_each(d, f, gather, &g);
    *items = NULL;
    *n = 0;
    if (err == 0) {
        sm_item *all = sm_arena_get(a, SM_MAX(g.n, 1), sizeof *all, 16);
        err = all ? 0 : SM_ENOMEM;
        if (all) {
            if (g.n > 0)
                memcpy(all, g.items, g.n * sizeof *all);
            *items = all;
            *n = g.n;
        }
    }
    sm_free(g.items);
    return err;
}
