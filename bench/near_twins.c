/* How well near duplicates are found: copies of recorded sounds are made (mp3 at 128 kbit/s, 6 dB softer, 300 ms of silence in front,
 * 48 kHz, mono, and all of these at once), and every pair that the search gives is held against what is known of its origin.
 *
 *     make build/gcc/bench/near_twins && build/gcc/bench/near_twins FOLDER [SOUNDS [SEED [PAIRS.csv]]]
 *
 * FOLDER holds one-shots (below it, any kind of file). A quarter of the sounds is cut to 50 to 100 ms. Pairs of two origins count
 * as wrong unless their originals, 44.1 kHz and uncoded, are proved to be one sound: correlation .99 of the whole and of the beginning. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/engine.h"
#include "library/dupes.h"

enum { KINDS = 7, RATE = 44100 };
static const char *const kinds[KINDS] = { "original", "mp3 128k", "-6 dB", "+300 ms", "48 kHz", "mono", "all at once" };

typedef struct {
    char *path;
    size_t origin;
    int kind;
} copy;

typedef struct {
    char folder[64];
    copy *copies;
    sm_dupe_sound *sounds;
    size_t n_origins;
    bool *is_short;
    sm_strings names;
} bench;

static int write_copy(const char *path, const float *x, size_t frames, int rate, int channels, int kbps)
{
    sm_audio_writer *w = NULL;
    const sm_audio_write_options o = {
        .rate_hz = rate, .channels = channels, .format = SM_SAMPLE_S16, .mp3_bitrate_kbps = kbps
    };
    int err = sm_audio_writer_open(path, &o, &w);
    if (err == 0)
        err = sm_audio_writer_write(w, x, frames);
    if (err == 0)
        return sm_audio_writer_commit(w);
    sm_audio_writer_abandon(w);
    return err;
}

/* What a kind of copy does to interleaved stereo. */
static int make_copy(const char *path, int kind, const float *stereo, size_t frames)
{
    const bool all = kind == 6;
    const int channels = kind == 5 || all ? 1 : 2, rate = kind == 4 || all ? 48000 : RATE;
    sm_floats x = { 0 }, y = { 0 };
    sm_resampler *r = NULL;
    int err = kind == 3 || all ? sm_floats_add(&x, NULL, (size_t)(RATE * 3 / 10) * (size_t)channels) : 0;
    for (size_t i = 0; err == 0 && i < frames; i++) {
        const float gain = kind == 2 || all ? 0.5012F : 1;
        float frame[2] = { stereo[2 * i] * gain, stereo[2 * i + 1] * gain };
        if (channels == 1)
            frame[0] = (frame[0] + frame[1]) / 2;
        err = sm_floats_add(&x, frame, (size_t)channels);
    }
    if (err == 0 && rate != RATE) {
        err = sm_resampler_new(SM_RESAMPLE_SOXR, RATE, rate, channels, &r);
        if (err == 0)
            err = sm_resampler_push(r, x.data, x.length / (size_t)channels, &y);
        if (err == 0)
            err = sm_resampler_finish(r, &y);
        sm_resampler_free(r);
    }
    const sm_floats *out = rate != RATE ? &y : &x;
    if (err == 0)
        err = write_copy(path, out->data, out->length / (size_t)channels, rate, channels, 128);
    sm_floats_free(&x);
    sm_floats_free(&y);
    return err;
}

static int make_origin(bench *b, size_t origin, const char *file)
{
    sm_floats mono = { 0 };
    int err = sm_sound_read(file, RATE, 6, &mono, NULL);
    size_t n = mono.length;
    if (err == 0 && b->is_short[origin]) { /* 50 to 100 ms, faded out over 5 */
        float peak = 0;
        size_t start = 0;
        for (size_t i = 0; i < n; i++)
            peak = fmaxf(peak, fabsf(mono.data[i]));
        while (start < n && fabsf(mono.data[start]) < 0.01F * peak)
            start++;
        sm_floats_drop(&mono, start);
        const size_t wanted = (size_t)(RATE * (0.05 + 0.05 * (double)(origin % 32) / 32));
        n = SM_MIN(mono.length, wanted);
        for (size_t i = 0; i < SM_MIN(n, (size_t)RATE / 200); i++)
            mono.data[n - 1 - i] *= (float)i / (RATE / 200.0F);
    }
    float *stereo = sm_alloc(2 * SM_MAX(n, (size_t)1), sizeof *stereo);
    for (size_t i = 0; err == 0 && i < n; i++) {
        stereo[2 * i] = 0.9F * mono.data[i];
        stereo[2 * i + 1] = i >= 7 ? 0.6F * mono.data[i - 7] : 0;
    }
    for (int kind = 0; err == 0 && kind < KINDS; kind++) {
        copy *c = &b->copies[origin * KINDS + (size_t)kind];
        *c = (copy){ sm_printf_new("%s/%04zu_%d.%s", b->folder, origin, kind, kind == 1 || kind == 6 ? "mp3" : "wav"),
                     origin, kind };
        err = make_copy(c->path, kind, stereo, n);
    }
    sm_free(stereo);
    sm_floats_free(&mono);
    return err;
}

static int make_print(void *user, size_t i, int worker)
{
    bench *b = user;
    sm_floats wave = { 0 };
    sm_print_cut cut;
    int err = sm_print_wave(b->copies[i].path, &wave, &cut);
    (void)worker;
    if (err == 0)
        err = sm_print_of(wave.data, wave.length, &b->sounds[i].print);
    b->sounds[i].path = b->copies[i].path;
    sm_floats_free(&wave);
    return err;
}

static bool proved_twins(const bench *b, size_t x, size_t y)
{
    sm_floats p = { 0 }, q = { 0 };
    sm_print_proof proof = { 0 };
    sm_print_cut cut;
    if (sm_print_wave(b->copies[x * KINDS].path, &p, &cut) == 0 &&
        sm_print_wave(b->copies[y * KINDS].path, &q, &cut) == 0)
        sm_print_prove(&p, &q, &proof);
    sm_floats_free(&p);
    sm_floats_free(&q);
    return proof.correlation >= 0.99 && proof.click >= 0.99;
}

static void score(const bench *b, const sm_dupe_pair *pairs, size_t n_pairs, FILE *csv)
{
    size_t found[KINDS][2] = { { 0 } }, origins[2] = { 0 }, right = 0, wrong = 0, twins = 0;
    for (size_t i = 0; i < b->n_origins; i++)
        origins[b->is_short[i]]++;
    for (size_t i = 0; i < n_pairs; i++) {
        const copy *x = &b->copies[pairs[i].a], *y = &b->copies[pairs[i].b];
        const bool same = x->origin == y->origin;
        bool twin = false;
        if (!same && (pairs[i].level == SM_DUPES_SOUND || csv))
            twin = proved_twins(b, x->origin, y->origin);
        if (csv)
            fprintf(csv, "%s,%s,%d,%d,%d,%d,%.4f,%.4f,%.4f,%.4f,%s,%s\n", b->names.items[x->origin],
                    b->names.items[y->origin], x->kind, y->kind,
                    same   ? 1
                    : twin ? 2
                           : 0,
                    b->is_short[x->origin], pairs[i].cosine, pairs[i].similarity, pairs[i].proof.correlation,
                    pairs[i].proof.click, x->path, y->path);
        if (pairs[i].level != SM_DUPES_SOUND)
            continue;
        right += same;
        twins += twin;
        wrong += !same && !twin;
        if (same && x->kind == 0)
            found[y->kind][b->is_short[x->origin]]++;
        if (!same && !twin && !csv)
            printf("  wrong: %s, %s: %s, %s: similarity %.3f, correlation %.3f, click %.3f\n",
                   b->names.items[x->origin], b->names.items[y->origin], kinds[x->kind], kinds[y->kind],
                   pairs[i].similarity, pairs[i].proof.correlation, pairs[i].proof.click);
    }
    size_t all = 0;
    for (int k = 1; k < KINDS; k++) {
        all += found[k][0] + found[k][1];
        printf("%-12s recall %.4f (whole sounds %.4f of %zu, 50 to 100 ms %.4f of %zu)\n", kinds[k],
               (double)(found[k][0] + found[k][1]) / (double)b->n_origins, (double)found[k][0] / (double)origins[0],
               origins[0], (double)found[k][1] / (double)origins[1], origins[1]);
    }
    printf("recall %.4f; %zu pairs of one origin, %zu of two, %zu of proved twins: precision %.4f\n",
           (double)all / (double)(b->n_origins * (KINDS - 1)), right, wrong, twins,
           (double)(right + twins) / (double)SM_MAX(right + wrong + twins, (size_t)1));
}

static int run(bench *b, const char *folder, size_t wanted, uint64_t seed, const char *csv_name)
{
    sm_strings files = { 0 }, problems = { 0 };
    sm_dupe_limits limits = sm_dupe_limits_default;
    sm_dupe_pair *pairs = NULL;
    sm_pool *pool = NULL;
    size_t n_pairs = 0;
    FILE *csv = csv_name ? fopen(csv_name, "w") : NULL;
    int err = sm_walk(folder, &files, &problems);
    if (err == 0)
        err = sm_pool_new(sm_cpu_count(), &pool);
    b->n_origins = SM_MIN(wanted, files.length);
    b->copies = sm_alloc_zero(b->n_origins * KINDS, sizeof *b->copies);
    b->sounds = sm_alloc_zero(b->n_origins * KINDS, sizeof *b->sounds);
    b->is_short = sm_alloc_zero(b->n_origins, sizeof *b->is_short);
    for (size_t i = 0; err == 0 && i < b->n_origins; i++) { /* a seeded shuffle, as far as it is needed */
        const size_t j = i + (size_t)((sm_unit(seed, i) + 1) / 2 * (double)(files.length - i));
        char *swapped = files.items[i];
        files.items[i] = files.items[j];
        files.items[j] = swapped;
        b->is_short[i] = i % 4 == 3;
        sm_strings_add(&b->names, sm_path_name(files.items[i]));
        err = make_origin(b, i, files.items[i]);
    }
    const double start = sm_now_s();
    if (err == 0)
        err = sm_pool_run(pool, b->n_origins * KINDS, make_print, b);
    const double printed = sm_now_s();
    if (csv)
        limits.least_similarity = limits.least_variant = 0.7;
    const sm_dupe_search o = { .level = csv ? SM_DUPES_VARIANT : SM_DUPES_SOUND, .limits = &limits, .pool = pool };
    if (err == 0)
        err = sm_dupe_pairs(b->sounds, b->n_origins * KINDS, &o, &pairs, &n_pairs);
    if (err == 0) {
        printf("%zu sounds, %zu files: fingerprints %.2f ms a file (decoding included), search %.2f ms a file\n",
               b->n_origins, b->n_origins * KINDS, (printed - start) * 1e3 / (double)(b->n_origins * KINDS),
               (sm_now_s() - printed) * 1e3 / (double)(b->n_origins * KINDS));
        score(b, pairs, n_pairs, csv);
    }
    if (csv)
        fclose(csv);
    sm_free(pairs);
    sm_pool_free(pool);
    sm_strings_free(&files);
    sm_strings_free(&problems);
    return err;
}

int main(int argc, char **argv)
{
    bench b = { .folder = "/tmp/near_twins.XXXXXX" };
    if (argc < 2 || !mkdtemp(b.folder)) {
        fprintf(stderr, "usage: %s FOLDER [SOUNDS [SEED [PAIRS.csv]]]\n", argv[0]);
        return 2;
    }
    const int err = run(&b, argv[1], argc > 2 ? (size_t)atol(argv[2]) : 400,
                        sm_unit_hash("near twins", argc > 3 ? (uint64_t)atol(argv[3]) : 1), argc > 4 ? argv[4] : NULL);
    if (err < 0)
        fprintf(stderr, "%s\n", sm_last_error());
    for (size_t i = 0; b.copies && i < b.n_origins * KINDS; i++) {
        if (b.copies[i].path)
            unlink(b.copies[i].path);
        sm_free(b.copies[i].path);
        sm_print_free(&b.sounds[i].print);
    }
    rmdir(b.folder);
    sm_strings_free(&b.names);
    sm_free(b.copies);
    sm_free(b.sounds);
    sm_free(b.is_short);
    return err < 0;
}
