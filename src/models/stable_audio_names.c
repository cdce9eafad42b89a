/* What Stable Audio's tensors are called: stable-audio-tools' names are ours, diffusers' are told from them. Whole pipelines of diffusers
 * are several files; their tensors stand here under the folder's name ("transformer/", "vae/", "projection_model/"). */
#include <stdlib.h>
#include <string.h>

#include "models/stable_audio.h"
#include "models/view.h"

/* One row: a name of ours (%d: numbers, in order) and diffusers' with the numbers by place; shift is added to the first number. */
typedef struct {
    const char *ours, *theirs;
    int shift;
} mapping;

static const mapping dit[] = {
    { "timestep_features.weight", "time_proj.weight", 0 },
    { "to_timestep_embed.%d.weight", "timestep_proj.%d.weight", 0 },
    { "to_timestep_embed.%d.bias", "timestep_proj.%d.bias", 0 },
    { "to_global_embed.%d.weight", "global_proj.%d.weight", 0 },
    { "to_cond_embed.%d.weight", "cross_attention_proj.%d.weight", 0 },
    { "preprocess_conv.weight", "preprocess_conv.weight", 0 },
    { "postprocess_conv.weight", "postprocess_conv.weight", 0 },
    { "transformer.project_in.weight", "proj_in.weight", 0 },
    { "transformer.project_out.weight", "proj_out.weight", 0 },
    { "transformer.layers.%d.pre_norm.gamma", "transformer_blocks.%d.norm1.weight", 0 },
    { "transformer.layers.%d.pre_norm.beta", "transformer_blocks.%d.norm1.bias", 0 },
    { "transformer.layers.%d.cross_attend_norm.gamma", "transformer_blocks.%d.norm2.weight", 0 },
    { "transformer.layers.%d.cross_attend_norm.beta", "transformer_blocks.%d.norm2.bias", 0 },
    { "transformer.layers.%d.ff_norm.gamma", "transformer_blocks.%d.norm3.weight", 0 },
    { "transformer.layers.%d.ff_norm.beta", "transformer_blocks.%d.norm3.bias", 0 },
    { "transformer.layers.%d.self_attn.to_out.weight", "transformer_blocks.%d.attn1.to_out.0.weight", 0 },
    { "transformer.layers.%d.cross_attn.to_q.weight", "transformer_blocks.%d.attn2.to_q.weight", 0 },
    { "transformer.layers.%d.cross_attn.to_out.weight", "transformer_blocks.%d.attn2.to_out.0.weight", 0 },
    { "transformer.layers.%d.ff.ff.0.proj.weight", "transformer_blocks.%d.ff.net.0.proj.weight", 0 },
    { "transformer.layers.%d.ff.ff.0.proj.bias", "transformer_blocks.%d.ff.net.0.proj.bias", 0 },
    { "transformer.layers.%d.ff.ff.2.weight", "transformer_blocks.%d.ff.net.2.weight", 0 },
    { "transformer.layers.%d.ff.ff.2.bias", "transformer_blocks.%d.ff.net.2.bias", 0 },
};

/* Of a layer of the autoencoder, behind "encoder." or "decoder.". */
static const mapping shared_layers[] = {
    { "layers.0.", "conv1.", 0 },
};
static const mapping encoder_layers[] = {
    { "layers.%d.layers.3.", "block.%d.snake1.", -1 },
    { "layers.%d.layers.4.", "block.%d.conv1.", -1 },
};
static const mapping decoder_layers[] = {
    { "layers.%d.layers.0.", "block.%d.snake1.", -1 },
    { "layers.%d.layers.1.", "block.%d.conv_t1.", -1 },
};
static const char *const unit_parts[] = { "snake1", "conv1", "snake2", "conv2" };

/* Does `name` follow the pattern, up to the pattern's end? Its first number goes to *number (kept when the pattern has none). */
static bool follows(const char *name, const char *pattern, int *number, size_t *length)
{
    const char *at = strstr(pattern, "%d"), *p = name;
    const size_t before = at ? (size_t)(at - pattern) : strlen(pattern);
    if (strncmp(name, pattern, before))
        return false;
    p += before;
    if (at) {
        char *end;
        if (*p < '0' || *p > '9')
            return false;
        const long value = strtol(p, &end, 10);
        if (value > 10000 || strncmp(end, at + 2, strlen(at + 2)))
            return false;
        *number = (int)value;
        p = end + strlen(at + 2);
    }
    *length = (size_t)(p - name);
    return true;
}

static bool fill(const char *prefix, const mapping *rows, size_t n, const char *name, bool whole, char out[SA_NAME])
{
    for (size_t i = 0; i < n; i++) {
        int number = 0;
        size_t length;
        char *end;
        if (!follows(name, rows[i].ours, &number, &length) || (whole && name[length]))
            continue;
        const char *at = strstr(rows[i].theirs, "%d");
        snprintf(out, SA_NAME, "%s", prefix);
        end = out + strlen(out);
        if (at)
            snprintf(end, SA_NAME - strlen(out), "%.*s%d%s%s", (int)(at - rows[i].theirs), rows[i].theirs,
                     number + rows[i].shift, at + 2, name + length);
        else
            snprintf(end, SA_NAME - strlen(out), "%s%s", rows[i].theirs, name + length);
        return true;
    }
    return false;
}

/* "decoder.layers.3.layers.2.layers.1.weight_v" -> "vae/decoder.block.2.res_unit1.conv1.weight_v" */
static bool vae_name(const char *name, char out[SA_NAME])
{
    const bool decoder = !strncmp(name, "decoder.", 8);
    const char *half = decoder ? "vae/decoder." : "vae/encoder.", *rest = name + 8;
    int block, unit, part, length = 0;
    if (!decoder && strncmp(name, "encoder.", 8))
        return false;
    if (sscanf(rest, "layers.%d.layers.%d.layers.%d.%n", &block, &unit, &part, &length) == 3 && length > 0) {
        unit -= decoder ? 2 : 0;
        if (block < 1 || unit < 0 || unit > 2 || part < 0 || part > 3)
            return false;
        snprintf(out, SA_NAME, "%sblock.%d.res_unit%d.%s.%s", half, block - 1, unit + 1, unit_parts[part],
                 rest + length);
        return true;
    }
    if (decoder ? fill(half, decoder_layers, SM_LENGTH(decoder_layers), rest, false, out)
                : fill(half, encoder_layers, SM_LENGTH(encoder_layers), rest, false, out))
        return true;
    if (fill(half, shared_layers, SM_LENGTH(shared_layers), rest, false, out))
        return true;
    if (sscanf(rest, "layers.%d.%n", &block, &length) != 1 || length == 0)
        return false;
    /* the two behind the blocks: a snake and a convolution */
    const bool vector = !strcmp(rest + length, "alpha") || !strcmp(rest + length, "beta");
    snprintf(out, SA_NAME, "%s%s.%s", half, vector ? "snake1" : "conv2", rest + length);
    return true;
}

static bool number_name(const char *name, char out[SA_NAME])
{
    static const char *const rows[][2] = { { "seconds_start.embedder.embedding.", "start" },
                                           { "seconds_total.embedder.embedding.", "end" } };
    for (size_t i = 0; i < SM_LENGTH(rows); i++)
        if (!strncmp(name, rows[i][0], strlen(rows[i][0]))) {
            snprintf(out, SA_NAME, "projection_model/%s_number_conditioner.time_positional_embedding.%s", rows[i][1],
                     name + strlen(rows[i][0]));
            return true;
        }
    return false;
}

bool sa_diffusers_name(const char *name, char out[SA_NAME])
{
    if (!strncmp(name, SA_DIT_PREFIX, strlen(SA_DIT_PREFIX)))
        return fill("transformer/", dit, SM_LENGTH(dit), name + strlen(SA_DIT_PREFIX), true, out);
    if (!strncmp(name, OOBLECK_PREFIX, strlen(OOBLECK_PREFIX)))
        return vae_name(name + strlen(OOBLECK_PREFIX), out);
    return !strncmp(name, SA_NUMBER_PREFIX, strlen(SA_NUMBER_PREFIX)) &&
           number_name(name + strlen(SA_NUMBER_PREFIX), out);
}

/* ---- which of them a file has ---- */

/* The tensor itself, under the state's key of a checkpoint, or alone (a file of diffusers without its folder). */
static bool in_file(sm_weights *w, const char *name, char out[SA_NAME])
{
    const char *slash = strchr(name, '/');
    snprintf(out, SA_NAME, "%s", name);
    if (sm_weights_has(w, out))
        return true;
    snprintf(out, SA_NAME, "state_dict.%s", name);
    if (sm_weights_has(w, out))
        return true;
    snprintf(out, SA_NAME, "%s", slash ? slash + 1 : name);
    return slash && sm_weights_has(w, out);
}

/* Weight norm's newer names: NAME.parametrizations.weight.original0 (size) and original1 (direction). */
static bool in_either_norm(sm_weights *w, const char *name, char out[SA_NAME])
{
    const size_t n = strlen(name);
    char newer[SA_NAME];
    if (in_file(w, name, out))
        return true;
    if (n < 9 || (strcmp(name + n - 9, ".weight_g") && strcmp(name + n - 9, ".weight_v")))
        return false;
    snprintf(newer, sizeof newer, "%.*s.parametrizations.weight.original%d", (int)SM_MIN(n - 9, 140), name,
             name[n - 1] == 'v');
    return in_file(w, newer, out);
}

bool sa_official(sm_weights *w, const char *name, char out[SA_NAME])
{
    char theirs[SA_NAME];
    if (sm_weights_count(w) == 0) { /* made-up weights */
        snprintf(out, SA_NAME, "%s", name);
        return true;
    }
    if (in_either_norm(w, name, out) || (sa_diffusers_name(name, theirs) && in_either_norm(w, theirs, out)))
        return true;
    snprintf(out, SA_NAME, "%s", name);
    return false;
}

/* ---- diffusers' separate projections ---- */

static const struct {
    const char *ending, *attention;
    int n;
    const char *parts[3];
} stacks[] = { { ".self_attn.to_qkv.weight", "attn1", 3, { "to_q", "to_k", "to_v" } },
               { ".cross_attn.to_kv.weight", "attn2", 2, { "to_k", "to_v", NULL } } };

/* Rows of several tensors, one below the other. */
static int stacked(sm_view *v, const char *name, size_t kind, const nn_shape *expected, nn_tensor *out)
{
    const nn_shape part = NN_SHAPE(expected->dim[0] / stacks[kind].n, expected->dim[1]);
    const size_t floats = (size_t)nn_elements(&part);
    int layer;
    if (sscanf(name, SA_DIT_PREFIX "transformer.layers.%d.", &layer) != 1)
        return sm_fail(SM_ENOTFOUND, "%s has no tensor %s", sm_weights_label(sm_view_weights(v)), name);
    float *to = view_floats(v, floats * (size_t)stacks[kind].n);
    int err = to ? 0 : sm_fail(SM_ENOMEM, "no memory for %s", name);
    for (int i = 0; i < stacks[kind].n && err == 0; i++) {
        char theirs[SA_NAME], found[SA_NAME];
        nn_tensor t;
        snprintf(theirs, sizeof theirs, "transformer/transformer_blocks.%d.%s.%s.weight", layer, stacks[kind].attention,
                 stacks[kind].parts[i]);
        in_file(sm_view_weights(v), theirs, found);
        if ((err = view_official(v, found, &part, &t)) == 0)
            memcpy(to + floats * (size_t)i, t.data, floats * sizeof *to);
    }
    if (err == 0)
        *out = view_tensor(to, expected);
    return err;
}

int sa_adapt(sm_view *v, const char *name, const nn_shape *expected, nn_tensor *out)
{
    sm_weights *w = sm_view_weights(v);
    char found[SA_NAME];
    if (!strncmp(name, OOBLECK_PREFIX, strlen(OOBLECK_PREFIX)))
        return oobleck_adapt(v, name, expected, out);
    const bool there = sa_official(w, name, found);
    for (size_t i = 0; i < SM_LENGTH(stacks) && !there && expected && expected->rank == 2; i++)
        if (sm_text_has_suffix(name, stacks[i].ending))
            return stacked(v, name, i, expected, out);
    nn_tensor t;
    if (there && expected && sm_weights_count(w) > 0 && sm_weights_get(w, found, NULL, &t) == 0 &&
        t.shape.rank != expected->rank && nn_elements(&t.shape) == nn_elements(expected)) {
        const int err = view_official(v, found, &t.shape, out); /* [128] for [128, 1] */
        out->shape = *expected;
        return err;
    }
    return view_official(v, found, expected, out);
}
