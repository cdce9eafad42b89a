/* TempoCNN: tempo of songs from 12 s of mel (Schreiber, Mueller 2018/2019), as Essentia feeds it.
 *
 * Input   patches  [N, 256 (time), 40 (mel)]   each standardised over its own values
 * Output  scores   [N, 256]   softmax; class i means i + 30 BPM
 *
 * deeptemp_kK: six pairs of convolutions along time, deepsquare_kK the same with square kernels; each conv, ReLU, norm (in this order);
 * a pool after each pair. shallowtemp_kK: one short and one long convolution, no norms. Canonical tensors: conv{i}.{weight,bias}
 * [out, in, band, time], bn{i}.{weight,bias,running_mean,running_var}, top.{weight,bias}. Official: Keras .h5. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "models/pooling.h"
#include "models/view.h"

enum { FRAMES = 256, BANDS = 40, CLASSES = 256, LOWEST_BPM = 30 };

typedef enum { DEEP_TEMP, DEEP_SQUARE, SHALLOW_TEMP } tempo_kind;
typedef struct {
    const char *variant;
    tempo_kind kind;
    int k;
} tempo_size;

static const int times_k[6] = { 1, 2, 4, 4, 8, 8 };

static nn_id conv_relu(nn_graph *g, const nn_source *w, nn_id x, const char *name, nn_shape kernel)
{
    const nn_conv_attrs same = { .same_tf = true };
    const nn_id k = nn_weight(g, w, nn_name(g, "%s.weight", name), kernel);
    x = nn_conv(g, x, k, nn_weight(g, w, nn_name(g, "%s.bias", name), NN_SHAPE(kernel.dim[0])), &same);
    return nn_tap(g, name, nn_unary(g, NN_RELU, x));
}

static nn_id norm(nn_graph *g, const nn_source *w, nn_id x, int i, int64_t n)
{
    static const char *const part[4] = { "weight", "bias", "running_mean", "running_var" };
    nn_id p[4];
    for (int k = 0; k < 4; k++)
        p[k] = nn_weight(g, w, nn_name(g, "bn%d.%s", i, part[k]), NN_SHAPE(n));
    return nn_tap(g, nn_name(g, "bn%d", i), nn_batch_norm(g, x, p[0], p[1], p[2], p[3], 1e-3f));
}

static nn_id deep(nn_graph *g, const nn_source *w, nn_id x, const tempo_size *size)
{
    const bool square = size->kind == DEEP_SQUARE;
    int64_t in = 1;
    for (int i = 0; i < 12; i++) {
        const int64_t out = (int64_t)size->k * times_k[i / 2];
        const int width = i % 2 ? 3 : 5;
        nn_scope(g, "conv%d", i);
        x = conv_relu(g, w, x, nn_name(g, "conv%d", i), NN_SHAPE(out, in, square ? width : 1, width));
        x = norm(g, w, x, i, out);
        in = out;
        if (i % 2) { /* bands 20, 10, 5, 2, 1, 1; frames 128 .. 4 */
            const nn_pool_attrs half = { .kernel = { i == 11 ? 1 : 2, 2 } };
            x = nn_max_pool(g, x, &half);
        }
    }
    return x;
}

static nn_id shallow(nn_graph *g, const nn_source *w, nn_id x, const tempo_size *size)
{
    const int64_t k = size->k;
    x = conv_relu(g, w, x, "conv0", NN_SHAPE(k, 1, 1, 3));
    x = nn_reduce(g, NN_REDUCE_MEAN, x, 1 << 2, true); /* [N, K, 1, 256] */
    return conv_relu(g, w, x, "conv1", NN_SHAPE(64 * k, k, 1, 256));
}

static int build(nn_graph *g, const sm_model *m, sm_view *v, const sm_model_config *c)
{
    static const int band_first[3] = { 0, 2, 1 };
    const tempo_size *size = m->binding;
    const nn_source w = sm_view_source(v);
    nn_id x = nn_permute(g, nn_input(g, "patches", NN_SHAPE(c->batch, FRAMES, BANDS)), band_first);
    x = nn_reshape(g, x, NN_SHAPE(c->batch, 1, BANDS, FRAMES));
    x = size->kind == SHALLOW_TEMP ? shallow(g, &w, x, size) : deep(g, &w, x, size);
    nn_scope(g, "top");
    x = conv_relu(g, &w, x, "top", NN_SHAPE(CLASSES, nn_shape_of(g, x).dim[1], 1, 1));
    x = nn_tap(g, "logits", nn_reduce(g, NN_REDUCE_MEAN, x, 1 << 2 | 1 << 3, false));
    nn_output(g, "scores", nn_softmax(g, x, 1));
    return nn_graph_error(g);
}

/* ---- Keras ---- */
/* The kernels of a file whose layers may be called anything: number i (-1: the last, 1 x 1) in the order of the stated shapes. */
static const char *keras_layer(sm_weights *w, const tempo_size *size, int i, char out[64])
{
    if (size->kind != SHALLOW_TEMP) {
        snprintf(out, 64, i < 0 ? "1x1" : "Conv%d", i);
        return out;
    }
    for (size_t n = 0; n < sm_weights_count(w); n++) {
        const char *name = sm_weights_name(w, n), *start = strrchr(name, '/'), *group = name;
        nn_tensor t;
        if (!start || strcmp(start, "/kernel:0") || sm_weights_at(w, n, &t) < 0 || t.shape.rank != 4 ||
            t.shape.dim[1] != (i < 0    ? 1
                               : i == 0 ? 3
                                        : 256))
            continue;
        for (const char *at = name; at < start; at++)
            if (*at == '/')
                group = at + 1;
        snprintf(out, 64, "%.*s", (int)(start - group), group);
        return out;
    }
    return NULL;
}

static int adapt(sm_view *v, const char *name, const nn_shape *expected, nn_tensor *out)
{
    static const char *const parts[][2] = { { "running_mean", "moving_mean:0" },
                                            { "running_var", "moving_variance:0" },
                                            { "weight", "gamma:0" },
                                            { "bias", "beta:0" } };
    static const int to_ours[4] = { 3, 2, 0, 1 };
    sm_weights *w = sm_view_weights(v);
    const bool is_norm = !strncmp(name, "bn", 2), top = !strncmp(name, "top", 3);
    const char *dot = strchr(name, '.'), *suffix = NULL;
    const int i = top ? -1 : (int)strtol(name + (is_norm ? 2 : 4), NULL, 10);
    char layer[64], path[192];
    nn_shape keras = *expected;
    nn_tensor t;
    int err;

    if (strcmp(sm_weights_format(w), "keras-h5") || !dot)
        return view_official(v, name, expected, out);
    if (is_norm)
        snprintf(layer, sizeof layer, "BN%d", i);
    else if (!keras_layer(w, sm_view_model(v)->binding, i, layer))
        return sm_fail(SM_ENOTFOUND, "%s: no kernel for %s", sm_weights_label(w), name);
    suffix = !strcmp(dot, ".weight") ? "kernel:0" : "bias:0";
    for (size_t k = 0; is_norm && k < SM_LENGTH(parts); k++)
        if (!strcmp(parts[k][0], dot + 1))
            suffix = parts[k][1];
    snprintf(path, sizeof path, "model_weights/%s/%s/%s", layer, layer, suffix);
    for (int k = 0; k < 4 && expected->rank == 4; k++)
        keras.dim[to_ours[k]] = expected->dim[k];
    if ((err = view_official(v, path, &keras, &t)) < 0)
        return err;
    if (expected->rank == 4)
        return view_permuted(v, &t, to_ours, out);
    *out = t;
    return 0;
}

static bool recognise(const sm_model *m, sm_weights *w, const sm_card *card, const char *hint, char variant[32])
{
    const tempo_size *size = m->binding;
    const int64_t k = size->k;
    nn_tensor t;
    char layer[64];
    (void)card, (void)hint;
    if (strcmp(sm_weights_format(w), "keras-h5"))
        return false;
    snprintf(variant, 32, "%s", size->variant);
    if (size->kind == SHALLOW_TEMP) {
        char path[192];
        if (!keras_layer(w, size, 1, layer))
            return false;
        snprintf(path, sizeof path, "model_weights/%s/%s/kernel:0", layer, layer);
        return sm_weights_get(w, path, &NN_SHAPE(1, 256, k, 64 * k), &t) == 0;
    }
    return sm_weights_has(w, "model_weights/BN11/BN11/gamma:0") &&
           sm_weights_get(w, "model_weights/Conv0/Conv0/kernel:0",
                          &NN_SHAPE(size->kind == DEEP_SQUARE ? 5 : 1, 5, 1, k), &t) == 0;
}

/* Mean 0, population deviation 1 over the whole patch; a constant patch becomes zeros. */
static void prepare(const sm_model *m, float *patch, size_t rows, size_t bands, bool torch)
{
    const size_t n = rows * bands;
    double sum = 0, squares = 0;
    (void)m, (void)torch;
    for (size_t i = 0; i < n; i++)
        sum += patch[i];
    const double mean = sum / (double)n;
    for (size_t i = 0; i < n; i++)
        squares += (patch[i] - mean) * (patch[i] - mean);
    const double deviation = sqrt(squares / (double)n);
    for (size_t i = 0; i < n; i++)
        patch[i] = deviation > 0 ? (float)((patch[i] - mean) / deviation) : 0;
}

/* ---- the vote of the patches ---- */
typedef struct {
    int32_t *local; /* BPM by patch */
    size_t n, cap;
    size_t votes[CLASSES];
    double confidence[CLASSES]; /* sum of the probabilities with which each was chosen */
    int winner;                 /* the first to reach the highest count (Essentia's "majority") */
} vote;

static int vote_open(sm_pool_state *p)
{
    p->state = sm_alloc_zero(1, sizeof(vote));
    return p->state ? 0 : SM_ENOMEM;
}

static int vote_take(sm_pool_state *p, const float *scores)
{
    vote *v = p->state;
    int best = 0, err = sm_mean_pooling.take(p, scores);
    if (err < 0 || (err = sm_grow(&v->local, &v->cap, v->n + 1, sizeof *v->local)) < 0)
        return err;
    for (int i = 1; i < CLASSES; i++)
        if (scores[i] > scores[best])
            best = i;
    v->local[v->n++] = best + LOWEST_BPM;
    v->confidence[best] += scores[best];
    if (++v->votes[best] > v->votes[v->winner] || v->n == 1)
        v->winner = best;
    return 0;
}

static int vote_finish(sm_pool_state *p, sm_model_result *r)
{
    vote *v = p->state;
    const int err = sm_mean_pooling.finish(p, r);
    if (err < 0 || v->n == 0)
        return err;
    r->bpm = v->winner + LOWEST_BPM;
    r->bpm_confidence = v->confidence[v->winner] / (double)v->votes[v->winner];
    r->distribution = r->mean;
    r->mean = NULL;
    r->local_bpm = v->local;
    v->local = NULL;
    return 0;
}

static void vote_close(sm_pool_state *p)
{
    vote *v = p->state;
    if (v)
        sm_free(v->local);
    sm_free(v);
    p->state = NULL;
}

static const sm_pooling vote_pooling = { vote_open, vote_take, vote_finish, vote_close };

#define TEMPOCNN(id, text, kind, k)                                                                                    \
    static const tempo_size size_##id = { text, kind, k };                                                             \
    static const sm_model_source_file source_##id = {                                                                  \
        "https://github.com/hendriks73/tempo-cnn/raw/main/tempocnn/models/" text ".h5", 0, NULL, NULL                  \
    };                                                                                                                 \
    const sm_model sm_model_tempocnn_##id = {                                                                          \
        .name = "tempocnn-" text,                                                                                      \
        .official = text,                                                                                              \
        .task = SM_TASK_TEMPO,                                                                                         \
        .field = "tempocnn",                                                                                           \
        .summary = "tempo of songs, " text,                                                                            \
        .licence = "AGPL-3.0 (Hendrik Schreiber)",                                                                     \
        .page = "docs/models/tempocnn.md",                                                                             \
        .needs = { .rate_hz = 11025,                                                                                   \
                   .resample = SM_RESAMPLE_SOXR,                                                                       \
                   .front_end = "tempocnn",                                                                            \
                   .bands = BANDS,                                                                                     \
                   .patch = FRAMES,                                                                                    \
                   .hop = 128,                                                                                         \
                   .when_short = SM_SHORT_REPEAT,                                                                      \
                   .batch = 8 },                                                                                       \
        .sources = &source_##id,                                                                                       \
        .n_sources = 1,                                                                                                \
        .bench = { 1, 10, NULL },                                                                                      \
        .activation = "softmax",                                                                                       \
        .binding = &size_##id,                                                                                         \
        .recognise = recognise,                                                                                        \
        .adapt = adapt,                                                                                                \
        .build = build,                                                                                                \
        .prepare = prepare,                                                                                            \
        .pooling = &vote_pooling,                                                                                      \
    }

TEMPOCNN(deeptemp_k4, "deeptemp_k4", DEEP_TEMP, 4);
TEMPOCNN(deeptemp_k16, "deeptemp_k16", DEEP_TEMP, 16);
TEMPOCNN(deepsquare_k16, "deepsquare_k16", DEEP_SQUARE, 16);
TEMPOCNN(shallowtemp_k4, "shallowtemp_k4", SHALLOW_TEMP, 4);
