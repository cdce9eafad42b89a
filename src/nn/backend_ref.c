/* The backend that judges: every operator by its reference kernel, everything plain. */
#include "nn/backend.h"

#include <string.h>

/* What a step keeps of its node: shapes, attributes, where values are. */
typedef struct {
    const nn_op *op;
    nn_attrs attrs;
    nn_post posts[NN_MAX_POSTS];
    int n_posts, n_in, n_own;
    nn_operand *in; /* shapes and types; data are filled in at run time */
    int *read;      /* which of the step's values operand i is; -1: not there */
    nn_operand out;
} ref_state;

static int ref_precision(nn_precision *p, bool emulate)
{
    (void)emulate;
    if (*p == NN_PRECISION_AUTO)
        *p = NN_PRECISION_F32;
    return *p == NN_PRECISION_F32 ? 0 : sm_fail(SM_EUNSUPPORTED, "the ref backend computes in f32 only");
}

static int ref_open(const nn_step *s, nn_exec *x, void **own)
{
    const ref_state *r = s->state;
    (void)x;
    nn_operand *in = sm_alloc((size_t)r->n_in + 1, sizeof *in);
    if (!in)
        return SM_ENOMEM;
    memcpy(in, r->in, (size_t)r->n_in * sizeof *in);
    *own = in;
    return 0;
}

static int ref_run(const nn_step *s, nn_exec *x)
{
    const ref_state *r = s->state;
    nn_operand *in = x->own[s->index];
    for (int i = 0; i < r->n_in; i++)
        in[i].data = r->read[i] >= 0 ? x->data[s->in[r->read[i]]] : NULL;
    nn_call call = { &r->attrs, in, r->n_own, r->out, x->scratch };
    call.out.data = x->data[s->out];
    r->op->ref(&call);
    nn_apply_posts(r->posts, r->n_posts, in, call.out);
    return 0;
}

int nn_ref_step(nn_compiler *c, nn_id node, nn_step *out)
{
    const nn_graph *g = nn_compiler_graph(c);
    const nn_node *n = nn_at(g, node);
    sm_arena *arena = nn_compiler_arena(c);
    ref_state *r = sm_arena_zero(arena, 1, sizeof *r);
    nn_operand *in = sm_arena_zero(arena, (size_t)n->n_inputs + 1, sizeof *in);
    int *read = sm_arena_get(arena, (size_t)n->n_inputs + 1, sizeof *read, sizeof *read);
    int err = 0;

    if (!n->op->ref)
        return sm_fail(SM_EUNSUPPORTED, "the operator has no reference kernel");
    if (!r || !in || !read)
        return SM_ENOMEM;
    *r = (ref_state){ .op = n->op,
                      .attrs = n->attrs,
                      .n_posts = n->n_posts,
                      .n_in = n->n_inputs,
                      .n_own = n->n_own,
                      .in = in,
                      .read = read,
                      .out = { n->type, n->shape, NULL } };
    memcpy(r->posts, n->posts, sizeof r->posts);
    for (int i = 0; i < n->n_inputs; i++) {
        read[i] = -1;
        const nn_node *x = nn_in(g, n, i);
        if (!x)
            continue;
        in[i] = (nn_operand){ x->type, x->shape, NULL };
        read[i] = out->n_in;
        const int32_t v = nn_want(c, n->inputs[i], NULL, 0);
        if ((err = nn_reads(c, out, v)) < 0)
            return err;
        if (i == 0 && n->op->inplace && nn_shape_equal(&x->shape, &n->shape))
            out->inplace = v;
    }
    out->run = ref_run;
    out->open = ref_open;
    out->close = sm_free;
    out->state = r;
    out->kernel = "ref";
    const nn_call call = { &r->attrs, in, r->n_own, r->out, NULL };
    out->scratch = n->op->scratch ? n->op->scratch(&call) : 0;
    return 0;
}

const nn_backend nn_backend_ref = { .name = "ref", .precision = ref_precision, .step = nn_ref_step };
