/* What people say about items, and what models propose. */
#include "train/dataset_db.h"

/* Runs one statement whose values `bind` has set; the number of rows that it changed goes to *changed. */
static int run_counted(sm_dataset *d, sqlite3_stmt *s, int64_t id)
{
    int err = ds_run(d, s);
    if (err == 0 && sqlite3_changes(d->sql.db) == 0)
        err = sm_fail(SM_ENOTFOUND, "%s: has no item %lld", d->sql.path, (long long)id);
    return err;
}

int sm_dataset_decide(sm_dataset *d, int64_t id, const char *label, bool rejected, const char *why)
{
    sqlite3_stmt *note = NULL, *change = NULL;
    bool own = false;
    int err = ds_begin(d, &own);
    if (err < 0)
        return err;
    err = ds_prepare(d,
                     "INSERT INTO history (item, why, label_before, label_after, rejected)"
                     " SELECT id, ?2, label, coalesce(?3, label), ?4 FROM items WHERE id = ?1",
                     &note);
    if (err == 0)
        err = ds_prepare(d,
                         "UPDATE items SET label = coalesce(?3, label), label_from = CASE WHEN ?3 IS NULL THEN"
                         " label_from ELSE 'user' END, confidence = CASE WHEN ?4 THEN confidence ELSE 1 END,"
                         " verified = 1, rejected = ?4 WHERE id = ?1 AND ?2 IS NOT NULL",
                         &change);
    sqlite3_stmt *const both[] = { note, change };
    for (int k = 0; k < 2 && err == 0; k++) {
        sqlite3_bind_int64(both[k], 1, id);
        ds_bind_text(both[k], 2, why);
        ds_bind_text(both[k], 3, label);
        sqlite3_bind_int(both[k], 4, rejected);
        err = run_counted(d, both[k], id);
    }
    sqlite3_finalize(note);
    sqlite3_finalize(change);
    return ds_end(d, own, err);
}

int sm_dataset_restore(sm_dataset *d, const sm_item *before)
{
    sqlite3_stmt *s = NULL;
    int err = ds_writable(d);
    if (err == 0)
        err = ds_prepare(d,
                         "UPDATE items SET label = ?, label_from = ?, confidence = ?, verified = ?, rejected = ?"
                         " WHERE id = ?",
                         &s);
    if (err == 0) {
        ds_bind_text(s, 1, before->label);
        ds_bind_text(s, 2, before->label_from);
        sqlite3_bind_double(s, 3, before->confidence);
        sqlite3_bind_int(s, 4, before->verified);
        sqlite3_bind_int(s, 5, before->rejected);
        sqlite3_bind_int64(s, 6, before->id);
        err = run_counted(d, s, before->id);
    }
    sqlite3_finalize(s);
    return err;
}

int sm_dataset_remove(sm_dataset *d, int64_t id)
{
    sqlite3_stmt *s = NULL;
    int err = ds_writable(d);
    if (err == 0)
        err = ds_prepare(d, "DELETE FROM items WHERE id = ?", &s);
    if (err == 0) {
        sqlite3_bind_int64(s, 1, id);
        err = run_counted(d, s, id);
    }
    sqlite3_finalize(s);
    return err;
}

int sm_dataset_propose(sm_dataset *d, const sm_proposal *p)
{
    sqlite3_stmt *s = NULL;
    int err = ds_writable(d);
    if (err == 0 && (!p->model || !p->label || !(p->confidence >= 0 && p->confidence <= 1)))
        err = sm_fail(SM_EUSAGE, "a proposal needs a model, a label and a confidence of 0 to 1");
    if (err == 0)
        err = ds_prepare(d, "INSERT OR REPLACE INTO proposals (item, model, label, confidence, top) VALUES (?,?,?,?,?)",
                         &s);
    if (err == 0) {
        sqlite3_bind_int64(s, 1, p->item);
        ds_bind_text(s, 2, p->model);
        ds_bind_text(s, 3, p->label);
        sqlite3_bind_double(s, 4, p->confidence);
        ds_bind_text(s, 5, p->top);
        err = ds_run(d, s);
    }
    sqlite3_finalize(s);
    return err;
}

static int read_proposal(sqlite3_stmt *s, sm_arena *a, sm_proposal *out)
{
    const char *top = ds_text(s, 4);
    *out = (sm_proposal){ .item = sqlite3_column_int64(s, 0),
                          .model = sm_arena_strdup(a, ds_text(s, 1)),
                          .label = sm_arena_strdup(a, ds_text(s, 2)),
                          .confidence = sqlite3_column_double(s, 3),
                          .top = top ? sm_arena_strdup(a, top) : NULL };
    return out->model && out->label && (out->top || !top) ? 0 : SM_ENOMEM;
}

int sm_dataset_proposals(sm_dataset *d, int64_t item, sm_arena *a, sm_proposal **out, size_t *n)
{
    enum { MOST = 16 }; /* models that may have spoken of one item */
    sqlite3_stmt *s = NULL;
    sm_proposal *list = sm_arena_get(a, MOST, sizeof *list, 16);
    size_t found = 0;
    int more = 0;
    int err = list ? 0 : SM_ENOMEM;
    *out = NULL;
    *n = 0;
    if (err == 0)
        err = ds_prepare(d,
                         "SELECT item, model, label, confidence, top FROM proposals WHERE item = ?"
                         " ORDER BY model LIMIT 16",
                         &s);
    if (err == 0)
        sqlite3_bind_int64(s, 1, item);
    while (err == 0 && (more = ds_step(d, s)) == 1)
        err = read_proposal(s, a, &list[found++]);
    sqlite3_finalize(s);
    if (err == 0 && (err = SM_MIN(more, 0)) == 0) {
        *out = list;
        *n = found;
    }
    return err;
}
