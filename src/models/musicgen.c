/* MusicGen's language model: opening, conditions, and the loop that makes a window of codes. */
#include "models/musicgen.h"

#include <math.h>
#include <string.h>

#include "models/musicgen_graph.h"

enum { PREFILL_ROWS = 64 /* rows of one run over known tokens: as many as the streaming products take */ };

/* What is compiled for requests of one shape. */
typedef struct {
    musicgen_shape shape; /* of a step */
    int chunk;            /* tokens of a run over known ones; 0: none needed */
    nn_plan *step, *prefill;
    nn_run_state *step_run, *prefill_run;
} session;

struct sm_musicgen {
    sm_stored stored;
    sm_musicgen_size size;
    nn_compile_options options;
    bool exact_cache;
    nn_pack *pack;
    nn_tensor tables[SM_MUSICGEN_MAX_BOOKS]; /* emb.K.weight */
    double *frequency;                       /* [width / 2], of the positions */
    session s;
};

/* ---- opening ---- */

static int open_tables(sm_musicgen *m)
{
    const sm_musicgen_size *s = &m->size;
    const nn_shape shape = NN_SHAPE(s->card + 1, s->width);
    const int half = s->width / 2;
    char name[32];
    int err = 0;
    for (int k = 0; k < s->codebooks && err == 0; k++) {
        snprintf(name, sizeof name, "emb.%d.weight", k);
        err = sm_stored_get(&m->stored, name, &shape, &m->tables[k]);
    }
    if (err < 0)
        return err;
    if (!(m->frequency = sm_alloc((size_t)half, sizeof *m->frequency)))
        return SM_ENOMEM;
    for (int i = 0; i < half; i++)
        m->frequency[i] = 1 / pow(10000, (double)i / SM_MAX(half - 1, 1));
    return 0;
}

int sm_musicgen_open(sm_weights *w, const sm_musicgen_options *options, sm_musicgen **out)
{
    static const sm_musicgen_options defaults;
    const sm_musicgen_options *o = options ? options : &defaults;
    sm_musicgen *m = sm_alloc_zero(1, sizeof *m);
    int err = 0;

    *out = NULL;
    if (!m)
        return SM_ENOMEM;
    m->stored.weights = w;
    if (sm_weights_count(w) && sm_weights_has(w, "best_state.emb.0.weight"))
        snprintf(m->stored.prefix, sizeof m->stored.prefix, "best_state.");
    if (o->size)
        m->size = *o->size;
    else if ((err = sm_musicgen_size_of(w, &m->size)) < 0)
        goto out;
    m->exact_cache = o->exact_cache;
    m->options = (nn_compile_options){
        .backend = o->backend, .precision = o->precision, .threads = SM_MAX(o->threads, 1), .taps = o->taps
    };
    if ((err = nn_pack_new(&m->pack)) < 0 || (err = open_tables(m)) < 0)
        goto out;
    m->options.pack = m->pack;
out:
    if (err < 0)
        sm_musicgen_free(m);
    else
        *out = m;
    return err;
}

static void close_session(session *s)
{
    nn_run_state_free(s->step_run);
    nn_run_state_free(s->prefill_run);
    nn_plan_free(s->step);
    nn_plan_free(s->prefill);
    memset(s, 0, sizeof *s);
}

void sm_musicgen_free(sm_musicgen *m)
{
    if (!m)
        return;
    close_session(&m->s);
    nn_pack_free(m->pack);
    sm_free(m->frequency);
    sm_free(m);
}

const sm_musicgen_size *sm_musicgen_size_in(const sm_musicgen *m)
{
    return &m->size;
}

/* ---- conditions ---- */

/* out [rows of w] = w x + b, in double. */
static void affine(const nn_tensor *w, const nn_tensor *b, const float *x, float *out)
{
    const int64_t rows = w->shape.dim[0], n = w->shape.dim[1];
    for (int64_t o = 0; o < rows; o++) {
        const float *row = (const float *)w->data + o * n;
        double sum = (double)((const float *)b->data)[o];
        for (int64_t i = 0; i < n; i++)
            sum += (double)row[i] * (double)x[i];
        out[o] = (float)sum;
    }
}

static int projection(const sm_musicgen *m, const char *conditioner, int64_t in, nn_tensor *w, nn_tensor *b)
{
    const nn_shape ws = NN_SHAPE(m->size.width, in), bs = NN_SHAPE(m->size.width);
    char name[256];
    snprintf(name, sizeof name, "%scondition_provider.conditioners.%s.output_proj.weight", m->stored.prefix,
             conditioner);
    const int err = sm_weights_get_f32(m->stored.weights, name, &ws, w);
    if (err < 0)
        return err;
    snprintf(name, sizeof name, "%scondition_provider.conditioners.%s.output_proj.bias", m->stored.prefix, conditioner);
    return sm_weights_get_f32(m->stored.weights, name, &bs, b);
}

int sm_musicgen_project(sm_musicgen *m, const float *states, size_t n, float *condition)
{
    nn_tensor w, b;
    const int err = projection(m, "description", m->size.text_width, &w, &b);
    for (size_t i = 0; i < n && err == 0; i++)
        affine(&w, &b, states + i * (size_t)m->size.text_width, condition + i * (size_t)m->size.width);
    return err;
}

/* ---- plans ---- */

static int compile(sm_musicgen *m, const musicgen_shape *shape, nn_plan **out)
{
    const nn_source w = musicgen_source(&m->stored);
    nn_graph *g = nn_graph_new();
    int err = g ? musicgen_graph(g, &w, &m->size, shape) : SM_ENOMEM;
    nn_compile_options o = m->options;
    o.taps = o.taps && shape->heads;
    if (err == 0)
        err = nn_compile(g, &o, out);
    nn_graph_free(g);
    return err;
}

/* The plans for this shape: those of the last call when they fit. known: tokens before the first step. */
static int open_session(sm_musicgen *m, const musicgen_shape *shape, int known)
{
    session *s = &m->s;
    musicgen_shape many = *shape;
    int err;
    if (s->step && s->shape.rows == shape->rows && s->shape.attending == shape->attending &&
        s->shape.text == shape->text && s->shape.room >= shape->room && (s->prefill || known <= 1))
        return 0;
    close_session(s);
    s->shape = *shape;
    if (known > 1) {
        s->chunk = SM_CLAMP(PREFILL_ROWS / shape->rows, 1, shape->room);
        many.tokens = s->chunk;
        many.heads = false;
        if ((err = compile(m, &many, &s->prefill)) < 0 || (err = nn_run_state_new(s->prefill, &s->prefill_run)) < 0)
            goto out;
    }
    if ((err = compile(m, shape, &s->step)) < 0)
        goto out;
    err = s->prefill ? nn_run_state_new_sharing(s->step, s->prefill_run, &s->step_run)
                     : nn_run_state_new(s->step, &s->step_run);
out:
    if (err < 0)
        close_session(s);
    return err;
}

/* Keys and values of the text for each layer: [2 layers][text][width]. */
static int attend_text(sm_musicgen *m, const float *condition, int text, float *out)
{
    const nn_source w = musicgen_source(&m->stored);
    const size_t one = (size_t)text * (size_t)m->size.width;
    nn_graph *g = nn_graph_new();
    nn_plan *plan = NULL;
    nn_run_state *run = NULL;
    float **outputs = sm_alloc((size_t)(2 * m->size.layers), sizeof *outputs);
    nn_compile_options o = m->options;
    o.taps = false;
    o.pack = NULL;
    int err = g && outputs ? musicgen_text_graph(g, &w, &m->size, text) : SM_ENOMEM;
    if (err == 0 && (err = nn_compile(g, &o, &plan)) == 0 && (err = nn_run_state_new(plan, &run)) == 0) {
        for (int i = 0; i < 2 * m->size.layers; i++)
            outputs[i] = out + (size_t)i * one;
        err = nn_run(plan, run, (const void *[]){ condition }, outputs);
    }
    nn_run_state_free(run);
    nn_plan_free(plan);
    nn_graph_free(g);
    sm_free(outputs);
    return err;
}

/* ---- a window on its way ---- */

typedef struct {
    sm_musicgen *m;
    const sm_musicgen_request *r;
    int rows, kinds;         /* rows = kinds * variations */
    int columns, prefix;     /* prefix: rows in front of the tokens (melody models) */
    int n_text;              /* rows of the text in that prefix */
    int32_t *tokens;         /* [variations][codebooks][columns]; -1: not known yet */
    float *text, *x;         /* keys and values; [rows][chunk or 1][width] */
    float *chroma;           /* [classes][width], projected */
    float *logits, *watched; /* [codebooks][rows][card]; [rows][codebooks][card] */
    float *mixed;            /* [card] */
    void *work;
} window;

static void window_free(window *w)
{
    sm_free(w->tokens);
    sm_free(w->text);
    sm_free(w->x);
    sm_free(w->chroma);
    sm_free(w->logits);
    sm_free(w->watched);
    sm_free(w->mixed);
    sm_free(w->work);
}

static int check(const sm_musicgen *m, const sm_musicgen_request *r)
{
    const sm_musicgen_size *s = &m->size;
    if (r->variations < 1 || r->variations > SM_MUSICGEN_MAX_VARIATIONS)
        return sm_fail(SM_EUSAGE, "%d variations, 1 to %d are possible", r->variations, SM_MUSICGEN_MAX_VARIATIONS);
    const int most = (int)(s->window_s * SM_MUSICGEN_FRAMES);
    if (r->frames < 1 || r->frames > most)
        return sm_fail(SM_EUSAGE, "%d frames, 1 to %d are possible in one window", r->frames, most);
    if (r->n_prefix < 0 || r->n_prefix >= r->frames)
        return sm_fail(SM_EUSAGE, "%d known frames, fewer than the %d of the result are possible", r->n_prefix,
                       r->frames);
    for (int64_t i = 0; i < (int64_t)r->variations * s->codebooks * r->n_prefix; i++)
        if (r->prefix[i] < 0 || r->prefix[i] >= s->card)
            return sm_fail(SM_EUSAGE, "a known code is %d, expected 0 to %d", (int)r->prefix[i], s->card - 1);
    if (r->chroma && !s->melody)
        return sm_fail(SM_EUSAGE, "this model takes no melody");
    if (!isfinite(r->guidance) || !isfinite(r->guidance_beta) || !isfinite(r->sampling.temperature))
        return sm_fail(SM_EUSAGE, "guidance or temperature is no number");
    if (r->guidance_beta > 0 && !s->melody)
        return sm_fail(SM_EUSAGE, "double guidance is for models that take a melody");
    return 0;
}

/* What is known before the first step. */
static void lay_out(window *w)
{
    const sm_musicgen_request *r = w->r;
    const int books = w->m->size.codebooks;
    for (int v = 0; v < r->variations; v++)
        for (int k = 0; k < books; k++)
            for (int c = 0; c < w->columns; c++) {
                const int t = sm_musicgen_frame(&w->m->size, k, c, r->frames);
                const int64_t row = (int64_t)v * books + k;
                w->tokens[row * w->columns + c] = t < 0             ? w->m->size.card
                                                  : t < r->n_prefix ? r->prefix[row * r->n_prefix + t]
                                                                    : -1;
            }
}

static int project_chroma(window *w)
{
    nn_tensor p, b;
    float class[SM_MUSICGEN_CHROMA];
    const int err = projection(w->m, "self_wav", SM_MUSICGEN_CHROMA, &p, &b);
    for (int k = 0; k < SM_MUSICGEN_CHROMA && err == 0; k++) {
        memset(class, 0, sizeof class);
        class[k] = 1;
        affine(&p, &b, class, w->chroma + (size_t)k * (size_t)w->m->size.width);
    }
    return err;
}

static int window_new(sm_musicgen *m, const sm_musicgen_request *r, window *w)
{
    const sm_musicgen_size *s = &m->size;
    const bool guided = r->guidance != 1 && (s->melody || r->n_condition > 0);
    memset(w, 0, sizeof *w);
    w->m = m;
    w->r = r;
    w->kinds = !guided ? 1 : r->guidance_beta > 0 ? 3 : 2;
    w->rows = w->kinds * r->variations;
    w->columns = sm_musicgen_columns(s, r->frames);
    w->n_text = s->melody ? (int)SM_MAX(r->n_condition, 1) : 0;
    w->prefix = s->melody ? s->chroma_frames + w->n_text : 0;
    const int known = w->prefix + r->n_prefix + 1;
    const musicgen_shape shape = { .rows = w->rows,
                                   .attending = s->melody || !r->n_condition ? 0 : r->variations,
                                   .tokens = 1,
                                   .text = s->melody ? 0 : (int)r->n_condition,
                                   .room = w->prefix + w->columns - 1,
                                   .half = !m->exact_cache,
                                   .heads = true };
    int err = open_session(m, &shape, known);
    if (err < 0)
        return err;
    const size_t width = (size_t)s->width, rows = (size_t)w->rows, books = (size_t)s->codebooks, card = (size_t)s->card;
    w->tokens = sm_alloc((size_t)r->variations * books * (size_t)w->columns, sizeof *w->tokens);
    w->x = sm_alloc_aligned(rows * (size_t)SM_MAX(m->s.chunk, 1) * width, sizeof *w->x);
    w->text = sm_alloc_aligned((size_t)(2 * s->layers) * (size_t)shape.text * width + 1, sizeof *w->text);
    w->chroma = sm_alloc(SM_MUSICGEN_CHROMA * width, sizeof *w->chroma);
    w->logits = sm_alloc_aligned(books * rows * card, sizeof *w->logits);
    w->watched = r->watch ? sm_alloc(books * rows * card, sizeof *w->watched) : NULL;
    w->mixed = sm_alloc(card, sizeof *w->mixed);
    w->work = sm_alloc(sm_musicgen_sample_work(s->card), 1);
    if (!w->tokens || !w->x || !w->text || !w->chroma || !w->logits || !w->mixed || !w->work ||
        (r->watch && !w->watched))
        return SM_ENOMEM;
    lay_out(w);
    if (s->melody)
        err = project_chroma(w);
    else if (shape.attending)
        err = attend_text(m, r->condition, shape.text, w->text);
    return err;
}

/* cos before sin, and half - 1 in the exponent: as the model was trained. */
static void add_position(const sm_musicgen *m, int64_t p, float *x)
{
    const int half = m->size.width / 2;
    for (int i = 0; i < half; i++) {
        x[i] += (float)cos((double)p * m->frequency[i]);
        x[half + i] += (float)sin((double)p * m->frequency[i]);
    }
}

/* What stands at place p of a row: of the prefix (chroma, then text), or a column of tokens. Kinds: with text and melody, (with melody,)
 * with neither. */
static void embed(const window *w, int kind, int variation, int64_t p, float *x)
{
    const sm_musicgen *m = w->m;
    const size_t width = (size_t)m->size.width;
    const int chroma = m->size.chroma_frames;
    memset(x, 0, width * sizeof *x);
    if (p < w->prefix) {
        const bool null = kind > 0 && kind == w->kinds - 1;
        if (p < chroma)
            memcpy(x, w->chroma + (w->r->chroma && !null ? w->r->chroma[p] : 0) * width, width * sizeof *x);
        else if (kind == 0 && w->r->n_condition)
            memcpy(x, w->r->condition + (size_t)(p - chroma) * width, width * sizeof *x);
    } else {
        const int32_t *tokens = w->tokens + (size_t)variation * (size_t)m->size.codebooks * (size_t)w->columns;
        for (int k = 0; k < m->size.codebooks; k++)
            sm_stored_row(&m->tables[k], tokens[(int64_t)k * w->columns + p - w->prefix], true, x);
    }
    add_position(m, p, x);
}

/* Places first..first+count-1 of all rows, `stride` places a row. Rows differ in the prefix only. */
static void embed_all(const window *w, int64_t first, int count, int stride)
{
    const size_t width = (size_t)w->m->size.width;
    const int variations = w->r->variations;
    for (int row = 0; row < w->rows; row++)
        for (int i = 0; i < stride; i++) {
            float *x = w->x + ((size_t)row * (size_t)stride + (size_t)i) * width;
            if (i >= count) /* padding, overwritten in the cache before anything sees it */
                memset(x, 0, width * sizeof *x);
            else if (first + i >= w->prefix && row >= variations)
                memcpy(x, w->x + ((size_t)(row % variations) * (size_t)stride + (size_t)i) * width, width * sizeof *x);
            else
                embed(w, row / variations, row % variations, first + i, x);
        }
}

static int run_prefill(window *w, int64_t known)
{
    session *s = &w->m->s;
    const size_t n = (size_t)w->rows * (size_t)s->chunk * (size_t)w->m->size.width;
    float *hidden = s->prefill ? sm_alloc_aligned(n, sizeof *hidden) : NULL;
    int err = s->prefill && !hidden ? SM_ENOMEM : 0;
    for (int64_t at = 0; at < known && err == 0; at += s->chunk) {
        const int32_t position = (int32_t)at;
        embed_all(w, at, (int)SM_MIN(known - at, s->chunk), s->chunk);
        const void *in[] = { w->x, &position, w->text };
        err = nn_run(s->prefill, s->prefill_run, in, &hidden);
    }
    sm_free(hidden);
    return err;
}

static int run_step(window *w, int64_t at)
{
    const size_t one = (size_t)w->rows * (size_t)w->m->size.card;
    const int32_t position = (int32_t)at;
    const void *in[] = { w->x, &position, w->text };
    float *out[SM_MUSICGEN_MAX_BOOKS];
    embed_all(w, at, 1, 1);
    for (int k = 0; k < w->m->size.codebooks; k++)
        out[k] = w->logits + (size_t)k * one;
    return nn_run(w->m->s.step, w->m->s.step_run, in, out);
}

/* Guidance: away from what the model would say without text (and melody). */
static const float *mix(const window *w, int k, int variation)
{
    const size_t card = (size_t)w->m->size.card, kind = card * (size_t)w->r->variations;
    const float *c = w->logits + (size_t)k * (size_t)w->rows * card + (size_t)variation * card, *n = c + kind;
    const float g = (float)w->r->guidance, beta = (float)w->r->guidance_beta;
    if (w->kinds == 1)
        return c;
    for (size_t i = 0; i < card; i++)
        w->mixed[i] =
            w->kinds == 2 ? n[i] + g * (c[i] - n[i]) : n[kind + i] + g * (n[i] + beta * (c[i] - n[i]) - n[kind + i]);
    return w->mixed;
}

/* Every codebook draws in every step, also where the token is known. */
static void choose(const window *w, int step, int column)
{
    const sm_musicgen_request *r = w->r;
    const int books = w->m->size.codebooks;
    for (int v = 0; v < r->variations; v++)
        for (int k = 0; k < books; k++) {
            const double u = r->uniform ? r->uniform[((int64_t)step * r->variations + v) * books + k]
                             : r->seeds ? sm_musicgen_draw(r->seeds[v], r->window, column, k)
                                        : 0;
            const int token = sm_musicgen_sample(mix(w, k, v), w->m->size.card, &r->sampling, u, w->work);
            int32_t *at = &w->tokens[((int64_t)v * books + k) * w->columns + column];
            if (*at < 0)
                *at = token;
        }
}

static int show(const window *w, int step)
{
    const size_t card = (size_t)w->m->size.card, books = (size_t)w->m->size.codebooks, rows = (size_t)w->rows;
    if (!w->r->watch)
        return 0;
    for (size_t row = 0; row < rows; row++)
        for (size_t k = 0; k < books; k++)
            memcpy(w->watched + (row * books + k) * card, w->logits + (k * rows + row) * card, card * sizeof(float));
    return w->r->watch(w->r->user, step, w->watched, w->rows);
}

/* What is final so far, into the caller's codes. */
static int hand_out(const window *w, int column, int32_t *codes)
{
    const sm_musicgen_request *r = w->r;
    const int books = w->m->size.codebooks;
    const int longest = w->columns - r->frames - 1, n = SM_MAX(column - longest, r->n_prefix);
    for (int64_t row = 0; row < (int64_t)r->variations * books; row++)
        for (int t = 0; t < n; t++)
            codes[row * r->frames + t] = w->tokens[row * w->columns + t + 1 + w->m->size.delays[row % books]];
    return n;
}

static int run_window(window *w, int32_t *codes)
{
    const sm_musicgen_request *r = w->r;
    const int first = r->n_prefix + 1, steps = w->columns - first;
    int err = run_prefill(w, w->prefix + r->n_prefix);
    for (int step = 0; step < steps && err == 0; step++) {
        const int column = first + step;
        if ((err = run_step(w, w->prefix + column - 1)) < 0 || (err = show(w, step)) < 0)
            return err;
        choose(w, step, column);
        const int n = hand_out(w, column, codes);
        if (r->progress && (err = r->progress(r->user, step + 1, steps, n)) > 0)
            err = 0;
    }
    return err;
}

int sm_musicgen_generate(sm_musicgen *m, const sm_musicgen_request *r, int32_t *codes)
{
    window w;
    int err = check(m, r);
    if (err < 0)
        return err;
    if ((err = window_new(m, r, &w)) == 0)
        err = run_window(&w, codes);
    window_free(&w);
    return err;
}

int sm_musicgen_tap(sm_musicgen *m, int i, const char **name, nn_tensor *out)
{
    return m->s.step ? nn_run_tap(m->s.step, m->s.step_run, i, name, out) : sm_fail(SM_EUSAGE, "nothing was run");
}

/* ---- what it costs ---- */

static double weights_of(const sm_musicgen_size *s)
{
    const double d = s->width, layer = 4 * d * d + 2 * d * s->hidden + (s->melody ? 0 : 2 * d * d);
    return s->layers * layer + (double)s->codebooks * s->card * d;
}

static double bytes_per_weight(const sm_musicgen *m)
{
    const nn_type stored = m->tables[0].type;
    if (m->options.precision == NN_PRECISION_INT8)
        return 1;
    return m->options.precision == NN_PRECISION_BF16 ? 2 : (double)nn_type_size(stored);
}

double sm_musicgen_step_bytes(const sm_musicgen *m)
{
    return weights_of(&m->size) * bytes_per_weight(m);
}

size_t sm_musicgen_memory(const sm_musicgen *m, const sm_musicgen_request *r)
{
    const sm_musicgen_size *s = &m->size;
    const double rows = (r->guidance == 1 ? 1 : r->guidance_beta > 0 ? 3 : 2) * (double)r->variations;
    const double room = sm_musicgen_columns(s, r->frames) + (s->melody ? s->chroma_frames + (double)r->n_condition : 0);
    const double cache = 2.0 * s->layers * rows * room * s->width * (m->exact_cache ? 4 : 2);
    const double text = s->melody ? 0 : 8.0 * s->layers * (double)r->n_condition * s->width;
    const bool packed = m->options.precision == NN_PRECISION_INT8 ||
                        (m->options.precision == NN_PRECISION_BF16 && m->tables[0].type == NN_F32);
    const double work = 4 * rows * (s->codebooks * (double)s->card + 12.0 * s->hidden) + 16e6;
    return (size_t)(cache + text + work + (packed ? sm_musicgen_step_bytes(m) : 0));
}
