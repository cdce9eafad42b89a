/* What the tools of the dataset share among each other. */
#ifndef SM_TRAIN_DATASET_PARTS_H
#define SM_TRAIN_DATASET_PARTS_H

#include "train/dataset_db.h"
#include "train/dataset_tools.h"

/* ---- dataset_csv.c: tables after RFC 4180 ---- */
typedef struct {
    sm_arena *arena; /* of all texts */
    char **cells;    /* [rows][columns]; the first row is the header */
    int *lines;      /* [rows]: where each begins in the file */
    size_t rows, columns;
} ds_table;
/* The whole file; a row with another number of cells than the header is SM_EFORMAT. */
int ds_table_read(const char *path, ds_table *out);
void ds_table_free(ds_table *t);
int ds_table_column(const ds_table *t, const char *name); /* -1: none */
/* A cell; NULL: no such column, or empty. */
const char *ds_table_cell(const ds_table *t, size_t row, int column);
void ds_csv_cell(FILE *out, const char *text, char before); /* before: ',' or 0 */

/* ---- dataset_take.c: reading sounds and putting their items ----
 * items: root, path and all that is known of them besides the sound. Files that look as they did are not read again. */
int ds_take(sm_dataset *d, sm_item *items, size_t n, const sm_dataset_work *work, bool again,
            sm_dataset_result *result);
/* Tells `problem` and counts it. */
void ds_problem(const sm_dataset_work *work, sm_dataset_result *result, const char *path, const char *reason);
/* Asks `progress`; SM_ECANCELLED when that wants to stop. */
int ds_progress(const sm_dataset_work *work, const char *what, double done, double total, const char *unit);
/* The class as it is spelled in sm_instruments; SM_EUSAGE names the nearest. */
int ds_class(const char *text, const char **out);
/* The absolute path without links and dots; the caller's. SM_ENOTFOUND, SM_EIO. */
int ds_absolute(const char *path, char **out);

#endif
