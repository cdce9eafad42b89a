/* Patches of many sounds in common batches, on one thread or several.
 *
 * With threads the batch is what is shared out: each thread (lane) takes its share of the patches in batches as large as the
 * share allows, runs them by a plan of their size, and hands in the answers, which are taken in the patches' order. That scales
 * where the operators of one patch are small. Patches that would leave some lanes idle are then run one by one, their
 * operators shared out among all threads. */
#include <pthread.h>
#include <string.h>

#include "models/batch.h"

enum {
    SLOTS_A_THREAD = 4,
    MOST_OUTPUTS = 4,
    FEW_ROUNDS = 16 /* from so many patches a thread on, one more or less does not matter */
};

/* One batch that is being run, or waits for its answers to be taken. */
typedef struct {
    bool done;
    int step;
    size_t count;
    sm_stream **whose; /* [most] */
    bool *heard;       /* [most] */
    float *patches;    /* what a patch_front sees; NULL: the input itself */
    float *input, *outputs[MOST_OUTPUTS];
} batch_slot;

/* What one thread runs with. */
typedef struct {
    nn_run_state *states[SM_BATCH_STEPS];
    size_t quota; /* patches of its share that it has not taken */
} batch_lane;

/* What is left of the patches of one call. Guarded by the worker's lock. */
typedef struct {
    sm_stream *const *streams;
    size_t left;
    bool all;
    size_t taken, answered; /* batches: numbers of the next to be taken, and of the next whose answers are due */
    bool failed;
} batch_queue;

struct sm_model_worker {
    sm_model_handle *handle;
    sm_pool *pool; /* NULL: the caller's thread alone */
    int n_lanes, n_slots;
    batch_lane *lanes;
    nn_run_state *split; /* of the plan that shares out one patch */
    pthread_mutex_t lock;
    pthread_cond_t freed; /* a slot, or nobody will ever need one again */
    batch_queue queue;
    batch_slot *slots;
    sm_stream **whose; /* of all slots */
};

/* ---- workers ---- */

static int slot_buffers(const sm_model_handle *h, const nn_plan *first, size_t most, batch_slot *s)
{
    size_t n;
    if (sm_mul_overflow(most, h->n_input, &n) || !(s->input = sm_alloc_aligned(n, sizeof(float))) ||
        !(s->heard = sm_alloc_zero(most, sizeof *s->heard)))
        return SM_ENOMEM;
    if (h->front && (sm_mul_overflow(most, h->n_patch, &n) || !(s->patches = sm_alloc_aligned(n, sizeof *s->patches))))
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
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->freed, NULL);
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
        sm_free(w->slots[i].patches);
        sm_free(w->slots[i].heard);
        for (int k = 0; k < MOST_OUTPUTS; k++)
            sm_free(w->slots[i].outputs[k]);
    }
    nn_run_state_free(w->split);
    sm_pool_free(w->pool);
    pthread_cond_destroy(&w->freed);
    pthread_mutex_destroy(&w->lock);
    sm_free(w->lanes);
    sm_free(w->slots);
    sm_free(w->whose);
    sm_free(w);
}

sm_pool *sm_model_worker_pool(sm_model_worker *w)
{
    return w->pool;
}

/* ---- which batches ---- */

/* The largest batch for this lane; with `all` and a fixed batch, one that patches fill in part. -1: nothing for it now.
 * One thread: only every second power of two (and the largest), since a plan that is compiled for three patches costs more than
 * running them one by one. Several: what the lane's share has left; and when that is done, half of what others have left. */
static int choose_step(const sm_model_worker *w, const batch_lane *lane)
{
    const sm_model_handle *h = w->handle;
    const batch_queue *q = &w->queue;
    const int top = handle_top_step(h);
    const size_t lanes = (size_t)w->n_lanes;
    int step = top;
    if (h->fixed_batch)
        return q->left >= (size_t)h->fixed_batch || (q->all && q->left > 0) ? 0 : -1;
    if (!q->all || (lanes == 1 && q->left >= (size_t)1 << top))
        return q->left >= (size_t)1 << top ? top : -1;
    const size_t share = SM_MIN(q->left, lane->quota > 0 ? lane->quota : (q->left + 2 * lanes - 1) / (2 * lanes));
    while (step >= 0 && ((size_t)1 << step > share || (lanes == 1 && step % 2)))
        step--;
    return step;
}

/* Takes the next patches of the streams, in their order, into a slot. */
static void fill_slot(sm_model_worker *w, batch_slot *s, int step)
{
    const sm_model_handle *h = w->handle;
    batch_queue *q = &w->queue;
    const size_t batch = (size_t)handle_batch(h, step);
    s->done = false;
    s->step = step;
    s->count = SM_MIN(batch, q->left);
    q->left -= s->count;
    for (size_t i = 0; i < s->count; i++) {
        while (sm_stream_ready(*q->streams) == 0)
            q->streams++;
        s->whose[i] = *q->streams;
        stream_take_patch(*q->streams, (h->front ? s->patches : s->input) + i * h->n_patch);
    }
    memset(s->input + s->count * h->n_input, 0, (batch - s->count) * h->n_input * sizeof *s->input);
}

/* Patches that are left to all threads together: those of the last round, when at most half of the lanes would have one. */
static size_t odd_patches(const sm_model_worker *w, size_t ready, bool all)
{
    const size_t lanes = (size_t)w->n_lanes, odd = ready % lanes;
    return all && lanes > 1 && !w->handle->fixed_batch && odd <= lanes / 2 && ready < FEW_ROUNDS * lanes ? odd : 0;
}

/* ---- running ---- */

/* Patches as the network takes them. */
static int prepare(const sm_model_handle *h, const batch_slot *s)
{
    for (size_t k = 0; k < s->count; k++) {
        int heard = 1;
        if (h->front)
            heard = h->model->patch_front->make(h->front, s->patches + k * h->n_patch, s->input + k * h->n_input);
        else
            stream_prepare(s->whose[k], s->input + k * h->n_input);
        if (heard < 0)
            return heard;
        s->heard[k] = heard > 0;
    }
    return 0;
}

static int run_plan(sm_model_worker *w, const nn_plan *plan, nn_run_state *state, const batch_slot *s)
{
    const sm_model_handle *h = w->handle;
    const void *inputs[1] = { s->input };
    int err = prepare(h, s);
    if (err == 0)
        err = nn_run(plan, state, inputs, s->outputs);
    return err < 0 ? sm_fail_prefix(err, "%s", h->model->name) : 0;
}

static int run_slot(sm_model_worker *w, batch_lane *lane, const batch_slot *s)
{
    nn_run_state **state = &lane->states[s->step];
    const nn_plan *plan;
    int err = handle_plan(w->handle, s->step, &plan);
    if (err == 0 && !*state)
        err = nn_run_state_new(plan, state);
    return err < 0 ? err : run_plan(w, plan, *state, s);
}

static int take_answers(const sm_model_worker *w, const batch_slot *s)
{
    const sm_model_handle *h = w->handle;
    int err = 0;
    for (size_t i = 0; i < s->count && err == 0; i++)
        err = stream_take_answer(s->whose[i], h->scores_at < 0 ? NULL : s->outputs[h->scores_at] + i * h->n_scores,
                                 h->embedding_at < 0 ? NULL : s->outputs[h->embedding_at] + i * h->n_embedding,
                                 s->heard[i]);
    return err;
}

/* A batch for this lane; NULL: none is left. With the lock held, as the next. */
static batch_slot *next_batch(sm_model_worker *w, batch_lane *lane)
{
    batch_queue *q = &w->queue;
    while (!q->failed && q->left > 0 && q->taken - q->answered >= (size_t)w->n_slots)
        pthread_cond_wait(&w->freed, &w->lock);
    const int step = q->failed ? -1 : choose_step(w, lane);
    if (step < 0)
        return NULL;
    batch_slot *s = &w->slots[q->taken++ % (size_t)w->n_slots];
    fill_slot(w, s, step);
    lane->quota -= SM_MIN(lane->quota, s->count);
    return s;
}

/* Notes that a batch has been run (or has failed) and takes all answers that are due. */
static int hand_in(sm_model_worker *w, batch_slot *s, int err)
{
    batch_queue *q = &w->queue;
    s->done = true;
    while (err == 0 && q->answered < q->taken && w->slots[q->answered % (size_t)w->n_slots].done) {
        err = take_answers(w, &w->slots[q->answered % (size_t)w->n_slots]);
        q->answered++;
    }
    q->failed = q->failed || err < 0;
    pthread_cond_broadcast(&w->freed);
    return err;
}

static int run_lane(void *user, size_t i, int worker)
{
    sm_model_worker *w = user;
    batch_lane *lane = &w->lanes[worker];
    batch_slot *s;
    int err = 0;
    (void)i;
    pthread_mutex_lock(&w->lock);
    while (err == 0 && (s = next_batch(w, lane))) {
        pthread_mutex_unlock(&w->lock);
        err = run_slot(w, lane, s);
        pthread_mutex_lock(&w->lock);
        err = hand_in(w, s, err);
    }
    pthread_mutex_unlock(&w->lock);
    return err;
}

/* One patch, on all threads. */
static int run_odd(sm_model_worker *w)
{
    const nn_plan *plan;
    batch_slot *s = &w->slots[0];
    int err = handle_split_plan(w->handle, &plan);
    if (err == 0 && !w->split)
        err = nn_run_state_new_on(plan, w->pool, &w->split);
    if (err < 0)
        return err;
    fill_slot(w, s, 0);
    err = run_plan(w, plan, w->split, s);
    return err < 0 ? err : take_answers(w, s);
}

int sm_streams_run(sm_model_worker *w, sm_stream *const *streams, size_t n, bool all)
{
    batch_queue *q = &w->queue;
    size_t ready = 0;
    int err = 0;
    for (size_t i = 0; i < n; i++) {
        if (stream_handle(streams[i]) != w->handle)
            return sm_fail(SM_EUSAGE, "a stream of another model than %s", w->handle->model->name);
        ready += sm_stream_ready(streams[i]);
    }
    const size_t odd = odd_patches(w, ready, all);
    *q = (batch_queue){ .streams = streams, .left = ready - odd, .all = all };
    for (int i = 0; i < w->n_lanes; i++)
        w->lanes[i].quota = q->left / (size_t)w->n_lanes;
    if (q->left > 0)
        err = w->pool ? sm_pool_run(w->pool, (size_t)w->n_lanes, run_lane, w) : run_lane(w, 0, 0);
    q->left = odd;
    for (size_t i = 0; i < odd && err == 0; i++)
        err = run_odd(w);
    for (size_t i = 0; i < n; i++)
        stream_forget(streams[i]);
    return err;
}
