/* What the tools of the dataset share among each other. */
#ifndef SM_TRAIN_DATASET_PARTS_H
#define SM_TRAIN_DATASET_PARTS_H

#include "library/csv.h"
#include "train/dataset_db.h"
#include "train/dataset_tools.h"

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
