/* What a scan keeps for searching by sound: each model's embedding, and the descriptors as a vector. */
#include <string.h>

#include "library/scan.h"
#include "library/space_index.h"

/* Silence has an embedding too, which means nothing. */
static bool is_silent(const sm_record *r)
{
    const sm_summary *s = sm_record_summary(r);
    return s->kind && !strcmp(s->kind, "silence");
}

static int keep(sm_store *s, int64_t content, const sm_record *r, const sm_buffer *computed)
{
    float aspects[SM_ASPECT_VALUES];
    char space[32];
    int err = 0;

    (void)computed;
    if (!r || is_silent(r))
        return 0;
    for (size_t i = 0; i < sm_record_embeddings(r) && err == 0; i++) {
        const sm_embedding *e = sm_record_embedding(r, i);
        err = sm_space_put(s, content, e->space, e->weights, e->values, (int)e->dims);
    }
    if (err < 0)
        return err;
    sm_space_aspects_of(r, aspects);
    snprintf(space, sizeof space, "%s/%d", SM_ASPECT_SPACE, SM_ASPECT_VERSION);
    return sm_space_put(s, content, space, NULL, aspects, sm_aspect_values());
}

static int finish(sm_store *s)
{
    sm_pool *pool = NULL;
    int err = sm_pool_new(sm_cpu_count(), &pool);
    if (err == 0)
        err = sm_space_index_refresh_all(s, pool);
    sm_pool_free(pool);
    return err;
}

const sm_scan_part sm_scan_vectors = {
    .name = "vectors", .version = 1, .keep = keep, .needs_record = true, .finish = finish
};
