/* The network while it learns: parameters, plan, runs. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "train/network.h"
#include "train/random.h"

/* ---- first values ---- */

static bool ends(const char *name, const char *end)
{
    return sm_text_has_suffix(name, end);
}

/* He et al. 2015: kernels and matrices normal with variance 2 / fan_in; norms 1 and 0; running variance 1. */
static void fill(uint64_t seed, const char *name, const nn_shape *shape, float *x, size_t n)
{
    if (shape->rank < 2) {
        const float v = ends(name, ".weight") || ends(name, "running_var") ? 1 : 0;
        for (size_t i = 0; i < n; i++)
            x[i] = v;
        return;
    }
    double fan_in = 1;
    for (int i = 1; i < shape->rank; i++)
        fan_in *= (double)shape->dim[i];
    /* logits begin small: all classes alike */
    const double scale = sqrt(2 / fan_in) * (strncmp(name, "head.", 5) == 0 ? 0.1 : 1);
    train_random r = train_random_of(name, seed, 0, 0);
    for (size_t i = 0; i < n; i++)
        x[i] = (float)(scale * train_normal(&r));
}

const train_head *train_network_head(const train_network *n, const char *tensor)
{
    for (size_t i = 0; i < n->n_heads && !strncmp(tensor, "head.", 5); i++) {
        const size_t k = strlen(n->heads[i].name);
        if (!strncmp(tensor + 5, n->heads[i].name, k) && tensor[5 + k] == '.')
            return &n->heads[i];
    }
    return NULL;
}

static bool has_base(const train_network *net, const char *tensor)
{
    const train_head *h = train_network_head(net, tensor);
    if (!net->base.weights.get)
        return false;
    return net->base.whole ? !h || h->known : sm_classifier_is_base(net->arch, tensor);
}

/* The base's own numbers where it has some. */
static int first_values(train_network *net, const train_tensor *t, float *x)
{
    nn_tensor from;
    if (!has_base(net, t->name)) {
        fill(net->seed, t->name, &t->shape, x, t->n);
        return 0;
    }
    const int err = net->base.weights.get(net->base.weights.user, t->name, &t->shape, &from);
    if (err < 0)
        return err;
    if (from.type != NN_F32)
        return sm_fail(SM_EINTERNAL, "%s: %s is not f32", net->base.weights.label, t->name);
    memcpy(x, from.data, t->n * sizeof *x);
    return 0;
}

static int initial_get(void *user, const char *name, const nn_shape *expected, nn_tensor *out)
{
    train_network *net = user;
    const size_t n = (size_t)nn_elements(expected);
    float *x = sm_arena_get(net->arena, n, sizeof *x, 64);
    if (!x)
        return SM_ENOMEM;
    fill(net->seed, name, expected, x, n);
    *out = (nn_tensor){ .type = NN_F32, .shape = *expected, .data = x, .scale_axis = -1 };
    return 0;
}

/* ---- the graph ---- */
static int build(train_network *net, nn_graph *g)
{
    const sm_classifier_arch *a = net->arch;
    nn_graph_train(g);
    const nn_id x = nn_input(g, "patches", NN_SHAPE(TRAIN_SHARD, sm_classifier_frames(a), sm_classifier_bands(a)));
    nn_id embedding = sm_classifier_embedding(g, &net->initial, a, x), loss = NN_NONE;
    if (a->dropout > 0)
        embedding = nn_dropout(g, embedding, a->dropout);
    for (size_t i = 0; i < net->n_heads; i++) {
        const train_head *h = &net->heads[i];
        const int64_t classes = (int64_t)h->n_classes;
        const nn_id targets = nn_input(g, nn_name(g, "targets.%s", h->name), NN_SHAPE(TRAIN_SHARD, classes));
        const nn_id weights = nn_input(g, nn_name(g, "weights.%s", h->name), NN_SHAPE(TRAIN_SHARD));
        const nn_id logits = sm_classifier_logits(g, &net->initial, h->name, classes, embedding);
        const nn_id one = nn_cross_entropy(g, logits, targets, weights);
        loss = loss == NN_NONE ? one : nn_binary(g, NN_ADD, loss, one);
    }
    nn_output(g, "loss", loss);
    return nn_backward(g, loss);
}

/* ---- ports ---- */
/* "layer12.depthwise.weight": its depth from the top. */
static float pace_of(const train_network *net, const char *name)
{
    if (!has_base(net, name))
        return 1;
    if (net->base.whole)
        return (float)net->base.pace;
    const int layer = (int)strtol(name + strlen("layer"), NULL, 10);
    return layer <= net->base.frozen ? 0
                                     : (float)(net->base.pace * pow(net->base.slower, net->arch->base->layers - layer));
}

static int new_tensor(train_network *net, const char *name, nn_shape shape, size_t *length, train_tensor *out)
{
    *out = (train_tensor){ .name = sm_arena_strdup(net->arena, name),
                           .shape = shape,
                           .n = (size_t)nn_elements(&shape),
                           .at = *length,
                           .decays = shape.rank >= 2,
                           .pace = pace_of(net, name),
                           .input = -1,
                           .output = -1 };
    *length += (out->n + 15) / 16 * 16; /* rows of one cache line */
    return out->name ? 0 : SM_ENOMEM;
}

static int find_output(const nn_plan *p, const char *prefix, const char *name)
{
    const size_t k = strlen(prefix);
    for (int i = 0; i < nn_plan_outputs(p); i++)
        if (!strncmp(nn_plan_output_name(p, i), prefix, k) && !strcmp(nn_plan_output_name(p, i) + k, name))
            return i;
    return -1;
}

/* What of the plan's inputs is ours to fill; the others are parameters. */
static bool is_ours(train_network *net, int i, const char *name)
{
    if (!strcmp(name, "patches"))
        net->at_patches = i;
    else if (!strcmp(name, "dropout_seed"))
        net->at_seed = i;
    else {
        for (size_t h = 0; h < net->n_heads; h++) {
            const bool targets = !strncmp(name, "targets.", 8) && !strcmp(name + 8, net->heads[h].name);
            const bool weights = !strncmp(name, "weights.", 8) && !strcmp(name + 8, net->heads[h].name);
            if (targets)
                net->at_targets[h] = i;
            if (weights)
                net->at_weights[h] = i;
            if (targets || weights)
                return true;
        }
        return false;
    }
    return true;
}

static int find_ports(train_network *net)
{
    const nn_plan *p = net->plan;
    const size_t most_in = (size_t)nn_plan_inputs(p), most_out = (size_t)nn_plan_outputs(p);
    int err = 0;
    net->parameters = sm_arena_zero(net->arena, most_in, sizeof *net->parameters);
    net->stats = sm_arena_zero(net->arena, most_out, sizeof *net->stats);
    if (!net->parameters || !net->stats)
        return SM_ENOMEM;
    for (int i = 0; i < (int)most_in && err == 0; i++) {
        const char *name = nn_plan_input_name(p, i);
        if (is_ours(net, i, name))
            continue;
        train_tensor *t = &net->parameters[net->n_parameters++];
        err = new_tensor(net, name, nn_plan_input_shape(p, i), &net->length, t);
        t->input = i;
        if (err == 0 && (t->output = find_output(p, "grad.", name)) < 0)
            err = sm_fail(SM_EINTERNAL, "the parameter %s has no gradient", name);
    }
    for (int i = 0; i < (int)most_out && err == 0; i++) {
        const char *name = nn_plan_output_name(p, i);
        if (strncmp(name, "stat.", 5) != 0)
            continue;
        train_tensor *t = &net->stats[net->n_stats++];
        err = new_tensor(net, name + 5, nn_plan_output_shape(p, i), &net->stats_length, t);
        t->output = i;
    }
    net->at_loss = find_output(p, "loss", "");
    return err;
}

/* The row as it learns. */
static const sm_classifier_arch *while_learning(sm_arena *arena, const sm_classifier_arch *a)
{
    sm_classifier_arch *copy = sm_arena_get(arena, 1, sizeof *copy, _Alignof(sm_classifier_arch));
    if (copy) {
        *copy = *a;
        copy->norm |= a->norm_in_training;
    }
    return copy;
}

int train_network_open(const sm_classifier_arch *a, const train_head *heads, size_t n_heads, uint64_t seed,
                       const train_base *base, train_network *out)
{
    nn_graph *g = NULL;
    int err = SM_ENOMEM;
    *out = (train_network){ .n_heads = n_heads, .seed = seed, .at_patches = -1, .at_seed = -1 };
    memcpy(out->heads, heads, n_heads * sizeof *heads);
    out->picture = (size_t)sm_classifier_frames(a) * (size_t)sm_classifier_bands(a);
    if (base)
        out->base = *base;
    out->arena = sm_arena_new();
    out->initial = (nn_source){ initial_get, out, "first values" };
    if (out->arena && (out->arch = while_learning(out->arena, a)) && (g = nn_graph_new()))
        err = build(out, g);
    if (err == 0)
        err = nn_compile(g, &(nn_compile_options){ .threads = 1 }, &out->plan);
    if (err == 0)
        err = find_ports(out);
    nn_graph_free(g);
    if (err < 0)
        train_network_close(out);
    return err < 0 ? sm_fail_prefix(err, "architecture %s", a->name) : 0;
}

void train_network_close(train_network *n)
{
    nn_plan_free(n->plan);
    sm_arena_free(n->arena);
    *n = (train_network){ 0 };
}

int train_network_initial(train_network *n, float *parameters, float *stats)
{
    memset(parameters, 0, n->length * sizeof *parameters);
    memset(stats, 0, n->stats_length * sizeof *stats);
    int err = 0;
    for (size_t i = 0; i < n->n_parameters && err == 0; i++)
        err = first_values(n, &n->parameters[i], parameters + n->parameters[i].at);
    for (size_t i = 0; i < n->n_stats && err == 0; i++)
        err = first_values(n, &n->stats[i], stats + n->stats[i].at);
    return err;
}

int train_network_recall(train_network *n, double share, float *parameters)
{
    float *first = sm_alloc_aligned(n->length, sizeof *first),
          *stats = sm_alloc_aligned(n->stats_length + 1, sizeof *stats);
    int err = first && stats ? train_network_initial(n, first, stats) : SM_ENOMEM;
    for (size_t i = 0; i < n->n_parameters && err == 0; i++) {
        const train_tensor *t = &n->parameters[i];
        for (size_t k = t->at; k < t->at + t->n && has_base(n, t->name); k++)
            parameters[k] = (float)((1 - share) * parameters[k] + share * first[k]);
    }
    sm_free(first);
    sm_free(stats);
    return err;
}

/* ---- shards ---- */
int train_shard_new(const train_network *n, train_shard *s)
{
    *s = (train_shard){ 0 };
    s->patches = sm_alloc_aligned(TRAIN_SHARD * n->picture, sizeof *s->patches);
    s->gradients = sm_alloc_aligned(n->length, sizeof *s->gradients);
    s->stats = sm_alloc_aligned(n->stats_length + 1, sizeof *s->stats);
    bool all = s->patches && s->gradients && s->stats;
    if (all) { /* the padding between tensors is summed as well */
        memset(s->gradients, 0, n->length * sizeof *s->gradients);
        memset(s->stats, 0, n->stats_length * sizeof *s->stats);
    }
    for (size_t h = 0; h < n->n_heads; h++) {
        s->targets[h] = sm_alloc_aligned(TRAIN_SHARD * n->heads[h].n_classes, sizeof(float));
        s->weights[h] = sm_alloc_aligned(TRAIN_SHARD, sizeof(float));
        all = all && s->targets[h] && s->weights[h];
    }
    return all ? 0 : SM_ENOMEM;
}

void train_shard_free(train_shard *s)
{
    sm_free(s->patches);
    sm_free(s->gradients);
    sm_free(s->stats);
    for (size_t h = 0; h < TRAIN_HEADS; h++) {
        sm_free(s->targets[h]);
        sm_free(s->weights[h]);
    }
    *s = (train_shard){ 0 };
}

struct train_runner {
    const train_network *network;
    nn_run_state *state;
    const void **inputs;
    float **outputs;
};

int train_runner_new(const train_network *n, train_runner **out)
{
    train_runner *r = sm_alloc_zero(1, sizeof *r);
    int err = r ? nn_run_state_new(n->plan, &r->state) : SM_ENOMEM;
    *out = r;
    if (err == 0) {
        r->network = n;
        r->inputs = sm_alloc_zero((size_t)nn_plan_inputs(n->plan), sizeof *r->inputs);
        r->outputs = sm_alloc_zero((size_t)nn_plan_outputs(n->plan), sizeof *r->outputs);
        err = r->inputs && r->outputs ? 0 : SM_ENOMEM;
    }
    if (err < 0) {
        train_runner_free(r);
        *out = NULL;
    }
    return err;
}

void train_runner_free(train_runner *r)
{
    if (!r)
        return;
    nn_run_state_free(r->state);
    sm_free(r->inputs);
    sm_free(r->outputs);
    sm_free(r);
}

int train_runner_run(train_runner *r, const float *parameters, train_shard *s)
{
    const train_network *n = r->network;
    r->inputs[n->at_patches] = s->patches;
    if (n->at_seed >= 0)
        r->inputs[n->at_seed] = &s->seed;
    for (size_t h = 0; h < n->n_heads; h++) {
        r->inputs[n->at_targets[h]] = s->targets[h];
        r->inputs[n->at_weights[h]] = s->weights[h];
    }
    for (size_t i = 0; i < n->n_parameters; i++) {
        r->inputs[n->parameters[i].input] = parameters + n->parameters[i].at;
        r->outputs[n->parameters[i].output] = s->gradients + n->parameters[i].at;
    }
    for (size_t i = 0; i < n->n_stats; i++)
        r->outputs[n->stats[i].output] = s->stats + n->stats[i].at;
    r->outputs[n->at_loss] = &s->loss;
    return nn_run(n->plan, r->state, r->inputs, r->outputs);
}
