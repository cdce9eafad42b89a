/* Filters as SQL: lists of patterns become GLOBs of lower case. */
#include <string.h>

#include "train/dataset_db.h"

typedef struct {
    sm_buffer *sql;
    sm_strings *values;
    int err;
} condition;

static void add(condition *c, const char *sql)
{
    sm_buffer_text(c->sql, " AND ");
    sm_buffer_text(c->sql, sql);
}

static void add_value(condition *c, const char *text, size_t length)
{
    if (c->err == 0)
        c->err = sm_strings_add_n(c->values, text, length);
}

/* "[" is GLOB's own; in a pattern of ours it stands for itself. */
static void add_pattern(condition *c, const char *text, size_t length)
{
    sm_buffer glob = { 0 };
    for (size_t i = 0; i < length; i++)
        if (text[i] == '[')
            sm_buffer_text(&glob, "[[]");
        else
            sm_buffer_add(&glob, text + i, 1);
    if (glob.failed)
        c->err = SM_ENOMEM;
    add_value(c, glob.data ? glob.data : "", glob.length);
    sm_buffer_free(&glob);
}

/* One item of a list: its bounds without blanks; false: no more. */
static bool next_item(const char **at, const char **item, size_t *length)
{
    if (!**at)
        return false;
    const char *start = *at, *end = start + strcspn(start, ",");
    *at = *end ? end + 1 : end;
    while (start < end && *start == ' ')
        start++;
    while (end > start && end[-1] == ' ')
        end--;
    *item = start;
    *length = (size_t)(end - start);
    return true;
}

/* All of one sign: (x GLOB ? OR x GLOB ?). Gives how many there were. */
static size_t add_side(condition *c, const char *expression, const char *list, bool out)
{
    const char *item;
    size_t length, n = 0;
    while (next_item(&list, &item, &length)) {
        const bool minus = length > 0 && *item == '-';
        if (length == 0 || minus != out)
            continue;
        sm_buffer_printf(c->sql, n++ ? " OR lower(%s) GLOB lower(?)" : "lower(%s) GLOB lower(?)", expression);
        add_pattern(c, item + minus, length - minus);
    }
    return n;
}

/* Wanted patterns first, then the unwanted ones; a list of only unwanted ones starts from all. */
static void add_list(condition *c, const char *expression, const char *list)
{
    if (!list)
        return;
    char shown[96]; /* an unknown text counts as empty */
    snprintf(shown, sizeof shown, "coalesce(%s, '')", expression);
    sm_buffer_text(c->sql, " AND (");
    size_t n = add_side(c, shown, list, false);
    sm_buffer_text(c->sql, n ? ") AND NOT (" : "1) AND NOT (");
    n = add_side(c, shown, list, true);
    sm_buffer_text(c->sql, n ? ")" : "0)");
}

static void add_flag(condition *c, int wanted, const char *sql)
{
    if (wanted == 0)
        return;
    sm_buffer_printf(c->sql, " AND %s(%s)", wanted > 0 ? "" : "NOT ", sql);
}

int ds_filter_sql(const sm_dataset_filter *f, sm_buffer *sql, sm_strings *values)
{
    static const sm_dataset_filter all = { 0 };
    condition c = { sql, values, 0 };
    char number[64];
    f = f ? f : &all;
    sm_buffer_text(sql, f->rejected > 0 ? "rejected" : f->rejected < 0 ? "1" : "NOT rejected");
    if (f->split && !strcmp(f->split, "none")) {
        add(&c, f->by_random_split ? "random_split IS NULL" : "split IS NULL");
    } else if (f->split) {
        add(&c, f->by_random_split ? "random_split = ?" : "split = ?");
        add_value(&c, f->split, strlen(f->split));
    }
    add_list(&c, "label", f->labels);
    add_list(&c, "licence", f->licences);
    add_list(&c, "source", f->sources);
    add_list(&c, "family", f->families);
    add_list(&c, "root || '/' || path", f->paths);
    add_list(&c, "label_from", f->label_from);
    add_flag(&c, f->labelled, "label IS NOT NULL");
    add_flag(&c, f->verified, "verified");
    if (f->without_twins)
        add(&c, "twin_of IS NULL");
    if (f->confidence_at_most > 0) {
        snprintf(number, sizeof number, "coalesce(confidence, 0) <= %.17g", f->confidence_at_most);
        add(&c, number);
    }
    return c.err == 0 && !sql->failed ? 0 : SM_ENOMEM;
}

int ds_filter_prepare(sm_dataset *d, const char *select, const sm_dataset_filter *f, const char *tail,
                      sqlite3_stmt **out)
{
    sm_buffer sql = { 0 };
    sm_strings values = { 0 };
    sm_buffer_printf(&sql, "%s WHERE ", select);
    int err = ds_filter_sql(f, &sql, &values);
    sm_buffer_printf(&sql, " %s", tail);
    if (err == 0 && sql.failed)
        err = SM_ENOMEM;
    if (err == 0)
        err = ds_prepare(d, sql.data, out);
    for (size_t i = 0; i < values.length && err == 0; i++)
        if (sqlite3_bind_text(*out, (int)i + 1, values.items[i], -1, SQLITE_TRANSIENT) != SQLITE_OK)
            err = ds_fail(d, "read it");
    sm_strings_free(&values);
    sm_buffer_free(&sql);
    return err;
}
