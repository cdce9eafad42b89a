/* A foreign graph as text, one node a line: what tests compare. */
#ifndef SM_TEST_WEIGHTS_GRAPH_TEXT_H
#define SM_TEST_WEIGHTS_GRAPH_TEXT_H

#include "weights/fixture.h"

static inline void attr_text(sm_buffer *b, const sm_foreign_attr *a)
{
    char shape[96];
    sm_buffer_printf(b, " %s=", a->name);
    switch (a->kind) {
    case SM_ATTR_INT:
        sm_buffer_printf(b, "%lld", (long long)a->i);
        break;
    case SM_ATTR_FLOAT:
        sm_buffer_printf(b, "%g", a->f);
        break;
    case SM_ATTR_STRING:
        sm_buffer_printf(b, "'%s'", a->s);
        break;
    case SM_ATTR_TYPE:
        sm_buffer_text(b, a->s);
        break;
    case SM_ATTR_TENSOR:
        sm_buffer_printf(b, "%s%s", nn_type_name(a->tensor.type), nn_shape_text(&a->tensor.shape, shape));
        break;
    default:
        for (size_t i = 0; i < a->n; i++) {
            sm_buffer_text(b, i ? "," : "");
            if (a->kind == SM_ATTR_INTS)
                sm_buffer_printf(b, "%lld", (long long)a->ints[i]);
            else if (a->kind == SM_ATTR_FLOATS)
                sm_buffer_printf(b, "%g", (double)a->floats[i]);
            else
                sm_buffer_printf(b, "'%s'", a->strings[i]);
        }
    }
}

/* "Op(a, b) -> c k=v": attributes in the file's order when `attrs`. */
static inline void expect_graph(const sm_weights *w, bool attrs, const char *expected)
{
    const sm_foreign_graph *g = sm_weights_graph(w);
    sm_buffer b = { 0 };
    assert_non_null(g);
    for (size_t i = 0; i < g->n_nodes; i++) {
        const sm_foreign_node *n = &g->nodes[i];
        sm_buffer_printf(&b, "%s(", n->op);
        for (size_t k = 0; k < n->n_inputs; k++)
            sm_buffer_printf(&b, "%s%s", k ? ", " : "", n->inputs[k]);
        sm_buffer_text(&b, ") ->");
        for (size_t k = 0; k < n->n_outputs; k++)
            sm_buffer_printf(&b, " %s", n->outputs[k]);
        for (size_t k = 0; attrs && k < n->n_attrs; k++)
            attr_text(&b, &n->attrs[k]);
        sm_buffer_text(&b, "\n");
    }
    if (strcmp(b.data, expected) != 0)
        fail_msg("the graph is\n%s\nexpected\n%s", b.data, expected);
    sm_buffer_free(&b);
}

#endif
