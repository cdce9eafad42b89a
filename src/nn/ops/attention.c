/* softmax(q k^T * scale + mask) v, with shared key heads, causality and a length that is known only at run time. */
#include "nn/graph.h"

#include <math.h>
#include <string.h>

static int infer(const nn_graph *g, nn_node *n)
{
    char tq[256], tk[256];
    int err;
    for (int i = 0; i < 3; i++)
        if ((err = nn_need_rank(g, n, i, 4, 4)) < 0)
            return err;
    const nn_node *q = nn_in(g, n, 0), *k = nn_in(g, n, 1), *mask = nn_in(g, n, 3);
    const int64_t *dq = q->shape.dim, *dk = k->shape.dim;
    if (dq[0] != dk[0] || dq[1] % dk[1] || dq[3] != dk[3])
        return sm_fail(SM_EFORMAT, "keys %s do not fit queries %s", nn_operand_text(k, tk), nn_operand_text(q, tq));
    nn_shape v = k->shape, scores = NN_SHAPE(dq[0], dq[1], dq[2], dk[2]), both;
    v.dim[3] = nn_in(g, n, 2)->shape.dim[3];
    if ((err = nn_need_shape(g, n, 2, v)) < 0 || (err = nn_need_shape(g, n, 4, NN_SHAPE(1))) < 0)
        return err;
    if (mask && (nn_broadcast(&mask->shape, &scores, &both) < 0 || !nn_shape_equal(&both, &scores)))
        return sm_fail(SM_EFORMAT, "mask %s does not broadcast to %s", nn_operand_text(mask, tq),
                       nn_shape_text(&scores, tk));
    n->shape = q->shape;
    n->shape.dim[3] = v.dim[3];
    return 0;
}

typedef struct {
    const nn_call *call;
    int64_t tq, tk, d, dv, visible; /* visible: keys that count at all */
    int64_t mask_stride[NN_MAX_RANK];
} setup;

/* One query's row; score: tk doubles, sum: dv doubles. A query that sees nothing gives zeros. */
static void row(const setup *s, const float *q, const float *k, const float *v, const float *mask, int64_t i,
                double *score, double *sum, float *y)
{
    const nn_attention_attrs *a = &s->call->attrs->attention;
    const int64_t seen = a->causal ? SM_CLAMP(i + s->visible - s->tq + 1, 0, s->visible) : s->visible;
    double top = -INFINITY, total = 0;
    for (int64_t j = 0; j < seen; j++) {
        double dot = 0;
        for (int64_t e = 0; e < s->d; e++)
            dot += (double)q[e] * (double)k[j * s->d + e];
        score[j] = dot * (double)a->scale + (mask ? (double)mask[j * s->mask_stride[3]] : 0);
        top = SM_MAX(top, score[j]);
    }
    for (int64_t e = 0; e < s->dv; e++)
        sum[e] = 0;
    for (int64_t j = 0; j < seen && top > -INFINITY; j++) {
        const double p = exp(score[j] - top);
        total += p;
        for (int64_t e = 0; e < s->dv; e++)
            sum[e] += p * (double)v[j * s->dv + e];
    }
    for (int64_t e = 0; e < s->dv; e++)
        y[e] = total > 0 ? (float)(sum[e] / total) : 0;
}

static void ref(const nn_call *c)
{
    const nn_shape *qs = &c->in[0].shape, *ks = &c->in[1].shape;
    const int64_t heads = qs->dim[1], shared = heads / ks->dim[1];
    const float *mask = c->n_in > 3 ? c->in[3].data : NULL;
    const int32_t *length = c->n_in > 4 ? c->in[4].data : NULL;
    setup s = { .call = c, .tq = qs->dim[2], .tk = ks->dim[2], .d = qs->dim[3], .dv = c->out.shape.dim[3] };
    const nn_shape scores = NN_SHAPE(qs->dim[0], heads, s.tq, s.tk);
    s.visible = length ? SM_CLAMP(*length, 0, s.tk) : s.tk;
    if (mask)
        nn_broadcast_strides(&c->in[3].shape, &scores, s.mask_stride);
    for (int64_t m = 0; m < qs->dim[0] * heads; m++) {
        const int64_t n = m / heads, h = m % heads, kv = n * ks->dim[1] + h / shared;
        for (int64_t i = 0; i < s.tq; i++)
            row(&s, (const float *)c->in[0].data + (m * s.tq + i) * s.d, (const float *)c->in[1].data + kv * s.tk * s.d,
                (const float *)c->in[2].data + kv * s.tk * s.dv,
                mask ? mask + n * s.mask_stride[0] + h * s.mask_stride[1] + i * s.mask_stride[2] : NULL, i, c->scratch,
                (double *)c->scratch + s.tk, (float *)c->out.data + (m * s.tq + i) * s.dv);
    }
}

static size_t scratch(const nn_call *c)
{
    return (size_t)(c->in[1].shape.dim[2] + c->out.shape.dim[3]) * sizeof(double);
}

static double macs(const nn_graph *g, const nn_node *n)
{
    const nn_shape *q = &nn_in(g, n, 0)->shape, *k = &nn_in(g, n, 1)->shape;
    return (double)nn_product(q, 0, 3) * (double)k->dim[2] * (double)(q->dim[3] + n->shape.dim[3]);
}

nn_id nn_attention(nn_graph *g, nn_id q, nn_id k, nn_id v, nn_id mask, nn_id length, const nn_attention_attrs *a)
{
    nn_attrs attrs;
    memset(&attrs, 0, sizeof attrs);
    attrs.attention.scale = a->scale;
    attrs.attention.causal = a->causal;
    return nn_add(g, &nn_op_attention, &attrs, (nn_id[]){ q, k, v, mask, length }, 5);
}

static nn_id generate(nn_graph *g, nn_random *r)
{
    const int n = nn_random_int(r, 1, 3), kv = nn_random_int(r, 1, 3), heads = kv * nn_random_int(r, 1, 2);
    const int tk = nn_random_int(r, 1, 40), tq = nn_random_int(r, 1, tk), d = nn_random_int(r, 1, 20),
              dv = nn_random_int(r, 1, 20);
    const nn_attention_attrs a = { .scale = nn_random_float(r, 0.1, 1), .causal = nn_random_int(r, 0, 1) };
    const nn_id q = nn_random_input(g, r, NN_SHAPE(n, heads, tq, d), -1, 1);
    const nn_id k = nn_random_input(g, r, NN_SHAPE(n, kv, tk, d), -1, 1),
                v = nn_random_input(g, r, NN_SHAPE(n, kv, tk, dv), -1, 1);
    nn_id mask = NN_NONE, length = NN_NONE;
    if (nn_random_int(r, 0, 1))
        mask =
            nn_random_input(g, r, NN_SHAPE(nn_random_int(r, 0, 1) ? n : 1, nn_random_int(r, 0, 1) ? heads : 1, tq, tk),
                            -3, 3);
    if (nn_random_int(r, 0, 1))
        length = nn_random_ids(g, r, NN_SHAPE(1), tq, tk);
    return nn_attention(g, q, k, v, mask, length, &a);
}

const nn_op nn_op_attention = { .name = "attention",
                                .min_in = 3,
                                .max_in = 5,
                                .ints = 1 << 4,
                                .infer = infer,
                                .ref = ref,
                                .scratch = scratch,
                                .macs = macs,
                                .random = generate };
