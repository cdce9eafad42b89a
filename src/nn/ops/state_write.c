/* Writes new time steps into a state, in place: the KV cache. */
#include "nn/graph.h"

#include <string.h>

static int infer(const nn_graph *g, nn_node *n)
{
    char ts[256], tx[256];
    int err;
    if ((err = nn_need_rank(g, n, 0, 4, 4)) < 0 || (err = nn_need_rank(g, n, 1, 4, 4)) < 0 ||
        (err = nn_need_shape(g, n, 2, NN_SHAPE(1))) < 0)
        return err;
    const nn_node *s = nn_in(g, n, 0), *x = nn_in(g, n, 1);
    nn_shape fits = s->shape;
    fits.dim[2] = x->shape.dim[2];
    if (!nn_shape_equal(&fits, &x->shape) || x->shape.dim[2] > s->shape.dim[2])
        return sm_fail(SM_EFORMAT, "%s does not fit the state %s", nn_operand_text(x, tx), nn_operand_text(s, ts));
    n->shape = s->shape;
    return 0;
}

/* Steps that would lie outside are left out: the caller checks its position. */
static void ref(const nn_call *c)
{
    const nn_shape *s = &c->out.shape;
    const int64_t rows = s->dim[0] * s->dim[1], room = s->dim[2], d = s->dim[3], t = c->in[1].shape.dim[2];
    const int64_t at = *(const int32_t *)c->in[2].data;
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < t; i++)
            if (at + i >= 0 && at + i < room)
                memcpy((float *)c->in[0].data + (r * room + at + i) * d, (const float *)c->in[1].data + (r * t + i) * d,
                       (size_t)d * sizeof(float));
}

nn_id nn_state_write(nn_graph *g, nn_id state, nn_id x, nn_id position)
{
    return nn_add(g, &nn_op_state_write, NULL, (nn_id[]){ state, x, position }, 3);
}

static nn_id generate(nn_graph *g, nn_random *r)
{
    const int n = nn_random_int(r, 1, 2), h = nn_random_int(r, 1, 3), room = nn_random_int(r, 2, 9),
              d = nn_random_int(r, 1, 9);
    const int t = nn_random_int(r, 1, room);
    const nn_id state = nn_state(g, "cache", NN_SHAPE(n, h, room, d));
    const nn_id x = nn_random_input(g, r, NN_SHAPE(n, h, t, d), -1, 1);
    return nn_unary(g, NN_NEG, nn_state_write(g, state, x, nn_random_ids(g, r, NN_SHAPE(1), 0, room - t)));
}

const nn_op nn_op_state_write = { .name = "state_write",
                                  .min_in = 3,
                                  .max_in = 3,
                                  .ints = 1 << 2,
                                  .states = 1,
                                  .gives_state = true,
                                  .infer = infer,
                                  .ref = ref,
                                  .random = generate };
