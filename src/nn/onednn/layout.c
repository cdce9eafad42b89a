/* Plain order and channels last, in f32 and bf16; moving between them. */
#include "nn/onednn/onednn.h"

/* by form and bf16 */
static const nn_dnnl_layout layouts[3][2] = {
    { { NN_FORM_PLAIN, false, NULL, NULL }, { NN_FORM_PLAIN, true, NULL, NULL } },
    { { NN_FORM_LAST, false, NULL, NULL }, { NN_FORM_LAST, true, NULL, NULL } },
    { { NN_FORM_BLOCKED, false, NULL, NULL }, { NN_FORM_BLOCKED, true, NULL, NULL } },
};

const nn_dnnl_layout *nn_dnnl_layout_for(const nn_shape *s, nn_dnnl_form form, bool bf16)
{
    if (s->rank < 3 || s->rank > 5 || s->dim[1] == 1 || nn_product(s, 2, s->rank) == 1)
        form = NN_FORM_PLAIN;
    return form == NN_FORM_PLAIN && !bf16 ? NULL : &layouts[form][bf16];
}

size_t nn_dnnl_bytes(const nn_shape *s, const nn_dnnl_layout *layout)
{
    if (layout && layout->packed)
        return dnnl_memory_desc_get_size(layout->packed);
    return (size_t)nn_elements(s) * (layout && layout->bf16 ? 2 : 4);
}

bool nn_dnnl_layout_equal(const void *a, const void *b)
{
    const nn_dnnl_layout *x = a, *y = b;
    if (!x->packed || !y->packed)
        return !x->packed && !y->packed && x->form == y->form && x->bf16 == y->bf16;
    return dnnl_memory_desc_equal(x->packed, y->packed) && dnnl_memory_desc_equal(x->plain, y->plain);
}

int32_t nn_dnnl_want(nn_compiler *c, nn_step *s, nn_id id, nn_dnnl_form form, bool bf16)
{
    const nn_shape shape = nn_at(nn_compiler_graph(c), id)->shape;
    const nn_dnnl_layout *layout = nn_dnnl_layout_for(&shape, form, bf16);
    const int32_t v = nn_want(c, id, layout, nn_dnnl_bytes(&shape, layout));
    const int err = v < 0 ? v : nn_reads(c, s, v);

    return err < 0 ? err : v;
}

void nn_dnnl_gives(nn_compiler *c, nn_step *s, nn_id node, nn_dnnl_form form, bool bf16)
{
    const nn_shape *shape = &nn_at(nn_compiler_graph(c), node)->shape;
    const nn_dnnl_layout *layout = nn_dnnl_layout_for(shape, form, bf16);

    nn_gives(c, s, layout, nn_dnnl_bytes(shape, layout));
}

static const nn_dnnl_layout *layout_of(nn_compiler *c, nn_id id)
{
    const int32_t v = nn_value_of(c, id);
    return v < 0 ? NULL : nn_value_at(c, v)->layout;
}

bool nn_dnnl_is_last(nn_compiler *c, nn_id id)
{
    const nn_dnnl_layout *layout = layout_of(c, id);
    return layout && layout->form == NN_FORM_LAST;
}

nn_dnnl_form nn_dnnl_form_of(nn_compiler *c, nn_id id)
{
    const nn_dnnl_layout *layout = layout_of(c, id);
    return layout ? layout->form : NN_FORM_PLAIN;
}

int32_t nn_dnnl_want_packed(nn_compiler *c, nn_step *s, nn_id id, const dnnl_memory_desc_t *plain,
                            const dnnl_memory_desc_t *packed)
{
    nn_dnnl_layout *layout = sm_arena_zero(nn_compiler_arena(c), 1, sizeof *layout);
    dnnl_memory_desc_t *descs = sm_arena_zero(nn_compiler_arena(c), 2, sizeof *descs);
    const nn_shape shape = nn_at(nn_compiler_graph(c), id)->shape;
    if (!layout || !descs)
        return SM_ENOMEM;
    if (layout_of(c, id))
        return 1;
    descs[0] = *packed;
    descs[1] = *plain;
    layout->packed = &descs[0];
    layout->plain = &descs[1];
    const bool same = dnnl_memory_desc_equal(plain, packed);
    const int32_t v = nn_want(c, id, same ? NULL : layout, nn_dnnl_bytes(&shape, same ? NULL : layout));
    const int err = v < 0 ? v : nn_reads(c, s, v);
    return err < 0 ? err : 0;
}

bool nn_dnnl_is_bf16(nn_compiler *c, nn_id id)
{
    const nn_dnnl_layout *layout = layout_of(c, id);
    return layout && layout->bf16;
}

nn_shape nn_dnnl_memory_shape(const nn_shape *s, bool last)
{
    nn_shape m = *s;

    if (!last || s->rank < 3)
        return m;
    for (int i = 2; i < s->rank; i++)
        m.dim[i - 1] = s->dim[i];
    m.dim[s->rank - 1] = s->dim[1];
    return m;
}

nn_shape nn_dnnl_form_shape(const nn_shape *s, nn_dnnl_form form)
{
    nn_shape m = nn_dnnl_memory_shape(s, form != NN_FORM_PLAIN);
    if (form != NN_FORM_BLOCKED)
        return m;
    const int64_t channels = s->dim[1], block = channels == 1 ? 1 : NN_BLOCK;
    m = (nn_shape){ .rank = s->rank + 1 };
    m.dim[0] = s->dim[0];
    m.dim[1] = channels / block;
    for (int i = 2; i < s->rank; i++)
        m.dim[i] = s->dim[i];
    m.dim[s->rank] = block;
    return m;
}

int nn_dnnl_memory_axis(int axis, int rank, bool last)
{
    if (!last || rank < 3 || axis == 0)
        return axis;
    return axis == 1 ? rank - 1 : axis - 1;
}

int nn_dnnl_reorder(nn_compiler *c, int32_t from, int32_t to, nn_step *out)
{
    const nn_value a = *nn_value_at(c, from), b = *nn_value_at(c, to);
    nn_dnnl_primitive *p = sm_arena_zero(nn_compiler_arena(c), 1, sizeof *p);
    dnnl_memory_desc_t x, y;
    dnnl_primitive_attr_t attr = NULL;
    int err;

    if (!p)
        return SM_ENOMEM;
    p->sum_in = -1;
    out->state = p;
    out->free_state = nn_dnnl_destroy;
    const nn_dnnl_layout *packed = b.layout;
    if (packed && packed->packed) {
        nn_dnnl_parts(c, 1);
        x = *packed->plain;
        y = *packed->packed;
    } else {
        p->parts = nn_dnnl_parts(c, a.shape.rank > 0 ? a.shape.dim[0] : 1);
        nn_shape part = a.shape;
        part.dim[0] /= p->parts;
        nn_dnnl_describe(&x, &part, a.layout);
        nn_dnnl_describe(&y, &part, b.layout);
    }
    if ((err = nn_dnnl_check(dnnl_engine_create(&p->engine, dnnl_cpu, 0), "an engine")) < 0 ||
        (err = nn_dnnl_check(dnnl_primitive_attr_create(&attr), "attributes")) < 0)
        return err;
    dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user); /* see nn_dnnl_create */
    err = nn_dnnl_check(dnnl_reorder_primitive_desc_create(&p->desc, &x, p->engine, &y, p->engine, attr), "a reorder");
    dnnl_primitive_attr_destroy(attr);
    if (err < 0 || (err = nn_dnnl_check(dnnl_primitive_create(&p->primitive, p->desc), "a reorder")) < 0)
        return err;
    nn_dnnl_add_arg(p, (nn_dnnl_arg){ .arg = DNNL_ARG_FROM, .place = NN_ARG_IN, .in = 0, .desc = x });
    nn_dnnl_add_arg(p, (nn_dnnl_arg){ .arg = DNNL_ARG_TO, .place = NN_ARG_OUT, .desc = y });
    nn_dnnl_finish_step(c, p, out);
    return 0;
}
