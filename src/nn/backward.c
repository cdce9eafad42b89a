/* Training: which weights are parameters, and gradients by going back through the graph. Every operator knows its own gradient
 * (nn_op.gradient); here they are chained: reverse accumulation, each node once, after all of its users. */
#include "nn/graph_type.h"

#include <string.h>

void nn_graph_train(nn_graph *g)
{
    g->trains = true;
}

bool nn_graph_trains(const nn_graph *g)
{
    return g->trains;
}

/* ---- dropout and statistics, which only a graph that trains has ---- */

static nn_id dropout_seed(nn_graph *g)
{
    for (size_t i = 0; i < g->n_inputs; i++)
        if (!strcmp(g->nodes[g->inputs[i]].name, "dropout_seed"))
            return g->inputs[i];
    return nn_input_typed(g, "dropout_seed", NN_I32, NN_SHAPE(1));
}

nn_id nn_dropout(nn_graph *g, nn_id x, float rate)
{
    nn_attrs a;
    if (!g->trains || rate == 0)
        return x;
    memset(&a, 0, sizeof a);
    a.dropout.rate = rate;
    a.dropout.number = g->n_dropouts++;
    const nn_id seed = dropout_seed(g);
    return nn_add(g, &nn_op_dropout, &a, (nn_id[]){ x, seed }, 2);
}

/* The running value is no input of a graph that trains: nothing reads it. */
static void withdraw(nn_graph *g, nn_id id)
{
    size_t kept = 0;
    if (!g->nodes[id].parameter || g->nodes[id].uses > 1)
        return;
    for (size_t i = 0; i < g->n_inputs; i++)
        if (g->inputs[i] != id)
            g->inputs[kept++] = g->inputs[i];
    g->n_inputs = kept;
    g->nodes[id].op = &nn_op_dead;
    g->nodes[id].parameter = false;
    g->nodes[id].uses = 0;
}

void nn_graph_statistic(nn_graph *g, nn_id running, nn_id batch)
{
    const nn_node *n = nn_at(g, running);
    if (!n || g->error)
        return;
    if (n->name)
        nn_output(g, nn_name(g, "stat.%s", n->name), batch);
    withdraw(g, running);
}

/* ---- what gradients are made of ---- */

nn_id nn_expand(nn_graph *g, nn_id x, nn_shape shape)
{
    const nn_shape s = nn_shape_of(g, x);
    nn_attrs a;
    if (x == NN_NONE || nn_shape_equal(&s, &shape))
        return x;
    memset(&a, 0, sizeof a);
    a.reshape.rank = shape.rank;
    for (int i = 0; i < shape.rank; i++)
        a.reshape.dim[i] = shape.dim[i];
    return nn_add(g, &nn_op_expand, &a, &x, 1);
}

nn_id nn_sum_to(nn_graph *g, nn_id x, nn_shape shape)
{
    const nn_shape s = nn_shape_of(g, x);
    uint32_t axes = 0;
    for (int i = 0; i < s.rank; i++) {
        const int k = i - (s.rank - shape.rank);
        if (s.dim[i] != 1 && (k < 0 || shape.dim[k] == 1))
            axes |= 1u << i;
    }
    if (axes)
        x = nn_reduce(g, NN_REDUCE_SUM, x, axes, true);
    return s.rank == shape.rank ? x : nn_reshape(g, x, shape);
}

nn_id nn_scaled(nn_graph *g, nn_id x, double factor)
{
    return factor == 1 ? x : nn_binary(g, NN_MUL, x, nn_const_scalar(g, (float)factor));
}

nn_id nn_standardised(nn_graph *g, nn_id x, uint32_t axes, double eps, bool mean, nn_id *inverse)
{
    if (mean)
        x = nn_binary(g, NN_SUB, x, nn_reduce(g, NN_REDUCE_MEAN, x, axes, true));
    const nn_id variance = nn_reduce(g, NN_REDUCE_MEAN, nn_unary(g, NN_SQUARE, x), axes, true);
    *inverse = nn_unary(g, NN_RSQRT, nn_binary(g, NN_ADD, variance, nn_const_scalar(g, (float)eps)));
    return nn_binary(g, NN_MUL, x, *inverse);
}

/* dx = (u - mean(u) - xhat mean(u xhat)) / sqrt(variance + eps) */
nn_id nn_standardised_grad(nn_graph *g, nn_id xhat, nn_id inverse, uint32_t axes, bool mean, nn_id upstream)
{
    const nn_id along = nn_reduce(g, NN_REDUCE_MEAN, nn_binary(g, NN_MUL, upstream, xhat), axes, true);
    nn_id rest = nn_binary(g, NN_SUB, upstream, nn_binary(g, NN_MUL, xhat, along));
    if (mean)
        rest = nn_binary(g, NN_SUB, rest, nn_reduce(g, NN_REDUCE_MEAN, upstream, axes, true));
    return nn_binary(g, NN_MUL, rest, inverse);
}

/* ---- going back ---- */

typedef struct {
    nn_graph *g;
    nn_id loss;
    bool *varies;  /* depends on a parameter */
    bool *matters; /* the loss depends on it */
    nn_id *grad;   /* of the loss by it, as far as users have given theirs; may repeat along axes of length 1 */
    nn_id *inputs; /* of one node */
} walk;

static void mark(walk *w)
{
    const nn_graph *g = w->g;
    for (nn_id id = 0; id <= w->loss; id++) {
        const nn_node *n = &g->nodes[id];
        w->varies[id] = n->parameter;
        for (int i = 0; i < n->n_inputs; i++)
            w->varies[id] = w->varies[id] || (n->inputs[i] != NN_NONE && w->varies[n->inputs[i]]);
    }
    w->matters[w->loss] = true;
    for (nn_id id = w->loss; id >= 0; id--)
        for (int i = 0; w->matters[id] && i < g->nodes[id].n_inputs; i++)
            if (g->nodes[id].inputs[i] != NN_NONE)
                w->matters[g->nodes[id].inputs[i]] = true;
}

static int none(nn_graph *g, const nn_node *n, int input)
{
    char text[160], operand[256];
    nn_node_text(g, n, text);
    if (input < 0)
        return nn_graph_fail(g, SM_EUNSUPPORTED, "%s has no gradient", text);
    return nn_graph_fail(g, SM_EUNSUPPORTED, "%s has no gradient by %s", text,
                         nn_operand_text(nn_in(g, n, input), operand));
}

static int add_gradient(walk *w, nn_id node, int i, nn_id gradient)
{
    nn_graph *g = w->g;
    const nn_id x = g->nodes[node].inputs[i];
    if (gradient == NN_WANTED)
        return none(g, &g->nodes[node], i);
    if (gradient == NN_NONE)
        return nn_graph_error(g);
    const nn_shape s = g->nodes[x].shape, d = g->nodes[gradient].shape;
    nn_shape both;
    if (d.rank != s.rank || nn_broadcast(&s, &d, &both) < 0 || !nn_shape_equal(&both, &s))
        return nn_graph_fail(g, SM_EINTERNAL, "the gradient of %s has a wrong shape", g->nodes[node].op->name);
    w->grad[x] = w->grad[x] == NN_NONE ? gradient : nn_binary(g, NN_ADD, w->grad[x], gradient);
    return nn_graph_error(g);
}

static int step_back(walk *w, nn_id node)
{
    nn_graph *g = w->g;
    const nn_node n = g->nodes[node];
    int wanted = 0, err = 0;
    if (!w->varies[node] || !w->matters[node] || w->grad[node] == NN_NONE || n.n_inputs == 0)
        return 0;
    for (int i = n.n_inputs; i < NN_OP_MAX_IN; i++)
        w->inputs[i] = NN_NONE;
    for (int i = 0; i < n.n_inputs; i++) {
        const bool wants = n.inputs[i] != NN_NONE && w->varies[n.inputs[i]];
        w->inputs[i] = wants ? NN_WANTED : NN_NONE;
        wanted += wants;
    }
    if (wanted == 0)
        return 0;
    if (!n.op->gradient || n.n_posts)
        return none(g, &n, -1);
    nn_scope_like(g, node);
    n.op->gradient(g, node, nn_expand(g, w->grad[node], n.shape), w->inputs);
    for (int i = 0; i < n.n_inputs && err == 0; i++)
        if (n.inputs[i] != NN_NONE && w->varies[n.inputs[i]])
            err = add_gradient(w, node, i, w->inputs[i]);
    return err;
}

static int give_outputs(walk *w, int size)
{
    nn_graph *g = w->g;
    for (nn_id id = 0; id < size; id++) {
        if (!g->nodes[id].parameter)
            continue;
        const nn_shape shape = g->nodes[id].shape;
        const nn_id gradient = id <= w->loss ? w->grad[id] : NN_NONE;
        nn_output(g, nn_name(g, "grad.%s", g->nodes[id].name),
                  gradient == NN_NONE ? nn_filled(g, shape, 0) : nn_expand(g, gradient, shape));
    }
    return nn_graph_error(g);
}

int nn_backward(nn_graph *g, nn_id loss)
{
    walk w = { .g = g, .loss = loss };
    const int size = (int)g->n;
    const char *scope = g->scope;
    int most = NN_OP_MAX_IN, err = nn_graph_error(g);

    if (err < 0)
        return err;
    if (!nn_at(g, loss) || nn_elements(&g->nodes[loss].shape) != 1)
        return nn_graph_fail(g, SM_EUSAGE, "gradients are of a single number");
    for (nn_id id = 0; id <= loss; id++)
        most = SM_MAX(most, g->nodes[id].n_inputs);
    w.varies = sm_alloc_zero((size_t)loss + 1, sizeof *w.varies);
    w.matters = sm_alloc_zero((size_t)loss + 1, sizeof *w.matters);
    w.grad = sm_alloc((size_t)loss + 1, sizeof *w.grad);
    w.inputs = sm_alloc((size_t)most, sizeof *w.inputs);
    if (!w.varies || !w.matters || !w.grad || !w.inputs) {
        err = nn_graph_fail(g, SM_ENOMEM, "no memory for gradients");
        goto out;
    }
    mark(&w);
    for (nn_id id = 0; id <= loss; id++)
        w.grad[id] = NN_NONE;
    w.grad[loss] = nn_filled(g, g->nodes[loss].shape, 1);
    for (nn_id id = loss; id >= 0 && err == 0; id--)
        err = step_back(&w, id);
    g->scope = scope;
    if (err == 0)
        err = give_outputs(&w, size);

out:
    sm_free(w.varies);
    sm_free(w.matters);
    sm_free(w.grad);
    sm_free(w.inputs);
    return err;
}
