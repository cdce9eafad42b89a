/* Which MusicGen a file holds: from its tensors' shapes, and from what AudioCraft (YAML) or we (metadata) wrote beside them. */
#include <stdlib.h>
#include <string.h>

#include "models/musicgen.h"
#include "models/musicgen_graph.h"

enum { HEAD = 64, MOST_LAYERS = 256 };

/* ---- the little of YAML that is needed: "section:" at the margin, "  key: value" below it ---- */

static bool yaml_value(const char *yaml, const char *section, const char *key, char out[64])
{
    const size_t ns = strlen(section), nk = strlen(key);
    bool inside = false;
    for (const char *line = yaml; line && *line; line = strchr(line, '\n'), line = line ? line + 1 : NULL) {
        const size_t indent = strspn(line, " ");
        if (indent == 0)
            inside = !strncmp(line, section, ns) && line[ns] == ':';
        else if (inside && indent == 2 && !strncmp(line + 2, key, nk) && line[2 + nk] == ':') {
            const char *v = line + 3 + nk;
            v += strspn(v, " ");
            snprintf(out, 64, "%.*s", (int)strcspn(v, "\r\n"), v);
            return true;
        }
    }
    return false;
}

/* Variants of the transformer that this code does not compute: better refused than run wrong. */
static int check_yaml(const char *yaml, const char *label)
{
    static const struct {
        const char *key, *expected;
    } rows[] = {
        { "norm_first", "true" },
        { "kv_repeat", "1" },
        { "qk_layer_norm", "false" },
        { "layer_scale", "null" },
        { "bias_attn", "false" },
        { "bias_ff", "false" },
        { "bias_proj", "false" },
        { "positional_embedding", "sin" },
        { "norm", "layer_norm" },
        { "activation", "gelu" },
        { "qk_layer_norm_cross", "false" },
        { "xpos", "false" },
        { "past_context", "null" },
        { "causal", "true" },
        { "attention_as_float32", "false" },
    };
    char v[64];
    for (size_t i = 0; i < SM_LENGTH(rows); i++) {
        if (!yaml_value(yaml, "transformer_lm", rows[i].key, v) || !strcmp(v, rows[i].expected) ||
            !strcmp(rows[i].key, "attention_as_float32"))
            continue;
        return sm_fail(SM_EUNSUPPORTED, "%s: transformer_lm.%s is %s, only %s is supported", label, rows[i].key, v,
                       rows[i].expected);
    }
    return 0;
}

/* "xp.cfg" of a pickle comes as JSON text: a quoted string with its line ends escaped. */
static char *config_text(sm_weights *w)
{
    const char *json = sm_weights_meta(w, "xp.cfg");
    char *text = json ? sm_strdup(json) : NULL, *to = text;
    for (const char *p = text; p && *p; p++) {
        if (*p == '"')
            continue;
        if (*p == '\\' && p[1]) {
            p++;
            *to++ = *p == 'n' ? '\n' : *p == 't' ? '\t' : *p;
        } else
            *to++ = *p;
    }
    if (text)
        *to = 0;
    return text;
}

/* ---- shapes ---- */

static int rank2(const sm_stored *s, const char *name, nn_shape *out)
{
    nn_tensor t;
    const int err = sm_stored_get(s, name, NULL, &t);
    if (err < 0)
        return err;
    if (t.shape.rank != 2 || t.shape.dim[0] > 1 << 20 || t.shape.dim[1] > 1 << 20)
        return sm_fail(SM_EFORMAT, "%s: \"%s\" has a shape that no MusicGen has", sm_weights_label(s->weights), name);
    *out = t.shape;
    return 0;
}

static int count(const sm_stored *s, const char *format, int most)
{
    char name[96];
    int n = 0;
    for (; n < most; n++) {
        snprintf(name, sizeof name, format, n);
        if (!sm_stored_has(s, name))
            break;
    }
    return n;
}

static int from_shapes(const sm_stored *s, sm_musicgen_size *out)
{
    nn_shape emb = { 0 }, head = { 0 }, wide = { 0 }, text = { 0 };
    int err;
    if ((err = rank2(s, "emb.0.weight", &emb)) < 0 || (err = rank2(s, "linears.0.weight", &head)) < 0 ||
        (err = rank2(s, "transformer.layers.0.linear1.weight", &wide)) < 0 ||
        (err = rank2(s, "condition_provider.conditioners.description.output_proj.weight", &text)) < 0)
        return err;
    *out = (sm_musicgen_size){
        .width = (int)emb.dim[1],
        .heads = (int)SM_MAX(emb.dim[1] / HEAD, 1),
        .hidden = (int)wide.dim[0],
        .layers = count(s, "transformer.layers.%d.norm1.weight", MOST_LAYERS),
        .codebooks = count(s, "emb.%d.weight", SM_MUSICGEN_MAX_BOOKS),
        .card = (int)head.dim[0],
        .text_width = (int)text.dim[1],
        .melody = sm_stored_has(s, "condition_provider.conditioners.self_wav.output_proj.weight"),
        .window_s = 30,
    };
    if (emb.dim[0] != head.dim[0] + 1 || out->width % 2 || out->layers < 1)
        return sm_fail(SM_EFORMAT, "%s: these shapes are no MusicGen's", sm_weights_label(s->weights));
    return 0;
}

/* The delays of mono and stereo models; chroma is one frame more than the window has whole hops of. */
static void usual_pattern(sm_musicgen_size *s)
{
    for (int k = 0; k < s->codebooks; k++)
        s->delays[k] = s->codebooks == 8 ? k / 2 : k;
    s->chroma_frames = 1 + (int)(s->window_s * SM_MUSICGEN_RATE / 4096);
}

static bool meta_int(sm_weights *w, const char *key, int low, int high, int *out)
{
    const char *text = sm_weights_meta(w, key);
    int64_t v;
    if (!text || !sm_parse_int(text, &v) || v < low || v > high)
        return false;
    *out = (int)v;
    return true;
}

int sm_musicgen_size_of(sm_weights *w, sm_musicgen_size *out)
{
    sm_stored s = { .weights = w };
    char *yaml, v[64];
    int window = 30, err;

    memset(out, 0, sizeof *out);
    if (sm_weights_count(w) && sm_weights_has(w, "best_state.emb.0.weight"))
        snprintf(s.prefix, sizeof s.prefix, "best_state.");
    if ((err = from_shapes(&s, out)) < 0)
        return err;
    meta_int(w, "heads", 1, out->width, &out->heads);
    if (meta_int(w, "window_s", 1, 300, &window))
        out->window_s = window;
    if ((yaml = config_text(w))) {
        int64_t heads;
        double seconds;
        err = check_yaml(yaml, sm_weights_label(w));
        if (err == 0 && yaml_value(yaml, "transformer_lm", "num_heads", v) && sm_parse_int(v, &heads) && heads > 0 &&
            heads <= out->width)
            out->heads = (int)heads;
        if (err == 0 && yaml_value(yaml, "dataset", "segment_duration", v) && sm_parse_double(v, &seconds) &&
            seconds >= 1 && seconds <= 300)
            out->window_s = seconds;
        sm_free(yaml);
    }
    if (err == 0 && out->width % out->heads)
        err = sm_fail(SM_EFORMAT, "%s: %d heads do not share %d channels", sm_weights_label(w), out->heads, out->width);
    usual_pattern(out);
    return err;
}
