/* What the search for duplicates asks of the store besides. */
#include "library/store_dupes.h"
#include "library/store_internal.h"

int sm_store_print_get(sm_store *s, int64_t content, int version, sm_buffer *out, bool *there)
{
    sqlite3_stmt *st = NULL;
    *there = false;
    int err = sql_cached(&s->sql, "SELECT print FROM fingerprints WHERE content = ? AND version = ?", &st);
    if (err < 0)
        return err;
    sqlite3_bind_int64(st, 1, content);
    sqlite3_bind_int(st, 2, version);
    const int more = sql_step(&s->sql, st);
    if (more == 1) {
        const int bytes = sqlite3_column_bytes(st, 0);
        if (bytes > 0)
            sm_buffer_add(out, sqlite3_column_blob(st, 0), (size_t)bytes);
        *there = true;
    }
    sqlite3_reset(st);
    return out->failed ? SM_ENOMEM : SM_MIN(more, 0);
}
