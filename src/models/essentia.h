/* What is common to the networks that Essentia publishes as graphs: backbones, heads on them, whole networks. */
#ifndef SM_MODELS_ESSENTIA_H
#define SM_MODELS_ESSENTIA_H

#include "models/model.h"

/* One row of heads.def, or a backbone: how its files are recognised and where its answers come out of the graph. */
typedef struct {
    const char *task;  /* "danceability": also the list of classes */
    const char *input; /* the graph's input; NULL: its only one */
    const char
        *scores[4]; /* names of the score node, the first that is there is taken; then the graph's first output */
    const char *embeddings[4];     /* likewise; empty: none */
    int64_t n_scores, n_embedding; /* last dimensions; 0: any */
} essentia_binding;

enum {
#define SM_MODEL(name)
#define SM_HEAD(id, ...) SM_HEAD_##id,
#include "models/heads.def"
#undef SM_HEAD
#undef SM_MODEL
    SM_HEADS
};
extern const sm_model sm_heads[SM_HEADS];

/* sm_model's functions for a model that is what its file's graph says. */
bool essentia_recognise(const sm_model *m, sm_weights *w, const sm_card *card, const char *hint, char variant[32]);
int essentia_build_graph(nn_graph *g, const sm_model *m, sm_view *v, const sm_model_config *c);

/* ---- graph_json.c: a foreign graph as text, for converted files ---- */
int sm_graph_write(const sm_foreign_graph *f, sm_buffer *out);
/* The graph lives in the arena. SM_EFORMAT when the text is not one. */
int sm_graph_read(const char *json, size_t length, sm_arena *arena, const sm_foreign_graph **out);

#endif
