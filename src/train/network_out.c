/* What a trained network becomes: a plan that judges, a file. */
#include <math.h>
#include <string.h>

#include "train/network.h"

/* Tensors by name out of the rows. */
typedef struct {
    const train_network *net;
    const float *parameters, *stats;
} rows;

static int rows_get(void *user, const char *name, const nn_shape *expected, nn_tensor *out)
{
    const rows *r = user;
    const train_network *n = r->net;
    for (size_t i = 0; i < n->n_parameters + n->n_stats; i++) {
        const bool is_stat = i >= n->n_parameters;
        const train_tensor *t = is_stat ? &n->stats[i - n->n_parameters] : &n->parameters[i];
        if (strcmp(t->name, name) != 0)
            continue;
        if (expected && !nn_shape_equal(expected, &t->shape))
            return sm_fail(SM_EINTERNAL, "%s has another shape while judging", name);
        *out = (nn_tensor){
            .type = NN_F32, .shape = t->shape, .scale_axis = -1, .data = (is_stat ? r->stats : r->parameters) + t->at
        };
        return 0;
    }
    return sm_fail(SM_ENOTFOUND, "the trained network has no tensor %s", name);
}

int train_network_judge(const train_network *n, const float *parameters, const float *stats, nn_plan **out)
{
    rows from = { n, parameters, stats };
    const nn_source w = { rows_get, &from, "trained" };
    nn_graph *g = nn_graph_new();
    *out = NULL;
    if (!g)
        return SM_ENOMEM;
    const nn_id x =
        nn_input(g, "patches", NN_SHAPE(TRAIN_SHARD, sm_classifier_frames(n->arch), sm_classifier_bands(n->arch)));
    const nn_id embedding = sm_classifier_embedding(g, &w, n->arch, x);
    for (size_t i = 0; i < n->n_heads; i++)
        if (n->heads[i].kept)
            nn_output(g, n->heads[i].name,
                      sm_classifier_logits(g, &w, n->heads[i].name, (int64_t)n->heads[i].n_classes, embedding));
    int err = nn_graph_error(g);
    if (err == 0)
        err = nn_compile(g, &(nn_compile_options){ .threads = 1 }, out);
    nn_graph_free(g);
    return err;
}

/* ---- the file ---- */

/* IEEE 754 single to half, to nearest even; too large becomes infinity, which no trained weight is. */
static uint16_t half_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    const uint32_t sign = bits >> 16 & 0x8000;
    const float a = fabsf(x);
    if (!(a < 65520)) /* NaN too */
        return (uint16_t)(sign | (a != a ? 0x7E00 : 0x7C00));
    if (a < 6.103515625e-5f) /* subnormal: steps of 2^-24 */
        return (uint16_t)(sign | (uint32_t)lrintf(a * 16777216.0f));
    bits &= 0x7FFFFFFF;
    bits += 0x0FFF + (bits >> 13 & 1);
    return (uint16_t)(sign | ((bits >> 13) - (112 << 10)));
}

int train_tensor_write(sm_safetensors_writer *w, const train_tensor *t, const float *row, bool f16)
{
    nn_tensor x = { .type = NN_F32, .shape = t->shape, .data = row + t->at, .scale_axis = -1 };
    if (!f16 || t->shape.rank < 2) /* what is small stays exact */
        return sm_safetensors_writer_add(w, t->name, &x);
    uint16_t *half = sm_alloc(t->n, sizeof *half);
    if (!half)
        return SM_ENOMEM;
    for (size_t i = 0; i < t->n; i++)
        half[i] = half_of(row[t->at + i]);
    x.type = NN_F16;
    x.data = half;
    const int err = sm_safetensors_writer_add(w, t->name, &x);
    sm_free(half);
    return err;
}

/* ---- norms that the file does not have: a layer and the norm behind it are one layer with a bias ---- */
/* s = gamma / sqrt(variance + epsilon) and beta - mean * s, both [channels]. */
static int fold_norm(rows *r, const char *layer, size_t channels, float *scale, float *bias)
{
    static const char *const parts[] = { "weight", "bias", "running_mean", "running_var" };
    const float *x[SM_LENGTH(parts)];
    for (size_t i = 0; i < SM_LENGTH(parts); i++) {
        nn_tensor t;
        char *name = sm_printf_new("%s.norm.%s", layer, parts[i]);
        const int err = name ? rows_get(r, name, &NN_SHAPE((int64_t)channels), &t) : SM_ENOMEM;
        sm_free(name);
        if (err < 0)
            return err;
        x[i] = t.data;
    }
    for (size_t c = 0; c < channels; c++) {
        const double s = (double)x[0][c] / sqrt((double)x[3][c] + (double)SM_CLASSIFIER_EPSILON);
        scale[c] = (float)s;
        bias[c] = (float)((double)x[1][c] - (double)x[2][c] * s);
    }
    return 0;
}

/* LAYER.weight [channels, ..] as LAYER.weight and LAYER.bias. */
static int write_folded(sm_safetensors_writer *w, rows *r, const train_tensor *t, bool f16)
{
    const size_t channels = (size_t)t->shape.dim[0], each = t->n / channels;
    char *layer = sm_strdup(t->name), *name = NULL;
    float *x = sm_alloc(t->n + 2 * channels, sizeof *x), *scale = x ? x + t->n : NULL;
    int err = SM_ENOMEM;
    if (layer && x) {
        layer[strlen(layer) - strlen(".weight")] = 0;
        name = sm_printf_new("%s.bias", layer);
        err = name ? fold_norm(r, layer, channels, scale, scale + channels) : SM_ENOMEM;
    }
    if (err == 0) {
        train_tensor weight = *t, bias = { .name = name, .shape = NN_SHAPE((int64_t)channels), .n = channels };
        for (size_t i = 0; i < t->n; i++)
            x[i] = scale[i / each] * r->parameters[t->at + i];
        weight.at = 0;
        bias.at = t->n + channels;
        err = train_tensor_write(w, &weight, x, f16);
        if (err == 0)
            err = train_tensor_write(w, &bias, x, f16);
    }
    sm_free(name);
    sm_free(layer);
    sm_free(x);
    return err;
}

static int write_parameter(sm_safetensors_writer *w, rows *r, const train_tensor *t, bool folds, bool f16)
{
    if (!folds || !strncmp(t->name, "head.", 5))
        return train_tensor_write(w, t, r->parameters, f16);
    return strstr(t->name, ".norm.") ? 0 : write_folded(w, r, t, f16);
}

int train_heads_write(sm_safetensors_writer *w, const train_head *heads, size_t n, const double *temperature)
{
    sm_buffer text = { 0 }, first = { 0 };
    sm_json j, c;
    sm_json_init(&j, &text, false);
    sm_json_init(&c, &first, false);
    sm_json_begin_array(&j);
    sm_json_begin_array(&c);
    for (size_t i = 0, kept = 0; i < n; i++) {
        const train_head *h = &heads[i];
        if (!h->kept)
            continue;
        sm_json_begin_object(&j);
        sm_json_key(&j, "name");
        sm_json_string(&j, h->name);
        sm_json_key(&j, "temperature");
        sm_json_f64(&j, temperature[kept]);
        sm_json_key(&j, "classes");
        sm_json_begin_array(&j);
        for (size_t k = 0; k < h->n_classes; k++) {
            sm_json_string(&j, h->classes[k]);
            if (kept == 0)
                sm_json_string(&c, h->classes[k]);
        }
        sm_json_end_array(&j);
        sm_json_end_object(&j);
        kept++;
    }
    sm_json_end_array(&j);
    sm_json_end_array(&c);
    int err = text.failed || first.failed ? SM_ENOMEM : sm_safetensors_writer_meta(w, "heads", text.data);
    if (err == 0)
        err = sm_safetensors_writer_meta(w, "classes", first.data);
    sm_buffer_free(&text);
    sm_buffer_free(&first);
    return err;
}

static bool is_dropped(const train_network *n, const char *name)
{
    const train_head *h = train_network_head(n, name);
    return h && !h->kept;
}

int train_network_write(const train_network *n, const float *parameters, const float *stats, const double *temperature,
                        bool f16, const train_meta *meta, size_t n_meta, const char *path)
{
    rows from = { n, parameters, stats };
    const bool folds = n->arch && n->arch->norm_in_training;
    sm_safetensors_writer *w = NULL;
    int err = sm_safetensors_writer_open(path, &w);
    for (size_t i = 0; i < n_meta && err == 0; i++)
        err = sm_safetensors_writer_meta(w, meta[i].key, meta[i].value);
    if (err == 0)
        err = train_heads_write(w, n->heads, n->n_heads, temperature);
    for (size_t i = 0; i < n->n_parameters && err == 0; i++)
        if (!is_dropped(n, n->parameters[i].name))
            err = write_parameter(w, &from, &n->parameters[i], folds, f16);
    for (size_t i = 0; i < n->n_stats && err == 0 && !folds; i++)
        err = train_tensor_write(w, &n->stats[i], stats, f16);
    if (err == 0)
        return sm_safetensors_writer_commit(w);
    sm_safetensors_writer_abandon(w);
    return err;
}
