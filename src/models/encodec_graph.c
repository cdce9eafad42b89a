/* EnCodec's network (SEANet: convolutions that narrow and widen, residual blocks between them, an LSTM at frame rate) in the parts that
 * encodec.c runs, and whole for comparing and timing.
 *
 * ends=0 leaves out what is only done at a sound's two ends.
 * part=decoder  latents [1, 128, frames] -> audio [1, 1, 640 frames];  part=encoder  audio -> latents */
#include <string.h>

#include "models/encodec_parts.h"
#include "models/view.h"

enum { EDGE = 7, UNIT = 3 }; /* kernels of the outer convolutions and of residual blocks */

int encodec_wide(const sm_encodec_size *s)
{
    return s->filters << s->stages;
}

int encodec_hop(const sm_encodec_size *s)
{
    int hop = 1;
    for (int i = 0; i < s->stages; i++)
        hop *= s->ratio[i];
    return hop;
}

static int last_layer(const sm_encodec_size *s)
{
    return 3 * s->stages + 3;
}

/* Of a strided convolution with kernel 2 s: s samples in all, the larger half in front. */
static int left_of(int stride)
{
    return stride - stride / 2;
}

static int floor_div(int a, int b)
{
    return (a >= 0 ? a : a - b + 1) / b;
}

/* Backwards from the sound: how far the first sample of a frame looks to the left, the last one to the right. */
int encodec_decoder_reach(const sm_encodec_size *s)
{
    int left = EDGE / 2, right = EDGE / 2;
    for (int i = s->stages - 1; i >= 0; i--) {
        const int r = s->ratio[i], cut = left_of(r);
        left = 1 - floor_div(cut - (left + UNIT / 2), r);
        right = (r - 1 + right + UNIT / 2 + cut) / r;
    }
    return SM_MAX(left, right);
}

int encodec_encoder_reach(const sm_encodec_size *s)
{
    int left = 0, right = 0;
    for (int i = 0; i < s->stages; i++) {
        const int r = s->ratio[i];
        left = left * r + left_of(r) + UNIT / 2;
        right = right * r + r / 2 + UNIT / 2;
    }
    const int hop = encodec_hop(s);
    return (SM_MAX(left, right) + EDGE / 2 + hop - 1) / hop;
}

/* ---- layers ---- */

static nn_id tap(const encodec_net *n, bool decoder, int layer, nn_id x)
{
    return nn_tap(n->g, nn_name(n->g, "%s.model.%d", decoder ? "decoder" : "encoder", layer), x);
}

static nn_id elu(const encodec_net *n, nn_id x)
{
    return nn_unary_with(n->g, NN_ELU, x, 1, 0);
}

/* Mirrored ends. A sound shorter than what is mirrored is continued by zeros for that, and cut by as many again: EnCodec's pad1d. */
static nn_id mirrored(const encodec_net *n, nn_id x, int left, int right)
{
    const int64_t length = nn_shape_of(n->g, x).dim[2], most = SM_MAX(left, right);
    const int64_t more = length <= most ? most - length + 1 : 0;
    if (more > 0)
        x = nn_pad(n->g, x, NN_PAD_ZERO, 2, 0, more);
    x = nn_pad(n->g, x, NN_PAD_REFLECT, 2, left, right);
    return more > 0 ? nn_slice(n->g, x, 2, 0, length + left + right, 1) : x;
}

static nn_id conv(const encodec_net *n, const char *layer, nn_id x, int64_t out, int kernel, int stride,
                  encodec_edge edge)
{
    const nn_shape in = nn_shape_of(n->g, x);
    const int around = kernel - stride, right = around / 2, left = around - right;
    const int extra = (int)((stride - in.dim[2] % stride) % stride); /* the last window is made full */
    const bool mirror = edge == ENCODEC_ENDS && n->s->reflect && around + extra > 0;
    nn_conv_attrs a = { .stride = { stride } };
    if (edge != ENCODEC_VALID && !mirror) {
        a.pad_before[0] = left;
        a.pad_after[0] = right + extra;
    }
    nn_scope(n->g, "%s", layer);
    const nn_id w = nn_weight(n->g, n->w, nn_name(n->g, "%s.weight", layer), NN_SHAPE(out, in.dim[1], kernel));
    const nn_id b = nn_weight(n->g, n->w, nn_name(n->g, "%s.bias", layer), NN_SHAPE(out));
    return nn_conv(n->g, mirror ? mirrored(n, x, left, right + extra) : x, w, b, &a);
}

static nn_id unit(const encodec_net *n, const char *layer, nn_id x, encodec_edge edge)
{
    const int64_t c = nn_shape_of(n->g, x).dim[1];
    nn_id y = conv(n, nn_name(n->g, "%s.block.1", layer), elu(n, x), c / 2, UNIT, 1, edge);
    y = conv(n, nn_name(n->g, "%s.block.3", layer), elu(n, y), c, 1, 1, edge);
    return nn_binary(n->g, NN_ADD, y, x);
}

static nn_id widen(const encodec_net *n, const char *layer, nn_id x, int64_t out, int ratio)
{
    const int64_t in = nn_shape_of(n->g, x).dim[1];
    const nn_conv_transpose_attrs a = { .stride = { ratio },
                                        .pad_before = { left_of(ratio) },
                                        .pad_after = { ratio / 2 } };
    nn_scope(n->g, "%s", layer);
    const nn_id w = nn_weight(n->g, n->w, nn_name(n->g, "%s.up.weight", layer), NN_SHAPE(in, out, 2 * ratio));
    const nn_id b = nn_weight(n->g, n->w, nn_name(n->g, "%s.up.bias", layer), NN_SHAPE(out));
    return nn_conv_transpose(n->g, x, w, b, &a);
}

/* ---- parts ---- */

nn_id encodec_first(const encodec_net *n, nn_id x, encodec_edge edge)
{
    return tap(n, true, 0, conv(n, "decoder.0", x, encodec_wide(n->s), EDGE, 1, edge));
}

nn_id encodec_last(const encodec_net *n, nn_id x, encodec_edge edge)
{
    const int last = last_layer(n->s);
    x = tap(n, false, last - 1, elu(n, x));
    return tap(n, false, last, conv(n, nn_name(n->g, "encoder.%d", last), x, n->s->width, EDGE, 1, edge));
}

nn_id encodec_memory(const encodec_net *n, bool decoder, nn_id x, bool keeps)
{
    const int64_t h = encodec_wide(n->s);
    const char *layer =
        nn_name(n->g, decoder ? "decoder.%d.lstm" : "encoder.%d.lstm", decoder ? 1 : last_layer(n->s) - 2);
    nn_id y = x;
    nn_scope(n->g, "%s", layer);
    for (int k = 0; k < 2; k++) {
        const nn_id w_ih = nn_weight(n->g, n->w, nn_name(n->g, "%s.weight_ih_l%d", layer, k), NN_SHAPE(4 * h, h)),
                    w_hh = nn_weight(n->g, n->w, nn_name(n->g, "%s.weight_hh_l%d", layer, k), NN_SHAPE(4 * h, h)),
                    b = nn_weight(n->g, n->w, nn_name(n->g, "%s.bias_l%d", layer, k), NN_SHAPE(4 * h));
        const nn_id hidden = keeps ? nn_state(n->g, nn_name(n->g, "%s.h%d", layer, k), NN_SHAPE(1, h)) : NN_NONE,
                    cell = keeps ? nn_state(n->g, nn_name(n->g, "%s.c%d", layer, k), NN_SHAPE(1, h)) : NN_NONE;
        y = nn_lstm(n->g, y, w_ih, w_hh, b, hidden, cell);
    }
    return nn_binary(n->g, NN_ADD, y, x);
}

nn_id encodec_up(const encodec_net *n, nn_id x, encodec_edge edge)
{
    const sm_encodec_size *s = n->s;
    for (int i = 0; i < s->stages; i++) {
        const int at = 3 * i + 2;
        x = tap(n, true, at, elu(n, x));
        x = widen(n, nn_name(n->g, "decoder.%d", at + 1), x, s->filters << (s->stages - 1 - i), s->ratio[i]);
        x = unit(n, nn_name(n->g, "decoder.%d", at + 2), tap(n, true, at + 1, x), edge);
        tap(n, true, at + 2, x);
    }
    const int last = last_layer(s);
    x = tap(n, true, last - 1, elu(n, x));
    return tap(n, true, last, conv(n, nn_name(n->g, "decoder.%d", last), x, 1, EDGE, 1, edge));
}

nn_id encodec_down(const encodec_net *n, nn_id x, encodec_edge edge)
{
    const sm_encodec_size *s = n->s;
    x = tap(n, false, 0, conv(n, "encoder.0", x, s->filters, EDGE, 1, edge));
    for (int i = 0; i < s->stages; i++) {
        const int at = 3 * i + 1, ratio = s->ratio[s->stages - 1 - i];
        x = tap(n, false, at, unit(n, nn_name(n->g, "encoder.%d", at), x, edge));
        x = tap(n, false, at + 1, elu(n, x));
        x = conv(n, nn_name(n->g, "encoder.%d", at + 2), x, s->filters << (i + 1), 2 * ratio, ratio, edge);
        tap(n, false, at + 2, x);
    }
    return x;
}

/* ---- whole ---- */

static const int swap[3] = { 0, 2, 1 };

static nn_id with_memory(const encodec_net *n, bool decoder, nn_id x)
{
    x = encodec_memory(n, decoder, nn_permute(n->g, x, swap), false);
    return tap(n, decoder, decoder ? 1 : last_layer(n->s) - 2, nn_permute(n->g, x, swap));
}

static int build(nn_graph *g, const sm_model *m, sm_view *v, const sm_model_config *c)
{
    const nn_source w = sm_view_source(v);
    sm_encodec_size s;
    char part[64];
    int err = sm_encodec_size_of(sm_view_weights(v), NULL, &s);
    const int64_t frames = sm_config_int(c, "frames", 50, 1, 1 << 20, &err);
    const encodec_edge edge = sm_config_int(c, "ends", 1, 0, 1, &err) ? ENCODEC_ENDS : ENCODEC_ZERO;
    const encodec_net n = { g, &w, &s };
    (void)m;
    if (err < 0)
        return nn_graph_fail(g, err, "%s", sm_last_error());
    sm_config_text(c, "part", "all", part);
    const bool all = !strcmp(part, "all");
    if (!all && strcmp(part, "decoder") && strcmp(part, "encoder"))
        return nn_graph_fail(g, SM_EUSAGE, "config part=%s: decoder, encoder or all is expected", part);
    if (all || !strcmp(part, "decoder")) {
        const nn_id x = nn_tap(g, "decoder.latent", nn_input(g, "latents", NN_SHAPE(1, s.width, frames)));
        nn_output(g, "audio", encodec_up(&n, with_memory(&n, true, encodec_first(&n, x, edge)), edge));
    }
    if (all || !strcmp(part, "encoder")) {
        const nn_id x = nn_input(g, "audio", NN_SHAPE(1, 1, frames * encodec_hop(&s)));
        nn_output(g, "latent", encodec_last(&n, with_memory(&n, false, encodec_down(&n, x, edge)), edge));
    }
    for (int q = 0; q < s.books && all; q++) /* so that a converted file holds them */
        nn_output(g, nn_name(g, "codebook.%d", q),
                  nn_weight(g, &w, nn_name(g, "codebook.%d", q), NN_SHAPE(s.bins, s.width)));
    return nn_graph_error(g);
}

static float *room_of_view(void *user, size_t n)
{
    return view_floats(user, n);
}

static int adapt(sm_view *v, const char *name, const nn_shape *expected, nn_tensor *out)
{
    char prefix[96];
    if (!encodec_prefix(sm_view_weights(v), prefix))
        return sm_fail(SM_ENOTFOUND, "%s: there is no EnCodec in it", sm_weights_label(sm_view_weights(v)));
    return encodec_tensor(sm_view_weights(v), prefix, name, expected, room_of_view, v, out);
}

/* Files of the codec alone, and those of MusicGen, which stand before it in the list of models: their codec can be taken out. */
static bool recognise(const sm_model *m, sm_weights *w, const sm_card *card, const char *hint, char variant[32])
{
    sm_encodec_size s;
    char prefix[96];
    (void)m, (void)card, (void)hint, (void)variant;
    if (!encodec_prefix(w, prefix) ||
        (*prefix && strcmp(prefix, "best_state.") != 0 && strcmp(prefix, "audio_encoder.") != 0))
        return false;
    const bool is = sm_encodec_size_of(w, prefix, &s) == 0;
    sm_clear_error();
    return is;
}

static const sm_model_source_file source = {
    .url = "https://huggingface.co/facebook/encodec_32khz/resolve/main/model.safetensors"
};
static const char *const keys[] = { "part", "frames", "ends", NULL };

const sm_model sm_model_encodec = {
    .name = "encodec",
    .official = "encodec_32khz",
    .task = SM_TASK_SOUND,
    .field = "encodec",
    .summary = "MusicGen's codec: 32 kHz to 4 codes 50 times a second, and back",
    .licence = "CC BY-NC 4.0 (Meta)",
    .page = "docs/models/encodec.md",
    .needs = { .rate_hz = 32000, .bands = 1, .patch = 640, .hop = 640, .batch = 1 },
    .sources = &source,
    .n_sources = 1,
    .bench = { 1, 3, "part=decoder,frames=150,ends=0" },
    .config_keys = keys,
    .activation = "linear",
    .recognise = recognise,
    .adapt = adapt,
    .keep = encodec_keep,
    .build = build,
};
