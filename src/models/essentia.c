/* Essentia's networks as they are published: the file's graph is the network. Heads and whole networks differ in nothing but rows
 * of heads.def; MusiCNN and Discogs-EffNet use the same functions from their own files. */
#include <string.h>

#include "models/essentia.h"
#include "models/tables.h"

/* ---- recognising: by the publisher's name (the card's link, or the file's), and that the graph takes such an input ---- */
static bool named(const char *official, const sm_card *card, const char *hint)
{
    const size_t n = strlen(official);
    if (card && card->link) {
        const char *name = sm_path_name(card->link);
        if (!strncmp(name, official, n) && (name[n] == '.' || !name[n]))
            return true;
    }
    return hint && !strncmp(hint, official, n) && !(hint[n] >= '0' && hint[n] <= '9');
}

/* Input [*, last] or [*, patch, bands] as the model needs it; unknown sizes fit. */
static bool takes(const sm_foreign_graph *f, const sm_needs *needs)
{
    for (size_t i = 0; i < f->n_inputs; i++) {
        const nn_shape *s = &f->inputs[i].shape;
        const bool wide = needs->patch > 1;
        if (f->inputs[i].type == NN_F32 &&
            (s->rank == 0 ||
             (s->rank >= 2 && (s->dim[s->rank - 1] == needs->bands || s->dim[s->rank - 1] < 0) &&
              (!wide || (s->rank >= 3 && (s->dim[s->rank - 2] == needs->patch || s->dim[s->rank - 2] < 0))))))
            return true;
    }
    return false;
}

bool essentia_recognise(const sm_model *m, sm_weights *w, const sm_card *card, const char *hint, char variant[32])
{
    const sm_foreign_graph *f = sm_weights_graph(w);
    if (!f || !strcmp(f->dialect, "tflite") || !named(m->official, card, hint) || !takes(f, &m->needs))
        return false;
    snprintf(variant, 32, "%s", sm_weights_format(w));
    return true;
}

/* ---- building ---- */
static const char *first_there(const sm_foreign_graph *f, const char *const candidates[4])
{
    for (size_t i = 0; i < 4 && candidates[i]; i++)
        if (sm_import_has(f, candidates[i]))
            return candidates[i];
    return NULL;
}

/* The file's shape of each input, with our batch where it says none; the network's only real input may have no shape at all. */
static nn_shape input_shape(const sm_foreign_value *in, const sm_needs *needs, int batch)
{
    nn_shape s = in->shape;
    if (s.rank == 0 && in->type == NN_F32)
        s = needs->patch > 1 ? NN_SHAPE(batch, needs->patch, needs->bands) : NN_SHAPE(batch, needs->bands);
    for (int k = 0; k < s.rank; k++)
        if (s.dim[k] < 0)
            s.dim[k] = k == 0                                ? batch
                       : k == s.rank - 1                     ? needs->bands
                       : k == s.rank - 2 && needs->patch > 1 ? needs->patch
                                                             : 1;
    return s;
}

int essentia_build_graph(nn_graph *g, const sm_model *m, sm_view *v, const sm_model_config *c)
{
    const essentia_binding *b = m->binding;
    const sm_foreign_graph *f = sm_view_graph(v);
    const nn_source w = sm_view_source(v);
    const char *outputs[3] = { NULL }, *const names[2] = { "scores", "embedding" };
    nn_shape shapes[16];
    sm_import_options o = { .batch = c->batch, .outputs = outputs, .names = names, .input_shapes = shapes };

    if (!f || f->n_outputs == 0 || f->n_inputs > SM_LENGTH(shapes))
        return nn_graph_fail(g, SM_EFORMAT, "%s: %s needs a file with its graph (.onnx, .pb or TensorFlow.js)", w.label,
                             m->name);
    for (size_t i = 0; i < f->n_inputs; i++)
        shapes[i] = input_shape(&f->inputs[i], &m->needs, c->batch);
    outputs[0] = first_there(f, b->scores);
    if (!outputs[0])
        outputs[0] = f->outputs[0].name;
    if (m->embedding) {
        outputs[1] = first_there(f, b->embeddings);
        if (!outputs[1] && f->n_outputs > 1)
            outputs[1] = f->outputs[1].name;
        if (!outputs[1])
            return nn_graph_fail(g, SM_EFORMAT, "%s: no embedding (%s) in the graph", w.label, b->embeddings[0]);
    }
    o.tap_all = c->text && strstr(c->text, "tap_all");
    return sm_import_graph(g, f, &w, &o);
}

/* ---- heads.def as models ---- */
#define LICENCE "CC BY-NC-SA 4.0 (MTG, Universitat Pompeu Fabra): not for commercial use without their licence"
#define HEADS   "https://essentia.upf.edu/models/classification-heads/"

/* what the three kinds differ in: our name, the official one, the way in, how many patches 10 s have, where to get it */
#define effnet_name(task)         task
#define musicnn_name(task)        task "-musicnn"
#define whole_name(task)          task "-musicnn-whole"
#define effnet_official(task, v)  task "-discogs-effnet" v
#define musicnn_official(task, v) task "-msd-musicnn" v
#define whole_official(task, v)   task "-musicnn-msd" v
#define effnet_summary(task)      task ", a head on effnet-discogs"
#define musicnn_summary(task)     task ", a head on musicnn"
#define whole_summary(task)       task ", MusiCNN retrained end to end"
#define effnet_needs                                                                                                   \
    {                                                                                                                  \
        .backbone = "effnet-discogs", .bands = 1280, .patch = 1, .hop = 1, .batch = 64                                 \
    }
#define musicnn_needs                                                                                                  \
    {                                                                                                                  \
        .backbone = "musicnn", .bands = 200, .patch = 1, .hop = 1, .batch = 64                                         \
    }
#define whole_needs                                                                                                    \
    {                                                                                                                  \
        .rate_hz = 16000, .resample = SM_RESAMPLE_SOXR, .front_end = "musicnn", .bands = 96, .patch = 187, .hop = 93,  \
        .when_short = SM_SHORT_REPEAT, .batch = 8                                                                      \
    }
#define effnet_patches  9
#define musicnn_patches 5
#define whole_patches   5
#define effnet_sources  1
#define musicnn_sources 1
#define whole_sources   0 /* the makers publish these only inside their JavaScript package */

#define SM_MODEL(name)
#define SM_HEAD(id, its_task, base, version, last, ending, sha)                                                        \
    [SM_HEAD_##id] = { its_task,                                                                                       \
                       "model/Placeholder",                                                                            \
                       { "model/Softmax", "model/Sigmoid", "model/Identity", "PartitionedCall:0" },                    \
                       { NULL },                                                                                       \
                       0,                                                                                              \
                       0 },
static const essentia_binding bindings[SM_HEADS] = {
#include "models/heads.def"
};
#undef SM_HEAD

#define SM_HEAD(id, its_task, base, version, last, ending, sha)                                                        \
    [SM_HEAD_##id] = { HEADS its_task "/" base##_official(its_task, version) ending, 0, sha,                           \
                       HEADS its_task "/" base##_official(its_task, version) ".json" },
static const sm_model_source_file sources[SM_HEADS] = {
#include "models/heads.def"
};
#undef SM_HEAD

#define SM_HEAD(id, its_task, base, version, last, ending, sha)                                                        \
    [SM_HEAD_##id] = { .name = base##_name(its_task),                                                                  \
                       .official = base##_official(its_task, version),                                                 \
                       .task = SM_TASK_TAGS,                                                                           \
                       .field = its_task,                                                                              \
                       .class_list = its_task,                                                                         \
                       .summary = base##_summary(its_task),                                                            \
                       .licence = LICENCE,                                                                             \
                       .page = "docs/models/essentia.md",                                                              \
                       .needs = base##_needs,                                                                          \
                       .sources = &sources[SM_HEAD_##id],                                                              \
                       .n_sources = base##_sources,                                                                    \
                       .bench = { base##_patches, 10, NULL },                                                          \
                       .activation = #last,                                                                            \
                       .recognise = essentia_recognise,                                                                \
                       .build = essentia_build_graph,                                                                  \
                       .binding = &bindings[SM_HEAD_##id] },
const sm_model sm_heads[SM_HEADS] = {
#include "models/heads.def"
};
#undef SM_HEAD
#undef SM_MODEL
