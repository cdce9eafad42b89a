/* like: ranks what the query leaves by how much it sounds like something. */
#include <math.h>
#include <string.h>

#include "library/search_internal.h"
#include "library/similar.h"

/* "timbre=1,pitch=0.5", or nothing. */
static int aspects_text(const query *q, sm_buffer *out)
{
    for (size_t i = 0; i < q->n_aspects; i++)
        sm_buffer_printf(out, "%s%s=%.9g", i ? "," : "", q->aspects[i].name, q->aspects[i].weight);
    return out->failed ? SM_ENOMEM : 0;
}

static int take_content(void *user, const sm_file_row *f)
{
    *(int64_t *)user = f->content;
    return 0;
}

/* "#12" is the file of that id. */
static int reference(search *r, sm_similar_query *q)
{
    int64_t id;

    if (r->q->like[0] != '#' || !sm_parse_int(r->q->like + 1, &id)) {
        q->path = r->q->like;
        return 0;
    }
    const int err = sm_store_file_get(r->store, id, take_content, &q->content);
    if (err == 0 && q->content == 0)
        return sm_fail(SM_ENOTFOUND, "like:%s: was not analysed yet", r->q->like);
    return err;
}

int search_likeness(search *r)
{
    sm_similar_query like = { .exact = true };
    sm_buffer by = { 0 };
    int err = aspects_text(r->q, &by);

    like.by = by.length ? by.data : NULL;
    if (err == 0)
        err = reference(r, &like);
    if (err == 0 && !(r->similarity = sm_alloc_zero(r->n, sizeof *r->similarity)))
        err = SM_ENOMEM;
    if (err == 0)
        err = sm_similar_scores(r->store, r->pool, &like, r->found, r->n, r->similarity, &r->approximate);
    for (size_t i = 0; i < r->n && err == 0; i++)
        if (!isfinite(r->similarity[i]))
            r->found[i / 64] &= ~(UINT64_C(1) << i % 64);
    sm_buffer_free(&by);
    return err;
}
