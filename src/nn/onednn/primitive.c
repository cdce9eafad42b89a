/* oneDNN primitives as steps: made once, executed with the run's own memory objects. */
#include "nn/onednn/onednn.h"

#include <stdio.h>
#include <string.h>

int nn_dnnl_check(dnnl_status_t status, const char *what)
{
    if (status == dnnl_success)
        return 0;
    if (status == dnnl_out_of_memory)
        return sm_fail(SM_ENOMEM, "oneDNN has no memory for %s", what);
    return sm_fail(status == dnnl_unimplemented ? SM_EUNSUPPORTED : SM_EINTERNAL, "oneDNN refuses %s (status %d)", what,
                   (int)status);
}

/* Strides of dims in C order, or with axis 1 moved behind the others. */
void nn_dnnl_describe_dims(dnnl_memory_desc_t *d, int rank, const int64_t *dims, nn_dnnl_form form, bool bf16)
{
    static const dnnl_format_tag_t blocked[] = { dnnl_nCw16c, dnnl_nChw16c, dnnl_nCdhw16c };
    const bool last = form == NN_FORM_LAST;
    dnnl_dims_t size, stride;
    int64_t step = 1;

    for (int i = 0; i < rank; i++)
        size[i] = dims[i];
    if (form == NN_FORM_BLOCKED && rank >= 3 && rank <= 5) {
        dnnl_memory_desc_init_by_tag(d, rank, size, bf16 ? dnnl_bf16 : dnnl_f32, blocked[rank - 3]);
        return;
    }
    if (last && rank > 1) {
        stride[1] = 1;
        step = dims[1];
    }
    for (int i = rank - 1; i >= 0; i--) {
        if (last && i == 1)
            continue;
        stride[i] = step;
        step *= dims[i];
    }
    dnnl_memory_desc_init_by_strides(d, rank, size, bf16 ? dnnl_bf16 : dnnl_f32, stride);
}

void nn_dnnl_describe(dnnl_memory_desc_t *d, const nn_shape *s, const nn_dnnl_layout *layout)
{
    static const int64_t one = 1;

    if (s->rank == 0)
        nn_dnnl_describe_dims(d, 1, &one, false, layout && layout->bf16);
    else
        nn_dnnl_describe_dims(d, s->rank, s->dim, layout ? layout->form : NN_FORM_PLAIN, layout && layout->bf16);
}

static bool is_slow(const char *implementation)
{
    return !strncmp(implementation, "ref", 3);
}

int nn_dnnl_create(nn_dnnl_primitive *p, const void *op_desc, dnnl_primitive_attr_t attr, bool allow_slow)
{
    const char *name = "";
    int err;

    p->sum_in = -1;
    if (!p->engine && (err = nn_dnnl_check(dnnl_engine_create(&p->engine, dnnl_cpu, 0), "an engine")) < 0)
        return err;
    /* oneDNN's own scratchpad belongs to the thread that makes a primitive: others may not run it. Ours belongs to the run. */
    dnnl_primitive_attr_t own = NULL;
    if (!attr && (err = nn_dnnl_check(dnnl_primitive_attr_create(&own), "attributes")) < 0)
        return err;
    dnnl_primitive_attr_set_scratchpad_mode(attr ? attr : own, dnnl_scratchpad_mode_user);
    const dnnl_status_t status = dnnl_primitive_desc_create(&p->desc, op_desc, attr ? attr : own, p->engine, NULL);
    dnnl_primitive_attr_destroy(own);
    if (status == dnnl_out_of_memory)
        return sm_fail(SM_ENOMEM, "oneDNN has no memory for a primitive");
    if (status != dnnl_success)
        return SM_EUNSUPPORTED;
    dnnl_primitive_desc_query(p->desc, dnnl_query_impl_info_str, 0, &name);
    if (is_slow(name) && !allow_slow)
        return SM_EUNSUPPORTED;
    return nn_dnnl_check(dnnl_primitive_create(&p->primitive, p->desc), "a primitive");
}

const dnnl_memory_desc_t *nn_dnnl_query(const nn_dnnl_primitive *p, dnnl_query_t what, int index)
{
    return dnnl_primitive_desc_query_md(p->desc, what, index);
}

void nn_dnnl_add_arg(nn_dnnl_primitive *p, nn_dnnl_arg arg)
{
    if (p->n_args < NN_DNNL_MAX_ARGS)
        p->args[p->n_args++] = arg;
}

void nn_dnnl_destroy(void *state)
{
    nn_dnnl_primitive *p = state;

    if (p->next)
        nn_dnnl_destroy(p->next);
    dnnl_primitive_destroy(p->primitive);
    dnnl_primitive_desc_destroy(p->desc);
    dnnl_engine_destroy(p->engine);
    p->primitive = NULL;
    p->desc = NULL;
    p->engine = NULL;
}

int nn_dnnl_decline(nn_dnnl_primitive *p, nn_step *out, int err)
{
    if (err != 1 && err != SM_EUNSUPPORTED)
        return err;
    nn_dnnl_destroy(p);
    out->state = NULL;
    out->free_state = NULL;
    return 1;
}

int nn_dnnl_parts(nn_compiler *c, int64_t batch)
{
    const int64_t threads = nn_compiler_options(c)->threads;
    int64_t best = 1, least = batch;

    for (int64_t parts = 2; threads > 1 && parts <= batch && parts <= 256; parts++) {
        const int64_t longest = (parts + threads - 1) / threads * (batch / parts); /* what one thread does */
        if (batch % parts == 0 && longest < least) {
            least = longest;
            best = parts;
        }
    }
    omp_set_num_threads(1); /* oneDNN cuts a primitive's work for as many as it sees when it is made: reorders too */
    return (int)best;
}

/* A run state's own: memory objects carry pointers, so they cannot be shared; each worker has a set. */
typedef struct {
    dnnl_stream_t stream;
    dnnl_exec_arg_t args[NN_DNNL_MAX_ARGS];
    int n;
} worker_set;

typedef struct opened {
    struct opened *next; /* of the primitive's next */
    int workers;
    worker_set set[];
} opened;

static void close_primitive(void *own)
{
    opened *o = own;

    for (int w = 0; w < o->workers; w++) {
        for (int i = 0; i < o->set[w].n; i++)
            dnnl_memory_destroy(o->set[w].args[i].memory);
        dnnl_stream_destroy(o->set[w].stream);
    }
    if (o->next)
        close_primitive(o->next);
    sm_free(o);
}

static int open_set(const nn_dnnl_primitive *p, worker_set *o)
{
    int err = nn_dnnl_check(dnnl_stream_create(&o->stream, p->engine, dnnl_stream_default_flags), "a stream");

    for (int i = 0; err == 0 && i < p->n_args; i++) {
        const nn_dnnl_arg *a = &p->args[i];
        void *data = a->place == NN_ARG_FIXED ? (void *)(uintptr_t)a->fixed : DNNL_MEMORY_NONE;
        o->args[i].arg = a->arg;
        err = nn_dnnl_check(dnnl_memory_create(&o->args[i].memory, &a->desc, p->engine, data), "a tensor");
        o->n += err == 0;
    }
    return err;
}

static int open_one(const nn_dnnl_primitive *p, nn_exec *x, opened **own)
{
    const int workers = p->parts > 1 ? x->threads : 1;
    opened *o = sm_alloc_zero(1, sizeof *o + (size_t)workers * sizeof *o->set);
    int err = 0;

    if (!o)
        return SM_ENOMEM;
    for (; o->workers < workers && err == 0; o->workers++)
        err = open_set(p, &o->set[o->workers]);
    if (err < 0) {
        close_primitive(o);
        return err;
    }
    *own = o;
    return p->next ? open_one(p->next, x, &o->next) : 0;
}

static int open_primitive(const nn_step *s, nn_exec *x, void **own)
{
    opened *o = NULL;
    const int err = open_one(s->state, x, &o);

    if (err < 0 && o)
        close_primitive(o);
    else
        *own = o;
    return err;
}

typedef struct {
    const nn_step *step;
    nn_exec *x;
    const nn_dnnl_primitive *p;
    const opened *opened;
} part_job;

static size_t scratchpad_bytes(const dnnl_memory_desc_t *d)
{
    return (dnnl_memory_desc_get_size(d) + 63) / 64 * 64 + NN_DNNL_APART;
}

static char *data_of(const part_job *j, const nn_dnnl_arg *a, size_t part, int worker)
{
    if (a->place == NN_ARG_SCRATCH)
        return (char *)j->x->scratch + a->at + (size_t)worker * scratchpad_bytes(&a->desc);
    char *data = (char *)j->x->data[a->place == NN_ARG_IN ? j->step->in[a->in] : j->step->out] + a->at;
    return data + (a->whole ? 0 : part * dnnl_memory_desc_get_size(&a->desc));
}

static int run_part(void *user, size_t part, int worker)
{
    const part_job *j = user;
    const nn_dnnl_primitive *p = j->p;
    const worker_set *set = &j->opened->set[worker];
    const size_t bytes = p->sum_in >= 0 ? dnnl_memory_desc_get_size(&p->args[0].desc) : 0;

    if (p->sum_in >= 0 && j->x->data[j->step->out] != j->x->data[j->step->in[p->sum_in]])
        memcpy((char *)j->x->data[j->step->out] + part * bytes,
               (char *)j->x->data[j->step->in[p->sum_in]] + part * bytes, bytes);
    for (int i = 0; i < p->n_args; i++) {
        const nn_dnnl_arg *a = &p->args[i];
        if (a->place != NN_ARG_FIXED)
            dnnl_memory_set_data_handle(set->args[i].memory, data_of(j, a, part, worker));
    }
    return nn_dnnl_check(dnnl_primitive_execute(p->primitive, set->stream, p->n_args, set->args), j->step->kernel);
}

static int run_primitive(const nn_step *s, nn_exec *x)
{
    const nn_dnnl_primitive *p = s->state;
    part_job j = { s, x, p, x->own[s->index] };
    int err = 0;

    if (p->parts > 1)
        return nn_dnnl_parallel(x, (size_t)p->parts, run_part, &j);
    omp_set_num_threads(1);
    for (; j.p && err == 0; j.p = j.p->next, j.opened = j.opened->next)
        err = run_part(&j, 0, 0);
    return err;
}

void nn_dnnl_finish_step(nn_compiler *c, nn_dnnl_primitive *p, nn_step *out)
{
    const char *name = "dnnl";
    const dnnl_memory_desc_t *scratchpad = nn_dnnl_query(p, dnnl_query_scratchpad_md, 0);

    if (scratchpad && dnnl_memory_desc_get_size(scratchpad)) {
        nn_dnnl_add_arg(p, (nn_dnnl_arg){ .arg = DNNL_ARG_SCRATCHPAD, .place = NN_ARG_SCRATCH, .desc = *scratchpad });
        out->scratch = scratchpad_bytes(scratchpad) * (size_t)(p->parts > 1 ? nn_compiler_options(c)->threads : 1);
    }

    dnnl_primitive_desc_query(p->desc, dnnl_query_impl_info_str, 0, &name);
    out->state = p;
    out->free_state = nn_dnnl_destroy;
    out->run = run_primitive;
    out->open = open_primitive;
    out->close = close_primitive;
    out->kernel = name;
}

/* ---- packing ---- */

typedef struct {
    nn_id id;
    const dnnl_memory_desc_t *from, *to;
} reorder_job;

static int reorder_fill(nn_compiler *c, void *user, void *data)
{
    const reorder_job *job = user;
    dnnl_engine_t engine = NULL;
    dnnl_stream_t stream = NULL;
    dnnl_primitive_desc_t desc = NULL;
    dnnl_primitive_t primitive = NULL;
    dnnl_memory_t x = NULL, y = NULL;
    nn_tensor t;
    int err = nn_compiler_constant(c, job->id, &t);

    if (err < 0)
        return err;
    memset(data, 0, dnnl_memory_desc_get_size(job->to));
    if ((err = nn_dnnl_check(dnnl_engine_create(&engine, dnnl_cpu, 0), "an engine")) < 0 ||
        (err = nn_dnnl_check(dnnl_stream_create(&stream, engine, dnnl_stream_default_flags), "a stream")) < 0 ||
        (err = nn_dnnl_check(dnnl_memory_create(&x, job->from, engine, (void *)(uintptr_t)t.data), "weights")) < 0 ||
        (err = nn_dnnl_check(dnnl_memory_create(&y, job->to, engine, data), "weights")) < 0 ||
        (err = nn_dnnl_check(dnnl_reorder_primitive_desc_create(&desc, job->from, engine, job->to, engine, NULL),
                             "packing")) < 0 ||
        (err = nn_dnnl_check(dnnl_primitive_create(&primitive, desc), "packing")) < 0)
        goto out;
    const dnnl_exec_arg_t args[] = { { DNNL_ARG_FROM, x }, { DNNL_ARG_TO, y } };
    err = nn_dnnl_check(dnnl_primitive_execute(primitive, stream, 2, args), "packing");

out:
    dnnl_primitive_destroy(primitive);
    dnnl_primitive_desc_destroy(desc);
    dnnl_memory_destroy(x);
    dnnl_memory_destroy(y);
    dnnl_stream_destroy(stream);
    dnnl_engine_destroy(engine);
    return err;
}

int nn_dnnl_pack(nn_compiler *c, nn_id id, const dnnl_memory_desc_t *from, const dnnl_memory_desc_t *to,
                 const void **data)
{
    reorder_job job = { id, from, to };
    char key[48];

    snprintf(key, sizeof key, "dnnl %016llx %016llx", (unsigned long long)sm_fnv1a64(from, sizeof *from),
             (unsigned long long)sm_fnv1a64(to, sizeof *to));
    return nn_pack_get(c, id, key, dnnl_memory_desc_get_size(to), reorder_fill, &job, data);
}

/* ---- own loops on the run's threads ---- */

typedef struct {
    int (*item)(void *user, size_t i, int worker);
    void *user;
} parallel_job;

static int one_item(void *user, size_t i, int worker)
{
    const parallel_job *job = user;
    omp_set_num_threads(1);
    return job->item(job->user, i, worker);
}

int nn_dnnl_parallel(nn_exec *x, size_t n, int (*item)(void *user, size_t i, int worker), void *user)
{
    int err = 0;
    if (x->pool && n > 1) {
        parallel_job job = { item, user };
        return sm_pool_run(x->pool, n, one_item, &job);
    }
    omp_set_num_threads(1);
    for (size_t i = 0; i < n && err == 0; i++)
        err = item(user, i, 0);
    return err;
}
