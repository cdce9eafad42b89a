/* Patches of many sounds in common batches, on one thread or several.
 *
 * With threads the batch is what is shared out: each thread runs whole patches, which do not depend on each other, by a plan of
 * its own size. That scales where the operators of one patch are too small to be worth sharing. Batches get smaller towards the
 * end, so that all threads end together. */
#include <string.h>

#include "models/batch.h"

enum { SLOTS_A_THREAD = 4, MOST_OUTPUTS = 4 };

/* One batch that waits to be run, or for its answers to be taken. */
typedef struct {
    int step;
    size_t count;
    sm_stream **whose; /* [most] */
    float *input, *outputs[MOST_OUTPUTS];
} batch_slot;

/* What one thread runs with. */
typedef struct {
    nn_run_state *states[SM_BATCH_STEPS];
} batch_lane;

struct sm_model_worker {
    sm_model_handle *handle;
    sm_pool *pool; /* NULL: the caller's thread alone */
    int n_lanes, n_slots;
    batch_lane *lanes;
    batch_slot *slots;
    sm_stream **whose; /* of all slots */
};

/* ---- workers ---- */

static int slot_buffers(const sm_model_handle *h, const nn_plan *first, size_t most, batch_slot *s)
{
    size_t n;
    if (sm_mul_overflow(most, h->n_input, &n) || !(s->input = sm_alloc_aligned(n, sizeof(float))))
        return SM_ENOMEM;
    for (int i = 0; i < h->n_outputs; i++) {
        const nn_shape shape = nn_plan_output_shape(first, i);
        const size_t patch = (size_t)(nn_elements(&shape) / handle_batch(h, 0));
        if (sm_mul_overflow(most, patch, &n) || !(s->outputs[i] = sm_alloc_aligned(n, sizeof(float))))
            return SM_ENOMEM;
    }
    return 0;
}

static int worker_parts(sm_model_worker *w)
{
    sm_model_handle *h = w->handle;
    const size_t most = (size_t)handle_batch(h, handle_top_step(h));
    const nn_plan *first;
    int err = handle_plan(h, 0, &first);
    w->n_lanes = handle_threads(h);
    w->n_slots = w->n_lanes > 1 ? w->n_lanes * SLOTS_A_THREAD : 1;
    if (err == 0 && w->n_lanes > 1)
        err = sm_pool_new(w->n_lanes, &w->pool);
    w->lanes = sm_alloc_zero((size_t)w->n_lanes, sizeof *w->lanes);
    w->slots = sm_alloc_zero((size_t)w->n_slots, sizeof *w->slots);
    w->whose = sm_alloc_zero((size_t)w->n_slots * most, sizeof(sm_stream *));
    if (err == 0 && (!w->lanes || !w->slots || !w->whose))
        err = SM_ENOMEM;
    for (int i = 0; i < w->n_slots && err == 0; i++) {
        w->slots[i].whose = w->whose + (size_t)i * most;
        err = slot_buffers(h, first, most, &w->slots[i]);
    }
    return err;
}

int sm_model_worker_new(sm_model_handle *h, sm_model_worker **out)
{
    sm_model_worker *w = sm_alloc_zero(1, sizeof *w);
    int err;
    *out = NULL;
    if (!w)
        return SM_ENOMEM;
    w->handle = h;
    if ((err = worker_parts(w)) < 0)
        sm_model_worker_free(w);
    else
        *out = w;
    return err;
}

void sm_model_worker_free(sm_model_worker *w)
{
    if (!w)
        return;
    for (int i = 0; w->lanes && i < w->n_lanes; i++)
        for (int k = 0; k < SM_BATCH_STEPS; k++)
            nn_run_state_free(w->lanes[i].states[k]);
    for (int i = 0; w->slots && i < w->n_slots; i++) {
        sm_free(w->slots[i].input);
        for (int k = 0; k < MOST_OUTPUTS; k++)
            sm_free(w->slots[i].outputs[k]);
    }
    sm_pool_free(w->pool);
    sm_free(w->lanes);
    sm_free(w->slots);
    sm_free(w->whose);
    sm_free(w);
}

/* ---- which batches ---- */

/* The largest batch for `ready` patches; with `all` and a fixed batch, one that they fill in part. -1: wait for more.
 * One thread: only every second power of two (and the largest), since a plan that is compiled for three patches costs more than
 * running them one by one. Several: half of what is left is shared out among them at a time. */
static int choose_step(const sm_model_worker *w, size_t ready, bool all)
{
    const sm_model_handle *h = w->handle;
    const int top = handle_top_step(h);
    const size_t share = SM_MAX(ready / (size_t)w->n_lanes, 1);
    int step = top;
    if (h->fixed_batch)
        return ready >= (size_t)h->fixed_batch || (all && ready > 0) ? 0 : -1;
    if (!all)
        return ready >= (size_t)1 << top ? top : -1;
    if (w->n_lanes == 1 && ready >= (size_t)1 << top)
        return top;
    while (step >= 0 && ((size_t)1 << step > share || (w->n_lanes == 1 && step % 2)))
        step--;
    return ready > 0 ? step : -1;
}

/* Takes the next patches of the streams, in their order, into a slot. */
static void fill_slot(const sm_model_worker *w, batch_slot *s, int step, size_t ready, sm_stream *const *streams)
{
    const sm_model_handle *h = w->handle;
    const size_t batch = (size_t)handle_batch(h, step);
    s->step = step;
    s->count = SM_MIN(batch, ready);
    for (size_t i = 0; i < s->count; i++) {
        while (sm_stream_ready(*streams) == 0)
            streams++;
        s->whose[i] = *streams;
        stream_take_patch(*streams, s->input + i * h->n_input);
    }
    memset(s->input + s->count * h->n_input, 0, (batch - s->count) * h->n_input * sizeof *s->input);
}

/* ---- running ---- */

static int run_slot(void *user, size_t i, int lane)
{
    sm_model_worker *w = user;
    sm_model_handle *h = w->handle;
    const batch_slot *s = &w->slots[i];
    nn_run_state **state = &w->lanes[lane].states[s->step];
    const void *inputs[1] = { s->input };
    const nn_plan *plan;
    int err = handle_plan(h, s->step, &plan);
    if (err == 0 && !*state)
        err = nn_run_state_new(plan, state);
    if (err < 0)
        return err;
    for (size_t k = 0; k < s->count; k++)
        stream_prepare(s->whose[k], s->input + k * h->n_input);
    err = nn_run(plan, *state, inputs, s->outputs);
    return err < 0 ? sm_fail_prefix(err, "%s", h->model->name) : 0;
}

static int take_answers(const sm_model_worker *w, const batch_slot *s)
{
    const sm_model_handle *h = w->handle;
    int err = 0;
    for (size_t i = 0; i < s->count && err == 0; i++)
        err = stream_take_answer(s->whose[i], s->outputs[h->scores_at] + i * h->n_scores,
                                 h->embedding_at < 0 ? NULL : s->outputs[h->embedding_at] + i * h->n_embedding);
    return err;
}

int sm_streams_run(sm_model_worker *w, sm_stream *const *streams, size_t n, bool all)
{
    size_t ready = 0;
    int err = 0, filled;
    for (size_t i = 0; i < n; i++) {
        if (stream_handle(streams[i]) != w->handle)
            return sm_fail(SM_EUSAGE, "a stream of another model than %s", w->handle->model->name);
        ready += sm_stream_ready(streams[i]);
    }
    do {
        for (filled = 0; filled < w->n_slots; filled++) {
            const int step = choose_step(w, ready, all);
            if (step < 0)
                break;
            fill_slot(w, &w->slots[filled], step, ready, streams);
            ready -= w->slots[filled].count;
        }
        if (w->pool && filled > 1)
            err = sm_pool_run(w->pool, (size_t)filled, run_slot, w);
        else if (filled > 0)
            err = run_slot(w, 0, 0);
        for (int i = 0; i < filled && err == 0; i++)
            err = take_answers(w, &w->slots[i]);
    } while (err == 0 && filled > 0);
    for (size_t i = 0; i < n; i++)
        stream_forget(streams[i]);
    return err;
}
