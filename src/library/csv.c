/* Reading tables of text. */
#include <string.h>

#include "library/csv.h"

enum { MOST_BYTES = 256 << 20, MOST_COLUMNS = 256 };

/* One cell from *at on, unquoted in place. Leaves *at behind its separator; *last: it ended the line. NULL: a quote does not end. */
static char *next_cell(char **at, bool *last)
{
    char *start = *at, *to = start, *p = start;
    const bool quoted = *p == '"';
    if (quoted)
        for (p++;; p++) {
            if (!*p)
                return NULL;
            if (*p == '"' && p[1] != '"')
                break;
            p += *p == '"';
            *to++ = *p;
        }
    p += quoted;
    while (*p && *p != ',' && *p != '\n')
        *to++ = *p++;
    const char end = *p;
    if (to > start && to[-1] == '\r' && end != ',')
        to--;
    *at = end ? p + 1 : p;
    *to = 0;
    *last = end != ',';
    return start;
}

static int heading(sm_csv *t, const char *path, char **at)
{
    const char *names[MOST_COLUMNS];
    bool last = false;
    if (t->text.length >= 3 && !memcmp(*at, "\xEF\xBB\xBF", 3))
        *at += 3;
    while (!last) {
        if (t->columns == MOST_COLUMNS || !(names[t->columns++] = next_cell(at, &last)))
            return sm_fail(SM_EFORMAT, "%s: line 1 is no line of column names", path);
    }
    t->names = sm_arena_get(t->arena, t->columns, sizeof *t->names, sizeof(void *));
    if (!t->names)
        return SM_ENOMEM;
    memcpy(t->names, names, t->columns * sizeof *names);
    return 0;
}

static int body(sm_csv *t, const char *path, char *at)
{
    size_t most = 1, line = 2;
    for (const char *p = at; *p; p++)
        most += *p == '\n';
    size_t cells;
    if (sm_mul_overflow(most, t->columns, &cells))
        return sm_fail(SM_EFORMAT, "%s: too large a table", path);
    t->cells = sm_arena_get(t->arena, cells, sizeof *t->cells, sizeof(void *));
    t->lines = sm_arena_get(t->arena, most, sizeof *t->lines, sizeof(size_t));
    if (!t->cells || !t->lines)
        return SM_ENOMEM;
    while (*at) {
        const char **row = t->cells + t->rows * t->columns;
        const size_t first = line;
        size_t n = 0;
        for (bool last = false; !last; n++) {
            char *from = at;
            const char *cell = next_cell(&at, &last);
            if (!cell || (n >= t->columns && *cell))
                return sm_fail(SM_EFORMAT, "%s: line %zu %s", path, first,
                               cell ? "has more cells than the first line" : "has a quote that does not end");
            if (n < t->columns)
                row[n] = cell;
            for (; from < at; from++)
                line += *from == '\n'; /* inside of quotes; the separator itself is still there or has become 0 */
        }
        line = SM_MAX(line, first + 1);
        if (n == 1 && !*row[0])
            continue; /* an empty line */
        for (; n < t->columns; n++)
            row[n] = "";
        t->lines[t->rows++] = first;
    }
    return 0;
}

int sm_csv_read(const char *path, sm_csv *out)
{
    int err = sm_file_read(path, MOST_BYTES, &out->text);
    if (err < 0)
        return err;
    out->columns = out->rows = 0;
    out->arena = sm_arena_new();
    char *at = out->text.data;
    if (!out->arena)
        err = SM_ENOMEM;
    else if (out->text.length == 0 || memchr(out->text.data, 0, out->text.length))
        err = sm_fail(SM_EFORMAT, "%s: %s", path, out->text.length ? "not a text" : "is empty");
    if (err == 0)
        err = heading(out, path, &at);
    if (err == 0)
        err = body(out, path, at);
    if (err < 0)
        sm_csv_free(out);
    return err;
}

void sm_csv_free(sm_csv *t)
{
    sm_buffer_free(&t->text);
    sm_arena_free(t->arena);
    *t = (sm_csv){ 0 };
}

int sm_csv_column(const sm_csv *t, const char *name)
{
    for (size_t i = 0; i < t->columns; i++)
        if (!strcmp(t->names[i], name))
            return (int)i;
    return -1;
}

const char *sm_csv_cell(const sm_csv *t, size_t row, int column)
{
    const char *cell = column < 0 ? "" : t->cells[row * t->columns + (size_t)column];
    return *cell ? cell : NULL;
}
