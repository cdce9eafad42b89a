/* Similar sounds among those that a query finds. */
#include "library/search.h"
#include "library/similar.h"

int sm_similar_where(sm_store *s, const char *text, uint64_t **wanted, size_t *n_bits)
{
    const search_options all = { .limit = 0 };
    search *found = NULL;
    int err = text ? search_run(s, text, &all, &found) : 0;

    *wanted = NULL;
    *n_bits = 0;
    if (err < 0 || !text)
        return err;
    for (size_t i = 0; i < search_hits(found); i++)
        *n_bits = SM_MAX(*n_bits, (size_t)search_hit_at(found, i)->content + 1);
    *wanted = sm_alloc_zero(*n_bits / 64 + 1, sizeof **wanted);
    if (!*wanted)
        err = SM_ENOMEM;
    for (size_t i = 0; i < search_hits(found) && err == 0; i++) {
        const int64_t id = search_hit_at(found, i)->content;
        (*wanted)[id / 64] |= UINT64_C(1) << id % 64;
    }
    search_free(found);
    return err;
}
