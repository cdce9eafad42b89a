/* What stands around HTDemucs' graph: demucs/htdemucs.py, forward(). */
#include "models/htdemucs_chunk.h"

#include <string.h>

struct htdemucs_work {
    const htdemucs_net **nets;
    size_t n;
    sm_pool *pool;
    dsp_chunk_work **spectra; /* one a thread */
    double (*sums)[2];        /* one a job */
    nn_run_state **states;    /* one a network; the first one's memory serves all */
    float *freq, *time;       /* [4][bins][frames], [2][segment]: what the network takes */
    float *freq_out, *out;    /* [4 rows][bins][frames], [2 rows][segment] */
    htdemucs_scale freq_scale, time_scale;
    /* of the run in progress */
    const htdemucs_net *net;
    const float *mix;
};

/* ---- networks ---- */

int htdemucs_net_new(sm_view *v, const htdemucs_size *s, const htdemucs_rows *rows, const nn_compile_options *o,
                     htdemucs_net **out)
{
    const nn_source w = sm_view_source(v);
    htdemucs_net *n = sm_alloc_zero(1, sizeof *n);
    nn_compile_options own = *o;
    nn_graph *g = NULL;
    int err;

    *out = NULL;
    if (!n)
        return SM_ENOMEM;
    n->size = *s;
    n->rows = *rows;
    for (int r = 0; r < rows->n; r++)
        for (int k = 0; k < s->n_sources; k++)
            n->row_sum[r] += (double)rows->rows[r][k];
    if ((err = dsp_chunk_new(s->nfft, s->segment, &n->spectrum)) < 0 || (err = nn_pack_new(&n->pack)) < 0)
        goto out;
    own.pack = n->pack;
    g = nn_graph_new();
    err = g ? htdemucs_graph(g, s, &w, rows, 1) : SM_ENOMEM;
    if (err == 0)
        err = nn_compile(g, &own, &n->plan);
out:
    nn_graph_free(g);
    if (err < 0)
        htdemucs_net_free(n);
    else
        *out = n;
    return err;
}

void htdemucs_net_free(htdemucs_net *n)
{
    if (!n)
        return;
    nn_plan_free(n->plan);
    nn_pack_free(n->pack);
    dsp_chunk_free(n->spectrum);
    sm_free(n);
}

/* ---- workspaces ---- */

static size_t freq_floats(const htdemucs_size *s, int rows)
{
    return (size_t)(4 * rows) * (size_t)s->bins * (size_t)s->frames;
}

static int most_rows(const htdemucs_net *const *nets, size_t n)
{
    int most = 1;
    for (size_t i = 0; i < n; i++)
        most = SM_MAX(most, nets[i]->rows.n);
    return most;
}

size_t htdemucs_work_bytes(const htdemucs_net *const *nets, size_t n, int threads)
{
    const htdemucs_size *s = &nets[0]->size;
    const size_t rows = (size_t)most_rows(nets, n), nfft = (size_t)s->nfft;
    size_t floats = freq_floats(s, 1) + freq_floats(s, (int)rows) + 2 * (1 + rows) * (size_t)s->segment;
    size_t activations = 0, scratch = 0;
    floats += (size_t)threads * (16 * (nfft + 2) + 64 * nfft / 4 + 8 * nfft); /* dsp_chunk_work */
    for (size_t i = 0; i < n; i++) {
        nn_memory m;
        nn_plan_memory(nets[i]->plan, &m);
        activations = SM_MAX(activations, m.activations + m.state);
        scratch = SM_MAX(scratch, m.scratch);
    }
    return floats * sizeof(float) + activations + scratch;
}

static int open_states(htdemucs_work *w)
{
    size_t host = 0; /* the network that needs most comes first: the others live in its memory */
    nn_memory m, most;
    nn_plan_memory(w->nets[0]->plan, &most);
    for (size_t i = 1; i < w->n; i++) {
        nn_plan_memory(w->nets[i]->plan, &m);
        if (m.activations > most.activations) {
            most = m;
            host = i;
        }
    }
    int err = nn_run_state_new(w->nets[host]->plan, &w->states[host]);
    for (size_t i = 0; i < w->n && err == 0; i++)
        if (i != host)
            err = nn_run_state_new_beside(w->nets[i]->plan, w->states[host], &w->states[i]);
    return err;
}

int htdemucs_work_new(const htdemucs_net *const *nets, size_t n, int threads, htdemucs_work **out)
{
    const htdemucs_size *s = &nets[0]->size;
    const int rows = most_rows(nets, n);
    htdemucs_work *w = sm_alloc_zero(1, sizeof *w);
    int err;

    *out = NULL;
    if (!w)
        return SM_ENOMEM;
    w->nets = sm_alloc(n, sizeof *w->nets);
    w->states = sm_alloc_zero(n, sizeof *w->states);
    w->spectra = sm_alloc_zero((size_t)threads, sizeof *w->spectra);
    w->sums = sm_alloc_zero((size_t)(2 * dsp_chunk_parts(nets[0]->spectrum)), sizeof *w->sums);
    w->freq = sm_alloc_aligned(freq_floats(s, 1), sizeof(float));
    w->time = sm_alloc_aligned(2 * (size_t)s->segment, sizeof(float));
    w->freq_out = sm_alloc_aligned(freq_floats(s, rows), sizeof(float));
    w->out = sm_alloc_aligned((size_t)(2 * rows) * (size_t)s->segment, sizeof(float));
    err = w->nets && w->states && w->spectra && w->sums && w->freq && w->time && w->freq_out && w->out ? 0 : SM_ENOMEM;
    for (size_t i = 0; i < n && err == 0; i++)
        w->nets[i] = nets[i];
    if (err == 0)
        err = sm_pool_new(threads, &w->pool);
    for (int i = 0; i < threads && err == 0; i++)
        err = dsp_chunk_work_new(nets[0]->spectrum, &w->spectra[i]);
    if (err == 0) {
        w->n = n;
        err = open_states(w);
    }
    if (err < 0)
        htdemucs_work_free(w);
    else
        *out = w;
    return err;
}

void htdemucs_work_free(htdemucs_work *w)
{
    if (!w)
        return;
    for (int i = 0; w->spectra && w->pool && i < sm_pool_threads(w->pool); i++)
        dsp_chunk_work_free(w->spectra[i]);
    for (size_t i = w->n; i-- > 0;)
        nn_run_state_free(w->states[i]);
    sm_pool_free(w->pool);
    sm_free(w->nets);
    sm_free(w->states);
    sm_free(w->spectra);
    sm_free(w->sums);
    sm_free(w->freq);
    sm_free(w->time);
    sm_free(w->freq_out);
    sm_free(w->out);
    sm_free(w);
}

/* ---- a run ---- */

/* Mean and deviation over n - 1 from sums of values and squares. */
static htdemucs_scale scale_of(double sum, double squares, double n)
{
    const double mean = sum / n, spread = squares - sum * mean;
    return (htdemucs_scale){ mean, spread > 0 ? sqrt(spread / (n - 1)) : 0 };
}

static float *plane(float *x, const htdemucs_size *s, int k)
{
    return x + (size_t)k * (size_t)s->bins * (size_t)s->frames;
}

/* Job: channel and part of its spectrum. */
static int forward_job(void *user, size_t i, int worker)
{
    htdemucs_work *w = user;
    const htdemucs_size *s = &w->net->size;
    const int channel = (int)(i % 2), part = (int)(i / 2);
    w->sums[i][0] = w->sums[i][1] = 0;
    dsp_chunk_forward(w->net->spectrum, w->spectra[worker], part, w->mix + channel * s->segment,
                      plane(w->freq, s, 2 * channel), plane(w->freq, s, 2 * channel + 1), w->sums[i]);
    return 0;
}

static void normalise(float *x, size_t n, htdemucs_scale k)
{
    const float mean = (float)k.mean, by = 1e-5f + (float)k.deviation;
    for (size_t i = 0; i < n; i++)
        x[i] = (x[i] - mean) / by;
}

/* Job: one of the four planes of freq, then the two channels of time. */
static int normalise_job(void *user, size_t i, int worker)
{
    htdemucs_work *w = user;
    const htdemucs_size *s = &w->net->size;
    (void)worker;
    if (i < 4)
        normalise(plane(w->freq, s, (int)i), freq_floats(s, 1) / 4, w->freq_scale);
    else {
        float *x = w->time + (int64_t)(i - 4) * s->segment;
        memcpy(x, w->mix + (int64_t)(i - 4) * s->segment, (size_t)s->segment * sizeof *x);
        normalise(x, (size_t)s->segment, w->time_scale);
    }
    return 0;
}

static htdemucs_scale time_scale(const float *mix, int64_t n)
{
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < n; i++) {
        sum += (double)mix[i];
        squares += (double)mix[i] * (double)mix[i];
    }
    return scale_of(sum, squares, (double)n);
}

static int enter(htdemucs_work *w)
{
    const htdemucs_size *s = &w->net->size;
    const size_t jobs = 2 * (size_t)dsp_chunk_parts(w->net->spectrum);
    double sum = 0, squares = 0;
    int err = sm_pool_run(w->pool, jobs, forward_job, w);
    for (size_t i = 0; i < jobs; i++) {
        sum += w->sums[i][0];
        squares += w->sums[i][1];
    }
    w->freq_scale = scale_of(sum, squares, (double)freq_floats(s, 1));
    w->time_scale = time_scale(w->mix, 2 * s->segment);
    return err < 0 ? err : sm_pool_run(w->pool, 6, normalise_job, w);
}

/* Job: one channel of one row, and a part of its samples: the time branch scaled back, and the inverse added. */
static int leave_job(void *user, size_t i, int worker)
{
    htdemucs_work *w = user;
    const htdemucs_net *n = w->net;
    const int planes = 2 * n->rows.n, k = (int)(i % (size_t)planes), part = (int)(i / (size_t)planes);
    const int64_t begin = dsp_chunk_part(n->spectrum, part), end = dsp_chunk_part(n->spectrum, part + 1);
    const double sum = n->row_sum[k / 2];
    const float by = (float)w->time_scale.deviation, mean = (float)(w->time_scale.mean * sum);
    float *y = w->out + k * n->size.segment;
    for (int64_t t = begin; t < end; t++)
        y[t] = y[t] * by + mean;
    dsp_chunk_inverse(n->spectrum, w->spectra[worker], part, plane(w->freq_out, &n->size, 2 * k),
                      plane(w->freq_out, &n->size, 2 * k + 1), (float)w->freq_scale.deviation,
                      (float)(w->freq_scale.mean * sum), y);
    return 0;
}

int htdemucs_run(htdemucs_work *w, size_t net, const float *mix, const float **out)
{
    const void *in[2] = { w->freq, w->time };
    float *const made[2] = { w->freq_out, w->out };
    int err;
    w->net = w->nets[net];
    w->mix = mix;
    if ((err = enter(w)) < 0 || (err = nn_run(w->net->plan, w->states[net], in, made)) < 0)
        return err;
    err = sm_pool_run(w->pool, (size_t)(2 * w->net->rows.n * dsp_chunk_parts(w->net->spectrum)), leave_job, w);
    *out = w->out;
    return err;
}

nn_run_state *htdemucs_work_state(htdemucs_work *w, size_t net)
{
    return w->states[net];
}

void htdemucs_work_look(const htdemucs_work *w, const float **freq, const float **time, const float **freq_out,
                        htdemucs_scale *freq_scale, htdemucs_scale *time_scale_out)
{
    *freq = w->freq;
    *time = w->time;
    *freq_out = w->freq_out;
    *freq_scale = w->freq_scale;
    *time_scale_out = w->time_scale;
}
