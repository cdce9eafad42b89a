/* MusicGen's decoder as graphs. Private to musicgen*.c. */
#ifndef SM_MODELS_MUSICGEN_GRAPH_H
#define SM_MODELS_MUSICGEN_GRAPH_H

#include "models/musicgen.h"
#include "models/stored.h"

/* Tensors under AudioCraft's names; "NAME#i" is the i-th third of NAME's rows (queries, keys, values of a stacked projection). */
int musicgen_tensor(const sm_stored *s, const char *name, const nn_shape *expected, nn_tensor *out);
nn_source musicgen_source(sm_stored *s);

typedef struct {
    int rows;      /* of the batch: conditional ones first */
    int attending; /* how many of them attend to the text; 0: none */
    int tokens;    /* of each row in one run */
    int text;      /* rows of the condition that are attended to */
    int room;      /* of the cache, in tokens */
    bool half;     /* cache in f16 */
    bool heads;    /* gives logits; else only the last layer's output */
} musicgen_shape;

/* Inputs "x" [rows, tokens, width], "position" i32 [1], and "text" [2 layers, text, width] (keys and values of each layer) where rows attend.
 * Outputs "logits.K" [rows, tokens, card], or "hidden" [rows, tokens, width]. States "cache.N". */
int musicgen_graph(nn_graph *g, const nn_source *w, const sm_musicgen_size *s, const musicgen_shape *shape);
/* Input "condition" [text, width]; outputs "k.N", "v.N" [text, width]. */
int musicgen_text_graph(nn_graph *g, const nn_source *w, const sm_musicgen_size *s, int text);

#endif
