/* OpenL3: a second of sound as 512 or 6144 numbers (Cramer, Wu, Salamon, Bello: Look, Listen and Learn More, ICASSP 2019), and EdgeL3
 * (Kumari, Roy, Cartwright, Bello, Arora 2019): the same pruned, and small ones for urban sounds.
 *
 * Input   spectrogram  [N, F, T]   decibels below the loudest place of the window (openl3_front.c)
 * Output  embedding    [N, dims]   512 or 6144 (config size): the maximum over all of the last picture, or over twelve parts of it, in
 *                                  the order [frequency][time][channel]
 *
 * Canonical tensors: bn{1..9}.{weight,bias,running_mean,running_var}, conv{1..8}.{weight,bias} in nn_conv's layout. */
#include <stdlib.h>
#include <string.h>

#include "models/openl3.h"

static const int official[OPENL3_CONVS] = { 64, 64, 128, 128, 256, 256, 512, 512 };

/* Channels of each convolution: the official ones, those that a SEA file says, or config "channels=4-4-8-8-8-8-16-16". */
static int channels_of(const openl3_kind *k, const sm_model_config *c, int64_t out[OPENL3_CONVS])
{
    static const struct {
        const char *variant;
        int divisor[4]; /* of each pair of convolutions */
    } sea[] = {
        { "512", { 1, 1, 1, 1 } }, { "256", { 2, 2, 2, 2 } }, { "128", { 2, 2, 2, 4 } }, { "64", { 2, 2, 2, 8 } }
    };
    const int *divisor = sea[3].divisor;
    char text[64];
    const char *at = sm_config_text(c, "channels", "", text);
    for (size_t i = 0; i < SM_LENGTH(sea) && c->variant; i++)
        if (!strcmp(c->variant, sea[i].variant))
            divisor = sea[i].divisor;
    for (int i = 0; i < OPENL3_CONVS; i++)
        out[i] = official[i] / (k->sea ? divisor[i / 2] : 1);
    for (int i = 0; *at && i < OPENL3_CONVS; i++) {
        char *end = NULL;
        out[i] = strtol(at, &end, 10);
        if (end == at || out[i] < 1 || out[i] > 4096 || *end != (i < OPENL3_CONVS - 1 ? '-' : 0))
            return sm_fail(SM_EUSAGE, "config channels=%s: eight numbers with \"-\" between them are expected", text);
        at = end + 1;
    }
    return 0;
}

/* ---- the network ---- */
typedef struct {
    nn_graph *g;
    nn_source w;
} network;

static nn_id tap(const network *n, const char *name, nn_id x)
{
    static const int channel_last[4] = { 0, 2, 3, 1 };
    nn_tap(n->g, name, nn_permute(n->g, x, channel_last));
    return x;
}

static nn_id norm(const network *n, int i, nn_id x)
{
    static const char *const part[] = { "weight", "bias", "running_mean", "running_var" };
    const nn_shape s = NN_SHAPE(nn_shape_of(n->g, x).dim[1]);
    nn_id v[4];
    for (size_t k = 0; k < SM_LENGTH(part); k++)
        v[k] = nn_weight(n->g, &n->w, nn_name(n->g, "bn%d.%s", i, part[k]), s);
    return nn_batch_norm(n->g, x, v[0], v[1], v[2], v[3], 1e-3f);
}

static nn_id conv(const network *n, int i, nn_id x, int64_t out)
{
    const nn_conv_attrs same = { .pad_before = { 1, 1 }, .pad_after = { 1, 1 } };
    const nn_shape kernel = NN_SHAPE(out, nn_shape_of(n->g, x).dim[1], 3, 3);
    const nn_id k = nn_weight(n->g, &n->w, nn_name(n->g, "conv%d.weight", i), kernel);
    const nn_id b = nn_weight(n->g, &n->w, nn_name(n->g, "conv%d.bias", i), NN_SHAPE(out));
    nn_scope(n->g, "conv%d", i);
    x = nn_conv(n->g, x, k, b, &same);
    return tap(n, i < OPENL3_CONVS ? nn_name(n->g, "conv2d_%d", i) : "audio_embedding_layer", x);
}

static nn_id relu(const network *n, int i, nn_id x)
{
    return tap(n, nn_name(n->g, "relu%d", i), nn_unary(n->g, NN_RELU, x));
}

/* The picture up to the last convolution, [N, channels, F / 8, T / 8]. */
static nn_id pictures(const network *n, const int64_t *channels, nn_id x)
{
    static const nn_pool_attrs half = { .kernel = { 2, 2 } };
    x = tap(n, "bn1", norm(n, 1, x));
    for (int i = 1; i <= OPENL3_CONVS; i++) {
        x = conv(n, i, x, channels[i - 1]);
        if (i < OPENL3_CONVS)
            x = relu(n, i, norm(n, i + 1, x));
        if (i % 2 == 0 && i < OPENL3_CONVS)
            x = tap(n, nn_name(n->g, "pool%d", i / 2), nn_max_pool(n->g, x, &half));
    }
    return x;
}

static int build(nn_graph *g, const sm_model *m, sm_view *v, const sm_model_config *c)
{
    static const int channel_last[4] = { 0, 2, 3, 1 };
    const openl3_kind *k = m->binding;
    const network n = { g, sm_view_source(v) };
    int64_t channels[OPENL3_CONVS];
    openl3_front front = OPENL3_KAPRE01;
    int err = openl3_refused(v, c->variant);
    const int64_t size = sm_config_int(c, "size", 512, 512, 6144, &err);

    if (err == 0 && size != 512 && (size != 6144 || k->sea))
        err = sm_fail(SM_EUSAGE, "config size=%lld: %s", (long long)size,
                      k->sea ? "this model has one size" : "512 or 6144 is expected");
    if (err == 0)
        err = channels_of(k, c, channels);
    if (err == 0)
        err = openl3_front_of(c, &front);
    if (err < 0)
        return nn_graph_fail(g, err, "%s", sm_last_error());
    nn_id x = nn_input(g, "spectrogram", NN_SHAPE(c->batch, openl3_rows(k), k->frames));
    x = pictures(&n, channels, nn_reshape(g, x, NN_SHAPE(c->batch, 1, openl3_rows(k), k->frames)));
    if (k->sea)
        x = relu(&n, 8, norm(&n, 9, x));
    const nn_shape last = nn_shape_of(g, x);
    if (size == 512)
        x = nn_reduce(g, NN_REDUCE_MAX, x, 1 << 2 | 1 << 3, false);
    else {
        const nn_pool_attrs pool = { .kernel = { (int)last.dim[2] / 4, (int)last.dim[3] / 3 },
                                     .stride = { (int)last.dim[2] / 4, (int)last.dim[3] / 3 } };
        x = nn_permute(g, nn_max_pool(g, x, &pool), channel_last);
        x = nn_reshape(g, x, NN_SHAPE(c->batch, -1));
    }
    nn_output(g, "embedding", x);
    return nn_graph_error(g);
}

/* ---- the models ---- */

static const char *const keys[] = { "size", "front", "channels", NULL };

/* A window every window: a one-shot costs one, from where it begins; what is left at the end of a longer sound is less than a window
 * and not heard. Silence before the sound is what is 60 dB below full scale. */
#define OPENL3(RATE, KIND, SOURCE)                                                                                     \
    .task = SM_TASK_EMBEDDING, .field = "openl3", .page = "docs/models/openl3.md", .binding = &KIND,                   \
    .needs = { .rate_hz = RATE,                                                                                        \
               .resample = SM_RESAMPLE_RESAMPY_02,                                                                     \
               .bands = 1,                                                                                             \
               .patch = RATE,                                                                                          \
               .hop = RATE,                                                                                            \
               .when_short = SM_SHORT_ZERO,                                                                            \
               .skip_below = 1e-3f,                                                                                    \
               .batch = 4 },                                                                                           \
    .sources = &SOURCE, .n_sources = 1, .bench = { 10, 10, NULL }, .config_keys = keys, .activation = "linear",        \
    .embedding = true, .recognise = openl3_recognise, .adapt = openl3_adapt, .generated = openl3_generated,            \
    .build = build, .patch_front = &openl3_patch_front

/* Frames of the STFT without padding: 1 + (48000 - 512) / 242. Of the mel front ends ceil(48000 / 242); kapre 0.1 pads as TensorFlow's
 * SAME does, half of (frames - 1) hop + fft - samples in front. */
#define FROM_LINEAR                                                                                                    \
    512, 242, 0, 197,                                                                                                  \
    {                                                                                                                  \
        0, 0, 0                                                                                                        \
    }
#define FROM_MEL128                                                                                                    \
    2048, 242, 128, 199,                                                                                               \
    {                                                                                                                  \
        982, 0, 1024                                                                                                   \
    }
#define FROM_MEL256                                                                                                    \
    2048, 242, 256, 199,                                                                                               \
    {                                                                                                                  \
        982, 0, 1024                                                                                                   \
    }

#define OFFICIAL(ID, REPR, CONTENT, WINDOW, WHAT, SHA1)                                                                \
    static const openl3_kind kind_##ID = { REPR, "openl3_audio_" REPR "_" CONTENT, 48000, 48000, WINDOW, false };      \
    static const sm_model_source_file source_##ID = {                                                                  \
        .url = "https://github.com/marl/openl3/raw/models/openl3_audio_" REPR "_" CONTENT "-v0_4_0.h5.gz",             \
        .sha256 = SHA1                                                                                                 \
    };                                                                                                                 \
    const sm_model sm_model_openl3_##ID = { OPENL3(48000, kind_##ID, source_##ID),                                     \
                                            .name = "openl3-" REPR "-" CONTENT,                                        \
                                            .official = "openl3_audio_" REPR "_" CONTENT "-v0_4_0",                    \
                                            .summary = "512 or 6144 values a second of sound, trained on " WHAT,       \
                                            .space = "openl3-" REPR "-" CONTENT "-512-kapre01/1",                      \
                                            .licence = "CC BY 4.0 (Cramer, Wu, Salamon, Bello, ICASSP 2019)" }

OFFICIAL(mel256_music, "mel256", "music", FROM_MEL256, "videos of music", "15e483646fa3d4091a463f0affbb706e6bbbb098");
OFFICIAL(mel256_env, "mel256", "env", FROM_MEL256, "videos of environments",
         "34dbd7a91cdd2de6a3d6d036ac0a24d27d78e3cc");
OFFICIAL(mel128_music, "mel128", "music", FROM_MEL128, "videos of music", "73ff29de441865318c4b3a3f98c40763c4773e7c");
OFFICIAL(mel128_env, "mel128", "env", FROM_MEL128, "videos of environments",
         "8c3dfee140f7776373841e5938a3e76c54f28942");
OFFICIAL(linear_music, "linear", "music", FROM_LINEAR, "videos of music", "4e2e61beb17865481c8b8791c72eac8307e2753a");
OFFICIAL(linear_env, "linear", "env", FROM_LINEAR, "videos of environments",
         "7837407f033f3564c7e8d53fc4a4241fe160478b");

static const openl3_kind kind_sparse = { "mel256", "edgel3_", 48000, 48000, FROM_MEL256, false };
static const sm_model_source_file source_sparse = {
    .url = "https://github.com/ksangeeta2429/edgel3/raw/models/edgel3_ft_audio_sparsity_95.45.h5.gz"
};
const sm_model sm_model_edgel3 = { OPENL3(48000, kind_sparse, source_sparse),
                                   .name = "edgel3",
                                   .official = "edgel3_ft_audio_sparsity_95.45",
                                   .summary = "OpenL3 (mel256, music) with most weights pruned",
                                   .space = "edgel3-512-kapre01/1",
                                   .licence = "MIT (Sangeeta Kumari)" };

static const openl3_kind kind_sea = { "mel64", "edgel3_sea", 8000, 8000, 1024, 160, 64, 50, { 432, 0, 512 }, true };
static const sm_model_source_file source_sea = {
    .url = "https://github.com/ksangeeta2429/edgel3/raw/models/edgel3_sea_ust_audio_emb_128.h5.gz"
};
const sm_model sm_model_edgel3_sea = { OPENL3(8000, kind_sea, source_sea),
                                       .name = "edgel3-sea",
                                       .official = "edgel3_sea_ust_audio_emb_128",
                                       .summary = "64 to 512 values a second of urban sound, at 8 kHz",
                                       .space = "edgel3-sea-kapre01/1",
                                       .licence = "MIT (Sangeeta Kumari)" };
