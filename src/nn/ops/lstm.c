/* One LSTM layer, forward (Hochreiter and Schmidhuber 1997, with forget gate), gates in PyTorch's order i, f, g, o. */
#include "nn/graph.h"

#include <math.h>
#include <string.h>

static int infer(const nn_graph *g, nn_node *n)
{
    int err;
    if ((err = nn_need_rank(g, n, 0, 3, 3)) < 0 || (err = nn_need_rank(g, n, 2, 2, 2)) < 0)
        return err;
    const nn_shape x = nn_in(g, n, 0)->shape;
    const int64_t hidden = nn_in(g, n, 2)->shape.dim[1];
    if ((err = nn_need_shape(g, n, 1, NN_SHAPE(4 * hidden, x.dim[2]))) < 0 ||
        (err = nn_need_shape(g, n, 2, NN_SHAPE(4 * hidden, hidden))) < 0 ||
        (err = nn_need_shape(g, n, 3, NN_SHAPE(4 * hidden))) < 0 ||
        (err = nn_need_shape(g, n, 4, NN_SHAPE(x.dim[0], hidden))) < 0 ||
        (err = nn_need_shape(g, n, 5, NN_SHAPE(x.dim[0], hidden))) < 0)
        return err;
    if (!nn_in(g, n, 4) != !nn_in(g, n, 5))
        return sm_fail(SM_EUSAGE, "h and c come together");
    n->shape = NN_SHAPE(x.dim[0], x.dim[1], hidden);
    return 0;
}

static double dot(const float *a, const float *b, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)a[i] * (double)b[i];
    return sum;
}

/* One step of one item: gate: 4H doubles; cell: H doubles, kept; h: the last output, y: this one's. */
static void step(const nn_call *c, const float *x, const float *h, int64_t hidden, double *gate, double *cell, float *y)
{
    const int64_t width = c->in[0].shape.dim[2];
    const float *w_ih = c->in[1].data, *w_hh = c->in[2].data, *b = c->in[3].data;
    for (int64_t k = 0; k < 4 * hidden; k++)
        gate[k] =
            dot(w_ih + k * width, x, width) + (h ? dot(w_hh + k * hidden, h, hidden) : 0) + (b ? (double)b[k] : 0);
    for (int64_t k = 0; k < hidden; k++) {
        const double in = nn_unary_value(NN_SIGMOID, gate[k], 0, 0),
                     forget = nn_unary_value(NN_SIGMOID, gate[hidden + k], 0, 0);
        const double out = nn_unary_value(NN_SIGMOID, gate[3 * hidden + k], 0, 0);
        cell[k] = forget * cell[k] + in * tanh(gate[2 * hidden + k]);
        y[k] = (float)(out * tanh(cell[k]));
    }
}

static void ref(const nn_call *c)
{
    const int64_t steps = c->out.shape.dim[1], hidden = c->out.shape.dim[2], width = c->in[0].shape.dim[2];
    const bool kept = c->n_in > 5 && c->in[4].data;
    double *gate = c->scratch, *cell = gate + 4 * hidden;
    for (int64_t n = 0; n < c->out.shape.dim[0]; n++) {
        float *h = kept ? (float *)c->in[4].data + n * hidden : NULL,
              *kept_cell = kept ? (float *)c->in[5].data + n * hidden : NULL;
        const float *last = h;
        for (int64_t k = 0; k < hidden; k++)
            cell[k] = kept ? (double)kept_cell[k] : 0;
        for (int64_t t = 0; t < steps; t++) {
            float *y = (float *)c->out.data + (n * steps + t) * hidden;
            step(c, (const float *)c->in[0].data + (n * steps + t) * width, last, hidden, gate, cell, y);
            last = y;
        }
        for (int64_t k = 0; kept && k < hidden; k++) {
            h[k] = last[k];
            kept_cell[k] = (float)cell[k];
        }
    }
}

static size_t scratch(const nn_call *c)
{
    return (size_t)(5 * c->out.shape.dim[2]) * sizeof(double);
}

static double macs(const nn_graph *g, const nn_node *n)
{
    return (double)nn_elements(&n->shape) * 4 * (double)(nn_in(g, n, 0)->shape.dim[2] + n->shape.dim[2]);
}

nn_id nn_lstm(nn_graph *g, nn_id x, nn_id w_ih, nn_id w_hh, nn_id b, nn_id h, nn_id c)
{
    return nn_add(g, &nn_op_lstm, NULL, (nn_id[]){ x, w_ih, w_hh, b, h, c }, 6);
}

static nn_id generate(nn_graph *g, nn_random *r)
{
    const int n = nn_random_int(r, 1, 3), t = nn_random_int(r, 1, 12), width = nn_random_int(r, 1, 12),
              hidden = nn_random_int(r, 1, 12);
    const nn_id x = nn_random_input(g, r, NN_SHAPE(n, t, width), -1, 1);
    const nn_id w_ih = nn_random_weight(g, r, NN_SHAPE(4 * hidden, width), -1, 1);
    const nn_id w_hh = nn_random_weight(g, r, NN_SHAPE(4 * hidden, hidden), -1, 1);
    const nn_id b = nn_random_weight(g, r, NN_SHAPE(4 * hidden), -1, 1);
    const bool kept = nn_random_int(r, 0, 1);
    const nn_id h = kept ? nn_state(g, "h", NN_SHAPE(n, hidden)) : NN_NONE;
    return nn_lstm(g, x, w_ih, w_hh, b, h, kept ? nn_state(g, "c", NN_SHAPE(n, hidden)) : NN_NONE);
}

const nn_op nn_op_lstm = { .name = "lstm",
                           .min_in = 3,
                           .max_in = 6,
                           .states = 1 << 4 | 1 << 5,
                           .infer = infer,
                           .ref = ref,
                           .scratch = scratch,
                           .macs = macs,
                           .random = generate };
