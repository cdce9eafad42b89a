/* How fast training is here: whole steps on all threads, and its parts on one. */
#include <math.h>
#include <string.h>

#include "train/random.h"
#include "train/sounds.h"
#include "train/trainer.h"

/* Decaying tones over noise, 1.5 s each, in two classes: what they are does not matter, their length does. */
static int make_sounds(size_t n, int rate_hz, sm_sounds **out)
{
    sm_sounds *s = sm_alloc_zero(1, sizeof *s);
    int err = s && (s->arena = sm_arena_new()) ? 0 : SM_ENOMEM;
    *out = s;
    if (err == 0)
        err = sm_grow(&s->items, &s->capacity, n, sizeof *s->items);
    for (size_t i = 0; i < n && err == 0; i++) {
        sm_sound *x = &s->items[i];
        const size_t length = (size_t)rate_hz * 3 / 2;
        *x = (sm_sound){ .path = sm_arena_printf(s->arena, "made %zu", i),
                         .family = "made",
                         .label = { i % 2 ? "a" : "b" },
                         .side = SM_SIDE_TRAIN,
                         .random_side = SM_SIDE_TRAIN,
                         .scale = 1.0f / 32768,
                         .length = length };
        s->n++;
        x->samples = sm_alloc(length, sizeof *x->samples);
        if (!x->path || !x->samples)
            return SM_ENOMEM;
        train_random r = train_random_of("bench", 0, 0, i);
        for (size_t k = 0; k < length; k++)
            x->samples[k] =
                (int16_t)(20000 * exp(-3.0 * (double)k / (double)length) * sin(0.05 * (double)(k * (1 + i % 7))) +
                          2000 * train_unit(&r));
    }
    s->rate_hz = rate_hz;
    return err;
}

static int measure_steps(trainer *t, double seconds, sm_train_speed *out)
{
    double loss, best = HUGE_VAL;
    int err = trainer_order(t, 0);
    if (err == 0)
        err = trainer_prepare_first(t, 0);
    const double end = sm_now_s() + seconds;
    for (int64_t step = 0; err == 0 && (step < 3 || sm_now_s() < end); step++) {
        const double start = sm_now_s();
        err = trainer_step(t, 0, step, &loss);
        if (step > 0) /* the first one warms up */
            best = fmin(best, sm_now_s() - start);
    }
    out->sounds_per_s = (double)t->batch / best;
    return err;
}

static int measure_parts(trainer *t, double seconds, sm_train_speed *out)
{
    double network = HUGE_VAL, picture = 0;
    int err = 0, pictures = 0;
    const double end = sm_now_s() + seconds;
    for (int i = 0; err == 0 && (i < 3 || sm_now_s() < end); i++) {
        double start = sm_now_s();
        err = train_runner_run(t->runners[0], t->state.parameters, &t->shards[0][0]);
        network = fmin(network, sm_now_s() - start);
        start = sm_now_s();
        for (size_t k = 0; k < 8 && err == 0; k++, pictures++) /* not the best: effects differ from sound to sound */
            err = train_eye_augmented(t->eyes[0], sm_sounds_at(t->sounds, k), NULL, 1, (uint64_t)i, k, t->mixing[0]);
        picture += sm_now_s() - start;
    }
    out->network_ms = 1e3 * network / TRAIN_SHARD;
    out->picture_ms = 1e3 * picture / SM_MAX(pictures, 1);
    out->network_gflops = 2e-9 * nn_plan_macs(t->net.plan) / network;
    return err;
}

int sm_train_measure(const char *arch, int threads, double seconds, sm_train_speed *out)
{
    sm_train_options o;
    sm_train_options_init(&o);
    o.arch = arch;
    o.out = "";
    o.held_out = 0;
    trainer t = { .o = &o, .threads = threads > 0 ? threads : sm_cpu_count() };
    *out = (sm_train_speed){ 0 };
    o.batch = TRAIN_SHARD * SM_MAX(2, t.threads);
    int err = trainer_check(&o, &t.arch, &t.front_end);
    if (err == 0)
        err = make_sounds(64, t.front_end->rate_hz, &t.sounds);
    if (err == 0)
        err = trainer_open(&t);
    t.steps = 1000000; /* no step is the last */
    if (err == 0)
        err = measure_steps(&t, seconds, out);
    if (err == 0)
        err = measure_parts(&t, seconds, out);
    trainer_close(&t);
    sm_sounds_close(t.sounds);
    return err;
}
