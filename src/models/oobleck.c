/* Oobleck's graph (stable-audio-tools, models/autoencoders.py; the snake is Ziyin and others 2020, with logarithmic parameters as in
 * BigVGAN), its sizes and its weights in every layout that there is.
 *
 * Canonical tensors are the original's, with weight norm folded: pretransform.model.(encoder|decoder).layers.i ...; alpha and beta stay
 * logarithms. diffusers calls them (encoder|decoder).block.i.res_unit1.conv1 ...: the table is in stable_audio_names.c. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "models/oobleck.h"
#include "models/stable_audio.h"
#include "models/view.h"

enum { UNITS = 3, UNIT_KERNEL = 7, EDGE_KERNEL = 7, MOMENT_KERNEL = 3 };
static const int dilations[UNITS] = { 1, 3, 9 };

typedef struct {
    nn_graph *g;
    const nn_source *w;
    const oobleck_size *s;
} network;

/* ---- parts ---- */

static nn_id weight(const network *n, const char *layer, const char *part, nn_shape shape)
{
    return nn_weight(n->g, n->w, nn_name(n->g, OOBLECK_PREFIX "%s.%s", layer, part), shape);
}

static nn_id conv(const network *n, const char *layer, nn_id x, int64_t out, int kernel, int stride, int dilation,
                  bool bias)
{
    const int64_t in = nn_shape_of(n->g, x).dim[1];
    const int pad = stride > 1 ? stride / 2 : (kernel - 1) / 2 * dilation;
    const nn_conv_attrs a = {
        .stride = { stride }, .dilation = { dilation }, .pad_before = { pad }, .pad_after = { pad }
    };
    const nn_id w = weight(n, layer, "weight", NN_SHAPE(out, in, kernel));
    return nn_conv(n->g, x, w, bias ? weight(n, layer, "bias", NN_SHAPE(out)) : NN_NONE, &a);
}

static nn_id widen(const network *n, const char *layer, nn_id x, int64_t out, int stride)
{
    const int64_t in = nn_shape_of(n->g, x).dim[1];
    const nn_conv_transpose_attrs a = { .stride = { stride },
                                        .pad_before = { stride / 2 },
                                        .pad_after = { stride / 2 } };
    const nn_id w = weight(n, layer, "weight", NN_SHAPE(in, out, 2 * stride));
    return nn_conv_transpose(n->g, x, w, weight(n, layer, "bias", NN_SHAPE(out)), &a);
}

/* x + sin^2(e^alpha x) / (e^beta + 1e-9) */
static nn_id snake(const network *n, const char *layer, nn_id x)
{
    const int64_t c = nn_shape_of(n->g, x).dim[1];
    const nn_id alpha = nn_unary(n->g, NN_EXP, weight(n, layer, "alpha", NN_SHAPE(c))),
                beta = nn_unary(n->g, NN_EXP, weight(n, layer, "beta", NN_SHAPE(c)));
    return nn_snake(n->g, x, alpha, nn_binary(n->g, NN_ADD, beta, nn_const_scalar(n->g, 1e-9f)));
}

static nn_id unit(const network *n, const char *layer, nn_id x, int dilation)
{
    const int64_t c = nn_shape_of(n->g, x).dim[1];
    nn_id y = snake(n, nn_name(n->g, "%s.layers.0", layer), x);
    y = conv(n, nn_name(n->g, "%s.layers.1", layer), y, c, UNIT_KERNEL, 1, dilation, true);
    y = snake(n, nn_name(n->g, "%s.layers.2", layer), y);
    y = conv(n, nn_name(n->g, "%s.layers.3", layer), y, c, 1, 1, 1, true);
    return nn_binary(n->g, NN_ADD, y, x);
}

static nn_id units(const network *n, const char *layer, int first, nn_id x)
{
    for (int k = 0; k < UNITS; k++)
        x = unit(n, nn_name(n->g, "%s.layers.%d", layer, first + k), x, dilations[k]);
    return x;
}

/* ---- the two halves ---- */

nn_id oobleck_decoder_layers(nn_graph *g, const oobleck_size *s, const nn_source *w, nn_id x, int first, int last)
{
    const network n = { g, w, s };
    for (int i = first; i < last; i++) {
        const char *layer = nn_name(g, "decoder.layers.%d", i);
        nn_scope(g, "%s", layer);
        if (i == 0) {
            x = conv(&n, layer, x, s->width[s->blocks], EDGE_KERNEL, 1, 1, true);
        } else if (i <= s->blocks) {
            x = snake(&n, nn_name(g, "%s.layers.0", layer), x);
            x = widen(&n, nn_name(g, "%s.layers.1", layer), x, s->width[s->blocks - i], s->stride[s->blocks - i]);
            x = units(&n, layer, 2, x);
        } else if (i == s->blocks + 1) {
            x = snake(&n, layer, x);
        } else {
            x = conv(&n, layer, x, OOBLECK_AUDIO, EDGE_KERNEL, 1, 1, false);
            if (s->final_tanh)
                x = nn_unary(g, NN_TANH, x);
        }
        nn_tap(g, layer, x);
    }
    return x;
}

nn_id oobleck_encoder_layers(nn_graph *g, const oobleck_size *s, const nn_source *w, nn_id x, int first, int last)
{
    const network n = { g, w, s };
    for (int i = first; i < last; i++) {
        const char *layer = nn_name(g, "encoder.layers.%d", i);
        nn_scope(g, "%s", layer);
        if (i == 0) {
            x = conv(&n, layer, x, s->width[0], EDGE_KERNEL, 1, 1, true);
        } else if (i <= s->blocks) {
            const int stride = s->stride[i - 1];
            x = snake(&n, nn_name(g, "%s.layers.3", layer), units(&n, layer, 0, x));
            x = conv(&n, nn_name(g, "%s.layers.4", layer), x, s->width[i], 2 * stride, stride, 1, true);
        } else if (i == s->blocks + 1) {
            x = snake(&n, layer, x);
        } else {
            x = conv(&n, layer, x, 2 * s->latent, MOMENT_KERNEL, 1, 1, true);
        }
        nn_tap(g, layer, x);
    }
    return x;
}

/* From the last layer to the first: how far the outputs at one position look to either side of it. */
static int64_t units_reach(void)
{
    int64_t reach = 0;
    for (int k = 0; k < UNITS; k++)
        reach += (UNIT_KERNEL - 1) / 2 * dilations[k];
    return reach;
}

int64_t oobleck_decoder_reach(const oobleck_size *s, int first, int last)
{
    int64_t reach = 0;
    for (int i = last - 1; i >= first; i--)
        if (i == 0 || i == s->blocks + 2) {
            reach += (EDGE_KERNEL - 1) / 2;
        } else if (i <= s->blocks) {
            const int64_t stride = s->stride[s->blocks - i];
            reach = (reach + units_reach() + stride / 2 + 2 * stride - 1) / stride;
        }
    return reach;
}

int64_t oobleck_encoder_reach(const oobleck_size *s, int first, int last)
{
    int64_t reach = 0;
    for (int i = last - 1; i >= first; i--)
        if (i == 0 || i == s->blocks + 2)
            reach += ((i ? MOMENT_KERNEL : EDGE_KERNEL) - 1) / 2;
        else if (i <= s->blocks)
            reach = reach * s->stride[i - 1] + s->stride[i - 1] + s->stride[i - 1] / 2 + units_reach();
    return reach;
}

/* ---- sizes ---- */

static const oobleck_size official = {
    .blocks = 5, .latent = 64, .width = { 128, 128, 256, 512, 1024, 2048 }, .stride = { 2, 4, 4, 8, 8 }
};
const char *const oobleck_config_keys[] = { "channels", "latent", "strides", "latents", "part", NULL };

int64_t oobleck_ratio(const oobleck_size *s)
{
    int64_t ratio = 1;
    for (int i = 0; i < s->blocks; i++)
        ratio *= s->stride[i];
    return ratio;
}

bool oobleck_found(sm_weights *w)
{
    char name[SA_NAME];
    return sm_weights_count(w) > 0 && sa_official(w, OOBLECK_PREFIX "decoder.layers.1.layers.1.weight_v", name) &&
           sa_official(w, OOBLECK_PREFIX "decoder.layers.0.weight_v", name);
}

/* The shape of the unfolded (or, in a converted file, folded) weight of a convolution; false: it is not there. */
static bool shape_of(sm_weights *w, const char *layer, nn_shape *out)
{
    static const char *const endings[] = { "weight_v", "weight" };
    char name[SA_NAME], found[SA_NAME];
    nn_tensor t;
    for (size_t i = 0; i < SM_LENGTH(endings); i++) {
        snprintf(name, sizeof name, OOBLECK_PREFIX "%s.%s", layer, endings[i]);
        if (sa_official(w, name, found) && sm_weights_get(w, found, NULL, &t) == 0 && t.shape.rank == 3) {
            *out = t.shape;
            return true;
        }
    }
    return false;
}

/* The decoder's first convolution says the latents; each block's, [in, out, 2 stride], its widths and stride. */
static int read_shapes(sm_weights *w, oobleck_size *s)
{
    char layer[64];
    nn_shape at[OOBLECK_MAX_BLOCKS + 1];
    int n = 0;
    if (!shape_of(w, "decoder.layers.0", &at[0]))
        return 0;
    for (n = 1; n <= OOBLECK_MAX_BLOCKS; n++) {
        snprintf(layer, sizeof layer, "decoder.layers.%d.layers.1", n);
        if (!shape_of(w, layer, &at[n]))
            break;
    }
    *s = (oobleck_size){ .blocks = n - 1, .latent = (int)SM_MIN(at[0].dim[1], 1 << 16) };
    for (int i = 1; i < n; i++) {
        const int b = s->blocks - i; /* the decoder's block i undoes the encoder's block b */
        if (at[i].dim[0] < 1 || at[i].dim[0] > 1 << 16 || at[i].dim[1] < 1 || at[i].dim[1] > 1 << 16 ||
            at[i].dim[2] < 4 || at[i].dim[2] > 64 || at[i].dim[2] % 4)
            return sm_fail(SM_EUNSUPPORTED,
                           "%s: its autoencoder's block %d has a filter of %lld; 4, 8 ... 64 are possible",
                           sm_weights_label(w), i, (long long)at[i].dim[2]);
        s->stride[b] = (int)at[i].dim[2] / 2;
        s->width[b + 1] = (int)at[i].dim[0];
        s->width[b] = (int)at[i].dim[1];
    }
    return s->blocks > 0 ? 0 : sm_fail(SM_EFORMAT, "%s: an autoencoder without blocks", sm_weights_label(w));
}

/* "2-4-4-8-8" */
static int read_strides(const char *text, oobleck_size *s)
{
    int n = 0;
    for (const char *p = text; *p; n++) {
        char *end;
        const long stride = strtol(p, &end, 10);
        if (end == p || stride < 2 || stride > 32 || stride % 2 || n == OOBLECK_MAX_BLOCKS)
            return sm_fail(SM_EUSAGE, "strides=%s: up to %d even numbers from 2 to 32, as in 2-4-4-8-8", text,
                           OOBLECK_MAX_BLOCKS);
        s->stride[n] = (int)stride;
        p = end + strspn(end, "-");
    }
    s->blocks = n;
    return 0;
}

int oobleck_size_read(sm_weights *w, const sm_model_config *c, oobleck_size *out)
{
    char text[64];
    int err = 0;
    *out = official;
    if (sm_weights_count(w) > 0 && (err = read_shapes(w, out)) < 0)
        return err;
    const char *strides = sm_config_text(c, "strides", "", text);
    if (*strides && (err = read_strides(strides, out)) < 0)
        return err;
    const int channels = (int)sm_config_int(c, "channels", 0, 0, 1024, &err);
    for (int i = 0; i <= out->blocks && channels; i++)
        out->width[i] = channels << SM_MAX(i - 1, 0);
    out->latent = (int)sm_config_int(c, "latent", out->latent, 1, 4096, &err);
    return err;
}

/* ---- weights ---- */

/* g v / ||v||, the norm over all axes but the first. */
static int folded(sm_view *v, const char *g_name, const char *v_name, const nn_shape *expected, nn_tensor *out)
{
    const int64_t n = expected->dim[0], inner = nn_elements(expected) / SM_MAX(n, 1);
    const nn_shape g_shape = NN_SHAPE(n, 1, 1);
    nn_tensor g, direction;
    int err = view_official(v, g_name, &g_shape, &g);
    if (err == 0)
        err = view_official(v, v_name, expected, &direction);
    if (err < 0)
        return err;
    float *to = view_floats(v, (size_t)(n * inner));
    if (!to)
        return sm_fail(SM_ENOMEM, "%s: no memory for %s", sm_weights_label(sm_view_weights(v)), v_name);
    for (int64_t i = 0; i < n; i++) {
        const float *from = (const float *)direction.data + i * inner;
        double squares = 0;
        for (int64_t k = 0; k < inner; k++)
            squares += (double)from[k] * (double)from[k];
        const double by = squares > 0 ? (double)((const float *)g.data)[i] / sqrt(squares) : 0;
        for (int64_t k = 0; k < inner; k++)
            to[i * inner + k] = (float)(by * (double)from[k]);
    }
    *out = view_tensor(to, expected);
    return 0;
}

int oobleck_adapt(sm_view *v, const char *name, const nn_shape *expected, nn_tensor *out)
{
    sm_weights *w = sm_view_weights(v);
    char g[SA_NAME], direction[SA_NAME], found[SA_NAME];
    const nn_shape wide = NN_SHAPE(1, expected ? expected->dim[0] : 0, 1);
    if (expected && expected->rank == 3 && sm_text_has_suffix(name, ".weight")) {
        char official_g[SA_NAME], official_v[SA_NAME];
        snprintf(official_g, sizeof official_g, "%s_g", name);
        snprintf(official_v, sizeof official_v, "%s_v", name);
        if (sa_official(w, official_g, g) && sa_official(w, official_v, direction))
            return folded(v, g, direction, expected, out);
    }
    sa_official(w, name, found);
    nn_tensor t;
    if (expected && expected->rank == 1 && sm_weights_count(w) > 0 && sm_weights_get(w, found, NULL, &t) == 0 &&
        t.shape.rank == 3) { /* diffusers keeps a snake's vectors as [1, c, 1] */
        const int err = view_official(v, found, &wide, out);
        out->shape = *expected;
        return err;
    }
    return view_official(v, found, expected, out);
}

/* Ordinary sizes would amplify rounding errors from snake to snake: the goldens' own rule. */
bool oobleck_generated(const char *name, const nn_shape *s, double *offset, double *scale)
{
    (void)s;
    if (!sm_text_has_suffix(name, ".weight_g"))
        return false;
    int block, place;
    const bool resamples =
        (sscanf(name, OOBLECK_PREFIX "encoder.layers.%d.layers.%d.weight_", &block, &place) == 2 && place == 4) ||
        (sscanf(name, OOBLECK_PREFIX "decoder.layers.%d.layers.%d.weight_", &block, &place) == 2 && place == 1);
    *offset = resamples ? 1.5 : 0.6;
    *scale = resamples ? 0.5 : 0.2;
    return true;
}
