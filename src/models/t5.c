/* T5's encoder (Raffel et al. 2020, "Exploring the limits of transfer learning", v1.0): pre-norm blocks of attention with learned biases of
 * relative positions, scores that are not scaled, RMS norms, no biases in linear layers.
 *
 *     x = shared[ids]
 *     x += o(softmax(q(n) k(n)^T + bias) v(n)),  n = rms(x)
 *     x += wo(relu(wi(rms(x))))                  for each block
 *     out = rms(x)
 *
 * Tensors are called as in the original: shared.weight, encoder.block.N.layer.0.SelfAttention.q.weight, ... */
#include <math.h>
#include <string.h>

#include "models/stored.h"
#include "models/t5.h"

enum { BUCKETS = 32, MOST_LAYERS = 128, PLANS = 4 };
#define BIAS "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"

typedef struct {
    size_t n; /* tokens; 0: free */
    nn_plan *plan;
    nn_run_state *run;
} compiled;

struct sm_t5 {
    sm_stored stored;
    sm_t5_size size;
    nn_tensor table; /* shared.weight */
    nn_compile_options options;
    nn_pack *pack;
    compiled plans[PLANS]; /* the latest lengths */
    int next;
    const compiled *last;
    float *x; /* [n, width] */
    size_t cap_x;
};

/* The original's 8 + trunc(log(|d| / 8) / log(16) * 8) in f32, as the table that it amounts to. */
int sm_t5_bucket(int64_t distance)
{
    static const int64_t from[] = { 8, 12, 16, 23, 32, 46, 64, 91 };
    const int64_t d = distance < 0 ? -distance : distance;
    int bucket = (int)SM_MIN(d, 7);
    for (int i = 0; i < (int)SM_LENGTH(from); i++)
        if (d >= from[i])
            bucket = 8 + i;
    return bucket + (distance > 0 ? 16 : 0);
}

/* ---- sizes ---- */

static int shape_of(const sm_stored *s, const char *name, nn_shape *out)
{
    nn_tensor t;
    const int err = sm_stored_get(s, name, NULL, &t);
    if (err == 0 && t.shape.rank != 2)
        return sm_fail(SM_EFORMAT, "%s%s has %d dimensions, expected 2", s->prefix, name, t.shape.rank);
    if (err == 0)
        *out = t.shape;
    return err;
}

int sm_t5_size_of(sm_weights *w, const char *prefix, sm_t5_size *out)
{
    sm_stored s = { .weights = w };
    nn_shape table = { 0 }, bias = { 0 }, q = { 0 }, wi = { 0 };
    int err;

    memset(out, 0, sizeof *out);
    snprintf(s.prefix, sizeof s.prefix, "%s", prefix ? prefix : "");
    const bool other = !sm_stored_has(&s, "shared.weight") && sm_stored_has(&s, "encoder.embed_tokens.weight");
    if ((err = shape_of(&s, other ? "encoder.embed_tokens.weight" : "shared.weight", &table)) < 0 ||
        (err = shape_of(&s, BIAS, &bias)) < 0 ||
        (err = shape_of(&s, "encoder.block.0.layer.0.SelfAttention.q.weight", &q)) < 0 ||
        (err = shape_of(&s, "encoder.block.0.layer.1.DenseReluDense.wi.weight", &wi)) < 0)
        return sm_fail_prefix(err, "%s", "T5 encoder");
    const int64_t most = 1 << 20;
    if (bias.dim[0] != BUCKETS || bias.dim[1] < 1 || q.dim[0] % bias.dim[1] || table.dim[1] > most || q.dim[0] > most ||
        wi.dim[0] > most)
        return sm_fail(SM_EFORMAT, "%s: these shapes are no T5 encoder's", sm_weights_label(w));
    int layers = 0;
    for (char name[80]; layers < MOST_LAYERS; layers++) {
        snprintf(name, sizeof name, "encoder.block.%d.layer.0.SelfAttention.q.weight", layers);
        if (!sm_stored_has(&s, name))
            break;
    }
    *out = (sm_t5_size){ .width = (int)table.dim[1],
                         .key = (int)(q.dim[0] / bias.dim[1]),
                         .heads = (int)bias.dim[1],
                         .hidden = (int)wi.dim[0],
                         .layers = layers,
                         .vocabulary = table.dim[0] };
    return 0;
}

/* ---- the graph ---- */

typedef struct {
    nn_graph *g;
    nn_source w;
    const sm_t5_size *s;
    int64_t n;
    nn_id bias;
} network;

static nn_id linear(const network *t, const char *block, const char *part, nn_id x, int64_t in, int64_t out)
{
    return nn_linear(t->g, x, nn_weight(t->g, &t->w, nn_name(t->g, "%s.%s.weight", block, part), NN_SHAPE(out, in)),
                     NN_NONE);
}

static nn_id norm(const network *t, const char *name, nn_id x)
{
    return nn_rms_norm(t->g, x, nn_weight(t->g, &t->w, name, NN_SHAPE(t->s->width)), 1e-6f);
}

/* [1, n, heads key] -> [1, heads, n, key] */
static nn_id heads(const network *t, nn_id x)
{
    static const int heads_first[4] = { 0, 2, 1, 3 };
    return nn_permute(t->g, nn_reshape(t->g, x, NN_SHAPE(1, t->n, t->s->heads, t->s->key)), heads_first);
}

static nn_id attend(const network *t, const char *block, nn_id x)
{
    static const int tokens_first[4] = { 0, 2, 1, 3 };
    const nn_attention_attrs plain = { .scale = 1 };
    const int64_t width = t->s->width, inner = (int64_t)t->s->heads * t->s->key;
    const nn_id q = heads(t, linear(t, block, "layer.0.SelfAttention.q", x, width, inner)),
                k = heads(t, linear(t, block, "layer.0.SelfAttention.k", x, width, inner)),
                v = heads(t, linear(t, block, "layer.0.SelfAttention.v", x, width, inner));
    const nn_id y = nn_permute(t->g, nn_attention(t->g, q, k, v, t->bias, NN_NONE, &plain), tokens_first);
    return linear(t, block, "layer.0.SelfAttention.o", nn_reshape(t->g, y, NN_SHAPE(1, t->n, inner)), inner, width);
}

static nn_id block(const network *t, int i, nn_id x)
{
    const char *name = nn_name(t->g, "encoder.block.%d", i);
    nn_scope(t->g, "%s", name);
    nn_id y = attend(t, name, norm(t, nn_name(t->g, "%s.layer.0.layer_norm.weight", name), x));
    x = nn_binary(t->g, NN_ADD, x, y);
    y = norm(t, nn_name(t->g, "%s.layer.1.layer_norm.weight", name), x);
    y = nn_unary(t->g, NN_RELU, linear(t, name, "layer.1.DenseReluDense.wi", y, t->s->width, t->s->hidden));
    y = linear(t, name, "layer.1.DenseReluDense.wo", y, t->s->hidden, t->s->width);
    return nn_tap(t->g, nn_name(t->g, "block.%d", i), nn_binary(t->g, NN_ADD, x, y));
}

/* bias[h, i, j] = table[bucket(j - i), h], the same in every block. */
static int position_bias(network *t)
{
    const int64_t h = t->s->heads, n = t->n;
    const nn_shape shape = NN_SHAPE(BUCKETS, h);
    nn_tensor table;
    size_t count = 0;
    int err = t->w.get(t->w.user, BIAS, &shape, &table);
    if (err < 0)
        return nn_graph_fail(t->g, err, "%s", sm_last_error());
    float *rows = sm_alloc((size_t)(BUCKETS * h), sizeof *rows);
    float *b = !rows || sm_mul_overflow((size_t)(n * n), (size_t)h, &count) ? NULL : sm_alloc(count, sizeof *b);
    for (int64_t k = 0; rows && k < BUCKETS; k++)
        sm_stored_row(&table, k, false, rows + k * h);
    for (int64_t k = 0; b && k < h; k++)
        for (int64_t i = 0; i < n; i++)
            for (int64_t j = 0; j < n; j++)
                b[(k * n + i) * n + j] = rows[sm_t5_bucket(j - i) * h + k];
    t->bias = b ? nn_const_f32(t->g, NN_SHAPE(1, h, n, n), b) : NN_NONE;
    sm_free(rows);
    sm_free(b);
    return b ? nn_graph_error(t->g) : nn_graph_fail(t->g, SM_ENOMEM, "no memory for the bias of positions");
}

int sm_t5_graph(nn_graph *g, const nn_source *w, const sm_t5_size *s, int64_t n)
{
    network net = { g, *w, s, n, NN_NONE };
    nn_id x = nn_input(g, "x", NN_SHAPE(1, n, s->width));
    const int err = position_bias(&net);
    if (err < 0)
        return err;
    for (int i = 0; i < s->layers; i++)
        x = block(&net, i, x);
    nn_scope(g, "encoder");
    nn_output(g, "final", norm(&net, "encoder.final_layer_norm.weight", x));
    return nn_graph_error(g);
}

/* ---- opening ---- */

int sm_t5_open(sm_weights *w, const char *prefix, const sm_t5_options *options, sm_t5 **out)
{
    sm_t5 *t = sm_alloc_zero(1, sizeof *t);
    int err = 0;

    *out = NULL;
    if (!t)
        return SM_ENOMEM;
    t->stored.weights = w;
    snprintf(t->stored.prefix, sizeof t->stored.prefix, "%s", prefix ? prefix : "");
    if (options && options->size)
        t->size = *options->size;
    else if ((err = sm_t5_size_of(w, prefix, &t->size)) < 0)
        goto out;
    const nn_shape table = NN_SHAPE(t->size.vocabulary, t->size.width);
    if ((err = sm_stored_get(&t->stored, "shared.weight", &table, &t->table)) < 0 || (err = nn_pack_new(&t->pack)) < 0)
        goto out;
    t->options = (nn_compile_options){ .backend = options ? options->backend : NULL,
                                       .precision = NN_PRECISION_F32,
                                       .threads = options ? options->threads : 1,
                                       .taps = options && options->taps,
                                       .pack = t->pack };
out:
    if (err < 0)
        sm_t5_free(t);
    else
        *out = t;
    return err;
}

static void forget(compiled *c)
{
    nn_run_state_free(c->run);
    nn_plan_free(c->plan);
    *c = (compiled){ 0 };
}

void sm_t5_free(sm_t5 *t)
{
    if (!t)
        return;
    for (int i = 0; i < PLANS; i++)
        forget(&t->plans[i]);
    nn_pack_free(t->pack);
    sm_free(t->x);
    sm_free(t);
}

int sm_t5_width(const sm_t5 *t)
{
    return t->size.width;
}

/* ---- running ---- */

static int plan_for(sm_t5 *t, size_t n, compiled **out)
{
    for (int i = 0; i < PLANS; i++)
        if (t->plans[i].n == n) {
            *out = &t->plans[i];
            return 0;
        }
    compiled *c = *out = &t->plans[t->next];
    t->next = (t->next + 1) % PLANS;
    forget(c);
    const nn_source w = sm_stored_source(&t->stored);
    nn_graph *g = nn_graph_new();
    int err = g ? sm_t5_graph(g, &w, &t->size, (int64_t)n) : SM_ENOMEM;
    if (err == 0)
        err = nn_compile(g, &t->options, &c->plan);
    if (err == 0)
        err = nn_run_state_new(c->plan, &c->run);
    nn_graph_free(g);
    if (err < 0)
        forget(c);
    else
        c->n = n;
    return err;
}

int sm_t5_encode(sm_t5 *t, const int32_t *ids, size_t n, float *out)
{
    compiled *c;
    int err;

    t->last = NULL;
    if (n < 1 || n > 1 << 14)
        return sm_fail(SM_EUSAGE, "a text of %zu tokens, expected 1 to %d", n, 1 << 14);
    for (size_t i = 0; i < n; i++)
        if (ids[i] < 0 || ids[i] >= t->size.vocabulary)
            return sm_fail(SM_EUSAGE, "token %d is none of the vocabulary's %lld", (int)ids[i],
                           (long long)t->size.vocabulary);
    const size_t width = (size_t)t->size.width;
    if ((err = plan_for(t, n, &c)) < 0 || (err = sm_grow(&t->x, &t->cap_x, n * width, sizeof *t->x)) < 0)
        return err;
    for (size_t i = 0; i < n; i++)
        sm_stored_row(&t->table, ids[i], false, t->x + i * width);
    const void *in[] = { t->x };
    if ((err = nn_run(c->plan, c->run, in, &out)) == 0)
        t->last = c;
    return err;
}

int sm_t5_tap(sm_t5 *t, int i, const char **name, nn_tensor *out)
{
    return t->last ? nn_run_tap(t->last->plan, t->last->run, i, name, out) : sm_fail(SM_EUSAGE, "nothing was run");
}
