/* Running a plan: one run state a thread, no allocation while it runs. */
#include "nn/plan_type.h"

#include <string.h>

/* A value in the caller's memory: its pointer changes from run to run. */
typedef struct {
    int32_t value;
    int index;
    bool output;
    size_t at;
} borrowed;

struct nn_run_state {
    const nn_plan *plan;
    char *activations, *states;
    nn_exec exec;
    borrowed *borrowed;
    size_t n_borrowed;
    size_t opened; /* steps whose open() has been called */
    bool profile;
    bool guest[4];        /* activations, scratch, pool, states: another's */
    nn_profile_row *rows; /* one a step */
};

static int place_values(nn_run_state *r)
{
    const nn_plan *p = r->plan;
    for (size_t v = 0; v < p->n_values; v++) {
        size_t at = 0;
        const int32_t root = nn_root(p, (int32_t)v, &at);
        const nn_slot *s = &p->slots[root];
        void **data = &r->exec.data[v];
        switch (s->place) {
        case NN_IN_ARENA:
            *data = r->activations + s->offset + at;
            break;
        case NN_IN_STATE:
            *data = r->states + s->offset + at;
            break;
        case NN_IN_PLAN:
            *data = (char *)(uintptr_t)s->fixed + at;
            break;
        default:
            r->borrowed[r->n_borrowed++] = (borrowed){ (int32_t)v, s->index, s->place == NN_IN_OUTPUT, at };
        }
    }
    return 0;
}

static int open_steps(nn_run_state *r)
{
    const nn_plan *p = r->plan;
    for (; r->opened < p->n_steps; r->opened++) {
        const nn_step *s = &p->steps[r->opened];
        const int err = s->open ? s->open(s, &r->exec, &r->exec.own[r->opened]) : 0;
        if (err < 0)
            return err;
        r->rows[r->opened] = (nn_profile_row){ s->op, s->kernel, s->where ? s->where : "", 0, s->macs, 0 };
    }
    return 0;
}

/* Memory of its own, or that of the host where it fits. */
static int take_memory(nn_run_state *r, const nn_run_state *host, bool sharing, sm_pool *pool)
{
    const nn_plan *p = r->plan, *h = host ? host->plan : NULL;
    r->guest[0] = h && h->activations >= p->activations;
    r->guest[1] = h && h->scratch >= p->scratch;
    r->guest[2] = pool || (h && h->threads == p->threads);
    r->activations = r->guest[0] ? host->activations : sm_alloc_aligned(p->activations + 64, 1);
    r->exec.scratch = r->guest[1] ? host->exec.scratch : sm_alloc_aligned(p->scratch + 64, 1);
    r->exec.pool = pool ? pool : r->guest[2] ? host->exec.pool : NULL;
    if (sharing && h->states != p->states)
        return sm_fail(SM_EUSAGE, "%zu bytes of states cannot be shared with a plan that has %zu", h->states,
                       p->states);
    r->guest[3] = sharing;
    r->states = sharing ? host->states : sm_alloc_aligned(p->states + 64, 1);
    if (!r->activations || !r->exec.scratch || !r->states)
        return SM_ENOMEM;
    return !r->guest[2] && p->threads > 1 ? sm_pool_new(p->threads, &r->exec.pool) : 0;
}

static int state_new(const nn_plan *p, nn_run_state *host, bool sharing, sm_pool *pool, nn_run_state **out)
{
    nn_run_state *r = sm_alloc_zero(1, sizeof *r);
    int err = 0;

    *out = NULL;
    if (!r)
        return SM_ENOMEM;
    r->plan = p;
    r->exec.data = sm_alloc_zero(p->n_values + 1, sizeof *r->exec.data);
    r->exec.own = sm_alloc_zero(p->n_steps + 1, sizeof *r->exec.own);
    r->exec.threads = p->threads;
    r->exec.run = r;
    if ((err = take_memory(r, host, sharing, pool)) < 0)
        goto out;
    r->borrowed = sm_alloc(p->n_values + 1, sizeof *r->borrowed);
    r->rows = sm_alloc_zero(p->n_steps + 1, sizeof *r->rows);
    if (!r->exec.data || !r->exec.own || !r->borrowed || !r->rows) {
        err = SM_ENOMEM;
        goto out;
    }
    if (!sharing)
        nn_run_reset(r);
    if ((err = place_values(r)) < 0)
        goto out;
    err = open_steps(r);

out:
    if (err < 0)
        nn_run_state_free(r);
    else
        *out = r;
    return err;
}

int nn_run_state_new(const nn_plan *p, nn_run_state **out)
{
    return state_new(p, NULL, false, NULL, out);
}

int nn_run_state_new_beside(const nn_plan *p, nn_run_state *host, nn_run_state **out)
{
    return state_new(p, host, false, NULL, out);
}

int nn_run_state_new_sharing(const nn_plan *p, nn_run_state *host, nn_run_state **out)
{
    return state_new(p, host, true, NULL, out);
}

int nn_run_state_new_on(const nn_plan *p, sm_pool *pool, nn_run_state **out)
{
    return state_new(p, NULL, false, pool, out);
}

void nn_run_state_free(nn_run_state *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < r->opened; i++)
        if (r->plan->steps[i].close && r->exec.own[i])
            r->plan->steps[i].close(r->exec.own[i]);
    if (!r->guest[2])
        sm_pool_free(r->exec.pool);
    if (!r->guest[0])
        sm_free(r->activations);
    if (!r->guest[1])
        sm_free(r->exec.scratch);
    if (!r->guest[3])
        sm_free(r->states);
    sm_free(r->exec.data);
    sm_free(r->exec.own);
    sm_free(r->borrowed);
    sm_free(r->rows);
    sm_free(r);
}

void nn_run_reset(nn_run_state *r)
{
    memset(r->states, 0, r->plan->states);
}

static int run_profiled(nn_run_state *r)
{
    const nn_plan *p = r->plan;
    for (size_t i = 0; i < p->n_steps; i++) {
        const double start = sm_now_s();
        const int err = p->steps[i].run(&p->steps[i], &r->exec);
        if (err < 0)
            return err;
        r->rows[i].seconds += sm_now_s() - start;
        r->rows[i].calls++;
    }
    return 0;
}

int nn_run(const nn_plan *p, nn_run_state *r, const void *const *inputs, float *const *outputs)
{
    if (r->plan != p)
        return sm_fail(SM_EUSAGE, "this run state belongs to another plan");
    for (int i = 0; i < p->n_inputs; i++)
        if (!inputs || !inputs[i])
            return sm_fail(SM_EUSAGE, "input '%s' is missing", p->inputs[i].name);
    for (int i = 0; i < p->n_outputs; i++)
        if (!outputs || !outputs[i])
            return sm_fail(SM_EUSAGE, "no memory for output '%s'", p->outputs[i].name);
    for (size_t i = 0; i < r->n_borrowed; i++) {
        const borrowed *b = &r->borrowed[i];
        r->exec.data[b->value] = (b->output ? (char *)outputs[b->index] : (char *)(uintptr_t)inputs[b->index]) + b->at;
    }
    if (r->profile)
        return run_profiled(r);
    for (size_t i = 0; i < p->n_steps; i++) {
        const int err = p->steps[i].run(&p->steps[i], &r->exec);
        if (err < 0)
            return err;
    }
    return 0;
}

int nn_run_tap(const nn_plan *p, nn_run_state *r, int i, const char **name, nn_tensor *out)
{
    if (r->plan != p || i < 0 || i >= p->n_taps)
        return sm_fail(SM_EUSAGE, "this plan has %d taps", p->n_taps);
    *name = p->taps[i].name;
    *out = (nn_tensor){
        .type = p->taps[i].type, .shape = p->taps[i].shape, .data = r->exec.data[p->taps[i].value], .scale_axis = -1
    };
    return 0;
}

void nn_run_profile(nn_run_state *r, bool on)
{
    for (size_t i = 0; i < r->plan->n_steps; i++) {
        r->rows[i].seconds = 0;
        r->rows[i].calls = 0;
    }
    r->profile = on;
}

size_t nn_run_profile_rows(const nn_run_state *r, const nn_profile_row **rows)
{
    *rows = r->rows;
    return r->plan->n_steps;
}
