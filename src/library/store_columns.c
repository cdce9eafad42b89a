/* Columns: blocks of 4,096 contents a field. A block is read, the values of its contents that changed are put in, and it is written
 * back, together with their words and in one transaction a block, so that a refresh that is cut off goes on where it was. */
#include <math.h>
#include <string.h>

#include "library/columns.h"
#include "library/store_internal.h"
#include "models/model.h"

enum { BLOCK_BITS = 12, BLOCK = 1 << BLOCK_BITS, DENSE = 0, SPARSE = 1 };

typedef enum { LIVE, PROPERTY, ONSET_RATE, PITCH_RANGE, CLASS, OUTPUT } column_kind;

typedef struct {
    int64_t id;
    char *name;
    column_kind kind;
    const sm_property *property;
    const char *target; /* CLASS: its name; OUTPUT: MODEL:CLASS */
    float *values;      /* [BLOCK] of the block in hand */
} column;

/* Where a model has the classes that columns want. */
typedef struct {
    int64_t id;
    bool ours;    /* our classifier */
    int *classes; /* [columns]: index of the class, -1 */
} model_map;

typedef struct {
    sm_store *s;
    const thesaurus *t;
    column *columns;
    size_t n_columns, c_columns;
    model_map *models;
    size_t n_models, c_models;
    sqlite3_stmt *properties;      /* all of one content */
    size_t instrument, confidence; /* places among sm_properties */
} refresh;

/* ---- which columns ---- */

static int register_name(sm_store *s, const char *name, bool *made)
{
    sqlite3_stmt *st = NULL;
    int err = store_change(s, "INSERT OR IGNORE INTO column_fields (name) VALUES (?)", &st);
    if (err < 0)
        return err;
    sql_bind_text(st, 1, name);
    err = store_done(s, st);
    *made |= err == 0 && sqlite3_changes(s->sql.db) > 0;
    return err;
}

/* "mood_sad:sad" is said by mood_sad and by mood_sad-musicnn. */
static const char *class_of_output(const char *target, const char *model)
{
    const char *colon = strchr(target, ':');
    const size_t n = colon ? (size_t)(colon - target) : 0;
    return n > 0 && !strncmp(target, model, n) && (!model[n] || model[n] == '-') ? colon + 1 : NULL;
}

static int register_outputs(refresh *r, const char *model, const json_t *classes, bool *made)
{
    int err = 0;
    for (size_t w = 0; w < thesaurus_words(r->t); w++) {
        const thesaurus_word *word = thesaurus_at(r->t, w);
        for (size_t i = 0; i < word->n_rows && err == 0; i++) {
            const char *name =
                word->rows[i].kind == THESAURUS_OUTPUT ? class_of_output(word->rows[i].target, model) : NULL;
            char column_name[160];
            for (size_t c = 0; name && c < json_array_size(classes) && err == 0; c++)
                if (!strcmp(json_string_value(json_array_get(classes, c)), name)) {
                    snprintf(column_name, sizeof column_name, "output:%s", word->rows[i].target);
                    err = register_name(r->s, column_name, made);
                }
        }
    }
    return err;
}

typedef struct {
    refresh *r;
    bool *made;
} model_walk;

static int note_model(void *user, sqlite3_stmt *st)
{
    const model_walk *w = user;
    json_t *classes = json_loads(sql_text(st, 1) ? sql_text(st, 1) : "[]", 0, NULL);
    const int err = register_outputs(w->r, sql_text(st, 0), classes, w->made);
    json_decref(classes);
    return err;
}

/* All that a query may ask for; what is new has to be filled for everything that is there. */
static int register_all(refresh *r)
{
    static const char *const others[] = { "live", "onset_rate_hz", "pitch_range_st" };
    const sm_property *properties;
    const size_t n = sm_properties(&properties);
    sqlite3_stmt *st = NULL;
    bool made = false;
    model_walk w = { r, &made };
    char name[160];
    int err = 0;
    for (size_t i = 0; i < SM_LENGTH(others) && err == 0; i++)
        err = register_name(r->s, others[i], &made);
    for (size_t i = 0; i < n && err == 0; i++)
        err = register_name(r->s, properties[i].name, &made);
    for (size_t i = 0; i < SM_INSTRUMENTS && err == 0; i++) {
        snprintf(name, sizeof name, "class:%s", sm_instruments[i]);
        err = register_name(r->s, name, &made);
    }
    if (err == 0 && r->t)
        err = sql_prepare(&r->s->sql, "SELECT DISTINCT name, classes FROM models WHERE classes IS NOT NULL", &st);
    if (err == 0 && st)
        err = store_walk(r->s, st, note_model, &w);
    if (err == 0 && made)
        err = sql_exec(&r->s->sql, "INSERT OR IGNORE INTO stale SELECT id FROM contents");
    return err;
}

static bool understand_column(column *c)
{
    if (!strcmp(c->name, "live"))
        c->kind = LIVE;
    else if (!strcmp(c->name, "onset_rate_hz"))
        c->kind = ONSET_RATE;
    else if (!strcmp(c->name, "pitch_range_st"))
        c->kind = PITCH_RANGE;
    else if (!strncmp(c->name, "class:", 6)) {
        c->kind = CLASS;
        c->target = c->name + 6;
    } else if (!strncmp(c->name, "output:", 7)) {
        c->kind = OUTPUT;
        c->target = c->name + 7;
    } else {
        c->kind = PROPERTY;
        c->property = sm_property_find(c->name);
        return c->property != NULL; /* else of a later version */
    }
    return true;
}

static int take_column(void *user, sqlite3_stmt *st)
{
    refresh *r = user;
    if (sm_grow(&r->columns, &r->c_columns, r->n_columns + 1, sizeof *r->columns) < 0)
        return SM_ENOMEM;
    column *c = &r->columns[r->n_columns];
    *c = (column){ .id = sqlite3_column_int64(st, 0), .name = sm_strdup(sql_text(st, 1)) };
    if (!c->name)
        return SM_ENOMEM;
    if (!understand_column(c)) {
        sm_free(c->name);
        return 0;
    }
    r->n_columns++;
    c->values = sm_alloc(BLOCK, sizeof *c->values);
    return c->values ? 0 : SM_ENOMEM;
}

static int take_model(void *user, sqlite3_stmt *st)
{
    refresh *r = user;
    const char *name = sql_text(st, 1);
    if (sm_grow(&r->models, &r->c_models, r->n_models + 1, sizeof *r->models) < 0)
        return SM_ENOMEM;
    model_map *m = &r->models[r->n_models++];
    *m = (model_map){ .id = sqlite3_column_int64(st, 0),
                      .ours = !strncmp(name, "samplemind", 10),
                      .classes = sm_alloc(r->n_columns + 1, sizeof *m->classes) };
    json_t *classes = json_loads(sql_text(st, 2) ? sql_text(st, 2) : "[]", 0, NULL);
    if (!m->classes) {
        json_decref(classes);
        return SM_ENOMEM;
    }
    for (size_t i = 0; i < r->n_columns; i++) {
        const column *c = &r->columns[i];
        const char *wanted = c->kind == OUTPUT             ? class_of_output(c->target, name)
                             : c->kind == CLASS && m->ours ? c->target
                                                           : NULL;
        m->classes[i] = -1;
        for (size_t k = 0; wanted && k < json_array_size(classes); k++) {
            const char *one = json_string_value(json_array_get(classes, k));
            if (one && !strcmp(one, wanted))
                m->classes[i] = (int)k;
        }
    }
    json_decref(classes);
    return 0;
}

static int prepare(refresh *r)
{
    const sm_property *properties;
    const size_t n = sm_properties(&properties);
    sqlite3_stmt *st = NULL;
    sm_buffer sql = { 0 };
    int err = sql_prepare(&r->s->sql, "SELECT id, name FROM column_fields ORDER BY id", &st);
    if (err == 0)
        err = store_walk(r->s, st, take_column, r);
    if (err == 0)
        err = sql_prepare(&r->s->sql, "SELECT id, name, classes FROM models", &st);
    if (err == 0)
        err = store_walk(r->s, st, take_model, r);
    sm_buffer_text(&sql, "SELECT ");
    for (size_t i = 0; i < n; i++) {
        sm_buffer_printf(&sql, "%s\"%s\"", i > 0 ? ", " : "", properties[i].name);
        if (!strcmp(properties[i].name, "instrument"))
            r->instrument = i;
        if (!strcmp(properties[i].name, "instrument_confidence"))
            r->confidence = i;
    }
    sm_buffer_text(&sql, " FROM properties WHERE content = ?");
    if (err == 0)
        err = sql.failed ? SM_ENOMEM : sql_prepare(&r->s->sql, sql.data, &r->properties);
    sm_buffer_free(&sql);
    return err;
}

static void finish(refresh *r)
{
    for (size_t i = 0; i < r->n_columns; i++) {
        sm_free(r->columns[i].name);
        sm_free(r->columns[i].values);
    }
    for (size_t i = 0; i < r->n_models; i++)
        sm_free(r->models[i].classes);
    sm_free(r->columns);
    sm_free(r->models);
    sqlite3_finalize(r->properties);
}

/* ---- blocks as bytes ---- */

static void unpack_block(const void *data, size_t size, float *values)
{
    const uint8_t *p = data;
    if (size == 1 + BLOCK * sizeof *values && p[0] == DENSE) {
        memcpy(values, p + 1, BLOCK * sizeof *values);
        return;
    }
    for (size_t i = 0; i < BLOCK; i++)
        values[i] = NAN;
    if (size == 0 || p[0] != SPARSE)
        return; /* nothing there, or damaged: unknown */
    for (size_t at = 1; at + 6 <= size; at += 6) {
        const size_t i = (size_t)p[at] | (size_t)p[at + 1] << 8;
        if (i < BLOCK)
            memcpy(&values[i], p + at + 2, sizeof *values);
    }
}

static void pack_block(const float *values, sm_buffer *out)
{
    size_t known = 0;
    for (size_t i = 0; i < BLOCK; i++)
        known += !isnan(values[i]);
    const uint8_t form = 6 * known < 4 * BLOCK ? SPARSE : DENSE;
    sm_buffer_add(out, &form, 1);
    if (form == DENSE) {
        sm_buffer_add(out, values, BLOCK * sizeof *values);
        return;
    }
    for (size_t i = 0; i < BLOCK; i++)
        if (!isnan(values[i])) {
            uint8_t entry[6] = { (uint8_t)i, (uint8_t)(i >> 8) };
            memcpy(entry + 2, &values[i], sizeof *values);
            sm_buffer_add(out, entry, sizeof entry);
        }
}

static int64_t block_id(const column *c, int64_t block)
{
    return c->id << 32 | block;
}

static int read_block(refresh *r, column *c, int64_t block)
{
    sqlite3_stmt *st = NULL;
    int err = sql_cached(&r->s->sql, "SELECT data FROM columns WHERE id = ?", &st);
    if (err < 0)
        return err;
    sqlite3_bind_int64(st, 1, block_id(c, block));
    err = sql_step(&r->s->sql, st);
    if (err >= 0)
        unpack_block(err == 1 ? sqlite3_column_blob(st, 0) : NULL, err == 1 ? (size_t)sqlite3_column_bytes(st, 0) : 0,
                     c->values);
    sqlite3_reset(st);
    return err < 0 ? err : 0;
}

static int write_block(refresh *r, const column *c, int64_t block)
{
    sqlite3_stmt *st = NULL;
    sm_buffer data = { 0 };
    pack_block(c->values, &data);
    int err =
        data.failed ? SM_ENOMEM : store_change(r->s, "INSERT OR REPLACE INTO columns (id, data) VALUES (?, ?)", &st);
    if (err == 0) {
        sqlite3_bind_int64(st, 1, block_id(c, block));
        sql_bind_bytes(st, 2, data.data, data.length);
        err = store_done(r->s, st);
    }
    sm_buffer_free(&data);
    return err;
}

/* ---- the values of one content ---- */

static int text_code(sm_store *s, const char *text, float *code)
{
    sqlite3_stmt *st = NULL;
    int64_t id = 0;
    int err = sql_cached(&s->sql, "SELECT id FROM column_texts WHERE text = ?", &st);
    if (err < 0)
        return err;
    sql_bind_text(st, 1, text);
    err = store_ask(s, st, &id);
    if (err == 0 && id == 0) {
        err = store_change(s, "INSERT INTO column_texts (text) VALUES (?)", &st);
        if (err == 0) {
            sql_bind_text(st, 1, text);
            err = store_done(s, st);
            id = sqlite3_last_insert_rowid(s->sql.db);
        }
    }
    *code = (float)id;
    return err;
}

static double number_of(sqlite3_stmt *st, const char *name)
{
    const sm_property *first, *p = sm_property_find(name);
    sm_properties(&first);
    return p ? sql_double(st, (int)(p - first)) : (double)NAN;
}

/* A verdict counts as much as the model is sure of it; what the user said is certain, and all else is not. */
static void judge_class(column *c, size_t at, const char *verdict, double confidence, bool users)
{
    const bool same = verdict && !strcmp(verdict, c->target);
    if (users)
        c->values[at] = same;
    else if (same && !(c->values[at] >= confidence))
        c->values[at] = (float)confidence;
    else if (verdict && isnan(c->values[at]))
        c->values[at] = 0;
}

static int put_properties(refresh *r, size_t at, sqlite3_stmt *st, bool users)
{
    const sm_property *first;
    sm_properties(&first);
    const double length = number_of(st, "duration_s"), low = number_of(st, "pitch_min_hz"),
                 high = number_of(st, "pitch_max_hz");
    const char *verdict = sql_text(st, (int)r->instrument);
    int err = 0;
    for (size_t i = 0; i < r->n_columns && err == 0; i++) {
        column *c = &r->columns[i];
        if (c->kind == PROPERTY && !c->property->text)
            c->values[at] = (float)sql_double(st, (int)(c->property - first));
        else if (c->kind == PROPERTY) {
            const char *text = sql_text(st, (int)(c->property - first));
            err = text ? text_code(r->s, text, &c->values[at]) : 0;
        } else if (c->kind == ONSET_RATE && length > 0)
            c->values[at] = (float)(number_of(st, "onset_count") / length);
        else if (c->kind == PITCH_RANGE && low > 0)
            c->values[at] = (float)(12 * log2(high / low));
        else if (c->kind == CLASS)
            judge_class(c, at, verdict, sql_double(st, (int)r->confidence), users);
    }
    return err;
}

typedef struct {
    refresh *r;
    size_t at;
} output_walk;

static int put_output(void *user, sqlite3_stmt *st)
{
    const output_walk *w = user;
    refresh *r = w->r;
    const int64_t id = sqlite3_column_int64(st, 0);
    const char *scores = sqlite3_column_blob(st, 1);
    const int n = sqlite3_column_bytes(st, 1) / (int)sizeof(float);
    for (size_t m = 0; m < r->n_models; m++)
        for (size_t i = 0; i < r->n_columns && r->models[m].id == id; i++) {
            const int k = r->models[m].classes[i];
            float score, *value = &r->columns[i].values[w->at];
            if (k < 0 || k >= n)
                continue;
            memcpy(&score, scores + (size_t)k * sizeof score, sizeof score); /* a blob need not be aligned */
            if (isnan(*value) || score > *value)
                *value = score;
        }
    return 0;
}

static int put_outputs(refresh *r, int64_t content, size_t at)
{
    sqlite3_stmt *st = NULL;
    output_walk w = { r, at };
    int err = sql_cached(&r->s->sql, "SELECT model, scores FROM outputs WHERE content = ?", &st);
    if (err < 0)
        return err;
    sqlite3_bind_int64(st, 1, content);
    err = store_rows(r->s, st, put_output, &w);
    sqlite3_reset(st);
    return err;
}

static int ask_of(sm_store *s, const char *sql, int64_t content, int64_t *out)
{
    sqlite3_stmt *st = NULL;
    const int err = sql_cached(&s->sql, sql, &st);
    if (err < 0)
        return err;
    sqlite3_bind_int64(st, 1, content);
    return store_ask(s, st, out);
}

static int put_content(refresh *r, int64_t content)
{
    const size_t at = (size_t)(content & (BLOCK - 1));
    int64_t live = 0, users = 0;
    for (size_t i = 0; i < r->n_columns; i++)
        r->columns[i].values[at] = NAN;
    int err = ask_of(r->s, "SELECT count(*) FROM files WHERE content = ? AND state IN (0, 1)", content, &live);
    if (err == 0)
        err = sm_store_words_put(r->s, content, r->t);
    for (size_t i = 0; i < r->n_columns; i++)
        if (r->columns[i].kind == LIVE && live > 0)
            r->columns[i].values[at] = (float)live;
    if (err == 0)
        err = put_outputs(r, content, at);
    if (err == 0)
        err = ask_of(r->s, "SELECT count(*) FROM corrections WHERE content = ? AND field = 'instrument'", content,
                     &users);
    if (err < 0)
        return err;
    sqlite3_bind_int64(r->properties, 1, content);
    err = sql_step(&r->s->sql, r->properties);
    if (err == 1)
        err = put_properties(r, at, r->properties, users > 0);
    sqlite3_reset(r->properties);
    return err < 0 ? err : 0;
}

/* ---- refreshing ---- */

typedef struct {
    int64_t ids[BLOCK];
    size_t n;
} id_list;

static int note_id(void *user, sqlite3_stmt *st)
{
    id_list *list = user;
    list->ids[list->n++] = sqlite3_column_int64(st, 0);
    return 0;
}

/* One block of what is stale, in one transaction. *more: there was something. */
static int refresh_block(refresh *r, bool *more)
{
    id_list *list = sm_alloc_zero(1, sizeof *list);
    sqlite3_stmt *st = NULL;
    int64_t first = -1;
    bool own = false;
    int err = list ? sm_store_begin(r->s, &own) : SM_ENOMEM;
    if (err == 0)
        err = sql_number(&r->s->sql, "SELECT content FROM stale ORDER BY content LIMIT 1", &first);
    const int64_t block = first >> BLOCK_BITS;
    *more = err == 0 && first >= 0;
    if (*more)
        err = sql_cached(&r->s->sql, "SELECT content FROM stale WHERE content >= ?1 AND content < ?1 + 4096", &st);
    if (err == 0 && *more) {
        sqlite3_bind_int64(st, 1, block << BLOCK_BITS);
        err = store_rows(r->s, st, note_id, list);
        sqlite3_reset(st);
    }
    for (size_t i = 0; i < r->n_columns && err == 0 && *more; i++)
        err = read_block(r, &r->columns[i], block);
    for (size_t i = 0; list && i < list->n && err == 0; i++)
        err = put_content(r, list->ids[i]);
    for (size_t i = 0; i < r->n_columns && err == 0 && *more; i++)
        err = write_block(r, &r->columns[i], block);
    if (err == 0 && *more)
        err = store_change(r->s, "DELETE FROM stale WHERE content >= ?1 AND content < ?1 + 4096", &st);
    if (err == 0 && *more) {
        sqlite3_bind_int64(st, 1, block << BLOCK_BITS);
        err = store_done(r->s, st);
    }
    sm_free(list);
    return own ? sm_store_end(r->s, own, err) : err;
}

int sm_store_columns_stale(sm_store *s, int64_t *contents)
{
    *contents = 0;
    return sql_number(&s->sql, "SELECT count(*) FROM stale", contents);
}

int sm_store_columns_refresh(sm_store *s, const thesaurus *t, bool patient)
{
    refresh r = { .s = s, .t = t };
    bool own = false, more = true;
    if (!sm_store_is_writable(s))
        return 0;
    if (!patient) {
        sqlite3_busy_timeout(s->sql.db, 0);
        const int busy = sm_store_begin(s, &own);
        sqlite3_busy_timeout(s->sql.db, 10000);
        if (busy < 0) /* somebody else writes; what is there will do */
            return 0;
        const int err = sm_store_end(s, own, 0);
        if (err < 0)
            return err;
    }
    int err = sm_store_begin(s, &own);
    if (err == 0)
        err = sm_store_end(s, own, register_all(&r));
    if (err == 0)
        err = prepare(&r);
    while (err == 0 && more)
        err = refresh_block(&r, &more);
    finish(&r);
    return err;
}

/* ---- reading ---- */

int sm_store_column(sm_store *s, const char *name, float **values, size_t *n)
{
    sqlite3_stmt *st = NULL;
    int64_t id = 0, last = 0;
    *values = NULL;
    *n = 0;
    int err = sql_number(&s->sql, "SELECT id FROM contents ORDER BY id DESC LIMIT 1", &last);
    if (err == 0)
        err = sql_cached(&s->sql, "SELECT id FROM column_fields WHERE name = ?", &st);
    if (err < 0)
        return err;
    sql_bind_text(st, 1, name);
    err = store_ask(s, st, &id);
    *n = (size_t)last + 1;
    if (err < 0 || id == 0)
        return err;
    const size_t blocks = ((size_t)last >> BLOCK_BITS) + 1;
    float *all = sm_alloc(blocks * BLOCK, sizeof *all);
    if (!all)
        return SM_ENOMEM;
    err = sql_cached(&s->sql, "SELECT id & 4294967295, data FROM columns WHERE id >= ?1 << 32 AND id < (?1 + 1) << 32",
                     &st);
    size_t next = 0;
    if (err == 0)
        sqlite3_bind_int64(st, 1, id);
    while (err >= 0 && (err = sql_step(&s->sql, st)) == 1) {
        const size_t block = (size_t)sqlite3_column_int64(st, 0);
        if (block >= blocks)
            continue; /* its contents are gone */
        for (; next < block; next++)
            unpack_block(NULL, 0, all + next * BLOCK);
        unpack_block(sqlite3_column_blob(st, 1), (size_t)sqlite3_column_bytes(st, 1), all + block * BLOCK);
        next = block + 1;
    }
    if (st)
        sqlite3_reset(st);
    for (; next < blocks; next++)
        unpack_block(NULL, 0, all + next * BLOCK);
    if (err < 0)
        sm_free(all);
    else
        *values = all;
    return err;
}

typedef struct {
    sm_arena *arena;
    const char **texts;
    size_t n;
} texts_walk;

static int take_text(void *user, sqlite3_stmt *st)
{
    texts_walk *w = user;
    const size_t code = (size_t)sqlite3_column_int64(st, 0);
    if (code < w->n && !(w->texts[code] = sm_arena_strdup(w->arena, sql_text(st, 1) ? sql_text(st, 1) : "")))
        return SM_ENOMEM;
    return 0;
}

int sm_store_column_texts(sm_store *s, sm_arena *a, const char *const **texts, size_t *n)
{
    sqlite3_stmt *st = NULL;
    int64_t last = 0;
    *texts = NULL;
    *n = 0;
    int err = sql_number(&s->sql, "SELECT max(id) FROM column_texts", &last);
    texts_walk w = { a, sm_arena_zero(a, (size_t)last + 1, sizeof(char *)), (size_t)last + 1 };
    if (err == 0 && !w.texts)
        err = SM_ENOMEM;
    if (err == 0)
        err = sql_prepare(&s->sql, "SELECT id, text FROM column_texts", &st);
    if (err == 0)
        err = store_walk(s, st, take_text, &w);
    *texts = w.texts;
    *n = w.n;
    return err;
}
