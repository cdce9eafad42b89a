/* The list of models, and whose weights a file holds. */
#include <string.h>

#include "models/essentia.h"
#include "models/model.h"

#define SM_MODEL(name) extern const sm_model sm_model_##name;
#include "models/models.def"
#undef SM_MODEL

#define SM_MODEL(name)   &sm_model_##name,
#define SM_HEAD(id, ...) &sm_heads[SM_HEAD_##id],
static const sm_model *const models[] = {
#include "models/models.def"
#include "models/heads.def"
};
#undef SM_MODEL
#undef SM_HEAD

const sm_model *const *sm_models(size_t *n)
{
    *n = SM_LENGTH(models);
    return models;
}

const sm_model *sm_model_find(const char *name)
{
    for (size_t i = 0; i < SM_LENGTH(models); i++)
        if (!strcmp(models[i]->name, name) || (models[i]->official && !strcmp(models[i]->official, name)))
            return models[i];
    return NULL;
}

const char *sm_task_name(sm_task t)
{
    static const char *const names[] = { "tags", "pitch", "tempo", "embedding", "front end", "stems", "sound" };
    return (size_t)t < SM_LENGTH(names) ? names[t] : "?";
}

/* "dir/msd-musicnn-1/model.json" and "dir/msd-musicnn-1.pb" both hint at "msd-musicnn-1". */
static void name_hint(const char *path, char out[128])
{
    const char *name = path ? sm_path_name(path) : "";
    size_t length = strlen(name);
    if (!strcmp(name, "model.json") && name > path) {
        const char *end = name - 1;
        for (name = end; name > path && name[-1] != '/';)
            name--;
        length = (size_t)(end - name);
    } else {
        static const char *const endings[] = { ".gz",   ".bz2", ".json", ".pb", ".onnx",   ".h5",
                                               ".hdf5", ".pth", ".pt",   ".th", ".tflite", ".safetensors" };
        for (size_t pass = 0; pass < 2; pass++)
            for (size_t i = 0; i < SM_LENGTH(endings); i++) {
                const size_t n = strlen(endings[i]);
                if (length > n && !strncmp(name + length - n, endings[i], n))
                    length -= n;
            }
    }
    snprintf(out, 128, "%.*s", (int)SM_MIN(length, 127), name);
}

int sm_model_recognise(sm_weights *w, const char *path, const sm_card *card, const sm_model **model, char variant[32])
{
    char hint[128];
    const char *own = sm_weights_meta(w, "model"); /* a converted file says it */
    *model = NULL;
    variant[0] = 0;
    if (own && sm_weights_meta(w, "samplemind")) {
        const char *v = sm_weights_meta(w, "variant");
        *model = sm_model_find(own);
        if (!*model)
            return sm_fail(SM_EUNSUPPORTED, "%s: converted for the model \"%s\", which this version does not have",
                           sm_weights_label(w), own);
        snprintf(variant, 32, "%s", v ? v : "");
        return 0;
    }
    /* no tensors at all is what made-up weights look like, which fit every model */
    if (sm_weights_count(w) == 0 && !sm_weights_graph(w) && strcmp(sm_weights_format(w), "generated") != 0)
        return sm_fail(SM_ENOTFOUND, "%s: %s without a single tensor", sm_weights_label(w), sm_weights_format(w));
    name_hint(path, hint);
    for (size_t i = 0; i < SM_LENGTH(models); i++)
        if (models[i]->recognise && models[i]->recognise(models[i], w, card, hint, variant)) {
            *model = models[i];
            return 0;
        }
    return sm_fail(SM_ENOTFOUND, "%s: %s with %zu tensors, but of no model that is known", sm_weights_label(w),
                   sm_weights_format(w), sm_weights_count(w));
}
