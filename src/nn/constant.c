/* The numbers of constant expressions: computed only when someone asks, by the reference kernels. */
#include "nn/graph.h"

#include <math.h>
#include <string.h>

/* ---- stored numbers to f32 or i32 ---- */

static float from_bf16(uint16_t v)
{
    const uint32_t bits = (uint32_t)v << 16;
    float out;
    memcpy(&out, &bits, sizeof out);
    return out;
}

static float from_f16(uint16_t v)
{
    const int exponent = v >> 10 & 31, mantissa = v & 1023;
    const double sign = v >> 15 ? -1 : 1;
    if (exponent == 31)
        return mantissa ? NAN : (float)(sign * INFINITY);
    if (exponent == 0)
        return (float)(sign * ldexp(mantissa, -24));
    return (float)(sign * ldexp(1024 + mantissa, exponent - 25));
}

/* Element i as it is stored, unscaled. Reads by memcpy: tensors of a file may lie at odd addresses. */
static double stored(const nn_tensor *t, size_t i)
{
    const char *p = (const char *)t->data + i * nn_type_size(t->type);
    union {
        float f32;
        double f64;
        uint16_t u16;
        int16_t i16;
        int32_t i32;
        int64_t i64;
    } v;
    memcpy(&v, p, nn_type_size(t->type));
    switch (t->type) {
    case NN_F32:
        return v.f32;
    case NN_F64:
        return v.f64;
    case NN_F16:
        return from_f16(v.u16);
    case NN_BF16:
        return from_bf16(v.u16);
    case NN_I8:
        return *(const int8_t *)p;
    case NN_U8:
    case NN_BOOL:
        return *(const uint8_t *)p;
    case NN_I16:
        return v.i16;
    case NN_U16:
        return v.u16;
    case NN_I32:
        return v.i32;
    default:
        return (double)v.i64;
    }
}

static void convert_f32(const nn_tensor *t, size_t n, float *out)
{
    const size_t inner =
        t->scale && t->scale_axis >= 0 ? (size_t)nn_product(&t->shape, t->scale_axis + 1, t->shape.rank) : 1;
    if (t->type == NN_F32 && !t->scale) {
        memcpy(out, t->data, n * sizeof *out);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        double v = stored(t, i);
        if (t->scale) {
            const size_t c = t->scale_axis >= 0 ? i / inner % (size_t)t->shape.dim[t->scale_axis] : 0;
            v = (v - (t->zero ? t->zero[c] : 0)) * t->scale[c];
        }
        out[i] = (float)v;
    }
}

static void convert_i32(const nn_tensor *t, size_t n, int32_t *out)
{
    for (size_t i = 0; i < n; i++) {
        const double v = stored(t, i);
        out[i] = (int32_t)SM_CLAMP(v, (double)INT32_MIN, (double)INT32_MAX);
    }
}

/* A stored tensor as plain numbers: borrowed where it already is that, else converted into *owned. */
static int plain(const nn_node *n, nn_tensor *out, void **owned)
{
    const nn_tensor *t = &n->tensor;
    const size_t count = (size_t)nn_elements(&n->shape);

    *out = (nn_tensor){ .type = n->type, .shape = n->shape, .data = t->data, .scale_axis = -1 };
    if (t->type == n->type && !t->scale && (uintptr_t)t->data % 4 == 0)
        return 0;
    *owned = sm_alloc_aligned(count, 4);
    if (!*owned)
        return SM_ENOMEM;
    if (n->type == NN_F32)
        convert_f32(t, count, *owned);
    else
        convert_i32(t, count, *owned);
    out->data = *owned;
    return 0;
}

/* ---- expressions ---- */

typedef struct {
    nn_tensor tensor;
    void *owned;
    bool seen, done;
} number;

/* Computes one node whose inputs are done. */
static int compute(const nn_graph *g, nn_id id, number *all)
{
    const nn_node *n = nn_at(g, id);
    number *own = &all[id];
    nn_operand *in = NULL;
    void *scratch = NULL;
    int err = 0;

    if (n->op == &nn_op_const)
        return plain(n, &own->tensor, &own->owned);
    if (!n->op->ref)
        return sm_fail(SM_EINTERNAL, "%s cannot be computed while compiling", n->op->name);
    in = sm_alloc_zero((size_t)n->n_inputs + 1, sizeof *in);
    own->owned = sm_alloc_aligned((size_t)nn_elements(&n->shape), 4);
    if (!in || !own->owned) {
        err = SM_ENOMEM;
        goto out;
    }
    for (int i = 0; i < n->n_inputs; i++)
        if (n->inputs[i] != NN_NONE) {
            const nn_tensor *t = &all[n->inputs[i]].tensor;
            in[i] = (nn_operand){ t->type, t->shape, (void *)(uintptr_t)t->data };
        }
    nn_call call = { &n->attrs, in, n->n_own, { n->type, n->shape, own->owned }, NULL };
    if (n->op->scratch && !(scratch = sm_alloc_aligned(n->op->scratch(&call) + 1, 1))) {
        err = SM_ENOMEM;
        goto out;
    }
    call.scratch = scratch;
    n->op->ref(&call);
    nn_apply_posts(n->posts, n->n_posts, in, call.out);
    own->tensor = (nn_tensor){ .type = n->type, .shape = n->shape, .data = own->owned, .scale_axis = -1 };

out:
    sm_free(scratch);
    sm_free(in);
    return err;
}

/* Depth first with an own stack: each part of the expression is computed once. */
static int compute_all(const nn_graph *g, nn_id id, number *all, nn_id *stack)
{
    size_t depth = 0;
    stack[depth++] = id;
    while (depth > 0) {
        const nn_id top = stack[depth - 1];
        const nn_node *n = nn_at(g, top);
        bool ready = true;
        for (int i = 0; i < n->n_inputs && ready; i++) {
            const nn_id x = n->inputs[i];
            if (x == NN_NONE || all[x].done)
                continue;
            if (all[x].seen)
                return sm_fail(SM_EINTERNAL, "a constant depends on itself");
            all[x].seen = true;
            stack[depth++] = x;
            ready = false;
        }
        if (!ready)
            continue;
        const int err = compute(g, top, all);
        if (err < 0)
            return err;
        all[top].done = true;
        depth--;
    }
    return 0;
}

int nn_constant(const nn_graph *g, nn_id id, nn_tensor *out, void **owned)
{
    const nn_node *n = nn_at(g, id);
    const size_t size = (size_t)nn_graph_size(g);
    number *all = NULL;
    nn_id *stack = NULL;
    int err = 0;

    *owned = NULL;
    memset(out, 0, sizeof *out);
    if (!n || !n->identity)
        return sm_fail(SM_EUNSUPPORTED, "%s is not constant", n ? n->op->name : "a missing tensor");
    if (n->op == &nn_op_const) {
        err = plain(n, out, owned);
        return err;
    }
    all = sm_alloc_zero(size, sizeof *all);
    stack = sm_alloc(size + 1, sizeof *stack);
    if (!all || !stack) {
        err = SM_ENOMEM;
        goto out;
    }
    if ((err = compute_all(g, id, all, stack)) < 0)
        goto out;
    *out = all[id].tensor;
    *owned = all[id].owned;
    all[id].owned = NULL;

out:
    for (size_t i = 0; all && i < size; i++)
        sm_free(all[i].owned);
    sm_free(all);
    sm_free(stack);
    return err;
}

bool nn_constant_scalar(const nn_graph *g, nn_id id, double *out)
{
    const nn_node *n = nn_at(g, id);
    nn_tensor t;
    void *owned = NULL;

    if (!n || !n->identity || nn_elements(&n->shape) != 1 || nn_constant(g, id, &t, &owned) < 0)
        return false;
    *out = t.type == NN_F32 ? (double)*(const float *)t.data : (double)*(const int32_t *)t.data;
    sm_free(owned);
    return true;
}
