/* What is known, handed on: tables, playlists, the files of DJ programs; and names made of it. For the command line. */
#ifndef SM_LIBRARY_EXPORT_H
#define SM_LIBRARY_EXPORT_H

#include "base/base.h"

typedef enum {
    SM_EXPORT_CSV,
    SM_EXPORT_JSON,
    SM_EXPORT_JSONL,
    SM_EXPORT_M3U8,
    SM_EXPORT_REKORDBOX,
    SM_EXPORT_ABLETON
} sm_export_kind;
typedef struct {
    const char *library;       /* folder, or NULL; what it knows need not be analysed again */
    const char *models;        /* as in sm_options, for files that it does not know */
    const char *const *fields; /* of CSV; and of JSON, where NULL is all */
    size_t n_fields;
    bool only_these;  /* also where there are none; else no path means the whole library */
    const char *name; /* of the playlist */
    int (*progress)(void *user, size_t done, size_t total); /* not 0: stop */
    void (*problem)(void *user, const char *path, const char *reason);
    void *user;
} sm_export_options;
/* Writes the files, or with n 0 all of the library, to `out`. A file that cannot be read is told and left out. *failed: how many. */
int sm_export(sm_export_kind kind, const char *const *paths, size_t n, const sm_export_options *o, FILE *out,
              size_t *failed);

/* New names by a pattern: "{bpm}_{key}_{instrument}_{name}". Fields of the record in braces, and name (the old one without its
 * ending). What is not known leaves its place empty, together with the separator beside it; the ending stays. What no file name can
 * have becomes "-". Nothing is ever replaced: a name that is taken, or that two would get, is a problem of that file. The library's
 * journal takes it back (sm_moves_undo "rename"). dry_run: only tells. SM_EUSAGE: a pattern with a brace that does not close. */
int sm_rename_files(const char *library, const char *models, const char *pattern, const char *const *paths, size_t n,
                    bool dry_run, sm_moves *m);

#endif
