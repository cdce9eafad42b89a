/* `models run`: the bare network on given tensors, its outputs and traced layers out; also of graphs that are no model of ours. */
#include <string.h>

#include "models/model.h"

typedef struct {
    sm_view *view;
    nn_pack *pack;
    nn_plan *plan;
    nn_run_state *state;
    const void **inputs;
    float **outputs;
    sm_named *given;
    size_t n_given, cap_given;
} bare;

static void bare_close(bare *b)
{
    const int n = b->plan ? nn_plan_outputs(b->plan) : 0;
    for (int i = 0; b->outputs && i < n; i++)
        sm_free(b->outputs[i]);
    sm_free(b->outputs);
    sm_free(b->inputs);
    nn_run_state_free(b->state);
    nn_plan_free(b->plan);
    nn_pack_free(b->pack);
    sm_view_close(b->view);
    sm_named_free(b->given, b->n_given);
}

void sm_named_free(sm_named *list, size_t n)
{
    for (size_t i = 0; list && i < n; i++)
        sm_free((void *)(uintptr_t)list[i].tensor.data);
    sm_free(list);
}

/* ---- which tensor is which input ---- */
static const sm_named *find_input(const sm_named *in, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++) {
        const char *given = strncmp(in[i].name, "in.", 3) ? in[i].name : in[i].name + 3;
        if (!strcmp(given, name))
            return &in[i];
    }
    return NULL;
}

/* Of all tensors of a golden file, the inputs are those called in.NAME, or the only one. */
static const sm_named *only_input(const sm_named *in, size_t n)
{
    const sm_named *found = NULL;
    if (n == 1)
        return in;
    for (size_t i = 0; i < n; i++)
        if (!strncmp(in[i].name, "in.", 3)) {
            if (found)
                return NULL;
            found = &in[i];
        }
    return found;
}

static int no_input(const char *label, const char *name)
{
    return sm_fail(SM_ENOTFOUND, "%s: no tensor for the network's input \"%s\" (give it under that name, or as in.%s)",
                   label, name, name);
}

/* ---- building ---- */
static int build_model(const sm_model *m, bare *b, const sm_run_options *o, const sm_named *in, size_t n, nn_graph *g)
{
    char text[512];
    const sm_named *x = only_input(in, n);
    sm_model_config c = { .variant = o->variant, .text = o->config };
    int err = sm_config_check(&c, m->config_keys);
    if (err < 0)
        return err;
    if (!x)
        for (size_t i = 0; i < n && !x; i++)
            x = in[i].tensor.shape.rank > 0 ? &in[i] : NULL;
    if (!x || x->tensor.shape.rank == 0 || x->tensor.shape.dim[0] < 1 || x->tensor.shape.dim[0] > 65536)
        return sm_fail(SM_EFORMAT, "%s: the batch is the first dimension of the input, which has none", m->name);
    c.batch = (int)x->tensor.shape.dim[0];
    if (o->taps && m->binding && sm_view_graph(b->view)) { /* every node of a graph is traced */
        snprintf(text, sizeof text, "%s%stap_all=1", o->config ? o->config : "", o->config ? "," : "");
        c.text = text;
    }
    return m->build(g, m, b->view, &c);
}

static int build_foreign(bare *b, const sm_run_options *o, const sm_named *in, size_t n, nn_graph *g)
{
    const sm_foreign_graph *f = sm_view_graph(b->view);
    const nn_source w = sm_view_source(b->view);
    nn_shape *shapes;
    nn_tensor t;
    int err;
    if (!f)
        return sm_fail(SM_EUNSUPPORTED,
                       "%s: of no known model, and without a graph of its own (.onnx, .pb, TensorFlow.js)", w.label);
    shapes = sm_alloc_zero(f->n_inputs + 1, sizeof *shapes);
    if (!shapes)
        return SM_ENOMEM;
    size_t real = 0;
    for (size_t i = 0; i < f->n_inputs; i++)
        real += w.get(w.user, f->inputs[i].name, NULL, &t) < 0;
    for (size_t i = 0; i < f->n_inputs; i++) {
        const sm_named *x = find_input(in, n, f->inputs[i].name);
        if (!x && real == 1)
            x = only_input(in, n);
        shapes[i] = x ? x->tensor.shape : f->inputs[i].shape;
    }
    const sm_import_options options = { .batch = 1, .tap_all = o->taps, .input_shapes = shapes };
    err = sm_import_graph(g, f, &w, &options);
    sm_free(shapes);
    return err;
}

static int compile(const sm_model *m, bare *b, const sm_run_options *o, const sm_named *in, size_t n)
{
    const nn_compile_options c = { .backend = o->backend,
                                   .precision = o->precision == NN_PRECISION_AUTO ? NN_PRECISION_F32 : o->precision,
                                   .threads = o->threads,
                                   .taps = o->taps,
                                   .emulate = o->emulate };
    nn_graph *g = nn_graph_new();
    int err = g ? m ? build_model(m, b, o, in, n, g) : build_foreign(b, o, in, n, g) : SM_ENOMEM;
    if (err == 0)
        err = nn_compile(g, &c, &b->plan);
    nn_graph_free(g);
    return err;
}

/* ---- running ---- */
static int bind(bare *b, const char *label, const sm_named *in, size_t n)
{
    const int n_in = nn_plan_inputs(b->plan), n_out = nn_plan_outputs(b->plan);
    b->inputs = sm_alloc_zero((size_t)n_in, sizeof *b->inputs);
    b->outputs = sm_alloc_zero((size_t)n_out, sizeof *b->outputs);
    if (!b->inputs || !b->outputs)
        return SM_ENOMEM;
    for (int i = 0; i < n_in; i++) {
        const char *name = nn_plan_input_name(b->plan, i);
        const nn_shape s = nn_plan_input_shape(b->plan, i);
        const sm_named *x = find_input(in, n, name);
        char is[96], wanted[96];
        if (!x && n_in == 1)
            x = only_input(in, n);
        if (!x)
            return no_input(label, name);
        if (nn_elements(&s) != nn_elements(&x->tensor.shape) || x->tensor.type != nn_plan_input_type(b->plan, i))
            return sm_fail(SM_EFORMAT, "%s: input %s is %s %s, expected %s %s", label, x->name,
                           nn_type_name(x->tensor.type), nn_shape_text(&x->tensor.shape, is),
                           nn_type_name(nn_plan_input_type(b->plan, i)), nn_shape_text(&s, wanted));
        b->inputs[i] = x->tensor.data;
    }
    for (int i = 0; i < n_out; i++) {
        const nn_shape s = nn_plan_output_shape(b->plan, i);
        if (!(b->outputs[i] = sm_alloc_aligned((size_t)SM_MAX(nn_elements(&s), 1), sizeof(float))))
            return SM_ENOMEM;
    }
    return 0;
}

static int keep(bare *b, const char *prefix, const char *name, const nn_shape *s, const float *data)
{
    const size_t n = (size_t)nn_elements(s);
    sm_named *x;
    float *copy;
    if (sm_grow(&b->given, &b->cap_given, b->n_given + 1, sizeof *b->given) < 0 || !(copy = sm_alloc(n, sizeof *copy)))
        return SM_ENOMEM;
    memcpy(copy, data, n * sizeof *copy);
    x = &b->given[b->n_given++];
    snprintf(x->name, sizeof x->name, "%s%s", prefix, name);
    x->tensor = (nn_tensor){ .type = NN_F32, .shape = *s, .data = copy, .scale_axis = -1 };
    return 0;
}

static int keep_results(bare *b, bool taps)
{
    int err = 0;
    for (int i = 0; i < nn_plan_outputs(b->plan) && err == 0; i++) {
        const nn_shape s = nn_plan_output_shape(b->plan, i);
        err = keep(b, "out.", nn_plan_output_name(b->plan, i), &s, b->outputs[i]);
    }
    for (int i = 0; taps && i < nn_plan_taps(b->plan) && err == 0; i++) {
        const char *name;
        nn_tensor t;
        if ((err = nn_run_tap(b->plan, b->state, i, &name, &t)) == 0)
            err = keep(b, "", name, &t.shape, t.data);
    }
    return err;
}

int sm_model_run_tensors(const sm_model *m, sm_weights *w, const sm_run_options *o, const sm_named *in, size_t n_in,
                         sm_named **out, size_t *n_out)
{
    const sm_run_options standard = { 0 };
    bare b = { 0 };
    int err;

    *out = NULL;
    *n_out = 0;
    o = o ? o : &standard;
    if ((err = sm_view_open(m, w, o->variant, &b.view)) < 0 || (err = compile(m, &b, o, in, n_in)) < 0 ||
        (err = nn_run_state_new(b.plan, &b.state)) < 0 || (err = bind(&b, sm_weights_label(w), in, n_in)) < 0 ||
        (err = nn_run(b.plan, b.state, b.inputs, b.outputs)) < 0 || (err = keep_results(&b, o->taps)) < 0)
        goto out;
    *out = b.given;
    *n_out = b.n_given;
    b.given = NULL;
    b.n_given = 0;
out:
    bare_close(&b);
    return err;
}

/* ---- files ---- */
static int read_inputs(const char *path, sm_named **out, size_t *n)
{
    sm_weights *w;
    sm_named *list = NULL;
    size_t count;
    int err = sm_weights_open(path, &w);
    *out = NULL;
    *n = 0;
    if (err < 0)
        return err;
    count = sm_weights_count(w);
    list = sm_alloc_zero(count, sizeof *list);
    for (size_t i = 0; list && i < count && err == 0; i++) {
        nn_tensor t;
        const char *name = sm_weights_name(w, i);
        if ((err = sm_weights_at(w, i, &t)) < 0)
            break;
        const bool ids = t.type == NN_I32;
        if (!ids && (err = sm_weights_get_f32(w, name, NULL, &t)) < 0)
            break;
        const size_t bytes = (size_t)nn_elements(&t.shape) * 4;
        void *copy = sm_alloc(bytes, 1);
        if (!copy) {
            err = SM_ENOMEM;
            break;
        }
        memcpy(copy, t.data, bytes);
        snprintf(list[i].name, sizeof list[i].name, "%s", name);
        list[i].tensor = (nn_tensor){ .type = ids ? NN_I32 : NN_F32, .shape = t.shape, .data = copy, .scale_axis = -1 };
    }
    sm_weights_close(w);
    if (!list || err < 0) {
        sm_named_free(list, list ? count : 0);
        return err < 0 ? err : SM_ENOMEM;
    }
    *out = list;
    *n = count;
    return 0;
}

static int write_results(const char *path, const sm_model *m, sm_weights *w, const sm_named *list, size_t n)
{
    sm_safetensors_writer *f;
    int err = sm_safetensors_writer_open(path, &f);
    if (err < 0)
        return err;
    err = sm_safetensors_writer_meta(f, "model", m ? m->name : "graph");
    if (err == 0)
        err = sm_safetensors_writer_meta(f, "weights", sm_weights_label(w));
    for (size_t i = 0; i < n && err == 0; i++)
        err = sm_safetensors_writer_add(f, list[i].name, &list[i].tensor);
    if (err == 0)
        return sm_safetensors_writer_commit(f);
    sm_safetensors_writer_abandon(f);
    return err;
}

int sm_model_run_bare(const sm_model *m, sm_weights *w, const sm_run_options *o, const char *in_path,
                      const char *out_path)
{
    sm_named *in = NULL, *out = NULL;
    size_t n_in = 0, n_out = 0;
    int err = read_inputs(in_path, &in, &n_in);
    if (err == 0)
        err = sm_model_run_tensors(m, w, o, in, n_in, &out, &n_out);
    if (err == 0)
        err = write_results(out_path, m, w, out, n_out);
    sm_named_free(in, n_in);
    sm_named_free(out, n_out);
    return err;
}
