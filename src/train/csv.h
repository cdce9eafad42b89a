/* Tables of text separated by commas (RFC 4180: quotes, doubled quotes, CR LF), with a first line of column names. Private to train. */
#ifndef SM_TRAIN_CSV_H
#define SM_TRAIN_CSV_H

#include "base/base.h"

typedef struct {
    sm_buffer text;     /* cut into cells in place */
    const char **names; /* [columns] */
    const char **cells; /* [rows, columns]; short lines have "" */
    size_t *lines;      /* [rows]: line in the file, from 1 */
    size_t columns, rows;
    sm_arena *arena;
} train_csv;
/* SM_EIO, SM_ENOTFOUND; SM_EFORMAT: no text, no heading, a quote that does not end, a line with more cells than the heading. */
int train_csv_read(const char *path, train_csv *out);
void train_csv_free(train_csv *t);
/* The column of this name, -1: none. */
int train_csv_column(const train_csv *t, const char *name);
/* A cell, or NULL: column -1, or empty. */
const char *train_csv_cell(const train_csv *t, size_t row, int column);

#endif
