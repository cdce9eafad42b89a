/* Essentia's networks with official weights where ../shared has them: every node, whole sounds, short ones; tempo. */
#include "support/model_support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NEEDS(name)                                                                                                    \
    if (!test_shared(name))                                                                                            \
    test_skip("needs ../shared/%s", name)

typedef struct {
    sm_weights *w;
    sm_card *card;
    const sm_model *m;
    sm_model_handle *h;
} opened;

static opened open_model(const char *file)
{
    opened o;
    char variant[32];
    test_ok(sm_model_open_file(test_shared(file), &o.w, &o.card, &o.m, variant));
    const sm_model_options options = { .variant = variant, .card = o.card };
    test_ok(sm_model_open(o.m, o.w, &options, &o.h));
    return o;
}

static void close_model(opened *o)
{
    sm_model_close(o->h);
    sm_card_free(o->card);
    sm_weights_close(o->w);
}

/* ---- every node of two published graphs ---- */
static void each_node_of_the_published_graphs_is_the_originals(void **state)
{
    static const char *const graphs[] = { "msd-musicnn-1", "danceability-musicnn-msd-2" };
    static const char *const names[][2] = { { NULL, NULL } };
    NEEDS("models/essentia/msd-musicnn-1/model.json");
    sm_weights *front = test_golden_open("tests/data/dsp/frontend_musicnn_b.safetensors");
    const sm_named in = test_golden_input(front, "out.b", "model/Placeholder", &NN_SHAPE(1, 187, 96));
    (void)state;
    for (size_t i = 0; i < SM_LENGTH(graphs); i++) {
        const sm_run_options o = { .taps = true };
        char file[128];
        sm_weights *w, *golden;
        sm_named *out;
        size_t n;
        snprintf(file, sizeof file, "models/essentia/%s/model.json", graphs[i]);
        test_ok(sm_weights_open(test_shared(file), &w));
        snprintf(file, sizeof file, "golden/essentia/real_trace_%s.safetensors", graphs[i]);
        golden = test_golden_open(test_shared(file));
        test_ok(sm_model_run_tensors(NULL, w, &o, &in, 1, &out, &n));
        assert_true(test_golden_compare(golden, out, n, names, 1e-4, graphs[i]) >= 58);
        sm_named_free(out, n);
        sm_weights_close(golden);
        sm_weights_close(w);
    }
    sm_weights_close(front);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_node_of_the_published_graphs_is_the_originals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
