/* Bags: several networks whose answers are weighed, source by source (demucs/apply.py, BagOfModels; the .yaml files of demucs/remote). */
#include "models/separation_bag.h"

#include <string.h>

/* ---- the named ones ---- */

static const char *const only_4s[] = { "htdemucs" }, *const only_6s[] = { "htdemucs_6s" },
                         *const fine_tuned[] = { "htdemucs_ft_drums", "htdemucs_ft_bass", "htdemucs_ft_other",
                                                 "htdemucs_ft_vocals" };
static const double own_source[16] = { 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1 };

static const sm_bag_model bags[] = {
    { "htdemucs", 1, only_4s, NULL, "drums, bass, other, vocals" },
    { "htdemucs_ft", 4, fine_tuned, own_source, "drums, bass, other, vocals: a network for each, four times the work" },
    { "htdemucs_6s", 1, only_6s, NULL, "drums, bass, other, vocals, guitar, piano" },
    { "htdemucs_ft_drums", 1, &fine_tuned[0], NULL, "the network of htdemucs_ft for drums, alone" },
    { "htdemucs_ft_bass", 1, &fine_tuned[1], NULL, "the network of htdemucs_ft for bass, alone" },
    { "htdemucs_ft_other", 1, &fine_tuned[2], NULL, "the network of htdemucs_ft for the rest, alone" },
    { "htdemucs_ft_vocals", 1, &fine_tuned[3], NULL, "the network of htdemucs_ft for vocals, alone" },
};
enum { BAGS_SHOWN = 3 };

const sm_bag_model *sm_bags(size_t *n)
{
    *n = BAGS_SHOWN;
    return bags;
}

const sm_bag_model *sm_bag_find(const char *name)
{
    const sm_model *m = sm_model_find(name); /* a network's official name, "955717e8", too */
    for (size_t i = 0; i < SM_LENGTH(bags); i++)
        if (!strcmp(bags[i].name, name) || (m && !strcmp(bags[i].name, m->name)))
            return &bags[i];
    return NULL;
}

/* ---- opening ---- */

static int open_network(sm_bag *b, size_t i, const sm_bag_network *network)
{
    const sm_model_config c = { .batch = 1, .text = b->config };
    const htdemucs_size *s = &b->networks[i].size, *first = &b->networks[0].size;
    const char *label = sm_weights_label(network->weights);
    int err;
    if (network->model->task != SM_TASK_STEMS)
        return sm_fail(SM_EUNSUPPORTED, "%s: the model %s does not separate", label, network->model->name);
    if ((err = sm_config_check(&c, network->model->config_keys)) < 0 ||
        (err = htdemucs_size_read(network->model, network->weights, &c, &b->networks[i].size)) < 0 ||
        (err = sm_view_open(network->model, network->weights, NULL, &b->networks[i].view)) < 0)
        return err;
    bool alike = s->n_sources == first->n_sources && s->rate_hz == first->rate_hz && s->segment == first->segment &&
                 s->nfft == first->nfft;
    for (int k = 0; k < s->n_sources && alike; k++)
        alike = !strcmp(s->sources[k], first->sources[k]);
    return alike ? 0 : sm_fail(SM_EFORMAT, "%s: other sources, rate or segment than the bag's first network", label);
}

/* Weights whose sums over the networks are 1. */
static int take_weights(sm_bag *b, const double *weights)
{
    const size_t sources = (size_t)b->networks[0].size.n_sources;
    if (!(b->weights = sm_alloc(b->n * sources, sizeof *b->weights)))
        return SM_ENOMEM;
    for (size_t k = 0; k < sources; k++) {
        double sum = 0;
        for (size_t i = 0; i < b->n; i++) {
            const double w = weights ? weights[i * sources + k] : 1;
            if (!(w >= 0 && w <= 1e6))
                return sm_fail(SM_EFORMAT, "a bag with the weight %g", w);
            sum += b->weights[i * sources + k] = w;
        }
        if (sum <= 0)
            return sm_fail(SM_EFORMAT, "a bag of which no network gives %s", b->names[k]);
        for (size_t i = 0; i < b->n; i++)
            b->weights[i * sources + k] /= sum;
    }
    return 0;
}

int sm_bag_open(const sm_bag_network *networks, size_t n, const double *weights, const sm_bag_options *o, sm_bag **out)
{
    sm_bag *b = NULL;
    int err = 0;

    *out = NULL;
    if (n < 1 || n > 64)
        return sm_fail(SM_EUSAGE, "a bag of %zu networks", n);
    if (!(b = sm_alloc_zero(1, sizeof *b)))
        return SM_ENOMEM;
    if (o)
        b->options = *o;
    b->options.threads = SM_CLAMP(b->options.threads, 1, 1024);
    b->options.config = NULL;
    b->config = o && o->config ? sm_strdup(o->config) : NULL;
    b->networks = sm_alloc_zero(n, sizeof *b->networks);
    b->nets = sm_alloc_zero(n, sizeof *b->nets);
    if (!b->networks || !b->nets || (o && o->config && !b->config))
        err = SM_ENOMEM;
    for (size_t i = 0; i < n && err == 0; i++) {
        b->n = i + 1;
        err = open_network(b, i, &networks[i]);
    }
    for (int k = 0; err == 0 && k < b->networks[0].size.n_sources; k++)
        b->names[k] = b->networks[0].size.sources[k];
    if (err == 0)
        err = take_weights(b, weights);
    if (err < 0)
        sm_bag_close(b);
    else
        *out = b;
    return err;
}

void sm_bag_close(sm_bag *b)
{
    if (!b)
        return;
    for (size_t i = 0; i < b->n; i++) {
        htdemucs_net_free(b->networks[i].net);
        sm_view_close(b->networks[i].view);
    }
    sm_free(b->networks);
    sm_free(b->nets);
    sm_free(b->weights);
    sm_free(b->config);
    sm_free(b);
}

size_t sm_bag_sources(const sm_bag *b, const char *const **names)
{
    *names = b->names;
    return (size_t)b->networks[0].size.n_sources;
}

int sm_bag_rate(const sm_bag *b)
{
    return b->networks[0].size.rate_hz;
}

int64_t sm_bag_segment(const sm_bag *b)
{
    return b->networks[0].size.segment;
}

/* ---- choosing ---- */

/* Which rows network i has to give for these outputs; none: it does not run. */
static int compile_network(sm_bag *b, size_t i, const sm_bag_output *outputs, size_t n)
{
    struct bag_network *network = &b->networks[i];
    const int sources = network->size.n_sources;
    htdemucs_rows rows = { 0 };
    int err;
    for (size_t o = 0; o < n; o++) {
        bool any = false;
        for (int k = 0; k < sources; k++) {
            const double w = outputs[o].sources >> k & 1 ? b->weights[i * (size_t)sources + (size_t)k] : 0;
            rows.rows[rows.n][k] = (float)w;
            any |= w > 0;
        }
        if (any)
            network->outputs[rows.n++] = (int)o;
    }
    if (rows.n == 0)
        return 0;
    const nn_compile_options c = { .backend = b->options.backend,
                                   .precision = b->options.precision,
                                   .threads = b->options.threads,
                                   .emulate = b->options.emulate };
    if ((err = htdemucs_net_new(network->view, &network->size, &rows, &c, &network->net)) < 0)
        return err;
    network->running = b->n_nets;
    b->nets[b->n_nets++] = network->net;
    return 0;
}

int sm_bag_select(sm_bag *b, const sm_bag_output *outputs, size_t n)
{
    const int sources = b->networks[0].size.n_sources;
    sm_bag_output each[HTDEMUCS_MAX_SOURCES];
    int err = 0;
    if (b->n_outputs)
        return sm_fail(SM_EUSAGE, "the outputs of a bag are chosen once");
    if (n == 0) {
        for (int k = 0; k < sources; k++)
            each[k].sources = (uint64_t)1 << k;
        outputs = each;
        n = (size_t)sources;
    }
    if (n > HTDEMUCS_MAX_SOURCES)
        return sm_fail(SM_EUSAGE, "%zu outputs, at most %d are possible", n, HTDEMUCS_MAX_SOURCES);
    for (size_t o = 0; o < n; o++) {
        if (!outputs[o].sources || outputs[o].sources >> sources)
            return sm_fail(SM_EUSAGE, "output %zu is no sum of the bag's %d sources", o + 1, sources);
        b->n_summed[o] = (double)__builtin_popcountll(outputs[o].sources);
    }
    for (size_t i = 0; i < b->n && err == 0; i++)
        err = compile_network(b, i, outputs, n);
    if (err == 0)
        b->n_outputs = n;
    return err;
}

size_t sm_bag_outputs(const sm_bag *b)
{
    return b->n_outputs;
}

size_t sm_bag_running(const sm_bag *b)
{
    return b->n_nets;
}

size_t sm_bag_weight_bytes(sm_bag *b)
{
    size_t bytes = 0;
    for (size_t i = 0; i < b->n_nets; i++)
        bytes += nn_pack_bytes(b->nets[i]->pack);
    return bytes;
}

double sm_bag_chunk_macs(const sm_bag *b)
{
    return b->n_nets ? nn_plan_macs(b->nets[0]->plan) : 0;
}
