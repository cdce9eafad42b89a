/* bench: how fast the networks and their front ends are here, beside what this machine can do at all.
 *
 * The unit of work is 10 s of audio, batched as `analyze` does it; of a classifier of one-shots, ten sounds of one patch each. Runs of the
 * model and of sgemm alternate, and the best of each counts: other load slows both. share = multiply-adds of the plain definition x 2 / time / sgemm's rate. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/command.h"
#include "engine/engine.h"
#include "train/train.h"

enum {
    SGEMM_SIZE = 2048,
    COPY_BYTES = 256 << 20,
    WHOLE = 749 /* what inputs of whole numbers hold: T5's tokens, MusicGen's place in the middle of a window of 30 s */
};

typedef struct {
    int64_t runs, batch;
    bool profile, train;
    const char *backend, *stored;
} bench_args;

static const sm_option bench_options[] = {
    { 'r', "runs", SM_OPT_INT, offsetof(bench_args, runs), "1..1000", "runs of which the best counts (default: 7)", 0 },
    { 'b', "batch", SM_OPT_INT, offsetof(bench_args, batch), "1..4096", "patches (or one-shots) instead of 10 s", 0 },
    { 'p', "profile", SM_OPT_FLAG, offsetof(bench_args, profile), NULL, "also show where the network's time goes", 0 },
    { 0, "train", SM_OPT_FLAG, offsetof(bench_args, train), NULL,
      "time training instead; MODELs are architectures (train --list)", 0 },
    { 0, "backend", SM_OPT_CHOICE, offsetof(bench_args, backend), "onednn|ref", "who computes (default: onednn)", 0 },
    { 0, "stored", SM_OPT_CHOICE, offsetof(bench_args, stored), "f32|f16",
      "how the made-up weights are stored (default: f32)", 0 },
    { 0 }
};

/* One model on the bench. */
typedef struct {
    const sm_model *model;
    sm_weights *weights;
    sm_view *view;
    sm_model_handle *handle;
    sm_model_worker *worker;
    nn_plan *plan;
    nn_run_state *state; /* of plan, when it is run by itself */
    const void **in;
    float **out;
    float *audio;
    size_t samples;
    size_t sounds; /* in which they are heard: 1, but for classifiers of one-shots one a patch */
    dsp_mel *mel;  /* NULL: it takes samples */
    int patches;
    nn_precision precision;
    double macs;
    double front_s, whole_s, sgemm_gflops; /* best */
    sm_pool *pool;                         /* of plans that reading their weights bounds: NULL on one thread */
    float *read;                           /* as many bytes as they read */
    double streamed, read_gbps;
    double sum; /* of the answers: nothing is optimised away, and two runs can be compared */
} bench_case;

static void case_close(bench_case *b)
{
    for (int i = 0; b->in && i < nn_plan_inputs(b->plan); i++)
        sm_free((void *)(uintptr_t)b->in[i]);
    for (int i = 0; b->out && i < nn_plan_outputs(b->plan); i++)
        sm_free(b->out[i]);
    sm_free(b->in);
    sm_free(b->out);
    nn_run_state_free(b->state);
    nn_plan_free(b->plan);
    sm_model_worker_free(b->worker);
    sm_model_close(b->handle);
    sm_view_close(b->view);
    sm_weights_close(b->weights);
    sm_pool_free(b->pool);
    dsp_mel_free(b->mel);
    sm_free(b->read);
    sm_free(b->audio);
    *b = (bench_case){ 0 };
}

static nn_precision precision_of(const sm_cli *cli)
{
    const char *p = cli->common.precision;
    return p && !strcmp(p, "bf16") ? NN_PRECISION_BF16 : p && !strcmp(p, "int8") ? NN_PRECISION_INT8 : NN_PRECISION_F32;
}

/* Memory and made-up inputs to run the plan by itself. */
static int plan_open(bench_case *b)
{
    const int n_in = nn_plan_inputs(b->plan), n_out = nn_plan_outputs(b->plan);
    if (b->state)
        return 0;
    b->in = sm_alloc_zero((size_t)n_in, sizeof *b->in);
    b->out = sm_alloc_zero((size_t)n_out, sizeof *b->out);
    int err = b->in && b->out ? 0 : SM_ENOMEM;
    for (int i = 0; err == 0 && i < n_in; i++) {
        const nn_shape s = nn_plan_input_shape(b->plan, i);
        const uint64_t hash = sm_unit_hash(nn_plan_input_name(b->plan, i), 0);
        float *x = sm_alloc_aligned((size_t)nn_elements(&s), sizeof *x);
        for (int64_t k = 0; x && k < nn_elements(&s); k++)
            if (nn_plan_input_type(b->plan, i) == NN_F32)
                x[k] = (float)(1.7 * sm_unit(hash, (uint64_t)k));
            else
                ((int32_t *)(void *)x)[k] = WHOLE;
        b->in[i] = x;
        err = x ? 0 : SM_ENOMEM;
    }
    for (int i = 0; err == 0 && i < n_out; i++) {
        const nn_shape s = nn_plan_output_shape(b->plan, i);
        b->out[i] = sm_alloc_aligned((size_t)nn_elements(&s), sizeof(float));
        err = b->out[i] ? 0 : SM_ENOMEM;
    }
    return err < 0 ? err : nn_run_state_new(b->plan, &b->state);
}

/* For a plan that mostly reads weights: what a plain read of as many bytes is measured on. */
static int reading_open(bench_case *b, int threads)
{
    b->streamed = nn_plan_streamed(b->plan);
    if (b->streamed < 64e6 || b->macs > 16 * b->streamed)
        b->streamed = 0; /* in some cache, or not what takes the time */
    if (b->streamed == 0 || b->handle)
        return 0;
    const size_t n = (size_t)b->streamed / sizeof *b->read;
    if (!(b->read = sm_alloc_aligned(n, sizeof *b->read)))
        return SM_ENOMEM;
    for (size_t i = 0; i < n; i++)
        b->read[i] = 1;
    return threads > 1 ? sm_pool_new(threads, &b->pool) : 0;
}

static int case_open(sm_cli *cli, const bench_args *a, const sm_model *m, bench_case *b)
{
    const sm_model_options o = { .backend = a->backend,
                                 .precision = precision_of(cli),
                                 .threads = (int)cli->common.threads };
    *b = (bench_case){ .model = m,
                       .precision = o.precision,
                       .patches = a->batch > 0 ? (int)a->batch : m->bench.patches };
    int err = a->stored && !strcmp(a->stored, "f16") ? sm_weights_generated_half(1, m->generated, &b->weights)
                                                     : sm_weights_generated(1, m->generated, &b->weights);
    const bool stream = m->task < SM_TASK_STEMS;
    if (err == 0 && stream)
        err = sm_model_open(m, b->weights, &o, &b->handle);
    if (err == 0 && stream)
        err = sm_model_worker_new(b->handle, &b->worker);
    const nn_compile_options c = { .backend = a->backend, .precision = o.precision, .threads = o.threads };
    const sm_model_config config = { .batch = b->patches, .text = m->bench.config };
    if (err == 0)
        err = sm_view_open(m, b->weights, NULL, &b->view);
    if (err == 0)
        err = sm_model_compile(b->view, &config, &c, &b->plan);
    if (err < 0)
        return err;
    b->macs = nn_plan_macs(b->plan);
    if ((err = reading_open(b, o.threads)) < 0)
        return err;
    const sm_needs *n = &m->needs;
    const double seconds = m->bench.audio_s * b->patches / SM_MAX(m->bench.patches, 1);
    b->sounds = n->patch > 0 && n->hop > n->patch ? (size_t)b->patches : 1;
    b->samples = (size_t)lround(seconds * n->rate_hz);
    b->audio = sm_alloc(b->samples, sizeof *b->audio);
    if (n->front_end && (err = dsp_mel_new(dsp_mel_find(n->front_end), &b->mel)) < 0)
        return err;
    if (b->mel && (err = dsp_mel_share(b->mel, sm_model_worker_pool(b->worker))) < 0)
        return err;
    if (!b->audio)
        return SM_ENOMEM;
    const uint64_t hash = sm_unit_hash("bench", 0);
    for (size_t i = 0; i < b->samples; i++)
        b->audio[i] = (float)(0.1 * sm_unit(hash, i) + 0.3 * sin(0.05 * (double)i));
    return 0;
}

/* ---- one run ---- */

/* The rows of one sound. */
static int front_end(const bench_case *b, size_t sound, sm_floats *rows)
{
    const size_t n = b->samples / b->sounds;
    const float *samples = b->audio + sound * n;
    if (!b->mel)
        return sm_floats_add(rows, samples, n);
    const int err = dsp_mel_push(b->mel, samples, n, rows);
    return err < 0 ? err : dsp_mel_finish(b->mel, rows);
}

/* The network alone, on noise. */
static int run_plan(bench_case *b)
{
    int err = plan_open(b);
    const double start = sm_now_s();
    if (err == 0)
        err = nn_run(b->plan, b->state, b->in, b->out);
    b->whole_s = fmin(b->whole_s, sm_now_s() - start);
    b->front_s = 0;
    const nn_shape s = nn_plan_output_shape(b->plan, 0);
    b->sum = 0;
    for (int64_t i = 0; err == 0 && i < nn_elements(&s); i++)
        b->sum += fabs((double)b->out[0][i]);
    return err;
}

static void take_result(bench_case *b, const sm_model_result *r)
{
    for (size_t i = 0; r->mean && i < r->n_classes; i++)
        b->sum += (double)r->mean[i];
    for (size_t i = 0; r->embedding && r->n_classes == 0 && i < r->n_embedding; i++)
        b->sum += (double)r->embedding[i];
    for (size_t i = 0; r->confidence && i < r->patches; i++)
        b->sum += (double)r->confidence[i];
}

/* All sounds to their streams, one run of the batch, all answers. */
static int run_sounds(bench_case *b, sm_stream **streams, double *front_s)
{
    const size_t bands = (size_t)SM_MAX(sm_model_needs(b->handle)->bands, 1);
    sm_floats rows = { 0 };
    size_t patches = 0;
    int err = 0;
    for (size_t i = 0; i < b->sounds && err == 0; i++) {
        const double start = sm_now_s();
        rows.length = 0;
        err = front_end(b, i, &rows);
        *front_s += sm_now_s() - start;
        if (err == 0 && (err = sm_stream_new(b->handle, NULL, &streams[i])) == 0 &&
            (err = sm_stream_push(streams[i], rows.data, rows.length / bands)) == 0)
            err = sm_stream_end(streams[i]);
    }
    sm_floats_free(&rows);
    if (err == 0)
        err = sm_streams_run(b->worker, streams, b->sounds, true);
    b->sum = 0;
    for (size_t i = 0; i < b->sounds && err == 0; i++) {
        sm_model_result r = { 0 };
        err = sm_stream_finish(streams[i], &r);
        patches += r.patches;
        take_result(b, &r);
        sm_model_result_free(&r);
    }
    b->patches = (int)patches;
    return err;
}

/* Front end and network over the whole audio, as analyze runs them. */
static int run_once(bench_case *b)
{
    if (!b->handle)
        return run_plan(b);
    sm_stream **streams = sm_alloc_zero(b->sounds, sizeof(sm_stream *));
    if (!streams)
        return SM_ENOMEM;
    double front_s = 0;
    const double start = sm_now_s();
    const int err = run_sounds(b, streams, &front_s);
    const double whole_s = sm_now_s() - start;
    if (err == 0) {
        b->front_s = fmin(b->front_s, front_s);
        b->whole_s = fmin(b->whole_s, whole_s);
    }
    for (size_t i = 0; i < b->sounds; i++)
        sm_stream_free(streams[i]);
    sm_free(streams);
    return err;
}

static int measure(sm_cli *cli, const bench_args *a, bench_case *b)
{
    const double macs_a_patch = b->macs / b->patches;
    /* OpenMP's threads, on which sgemm runs, go on spinning for some 10 ms: on a core that the next run has to have for itself */
    const struct timespec settle = { .tv_nsec = 40000000 };
    int err = run_once(b); /* compiles, packs weights: thrown away */
    b->front_s = b->whole_s = HUGE_VAL;
    for (int64_t i = 0; i < a->runs && err == 0; i++) {
        if (sm_cancelled())
            return sm_fail(SM_ECANCELLED, "interrupted");
        b->sgemm_gflops = fmax(b->sgemm_gflops, nn_measure_sgemm_gflops(SGEMM_SIZE, (int)cli->common.threads, 1));
        if (cli->common.threads > 1)
            nanosleep(&settle, NULL);
        if (b->read)
            b->read_gbps = fmax(b->read_gbps, nn_measure_read_gbps(b->read, (size_t)b->streamed, b->pool));
        err = run_once(b);
    }
    b->macs = macs_a_patch * b->patches;
    return err;
}

/* ---- showing ---- */

static void show_profile(sm_cli *cli, bench_case *b)
{
    const nn_profile_row *rows = NULL;
    int err = plan_open(b);
    if (err == 0)
        err = nn_run(b->plan, b->state, b->in, b->out); /* warm-up */
    if (err == 0)
        nn_run_profile(b->state, true);
    for (int i = 0; i < 3 && err == 0; i++)
        err = nn_run(b->plan, b->state, b->in, b->out);
    const size_t n = err == 0 ? nn_run_profile_rows(b->state, &rows) : 0;
    double total = 0;
    for (size_t i = 0; i < n; i++)
        total += rows[i].seconds;
    fprintf(cli->out, "  %-6s %-9s %-9s %-16s %-28s %s\n", "share", "ms", "GFLOP/s", "operator", "kernel", "where");
    for (size_t i = 0; i < n; i++)
        if (rows[i].seconds > 0.003 * total)
            fprintf(cli->out, "  %4.1f %% %-9.3f %-9.1f %-16s %-28s %s\n", 100 * rows[i].seconds / total,
                    1e3 * rows[i].seconds / (double)SM_MAX(rows[i].calls, 1),
                    2e-9 * rows[i].macs * (double)rows[i].calls / rows[i].seconds, rows[i].op, rows[i].kernel,
                    rows[i].where ? rows[i].where : "");
}

static const char *precision_text(nn_precision p)
{
    return p == NN_PRECISION_BF16 ? "bf16" : p == NN_PRECISION_INT8 ? "int8" : "f32";
}

static void show(sm_cli *cli, const bench_case *b)
{
    const double gflops = 2e-9 * b->macs / b->whole_s;
    const double read = 1e-9 * b->streamed / b->whole_s;
    if (!strcmp(cli->common.format, "table")) {
        fprintf(cli->out, "%-16s %5d %9.2f %9.2f %9.1f %8.1f %7.1f %% %9.0f  %.6g\n", b->model->name, b->patches,
                1e3 * b->front_s, 1e3 * b->whole_s, gflops, b->sgemm_gflops, 100 * gflops / b->sgemm_gflops,
                (double)b->samples / b->model->needs.rate_hz / b->whole_s, b->sum);
        if (b->read)
            fprintf(cli->out, "  %.0f MB of weights read at %.1f GB/s, %.0f %% of a plain read's %.1f GB/s\n",
                    1e-6 * b->streamed, read, 100 * read / b->read_gbps, b->read_gbps);
        return;
    }
    sm_buffer text = { 0 };
    sm_json j;
    sm_json_init(&j, &text, false);
    sm_json_begin_object(&j);
    sm_json_key(&j, "model"), sm_json_string(&j, b->model->name);
    sm_json_key(&j, "precision"), sm_json_string(&j, precision_text(b->precision));
    sm_json_key(&j, "threads"), sm_json_int(&j, cli->common.threads);
    sm_json_key(&j, "patches"), sm_json_int(&j, b->patches);
    sm_json_key(&j, "front_ms"), sm_json_f32(&j, 1e3 * b->front_s);
    sm_json_key(&j, "ms"), sm_json_f32(&j, 1e3 * b->whole_s);
    sm_json_key(&j, "gflops"), sm_json_f32(&j, gflops);
    sm_json_key(&j, "sgemm_gflops"), sm_json_f32(&j, b->sgemm_gflops);
    sm_json_key(&j, "share"), sm_json_f32(&j, gflops / b->sgemm_gflops);
    if (b->read) {
        sm_json_key(&j, "weights_mb"), sm_json_f32(&j, 1e-6 * b->streamed);
        sm_json_key(&j, "weights_gbps"), sm_json_f32(&j, read);
        sm_json_key(&j, "read_gbps"), sm_json_f32(&j, b->read_gbps);
        sm_json_key(&j, "read_share"), sm_json_f32(&j, read / b->read_gbps);
    }
    sm_json_end_object(&j);
    if (!text.failed)
        fprintf(cli->out, "%s\n", text.data);
    sm_buffer_free(&text);
}

/* A plain read on all threads. */
static double read_gbps(int threads)
{
    float *data = sm_alloc_aligned(COPY_BYTES, 1);
    sm_pool *pool = NULL;
    double best = 0;
    if (data && (threads == 1 || sm_pool_new(threads, &pool) == 0)) {
        memset(data, 0, COPY_BYTES);
        for (int i = 0; i < 5; i++)
            best = fmax(best, nn_measure_read_gbps(data, COPY_BYTES, pool));
    }
    sm_pool_free(pool);
    sm_free(data);
    return best;
}

static void show_machine(sm_cli *cli)
{
    char backend[128];
    sm_cpu_info cpu;
    sm_cpu_detect(&cpu);
    fprintf(cli->out, "%s, %d cores; %s; samplemind %s\n", cpu.name, sm_cpu_count(), nn_backend_text(backend),
            sm_version());
    fprintf(cli->out, "sgemm %d^3 on %d thread%s: %.1f GFLOP/s; memory read: %.1f GB/s, copy: %.1f GB/s\n", SGEMM_SIZE,
            (int)cli->common.threads, cli->common.threads == 1 ? "" : "s",
            nn_measure_sgemm_gflops(SGEMM_SIZE, (int)cli->common.threads, 3), read_gbps((int)cli->common.threads),
            nn_measure_copy_gbps(COPY_BYTES, 3));
    fprintf(cli->out, "%-16s %5s %9s %9s %9s %8s %9s %9s  %s\n", "model", "batch", "front ms", "whole ms", "GFLOP/s",
            "sgemm", "share", "x real", "sum");
}

static int bench_one(sm_cli *cli, const bench_args *a, const sm_model *m)
{
    bench_case b;
    int err = case_open(cli, a, m, &b);
    if (err == 0)
        err = measure(cli, a, &b);
    if (err == 0) {
        show(cli, &b);
        if (a->profile && !strcmp(cli->common.format, "table"))
            show_profile(cli, &b);
        fflush(cli->out);
    }
    case_close(&b);
    return err == SM_ECANCELLED || err == SM_ENOMEM ? err : err < 0 ? sm_fail_prefix(err, "%s", m->name) : 0;
}

/* Training: sounds a second on all threads, and of one thread the parts and the network's share of sgemm. */
static int bench_train(sm_cli *cli, const bench_args *a, char *const *operands, size_t n)
{
    size_t n_all = 0;
    const sm_classifier_arch *all = sm_classifier_archs(&n_all);
    const bool table = !strcmp(cli->common.format, "table");
    const double seconds = 0.3 * (double)a->runs;
    if (table)
        fprintf(cli->out, "%-16s %9s %11s %11s %9s %8s %9s\n", "architecture", "sounds/s", "network ms", "picture ms",
                "GFLOP/s", "sgemm", "share");
    for (size_t i = 0; i < (n > 0 ? n : n_all); i++) {
        const char *name = n > 0 ? operands[i] : all[i].name;
        sm_train_speed s;
        if (sm_cancelled())
            return sm_fail(SM_ECANCELLED, "interrupted");
        double sgemm = nn_measure_sgemm_gflops(SGEMM_SIZE, 1, 2);
        const int err = sm_train_measure(name, (int)cli->common.threads, seconds, &s);
        if (err < 0)
            return err;
        sgemm = fmax(sgemm, nn_measure_sgemm_gflops(SGEMM_SIZE, 1, 2));
        fprintf(cli->out,
                table
                    ? "%-16s %9.1f %11.2f %11.2f %9.1f %8.1f %7.1f %%\n"
                    : "{\"train\":\"%s\",\"sounds_per_s\":%.2f,\"network_ms\":%.3f,\"picture_ms\":%.3f,\"gflops\":%.2f,"
                      "\"sgemm_gflops\":%.2f,\"share\":%.4f}\n",
                name, s.sounds_per_s, s.network_ms, s.picture_ms, s.network_gflops, sgemm,
                (table ? 100 : 1) * s.network_gflops / sgemm);
        fflush(cli->out);
    }
    return 0;
}

static int bench_run(sm_cli *cli, const void *args, char *const *operands, size_t n)
{
    size_t n_all = 0, failed = 0, done = 0;
    const sm_model *const *all = sm_models(&n_all);
    const sm_model *m = NULL;
    int err = 0;
    if (((const bench_args *)args)->train)
        return bench_train(cli, args, operands, n);
    for (size_t i = 0; i < n; i++)
        if ((err = sm_model_named(operands[i], &m)) < 0)
            return err;
    sm_cancel_install();
    if (!strcmp(cli->common.format, "table"))
        show_machine(cli);
    for (size_t i = 0; i < (n > 0 ? n : n_all); i++) {
        m = n > 0 ? sm_model_find(operands[i]) : all[i];
        if (m->bench.patches == 0 || m->needs.backbone)
            continue; /* heads cost nothing beside their backbone */
        err = bench_one(cli, args, m);
        if (err == SM_ECANCELLED || err == SM_ENOMEM)
            return err;
        if (err < 0)
            sm_cli_error(cli, "%s", sm_last_error());
        failed += err < 0;
        done += err == 0;
    }
    return sm_exit_of_batch(done, failed);
}

const sm_command sm_cmd_bench = {
    .name = "bench",
    .summary = "time the networks beside what this machine can do at all",
    .description = "Made-up weights at official sizes, so nothing needs to be installed. Each line: patches of 10 s of "
                   "audio (of a\n"
                   "classifier of one-shots: ten sounds), time of the front end and of the whole, arithmetic rate, the "
                   "rate of sgemm in\n"
                   "the same run, and the share of it that is reached (above 100 % where a method needs fewer "
                   "multiplications than the\n"
                   "definition). A step of MusicGen is bound by reading its weights: that rate stands below, beside a "
                   "plain read of as\n"
                   "many bytes in the same run.",
    .operands = "[MODEL]...",
    .options = bench_options,
    .common = SM_COMMON_THREADS | SM_COMMON_DEVICE | SM_COMMON_INT8 | SM_COMMON_FORMAT,
    .examples = (const sm_example[]){ { "samplemind bench", "all models, one thread, f32" },
                                      { "samplemind bench crepe-tiny --threads 2 --profile",
                                        "one model on two cores, and where its time goes" },
                                      { "samplemind bench musicgen-small --precision int8",
                                        "a step of the language model with weights of 8 bits" },
                                      { 0 } },
    .args_size = sizeof(bench_args),
    .defaults = &(const bench_args){ .runs = 7 },
    .run = bench_run,
};
