/* Counts, and who is to be named. */
#include <string.h>

#include "train/dataset_parts.h"

int sm_dataset_tallies(sm_dataset *d, const char *column, const sm_dataset_filter *f, sm_arena *a,
                       sm_dataset_tally **out, size_t *n)
{
    static const char *const columns[] = { "label",        "source",     "licence", "family", "split",
                                           "random_split", "label_from", "genre",   "mood" };
    sqlite3_stmt *s = NULL;
    sm_dataset_tally *list = NULL;
    size_t capacity = 0, found = 0;
    int more = 0, err = SM_EUSAGE;
    char select[400], tail[64];
    *out = NULL;
    *n = 0;
    for (size_t i = 0; i < SM_LENGTH(columns); i++)
        err = !strcmp(columns[i], column) ? 0 : err;
    if (err < 0)
        return sm_fail(err, "there are no counts by \"%s\"", column);
    snprintf(select, sizeof select,
             "SELECT %s, count(*), count(DISTINCT family), sum(split IS 'train'), sum(split IS 'val'),"
             " sum(split IS 'test'), sum(verified), sum(label IS NOT NULL AND confidence < 0.7),"
             " total(duration_s) FROM items",
             column);
    snprintf(tail, sizeof tail, "GROUP BY 1 ORDER BY %s", strcmp(column, "label") ? "2 DESC, 1" : "1 IS NULL, 1");
    err = ds_filter_prepare(d, select, f, tail, &s);
    while (err == 0 && (more = ds_step(d, s)) == 1) {
        const char *value = ds_text(s, 0);
        const char *copy = value ? sm_arena_strdup(a, value) : NULL;
        err = (value && !copy) || sm_grow(&list, &capacity, found + 1, sizeof *list) < 0 ? SM_ENOMEM : 0;
        if (err == 0)
            list[found++] = (sm_dataset_tally){
                copy,
                sqlite3_column_int64(s, 1),
                sqlite3_column_int64(s, 2),
                sqlite3_column_int64(s, 3),
                sqlite3_column_int64(s, 4),
                sqlite3_column_int64(s, 5),
                sqlite3_column_int64(s, 6),
                sqlite3_column_int64(s, 7),
                sqlite3_column_double(s, 8),
            };
    }
    sqlite3_finalize(s);
    err = err < 0 ? err : SM_MIN(more, 0);
    if (err == 0 && !(*out = sm_arena_get(a, SM_MAX(found, 1), sizeof **out, 16)))
        err = SM_ENOMEM;
    if (err == 0 && found)
        memcpy(*out, list, found * sizeof *list);
    *n = err == 0 ? found : 0;
    sm_free(list);
    return err;
}

int sm_dataset_broken(sm_dataset *d, sm_arena *a, const char *const **paths, const char *const **reasons, size_t *n)
{
    sqlite3_stmt *s = NULL;
    const char **list = NULL;
    size_t capacity = 0, found = 0;
    int more = 0;
    int err = ds_prepare(d, "SELECT root || '/' || path, reason FROM broken ORDER BY 1", &s);
    *paths = *reasons = NULL;
    *n = 0;
    while (err == 0 && (more = ds_step(d, s)) == 1) {
        err = sm_grow(&list, &capacity, 2 * found + 2, sizeof *list);
        for (int k = 0; k < 2 && err == 0; k++)
            err = (list[2 * found + (size_t)k] = sm_arena_strdup(a, ds_text(s, k))) ? 0 : SM_ENOMEM;
        found += err == 0;
    }
    sqlite3_finalize(s);
    err = err < 0 ? err : SM_MIN(more, 0);
    const char **texts = err == 0 ? sm_arena_get(a, 2 * found + 2, sizeof *texts, 16) : NULL;
    if (err == 0 && !texts)
        err = SM_ENOMEM;
    if (err == 0) {
        for (size_t i = 0; i < found; i++) {
            texts[i] = list[2 * i];
            texts[found + i] = list[2 * i + 1];
        }
        *paths = texts;
        *reasons = texts + found;
        *n = found;
    }
    sm_free(list);
    return err;
}

int sm_dataset_attribution(sm_dataset *d, const sm_dataset_filter *f, sm_buffer *out)
{
    sqlite3_stmt *s = NULL;
    int more = 0;
    int err = ds_filter_prepare(d,
                                "SELECT coalesce(source, 'unknown source'), coalesce(licence, 'licence unknown'),"
                                " attribution, url, count(*) FROM items",
                                f, "GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4", &s);
    while (err == 0 && (more = ds_step(d, s)) == 1) {
        sm_buffer_printf(out, "%s: %lld sound%s, %s", ds_text(s, 0), (long long)sqlite3_column_int64(s, 4),
                         sqlite3_column_int64(s, 4) == 1 ? "" : "s", ds_text(s, 1));
        for (int k = 2; k < 4; k++)
            if (ds_text(s, k))
                sm_buffer_printf(out, ", %s", ds_text(s, k));
        sm_buffer_text(out, "\n");
    }
    sqlite3_finalize(s);
    return err < 0 ? err : more < 0 ? more : out->failed ? SM_ENOMEM : 0;
}
