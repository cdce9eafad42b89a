/* Our classes on another network's embedding: one linear layer, trained by `samplemind train --on MODEL` (src/train/probe.c).
 * What the backbone has heard in its own millions of sounds comes along, so it errs elsewhere than our classifier does: the two
 * together are better than each (docs/training.md).
 *
 * Input   rows    [N, backbone's width]   mean embeddings of windows; their square root is what the layer sees, as they are sums of
 *                                         rectified activations with long tails
 * Output  scores  [N, classes]            softmax of logits / temperature */
#include <string.h>

#include "models/classifier.h"

nn_id sm_classifier_head_scores(nn_graph *g, const nn_source *w, const sm_classifier_head *h, nn_id rows)
{
    const nn_id x = nn_unary(g, NN_SQRT, nn_unary(g, NN_RELU, rows));
    nn_id y = sm_classifier_logits(g, w, h->name, (int64_t)h->n_classes, x);
    if (h->temperature != 1)
        y = nn_binary(g, NN_MUL, y, nn_const_scalar(g, (float)(1 / h->temperature)));
    return nn_softmax(g, y, 1);
}

static int build(nn_graph *g, const sm_model *m, sm_view *v, const sm_model_config *c)
{
    const nn_source w = sm_view_source(v);
    sm_classifier_head heads[SM_CLASSIFIER_HEADS];
    size_t n = 0;
    sm_arena *arena = sm_arena_new();
    const int err = arena ? sm_classifier_heads(sm_view_weights(v), arena, heads, &n) : SM_ENOMEM;
    if (err < 0) {
        sm_arena_free(arena);
        return nn_graph_fail(g, err, "%s", sm_last_error());
    }
    const nn_id x = nn_input(g, "patches", NN_SHAPE(c->batch, m->needs.bands));
    for (size_t i = 0; i < n; i++)
        nn_output(g, i == 0 ? "scores" : nn_name(g, "%s", heads[i].name),
                  sm_classifier_head_scores(g, &w, &heads[i], x));
    sm_arena_free(arena);
    return nn_graph_error(g);
}

/* Such a file names its model itself. */
static bool recognise(const sm_model *m, sm_weights *w, const sm_card *card, const char *hint, char variant[32])
{
    (void)m, (void)w, (void)card, (void)hint, (void)variant;
    return false;
}

static const sm_classes instruments = { SM_INSTRUMENTS, sm_instruments, NULL, "documentation" };

const sm_model sm_model_samplemind_yamnet = {
    .name = "samplemind-yamnet",
    .task = SM_TASK_TAGS,
    .field = "samplemind-yamnet",
    .summary = "instrument of a one-shot, by what YAMNet hears: the second opinion",
    .licence = "Apache-2.0",
    .page = "docs/training.md",
    .classes = &instruments,
    .needs = { .backbone = "yamnet", .bands = 1024, .patch = 1, .hop = 1, .batch = 64 },
    .bench = { 20, 10, NULL },
    .activation = "softmax",
    .recognise = recognise,
    .build = build,
};
