/* Samplers against k-diffusion, stable-audio-tools and diffusers on a small function, state by state; PyTorch's normal numbers. */
#include "support/model_support.h"

#include <math.h>
#include <string.h>

#include "models/stable_audio_sampler.h"
#include "models/twister.h"

#define DATA "tests/data/models/stable_audio_"

enum { N = 12, LENGTH = 6, MOST = 20 };

/* What a run saw. */
typedef struct {
    const float *noises;
    float x[MOST][N], d[MOST][N];
    double sigma[MOST];
    int seen, stop_at;
} record;

static int function(void *user, const float *x, double t, float *v)
{
    (void)user;
    for (int i = 0; i < N; i++)
        v[i] = (float)(sin(1.7 * (double)x[i] + 3 * t + 0.5 * (i / LENGTH)) - 0.2 * (double)x[i]);
    return 0;
}

static int given_noise(void *user, sa_noise_use use, int i, float *out)
{
    const record *r = user;
    memcpy(out, r->noises + (size_t)(i + (use == SA_NOISE_KEEP ? 16 : 0)) * N, N * sizeof *out);
    return 0;
}

static void see(void *user, int i, double sigma, const float *x, const float *d)
{
    record *r = user;
    assert_int_equal(i, r->seen);
    assert_true(i < MOST);
    memcpy(r->x[i], x, sizeof r->x[i]);
    memcpy(r->d[i], d, sizeof r->d[i]);
    r->sigma[r->seen++] = sigma;
}

static int stop(void *user, int i, int steps)
{
    const record *r = user;
    (void)steps;
    return r->stop_at && i == r->stop_at;
}

static const float *tensor(sm_weights *golden, const char *format, const char *name, int64_t n)
{
    char whole[96];
    nn_tensor t;
    snprintf(whole, sizeof whole, format, name);
    test_ok(sm_weights_get_f32(golden, whole, NULL, &t));
    assert_int_equal(nn_elements(&t.shape), n);
    return t.data;
}

static void near(const float *ours, const float *golden, size_t n, const char *what)
{
    const double e = test_normalised_error(ours, golden, n);
    if (!(e <= 1e-5)) /* the spec's bar; float states reach 1e-6 */
        fail_msg("%s: error %g", what, e);
}

static const struct {
    const char *golden, *sampler;
    sa_schedule o;
    bool init, x, d; /* what of the original's callback is our state and estimate */
} cases[] = {
    { "v.dpmpp-3m-sde", "dpmpp-3m-sde", { 12, 0.3, 500, 1, 1, 0, false }, false, true, true },
    { "v.dpmpp-3m-sde.init20", "dpmpp-3m-sde", { 9, 0.3, 20, 1, 1, 0, false }, true, true, true },
    { "v.dpmpp-3m-sde.rho2", "dpmpp-3m-sde", { 8, 0.03, 100, 2, 1, 0, false }, false, true, true },
    { "v.dpmpp-2m-sde", "dpmpp-2m-sde", { 12, 0.3, 500, 1, 1, 0, false }, false, true, true },
    { "v.dpmpp-2m", "dpmpp-2m", { 12, 0.3, 500, 1, 1, 0, false }, false, true, true },
    { "v.k-heun", "k-heun", { 12, 0.3, 500, 1, 1, 0, false }, false, true, true },
    { "v.v-ddim", "v-ddim", { 10, 0.3, 500, 1, 1, 0, false }, false, true, true },
    { "v.v-ddim.init0.7", "v-ddim", { 10, 0.3, 500, 1, 0.7, 0, false }, true, true, true },
    { "rf.pingpong", "pingpong", { 8, 0, 0, 1, 1, 0, false }, false, true, true },
    { "rf.pingpong.init0.6", "pingpong", { 8, 0, 0, 1, 0.6, 0, false }, true, true, true },
    { "rf.euler", "euler", { 8, 0, 0, 1, 1, 0, false }, false, true, true },
    { "rf.euler.init0.6", "euler", { 8, 0, 0, 1, 0.6, 0, false }, true, true, true },
    { "rf.dpmpp", "dpmpp", { 8, 0, 0, 1, 1, 0, false }, false, true, true },
    { "rf.dpmpp.init0.6", "dpmpp", { 8, 0, 0, 1, 0.6, 0, false }, true, true, true },
    { "rf.rk4", "rk4", { 8, 0, 0, 1, 1, 256, false }, false, true, false }, /* its estimate is of the last slope */
    { "rf.rk4.init0.6", "rk4", { 8, 0, 0, 1, 0.6, 256, false }, true, true, false },
};

static void every_sampler_is_the_originals_state_by_state(void **state)
{
    sm_weights *golden = test_golden_open(DATA "samplers.safetensors");
    (void)state;
    for (size_t i = 0; i < SM_LENGTH(cases); i++) {
        record r = { .noises = tensor(golden, "in.%s", "noises", 32 * N) };
        const sa_sampling with = { .model = function, .noise = given_noise, .watch = see, .user = &r };
        const sa_sampler *s = sa_sampler_find(cases[i].sampler);
        const int steps = cases[i].o.steps;
        float x[N];
        assert_non_null(s);
        memcpy(x, tensor(golden, "in.%s", "start", N), sizeof x);
        sa_start(s, &cases[i].o, cases[i].init ? tensor(golden, "in.%s", "init", N) : NULL, x, N);
        test_ok(sa_sample(s, &cases[i].o, &with, x, N));
        assert_int_equal(r.seen, steps);
        near(x, tensor(golden, "out.%s.final", cases[i].golden, N), N, cases[i].golden);
        if (cases[i].x)
            near(r.x[0], tensor(golden, "out.%s.x", cases[i].golden, (int64_t)steps * N),
                 (size_t)(s == &sa_v_ddim ? steps - 1 : steps) * N, /* DDIM shows its last state as it was before */
                 cases[i].golden);
        if (cases[i].d)
            near(r.d[0], tensor(golden, "out.%s.denoised", cases[i].golden, (int64_t)steps * N), (size_t)steps * N,
                 cases[i].golden);
    }
    sm_weights_close(golden);
}

static void diffusers_scheduler_is_the_second_order_one_from_another_start(void **state)
{
    static const int steps[2] = { 12, 20 };
    sm_weights *golden = test_golden_open(DATA "samplers.safetensors");
    (void)state;
    for (int i = 0; i < 2; i++) {
        const sa_schedule o = { steps[i], 0.3, 500, 1, 1, 0, true };
        record r = { .noises = tensor(golden, "in.%s", "noises", 32 * N) };
        const sa_sampling with = { .model = function, .noise = given_noise, .watch = see, .user = &r };
        char name[32];
        float x[N];
        snprintf(name, sizeof name, "cosine_dpm.%d", steps[i]);
        const float *states = tensor(golden, "out.diffusers.%s.x", name, (int64_t)(steps[i] + 1) * N);
        memcpy(x, tensor(golden, "in.%s", "start", N), sizeof x);
        sa_start(&sa_dpmpp_2m_sde, &o, NULL, x, N);
        test_ok(sa_sample(&sa_dpmpp_2m_sde, &o, &with, x, N));
        near(r.x[0], states, (size_t)steps[i] * N, name);
        near(x, states + steps[i] * N, N, name);
    }
    sm_weights_close(golden);
}

static void near_table(const double *ours, const float *golden, int n, const char *what)
{
    for (int i = 0; i < n; i++)
        if (!(fabs(ours[i] - (double)golden[i]) <= 1e-5 * fmax(fabs((double)golden[i]), 1e-3)))
            fail_msg("%s[%d]: %.9g, expected %.9g", what, i, ours[i], (double)golden[i]);
}

static void schedules_are_the_originals(void **state)
{
    sm_weights *golden = test_golden_open(DATA "samplers.safetensors");
    double at[101], t[101];
    (void)state;
    sa_sigmas(&(sa_schedule){ .steps = 12, .sigma_min = 0.3, .sigma_max = 500, .rho = 1 }, at);
    near_table(at, tensor(golden, "out.sigmas.%s", "v12", 13), 13, "v12");
    sa_sigmas(&(sa_schedule){ .steps = 8, .sigma_min = 0.03, .sigma_max = 100, .rho = 2 }, at);
    near_table(at, tensor(golden, "out.sigmas.%s", "rho2", 9), 9, "rho2");
    sa_sigmas(&(sa_schedule){ .steps = 100, .sigma_min = 0.3, .sigma_max = 500, .rho = 1 }, at);
    near_table(at, tensor(golden, "out.sigmas.%s", "v100", 101), 101, "v100");
    for (int i = 0; i <= 100; i++)
        t[i] = sa_time_of_sigma(at[i]);
    near_table(t, tensor(golden, "out.t.%s", "v100", 101), 101, "t of v100");
    sa_flow_times(&(sa_schedule){ .steps = 8, .start = 1 }, at);
    near_table(at, tensor(golden, "out.rf_t.%s", "8", 9), 9, "rf 8");
    sa_flow_times(&(sa_schedule){ .steps = 8, .start = 0.6 }, at);
    near_table(at, tensor(golden, "out.rf_t.%s", "8.from0.6", 9), 9, "rf 8 from 0.6");
    sa_flow_times(&(sa_schedule){ .steps = 50, .start = 1 }, at);
    near_table(at, tensor(golden, "out.rf_t.%s", "50", 51), 51, "rf 50");
    sa_linear_times(&(sa_schedule){ .steps = 8, .start = 1, .shift_length = 256 }, at);
    near_table(at, tensor(golden, "out.dist_shift.%s", "256", 9), 9, "shift 256");
    sa_linear_times(&(sa_schedule){ .steps = 8, .start = 1, .shift_length = 1024 }, at);
    near_table(at, tensor(golden, "out.dist_shift.%s", "1024", 9), 9, "shift 1024");
    sm_weights_close(golden);
}

static void what_is_kept_stays_and_the_rest_follows_it(void **state)
{
    sm_weights *golden = test_golden_open(DATA "outpaint.safetensors");
    record r = { .noises = tensor(golden, "in.%s", "noises", 32 * N) };
    const float *keep = tensor(golden, "in.%s", "keep", LENGTH), *init = tensor(golden, "in.%s", "init", N);
    const sa_schedule o = { 12, 0.3, 500, 1, 1, 0, false };
    float x[N], mask[N];
    const sa_sampling with = {
        .model = function, .noise = given_noise, .watch = see, .user = &r, .keep = init, .mask = mask
    };
    (void)state;
    for (int i = 0; i < N; i++)
        mask[i] = keep[i % LENGTH];
    memcpy(x, tensor(golden, "in.%s", "start", N), sizeof x);
    sa_start(&sa_dpmpp_3m_sde, &o, NULL, x, N);
    test_ok(sa_sample(&sa_dpmpp_3m_sde, &o, &with, x, N));
    near(x, tensor(golden, "out.%s", "final", N), N, "final");
    near(r.x[0], tensor(golden, "out.%s", "x", 12 * N), 12 * N, "states");
    for (int i = 0; i < N; i++)
        if (mask[i] == 1)
            assert_true(x[i] == init[i]);
    sm_weights_close(golden);
}

static void schedules_outside_their_ranges_are_refused(void **state)
{
    static const struct {
        const char *sampler, *part;
        sa_schedule o;
    } rows[] = {
        { "dpmpp-3m-sde", "0 steps", { 0, 0.3, 500, 1, 1, 0, false } },
        { "pingpong", "10001 steps", { 10001, 0.3, 500, 1, 1, 0, false } },
        { "dpmpp-2m", "from 0.2 down to 0.3", { 8, 0.3, 0.2, 1, 1, 0, false } },
        { "k-heun", "above 0", { 8, 0, 500, 1, 1, 0, false } },
        { "euler", "noise level of 0", { 8, 0, 0, 1, 0, 0, false } },
        { "v-ddim", "noise level of 1.5", { 8, 0, 0, 1, 1.5, 0, false } },
    };
    float x[N] = { 0 };
    record r = { 0 };
    const sa_sampling with = { .model = function, .noise = given_noise, .user = &r };
    (void)state;
    for (size_t i = 0; i < SM_LENGTH(rows); i++)
        test_fails(sa_sample(sa_sampler_find(rows[i].sampler), &rows[i].o, &with, x, N), SM_EUSAGE, rows[i].part);
    assert_null(sa_sampler_find("ddpm"));
}

static void a_run_can_be_stopped(void **state)
{
    size_t n;
    const sa_sampler *const *all = sa_samplers(&n);
    float noises[32 * N];
    (void)state;
    test_fill(noises, 32 * N, "noises", 0, 0, 1);
    for (size_t i = 0; i < n; i++) {
        record r = { .noises = noises, .stop_at = 3 };
        const sa_schedule o = { 8, 0.3, 500, 1, 1, 0, false };
        const sa_sampling with = {
            .model = function, .noise = given_noise, .progress = stop, .watch = see, .user = &r
        };
        float x[N] = { 0 };
        test_fails(sa_sample(all[i], &o, &with, x, N), SM_ECANCELLED, "interrupted");
        assert_int_equal(r.seen, 3);
    }
}

/* The file has the first and last values of tensors drawn one after the other: 65536, 2368 and 18 values. */
static void normal_numbers_are_pytorchs(void **state)
{
    static const struct {
        const char *name;
        uint32_t seed;
    } rows[] = { { "0", 0 }, { "42", 42 }, { "4294967295", 4294967295u } };
    sm_weights *golden = test_golden_open(DATA "conditioners_rng.safetensors");
    float *x = sm_alloc(65536, sizeof *x);
    (void)state;
    assert_non_null(x);
    for (size_t i = 0; i < SM_LENGTH(rows); i++) {
        twister t;
        twister_seed(&t, rows[i].seed);
        twister_normals(&t, x, 65536);
        near(x, tensor(golden, "out.randn.%s.first", rows[i].name, 48), 48, "first");
        near(x + 65536 - 16, tensor(golden, "out.randn.%s.last", rows[i].name, 16), 16, "last");
        twister_normals(&t, x, 2368);
        near(x, tensor(golden, "out.randn.%s.second", rows[i].name, 48), 48, "second");
        twister_normals(&t, x, 18);
        near(x, tensor(golden, "out.randn.%s.third18", rows[i].name, 18), 18, "third");
    }
    sm_free(x);
    sm_weights_close(golden);
}

static int sample_once(void *user)
{
    const sa_sampler *s = user;
    float noises[32 * N], x[N] = { 0 };
    record r = { .noises = noises };
    const sa_schedule o = { 4, 0.3, 500, 1, 1, 0, false };
    const sa_sampling with = { .model = function, .noise = given_noise, .user = &r };
    test_fill(noises, 32 * N, "noises", 0, 0, 1);
    return sa_sample(s, &o, &with, x, N);
}

static void samplers_survive_lack_of_memory(void **state)
{
    size_t n;
    const sa_sampler *const *all = sa_samplers(&n);
    (void)state;
    for (size_t i = 0; i < n; i++)
        test_every_allocation_may_fail(sample_once, (void *)(uintptr_t)all[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_sampler_is_the_originals_state_by_state),
        cmocka_unit_test(diffusers_scheduler_is_the_second_order_one_from_another_start),
        cmocka_unit_test(schedules_are_the_originals),
        cmocka_unit_test(what_is_kept_stays_and_the_rest_follows_it),
        cmocka_unit_test(schedules_outside_their_ranges_are_refused),
        cmocka_unit_test(a_run_can_be_stopped),
        cmocka_unit_test(normal_numbers_are_pytorchs),
        cmocka_unit_test(samplers_survive_lack_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
