/* Names of files made of what is known of them. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "library/known.h"
#include "library/moves.h"

enum { LONGEST = 255 }; /* bytes of a name; file systems take no more */

/* What no file name should have: separators of folders, of drives, wild cards, control characters. */
static void add_clean(sm_buffer *b, const char *text)
{
    for (; *text; text++) {
        const unsigned char c = (unsigned char)*text;
        sm_buffer_add(b, c < 0x20 || strchr("/\\:*?\"<>|", c) ? "-" : text, 1);
    }
}

static void add_value(sm_buffer *b, const json_t *record, const char *field, const char *stem)
{
    const double number = sm_known_number(record, field);
    char key[8];
    if (!strcmp(field, "name")) {
        sm_buffer_text(b, stem);
    } else if (!strcmp(field, "key")) {
        sm_key_short(sm_known_text(record, "key"), key);
        add_clean(b, key);
    } else if (!strcmp(field, "bpm")) {
        if (isfinite(number))
            sm_buffer_printf(b, "%.0f", number);
    } else if (isfinite(number)) {
        sm_buffer_printf(b, "%.4g", number);
    } else if (sm_known_text(record, field)) {
        add_clean(b, sm_known_text(record, field));
    }
}

static bool is_separator(char c)
{
    return c == '_' || c == '-' || c == ' ' || c == '.';
}

/* The pattern's text between values is left out at the beginning, and behind a value that is not known. */
static int fill(const char *pattern, const json_t *record, const char *stem, sm_buffer *out)
{
    bool empty = true; /* the value before, or the name so far */
    for (const char *p = pattern; *p;) {
        const char *close = *p == '{' ? strchr(p, '}') : NULL;
        if (*p == '{' && !close)
            return sm_fail(SM_EUSAGE, "the pattern \"%s\" has a { without its }", pattern);
        if (close) {
            char field[64];
            const size_t before = out->length;
            snprintf(field, sizeof field, "%.*s", (int)(close - p - 1), p + 1);
            add_value(out, record, field, stem);
            empty = out->length == before;
            p = close + 1;
        } else {
            if (!(empty && is_separator(*p)))
                sm_buffer_add(out, *p == '/' ? "-" : p, 1);
            p++;
        }
    }
    while (out->length > 0 && is_separator(out->data[out->length - 1]))
        out->data[--out->length] = 0;
    return out->failed ? SM_ENOMEM : 0;
}

static int new_path(const char *pattern, const json_t *record, const char *path, char **out)
{
    const char *name = sm_path_name(path), *dot = strrchr(name, '.');
    char *stem = sm_strndup(name, dot && dot > name ? (size_t)(dot - name) : strlen(name));
    const char *ending = dot && dot > name ? dot : "";
    sm_buffer b = { 0 };
    int err = stem ? fill(pattern, record, stem, &b) : SM_ENOMEM;
    if (err == 0 && b.length == 0)
        err = sm_fail(SM_EFORMAT, "nothing is known for a name");
    if (err == 0 && b.length + strlen(ending) > LONGEST)
        err = sm_fail(SM_ELIMIT, "the name would have %zu bytes", b.length + strlen(ending));
    if (err == 0 && !(*out = sm_printf_new("%.*s%s%s", (int)(name - path), path, b.data, ending)))
        err = SM_ENOMEM;
    sm_free(stem);
    sm_buffer_free(&b);
    return err;
}

/* One file's new name into the lists; a file that has it already is left. */
static int plan_one(sm_known *k, const char *pattern, const char *path, sm_strings *from, sm_strings *to)
{
    json_t *record = NULL;
    int64_t content = 0;
    char *target = NULL, *absolute = realpath(path, NULL); /* memory of the C library */
    int err =
        absolute ? sm_known_record(k, absolute, &record, &content) : sm_fail(SM_ENOTFOUND, "%s: no such file", path);
    if (err == 0)
        err = new_path(pattern, record, absolute, &target);
    if (err == 0 && strcmp(target, absolute) != 0) {
        for (size_t i = 0; err == 0 && i < to->length; i++)
            if (!strcmp(to->items[i], target))
                err = sm_fail(SM_EIO, "%s would get this name too: %s", from->items[i], target);
        if (err == 0)
            err = sm_strings_add(from, absolute);
        if (err == 0)
            err = sm_strings_add(to, target);
    }
    free(absolute);
    sm_free(target);
    json_decref(record);
    return err;
}

int sm_rename_files(const char *library, const char *models, const char *pattern, const char *const *paths, size_t n,
                    int plan, sm_moves *m)
{
    sm_strings from = { 0 }, to = { 0 };
    sm_known *k = NULL;
    size_t failed = 0;
    sm_buffer trial = { 0 };
    m->moved = m->failed = 0;
    int err = fill(pattern, NULL, "name", &trial); /* a pattern that cannot be is the caller's, not each file's */
    sm_buffer_free(&trial);
    if (err == 0)
        err = sm_known_open(library, !plan, models, &k);
    for (size_t i = 0; err == 0 && i < n; i++) {
        const int planned = plan_one(k, pattern, paths[i], &from, &to);
        if (planned == SM_ENOMEM || planned == SM_ECANCELLED)
            err = planned;
        else if (planned < 0) {
            failed++;
            if (m->problem)
                m->problem(m->user, paths[i], sm_last_error());
        }
    }
    for (size_t i = 0; err == 0 && plan && m->told && i < from.length; i++)
        m->told(m->user, from.items[i], to.items[i]);
    if (err == 0 && !plan)
        err = sm_moves_run(sm_known_store(k), "rename", &from, &to, m);
    m->failed += failed;
    sm_known_close(k);
    sm_strings_free(&from);
    sm_strings_free(&to);
    return err;
}
