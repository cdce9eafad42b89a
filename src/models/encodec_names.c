/* EnCodec's tensors in the containers of AudioCraft and of HF transformers, and what their shapes say. */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "models/encodec_parts.h"

const sm_encodec_size sm_encodec_32khz = {
    .filters = 64, .width = 128, .books = 4, .bins = 2048, .stages = 4, .ratio = { 8, 5, 4, 4 }, .reflect = true
};

enum { NAME = 256 };
typedef enum { STYLE_OURS, STYLE_AUDIOCRAFT, STYLE_HF } style;

static bool made_up(const sm_weights *w)
{
    return !strcmp(sm_weights_format(w), "generated");
}

static bool has(const sm_weights *w, const char *prefix, const char *name)
{
    char full[NAME + 64];
    snprintf(full, sizeof full, "%s%s", prefix, name);
    return sm_weights_has(w, full);
}

static style style_of(const sm_weights *w, const char *prefix)
{
    if (made_up(w) || has(w, prefix, "encoder.model.0.conv.conv.bias"))
        return STYLE_AUDIOCRAFT;
    return has(w, prefix, "encoder.0.bias") ? STYLE_OURS : STYLE_HF;
}

bool encodec_prefix(sm_weights *w, char out[96])
{
    static const char *const ends[] = { "encoder.model.0.conv.conv.bias", "encoder.layers.0.conv.bias",
                                        "encoder.0.bias" };
    out[0] = 0;
    if (made_up(w))
        return true;
    for (size_t k = 0; k < SM_LENGTH(ends); k++)
        for (size_t i = 0; i < sm_weights_count(w); i++) {
            const char *name = sm_weights_name(w, i);
            const size_t n = strlen(name), e = strlen(ends[k]);
            if (n < e || n - e >= 96 || strcmp(name + n - e, ends[k]) || (n > e && name[n - e - 1] != '.'))
                continue;
            snprintf(out, 96, "%.*s", (int)(n - e), name);
            if (k < 2 || has(w, out, "codebook.0"))
                return true;
        }
    return false;
}

/* "decoder.3.up" -> "decoder.model.3.convtr.convtr", "decoder.layers.3.conv"; "encoder.1.block.3" and "encoder.13.lstm" likewise. */
static void official_layer(style s, const char *prefix, const char *layer, char out[NAME])
{
    const char *dot = strchr(layer, '.'), *rest;
    char *end = NULL;
    const long number = strtol(dot + 1, &end, 10);
    rest = *end ? end + 1 : "";
    const bool block = !strncmp(rest, "block.", 6), lstm = !strcmp(rest, "lstm"), up = !strcmp(rest, "up");
    const char *last = lstm ? "" : s == STYLE_HF ? ".conv" : up ? ".convtr.convtr" : ".conv.conv";
    snprintf(out, NAME, "%s%.*s.%s.%ld%s%s%s", prefix, (int)(dot - layer), layer, s == STYLE_HF ? "layers" : "model",
             number, block || lstm ? "." : "", block || lstm ? rest : "", last);
}

static int get(sm_weights *w, const char *layer, const char *part, const nn_shape *expected, nn_tensor *out)
{
    char name[NAME + 64];
    snprintf(name, sizeof name, "%s.%s", layer, part);
    return sm_weights_get_f32(w, name, expected, out);
}

/* g v / ||v||, the norm over all axes but the first. */
static int fold(sm_weights *w, const char *layer, const char *g_part, const char *v_part, const nn_shape *expected,
                encodec_room room, void *user, nn_tensor *out)
{
    const int64_t rows = expected->dim[0], inner = nn_elements(expected) / SM_MAX(rows, 1);
    nn_tensor g, v;
    int err = get(w, layer, g_part, &NN_SHAPE(rows, 1, 1), &g);
    if (err == 0)
        err = get(w, layer, v_part, expected, &v);
    if (err < 0)
        return err;
    float *to = room(user, (size_t)(rows * inner));
    if (!to)
        return sm_fail(SM_ENOMEM, "%s: no memory for %s", sm_weights_label(w), layer);
    for (int64_t i = 0; i < rows; i++) {
        const float *from = (const float *)v.data + i * inner;
        double squares = 0;
        for (int64_t k = 0; k < inner; k++)
            squares += (double)from[k] * (double)from[k];
        const double by = squares > 0 ? (double)((const float *)g.data)[i] / sqrt(squares) : 0;
        for (int64_t k = 0; k < inner; k++)
            to[i * inner + k] = (float)(by * (double)from[k]);
    }
    *out = (nn_tensor){ .type = NN_F32, .shape = *expected, .data = to, .scale_axis = -1 };
    return 0;
}

static int add_biases(sm_weights *w, const char *layer, int k, const nn_shape *expected, encodec_room room, void *user,
                      nn_tensor *out)
{
    char part[32];
    nn_tensor a, b;
    snprintf(part, sizeof part, "bias_ih_l%d", k);
    int err = get(w, layer, part, expected, &a);
    snprintf(part, sizeof part, "bias_hh_l%d", k);
    if (err == 0)
        err = get(w, layer, part, expected, &b);
    if (err < 0)
        return err;
    float *to = room(user, (size_t)expected->dim[0]);
    if (!to)
        return sm_fail(SM_ENOMEM, "%s: no memory for %s", sm_weights_label(w), layer);
    for (int64_t i = 0; i < expected->dim[0]; i++)
        to[i] = ((const float *)a.data)[i] + ((const float *)b.data)[i];
    *out = (nn_tensor){ .type = NN_F32, .shape = *expected, .data = to, .scale_axis = -1 };
    return 0;
}

/* The pair in which a convolution's weight norm is kept; false: its weight is whole. */
static bool norm_parts(const sm_weights *w, const char *layer, const char **g, const char **v)
{
    *g = "weight_g";
    *v = "weight_v";
    if (made_up(w) || has(w, layer, ".weight_v"))
        return true;
    *g = "parametrizations.weight.original0";
    *v = "parametrizations.weight.original1";
    return has(w, layer, ".parametrizations.weight.original1");
}

int encodec_tensor(sm_weights *w, const char *prefix, const char *name, const nn_shape *expected, encodec_room room,
                   void *user, nn_tensor *out)
{
    const style s = style_of(w, prefix);
    char layer[NAME], ours[96], full[NAME];
    const char *dot = strrchr(name, '.'), *g, *v;
    if (!dot || !strchr(name, '.') || dot - name >= (ptrdiff_t)sizeof ours)
        return sm_fail(SM_ENOTFOUND, "%s: no tensor \"%s\"", sm_weights_label(w), name);
    if (s == STYLE_OURS) {
        snprintf(full, sizeof full, "%s%s", prefix, name);
        return sm_weights_get_f32(w, full, expected, out);
    }
    if (!strncmp(name, "codebook.", 9)) {
        snprintf(full, sizeof full,
                 s == STYLE_HF ? "%squantizer.layers.%s.codebook.embed" : "%squantizer.vq.layers.%s._codebook.embed",
                 prefix, name + 9);
        return sm_weights_get_f32(w, full, expected, out);
    }
    snprintf(ours, sizeof ours, "%.*s", (int)(dot - name), name);
    official_layer(s, prefix, ours, layer);
    if (!strncmp(dot, ".bias_l", 7))
        return add_biases(w, layer, (int)strtol(dot + 7, NULL, 10), expected, room, user, out);
    if (!strcmp(dot, ".weight") && norm_parts(w, layer, &g, &v))
        return fold(w, layer, g, v, expected, room, user, out);
    return get(w, layer, dot + 1, expected, out);
}

/* ---- sizes ---- */

/* Shape of a convolution's weight, whatever it is kept as; rank 0: there is none. */
static nn_shape weight_shape(sm_weights *w, const char *prefix, const char *layer)
{
    char official[NAME];
    const char *g, *v;
    nn_tensor t = { .shape.rank = 0 };
    const style s = style_of(w, prefix);
    if (s == STYLE_OURS)
        snprintf(official, sizeof official, "%s%s", prefix, layer);
    else
        official_layer(s, prefix, layer, official);
    const bool two = norm_parts(w, official, &g, &v);
    char name[NAME + 64];
    snprintf(name, sizeof name, "%s.%s", official, two ? v : "weight");
    if (!sm_weights_has(w, name) || sm_weights_get(w, name, NULL, &t) < 0 || t.shape.rank != 3)
        return (nn_shape){ 0 };
    return t.shape;
}

/* {"pad_mode": "reflect"}, or the same below "audio_encoder": 1; another mode: 0; nothing said: -1. */
static int json_pad_mode(const char *text, size_t length)
{
    json_t *j = json_loadb(text, length, 0, NULL);
    const json_t *part = json_object_get(j, "audio_encoder");
    const char *mode = json_string_value(json_object_get(part ? part : j, "pad_mode"));
    const int is = mode ? !strcmp(mode, "reflect") : -1;
    json_decref(j);
    return is;
}

/* Hugging Face's config.json beside the weights. */
static bool hf_reflects(const sm_weights *w)
{
    enum { LIMIT = 1 << 20 };
    sm_buffer text = { 0 };
    char *path = sm_weights_beside(w, "config.json");
    const int is = path && sm_file_read(path, LIMIT, &text) == 0 ? json_pad_mode(text.data, text.length) : -1;
    sm_buffer_free(&text);
    sm_free(path);
    sm_clear_error();
    return is != 0;
}

/* A converted file says it; AudioCraft's configuration is YAML within the pickle: "seanet:" ... "pad_mode: reflect". */
static bool reflects(const sm_weights *w, const char *prefix)
{
    const char *kept = sm_weights_meta(w, "kwargs");
    const int said = kept ? json_pad_mode(kept, strlen(kept)) : -1;
    if (said >= 0)
        return said;
    if (style_of(w, prefix) != STYLE_AUDIOCRAFT)
        return style_of(w, prefix) == STYLE_OURS || hf_reflects(w);
    for (size_t i = 0; i < sm_weights_meta_count(w); i++) {
        const char *text = sm_weights_meta(w, sm_weights_meta_key(w, i));
        const char *net = text ? strstr(text, "seanet:") : NULL, *mode = net ? strstr(net, "pad_mode:") : NULL;
        if (mode)
            return !strncmp(mode + 9 + strspn(mode + 9, " "), "reflect", 7);
    }
    return false;
}

char *encodec_keep(sm_weights *w)
{
    sm_encodec_size s;
    if (sm_encodec_size_of(w, NULL, &s) < 0)
        return NULL;
    return sm_strdup(s.reflect ? "{\"pad_mode\":\"reflect\"}" : "{\"pad_mode\":\"constant\"}");
}

static int unsupported(const sm_weights *w)
{
    return sm_fail(SM_EUNSUPPORTED,
                   "%s: an EnCodec, but not of MusicGen's kind (mono, 32 kHz, weight norm, no shortcuts)",
                   sm_weights_label(w));
}

int sm_encodec_size_of(sm_weights *w, const char *prefix, sm_encodec_size *out)
{
    char found[96], layer[64];
    sm_encodec_size s = { 0 };
    nn_tensor t;
    *out = sm_encodec_32khz;
    if (made_up(w))
        return 0;
    if (!prefix && !encodec_prefix(w, found))
        return sm_fail(SM_ENOTFOUND, "%s: there is no EnCodec in it", sm_weights_label(w));
    prefix = prefix ? prefix : found;
    const nn_shape first = weight_shape(w, prefix, "encoder.0");
    if (first.rank != 3 || first.dim[1] != 1 || first.dim[2] != 7 || first.dim[0] < 1 || first.dim[0] > 1024)
        return unsupported(w);
    s.filters = (int)first.dim[0];
    for (; s.stages < SM_ENCODEC_MAX_STAGES; s.stages++) {
        snprintf(layer, sizeof layer, "encoder.%d.block.1", 3 * s.stages + 1);
        if (weight_shape(w, prefix, layer).rank != 3)
            break;
        snprintf(layer, sizeof layer, "encoder.%d", 3 * s.stages + 3);
        const nn_shape down = weight_shape(w, prefix, layer);
        if (down.rank != 3 || down.dim[2] < 4 || down.dim[2] > 64 || down.dim[2] % 2 ||
            down.dim[0] != (int64_t)s.filters << (s.stages + 1))
            return unsupported(w);
        for (int i = s.stages; i > 0; i--)
            s.ratio[i] = s.ratio[i - 1];
        s.ratio[0] = (int)down.dim[2] / 2;
    }
    snprintf(layer, sizeof layer, "encoder.%d", 3 * s.stages + 3);
    const nn_shape last = weight_shape(w, prefix, layer);
    if (s.stages == 0 || last.rank != 3 || last.dim[0] < 1 || last.dim[0] > 4096 ||
        has(w, prefix, "encoder.layers.1.shortcut.conv.bias") ||
        has(w, prefix, "encoder.model.1.shortcut.conv.conv.bias"))
        return unsupported(w);
    s.width = (int)last.dim[0];
    for (; s.books < SM_ENCODEC_MAX_BOOKS; s.books++) {
        snprintf(layer, sizeof layer, "codebook.%d", s.books);
        if (encodec_tensor(w, prefix, layer, NULL, NULL, NULL, &t) < 0 || t.shape.rank != 2 ||
            t.shape.dim[1] != s.width)
            break;
        s.bins = (int)SM_MIN(t.shape.dim[0], 1 << 20);
    }
    if (s.books == 0)
        return unsupported(w);
    s.reflect = reflects(w, prefix);
    *out = s;
    return 0;
}
