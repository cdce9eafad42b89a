/* Official Keras files of OpenL3 and EdgeL3. The numbers in Keras' names depend on what else was built in the training process, so
 * layers are told by their order: norm, convolution, norm, convolution ... All six official OpenL3 files have the same shapes; which
 * input and which content they are for stands in the file's name alone, as the original has it. */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "models/openl3.h"

enum { MOST_LAYERS = 2 * OPENL3_CONVS + 1 }; /* norm and convolution in turn; SEA has one norm more */

/* ---- layers in their order ---- */

typedef struct {
    char tensor[4][160]; /* full names, in Keras' order: kernel, bias; or gamma, beta, moving_mean, moving_variance */
    size_t n;
} layer;

/* "layer_names", or of a whole model "layer_names:model_weights". Gives the prefix of tensors' names. */
static const char *layer_list(sm_weights *w, const char **prefix)
{
    const char *text = sm_weights_meta(w, "layer_names");
    *prefix = text ? "" : "model_weights/";
    return text ? text : sm_weights_meta(w, "layer_names:model_weights");
}

/* The tensors of one layer; n = 0: it has none, or is the front end's constants. */
static int read_layer(sm_weights *w, const char *prefix, const char *name, layer *out)
{
    char key[160];
    out->n = 0;
    if (strstr(name, "spectrogram"))
        return 0;
    snprintf(key, sizeof key, "weight_names:%s%s", prefix, name);
    const char *text = sm_weights_meta(w, key);
    json_t *list = text ? json_loads(text, 0, NULL) : NULL;
    const size_t n = json_array_size(list);
    int err = n <= 4 ? 0 : SM_EFORMAT;
    for (size_t i = 0; i < n && err == 0; i++) {
        const char *leaf = json_string_value(json_array_get(list, i));
        const int length =
            leaf ? snprintf(out->tensor[i], sizeof out->tensor[i], "%s%s/%s", prefix, name, leaf) : INT32_MAX;
        err = length < (int)sizeof out->tensor[i] ? 0 : SM_EFORMAT;
    }
    out->n = err == 0 ? n : 0;
    json_decref(list);
    return err;
}

/* Layers that have weights, in order; *n: how many, MOST_LAYERS + 1 where there are more. */
static int read_layers(sm_weights *w, layer layers[MOST_LAYERS], size_t *n)
{
    const char *prefix, *text = layer_list(w, &prefix);
    json_t *list = text ? json_loads(text, 0, NULL) : NULL;
    int err = 0;
    *n = 0;
    for (size_t i = 0; i < json_array_size(list) && *n <= MOST_LAYERS && err == 0; i++) {
        layer one;
        const char *name = json_string_value(json_array_get(list, i));
        err = name ? read_layer(w, prefix, name, &one) : SM_EFORMAT;
        if (err == 0 && one.n > 0) {
            if (*n < MOST_LAYERS)
                layers[*n] = one;
            ++*n;
        }
    }
    json_decref(list);
    return err;
}

/* ---- whose file it is ---- */

/* Channels of the convolutions if the file is norm, convolution, norm ... of one kind of network. */
static bool read_channels(sm_weights *w, int64_t channels[OPENL3_CONVS], bool *last_norm)
{
    layer *layers = sm_alloc(MOST_LAYERS, sizeof *layers);
    size_t n = 0;
    bool fits = layers && read_layers(w, layers, &n) == 0 && (n == MOST_LAYERS || n == MOST_LAYERS - 1);
    int64_t in = 1;
    for (size_t i = 0; fits && i < n; i++) {
        nn_tensor t;
        fits = layers[i].n == (i % 2 ? 2 : 4) && sm_weights_get(w, layers[i].tensor[0], NULL, &t) == 0;
        if (!fits || i % 2 == 0) {
            fits = fits && t.shape.rank == 1 && t.shape.dim[0] == in;
            continue;
        }
        fits = t.shape.rank == 4 && t.shape.dim[0] == 3 && t.shape.dim[1] == 3 && t.shape.dim[2] == in;
        channels[i / 2] = in = t.shape.dim[3];
    }
    *last_norm = n == MOST_LAYERS;
    sm_free(layers);
    return fits;
}

/* "openl3_audio_mel256_music-v0_4_0" is of "openl3_audio_mel256_music"; what follows is the version. */
static bool named(const char *hint, const char *file, const char **rest)
{
    const size_t n = strlen(file);
    *rest = strncmp(hint, file, n) ? "" : hint + n;
    return !strncmp(hint, file, n);
}

static bool any_name(const char *hint)
{
    const char *rest;
    return named(hint, "edgel3_", &rest) || !strncmp(hint, "openl3_audio_", 13);
}

bool openl3_recognise(const sm_model *m, sm_weights *w, const sm_card *card, const char *hint, char variant[32])
{
    const openl3_kind *k = m->binding;
    int64_t channels[OPENL3_CONVS];
    const char *version;
    bool last_norm;
    (void)card;
    if (strcmp(sm_weights_format(w), "keras-h5") || !read_channels(w, channels, &last_norm) || last_norm != k->sea)
        return false;
    if (k->sea) {
        snprintf(variant, 32, "%d", (int)channels[OPENL3_CONVS - 1]);
        return true;
    }
    if (channels[0] != 64 || channels[OPENL3_CONVS - 1] != 512)
        return false;
    snprintf(variant, 32, "%s", any_name(hint) ? "" : "unnamed"); /* then the first that asks takes it, to say so */
    if (!named(hint, k->file, &version) && any_name(hint))
        return false;
    if (!strncmp(hint, "openl3_audio_", 13) && !*version)
        snprintf(variant, 32, "0.1");
    return true;
}

int openl3_refused(const sm_view *v, const char *variant)
{
    const char *file = sm_path_name(sm_weights_label(sm_view_weights((sm_view *)(uintptr_t)v)));
    if (variant && !strcmp(variant, "0.1"))
        return sm_fail(SM_EUNSUPPORTED,
                       "%s: weights of OpenL3 0.1, which were trained with a faulty decibel scale; the files whose "
                       "names end in -v0_2_0 or -v0_4_0 are the right ones",
                       file);
    if (variant && !strcmp(variant, "unnamed"))
        return sm_fail(SM_EFORMAT,
                       "%s: an OpenL3 network, but for which input? That stands in the official name only, such as "
                       "openl3_audio_mel256_music-v0_4_0.h5",
                       file);
    return 0;
}

/* ---- tensors ---- */

/* Which layer in order, and which of its tensors: "bn3.running_var" -> 4, 3; "conv2.bias" -> 3, 1. */
static bool place_of(const char *name, size_t *at, size_t *part)
{
    static const char *const parts[] = { "weight", "bias", "running_mean", "running_var" };
    const bool norm = !strncmp(name, "bn", 2);
    char *dot = NULL;
    const long number = strtol(name + (norm ? 2 : 4), &dot, 10);
    if (number < 1 || number > OPENL3_CONVS + 1 || *dot != '.')
        return false;
    *at = 2 * (size_t)(number - 1) + (norm ? 0 : 1);
    for (size_t i = 0; i < (norm ? 4 : 2); i++)
        if (!strcmp(dot + 1, parts[i])) {
            *part = i;
            return true;
        }
    return false;
}

/* As Keras calls them in a fresh process; made-up weights go by these names. */
static void canonical_name(size_t at, size_t part, char out[160])
{
    static const char *const norm[] = { "gamma", "beta", "moving_mean", "moving_variance" };
    const int number = (int)(at / 2) + 1;
    if (at % 2 == 0)
        snprintf(out, 160, "batch_normalization_%d/%s:0", number, norm[part]);
    else if (number == OPENL3_CONVS)
        snprintf(out, 160, "audio_embedding_layer/%s:0", part ? "bias" : "kernel");
    else
        snprintf(out, 160, "conv2d_%d/%s:0", number, part ? "bias" : "kernel");
}

static int official_name(sm_weights *w, size_t at, size_t part, char out[160])
{
    layer *layers;
    size_t n = 0;
    if (strcmp(sm_weights_format(w), "keras-h5")) {
        canonical_name(at, part, out);
        return 0;
    }
    if (!(layers = sm_alloc(MOST_LAYERS, sizeof *layers)))
        return SM_ENOMEM;
    int err = read_layers(w, layers, &n);
    if (err == 0 && (n > MOST_LAYERS || at >= n || part >= layers[at].n))
        err = SM_EFORMAT;
    if (err == 0)
        snprintf(out, 160, "%s", layers[at].tensor[part]);
    sm_free(layers);
    return err == SM_EFORMAT
               ? sm_fail(err, "%s: layer %zu of OpenL3's %d is not there", sm_weights_label(w), at + 1, MOST_LAYERS - 1)
               : err;
}

int openl3_adapt(sm_view *v, const char *name, const nn_shape *expected, nn_tensor *out)
{
    static const int to_ours[4] = { 3, 2, 0, 1 };
    sm_weights *w = sm_view_weights(v);
    char full[160];
    size_t at, part;
    nn_shape keras = *expected;
    nn_tensor t;
    int err;

    if (!place_of(name, &at, &part))
        return sm_fail(SM_ENOTFOUND, "%s: no tensor \"%s\"", sm_weights_label(w), name);
    if ((err = official_name(w, at, part, full)) < 0)
        return err;
    for (int i = 0; i < expected->rank && expected->rank == 4; i++)
        keras.dim[to_ours[i]] = expected->dim[i];
    if ((err = view_official(v, full, &keras, &t)) < 0)
        return err;
    if (expected->rank == 4)
        return view_permuted(v, &t, to_ours, out);
    *out = t;
    return 0;
}

/* Kernels uniform with variance 2 / fan_in; a spectrogram of decibels has a mean of some -30 and a variance of some 120. */
bool openl3_generated(const char *name, const nn_shape *s, double *offset, double *scale)
{
    if (s->rank == 4) {
        *offset = 0;
        *scale = sqrt(6.0 / (double)(s->dim[0] * s->dim[1] * s->dim[2]));
        return true;
    }
    if (strncmp(name, "batch_normalization_1/moving_", 29))
        return false;
    *offset = strstr(name, "mean") ? -30 : 120;
    *scale = strstr(name, "mean") ? 6 : 40;
    return true;
}
