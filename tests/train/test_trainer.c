/* Training: a small set is learned by heart; the same bytes on one thread and two, and after a kill; damaged sounds are told and left out. */
#include "support/support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "train/trainer.h"

enum { RATE = 32000, FAMILIES = 4, PER_FAMILY = 3 };
static const char *const classes[3] = { "hat", "kick", "tone" };

/* A short noise, a falling sine, a steady tone: of some pitch and length. */
static void make_sound(int class, int family, int take, float *x, size_t n)
{
    const uint64_t h = sm_unit_hash(classes[class], (uint64_t)(100 * family + take));
    double phase = 0;
    for (size_t i = 0; i < n; i++) {
        const double t = (double)i / RATE, u = 1 + 0.1 * family + 0.02 * take;
        const double hz = class == 1 ? 45 * u + 150 * exp(-t * 30) : 440 * u;
        phase += 2 * M_PI * hz / RATE;
        x[i] = (float)(class == 0 ? 0.8 * exp(-t * 40) * sm_unit(h, i)
                                  : 0.8 * exp(-t * (class == 1 ? 12 : 1)) * sin(phase));
    }
}

/* FOLDER/CLASS/FAMILY/TAKE.wav, and a damaged one. The folder is the caller's to remove. */
static void make_folder(const char *folder)
{
    const sm_audio_write_options o = { .rate_hz = RATE, .channels = 1, .format = SM_SAMPLE_S16 };
    const size_t n = RATE / 4;
    float *x = malloc(n * sizeof *x);
    for (int c = 0; c < 3; c++)
        for (int f = 0; f < FAMILIES; f++)
            for (int k = 0; k < PER_FAMILY; k++) {
                char path[256];
                sm_audio_writer *w;
                snprintf(path, sizeof path, "%s/%s/pack%d", folder, classes[c], f);
                test_ok(sm_make_directories(path));
                snprintf(path, sizeof path, "%s/%s/pack%d/take%d.wav", folder, classes[c], f, k);
                make_sound(c, f, k, x, n);
                test_ok(sm_audio_writer_open(path, &o, &w));
                test_ok(sm_audio_writer_write(w, x, n));
                test_ok(sm_audio_writer_commit(w));
            }
    free(x);
}

/* All of them are learned from: no other sides. */
static sm_sounds *open_sounds(const char *folder, sm_strings *problems)
{
    sm_sounds *s;
    test_ok(sm_sounds_open(folder, NULL, &s));
    test_ok(sm_sounds_load(s, RATE, 2, 2, NULL, NULL, problems));
    for (size_t i = 0; i < sm_sounds_count(s); i++)
        sm_sounds_at(s, i)->side = SM_SIDE_TRAIN;
    return s;
}

static sm_train_options options_of(const char *out)
{
    sm_train_options o;
    sm_train_options_init(&o);
    o.arch = "tiny";
    o.out = out;
    o.epochs = 3;
    o.batch = 32;
    o.held_out = 0.25;
    o.seed = 7;
    o.threads = 1;
    o.f16 = false;
    return o;
}

static void read_file(const char *path, sm_buffer *out)
{
    test_ok(sm_file_read(path, 1 << 26, out));
}

/* What "training" says about time differs from run to run: tensors only. */
static void assert_same_model(const char *a, const char *b)
{
    sm_weights *x, *y;
    nn_tensor s, t;
    test_ok(sm_weights_open(a, &x));
    test_ok(sm_weights_open(b, &y));
    assert_int_equal(sm_weights_count(x), sm_weights_count(y));
    for (size_t i = 0; i < sm_weights_count(x); i++) {
        test_ok(sm_weights_at(x, i, &s));
        test_ok(sm_weights_get(y, sm_weights_name(x, i), &s.shape, &t));
        if (memcmp(s.data, t.data, (size_t)nn_elements(&s.shape) * nn_type_size(s.type)) != 0)
            fail_msg("%s differs", sm_weights_name(x, i));
    }
    assert_string_equal(sm_weights_meta(x, "heads"), sm_weights_meta(y, "heads"));
    sm_weights_close(x);
    sm_weights_close(y);
}

static void a_small_set_is_learned_by_heart(void **state)
{
    const test_place *place = *state;
    sm_sounds *s = open_sounds(place->folder, NULL);
    sm_train_options o = options_of(place->path);
    const sm_evaluate_options e = { .threads = 2, .side = SM_SIDE_TRAIN };
    sm_trained t;
    sm_scores scores;
    o.epochs = 40;
    o.held_out = 0;
    o.smoothing = 0;
    o.ema = 0.5;
    o.rate = 5e-3;
    test_ok(sm_augment_parse(&o.augment, "none"));
    test_ok(sm_train(s, &o, &t));
    assert_true(t.loss[t.epochs - 1] < 0.1 * t.loss[0]);
    test_ok(sm_evaluate(s, place->path, &e, &scores)); /* from the file, as analyze would */
    assert_int_equal(scores.n, 3 * FAMILIES * PER_FAMILY);
    assert_float_equal(scores.top1.value, 1, 0);
    char page[160];
    snprintf(page, sizeof page, "%s.html", place->path);
    test_ok(sm_report_write(page, "a <page>", s, &t, &scores, "train"));
    sm_buffer text = { 0 };
    read_file(page, &text);
    assert_non_null(strstr(text.data, "a &lt;page>"));
    assert_non_null(strstr(text.data, "</html>"));
    sm_buffer_free(&text);
    sm_scores_free(&scores);
    sm_trained_free(&t);
    sm_sounds_close(s);
}

static void one_and_two_threads_train_the_same_network(void **state)
{
    const test_place *place = *state;
    sm_sounds *s = open_sounds(place->folder, NULL);
    char second[160];
    sm_trained a, b;
    snprintf(second, sizeof second, "%s.two", place->path);
    sm_train_options one = options_of(place->path), two = options_of(second);
    one.batch = two.batch = 64;
    one.augment.row[SM_AUGMENT_mixup].p = two.augment.row[SM_AUGMENT_mixup].p = 0.5;
    two.threads = 2;
    test_ok(sm_train(s, &one, &a));
    test_ok(sm_train(s, &two, &b));
    for (int i = 0; i < a.epochs; i++)
        assert_true(a.loss[i] == b.loss[i]);
    assert_same_model(place->path, second);
    sm_trained_free(&a);
    sm_trained_free(&b);
    sm_sounds_close(s);
}

static void assert_stopping_changes_nothing(const test_place *place, const char *arch)
{
    sm_sounds *s = open_sounds(place->folder, NULL);
    char second[160];
    sm_trained a, b;
    snprintf(second, sizeof second, "%s.resumed", place->path);
    sm_train_options whole = options_of(place->path), parts = options_of(second);
    whole.arch = parts.arch = arch;
    test_ok(sm_train(s, &whole, &a));
    parts.stop_after = 2;
    test_fails(sm_train(s, &parts, &b), SM_ECANCELLED, "after 2 of 3 epochs");
    parts.stop_after = 0;
    parts.resume = true;
    parts.rate *= 2;
    test_fails(sm_train(s, &parts, &b), SM_EUSAGE, "of a run with other options");
    parts.rate /= 2;
    test_ok(sm_train(s, &parts, &b));
    assert_int_equal(a.epochs, b.epochs);
    for (int i = 0; i < a.epochs; i++)
        assert_true(a.loss[i] == b.loss[i]);
    assert_same_model(place->path, second);
    sm_trained_free(&a);
    sm_trained_free(&b);
    sm_sounds_close(s);
}

static void what_was_stopped_goes_on_as_if_it_had_not_been(void **state)
{
    assert_stopping_changes_nothing(*state, "tiny");
}

static void so_it_does_where_norms_are_folded_in_the_end(void **state)
{
    assert_stopping_changes_nothing(*state, "cnn-tiny");
}

static void what_cannot_be_read_is_told_and_left_out(void **state)
{
    const test_place *place = *state;
    char path[160];
    sm_strings problems = { 0 };
    snprintf(path, sizeof path, "%s/kick/pack0/damaged.wav", place->folder);
    test_write_file(path, "RIFF\x10\0\0\0WAVEfmt ", 16);
    sm_sounds *s = open_sounds(place->folder, &problems);
    sm_train_options o = options_of(place->path);
    sm_trained t;
    assert_int_equal(problems.length, 1);
    assert_non_null(strstr(problems.items[0], "damaged.wav"));
    o.epochs = 1;
    o.held_out = 0;
    test_ok(sm_train(s, &o, &t));
    assert_int_equal(t.sounds, 3 * FAMILIES * PER_FAMILY);
    sm_trained_free(&t);
    sm_strings_free(&problems);
    sm_sounds_close(s);
}

static void a_trained_file_says_what_it_is(void **state)
{
    const test_place *place = *state;
    sm_sounds *s = open_sounds(place->folder, NULL);
    sm_train_options o = options_of(place->path);
    const sm_model *m;
    sm_weights *w;
    sm_card *card;
    sm_model_handle *h;
    sm_trained t;
    char variant[32];
    o.epochs = 1;
    o.f16 = true;
    test_ok(sm_train(s, &o, &t));
    test_ok(sm_model_open_file(place->path, &w, &card, &m, variant));
    assert_string_equal(m->name, "samplemind");
    assert_string_equal(variant, "tiny");
    test_ok(sm_model_open(m, w, &(sm_model_options){ .variant = variant }, &h));
    assert_int_equal(sm_model_classes(h)->n, 3);
    assert_string_equal(sm_model_classes(h)->names[1], "kick");
    assert_non_null(strstr(sm_weights_meta(w, "training"), "\"split\":\"family\""));
    sm_model_close(h);
    sm_weights_close(w);
    sm_trained_free(&t);
    sm_sounds_close(s);
}

/* YAMNet an eighth as wide, or EfficientAT a quarter, as an installed file has it. */
typedef struct {
    sm_safetensors_writer *writer;
    sm_arena *arena;
} base_file;

static int made_up(void *user, const char *name, const nn_shape *shape, nn_tensor *out)
{
    const base_file *f = user;
    const uint64_t h = sm_unit_hash(name, 3);
    const size_t n = (size_t)nn_elements(shape);
    float *x = sm_arena_get(f->arena, n, sizeof *x, 64);
    for (size_t i = 0; i < n; i++)
        x[i] = (float)((shape->rank < 2 ? 0.1 : 0.4) * sm_unit(h, i));
    *out = (nn_tensor){ .type = NN_F32, .shape = *shape, .data = x, .scale_axis = -1 };
    return sm_safetensors_writer_add(f->writer, name, out);
}

static void write_base(const char *path, bool mobile)
{
    base_file f = { .arena = sm_arena_new() };
    nn_graph *g = nn_graph_new();
    test_ok(sm_safetensors_writer_open(path, &f.writer));
    test_ok(sm_safetensors_writer_meta(f.writer, "samplemind", sm_version()));
    test_ok(sm_safetensors_writer_meta(f.writer, "model", mobile ? "efficientat" : "yamnet"));
    const nn_source source = { made_up, &f, "made up" };
    if (mobile)
        sm_efficientat_picture(g, &source, nn_input(g, "x", NN_SHAPE(1, 1, 128, 128)), 4);
    else
        sm_yamnet_picture(g, &source, nn_input(g, "x", NN_SHAPE(1, 1, 96, 64)), 8);
    test_ok(nn_graph_error(g));
    test_ok(sm_safetensors_writer_commit(f.writer));
    nn_graph_free(g);
    sm_arena_free(f.arena);
}

/* How far a tensor has moved from where it began. */
static double moved(const char *a, const char *b, const char *name)
{
    sm_weights *x, *y;
    nn_tensor s, t;
    double sum = 0;
    test_ok(sm_weights_open(a, &x));
    test_ok(sm_weights_open(b, &y));
    test_ok(sm_weights_get_f32(x, name, NULL, &s));
    test_ok(sm_weights_get_f32(y, name, &s.shape, &t));
    for (int64_t i = 0; i < nn_elements(&s.shape); i++)
        sum += fabs((double)((const float *)s.data)[i] - (double)((const float *)t.data)[i]);
    sm_weights_close(x);
    sm_weights_close(y);
    return sum / (double)nn_elements(&s.shape);
}

/* What learns on from the base that is written, to the place's file, from all sounds, as they lie, with half of what moves averaged away. */
static sm_train_options learning_on(const test_place *place, char base[160], bool mobile, const char *arch,
                                    sm_sounds **s)
{
    snprintf(base, 160, "%s/base.safetensors", place->folder);
    write_base(base, mobile);
    test_ok(sm_sounds_open(place->folder, NULL, s));
    for (size_t i = 0; i < sm_sounds_count(*s); i++)
        sm_sounds_at(*s, i)->side = SM_SIDE_TRAIN;
    sm_train_options o = options_of(place->path);
    o.arch = arch;
    o.base = base;
    o.base_slower = 0.5;
    o.ema = 0.5;
    return o;
}

static void another_networks_convolutions_learn_on(void **state)
{
    const test_place *place = *state;
    sm_sounds *s;
    char base[160], second[160];
    sm_trained a, b;
    snprintf(second, sizeof second, "%s.resumed", place->path);
    sm_train_options o = learning_on(place, base, false, "yamnet-tiny", &s);
    o.base_frozen = 5;
    test_ok(sm_train(s, &o, &a));
    /* what is frozen is as it was to the bit; above it moves, the lower the less; AdamW moves each number by about the rate */
    assert_true(moved(base, place->path, "layer1.conv.weight") == 0);
    assert_true(moved(base, place->path, "layer5.pointwise.bias") == 0);
    const double low = moved(base, place->path, "layer9.pointwise.weight"),
                 high = moved(base, place->path, "layer14.pointwise.weight");
    assert_true(low > 0 && high > 8 * low && high < 3 * 6 * o.base_rate);
    /* half of what it was comes back: half as far from it, frozen or not; the head, which it did not have, stays */
    o.base_keep = 0.5;
    o.out = second;
    test_ok(sm_train(s, &o, &b));
    sm_trained_free(&b);
    assert_true(fabs(moved(base, second, "layer14.pointwise.weight") / high - 0.5) < 1e-3);
    assert_true(moved(base, second, "layer5.pointwise.bias") == 0);
    assert_true(moved(place->path, second, "head.instrument.weight") == 0);
    o.base_keep = 0;
    /* as for any other network: resumed or on two threads, the same bits */
    o.out = second;
    o.threads = 2;
    o.stop_after = 1;
    test_fails(sm_train(s, &o, &b), SM_ECANCELLED, "after 1 of 3 epochs");
    o.stop_after = 0;
    o.resume = true;
    o.base_rate *= 2;
    test_fails(sm_train(s, &o, &b), SM_EUSAGE, "of a run with other options");
    o.base_rate /= 2;
    test_ok(sm_train(s, &o, &b));
    assert_same_model(place->path, second);
    sm_trained_free(&a);
    sm_trained_free(&b);
    o.arch = "tiny";
    test_fails(sm_train(s, &o, &b), SM_EUSAGE, "tiny goes on from tiny only");
    o.arch = "yamnet-tuned"; /* whose layers are eight times as wide */
    test_fails(sm_train(s, &o, &b), SM_EFORMAT, "layer1.conv.weight");
    sm_sounds_close(s);
}

static void what_learns_on_may_stand_on_efficientat(void **state)
{
    const test_place *place = *state;
    sm_sounds *s;
    char base[160];
    const char *arch = NULL;
    sm_trained a;
    sm_train_options o = learning_on(place, base, true, "mobile-tiny", &s);
    test_ok(sm_train_arch_on(base, &arch));
    assert_string_equal(arch, "mobile-tuned");
    o.base_frozen = 13;
    test_ok(sm_train(s, &o, &a));
    sm_trained_free(&a);
    assert_true(moved(base, place->path, "layer13.squeeze.weight") == 0);
    const double low = moved(base, place->path, "layer14.project.weight"),
                 high = moved(base, place->path, "layer17.conv.weight");
    assert_true(low > 0 && high > 3 * low); /* 2^3 = 8 times as fast, as far as gradients are alike */
    o.base_frozen = 18;
    test_fails(sm_train(s, &o, &a), SM_EUSAGE, "efficientat has 17");
    sm_sounds_close(s);
}

/* Half of what one tensor of a and of b has, each number. */
static void assert_mean(const char *a, const char *b, const char *mean, const char *name)
{
    const char *const files[] = { a, b, mean };
    sm_weights *w[3];
    nn_tensor x[3];
    for (int i = 0; i < 3; i++) {
        test_ok(sm_weights_open(files[i], &w[i]));
        test_ok(sm_weights_get_f32(w[i], name, i ? &x[0].shape : NULL, &x[i]));
    }
    for (int64_t i = 0; i < nn_elements(&x[0].shape); i++) {
        const double p = (double)((const float *)x[0].data)[i], q = (double)((const float *)x[1].data)[i];
        assert_float_equal((double)((const float *)x[2].data)[i], (p + q) / 2, 1e-6);
    }
    for (int i = 0; i < 3; i++)
        sm_weights_close(w[i]);
}

static double temperature_of(const char *path)
{
    sm_weights *w;
    sm_classifier_head heads[SM_CLASSIFIER_HEADS];
    size_t n;
    sm_arena *arena = sm_arena_new();
    test_ok(sm_weights_open(path, &w));
    test_ok(sm_classifier_heads(w, arena, heads, &n));
    assert_int_equal(n, 1);
    assert_int_equal(heads[0].n_classes, 3);
    sm_weights_close(w);
    sm_arena_free(arena);
    return heads[0].temperature;
}

/* A number of a file's metadata becomes 2, in as many bytes. */
static void set_two(const char *path, const char *name)
{
    sm_buffer file = { 0 };
    char key[64];
    const int n = snprintf(key, sizeof key, "\\\"%s\\\":", name);
    read_file(path, &file);
    char *at = memmem(file.data, file.length, key, (size_t)n);
    assert_non_null(at);
    at += n;
    for (int i = 0; at[i] != ',' && at[i] != '}'; i++)
        at[i] = i == 0 ? '2' : i == 1 ? '.' : '0';
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(file.data, 1, file.length, f), file.length);
    fclose(f);
    sm_buffer_free(&file);
}

static void networks_that_learned_on_from_the_same_weights_have_a_mean(void **state)
{
    const test_place *place = *state;
    sm_sounds *s;
    char base[160], second[160], mean[160];
    const char *files[] = { place->path, second };
    sm_trained t;
    bool random_split = true;
    double held[2], first = 0; /* held-out sounds; temperature */
    snprintf(second, sizeof second, "%s.second", place->path);
    snprintf(mean, sizeof mean, "%s.mean", place->path);
    sm_train_options o = learning_on(place, base, true, "mobile-tiny", &s);
    for (int i = 0; i < 2; i++) {
        test_ok(sm_train(s, &o, &t));
        held[i] = (double)t.held_sounds;
        first = i == 0 ? t.temperature : first;
        sm_trained_free(&t);
        o.out = second;
        o.seed++;
        o.fold = 2;
        o.held_out = 0.4;
    }
    set_two(second, "temperature");
    assert_true(moved(place->path, second, "layer17.conv.weight") > 0);
    test_ok(sm_train_average(files, 2, "two", mean, &random_split));
    assert_false(random_split);
    static const char *const tensors[] = { "layer1.conv.bias", "layer17.conv.weight", "head.instrument.weight" };
    for (size_t i = 0; i < SM_LENGTH(tensors); i++)
        assert_mean(place->path, second, mean, tensors[i]);
    assert_true(held[0] != held[1] && held[0] > held[1] / 2);
    assert_float_equal(temperature_of(mean), exp((held[0] * log(first) + held[1] * log(2)) / (held[0] + held[1])),
                       1e-9);
    sm_weights *w;
    test_ok(sm_weights_open(mean, &w));
    assert_string_equal(sm_weights_meta(w, "variant"), "mobile-tiny");
    const char *training = sm_weights_meta(w, "training");
    assert_non_null(strstr(training, "\"average_of\":[{"));
    assert_non_null(strstr(training, "\"fold\":2"));
    assert_non_null(strstr(training, "\"data\":\"two\""));
    sm_weights_close(w);
    /* what was fitted on few sounds does not count */
    set_two(place->path, "held_out_sounds");
    test_ok(sm_train_average(files, 2, NULL, mean, &random_split));
    assert_float_equal(temperature_of(mean), 2, 1e-9);
    test_fails(sm_train_average(files, 1, NULL, mean, &random_split), SM_EUSAGE, "two networks at least");
    /* one of another architecture, and one that began at random */
    o.base = NULL;
    o.arch = "tiny";
    test_ok(sm_train(s, &o, &t));
    sm_trained_free(&t);
    test_fails(sm_train_average(files, 2, NULL, mean, &random_split), SM_EUSAGE, "tiny is none");
    files[1] = base;
    test_fails(sm_train_average(files, 2, NULL, mean, &random_split), SM_EUSAGE,
               "is no classifier of ours, but efficientat");
    sm_sounds_close(s);
}

static void folds_hold_out_other_families(void **state)
{
    (void)state;
    size_t held[2] = { 0 }, both = 0;
    for (int i = 0; i < 2000; i++) {
        char family[16];
        snprintf(family, sizeof family, "family %d", i);
        const bool a = trainer_is_held(family, 0.3, 0), b = trainer_is_held(family, 0.3, 1);
        held[0] += a;
        held[1] += b;
        both += a && b;
    }
    for (int k = 0; k < 2; k++)
        assert_in_range(held[k], 540, 660);
    assert_in_range(both, 140, 220); /* 0.09: they know nothing of each other */
}

static void a_network_of_ours_goes_on_where_it_stood(void **state)
{
    const test_place *place = *state;
    sm_sounds *s = open_sounds(place->folder, NULL);
    sm_train_options o = options_of(place->path);
    sm_trained a, b;
    const char *arch = NULL;
    char second[160];
    snprintf(second, sizeof second, "%s.second", place->path);
    test_ok(sm_train(s, &o, &a));
    test_ok(sm_train_arch_on(place->path, &arch));
    assert_string_equal(arch, "tiny");
    /* at a rate of next to nothing all stays; so does the head, whose classes are the same */
    o.base = place->path;
    o.out = second;
    o.epochs = 1;
    o.seed++;
    o.ema = 0;
    o.rate = 1e-3;
    o.base_rate = 1e-9;
    test_ok(sm_train(s, &o, &b));
    sm_trained_free(&b);
    static const char *const tensors[] = { "conv1.weight", "block2.conv1.weight", "dense.weight",
                                           "head.instrument.weight" };
    for (size_t i = 0; i < SM_LENGTH(tensors); i++)
        assert_true(moved(place->path, second, tensors[i]) < 1e-7);
    /* another class: the head begins anew, and learns at its own rate */
    for (size_t i = 0; i < sm_sounds_count(s); i++)
        if (!strcmp(sm_sounds_at(s, i)->label[SM_HEAD_INSTRUMENT], "kick"))
            sm_sounds_at(s, i)->label[SM_HEAD_INSTRUMENT] = "boom";
    test_ok(sm_train(s, &o, &b));
    assert_true(moved(place->path, second, "dense.weight") < 1e-7);
    assert_true(moved(place->path, second, "head.instrument.weight") > 0.01);
    sm_trained_free(&a);
    sm_trained_free(&b);
    sm_sounds_close(s);
}

/* Numbered sounds without folders of packs are of one source for all that is known: the class must not vanish to one side. */
static void a_class_of_one_source_is_split_by_file(void **state)
{
    const test_place *place = *state;
    char folder[160], path[256];
    const float x[64] = { 0.5f };
    sm_sounds *s = NULL;
    size_t kicks = 0, taken = 0;
    snprintf(folder, sizeof folder, "%s/flat", place->folder);
    for (int i = 0; i < 42; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, i < 40 ? "kick" : i == 40 ? "snare/a" : "snare/b");
        test_ok(sm_make_directories(path));
        snprintf(path + strlen(path), sizeof path - strlen(path), "/%s %02d.wav", i < 40 ? "Kick" : "Snare", i);
        sm_audio_writer *w;
        test_ok(sm_audio_writer_open(
            path, &(sm_audio_write_options){ .rate_hz = RATE, .channels = 1, .format = SM_SAMPLE_S16 }, &w));
        test_ok(sm_audio_writer_write(w, x, 64));
        test_ok(sm_audio_writer_commit(w));
    }
    test_ok(sm_sounds_open(folder, NULL, &s));
    assert_int_equal(sm_sounds_lone_classes(s), 1);
    for (size_t i = 0; i < sm_sounds_count(s); i++)
        if (!strcmp(sm_sounds_at(s, i)->label[SM_HEAD_INSTRUMENT], "kick")) {
            kicks++;
            taken += sm_sounds_at(s, i)->side == SM_SIDE_TRAIN;
        }
    assert_true(kicks == 40 && taken > 20 && taken < 40);
    sm_sounds_close(s);
}

static void what_makes_no_sense_is_refused(void **state)
{
    const test_place *place = *state;
    sm_sounds *s = open_sounds(place->folder, NULL);
    sm_train_options o = options_of(place->path);
    sm_trained t;
    o.arch = "cnnn";
    test_fails(sm_train(s, &o, &t), SM_EUSAGE, "no architecture \"cnnn\"");
    o.arch = "tiny";
    o.epochs = 0;
    test_fails(sm_train(s, &o, &t), SM_EUSAGE, "epochs");
    o.epochs = 1;
    for (size_t i = 0; i < sm_sounds_count(s); i++)
        sm_sounds_at(s, i)->side = SM_SIDE_TEST;
    test_fails(sm_train(s, &o, &t), SM_EUSAGE, "no sound to learn from");
    sm_sounds_close(s);
}

static int place_with_sounds(void **state)
{
    const int err = test_place_make(state);
    const test_place *p = *state;
    make_folder(p->folder);
    return err;
}

#define WITH_SOUNDS(test) cmocka_unit_test_setup_teardown(test, place_with_sounds, test_place_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SOUNDS(a_small_set_is_learned_by_heart),
        WITH_SOUNDS(one_and_two_threads_train_the_same_network),
        WITH_SOUNDS(what_was_stopped_goes_on_as_if_it_had_not_been),
        WITH_SOUNDS(so_it_does_where_norms_are_folded_in_the_end),
        WITH_SOUNDS(what_cannot_be_read_is_told_and_left_out),
        WITH_SOUNDS(a_trained_file_says_what_it_is),
        WITH_SOUNDS(another_networks_convolutions_learn_on),
        WITH_SOUNDS(what_learns_on_may_stand_on_efficientat),
        WITH_SOUNDS(networks_that_learned_on_from_the_same_weights_have_a_mean),
        cmocka_unit_test(folds_hold_out_other_families),
        WITH_SOUNDS(a_network_of_ours_goes_on_where_it_stood),
        WITH_SOUNDS(a_class_of_one_source_is_split_by_file),
        WITH_SOUNDS(what_makes_no_sense_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
