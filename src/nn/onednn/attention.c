/* Attention as a step: keys and values of all heads are packed side by side, then blocks of queries are computed side by side. How the
 * work is cut does not depend on the number of threads. */
#include "nn/onednn/attention.h"
#include "nn/onednn/onednn.h"

enum { FEW_QUERIES = 8 /* fewer are done one by one */, KEYS_PER_ITEM = 512 };

const nn_attention_kernel *nn_attention_best(bool bf16)
{
    sm_cpu_info cpu;

    sm_cpu_detect(&cpu);
    if (cpu.avx512 && cpu.avx512_bf16 && bf16)
        return &nn_attention_avx512_bf16;
    if (cpu.avx512)
        return &nn_attention_avx512;
    return cpu.avx2 && cpu.fma ? &nn_attention_avx2 : &nn_attention_base;
}

typedef struct {
    int64_t offset, n, h, t;
} place;

typedef struct {
    const nn_attention_kernel *kernel;
    int64_t batch, heads, kv_heads;
    nn_attention_head head; /* sizes and strides within a head; no pointers */
    place in[3], out;
    int mask, length; /* which inputs of the step; -1: none */
    int64_t mask_stride[NN_MAX_RANK];
    size_t keys, values, work; /* floats: of a packed head, of a worker */
    int64_t per_item;          /* queries */
} attention_state;

typedef struct {
    const attention_state *s;
    nn_attention_head head;
    const float *mask;
    const float *in[3];
    float *out;
    float *keys, *values, *work; /* all packed heads, all workers */
    int64_t items;               /* in a head */
} attention_job;

static const float *head_of(const float *data, const place *p, int64_t n, int64_t h)
{
    return data + p->offset + n * p->n + h * p->h;
}

static int pack_item(void *user, size_t i, int worker)
{
    const attention_job *j = user;
    const attention_state *s = j->s;
    const int64_t chunks = (j->head.visible + KEYS_PER_ITEM - 1) / KEYS_PER_ITEM, m = (int64_t)i / chunks,
                  first = (int64_t)i % chunks * KEYS_PER_ITEM;
    nn_attention_head head = j->head;

    (void)worker;
    head.k = head_of(j->in[1], &s->in[1], m / s->kv_heads, m % s->kv_heads);
    head.v = head_of(j->in[2], &s->in[2], m / s->kv_heads, m % s->kv_heads);
    s->kernel->pack(&head, first, first + KEYS_PER_ITEM, j->keys + (size_t)m * s->keys,
                    j->values + (size_t)m * s->values);
    return 0;
}

static int query_item(void *user, size_t i, int worker)
{
    const attention_job *j = user;
    const attention_state *s = j->s;
    const int64_t m = (int64_t)i / j->items, n = m / s->heads, h = m % s->heads, kv = h / (s->heads / s->kv_heads),
                  packed = n * s->kv_heads + kv, first = (int64_t)i % j->items * s->per_item;
    nn_attention_head head = j->head;
    float *work = j->work + (size_t)worker * s->work;

    head.q = head_of(j->in[0], &s->in[0], n, h);
    head.k = head_of(j->in[1], &s->in[1], n, kv);
    head.v = head_of(j->in[2], &s->in[2], n, kv);
    head.out = j->out + s->out.offset + n * s->out.n + h * s->out.h;
    if (j->mask)
        head.mask = j->mask + n * s->mask_stride[0] + h * s->mask_stride[1];
    if (s->per_item == 1)
        s->kernel->row(&head, first, work);
    else
        s->kernel->block(&head, j->keys + (size_t)packed * s->keys, j->values + (size_t)packed * s->values, first,
                         SM_MIN(head.tq - first, s->per_item), work);
    return 0;
}

static int run_attention(const nn_step *step, nn_exec *x)
{
    const attention_state *s = step->state;
    const size_t kv = (size_t)(s->batch * s->kv_heads);
    attention_job j = { .s = s, .head = s->head, .out = x->data[step->out], .keys = x->scratch };
    int err = 0;

    for (int i = 0; i < 3; i++)
        j.in[i] = x->data[step->in[i]];
    if (s->mask >= 0)
        j.mask = x->data[step->in[s->mask]];
    if (s->length >= 0)
        j.head.visible = SM_CLAMP(*(const int32_t *)x->data[step->in[s->length]], 0, s->head.tk);
    j.values = j.keys + kv * s->keys;
    j.work = j.values + kv * s->values;
    j.items = (s->head.tq + s->per_item - 1) / s->per_item;
    if (s->per_item > 1 && j.head.visible > 0)
        err = nn_dnnl_parallel(x, kv * (size_t)((j.head.visible + KEYS_PER_ITEM - 1) / KEYS_PER_ITEM), pack_item, &j);
    return err < 0 ? err : nn_dnnl_parallel(x, (size_t)(s->batch * s->heads * j.items), query_item, &j);
}

/* Sizes and strides of a plain node, in the terms of the fused one. */
static nn_attrs as_view(const nn_graph *g, const nn_node *n)
{
    nn_attrs a = n->attrs;

    if (n->op == &nn_op_attention_view)
        return a;
    const nn_shape *q = &nn_in(g, n, 0)->shape, *k = &nn_in(g, n, 1)->shape, *v = &nn_in(g, n, 2)->shape;
    a.attention_view.attention = n->attrs.attention;
    a.attention_view.batch = q->dim[0];
    a.attention_view.heads = q->dim[1];
    a.attention_view.kv_heads = k->dim[1];
    a.attention_view.tq = q->dim[2];
    a.attention_view.tk = k->dim[2];
    a.attention_view.d = q->dim[3];
    a.attention_view.dv = v->dim[3];
    a.attention_view.tokens = false;
    for (int i = 0; i < 3; i++) {
        const nn_shape *s = &nn_in(g, n, i)->shape;
        a.attention_view.view[i].offset = 0;
        a.attention_view.view[i].n = nn_product(s, 1, 4);
        a.attention_view.view[i].h = nn_product(s, 2, 4);
        a.attention_view.view[i].t = s->dim[3];
    }
    return a;
}

static void plan(const nn_attrs *a, bool bf16, attention_state *s)
{
    nn_attention_head *h = &s->head;

    s->kernel = nn_attention_best(bf16);
    s->batch = a->attention_view.batch;
    s->heads = a->attention_view.heads;
    s->kv_heads = a->attention_view.kv_heads;
    h->tq = a->attention_view.tq;
    h->tk = h->visible = a->attention_view.tk;
    h->d = a->attention_view.d;
    h->dv = a->attention_view.dv;
    h->scale = a->attention_view.attention.scale;
    h->causal = a->attention_view.attention.causal;
    for (int i = 0; i < 3; i++)
        s->in[i] = (place){ a->attention_view.view[i].offset, a->attention_view.view[i].n, a->attention_view.view[i].h,
                            a->attention_view.view[i].t };
    s->out = a->attention_view.tokens ? (place){ 0, h->tq * s->heads * h->dv, h->dv, s->heads * h->dv }
                                      : (place){ 0, h->tq * s->heads * h->dv, h->tq * h->dv, h->dv };
    h->q_row = s->in[0].t;
    h->k_row = s->in[1].t;
    h->v_row = s->in[2].t;
    h->out_row = s->out.t;
    s->per_item = h->tq < FEW_QUERIES ? 1 : NN_ATTENTION_BLOCK;
    if (s->per_item > 1) {
        s->keys = (s->kernel->packed_keys(h->tk, h->d) + 15) / 16 * 16;
        s->values = (s->kernel->packed_values(h->tk, h->dv) + 15) / 16 * 16;
    }
    /* workers keep a page between them: prefetchers would fetch the neighbour's lines */
    s->work = ((s->per_item > 1 ? s->kernel->block_work(h->d, h->dv) : (size_t)h->tk + 64) + 1024 + 15) / 16 * 16;
}

int nn_dnnl_attention_step(nn_compiler *c, nn_id node, nn_step *out)
{
    const nn_graph *g = nn_compiler_graph(c);
    const nn_node n = *nn_at(g, node);
    const nn_attrs a = as_view(g, &n);
    attention_state *s = sm_arena_zero(nn_compiler_arena(c), 1, sizeof *s);

    if (!s)
        return SM_ENOMEM;
    if (n.n_posts)
        return 1;
    plan(&a, nn_dnnl_uses_bf16(c), s);
    s->mask = s->length = -1;
    for (int i = 0; i < n.n_own; i++) {
        if (n.inputs[i] == NN_NONE)
            continue;
        const int32_t v = i < 4 ? nn_dnnl_want(c, out, n.inputs[i], false, false) : nn_want(c, n.inputs[i], NULL, 0);
        const int err = v < 0 ? v : i < 4 ? 0 : nn_reads(c, out, v);
        if (err < 0)
            return err;
        if (i == 3)
            s->mask = out->n_in - 1;
        else if (i == 4)
            s->length = out->n_in - 1;
    }
    if (s->mask >= 0) {
        const nn_shape scores = NN_SHAPE(s->batch, s->heads, s->head.tq, s->head.tk);
        nn_broadcast_strides(&nn_in(g, &n, 3)->shape, &scores, s->mask_stride);
        s->head.mask_row = s->mask_stride[2];
        s->head.mask_key = s->mask_stride[3];
    }
    out->scratch =
        ((size_t)(s->batch * s->kv_heads) * (s->keys + s->values) + (size_t)nn_compiler_options(c)->threads * s->work) *
        sizeof(float);
    out->run = run_attention;
    out->state = s;
    out->kernel = s->kernel->name;
    return 0;
}
