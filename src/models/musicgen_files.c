/* MusicGen's rows among the models: whose weights a file holds, and how AudioCraft's and Hugging Face's layouts become ours. Numbers stay as
 * they are: AudioCraft's are f16; Hugging Face's are the same ones in f32, which are kept as f16 where that loses nothing. */
#include <jansson.h>
#include <string.h>

#include "models/musicgen_graph.h"
#include "models/view.h"

#define HF_TABLE "decoder.model.decoder.embed_tokens.0.weight"

static bool is_hf(const sm_weights *w)
{
    return sm_weights_count(w) && sm_weights_has(w, HF_TABLE);
}

/* ---- whose ---- */

static bool shape_of(sm_weights *w, const char *name, int64_t *rows, int64_t *columns)
{
    nn_tensor t;
    if (!sm_weights_has(w, name) || sm_weights_get(w, name, NULL, &t) < 0 || t.shape.rank != 2)
        return false;
    *rows = t.shape.dim[0];
    *columns = t.shape.dim[1];
    return true;
}

/* Width, layers, codebooks and kind of an HF file. */
static bool hf_size(sm_weights *w, sm_musicgen_size *s)
{
    char name[96];
    int64_t rows, width;
    memset(s, 0, sizeof *s);
    if (!shape_of(w, HF_TABLE, &rows, &width))
        return false;
    s->width = (int)SM_MIN(width, 1 << 20);
    for (bool more = true; more && s->layers < 256; s->layers += more) {
        snprintf(name, sizeof name, "decoder.model.decoder.layers.%d.fc1.weight", s->layers);
        more = sm_weights_has(w, name);
    }
    for (bool more = true; more && s->codebooks < SM_MUSICGEN_MAX_BOOKS; s->codebooks += more) {
        snprintf(name, sizeof name, "decoder.model.decoder.embed_tokens.%d.weight", s->codebooks);
        more = sm_weights_has(w, name);
    }
    s->melody = sm_weights_has(w, "audio_enc_to_dec_proj.weight");
    return true;
}

static bool recognise(const sm_model *m, sm_weights *w, const sm_card *card, const char *name_hint, char variant[32])
{
    const sm_musicgen_size *own = m->binding;
    const char *said = sm_weights_meta(w, "samplemind") ? sm_weights_meta(w, "model") : NULL;
    sm_musicgen_size s;
    (void)card;
    (void)name_hint;
    if (!sm_weights_count(w) ||
        !(is_hf(w) || sm_weights_has(w, "emb.0.weight") || sm_weights_has(w, "best_state.emb.0.weight")))
        return false;
    if (said)
        return !strcmp(said, m->name);
    if (is_hf(w) ? !hf_size(w, &s) : sm_musicgen_size_of(w, &s) < 0) {
        sm_clear_error();
        return false;
    }
    snprintf(variant, 32, "%s", is_hf(w) ? "hf" : "ac");
    const bool usual = s.width == 1024 || s.width == 1536 || s.width == 2048;
    /* of no published size: somebody's own, taken as the smallest of its kind */
    return s.codebooks == own->codebooks && s.melody == own->melody &&
           (usual ? s.width == own->width && s.layers == own->layers : own->width == (own->melody ? 1536 : 1024));
}

/* ---- conversion ---- */

/* An f32 number as f16; false: it is none. */
static bool to_half(uint32_t bits, uint16_t *out)
{
    const uint32_t sign = bits >> 16 & 0x8000, mantissa = bits & 0x7fffff;
    const int exponent = (int)(bits >> 23 & 255) - 127;
    if (exponent == -127 && mantissa == 0) {
        *out = (uint16_t)sign;
        return true;
    }
    if (exponent >= -14 && exponent <= 15) {
        *out = (uint16_t)(sign | (uint32_t)(exponent + 15) << 10 | mantissa >> 13);
        return (mantissa & 0x1fff) == 0;
    }
    if (exponent < -24 || exponent > 15)
        return false;
    const int lost = 13 + (-14 - exponent); /* subnormal: the leading one comes down too */
    const uint32_t whole = mantissa | 0x800000;
    *out = (uint16_t)(sign | whole >> lost);
    return (whole & ((1u << lost) - 1)) == 0;
}

static int add(sm_safetensors_writer *out, const char *name, const nn_tensor *t)
{
    const size_t n = (size_t)nn_elements(&t->shape);
    const char *from = t->data;
    uint16_t *halves = t->type == NN_F32 && t->shape.rank == 2 ? sm_alloc(n, sizeof *halves) : NULL;
    bool exact = halves != NULL;
    for (size_t i = 0; i < n && exact; i++) {
        uint32_t bits;
        memcpy(&bits, from + 4 * i, sizeof bits);
        exact = to_half(bits, &halves[i]);
    }
    nn_tensor half = *t;
    half.type = NN_F16;
    half.data = halves;
    const int err = sm_safetensors_writer_add(out, name, exact ? &half : t);
    sm_free(halves);
    return err;
}

static bool wanted(const char *name)
{
    static const char *const heads[] = { "emb.", "linears.", "out_norm.", "transformer.layers." };
    for (size_t i = 0; i < SM_LENGTH(heads); i++)
        if (!strncmp(name, heads[i], strlen(heads[i])))
            return true;
    return !strncmp(name, "condition_provider.", 19) && strstr(name, ".output_proj.");
}

static int keep_ac(sm_weights *w, sm_safetensors_writer *out)
{
    static const char best[] = "best_state.";
    int err = 0;
    for (size_t i = 0; i < sm_weights_count(w) && err == 0; i++) {
        const char *name = sm_weights_name(w, i);
        nn_tensor t;
        if (!strncmp(name, best, sizeof best - 1))
            name += sizeof best - 1;
        if (wanted(name) && (err = sm_weights_at(w, i, &t)) == 0)
            err = add(out, name, &t);
    }
    return err;
}

/* Three matrices one behind the other. */
static int keep_stacked(sm_weights *w, const char *from, const char *to, sm_safetensors_writer *out)
{
    static const char *const parts[] = { "q", "k", "v" };
    char name[160];
    nn_tensor t[3];
    int err = 0;
    for (int i = 0; i < 3 && err == 0; i++) {
        snprintf(name, sizeof name, "%s.%s_proj.weight", from, parts[i]);
        err = sm_weights_get(w, name, i ? &t[0].shape : NULL, &t[i]);
        if (err == 0 && (t[i].type != t[0].type || t[i].shape.rank != 2))
            err = sm_fail(SM_EFORMAT, "%s: \"%s\" does not go with its neighbours", sm_weights_label(w), name);
    }
    if (err < 0)
        return err;
    const size_t one = (size_t)nn_elements(&t[0].shape) * nn_type_size(t[0].type);
    char *all = sm_alloc(3, one);
    for (int i = 0; all && i < 3; i++)
        memcpy(all + (size_t)i * one, t[i].data, one);
    nn_tensor whole = t[0];
    whole.shape.dim[0] *= 3;
    whole.data = all;
    snprintf(name, sizeof name, "%s.in_proj_weight", to);
    err = all ? add(out, name, &whole) : SM_ENOMEM;
    sm_free(all);
    return err;
}

static int keep_as(sm_weights *w, const char *from, const char *to, sm_safetensors_writer *out)
{
    nn_tensor t;
    const int err = sm_weights_get(w, from, NULL, &t);
    return err < 0 ? err : add(out, to, &t);
}

static int keep_hf_layer(sm_weights *w, int i, bool melody, sm_safetensors_writer *out)
{
    static const struct {
        const char *hf, *ours;
        bool cross;
    } rows[] = { { "self_attn_layer_norm.weight", "norm1.weight", false },
                 { "self_attn_layer_norm.bias", "norm1.bias", false },
                 { "encoder_attn_layer_norm.weight", "norm_cross.weight", true },
                 { "encoder_attn_layer_norm.bias", "norm_cross.bias", true },
                 { "final_layer_norm.weight", "norm2.weight", false },
                 { "final_layer_norm.bias", "norm2.bias", false },
                 { "self_attn.out_proj.weight", "self_attn.out_proj.weight", false },
                 { "encoder_attn.out_proj.weight", "cross_attention.out_proj.weight", true },
                 { "fc1.weight", "linear1.weight", false },
                 { "fc2.weight", "linear2.weight", false } };
    char from[128], to[128];
    int err = 0;
    for (size_t k = 0; k < SM_LENGTH(rows) && err == 0; k++) {
        snprintf(from, sizeof from, "decoder.model.decoder.layers.%d.%s", i, rows[k].hf);
        snprintf(to, sizeof to, "transformer.layers.%d.%s", i, rows[k].ours);
        if (!rows[k].cross || !melody)
            err = keep_as(w, from, to, out);
    }
    for (int cross = 0; cross < (melody ? 1 : 2) && err == 0; cross++) {
        snprintf(from, sizeof from, "decoder.model.decoder.layers.%d.%s", i, cross ? "encoder_attn" : "self_attn");
        snprintf(to, sizeof to, "transformer.layers.%d.%s", i, cross ? "cross_attention" : "self_attn");
        err = keep_stacked(w, from, to, out);
    }
    return err;
}

static int keep_hf(sm_weights *w, sm_safetensors_writer *out)
{
    static const char *const rows[][2] = {
        { "decoder.model.decoder.layer_norm.weight", "out_norm.weight" },
        { "decoder.model.decoder.layer_norm.bias", "out_norm.bias" },
        { "enc_to_dec_proj.weight", "condition_provider.conditioners.description.output_proj.weight" },
        { "enc_to_dec_proj.bias", "condition_provider.conditioners.description.output_proj.bias" },
        { "audio_enc_to_dec_proj.weight", "condition_provider.conditioners.self_wav.output_proj.weight" },
        { "audio_enc_to_dec_proj.bias", "condition_provider.conditioners.self_wav.output_proj.bias" },
    };
    sm_musicgen_size s;
    char from[128], to[64];
    int err = hf_size(w, &s) ? 0 : sm_fail(SM_EFORMAT, "%s: no MusicGen", sm_weights_label(w));
    for (size_t i = 0; i < SM_LENGTH(rows) - (s.melody ? 0 : 2) && err == 0; i++)
        err = keep_as(w, rows[i][0], rows[i][1], out);
    for (int k = 0; k < s.codebooks && err == 0; k++) {
        snprintf(from, sizeof from, "decoder.model.decoder.embed_tokens.%d.weight", k);
        snprintf(to, sizeof to, "emb.%d.weight", k);
        if ((err = keep_as(w, from, to, out)) < 0)
            break;
        snprintf(from, sizeof from, "decoder.lm_heads.%d.weight", k);
        snprintf(to, sizeof to, "linears.%d.weight", k);
        err = keep_as(w, from, to, out);
    }
    for (int i = 0; i < s.layers && err == 0; i++)
        err = keep_hf_layer(w, i, s.melody, out);
    return err;
}

/* What Hugging Face's config.json says of the decoder: heads, and that it is one that is computed here. Without the file, or with another
 * model's, everything follows from the shapes. */
static int read_hf_config(sm_weights *w, int width, int *heads)
{
    enum { LIMIT = 1 << 20 };
    sm_buffer text = { 0 };
    char *path = sm_weights_beside(w, "config.json");
    json_t *config = path && sm_file_read(path, LIMIT, &text) == 0 ? json_loadb(text.data, text.length, 0, NULL) : NULL;
    const json_t *d = json_object_get(config, "decoder");
    const char *activation = json_string_value(json_object_get(d, "activation_function"));
    const int64_t said = json_integer_value(json_object_get(d, "num_attention_heads"));
    int err = path ? 0 : SM_ENOMEM;
    if (err == 0 && activation && strcmp(activation, "gelu") != 0)
        err =
            sm_fail(SM_EUNSUPPORTED, "%s: decoder.activation_function is %s, only gelu is supported", path, activation);
    if (err == 0 && json_is_true(json_object_get(d, "scale_embedding")))
        err = sm_fail(SM_EUNSUPPORTED, "%s: decoder.scale_embedding is true, only false is supported", path);
    if (err == 0 && said > 0 && (said > width || width % said))
        err = sm_fail(SM_EFORMAT, "%s: %lld heads do not share %d channels", path, (long long)said, width);
    *heads = err == 0 && said > 0 ? (int)said : 0;
    json_decref(config);
    sm_buffer_free(&text);
    sm_free(path);
    if (err == 0)
        sm_clear_error();
    return err;
}

/* Heads and the length of a window are in no tensor's shape: a converted file says them. */
static int note_size(sm_weights *w, int heads, double window_s, sm_safetensors_writer *out)
{
    char text[32];
    int err = 0;
    if (sm_weights_meta(w, "samplemind")) /* what a file of ours says stays with it anyway */
        return 0;
    snprintf(text, sizeof text, "%d", heads);
    if (heads > 0)
        err = sm_safetensors_writer_meta(out, "heads", text);
    snprintf(text, sizeof text, "%.0f", window_s);
    return err < 0 ? err : sm_safetensors_writer_meta(out, "window_s", text);
}

static int keep(const sm_model *m, sm_weights *w, sm_safetensors_writer *out)
{
    sm_musicgen_size s;
    int err, heads = 0;
    (void)m;
    if (is_hf(w)) {
        if (!hf_size(w, &s))
            return sm_fail(SM_EFORMAT, "%s: \"%s\" is no table of codes", sm_weights_label(w), HF_TABLE);
        err = read_hf_config(w, s.width, &heads);
        if (err == 0)
            err = note_size(w, heads, 30, out);
        return err < 0 ? err : keep_hf(w, out);
    }
    err = sm_musicgen_size_of(w, &s); /* variants that would run wrong are refused here */
    if (err == 0)
        err = note_size(w, s.heads, s.window_s, out);
    return err < 0 ? err : keep_ac(w, out);
}

/* ---- the bare network: one step of two rows, in the middle of a window ---- */

static const char *const keys[] = { "rows", "tokens", "text", "room", "layers", NULL };

static int build(nn_graph *g, const sm_model *m, sm_view *v, const sm_model_config *c)
{
    sm_musicgen_size size = *(const sm_musicgen_size *)m->binding;
    sm_weights *w = sm_view_weights(v);
    int err = 0;
    if (sm_weights_count(w) && (err = sm_musicgen_size_of(w, &size)) < 0)
        return err;
    size.layers = (int)sm_config_int(c, "layers", size.layers, 1, size.layers, &err);
    const musicgen_shape shape = { .rows = (int)sm_config_int(c, "rows", 2, 1, 64, &err),
                                   .attending = size.melody ? 0 : 1,
                                   .tokens = (int)sm_config_int(c, "tokens", 1, 1, 64, &err),
                                   .text = (int)sm_config_int(c, "text", 12, 1, 512, &err),
                                   .room = (int)sm_config_int(c, "room", 750, 64, 4096, &err),
                                   .half = true,
                                   .heads = true };
    const nn_source source = sm_view_source(v);
    return err < 0 ? err : musicgen_graph(g, &source, &size, &shape);
}

/* The view looks up what is asked for by its own name; the thirds of stacked projections are cut here. */
static int adapt(sm_view *v, const char *name, const nn_shape *expected, nn_tensor *out)
{
    sm_stored s = { .weights = sm_view_weights(v) };
    if (sm_weights_count(s.weights) && sm_weights_has(s.weights, "best_state.emb.0.weight"))
        snprintf(s.prefix, sizeof s.prefix, "best_state.");
    return musicgen_tensor(&s, name, expected, out);
}

static bool generated(const char *name, const nn_shape *shape, double *offset, double *scale)
{
    (void)shape;
    *offset = 0;
    *scale = 1.5;
    return !strncmp(name, "emb.", 4);
}

#define LICENCE "CC BY-NC 4.0 (Meta): not for commercial use"
#define MUSICGEN(ID, NAME, WIDTH, HEADS, LAYERS, BOOKS, MELODY, TEXT)                                                  \
    static const sm_musicgen_size size_##ID = { .width = WIDTH,                                                        \
                                                .heads = HEADS,                                                        \
                                                .hidden = 4 * (WIDTH),                                                 \
                                                .layers = LAYERS,                                                      \
                                                .codebooks = BOOKS,                                                    \
                                                .card = 2048,                                                          \
                                                .text_width = 768,                                                     \
                                                .melody = MELODY,                                                      \
                                                .delays = { 0, 1, 2, 3 },                                              \
                                                .chroma_frames = 235,                                                  \
                                                .window_s = 30 };                                                      \
    static const sm_model_source_file source_##ID = { .url = "https://huggingface.co/facebook/" NAME                   \
                                                             "/resolve/main/state_dict.bin" };                         \
    const sm_model sm_model_##ID = { .name = NAME,                                                                     \
                                     .task = SM_TASK_SOUND,                                                            \
                                     .field = #ID,                                                                     \
                                     .summary = TEXT,                                                                  \
                                     .licence = LICENCE,                                                               \
                                     .page = "docs/models/musicgen.md",                                                \
                                     .needs = { .rate_hz = 32000, .bands = 1, .patch = 640, .hop = 640, .batch = 1 },  \
                                     .sources = &source_##ID,                                                          \
                                     .n_sources = 1,                                                                   \
                                     .bench = { 1, 0.02, NULL },                                                       \
                                     .config_keys = keys,                                                              \
                                     .activation = "linear",                                                           \
                                     .binding = &size_##ID,                                                            \
                                     .recognise = recognise,                                                           \
                                     .adapt = adapt,                                                                   \
                                     .generated = generated,                                                           \
                                     .write = keep,                                                                    \
                                     .build = build }

MUSICGEN(musicgen_small, "musicgen-small", 1024, 16, 24, 4, false, "music from words, mono (a step)");
MUSICGEN(musicgen_medium, "musicgen-medium", 1536, 24, 48, 4, false, "the same, four times the size");
MUSICGEN(musicgen_large, "musicgen-large", 2048, 32, 48, 4, false, "the same, eight times the size");
MUSICGEN(musicgen_melody, "musicgen-melody", 1536, 24, 48, 4, true, "music from words and a melody");
MUSICGEN(musicgen_melody_large, "musicgen-melody-large", 2048, 32, 48, 4, true, "the same, larger");
MUSICGEN(musicgen_stereo_small, "musicgen-stereo-small", 1024, 16, 24, 8, false, "music from words, stereo");
MUSICGEN(musicgen_stereo_medium, "musicgen-stereo-medium", 1536, 24, 48, 8, false, "the same, four times the size");
MUSICGEN(musicgen_stereo_large, "musicgen-stereo-large", 2048, 32, 48, 8, false, "the same, eight times the size");
MUSICGEN(musicgen_stereo_melody, "musicgen-stereo-melody", 1536, 24, 48, 8, true, "words and a melody, stereo");
MUSICGEN(musicgen_stereo_melody_large, "musicgen-stereo-melody-large", 2048, 32, 48, 8, true, "the same, larger");
