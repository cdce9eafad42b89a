/* Tables of text separated by commas (RFC 4180: quotes, doubled quotes, CR LF), with a first line of column names. */
#ifndef SM_LIBRARY_CSV_H
#define SM_LIBRARY_CSV_H

#include "base/base.h"

typedef struct {
    sm_buffer text;     /* cut into cells in place */
    const char **names; /* [columns] */
    const char **cells; /* [rows, columns]; short lines have "" */
    size_t *lines;      /* [rows]: line in the file, from 1 */
    size_t columns, rows;
    sm_arena *arena;
} sm_csv;
/* SM_EIO, SM_ENOTFOUND; SM_EFORMAT: no text, no heading, a quote that does not end, a line with more cells than the heading. */
int sm_csv_read(const char *path, sm_csv *out);
void sm_csv_free(sm_csv *t);
/* The column of this name, -1: none. */
int sm_csv_column(const sm_csv *t, const char *name);
/* A cell, or NULL: column -1, or empty. */
const char *sm_csv_cell(const sm_csv *t, size_t row, int column);

#endif
