/* What searching by sound asks the database besides vectors themselves. */
#include "library/space_index.h"
#include "library/store_internal.h"

int sm_store_each_vector_id(sm_store *s, int64_t space, sm_id_fn fn, void *user)
{
    sqlite3_stmt *st = NULL;
    const int err = sql_prepare(&s->sql, "SELECT content FROM embeddings WHERE space = ? ORDER BY content", &st);

    if (err < 0)
        return err;
    sqlite3_bind_int64(st, 1, space);
    return store_walk_ids(s, st, fn, user);
}

bool sm_store_has_vector(sm_store *s, int64_t content, int64_t space)
{
    sqlite3_stmt *st = NULL;
    int64_t there = 0;

    if (sql_cached(&s->sql, "SELECT count(*) FROM embeddings WHERE space = ? AND content = ?", &st) < 0)
        return false;
    sqlite3_bind_int64(st, 1, space);
    sqlite3_bind_int64(st, 2, content);
    return store_ask(s, st, &there) == 0 && there > 0;
}
