/* Graphs of files that nobody made in good faith: importing one as our graph gives an error or a graph, whatever its nodes say. */
#include <stdlib.h>

#include "models/essentia.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const sm_import_options o = { .batch = 2, .tap_all = true };
    sm_weights *w = NULL;
    sm_view *v = NULL;
    nn_graph *g = NULL;
    sm_buffer text = { 0 };

    if (sm_weights_open_memory(data, size, "fuzz", &w) < 0)
        return 0;
    const sm_foreign_graph *f = sm_weights_graph(w), *again;
    if (!f || sm_view_open(NULL, w, NULL, &v) < 0)
        goto out;
    const nn_source source = sm_view_source(v);
    g = nn_graph_new();
    if (g)
        sm_import_graph(g, f, &source, &o);
    if (sm_graph_write(f, &text) == 0) { /* what is written is read again */
        sm_arena *a = sm_arena_new();
        if (a && sm_graph_read(text.data, text.length, a, &again) < 0)
            abort();
        sm_arena_free(a);
    }
out:
    sm_buffer_free(&text);
    nn_graph_free(g);
    sm_view_close(v);
    sm_weights_close(w);
    return 0;
}
