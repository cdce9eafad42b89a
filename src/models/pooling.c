/* The usual pooling: mean and maximum of each score over all patches. */
#include <string.h>

#include "models/pooling.h"

static int mean_open(sm_pool_state *p)
{
    (void)p;
    return 0;
}

static int mean_take(sm_pool_state *p, const float *scores)
{
    for (size_t i = 0; i < p->n_scores; i++) {
        p->sum[i] += scores[i];
        p->max[i] = p->patches == 0 ? scores[i] : SM_MAX(p->max[i], scores[i]);
    }
    return p->options.curve ? sm_floats_add(&p->curve, scores, p->n_scores) : 0;
}

static int mean_finish(sm_pool_state *p, sm_model_result *r)
{
    if (p->patches == 0)
        return 0;
    r->mean = sm_alloc(p->n_scores, sizeof *r->mean);
    r->max = sm_alloc(p->n_scores, sizeof *r->max);
    if (!r->mean || !r->max)
        return SM_ENOMEM;
    for (size_t i = 0; i < p->n_scores; i++)
        r->mean[i] = (float)(p->sum[i] / (double)p->patches);
    memcpy(r->max, p->max, p->n_scores * sizeof *r->max);
    if (p->options.curve) {
        r->curve = p->curve.data;
        p->curve = (sm_floats){ 0 };
    }
    return 0;
}

static void mean_close(sm_pool_state *p)
{
    (void)p;
}

const sm_pooling sm_mean_pooling = { mean_open, mean_take, mean_finish, mean_close };
