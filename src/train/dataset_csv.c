/* Comma-separated tables, RFC 4180: quotes, doubled quotes, commas and line ends inside them; LF or CR LF; a byte order mark. */
#include <stdlib.h>
#include <string.h>

#include "train/dataset_parts.h"

enum { LARGEST_TABLE = 256 << 20, MOST_COLUMNS = 64 };

typedef struct {
    const char *at, *end, *path;
    int line;
    sm_arena *arena;
    sm_buffer cell;
} reader;

/* One cell into *out, and what ended it: ',' or '\n' (also the end of the file). */
static int read_cell(reader *r, char **out, char *ended_by)
{
    const int first_line = r->line;
    bool quoted = r->at < r->end && *r->at == '"';
    r->cell.length = 0;
    if (quoted)
        r->at++;
    for (; r->at < r->end; r->at++) {
        const char c = *r->at;
        if (quoted && c == '"') {
            if (r->at + 1 < r->end && r->at[1] == '"')
                r->at++;
            else {
                quoted = false;
                continue;
            }
        } else if (!quoted && (c == ',' || c == '\n')) {
            break;
        } else if (!quoted && c == '\r' && (r->at + 1 == r->end || r->at[1] == '\n')) {
            continue;
        }
        if (c == 0)
            return sm_fail(SM_EFORMAT, "%s: line %d: a zero byte: not a table of text", r->path, r->line);
        r->line += c == '\n';
        sm_buffer_add(&r->cell, r->at, 1);
    }
    if (quoted)
        return sm_fail(SM_EFORMAT, "%s: line %d: a quote that does not end", r->path, first_line);
    *ended_by = r->at < r->end ? *r->at : '\n';
    r->line += r->at < r->end && *r->at == '\n';
    r->at += r->at < r->end;
    *out = r->cell.failed ? NULL : sm_arena_strndup(r->arena, r->cell.length ? r->cell.data : "", r->cell.length);
    return *out ? 0 : SM_ENOMEM;
}

static int read_row(reader *r, char *cells[MOST_COLUMNS], size_t *n)
{
    char ended_by = ',';
    int err = 0;
    *n = 0;
    while (err == 0 && ended_by == ',') {
        if (*n == MOST_COLUMNS)
            return sm_fail(SM_EFORMAT, "%s: line %d: more than %d columns", r->path, r->line, MOST_COLUMNS);
        err = read_cell(r, &cells[*n], &ended_by);
        *n += err == 0;
    }
    return err;
}

static int read_rows(reader *r, ds_table *t)
{
    size_t room = 0, line_room = 0;
    char *row[MOST_COLUMNS];
    int err = 0;
    while (err == 0 && r->at < r->end) {
        const int line = r->line;
        size_t n = 0;
        err = read_row(r, row, &n);
        if (err < 0 || (n == 1 && !*row[0]))
            continue; /* an empty line */
        if (t->rows == 0)
            t->columns = n;
        if (n != t->columns)
            return sm_fail(SM_EFORMAT, "%s: line %d: %zu cells; the header has %zu", r->path, line, n, t->columns);
        if (sm_grow(&t->cells, &room, (t->rows + 1) * n, sizeof *t->cells) < 0 ||
            sm_grow(&t->lines, &line_room, t->rows + 1, sizeof *t->lines) < 0)
            return SM_ENOMEM;
        memcpy(t->cells + t->rows * n, row, n * sizeof *row);
        t->lines[t->rows++] = line;
    }
    return err;
}

int ds_table_read(const char *path, ds_table *out)
{
    sm_buffer text = { 0 };
    ds_table t = { .arena = sm_arena_new() };
    reader r = { .path = path, .line = 1, .arena = t.arena };
    int err = t.arena ? sm_file_read(path, LARGEST_TABLE, &text) : SM_ENOMEM;
    *out = (ds_table){ 0 };
    if (err == 0) {
        r.at = text.data;
        r.end = text.data ? text.data + text.length : NULL;
        if (text.length >= 3 && !memcmp(text.data, "\xef\xbb\xbf", 3))
            r.at += 3;
        err = read_rows(&r, &t);
    }
    if (err == 0 && t.rows == 0)
        err = sm_fail(SM_EFORMAT, "%s: is empty; a table with a header was expected", path);
    if (err < 0)
        ds_table_free(&t);
    else
        *out = t;
    sm_buffer_free(&r.cell);
    sm_buffer_free(&text);
    return err;
}

void ds_table_free(ds_table *t)
{
    sm_free(t->cells);
    sm_free(t->lines);
    sm_arena_free(t->arena);
    *t = (ds_table){ 0 };
}

int ds_table_column(const ds_table *t, const char *name)
{
    for (size_t c = 0; c < t->columns; c++)
        if (!strcmp(t->cells[c], name))
            return (int)c;
    return -1;
}

const char *ds_table_cell(const ds_table *t, size_t row, int column)
{
    const char *text = column < 0 ? "" : t->cells[row * t->columns + (size_t)column];
    return *text ? text : NULL;
}

void ds_csv_cell(FILE *out, const char *text, char before)
{
    if (before)
        putc(before, out);
    if (!text)
        return;
    if (!text[strcspn(text, ",\"\r\n")] && *text != ' ') {
        fputs(text, out);
        return;
    }
    putc('"', out);
    for (; *text; text++) {
        if (*text == '"')
            putc('"', out);
        putc(*text, out);
    }
    putc('"', out);
}
