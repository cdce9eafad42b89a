/* What the targets of the weights' readers share: open these bytes by one reader, then ask for everything. */
#ifndef SM_FUZZ_WEIGHTS_H
#define SM_FUZZ_WEIGHTS_H

#include <stdlib.h>

#include "weights/store.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Reads of a graph what an importer would. */
static inline size_t fuzz_walk_graph(const sm_foreign_graph *g)
{
    size_t n = 0;
    for (size_t i = 0; g && i < g->n_nodes; i++) {
        const sm_foreign_node *node = &g->nodes[i];
        n += strlen(node->op) + strlen(node->name);
        for (size_t k = 0; k < node->n_inputs; k++)
            n += strlen(node->inputs[k]);
        for (size_t k = 0; k < node->n_attrs; k++) {
            const sm_foreign_attr *a = &node->attrs[k];
            for (size_t v = 0; v < a->n; v++)
                n += a->kind == SM_ATTR_STRINGS ? strlen(a->strings[v])
                     : a->kind == SM_ATTR_INTS  ? a->ints[v] != 0
                                                : a->floats[v] != 0;
        }
    }
    return n;
}

static inline void fuzz_open(bool (*probe)(const uint8_t *, size_t), int (*open)(sm_weights *), w_part_reader parts,
                             const uint8_t *data, size_t size)
{
    sm_weights *w = w_new("fuzz");
    if (!w)
        return;
    w->format = "fuzz";
    w->read_part = parts;
    w_set_data(w, data, size);
    if (probe(data, size) && open(w) == 0) {
        for (size_t i = 0; i < sm_weights_count(w); i++) {
            nn_tensor t;
            sm_weights_get_f32(w, sm_weights_name(w, i), NULL, &t);
        }
        if (fuzz_walk_graph(sm_weights_graph(w)) == SIZE_MAX)
            abort(); /* never: but the sum must be made */
    }
    sm_weights_close(w);
}

#define FUZZ_READER(id)                                                                                                \
    int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)                                                       \
    {                                                                                                                  \
        fuzz_open(w_##id##_probe, w_##id##_open, NULL, data, size);                                                    \
        return 0;                                                                                                      \
    }

#endif
