/* What the files of the scan share, and what others hang into it: fingerprints, vectors, words. Private to this room. */
#ifndef SM_LIBRARY_SCAN_H
#define SM_LIBRARY_SCAN_H

#include <pthread.h>

#include "engine/engine.h"
#include "library/library.h"
#include "library/store.h"

/* The beginning of a sound, decoded once for all parts that want it. */
enum { SM_SCAN_SECONDS = 30 };
typedef struct {
    const char *path;
    const float *audio; /* interleaved */
    size_t frames;
    int rate_hz, channels;
    bool whole; /* nothing follows */
} sm_scan_audio;

/* A part of what is kept of a content besides its record: one constant in a file of its owner, one row in scan_parts.c.
 * It must be a function of its arguments alone. */
typedef struct {
    const char *name; /* "fingerprint": kept with each content, so that what lacks it is made up for */
    int version;      /* another version is made again for all contents */
    /* Any thread, several at a time: the result as bytes, or nothing. A failure of a sound (SM_EFORMAT and so on) leaves its part
     * empty; SM_ENOMEM ends the scan. NULL: no audio is wanted. */
    int (*compute)(const sm_scan_audio *a, sm_buffer *out);
    /* One at a time, within the transaction that keeps the content: what compute gave (length 0: nothing), and the record with what
     * each model said (sm_record_opinion: scores; sm_record_embedding). record is NULL when only this part is made again: then what the
     * store has (sm_store_record) must do, or `needs_record`. */
    int (*keep)(sm_store *s, int64_t content, const sm_record *record, const sm_buffer *computed);
    bool needs_record; /* another version of it means a new analysis */
    /* NULL, or: all files are up to date (once at the end of each scan, outside of transactions). The word index, vector files. */
    int (*finish)(sm_store *s);
} sm_scan_part;
extern const sm_scan_part *const sm_scan_parts[]; /* scan_parts.c; NULL at the end */

/* ---- one scan ---- */
enum { SM_SCAN_MOST_PARTS = 32 };
typedef struct {
    sm_store *store;
    const sm_scan_options *options;
    sm_scan_result result;
    pthread_mutex_t
        callbacks; /* progress comes from one thread of the engine, problems from another: never both at once */
    double last_report_s;
    int64_t changes; /* rows changed since the last commit */
    bool own;        /* a transaction of the list's own is open */
    /* of the second phase */
    sm_engine *engine;
    sm_pool *pool;
    double done, total; /* files, for progress; not changed while the engine works */
} sm_scan;
/* Tells the caller's progress, at most ten times a second. SM_ECANCELLED. */
int scan_progress(sm_scan *s, const char *what, double done, double total);
void scan_problem(sm_scan *s, const char *path, const char *reason);

/* scan_list.c: one folder and all below it, absolute and real. Commits as it goes. */
int scan_list(sm_scan *s, const char *path);
/* One folder alone, without what is below it. */
int scan_list_folder(sm_scan *s, const char *path);

/* ---- a sound on its way into the store (scan_sound.c) ---- */
typedef struct scan_sound {
    sm_file_row file; /* name and reason NULL; content: what it was before, or 0 */
    char *path;
    uint8_t hash[SM_HASH_BYTES];
    int err; /* of reading it */
    char *reason;
    bool went;                              /* it is not there any more */
    sm_buffer computed[SM_SCAN_MOST_PARTS]; /* by part */
    sm_record *record;                      /* or NULL */
    struct scan_sound *twins;               /* files with the same bytes that came after it */
} scan_sound;
int scan_sound_new(sm_scan *s, const sm_file_row *f, scan_sound **out);
void scan_sound_free(scan_sound *x); /* with its twins; accepts NULL */
int scan_sound_hash(scan_sound *x);  /* any thread. 0, also when it could not be read (x->err); SM_ENOMEM */
/* Any thread: the parts whose bits are set. */
int scan_sound_compute(scan_sound *x, uint32_t parts);
/* Within a transaction. Not there, or broken with x->reason. */
int scan_sound_keep_failure(sm_scan *s, scan_sound *x);
/* The content is known: the file and its twins are analysed. *moved: a gone file had it. */
int scan_sound_keep_known(sm_scan *s, scan_sound *x, int64_t content);
/* The whole: content, what models said, parts, files. */
int scan_sound_keep(sm_scan *s, scan_sound *x);
/* What the engine's models said and these parts, into a content that is there; the record is merged with the one that is kept. */
int scan_sound_keep_more(sm_scan *s, scan_sound *x, const sm_engine *engine, int64_t content, uint32_t parts);
/* Whether the file is still as it was when it was hashed. */
bool scan_sound_unchanged(const scan_sound *x);

/* scan_analyse.c: everything that is listed and not analysed. */
int scan_analyse(sm_scan *s);
/* Opens an engine with the options of the scan and these models (NULL: as the options say). */
int scan_engine_open(sm_scan *s, const char *models, sm_engine **out);
/* Analyses sounds in groups, calls keep(user, sound) for each within one transaction a group, and frees the sounds. */
int scan_run_groups(sm_scan *s, sm_engine *engine, scan_sound **sounds, const size_t *starts, size_t n_groups,
                    int (*keep)(void *user, scan_sound *x), void *user);
/* scan_refresh.c: what lacks a model or a part, or is of another pipeline. Contents that are to be analysed as a whole are added
 * to `stale` (sorted), the rest is made up for at once. */
typedef struct {
    int64_t *ids;
    size_t n, capacity;
} scan_ids;
int scan_refresh(sm_scan *s, scan_ids *stale);
int scan_refresh_done(sm_scan *s); /* remembers that all contents have what this engine says */
bool scan_ids_has(const scan_ids *list, int64_t id);
void scan_ids_drop(scan_ids *list, int64_t id);

/* watch.c: opened before the first listing; run follows the folders until the progress says stop (SM_ECANCELLED). */
typedef struct scan_watch scan_watch;
int scan_watch_open(sm_scan *s, const sm_strings *roots, scan_watch **out); /* roots: borrowed */
int scan_watch_run(scan_watch *w);
void scan_watch_close(scan_watch *w);

/* library.c: a library that is open. */
struct sm_library {
    sm_store *store;
    sm_buffer text; /* what was given out last */
};
sm_store *sm_library_store(sm_library *l);
/* The sound of a file. SM_ENOTFOUND says whether it is broken, waiting, or not in the library. */
int library_content(sm_library *l, const char *path, int64_t *content);

#endif
