/* apply_model as a stream: passes over a window of the song, each with its grid of chunks (demucs/apply.py). */
#include "models/separation.h"

#include <math.h>
#include <string.h>

#include "models/separation_bag.h"

const sm_separation_options sm_separation_defaults = {
    .shifts = 1, .overlap = 0.25, .transition_power = 1, .length = -1, .parallel = 1
};

/* One shift of one network over the song: chunks at start, start + stride ... while they are inside of the song. */
typedef struct {
    size_t network;
    int64_t start, next, offset;
} pass;

/* A chunk that is being computed. */
typedef struct {
    size_t pass;
    int64_t at, length; /* of the chunk in the song */
    int64_t from;       /* first sample of what enters the network: the chunk, widened around its middle */
    bool silent;        /* all zeros: not computed */
    htdemucs_work *work;
    float *mix; /* [2][segment of the network] */
    const float *out;
} chunk;

struct sm_separation {
    sm_bag *bag;
    sm_separation_options o;
    sm_separation_block block;
    sm_separation_chunk on_chunk;
    void *user;
    int64_t segment, stride; /* of chunks; stride 0: not split */
    float *weight, *gain;    /* [segment]: the cross-fade; of one chunk */
    pass *passes;
    size_t n_passes;
    chunk *chunks; /* [parallel] */
    sm_pool *pool; /* of as many threads */
    /* a window of the song: samples at .. pushed - 1, normalised */
    float *in[2];
    int64_t at, capacity;
    /* the outputs' sums: samples given .. given + capacity - 1, [2 outputs][capacity] */
    float *sum;
    const float **planes;
    int64_t pushed, given, chunks_done, chunks_total;
    bool ended, failed, begun;
};

/* ---- sizes ---- */

/* Samples of a chunk, and from one to the next (0: the song is not split). */
static int grid_of(const sm_bag *b, const sm_separation_options *o, int64_t *segment, int64_t *stride)
{
    const int64_t whole = sm_bag_segment(b);
    if (o->shifts < 0 || o->shifts > 1000)
        return sm_fail(SM_EUSAGE, "%d shifts; 0 to 1000 are possible", o->shifts);
    if (!(o->overlap >= 0 && o->overlap <= 0.99))
        return sm_fail(SM_EUSAGE, "an overlap of %g; 0 to 0.99 is possible", o->overlap);
    if (!(o->transition_power >= 1 && o->transition_power <= 1000))
        return sm_fail(SM_EUSAGE, "a transition power of %g; 1 to 1000 is possible", o->transition_power);
    if (o->parallel < 0 || o->parallel > 256)
        return sm_fail(SM_EUSAGE, "%d chunks side by side; 1 to 256 are possible", o->parallel);
    if (!(o->segment_s >= 0) || o->segment_s * sm_bag_rate(b) > (double)whole + 1)
        return sm_fail(SM_EUSAGE, "a segment of %g s; the network was trained for %g s and takes no longer ones",
                       o->segment_s, (double)whole / sm_bag_rate(b));
    if (o->python_random && o->length < 0)
        return sm_fail(SM_EUSAGE, "the original's random offsets depend on the song's length, which is not known");
    *segment = o->segment_s > 0 ? SM_MIN((int64_t)(o->segment_s * sm_bag_rate(b) + 1e-6), whole) : whole;
    *stride = (int64_t)((1 - o->overlap) * (double)*segment);
    if (*stride < 1)
        return sm_fail(SM_EUSAGE, "chunks of %lld samples every %lld", (long long)*segment, (long long)*stride);
    if (o->no_split)
        *stride = 0;
    return 0;
}

/* Samples that are taken before looking for chunks that can be computed. */
static int64_t step_of(int64_t segment)
{
    return segment / 4 + 1;
}

/* The window: half a segment before the first chunk, as many chunks as are computed together, and what comes in. */
static int64_t window_of(int64_t segment, int64_t stride, int parallel)
{
    return segment / 2 + segment + (parallel - 1) * stride + 2 * step_of(segment);
}

static int64_t most_shift(const sm_bag *b)
{
    return sm_bag_rate(b) / OFFSET_DIVISOR;
}

static size_t passes_of(const sm_bag *b, const sm_separation_options *o)
{
    return b->n * (size_t)SM_MAX(o->shifts, 1);
}

/* Chunks of a pass that starts at `start` <= 0. */
static int64_t chunks_of(int64_t start, int64_t stride, int64_t length)
{
    return length <= 0 ? 0 : stride ? (length - start + stride - 1) / stride : 1;
}

int sm_separation_memory(sm_bag *b, const sm_separation_options *o, size_t *bytes)
{
    int64_t segment = 0, stride = 0;
    o = o ? o : &sm_separation_defaults;
    const int parallel = SM_MAX(o->parallel, 1);
    const int err = grid_of(b, o, &segment, &stride);
    *bytes = 0;
    if (err < 0)
        return err;
    if (b->n_nets == 0)
        return sm_fail(SM_EUSAGE, "the bag's outputs are not chosen");
    const size_t window = (size_t)window_of(segment, stride, parallel);
    *bytes = (window * (2 + 2 * b->n_outputs) + 2 * (size_t)segment) * sizeof(float) +
             (size_t)parallel * (htdemucs_work_bytes(b->nets, b->n_nets, b->options.threads) +
                                 2 * (size_t)sm_bag_segment(b) * sizeof(float));
    return 0;
}

/* ---- life ---- */

/* 1, 2 .. h, segment - h .. 1, over its maximum, to a power. */
static void make_weight(sm_separation *s)
{
    const int64_t h = s->segment / 2, top = SM_MAX(s->segment - h, 1);
    for (int64_t i = 0; i < s->segment; i++) {
        const double w = (double)(i < h ? i + 1 : s->segment - i) / (double)top;
        s->weight[i] = (float)pow(w, s->o.transition_power);
    }
}

static int make_passes(sm_separation *s)
{
    const size_t n = passes_of(s->bag, &s->o), shifts = (size_t)SM_MAX(s->o.shifts, 1);
    const int64_t most = most_shift(s->bag);
    int64_t *offsets = sm_alloc_zero(n, sizeof *offsets);
    s->passes = sm_alloc_zero(n, sizeof *s->passes);
    if (!offsets || !s->passes) {
        sm_free(offsets);
        return SM_ENOMEM;
    }
    if (s->o.shifts > 0 && s->o.python_random)
        offsets_python(s->o.seed, most, n, s->o.length, s->stride, offsets);
    else if (s->o.shifts > 0)
        offsets_own(s->o.seed, most, n, offsets);
    for (size_t i = 0; i < n; i++)
        if (s->bag->networks[i / shifts].net) {
            const int64_t start = s->o.shifts > 0 ? offsets[i] - most : 0;
            s->passes[s->n_passes++] = (pass){ i / shifts, start, start, offsets[i] };
        }
    sm_free(offsets);
    return 0;
}

static int make_chunks(sm_separation *s)
{
    const size_t parallel = (size_t)s->o.parallel;
    int err = sm_pool_new(s->o.parallel, &s->pool);
    if (err == 0 && !(s->chunks = sm_alloc_zero(parallel, sizeof *s->chunks)))
        err = SM_ENOMEM;
    for (size_t i = 0; i < parallel && err == 0; i++) {
        s->chunks[i].mix = sm_alloc_aligned(2 * (size_t)sm_bag_segment(s->bag), sizeof(float));
        err = s->chunks[i].mix
                  ? htdemucs_work_new(s->bag->nets, s->bag->n_nets, s->bag->options.threads, &s->chunks[i].work)
                  : SM_ENOMEM;
    }
    return err;
}

int sm_separation_new(sm_bag *b, const sm_separation_options *o, sm_separation_block block,
                      sm_separation_chunk on_chunk, void *user, sm_separation **out)
{
    sm_separation *s = sm_alloc_zero(1, sizeof *s);
    int err;

    *out = NULL;
    if (!s)
        return SM_ENOMEM;
    s->bag = b;
    s->o = o ? *o : sm_separation_defaults;
    s->o.parallel = s->o.parallel ? s->o.parallel : 1;
    s->block = block;
    s->on_chunk = on_chunk;
    s->user = user;
    if (b->n_nets == 0)
        err = sm_fail(SM_EUSAGE, "the bag's outputs are not chosen");
    else
        err = grid_of(b, &s->o, &s->segment, &s->stride);
    if (err < 0)
        goto out;
    s->chunks_total = sm_separation_chunks(b, &s->o, s->o.length);
    s->capacity = window_of(s->segment, s->stride, s->o.parallel);
    s->weight = sm_alloc((size_t)s->segment, sizeof *s->weight);
    s->gain = sm_alloc((size_t)s->segment, sizeof *s->gain);
    s->in[0] = sm_alloc((size_t)s->capacity, sizeof(float));
    s->in[1] = sm_alloc((size_t)s->capacity, sizeof(float));
    s->sum = sm_alloc_zero((size_t)s->capacity * 2 * b->n_outputs, sizeof *s->sum);
    s->planes = sm_alloc(2 * b->n_outputs, sizeof *s->planes);
    if (!s->weight || !s->gain || !s->in[0] || !s->in[1] || !s->sum || !s->planes) {
        err = SM_ENOMEM;
        goto out;
    }
    make_weight(s);
    if ((err = make_passes(s)) == 0)
        err = make_chunks(s);
out:
    if (err < 0)
        sm_separation_free(s);
    else
        *out = s;
    return err;
}

void sm_separation_free(sm_separation *s)
{
    if (!s)
        return;
    for (int i = 0; s->chunks && i < s->o.parallel; i++) {
        htdemucs_work_free(s->chunks[i].work);
        sm_free(s->chunks[i].mix);
    }
    sm_pool_free(s->pool);
    sm_free(s->chunks);
    sm_free(s->passes);
    sm_free(s->weight);
    sm_free(s->gain);
    sm_free(s->in[0]);
    sm_free(s->in[1]);
    sm_free(s->sum);
    sm_free(s->planes);
    sm_free(s);
}

size_t sm_separation_offsets(const sm_separation *s, int64_t *offsets, size_t max)
{
    for (size_t i = 0; i < s->n_passes && i < max; i++)
        offsets[i] = s->passes[i].offset;
    return s->n_passes;
}

int64_t sm_separation_chunks(const sm_bag *b, const sm_separation_options *o, int64_t length)
{
    int64_t segment = 0, stride = 0, sum = 0, *offsets;
    o = o ? o : &sm_separation_defaults;
    const size_t n = passes_of(b, o), shifts = (size_t)SM_MAX(o->shifts, 1);
    const int64_t most = most_shift(b);
    if (length < 0 || grid_of(b, o, &segment, &stride) < 0 || !(offsets = sm_alloc_zero(n, sizeof *offsets)))
        return -1;
    if (o->shifts > 0 && o->python_random)
        offsets_python(o->seed, most, n, length, stride, offsets);
    else if (o->shifts > 0)
        offsets_own(o->seed, most, n, offsets);
    for (size_t i = 0; i < n; i++)
        if (b->networks[i / shifts].net)
            sum += chunks_of(o->shifts > 0 ? offsets[i] - most : 0, stride, length);
    sm_free(offsets);
    return sum;
}

/* ---- chunks ---- */

/* Chunks that could be computed now. */
static int64_t count_ready(const sm_separation *s)
{
    int64_t n = 0;
    for (size_t i = 0; i < s->n_passes; i++) {
        const int64_t past = s->pushed - s->segment - s->passes[i].next;
        n += s->stride && past >= 0 ? past / s->stride + 1 : 0;
    }
    return n;
}

/* The pass whose next chunk is the earliest and can be computed: all its samples are there, or no more will come. */
static pass *ready_pass(sm_separation *s)
{
    pass *best = NULL;
    for (size_t i = 0; i < s->n_passes; i++) {
        pass *p = &s->passes[i];
        const bool there =
            s->ended ? s->pushed > 0 && p->next < s->pushed : s->stride && p->next + s->segment <= s->pushed;
        if (there && (!best || p->next < best->next))
            best = p;
    }
    return best;
}

/* Copies what the network hears: the song around the chunk's middle, zeros where there is none. */
static void fill_mix(sm_separation *s, chunk *c)
{
    const int64_t whole = sm_bag_segment(s->bag), from = SM_MAX(c->from, 0),
                  to = SM_MIN(c->from + s->segment, s->pushed);
    const size_t n = (size_t)SM_MAX(to - from, 0);
    memset(c->mix, 0, 2 * (size_t)whole * sizeof *c->mix);
    for (int k = 0; k < 2 && n > 0; k++)
        memcpy(c->mix + k * whole + (from - c->from), s->in[k] + (from - s->at), n * sizeof *c->mix);
    c->silent = true;
    for (int64_t i = 0; i < 2 * whole && c->silent; i++)
        c->silent = c->mix[i] == 0;
}

static int run_job(void *user, size_t i, int worker)
{
    sm_separation *s = user;
    chunk *c = &s->chunks[i];
    (void)worker;
    return c->silent ? 0 : htdemucs_run(c->work, s->bag->networks[s->passes[c->pass].network].running, c->mix, &c->out);
}

/* The share of a pass's answer that each sample of this chunk has: its weight over the weights of all chunks of the pass that
 * reach there, over the number of shifts. Chunks after this one exist wherever they would reach into the song. */
static void make_gain(sm_separation *s, const chunk *c)
{
    const pass *p = &s->passes[c->pass];
    const float share = 1 / (float)SM_MAX(s->o.shifts, 1);
    const int64_t before = s->stride ? (c->at - p->start) / s->stride : 0;
    for (int64_t i = 0; i < c->length; i++) {
        float sum = s->weight[i];
        for (int64_t k = 1, j = i + s->stride; s->stride && k <= before && j < s->segment; k++, j += s->stride)
            sum += s->weight[j];
        for (int64_t j = i - s->stride; s->stride && j >= 0; j -= s->stride)
            sum += s->weight[j];
        s->gain[i] = s->stride ? s->weight[i] / sum * share : share;
    }
}

static void add_chunk(sm_separation *s, const chunk *c)
{
    const struct bag_network *network = &s->bag->networks[s->passes[c->pass].network];
    const int64_t whole = sm_bag_segment(s->bag), skip = SM_MAX(-c->at, 0); /* before the song: shifts start there */
    if (c->silent || skip >= c->length)
        return;
    make_gain(s, c);
    for (int r = 0; r < network->net->rows.n; r++)
        for (int k = 0; k < 2; k++) {
            const float *x = c->out + (2 * r + k) * whole + (c->at - c->from);
            float *y = s->sum + (2 * network->outputs[r] + k) * s->capacity + (c->at + skip - s->given);
            for (int64_t i = skip; i < c->length; i++)
                y[i - skip] += s->gain[i] * x[i];
        }
}

static int tell(sm_separation *s)
{
    const sm_separation_progress p = { s->pushed, s->given, s->chunks_done, s->chunks_total };
    return s->on_chunk && s->on_chunk(s->user, &p) ? sm_fail(SM_ECANCELLED, "stopped") : 0;
}

/* Computes up to `parallel` chunks; *n is how many there were. */
static int run_chunks(sm_separation *s, size_t *n)
{
    pass *p;
    int err = 0;
    for (*n = 0; *n < (size_t)s->o.parallel && (p = ready_pass(s)); ++*n) {
        chunk *c = &s->chunks[*n];
        c->pass = (size_t)(p - s->passes);
        c->at = p->next;
        c->length = s->stride ? SM_MIN(s->segment, s->pushed - p->next) : s->pushed - p->next;
        if (c->length > s->segment)
            return sm_fail(SM_EUSAGE, "a song of %.1f s cannot be one chunk: the network takes %.1f s",
                           (double)s->pushed / sm_bag_rate(s->bag), (double)s->segment / sm_bag_rate(s->bag));
        c->from = c->at - (s->segment - c->length) / 2;
        p->next = s->stride ? p->next + s->stride : INT64_MAX;
        fill_mix(s, c);
    }
    if (*n > 0 && !s->begun) {
        s->begun = true;
        err = tell(s);
    }
    if (err == 0)
        err = sm_pool_run(s->pool, *n, run_job, s);
    for (size_t i = 0; i < *n && err == 0; i++) {
        add_chunk(s, &s->chunks[i]);
        s->chunks_done++;
        err = tell(s);
    }
    return err;
}

/* ---- what is finished, and what is no longer needed ---- */

/* Samples before this one change no more. */
static int64_t finished(const sm_separation *s)
{
    int64_t first = s->pushed;
    for (size_t i = 0; i < s->n_passes; i++)
        first = SM_MIN(first, s->passes[i].next);
    return SM_MAX(first, s->given);
}

/* Gives out what is finished, scaled back to the song, and moves the rest to the front. */
static int give(sm_separation *s)
{
    const int64_t n = finished(s) - s->given, planes = 2 * (int64_t)s->bag->n_outputs;
    if (n == 0)
        return 0;
    for (int64_t k = 0; k < planes; k++) {
        float *x = s->sum + k * s->capacity;
        const float by = (float)(s->o.deviation + 1e-8), mean = (float)(s->o.mean * s->bag->n_summed[k / 2]);
        if (s->o.mean != 0 || s->o.deviation != 0)
            for (int64_t i = 0; i < n; i++)
                x[i] = x[i] * by + mean;
        s->planes[k] = x;
    }
    if (s->block && s->block(s->user, s->planes, s->given, (size_t)n))
        return sm_fail(SM_ECANCELLED, "stopped");
    s->given += n;
    for (int64_t k = 0; k < planes; k++) {
        float *x = s->sum + k * s->capacity;
        memmove(x, x + n, (size_t)(s->capacity - n) * sizeof *x);
        memset(x + s->capacity - n, 0, (size_t)n * sizeof *x);
    }
    return 0;
}

/* Drops the song's samples that no chunk can reach: the last chunks are widened by up to half a segment to the left. */
static void forget(sm_separation *s)
{
    const int64_t keep_from = SM_CLAMP(finished(s) - s->segment / 2, s->at, s->pushed);
    const size_t n = (size_t)(s->pushed - keep_from);
    for (int k = 0; k < 2; k++)
        memmove(s->in[k], s->in[k] + (keep_from - s->at), n * sizeof(float));
    s->at = keep_from;
}

/* Before the end, chunks wait until as many are there as can be computed side by side. */
static int compute(sm_separation *s)
{
    size_t n = 1;
    int err = 0;
    while (err == 0 && n > 0 && (s->ended || count_ready(s) >= s->o.parallel))
        if ((err = run_chunks(s, &n)) == 0 && n > 0)
            err = give(s);
    return err;
}

static void append(sm_separation *s, const float *const in[2], size_t n)
{
    const float mean = (float)s->o.mean, by = (float)(s->o.deviation + 1e-8);
    const bool as_is = s->o.mean == 0 && s->o.deviation == 0;
    for (int k = 0; k < 2; k++) {
        float *x = s->in[k] + (s->pushed - s->at);
        for (size_t i = 0; i < n; i++)
            x[i] = as_is ? in[k][i] : (in[k][i] - mean) / by;
    }
    s->pushed += (int64_t)n;
}

int sm_separation_push(sm_separation *s, const float *left, const float *right, size_t n)
{
    const int64_t step = step_of(s->segment);
    int err = 0;
    if (s->failed || s->ended)
        return sm_fail(SM_EUSAGE, "a separation that has %s takes no more samples", s->failed ? "failed" : "ended");
    if (s->o.length >= 0 && (int64_t)n > s->o.length - s->pushed)
        err = sm_fail(SM_EUSAGE, "more samples than the %lld that were announced", (long long)s->o.length);
    else if (!s->stride && (int64_t)n > s->segment - s->pushed)
        err = sm_fail(SM_EUSAGE, "a song of more than %.1f s cannot be one chunk",
                      (double)s->segment / sm_bag_rate(s->bag));
    for (size_t done = 0; done < n && err == 0;) {
        const size_t room = (size_t)SM_MIN(step, s->capacity - (s->pushed - s->at)), now = SM_MIN(n - done, room);
        append(s, (const float *const[2]){ left + done, right + done }, now);
        done += now;
        if ((err = compute(s)) == 0 && s->capacity - (s->pushed - s->at) < step)
            forget(s);
    }
    s->failed = err < 0;
    return err;
}

int sm_separation_end(sm_separation *s)
{
    int err = 0;
    if (s->failed || s->ended)
        return sm_fail(SM_EUSAGE, "a separation ends once");
    s->ended = true;
    if (s->o.length >= 0 && s->pushed < s->o.length)
        err =
            sm_fail(SM_EUSAGE, "%lld samples came, %lld were announced", (long long)s->pushed, (long long)s->o.length);
    if (err == 0)
        err = compute(s);
    s->failed = err < 0;
    return err;
}

/* ---- the song's mean and deviation ---- */

void sm_reference_add(sm_reference *r, const float *left, const float *right, size_t n)
{
    for (size_t i = 0; i < n; i++) { /* Welford's update */
        const double x = ((double)left[i] + (double)right[i]) / 2, d = x - r->mean;
        r->n += 1;
        r->mean += d / r->n;
        r->squares += d * (x - r->mean);
    }
}

void sm_reference_finish(const sm_reference *r, double *mean, double *deviation)
{
    *mean = r->mean;
    *deviation = r->n > 1 ? sqrt(r->squares / (r->n - 1)) : 0;
}
