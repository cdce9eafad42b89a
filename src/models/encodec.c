/* Running EnCodec in pieces that add up to the whole: what is local runs over windows of frames with their surroundings, the ends of the
 * sound by plans that know what lies beyond them, and the LSTM goes on where it stopped. */
#include <string.h>

#include "models/encodec_parts.h"

enum { CONTEXT = 3, MOST_PLANS = 24 }; /* CONTEXT: frames to either side of the outer convolutions at frame rate */

typedef enum { PART_FIRST, PART_UP, PART_DOWN, PART_MEMORY, PART_LAST } part;

typedef struct {
    part what;
    int64_t length; /* frames, or samples of PART_DOWN */
    encodec_edge edge;
    nn_plan *plan;
    nn_run_state *state; /* of parts without memory */
} part_plan;

struct sm_encodec {
    sm_encodec_size size;
    sm_weights *weights; /* borrowed */
    char prefix[96];
    sm_arena *arena; /* folded weights */
    const char **names;
    nn_tensor *tensors;
    size_t n_tensors, room_names, room_tensors;
    nn_pack *pack;
    nn_compile_options compile;
    part_plan plans[MOST_PLANS];
    int n_plans;
    const float *books[SM_ENCODEC_MAX_BOOKS]; /* [bins][width] */
    float *squares;                           /* [books][bins]: of each row */
};

/* ---- opening ---- */

static float *room_of_arena(void *user, size_t n)
{
    return sm_arena_get(user, n, sizeof(float), 64);
}

/* Folded once: plans of all lengths then share packed copies. */
static int get_tensor(void *user, const char *name, const nn_shape *expected, nn_tensor *out)
{
    sm_encodec *e = user;
    for (size_t i = 0; i < e->n_tensors; i++)
        if (!strcmp(e->names[i], name)) {
            *out = e->tensors[i];
            return 0;
        }
    const int err = encodec_tensor(e->weights, e->prefix, name, expected, room_of_arena, e->arena, out);
    if (err < 0)
        return err;
    char *copy = sm_arena_strdup(e->arena, name);
    if (!copy || sm_grow(&e->names, &e->room_names, e->n_tensors + 1, sizeof *e->names) < 0 ||
        sm_grow(&e->tensors, &e->room_tensors, e->n_tensors + 1, sizeof *e->tensors) < 0)
        return SM_ENOMEM;
    e->names[e->n_tensors] = copy;
    e->tensors[e->n_tensors++] = *out;
    return 0;
}

static int open_books(sm_encodec *e)
{
    const sm_encodec_size *s = &e->size;
    e->squares = sm_arena_get(e->arena, (size_t)s->books * (size_t)s->bins, sizeof *e->squares, 64);
    if (!e->squares)
        return SM_ENOMEM;
    for (int q = 0; q < s->books; q++) {
        char name[32];
        nn_tensor t;
        snprintf(name, sizeof name, "codebook.%d", q);
        const int err = get_tensor(e, name, &NN_SHAPE(s->bins, s->width), &t);
        if (err < 0)
            return err;
        e->books[q] = t.data;
        for (int j = 0; j < s->bins; j++) {
            double sum = 0;
            for (int k = 0; k < s->width; k++)
                sum += (double)e->books[q][j * s->width + k] * (double)e->books[q][j * s->width + k];
            e->squares[q * s->bins + j] = (float)sum;
        }
    }
    return 0;
}

int sm_encodec_open(sm_weights *w, const char *prefix, const sm_encodec_options *options, sm_encodec **out)
{
    const sm_encodec_options standard = { 0 };
    const sm_encodec_options *o = options ? options : &standard;
    sm_encodec *e = sm_alloc_zero(1, sizeof *e);
    int err = 0;
    *out = NULL;
    if (!e)
        return SM_ENOMEM;
    e->weights = w;
    if (prefix)
        snprintf(e->prefix, sizeof e->prefix, "%s", prefix);
    else if (!encodec_prefix(w, e->prefix))
        err = sm_fail(SM_ENOTFOUND, "%s: there is no EnCodec in it", sm_weights_label(w));
    if (err == 0 && o->size)
        e->size = *o->size;
    else if (err == 0)
        err = sm_encodec_size_of(w, e->prefix, &e->size);
    e->compile = (nn_compile_options){ .backend = o->backend, .precision = NN_PRECISION_F32, .threads = o->threads };
    if (err == 0 && !(e->arena = sm_arena_new()))
        err = SM_ENOMEM;
    if (err == 0)
        err = nn_pack_new(&e->pack);
    e->compile.pack = e->pack;
    if (err == 0)
        err = open_books(e);
    if (err < 0)
        sm_encodec_close(e);
    else
        *out = e;
    return err;
}

void sm_encodec_close(sm_encodec *e)
{
    if (!e)
        return;
    for (int i = 0; i < e->n_plans; i++) {
        nn_run_state_free(e->plans[i].state);
        nn_plan_free(e->plans[i].plan);
    }
    nn_pack_free(e->pack);
    sm_free(e->names);
    sm_free(e->tensors);
    sm_arena_free(e->arena);
    sm_free(e);
}

const sm_encodec_size *sm_encodec_sizes(const sm_encodec *e)
{
    return &e->size;
}

int sm_encodec_hop(const sm_encodec *e)
{
    return encodec_hop(&e->size);
}

size_t sm_encodec_frames(const sm_encodec *e, size_t samples)
{
    const size_t hop = (size_t)encodec_hop(&e->size);
    return samples / hop + (samples % hop > 0);
}

/* ---- parts ---- */

static const int swap[3] = { 0, 2, 1 };

/* Frames lie [length][channels]; sound [samples]. PART_FIRST and PART_LAST take CONTEXT frames more to either side than they give. */
static nn_id add_part(const encodec_net *n, const part_plan *p, bool decoder)
{
    const sm_encodec_size *s = n->s;
    const int64_t wide = encodec_wide(s), around = p->length + 2 * CONTEXT;
    nn_id x;
    switch (p->what) {
    case PART_FIRST: /* and its LSTM */
        x = nn_permute(n->g, nn_input(n->g, "latents", NN_SHAPE(1, around, s->width)), swap);
        return encodec_memory(n, decoder, nn_permute(n->g, encodec_first(n, x, ENCODEC_VALID), swap), true);
    case PART_UP:
        x = nn_permute(n->g, nn_input(n->g, "frames", NN_SHAPE(1, p->length, wide)), swap);
        return encodec_up(n, x, p->edge);
    case PART_DOWN:
        x = encodec_down(n, nn_input(n->g, "audio", NN_SHAPE(1, 1, p->length)), p->edge);
        return nn_permute(n->g, x, swap);
    case PART_MEMORY:
        return encodec_memory(n, decoder, nn_input(n->g, "frames", NN_SHAPE(1, p->length, wide)), true);
    case PART_LAST:
        x = nn_permute(n->g, nn_input(n->g, "frames", NN_SHAPE(1, around, wide)), swap);
        return nn_permute(n->g, encodec_last(n, x, ENCODEC_VALID), swap);
    }
    return NN_NONE;
}

static void forget(part_plan *p)
{
    nn_run_state_free(p->state);
    nn_plan_free(p->plan);
}

/* The plan of a part, made when first needed. Of ends of odd lengths there may come many: the oldest of these goes. */
static int get_part(sm_encodec *e, part what, int64_t length, encodec_edge edge, part_plan **out)
{
    part_plan p = { what, length, edge, NULL, NULL };
    const nn_source w = { get_tensor, e, sm_weights_label(e->weights) };
    for (int i = 0; i < e->n_plans; i++)
        if (e->plans[i].what == what && e->plans[i].length == length && e->plans[i].edge == edge) {
            *out = &e->plans[i];
            return 0;
        }
    nn_graph *g = nn_graph_new();
    const encodec_net n = { g, &w, &e->size };
    int err = g ? 0 : SM_ENOMEM;
    if (err == 0) {
        nn_output(g, "out", add_part(&n, &p, what == PART_FIRST));
        err = nn_graph_error(g);
    }
    if (err == 0)
        err = nn_compile(g, &e->compile, &p.plan);
    nn_graph_free(g);
    if (err == 0 && what != PART_FIRST && what != PART_MEMORY)
        err = nn_run_state_new(p.plan, &p.state);
    if (err < 0) {
        forget(&p);
        return sm_fail_prefix(err, "encodec");
    }
    int at = e->n_plans;
    if (at == MOST_PLANS) {
        for (at = 0; e->plans[at].what == PART_FIRST || e->plans[at].what == PART_MEMORY;)
            at++; /* the state of a stream lives as long as its plan: these two stay */
        forget(&e->plans[at]);
        for (; at + 1 < e->n_plans; at++)
            e->plans[at] = e->plans[at + 1];
    } else
        e->n_plans++;
    e->plans[at] = p;
    *out = &e->plans[at];
    return 0;
}

static int run_part(const part_plan *p, nn_run_state *state, const float *in, float *out)
{
    const void *inputs[1] = { in };
    float *outputs[1] = { out };
    return nn_run(p->plan, state ? state : p->state, inputs, outputs);
}

/* ---- rows of frames, of which the oldest are forgotten ---- */

typedef struct {
    sm_floats data;
    int64_t base, n; /* the row of data[0]; rows in all */
    int64_t width;
    bool ended;
} rows;

static const float *row_at(const rows *r, int64_t i)
{
    return i >= r->base && i < r->n ? r->data.data + (i - r->base) * r->width : NULL;
}

static int rows_add(rows *r, const float *data, int64_t n)
{
    const int err = sm_floats_add(&r->data, data, (size_t)(n * r->width));
    r->n += err == 0 ? n : 0;
    return err;
}

static void rows_forget(rows *r, int64_t before)
{
    const int64_t gone = SM_MIN(before, r->n) - r->base;
    if (gone < 64)
        return;
    sm_floats_drop(&r->data, (size_t)(gone * r->width));
    r->base += gone;
}

/* Rows from..to (may lie outside) to out. ends: beyond the ends is what the model says, CONTEXT rows of it; else zeros. */
static void rows_copy(const rows *r, const sm_encodec_size *s, int64_t from, int64_t to, bool ends, float *out)
{
    const int64_t mirror = SM_MAX(r->n, CONTEXT + 1); /* shorter ones are continued by zeros first */
    for (int64_t i = from; i < to; i++, out += r->width) {
        int64_t at = i;
        if (ends && s->reflect)
            at = i < 0 ? -i : r->ended && i >= mirror ? 2 * (mirror - 1) - i : i;
        const float *x = row_at(r, at);
        if (x)
            memcpy(out, x, (size_t)r->width * sizeof *out);
        else
            memset(out, 0, (size_t)r->width * sizeof *out);
    }
}

/* ---- decoding ---- */

/* One channel of a stream. */
typedef struct {
    rows latents, frames; /* behind the LSTM */
    int64_t heard;        /* latents that the LSTM has heard */
    int64_t made;         /* frames of which the sound is out */
    nn_run_state *memory;
} decoder_lane;

struct sm_encodec_stream {
    sm_encodec *codec;
    int channels;
    int64_t block; /* frames that are made to sound at once */
    float *in, *out;
    decoder_lane *lanes;
};

static int lane_open(sm_encodec *e, decoder_lane *l)
{
    part_plan *p;
    const int err = get_part(e, PART_FIRST, SM_ENCODEC_BLOCK, ENCODEC_VALID, &p);
    l->latents.width = e->size.width;
    l->frames.width = encodec_wide(&e->size);
    return err < 0 ? err : nn_run_state_new(p->plan, &l->memory);
}

static int stream_new(sm_encodec *e, int channels, int64_t block, sm_encodec_stream **out)
{
    const int64_t hop = encodec_hop(&e->size), wide = encodec_wide(&e->size), reach = encodec_decoder_reach(&e->size);
    const int64_t frames = SM_MAX(block + 2 * reach, SM_ENCODEC_BLOCK + 2 * CONTEXT);
    sm_encodec_stream *s = sm_alloc_zero(1, sizeof *s);
    int err = s ? 0 : SM_ENOMEM;
    *out = NULL;
    if (err == 0) {
        *s = (sm_encodec_stream){ .codec = e, .channels = channels, .block = block };
        s->lanes = sm_alloc_zero((size_t)channels, sizeof *s->lanes);
        s->in = sm_alloc_aligned((size_t)(frames * SM_MAX(wide, e->size.width)), sizeof *s->in);
        s->out = sm_alloc_aligned((size_t)(frames * SM_MAX(wide, hop)), sizeof *s->out);
        err = s->lanes && s->in && s->out ? 0 : SM_ENOMEM;
    }
    for (int c = 0; err == 0 && c < channels; c++)
        err = lane_open(e, &s->lanes[c]);
    if (err < 0)
        sm_encodec_stream_free(s);
    else
        *out = s;
    return err;
}

int sm_encodec_stream_new(sm_encodec *e, int channels, sm_encodec_stream **out)
{
    *out = NULL;
    if (channels < 1 || channels > 8)
        return sm_fail(SM_EUSAGE, "encodec: %d channels, 1 to 8 are possible", channels);
    return stream_new(e, channels, SM_ENCODEC_BLOCK, out);
}

void sm_encodec_stream_free(sm_encodec_stream *s)
{
    if (!s)
        return;
    for (int c = 0; s->lanes && c < s->channels; c++) {
        nn_run_state_free(s->lanes[c].memory);
        sm_floats_free(&s->lanes[c].latents.data);
        sm_floats_free(&s->lanes[c].frames.data);
    }
    sm_free(s->lanes);
    sm_free(s->in);
    sm_free(s->out);
    sm_free(s);
}

/* Latents through the first convolution and the LSTM, a block at a time; behind the end the LSTM hears zeros, which change nothing. */
static int hear(sm_encodec_stream *s, decoder_lane *l)
{
    part_plan *p;
    int err = get_part(s->codec, PART_FIRST, SM_ENCODEC_BLOCK, ENCODEC_VALID, &p);
    while (err == 0 &&
           (l->latents.ended ? l->heard < l->latents.n : l->heard + SM_ENCODEC_BLOCK + CONTEXT <= l->latents.n)) {
        rows_copy(&l->latents, &s->codec->size, l->heard - CONTEXT, l->heard + SM_ENCODEC_BLOCK + CONTEXT, true, s->in);
        if ((err = run_part(p, l->memory, s->in, s->out)) == 0)
            err = rows_add(&l->frames, s->out, SM_MIN(SM_ENCODEC_BLOCK, l->latents.n - l->heard));
        l->heard = l->frames.n;
        rows_forget(&l->latents, l->heard - 2 * CONTEXT);
    }
    l->frames.ended = l->latents.ended;
    return err;
}

/* Frames from..to (of those that there are) through the local layers; the sound of first..last of them is kept. */
static int sound(sm_encodec_stream *s, decoder_lane *l, int64_t from, int64_t to, encodec_edge edge, int64_t first,
                 int64_t last, sm_floats *plane)
{
    const int64_t hop = encodec_hop(&s->codec->size);
    part_plan *p;
    int err = get_part(s->codec, PART_UP, to - from, edge, &p);
    if (err < 0)
        return err;
    rows_copy(&l->frames, &s->codec->size, from, to, false, s->in);
    if ((err = run_part(p, NULL, s->in, s->out)) < 0)
        return err;
    l->made = last;
    return sm_floats_add(plane, s->out + (first - from) * hop, (size_t)((last - first) * hop));
}

/* All the sound that is certain now. The first and last frames, as many as look beyond an end, have plans of their own. */
static int emit(sm_encodec_stream *s, decoder_lane *l, sm_floats *plane)
{
    const int64_t reach = encodec_decoder_reach(&s->codec->size), n = l->frames.n;
    const bool ended = l->frames.ended;
    int err = 0;
    if (ended && l->made == 0 && n > 0 && n < 2 * reach)
        return sound(s, l, 0, n, ENCODEC_ENDS, 0, n, plane);
    if (l->made == 0 && n >= 2 * reach)
        err = sound(s, l, 0, 2 * reach, ENCODEC_ENDS, 0, reach, plane);
    const int64_t inner = n - reach; /* whether it has ended or not */
    while (err == 0 && l->made > 0 && (ended ? l->made < inner : l->made + s->block <= inner)) {
        err = sound(s, l, l->made - reach, l->made + s->block + reach, ENCODEC_ZERO, l->made,
                    SM_MIN(l->made + s->block, inner), plane);
        rows_forget(&l->frames, l->made - 2 * reach);
    }
    if (err == 0 && ended && l->made < n)
        err = sound(s, l, n - 2 * reach, n, ENCODEC_ENDS, l->made, n, plane);
    return err;
}

int sm_encodec_stream_push(sm_encodec_stream *s, const int32_t *codes, size_t stride, size_t n, sm_floats *planes)
{
    const sm_encodec_size *size = &s->codec->size;
    int err = 0;
    for (int c = 0; c < s->channels && err == 0; c++) {
        rows *r = &s->lanes[c].latents;
        for (size_t t = 0; t < n && err == 0; t++) {
            if ((err = rows_add(r, NULL, 1)) < 0)
                break;
            float *to = r->data.data + r->data.length - (size_t)size->width;
            for (int q = 0; q < size->books && err == 0; q++) {
                const int32_t code = codes[(size_t)(q * s->channels + c) * stride + t];
                if (code < 0 || code >= size->bins)
                    err = sm_fail(SM_EUSAGE, "encodec: code %d of codebook %d, 0 to %d are possible", (int)code, q,
                                  size->bins - 1);
                for (int k = 0; k < size->width && err == 0; k++)
                    to[k] += s->codec->books[q][(int64_t)code * size->width + k];
            }
        }
        if (err == 0)
            err = hear(s, &s->lanes[c]);
        if (err == 0)
            err = emit(s, &s->lanes[c], &planes[c]);
    }
    return err;
}

int sm_encodec_stream_end(sm_encodec_stream *s, sm_floats *planes)
{
    int err = 0;
    for (int c = 0; c < s->channels; c++) {
        decoder_lane *l = &s->lanes[c];
        l->latents.ended = true;
        if (err == 0)
            err = hear(s, l);
        if (err == 0)
            err = emit(s, l, &planes[c]);
        l->latents.data.length = l->frames.data.length = 0;
        l->latents = (rows){ .data = l->latents.data, .width = l->latents.width };
        l->frames = (rows){ .data = l->frames.data, .width = l->frames.width };
        l->heard = l->made = 0;
        nn_run_reset(l->memory);
    }
    return err;
}

int sm_encodec_decode(sm_encodec *e, const int32_t *codes, size_t frames, int channels, float *const *audio)
{
    enum { BLOCK = 48 };
    const size_t hop = (size_t)encodec_hop(&e->size);
    sm_encodec_stream *s;
    sm_floats planes[8] = { 0 };
    size_t done[8] = { 0 };
    if (channels < 1 || channels > 8)
        return sm_fail(SM_EUSAGE, "encodec: %d channels, 1 to 8 are possible", channels);
    int err = stream_new(e, channels, BLOCK, &s);
    for (size_t t = 0; t <= frames && err == 0; t += BLOCK) {
        if (t < frames)
            err = sm_encodec_stream_push(s, codes + t, frames, SM_MIN((size_t)BLOCK, frames - t), planes);
        if (err == 0 && t + BLOCK > frames)
            err = sm_encodec_stream_end(s, planes);
        for (int c = 0; c < channels && err == 0; c++) {
            const size_t n = SM_MIN(planes[c].length, frames * hop - done[c]);
            if (n > 0)
                memcpy(audio[c] + done[c], planes[c].data, n * sizeof **audio);
            done[c] += n;
            planes[c].length = 0;
        }
    }
    for (int c = 0; c < channels; c++)
        sm_floats_free(&planes[c]);
    sm_encodec_stream_free(s);
    return err;
}

int sm_encodec_quantized(const sm_encodec *e, const int32_t *codes, size_t frames, float *latents)
{
    const size_t width = (size_t)e->size.width;
    memset(latents, 0, frames * width * sizeof *latents);
    for (int q = 0; q < e->size.books; q++)
        for (size_t t = 0; t < frames; t++) {
            const int32_t code = codes[(size_t)q * frames + t];
            if (code < 0 || code >= e->size.bins)
                return sm_fail(SM_EUSAGE, "encodec: code %d, 0 to %d are possible", (int)code, e->size.bins - 1);
            for (size_t k = 0; k < width; k++)
                latents[t * width + k] += e->books[q][(size_t)code * width + k];
        }
    return 0;
}

/* ---- encoding ---- */

typedef struct {
    sm_encodec *codec;
    const float *audio;
    int64_t samples, frames;
    float *in, *out;
    rows inner, heard; /* in front of the LSTM and behind it */
} encoder;

/* Samples of frames from..to, zeros outside, through the local layers; frames first..last are kept. ends: to the end of the sound. */
static int look(encoder *n, int64_t from, int64_t to, encodec_edge edge, int64_t first, int64_t last)
{
    const int64_t hop = encodec_hop(&n->codec->size), start = from * hop;
    const int64_t length = edge == ENCODEC_ENDS ? SM_MIN(to * hop, n->samples) - start : (to - from) * hop;
    part_plan *p;
    int err = get_part(n->codec, PART_DOWN, length, edge, &p);
    if (err < 0)
        return err;
    for (int64_t i = 0; i < length; i++)
        n->in[i] = start + i >= 0 && start + i < n->samples ? n->audio[start + i] : 0;
    if ((err = run_part(p, NULL, n->in, n->out)) < 0)
        return err;
    return rows_add(&n->inner, n->out + (first - from) * n->inner.width, last - first);
}

enum { LOOK = 48 }; /* frames that are encoded at once */

static int encoder_look(encoder *n)
{
    const int64_t reach = encodec_encoder_reach(&n->codec->size), frames = n->frames;
    if (frames <= 2 * reach + 1)
        return look(n, 0, frames, ENCODEC_ENDS, 0, frames);
    int err = look(n, 0, 2 * reach, ENCODEC_ENDS, 0, reach);
    for (int64_t t = reach; t < frames - reach && err == 0; t += LOOK)
        err = look(n, t - reach, t + LOOK + reach, ENCODEC_ZERO, t, SM_MIN(t + LOOK, frames - reach));
    return err < 0 ? err : look(n, frames - 2 * reach, frames, ENCODEC_ENDS, frames - reach, frames);
}

static int encoder_hear(encoder *n)
{
    part_plan *p;
    nn_run_state *memory = NULL;
    int err = get_part(n->codec, PART_MEMORY, SM_ENCODEC_BLOCK, ENCODEC_VALID, &p);
    if (err == 0)
        err = nn_run_state_new(p->plan, &memory);
    for (int64_t t = 0; t < n->frames && err == 0; t += SM_ENCODEC_BLOCK) {
        rows_copy(&n->inner, &n->codec->size, t, t + SM_ENCODEC_BLOCK, false, n->in);
        if ((err = run_part(p, memory, n->in, n->out)) == 0)
            err = rows_add(&n->heard, n->out, SM_MIN(SM_ENCODEC_BLOCK, n->frames - t));
    }
    nn_run_state_free(memory);
    n->heard.ended = true;
    return err;
}

static int encoder_last(encoder *n, float *latents)
{
    const int64_t width = n->codec->size.width;
    part_plan *p;
    int err = get_part(n->codec, PART_LAST, SM_ENCODEC_BLOCK, ENCODEC_VALID, &p);
    for (int64_t t = 0; t < n->frames && err == 0; t += SM_ENCODEC_BLOCK) {
        rows_copy(&n->heard, &n->codec->size, t - CONTEXT, t + SM_ENCODEC_BLOCK + CONTEXT, true, n->in);
        if ((err = run_part(p, NULL, n->in, n->out)) == 0)
            memcpy(latents + t * width, n->out,
                   (size_t)(SM_MIN(SM_ENCODEC_BLOCK, n->frames - t) * width) * sizeof *latents);
    }
    return err;
}

int sm_encodec_latents(sm_encodec *e, const float *audio, size_t samples, float *latents)
{
    const int64_t hop = encodec_hop(&e->size), wide = encodec_wide(&e->size), reach = encodec_encoder_reach(&e->size);
    const int64_t most = LOOK + 2 * reach + 2 * CONTEXT;
    encoder n = { .codec = e,
                  .audio = audio,
                  .samples = (int64_t)samples,
                  .frames = (int64_t)sm_encodec_frames(e, samples),
                  .inner.width = wide,
                  .heard.width = wide };
    if (samples == 0)
        return sm_fail(SM_EUSAGE, "encodec: a sound without samples");
    n.in = sm_alloc_aligned((size_t)(most * SM_MAX(hop, wide)), sizeof *n.in);
    n.out = sm_alloc_aligned((size_t)(most * SM_MAX(wide, e->size.width)), sizeof *n.out);
    int err = n.in && n.out ? encoder_look(&n) : SM_ENOMEM;
    if (err == 0)
        err = encoder_hear(&n);
    if (err == 0)
        err = encoder_last(&n, latents);
    sm_floats_free(&n.inner.data);
    sm_floats_free(&n.heard.data);
    sm_free(n.in);
    sm_free(n.out);
    return err;
}

/* The nearest row of each codebook to what the ones before have left: |r|^2 - 2 r E + |E|^2, of which the first is the same for all. */
static int quantize(const sm_encodec *e, float *rest, int64_t frames, int64_t stride, int32_t *codes)
{
    enum { SOME = 64 };
    const sm_encodec_size *s = &e->size;
    float *products = sm_alloc_aligned(SOME * (size_t)s->bins, sizeof *products);
    int err = products ? 0 : SM_ENOMEM;
    for (int q = 0; q < s->books; q++)
        for (int64_t t = 0; t < frames && err == 0; t += SOME) {
            const int64_t n = SM_MIN(SOME, frames - t);
            err = nn_sgemm(true, n, s->bins, s->width, rest + t * s->width, s->width, e->books[q], s->width, products,
                           s->bins);
            for (int64_t i = 0; i < n && err == 0; i++) {
                const float *row = products + i * s->bins, *squares = e->squares + q * s->bins;
                int best = 0;
                for (int j = 1; j < s->bins; j++)
                    if (squares[j] - 2 * row[j] < squares[best] - 2 * row[best])
                        best = j;
                codes[q * stride + t + i] = best;
                for (int k = 0; k < s->width; k++)
                    rest[(t + i) * s->width + k] -= e->books[q][best * s->width + k];
            }
        }
    sm_free(products);
    return err;
}

int sm_encodec_encode(sm_encodec *e, const float *const *audio, size_t samples, int channels, int32_t *codes)
{
    const size_t frames = sm_encodec_frames(e, samples);
    float *latents = sm_alloc_aligned(frames * (size_t)e->size.width, sizeof *latents);
    int err = latents ? 0 : SM_ENOMEM;
    for (int c = 0; c < channels && err == 0; c++) {
        err = sm_encodec_latents(e, audio[c], samples, latents);
        if (err == 0)
            err =
                quantize(e, latents, (int64_t)frames, (int64_t)(frames * (size_t)channels), codes + (size_t)c * frames);
    }
    sm_free(latents);
    return err;
}
