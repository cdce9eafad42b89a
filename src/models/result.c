/* Answers of models: freeing, ranking, and writing them as JSON under the names of a record. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "models/model.h"

void sm_model_result_free(sm_model_result *r)
{
    float *floats[] = { r->mean,   r->max, r->curve,      r->embedding,  r->embeddings,
                        r->time_s, r->hz,  r->confidence, r->activation, r->distribution };
    for (size_t i = 0; i < SM_LENGTH(floats); i++)
        sm_free(floats[i]);
    sm_free(r->bins);
    sm_free(r->local_bpm);
    memset(r, 0, sizeof *r);
}

size_t sm_model_result_top(const sm_model_result *r, size_t top, size_t *indices)
{
    size_t n = 0;
    for (size_t i = 0; r->mean && i < r->n_classes; i++) {
        size_t at;
        if (n == top && (n == 0 || r->mean[i] <= r->mean[indices[n - 1]]))
            continue;
        at = n < top ? n++ : n - 1;
        for (; at > 0 && r->mean[indices[at - 1]] < r->mean[i]; at--)
            indices[at] = indices[at - 1];
        indices[at] = i;
    }
    return n;
}

static const char *class_name(const sm_classes *classes, size_t i, char number[32])
{
    if (classes && i < classes->n)
        return classes->names[i];
    snprintf(number, 32, "class %zu", i);
    return number;
}

static void write_floats(sm_json *j, const char *key, const float *x, size_t n)
{
    sm_json_key(j, key);
    sm_json_begin_array(j);
    for (size_t i = 0; i < n; i++)
        sm_json_f32(j, x[i]);
    sm_json_end_array(j);
}

static void write_curve(const sm_model_result *r, sm_json *j)
{
    sm_json_key(j, "frames");
    sm_json_begin_array(j);
    for (size_t t = 0; t < r->patches; t++) {
        sm_json_begin_array(j);
        for (size_t i = 0; i < r->n_classes; i++)
            sm_json_f32(j, r->curve[t * r->n_classes + i]);
        sm_json_end_array(j);
    }
    sm_json_end_array(j);
}

static void write_top(const sm_model_result *r, const sm_classes *classes, size_t top, sm_json *j)
{
    size_t *indices = sm_alloc(top, sizeof *indices);
    const size_t n = indices ? sm_model_result_top(r, top, indices) : 0;
    char number[32];
    sm_json_key(j, "top");
    sm_json_begin_array(j);
    for (size_t i = 0; i < n; i++) {
        sm_json_begin_array(j);
        sm_json_string(j, class_name(classes, indices[i], number));
        sm_json_f32(j, r->mean[indices[i]]);
        sm_json_end_array(j);
    }
    sm_json_end_array(j);
    sm_free(indices);
}

/* A head of few classes, as Essentia's users know it: the winning name, its score, and all. */
static void write_choice(const sm_model_result *r, const sm_classes *classes, sm_json *j)
{
    const bool free_values =
        r->model->activation && !strcmp(r->model->activation, "linear"); /* a scale, not a choice */
    size_t best;
    char number[32];
    if (!free_values && sm_model_result_top(r, 1, &best) == 1) {
        sm_json_key(j, "value");
        sm_json_string(j, class_name(classes, best, number));
        sm_json_key(j, "probability");
        sm_json_f32(j, r->mean[best]);
    }
    sm_json_key(j, "all");
    sm_json_begin_object(j);
    for (size_t i = 0; i < r->n_classes; i++) {
        sm_json_key(j, class_name(classes, i, number));
        sm_json_f32(j, r->mean[i]);
    }
    sm_json_end_object(j);
}

static int by_value(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return x < y ? -1 : x > y;
}

/* Median pitch of the frames that are sure of it, and how many these are. */
static void write_pitch(const sm_model_result *r, bool curve, sm_json *j)
{
    float *sure = sm_alloc(r->patches, sizeof *sure);
    size_t n = 0;
    double sum = 0;
    for (size_t t = 0; sure && t < r->patches; t++) {
        sum += r->confidence[t];
        if (r->confidence[t] >= 0.5f && r->hz[t] > 0)
            sure[n++] = r->hz[t];
    }
    if (n > 0)
        qsort(sure, n, sizeof *sure, by_value);
    sm_json_key(j, "pitch_hz");
    sm_json_f32(j, n ? sure[n / 2] : NAN);
    sm_json_key(j, "pitch_min_hz");
    sm_json_f32(j, n ? sure[0] : NAN);
    sm_json_key(j, "pitch_max_hz");
    sm_json_f32(j, n ? sure[n - 1] : NAN);
    sm_json_key(j, "pitch_confidence");
    sm_json_f32(j, r->patches ? sum / (double)r->patches : NAN);
    sm_json_key(j, "voiced");
    sm_json_f32(j, r->patches ? (double)n / (double)r->patches : NAN);
    sm_free(sure);
    if (curve) {
        write_floats(j, "time_s", r->time_s, r->patches);
        write_floats(j, "hz", r->hz, r->patches);
        write_floats(j, "confidence", r->confidence, r->patches);
    }
}

static void write_tempo(const sm_model_result *r, bool curve, sm_json *j)
{
    sm_json_key(j, "bpm");
    sm_json_f32(j, r->bpm);
    sm_json_key(j, "bpm_confidence");
    sm_json_f32(j, r->bpm_confidence);
    sm_json_key(j, "local_bpm");
    sm_json_begin_array(j);
    for (size_t t = 0; t < r->patches; t++)
        sm_json_int(j, r->local_bpm[t]);
    sm_json_end_array(j);
    if (curve)
        write_floats(j, "distribution", r->distribution, r->n_classes);
}

void sm_model_result_fields(const sm_model_result *r, const sm_classes *classes, int top, bool curve, sm_json *j)
{
    if (r->hz)
        write_pitch(r, curve, j);
    else if (r->local_bpm)
        write_tempo(r, curve, j);
    else if (r->mean && r->n_classes <= 3)
        write_choice(r, classes, j);
    else if (r->mean)
        write_top(r, classes, top > 0 ? SM_MIN((size_t)top, r->n_classes) : r->n_classes, j);
    if (curve && r->curve)
        write_curve(r, j);
    if (r->model->task == SM_TASK_EMBEDDING) {
        sm_json_key(j, "dims");
        sm_json_int(j, (int64_t)r->n_embedding);
        sm_json_key(j, "space");
        sm_json_string(j, r->model->space);
    }
    sm_json_key(j, "patches");
    sm_json_int(j, (int64_t)r->patches);
}
