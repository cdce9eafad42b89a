/* A sound's way through a model: cutting does not matter, batches over files do not matter, rules for patches and short sounds. */
#include "support/model_support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    sm_weights *w;
    sm_model_handle *h;
} opened;

static opened made_up(const char *name)
{
    const sm_model *m = sm_model_find(name);
    opened o;
    test_ok(sm_weights_generated(5, m->generated, &o.w));
    test_ok(sm_model_open(m, o.w, NULL, &o.h));
    return o;
}

static void close_model(opened *o)
{
    sm_model_close(o->h);
    sm_weights_close(o->w);
}

static float *noise(const char *name, size_t n)
{
    float *x = malloc(n * sizeof *x);
    test_fill(x, n, name, 0, 0, 1);
    return x;
}

/* tempocnn's smallest network is quick, pools a vote, and standardises patches; crepe pads and has a decoder with memory */
static void pieces_of_any_size_give_the_same(void **state)
{
    static const struct {
        const char *model;
        size_t rows;
        sm_pitch_decoder decoder;
    } cases[] = { { "tempocnn-deeptemp_k4", 1000, 0 },
                  { "crepe-tiny", 16000, SM_PITCH_VITERBI },
                  { "yamnet", 400, 0 } };
    static const size_t cuts[] = { 1, 7, 997 };
    (void)state;
    for (size_t i = 0; i < SM_LENGTH(cases); i++) {
        opened o = made_up(cases[i].model);
        const size_t bands = (size_t)sm_model_needs(o.h)->bands, n = cases[i].rows;
        const sm_stream_options options = { .curve = true, .activation = true, .decoder = cases[i].decoder };
        float *x = noise("pieces", n * bands);
        sm_model_result whole, r;
        sm_model_worker *w;
        sm_stream *s;
        test_stream_result(o.h, &options, x, n, &whole);
        test_ok(sm_model_worker_new(o.h, &w));
        test_ok(sm_stream_new(o.h, &options, &s));
        for (size_t k = 0; k < SM_LENGTH(cuts); k++) { /* the stream is used again for each */
            for (size_t at = 0; at < n; at += cuts[k]) {
                test_ok(sm_stream_push(s, x + at * bands, SM_MIN(cuts[k], n - at)));
                if (sm_stream_ready(s) >= (size_t)sm_model_batch(o.h))
                    test_ok(sm_streams_run(w, &s, 1, false));
            }
            test_fails(sm_stream_finish(s, &r), SM_EUSAGE, "end");
            test_ok(sm_stream_end(s));
            test_ok(sm_streams_run(w, &s, 1, true));
            test_ok(sm_stream_finish(s, &r));
            assert_int_equal(r.patches, whole.patches);
            const float *a = r.activation ? r.activation : r.curve,
                        *b = whole.activation ? whole.activation : whole.curve;
            for (size_t t = 0; t < r.patches * r.n_classes; t++)
                if (fabsf(a[t] - b[t]) > 1e-6f)
                    fail_msg("%s cut by %zu: %g and %g", cases[i].model, cuts[k], a[t], b[t]);
            for (size_t t = 0; r.bins && t < r.patches; t++)
                assert_int_equal(r.bins[t], whole.bins[t]);
            sm_model_result_free(&r);
        }
        sm_model_result_free(&whole);
        sm_stream_free(s);
        sm_model_worker_free(w);
        free(x);
        close_model(&o);
    }
}

static void sounds_that_share_batches_keep_their_answers(void **state)
{
    enum { SOUNDS = 5 };
    opened o = made_up("tempocnn-deeptemp_k4");
    sm_stream *s[SOUNDS];
    sm_model_worker *w;
    sm_model_result alone, r;
    (void)state;
    test_ok(sm_model_worker_new(o.h, &w));
    float *x = noise("shared", (size_t)40 * 300 * SOUNDS);
    for (int i = 0; i < SOUNDS; i++) {
        test_ok(sm_stream_new(o.h, NULL, &s[i]));
        test_ok(sm_stream_push(s[i], x + i * 40 * 100, (size_t)(200 + 130 * i)));
        test_ok(sm_stream_end(s[i]));
    }
    test_ok(sm_streams_run(w, s, SOUNDS, true));
    for (int i = 0; i < SOUNDS; i++) {
        test_ok(sm_stream_finish(s[i], &r));
        test_stream_result(o.h, NULL, x + i * 40 * 100, (size_t)(200 + 130 * i), &alone);
        assert_int_equal(r.patches, alone.patches);
        assert_true(test_normalised_error(r.distribution, alone.distribution, 256) < 1e-6);
        assert_float_equal(r.bpm, alone.bpm, 0);
        sm_model_result_free(&alone);
        sm_model_result_free(&r);
        sm_stream_free(s[i]);
    }
    sm_model_worker_free(w);
    free(x);
    close_model(&o);
}

/* ESSENTIA spec, section 2: patches 0, hop, 2 hop ... while a whole one fits; EffNet's count from its formula over samples. */
static void patches_are_counted_as_the_originals_do(void **state)
{
    opened effnet = made_up("effnet-discogs"), musicnn = made_up("musicnn");
    float *rows = calloc(1000 * 96, sizeof *rows);
    (void)state;
    for (int64_t n = 257; n < 230000; n += 1009) {
        const int64_t frames = 1 + (n + 255) / 256, e = (n - 256 + 255) / 256 + 1 - 128;
        const int64_t effnet_count = e < 0 ? 0 : 1 + e / 62, musicnn_count = frames < 187 ? 0 : 1 + (frames - 187) / 93;
        sm_stream *s[2];
        test_ok(sm_stream_new(effnet.h, NULL, &s[0]));
        test_ok(sm_stream_new(musicnn.h, NULL, &s[1]));
        for (int i = 0; i < 2; i++) {
            const int64_t want = i ? musicnn_count : effnet_count;
            test_ok(sm_stream_push(s[i], rows, (size_t)frames));
            assert_int_equal(sm_stream_ready(s[i]), want);
            test_ok(sm_stream_end(s[i]));
            assert_int_equal(sm_stream_ready(s[i]), want ? want : 1); /* a short sound is repeated to one patch */
            sm_stream_free(s[i]);
        }
    }
    free(rows);
    close_model(&effnet);
    close_model(&musicnn);
}

static void a_short_sound_is_tiled_from_its_beginning(void **state)
{
    opened o = made_up("yamnet");
    float *x = noise("short", 30 * 64), *tiled = malloc(96 * 64 * sizeof *tiled);
    sm_model_result a, b;
    (void)state;
    for (size_t i = 0; i < 96; i++)
        memcpy(tiled + i * 64, x + i % 30 * 64, 64 * sizeof *x);
    test_stream_result(o.h, NULL, x, 30, &a);
    test_stream_result(o.h, NULL, tiled, 96, &b);
    assert_int_equal(a.patches, 1);
    assert_memory_equal(a.mean, b.mean, 521 * sizeof *a.mean);
    sm_model_result_free(&a);
    sm_model_result_free(&b);
    test_stream_result(o.h, NULL, x, 0, &a); /* nothing in, nothing out */
    assert_int_equal(a.patches, 0);
    assert_null(a.mean);
    sm_model_result_free(&a);
    free(x);
    free(tiled);
    close_model(&o);
}

/* crepe's frames: 1 + n / hop centred; without padding a sound must fill one frame. */
static void crepe_frames_follow_its_options(void **state)
{
    opened o = made_up("crepe-tiny");
    float *x = noise("frames", 5000);
    const sm_stream_options hop = { .hop = 400 }, bare = { .no_padding = true };
    sm_model_result r;
    sm_stream *s;
    sm_model_worker *w;
    (void)state;
    test_stream_result(o.h, NULL, x, 5000, &r);
    assert_int_equal(r.patches, 1 + 5000 / 160);
    assert_float_equal(r.time_s[1], 0.01, 1e-7);
    sm_model_result_free(&r);
    test_stream_result(o.h, &hop, x, 5000, &r);
    assert_int_equal(r.patches, 1 + 5000 / 400);
    sm_model_result_free(&r);
    test_stream_result(o.h, &bare, x, 5000, &r);
    assert_int_equal(r.patches, 1 + (5000 - 1024) / 160);
    sm_model_result_free(&r);
    test_ok(sm_model_worker_new(o.h, &w));
    test_ok(sm_stream_new(o.h, &bare, &s));
    test_ok(sm_stream_push(s, x, 1000));
    test_ok(sm_stream_end(s));
    test_ok(sm_streams_run(w, &s, 1, true));
    test_fails(sm_stream_finish(s, &r), SM_EUNSUPPORTED, "0.064 s");
    test_fails(sm_stream_push(s, x, 1), SM_EUSAGE, "after the end");
    sm_stream_free(s);
    sm_model_worker_free(w);
    free(x);
    close_model(&o);
}

/* ---- a head is fed by its backbone ---- */
static int build_head(nn_graph *g, const sm_model *m, sm_view *v, const sm_model_config *c)
{
    const nn_source w = sm_view_source(v);
    nn_id x = nn_input(g, "x", NN_SHAPE(c->batch, 1024));
    (void)m;
    x = nn_linear(g, x, nn_weight(g, &w, "head.weight", NN_SHAPE(2, 1024)), NN_NONE);
    nn_output(g, "scores", nn_softmax(g, x, 1));
    return nn_graph_error(g);
}

static void a_head_hears_every_embedding(void **state)
{
    const sm_model head_model = { .name = "a head",
                                  .field = "head",
                                  .activation = "softmax",
                                  .build = build_head,
                                  .needs = { .backbone = "yamnet", .bands = 1024, .patch = 1, .hop = 1, .batch = 64 } };
    opened o = made_up("yamnet");
    float *x = noise("fed", 400 * 64);
    const sm_stream_options curve = { .curve = true };
    sm_weights *w;
    sm_model_handle *h;
    sm_model_worker *workers[2];
    sm_stream *body, *head, *other;
    sm_model_result r[2], again;
    (void)state;
    test_ok(sm_weights_generated(1, NULL, &w));
    test_ok(sm_model_open(&head_model, w, NULL, &h));
    test_ok(sm_model_worker_new(o.h, &workers[0]));
    test_ok(sm_model_worker_new(h, &workers[1]));
    test_ok(sm_stream_new(o.h, &curve, &body));
    test_ok(sm_stream_new(h, &curve, &head));
    test_ok(sm_stream_new(h, NULL, &other));
    test_ok(sm_stream_feed(body, head));
    test_ok(sm_stream_feed(body, other));
    test_fails(sm_stream_feed(head, body), SM_EUSAGE, "takes 64");
    sm_stream_free(other); /* leaves its backbone */
    test_ok(sm_stream_push(body, x, 400));
    test_ok(sm_stream_end(body));
    test_ok(sm_streams_run(workers[0], &body, 1, true));
    test_fails(sm_streams_run(workers[0], &head, 1, true), SM_EUSAGE, "another model");
    test_ok(sm_stream_end(head));
    test_ok(sm_streams_run(workers[1], &head, 1, true));
    test_ok(sm_stream_finish(body, &r[0]));
    test_ok(sm_stream_finish(head, &r[1]));
    assert_int_equal(r[0].patches, 1 + (400 - 96) / 48);
    assert_int_equal(r[1].patches, r[0].patches);
    test_stream_result(h, &curve, r[0].embeddings, r[0].patches, &again);
    assert_memory_equal(again.curve, r[1].curve, r[1].patches * 2 * sizeof(float));
    sm_model_result_free(&again);
    for (int i = 0; i < 2; i++) {
        sm_model_result_free(&r[i]);
        sm_model_worker_free(workers[i]);
    }
    sm_stream_free(body); /* before its head: the head stays whole */
    sm_stream_free(head);
    sm_model_close(h);
    sm_weights_close(w);
    free(x);
    close_model(&o);
}

/* ---- what is printed ---- */
static char *fields(const sm_model_result *r, const sm_classes *c, int top)
{
    sm_buffer text = { 0 };
    sm_json j;
    sm_json_init(&j, &text, false);
    sm_json_begin_object(&j);
    sm_model_result_fields(r, c, top, false, &j);
    sm_json_end_object(&j);
    return text.data;
}

static void answers_are_written_as_users_know_them(void **state)
{
    static const char *const names[] = { "a", "b", "c", "d", "happy", "non_happy" };
    const sm_classes four = { 4, names, NULL, NULL }, two = { 2, names + 4, NULL, NULL };
    float many[] = { 0.25f, 0.5f, 0.5f, 0.125f }, mood[] = { 0.25f, 0.75f }, hz[] = { 440, 441, 0, 442 },
          sure[] = { 1, 0.5f, 0.25f, 0.75f };
    int32_t bpm[] = { 120, 121 };
    const sm_model_result tags = { .model = sm_model_find("yamnet"), .patches = 3, .n_classes = 4, .mean = many },
                          head = { .model = sm_model_find("mood_happy"), .patches = 1, .n_classes = 2, .mean = mood },
                          scale = { .model = sm_model_find("deam-musicnn"),
                                    .patches = 1,
                                    .n_classes = 2,
                                    .mean = mood },
                          pitch = { .model = sm_model_find("crepe-tiny"), .patches = 4, .hz = hz, .confidence = sure },
                          tempo = { .model = sm_model_find("tempocnn-deeptemp_k4"),
                                    .patches = 2,
                                    .bpm = 120,
                                    .bpm_confidence = 0.5,
                                    .local_bpm = bpm };
    const struct {
        const sm_model_result *r;
        const sm_classes *c;
        const char *json;
    } rows[] = {
        { &tags, &four, "{\"top\":[[\"b\",0.5],[\"c\",0.5],[\"a\",0.25]],\"patches\":3}" },
        { &tags, NULL, "{\"top\":[[\"class 1\",0.5],[\"class 2\",0.5],[\"class 0\",0.25]],\"patches\":3}" },
        { &head, &two,
          "{\"value\":\"non_happy\",\"probability\":0.75,\"all\":{\"happy\":0.25,\"non_happy\":0.75},\"patches\":1}" },
        { &scale, &two, "{\"all\":{\"happy\":0.25,\"non_happy\":0.75},\"patches\":1}" },
        { &pitch, NULL,
          "{\"pitch_hz\":441,\"pitch_min_hz\":440,\"pitch_max_hz\":442,\"pitch_confidence\":0.625,\"voiced\":0.75,"
          "\"patches\":4}" },
        { &tempo, NULL, "{\"bpm\":120,\"bpm_confidence\":0.5,\"local_bpm\":[120,121],\"patches\":2}" },
    };
    (void)state;
    for (size_t i = 0; i < SM_LENGTH(rows); i++) {
        char *text = fields(rows[i].r, rows[i].c, 3);
        assert_string_equal(text, rows[i].json);
        sm_free(text);
    }
}

/* ---- one model, many threads ---- */
enum { THREADS = 4, TURNS = 12 };
typedef struct {
    sm_model_handle *h;
    float *x;
    sm_model_worker *workers[THREADS];
    double bpm[TURNS], top[TURNS];
} crowd;

static int one_turn(void *user, size_t i, int worker)
{
    crowd *c = user;
    const size_t rows = 100 + 200 * (i % 3); /* other batch sizes: plans are made while others run */
    sm_stream *s = NULL;
    sm_model_result r = { 0 };
    int err = c->workers[worker] ? 0 : sm_model_worker_new(c->h, &c->workers[worker]);
    if (err == 0 && (err = sm_stream_new(c->h, NULL, &s)) == 0 && (err = sm_stream_push(s, c->x, rows)) == 0 &&
        (err = sm_stream_end(s)) == 0 && (err = sm_streams_run(c->workers[worker], &s, 1, true)) == 0)
        err = sm_stream_finish(s, &r);
    if (err == 0) {
        c->bpm[i] = r.bpm;
        c->top[i] = r.distribution[0];
    }
    sm_model_result_free(&r);
    sm_stream_free(s);
    return err;
}

static void threads_share_a_model(void **state)
{
    opened o = made_up("tempocnn-deeptemp_k4");
    crowd c = { .h = o.h, .x = noise("crowd", 500 * 40) };
    sm_pool *pool;
    (void)state;
    test_ok(sm_pool_new(THREADS, &pool));
    test_ok(sm_pool_run(pool, TURNS, one_turn, &c));
    for (size_t i = 3; i < TURNS; i++) {
        assert_true(c.bpm[i] == c.bpm[i % 3]);
        assert_true(c.top[i] == c.top[i % 3]);
    }
    for (int i = 0; i < THREADS; i++)
        sm_model_worker_free(c.workers[i]);
    sm_pool_free(pool);
    free(c.x);
    close_model(&o);
}

/* Shares of the lanes, the odd patch with its operators shared out, and answers in the patches' order. Sums may differ in their
 * order with the size of a batch: 1e-5, as elsewhere in this file's networks. */
static void threads_inside_a_run_change_nothing(void **state)
{
    enum { MOST = 40, PATCH = 256, BANDS = 40, CLASSES = 256 }; /* hops are at most a patch */
    static const int patches[] = { 1, 2, 3, 5, 8, 13, MOST };
    float *x = noise("lanes", (MOST + 1) * PATCH * BANDS);
    sm_model_result r[4] = { 0 };
    (void)state;
    for (size_t k = 0; k < SM_LENGTH(patches); k++) {
        for (int threads = 1; threads <= 4; threads++) {
            const sm_model *m = sm_model_find("tempocnn-deeptemp_k4");
            const sm_model_options o = { .threads = threads };
            const sm_stream_options all = { .curve = true };
            sm_weights *w = NULL;
            sm_model_handle *h = NULL;
            sm_model_worker *worker = NULL;
            sm_stream *s = NULL;
            test_ok(sm_weights_generated(5, NULL, &w));
            test_ok(sm_model_open(m, w, &o, &h));
            test_ok(sm_model_worker_new(h, &worker));
            assert_true((sm_model_worker_pool(worker) != NULL) == (threads > 1));
            test_ok(sm_stream_new(h, &all, &s));
            const sm_needs *need = sm_model_needs(h);
            test_ok(sm_stream_push(s, x, (size_t)(need->patch + (patches[k] - 1) * need->hop)));
            test_ok(sm_stream_end(s));
            test_ok(sm_streams_run(worker, &s, 1, true));
            test_ok(sm_stream_finish(s, &r[threads - 1]));
            assert_true(r[threads - 1].patches >= (size_t)patches[k]);
            assert_int_equal(r[threads - 1].patches, r[0].patches);
            for (size_t i = 0; i < CLASSES; i++)
                assert_true(fabs((double)r[threads - 1].distribution[i] - (double)r[0].distribution[i]) < 1e-5);
            for (size_t i = 0; i < r[0].patches; i++)
                assert_int_equal(r[threads - 1].local_bpm[i], r[0].local_bpm[i]);
            sm_stream_free(s);
            sm_model_worker_free(worker);
            sm_model_close(h);
            sm_weights_close(w);
        }
        for (int t = 0; t < 4; t++)
            sm_model_result_free(&r[t]);
    }
    free(x);
}

static int open_and_run(void *user)
{
    const sm_model *m = sm_model_find("tempocnn-deeptemp_k4");
    sm_weights *w = NULL;
    sm_model_handle *h = NULL;
    sm_model_worker *worker = NULL;
    sm_stream *s = NULL;
    sm_model_result r = { 0 };
    int err = sm_weights_generated(5, NULL, &w);
    if (err == 0 && (err = sm_model_open(m, w, &(sm_model_options){ .backend = "ref" }, &h)) == 0 &&
        (err = sm_model_worker_new(h, &worker)) == 0 && (err = sm_stream_new(h, NULL, &s)) == 0 &&
        (err = sm_stream_push(s, user, 100)) == 0 && (err = sm_stream_end(s)) == 0 &&
        (err = sm_streams_run(worker, &s, 1, true)) == 0)
        err = sm_stream_finish(s, &r);
    sm_model_result_free(&r);
    sm_stream_free(s);
    sm_model_worker_free(worker);
    sm_model_close(h);
    sm_weights_close(w);
    return err;
}

static void every_allocation_may_fail(void **state)
{
    float *x = noise("fail", 100 * 40);
    (void)state;
    test_every_allocation_may_fail(open_and_run, x);
    free(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_of_any_size_give_the_same),
        cmocka_unit_test(sounds_that_share_batches_keep_their_answers),
        cmocka_unit_test(patches_are_counted_as_the_originals_do),
        cmocka_unit_test(a_short_sound_is_tiled_from_its_beginning),
        cmocka_unit_test(crepe_frames_follow_its_options),
        cmocka_unit_test(a_head_hears_every_embedding),
        cmocka_unit_test(threads_share_a_model),
        cmocka_unit_test(threads_inside_a_run_change_nothing),
        cmocka_unit_test(answers_are_written_as_users_know_them),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
