/* Duplicates: copies of one sound in other formats are found, neighbours are not, and what is moved comes back. */
#include "support/support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "library/dupes.h"
#include "library/scan.h"
#include "library/store.h"

enum { RATE = 44100, KINDS = 7 };

/* ---- sounds of our own: a kick, tones that ring, noises that fade; the seed makes others of the same kind ---- */

static void compose(int kind, int seed, float *x, size_t n)
{
    const uint64_t noise = sm_unit_hash("test_dupes", (uint64_t)(100 * kind + seed));
    double phase = 0;
    for (size_t i = 0; i < n; i++) {
        const double t = (double)i / RATE, hiss = sm_unit(noise, i);
        const double fade = exp(-t * (8 + 3 * seed)) * fmin(1, t * 2000);
        if (kind == 0) { /* a kick, whose click differs from seed to seed */
            phase += 2 * M_PI * (45 + 4 * seed + 200 * exp(-t * 40)) / RATE;
            x[i] = (float)(0.8 * sin(phase) * fade + 0.3 * hiss * exp(-t * 400));
        } else if (kind == 1) { /* a string */
            x[i] = 0;
            for (int h = 1; h < 9; h++)
                x[i] += (float)(0.3 / h * sin(2 * M_PI * 110 * (1 + 0.12 * seed) * h * t) * exp(-t * (3 + 2 * h)));
        } else { /* a hat */
            x[i] = (float)(0.6 * hiss * fade);
        }
    }
}

static void write_copy(const char *path, const float *x, size_t n, int rate, int channels)
{
    sm_audio_writer *w = NULL;
    const sm_audio_write_options o = {
        .rate_hz = rate, .channels = channels, .format = SM_SAMPLE_S16, .mp3_bitrate_kbps = 128
    };
    test_ok(sm_audio_writer_open(path, &o, &w));
    for (size_t i = 0; i < n; i++) {
        const float frame[2] = { x[i], x[i] };
        test_ok(sm_audio_writer_write(w, frame, 1));
    }
    test_ok(sm_audio_writer_commit(w));
}

/* The original, mp3 at 128 kbit/s, -6 dB, 300 ms of silence in front, 48 kHz, mono, flac. */
static void write_kind(const char *folder, const char *name, int kind, const float *x, size_t n)
{
    char path[256];
    sm_floats y = { 0 };
    int rate = RATE;
    snprintf(path, sizeof path, "%s/%s_%d.%s", folder, name, kind, kind == 1 ? "mp3" : kind == 6 ? "flac" : "wav");
    if (kind == 3)
        test_ok(sm_floats_add(&y, NULL, RATE * 3 / 10));
    if (kind == 4) {
        sm_resampler *r = NULL;
        rate = 48000;
        test_ok(sm_resampler_new(SM_RESAMPLE_SOXR, RATE, rate, 1, &r));
        test_ok(sm_resampler_push(r, x, n, &y));
        test_ok(sm_resampler_finish(r, &y));
        sm_resampler_free(r);
    } else {
        test_ok(sm_floats_add(&y, x, n));
    }
    for (size_t i = 0; kind == 2 && i < y.length; i++)
        y.data[i] *= 0.5012F;
    write_copy(path, y.data, y.length, rate, kind == 5 ? 1 : 2);
    sm_floats_free(&y);
}

static sm_dupes *find(const sm_strings *files, sm_dupe_level level, const char *library)
{
    sm_dupes_options o;
    sm_dupes *d = NULL;
    sm_dupes_options_init(&o);
    o.level = level;
    o.library = library;
    o.jobs = 2;
    test_ok(sm_dupes_find(&o, (const char *const *)files->items, files->length, &d));
    assert_null(sm_dupes_problem(d, 0));
    return d;
}

static sm_strings sounds_in(const char *folder)
{
    sm_strings files = { 0 }, problems = { 0 };
    test_ok(sm_walk(folder, &files, &problems));
    assert_int_equal(problems.length, 0);
    return files;
}

/* Twelve sounds, half of them cut to 50 to 90 ms, in seven copies each: every copy is found, and nothing else. */
static void copies_are_found_and_neighbours_are_not(void **state)
{
    const test_place *place = *state;
    float *x = sm_alloc(RATE, sizeof *x);
    size_t found = 0;
    for (int s = 0; s < 12; s++) {
        const size_t n = s < 6 ? RATE / 2 + (size_t)s * 3000 : (size_t)(RATE * (0.05 + 0.008 * (s - 6)));
        char name[16];
        compose(s % 3, s / 3, x, n);
        for (size_t i = 0; i < 200; i++) /* no end like a click */
            x[n - 1 - i] *= (float)i / 200;
        snprintf(name, sizeof name, "s%02d", s);
        for (int k = 0; k < KINDS; k++)
            write_kind(place->folder, name, k, x, n);
    }
    sm_free(x);
    sm_strings files = sounds_in(place->folder);
    assert_int_equal(files.length, 12 * KINDS);
    sm_dupes *d = find(&files, SM_DUPES_SOUND, NULL);
    assert_int_equal(sm_dupes_files(d), 12 * KINDS);
    for (size_t g = 0, n = 0; g < sm_dupes_groups(d); g++) {
        const sm_dupe_file *f = sm_dupes_group(d, g, &n);
        found += n - 1;
        assert_true(strstr(f[0].path, "_4.wav") != NULL); /* the highest rate is kept */
        for (size_t k = 1; k < n; k++) {
            if (strncmp(sm_path_name(f[k].path), sm_path_name(f[0].path), 4) != 0)
                fail_msg("%s is no copy of %s", f[k].path, f[0].path);
            if (strstr(f[k].path, "_2.wav") && fabs(f[k].gain_db + 6) > 0.2)
                fail_msg("%s: %.2f dB", f[k].path, f[k].gain_db);
            if (strstr(f[k].path, "_3.wav") && fabs(f[k].offset_s - 0.3) > 0.001)
                fail_msg("%s: begins %.4f s later", f[k].path, f[k].offset_s);
        }
    }
    assert_int_equal(found, 12 * (KINDS - 1));
    assert_int_equal(sm_dupes_groups(d), 12);
    sm_dupes_free(d);
    /* of these, only the flac has the samples of the wav */
    d = find(&files, SM_DUPES_AUDIO, NULL);
    assert_int_equal(sm_dupes_groups(d), 12);
    sm_dupes_free(d);
    d = find(&files, SM_DUPES_BYTES, NULL);
    assert_int_equal(sm_dupes_groups(d), 0);
    sm_dupes_free(d);
    sm_strings_free(&files);
}

/* The long sine is the same, the first milliseconds differ: takes of a drum machine are variants, not duplicates. */
static void another_click_is_another_sound(void **state)
{
    const test_place *place = *state;
    enum { N = RATE };
    float *x = sm_alloc(N, sizeof *x);
    char path[256];
    for (int take = 0; take < 2; take++) {
        const uint64_t noise = sm_unit_hash("click", (uint64_t)take);
        for (size_t i = 0; i < N; i++) {
            const double t = (double)i / RATE;
            x[i] = (float)(0.7 * sin(2 * M_PI * 50 * t) * exp(-t * 3) + 0.25 * sm_unit(noise, i) * exp(-t * 150));
        }
        snprintf(path, sizeof path, "%s/take%d.wav", place->folder, take);
        write_copy(path, x, N, RATE, 1);
    }
    sm_free(x);
    sm_strings files = sounds_in(place->folder);
    sm_dupes *d = find(&files, SM_DUPES_SOUND, NULL);
    assert_int_equal(sm_dupes_groups(d), 0);
    sm_dupes_free(d);
    d = find(&files, SM_DUPES_VARIANT, NULL);
    size_t n = 0;
    const sm_dupe_file *f = sm_dupes_group(d, 0, &n);
    assert_int_equal(n, 2);
    assert_int_equal(f[1].level, SM_DUPES_VARIANT);
    assert_true(f[1].correlation > 0.9); /* which is why the click is asked */
    sm_dupes_free(d);
    sm_strings_free(&files);
}

static void links_and_silence_are_no_duplicates(void **state)
{
    const test_place *place = *state;
    float x[4000] = { 0 };
    char path[256], other[256];
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/silence%d.wav", place->folder, i);
        write_copy(path, x, 2000 + 1000 * (size_t)i, RATE, 1);
    }
    compose(1, 0, x, 4000);
    snprintf(path, sizeof path, "%s/a.wav", place->folder);
    snprintf(other, sizeof other, "%s/b.wav", place->folder);
    write_copy(path, x, 4000, RATE, 1);
    assert_int_equal(link(path, other), 0);
    snprintf(other, sizeof other, "%s/c.wav", place->folder);
    assert_int_equal(symlink(path, other), 0);
    sm_strings files = sounds_in(place->folder);
    sm_dupes *d = find(&files, SM_DUPES_SOUND, NULL);
    assert_int_equal(sm_dupes_groups(d), 0);
    assert_int_equal(sm_dupes_files(d), 3);
    sm_dupes_free(d);
    sm_strings_free(&files);
}

static void the_rule_says_which_is_kept(void **state)
{
    (void)state;
    const sm_dupe_sound wav = { .path = "b/long name.wav",
                                .bytes = 900,
                                .mtime_ns = 5,
                                .rate_hz = 44100,
                                .channels = 2,
                                .bit_depth = 16,
                                .duration_s = 1 };
    sm_dupe_sound other = wav;
    other.path = "c";
    assert_true(sm_dupe_better(SM_KEEP_BEST, &other, &wav) < 0); /* shorter path */
    other.mtime_ns = 6;
    assert_true(sm_dupe_better(SM_KEEP_BEST, &other, &wav) > 0); /* younger */
    assert_true(sm_dupe_better(SM_KEEP_NEWEST, &other, &wav) < 0);
    assert_true(sm_dupe_better(SM_KEEP_SHORTEST_PATH, &other, &wav) < 0);
    other.duration_s = 1.5;
    assert_true(sm_dupe_better(SM_KEEP_BEST, &other, &wav) < 0); /* its tail is whole */
    assert_true(sm_dupe_better(SM_KEEP_OLDEST, &other, &wav) > 0);
    other.rate_hz = 22050;
    assert_true(sm_dupe_better(SM_KEEP_BEST, &other, &wav) > 0);
    other.rate_hz = 96000;
    other.bit_depth = 0;
    assert_true(sm_dupe_better(SM_KEEP_BEST, &other, &wav) > 0); /* lossy */
    other.bytes = 1000;
    assert_true(sm_dupe_better(SM_KEEP_LARGEST, &other, &wav) < 0);
    assert_true(sm_dupe_better(SM_KEEP_SMALLEST, &other, &wav) > 0);
}

static void fingerprints_are_kept_and_damaged_ones_refused(void **state)
{
    float x[8000];
    sm_print p, q;
    sm_buffer bytes = { 0 };
    double alike = 0;
    (void)state;
    compose(2, 1, x, 8000);
    test_ok(sm_print_of(x, 8000, &p));
    test_ok(sm_print_pack(&p, &bytes));
    test_ok(sm_print_unpack(bytes.data, bytes.length, &q));
    assert_int_equal(p.frames, q.frames);
    assert_memory_equal(p.cells, q.cells, (size_t)p.frames * PRINT_BANDS);
    test_ok(sm_print_similarity(&p, &q, &alike));
    assert_float_equal(alike, 1, 1e-12);
    sm_print_free(&q);
    for (size_t cut = 0; cut < bytes.length; cut++)
        assert_int_equal(sm_print_unpack(bytes.data, cut, &q), SM_EFORMAT);
    bytes.data[0]++;
    test_fails(sm_print_unpack(bytes.data, bytes.length, &q), SM_EFORMAT, "version");
    sm_buffer_free(&bytes);
    sm_print_free(&p);
    test_ok(sm_print_of(x, 0, &p));
    test_ok(sm_print_similarity(&p, &p, &alike));
    assert_true(alike == 0);
}

/* Brute force in integers, of vectors of every kind of length. */
static void neighbours_are_the_nearest(void **state)
{
    enum { N = 150, K = 5 };
    sm_print_row *rows = sm_alloc_zero(N, sizeof *rows);
    size_t near[N * K];
    float cosines[N * K];
    sm_pool *pool = NULL;
    (void)state;
    for (int i = 0; i < N; i++) {
        double energy = 0;
        for (int k = 0; k < PRINT_VECTOR; k++) {
            rows[i].values[k] = i == 7 ? 0 : (int8_t)(63.5 + 63.5 * sm_unit((uint64_t)(i % 40) + 1, (uint64_t)k));
            if (k % 17 == i % 17)
                rows[i].values[k] /= 2;
            energy += rows[i].values[k] * rows[i].values[k];
        }
        rows[i].scale = energy > 0 ? (float)(1 / sqrt(energy)) : 0;
    }
    test_ok(sm_pool_new(2, &pool));
    test_ok(sm_print_neighbours(&(sm_print_search){ rows, N, K, 0.5F, pool, NULL, NULL }, near, cosines));
    for (int i = 0; i < N; i++) {
        double best = 0;
        for (int j = 0; j < N; j++) {
            double sum = 0;
            for (int k = 0; k < PRINT_VECTOR; k++)
                sum += rows[i].values[k] * rows[j].values[k];
            best = i == j ? best : fmax(best, sum * rows[i].scale * rows[j].scale);
        }
        if (i == 7) {
            assert_true(near[i * K] == SIZE_MAX);
            continue;
        }
        assert_float_equal(cosines[i * K], best, 1e-6);
        for (int k = 1; k < K; k++)
            assert_true(cosines[i * K + k] <= cosines[i * K + k - 1] && near[i * K + k] != 7);
    }
    sm_pool_free(pool);
    sm_free(rows);
}

/* A delay of 3.37 samples is found between the samples. */
static void waveforms_are_compared_between_samples(void **state)
{
    enum { N = 3000 };
    float a[N], b[N];
    dsp_correlation c;
    (void)state;
    for (int i = 0; i < N; i++) {
        a[i] = b[i] = 0;
        for (int k = 1; k < 40; k++) { /* up to 0.8 of Nyquist */
            const double w = M_PI * 0.02 * k, phase = 7.0 * sm_unit(5, (uint64_t)k);
            a[i] += (float)(sin(w * i + phase) * exp(-pow((i - 1500) / 500.0, 2)));
            b[i] += (float)(-0.5 * sin(w * (i + 3.37) + phase) * exp(-pow((i + 3.37 - 1500) / 500.0, 2)));
        }
    }
    test_ok(dsp_correlate(a, N, b, N, 50, true, &c));
    assert_float_equal(c.lag, 3.37, 1 / 32.0);
    assert_true(c.correlation < -0.99);
    assert_float_equal(c.gain, -2, 0.02);
    test_ok(dsp_correlate(a, N, b, 0, 50, true, &c));
    assert_true(c.correlation == 0);
}

/* ---- moving ---- */

static void make_group(const char *folder, sm_dupes **d, sm_strings *files)
{
    char path[256];
    float x[6000];
    compose(1, 1, x, 6000);
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/in/%d", folder, i);
        test_ok(sm_make_directories(path));
        snprintf(path, sizeof path, "%s/in/%d/\xff%d.wav", folder, i, i); /* a name that is no UTF-8 */
        write_copy(path, x, 6000, RATE, 1);
    }
    snprintf(path, sizeof path, "%s/in", folder);
    *files = sounds_in(path);
    assert_int_equal(files->length, 3);
    *d = find(files, SM_DUPES_BYTES, NULL);
    assert_int_equal(sm_dupes_groups(*d), 1);
}

static bool is_there(const char *folder, const char *name)
{
    struct stat st;
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return lstat(path, &st) == 0;
}

static void moved_files_come_back(void **state)
{
    const test_place *place = *state;
    char library[256], away[256];
    sm_moves m = { 0 };
    sm_strings files;
    sm_dupes *d;
    snprintf(library, sizeof library, "%s/lib", place->folder);
    snprintf(away, sizeof away, "%s/away/there", place->folder);
    make_group(place->folder, &d, &files);
    const char *kept = sm_path_name(sm_dupes_group(d, 0, &(size_t){ 0 })[0].path);
    test_ok(sm_dupes_move(d, library, away, 1, &m));
    assert_int_equal(m.moved, 0);
    assert_true(is_there(place->folder, "in/1/\xff"
                                        "1.wav"));
    test_ok(sm_dupes_move(d, library, away, 0, &m));
    assert_int_equal(m.moved, 2);
    assert_int_equal(m.failed, 0);
    assert_true(is_there(place->folder, "in/0/\xff"
                                        "0.wav") == (kept[1] == '0'));
    /* something took the place of one: it is not replaced */
    for (int i = 0; i < 3; i++)
        if (kept[1] != '0' + i) {
            char path[256];
            snprintf(path, sizeof path, "%s/in/%d/\xff%d.wav", place->folder, i, i);
            test_write_file(path, "x", 1);
            test_ok(sm_moves_undo(library, "dupes", &m));
            assert_int_equal(m.moved, 1);
            assert_int_equal(m.failed, 1);
            unlink(path);
            break;
        }
    test_ok(sm_moves_undo(library, "dupes", &m));
    assert_int_equal(m.moved, 1);
    assert_int_equal(m.failed, 0);
    test_fails(sm_moves_undo(library, "dupes", &m), SM_ENOTFOUND, "journal");
    for (int i = 0; i < 3; i++) {
        char name[64];
        snprintf(name, sizeof name, "in/%d/\xff%d.wav", i, i);
        assert_true(is_there(place->folder, name));
    }
    sm_dupes_free(d);
    sm_strings_free(&files);
}

/* ---- a library ---- */

extern const sm_scan_part sm_scan_fingerprint;

/* What the scan's part keeps is what reading the file gives. */
static void the_scan_keeps_the_same_fingerprint(void **state)
{
    const test_place *place = *state;
    float x[30000];
    char path[256];
    sm_buffer kept = { 0 };
    sm_floats wave = { 0 };
    sm_print_cut cut;
    sm_print a, b;
    compose(0, 2, x, 30000);
    snprintf(path, sizeof path, "%s/a.wav", place->folder);
    write_copy(path, x, 30000, RATE, 1);
    test_ok(sm_sound_read(path, RATE, 0, &wave, NULL));
    const sm_scan_audio audio = {
        .path = path, .audio = wave.data, .frames = wave.length, .rate_hz = RATE, .channels = 1, .whole = true
    };
    test_ok(sm_scan_fingerprint.compute(&audio, &kept));
    test_ok(sm_print_unpack(kept.data, kept.length, &a));
    test_ok(sm_print_wave(path, &wave, &cut));
    test_ok(sm_print_of(wave.data, wave.length, &b));
    assert_int_equal(a.frames, b.frames);
    assert_memory_equal(a.cells, b.cells, (size_t)a.frames * PRINT_BANDS);
    sm_print_free(&a);
    sm_print_free(&b);
    sm_floats_free(&wave);
    sm_buffer_free(&kept);
}

static int search_once(void *user)
{
    const sm_strings *files = user;
    sm_dupes_options o;
    sm_dupes *d = NULL;
    sm_dupes_options_init(&o);
    o.jobs = 1;
    const int err = sm_dupes_find(&o, (const char *const *)files->items, files->length, &d);
    if (err == 0 && sm_dupes_groups(d) != 1)
        fail_msg("%zu groups", sm_dupes_groups(d));
    sm_dupes_free(d);
    return err;
}

static void every_allocation_may_fail(void **state)
{
    const test_place *place = *state;
    float x[3000];
    sm_strings files;
    compose(1, 0, x, 3000);
    write_kind(place->folder, "a", 0, x, 3000);
    write_kind(place->folder, "a", 2, x, 3000);
    files = sounds_in(place->folder);
    test_every_allocation_may_fail(search_once, &files);
    sm_strings_free(&files);
}

int main(void)
{
#define IN_A_PLACE(f) cmocka_unit_test_setup_teardown(f, test_place_make, test_place_remove)
    const struct CMUnitTest tests[] = {
        IN_A_PLACE(copies_are_found_and_neighbours_are_not),
        IN_A_PLACE(another_click_is_another_sound),
        IN_A_PLACE(links_and_silence_are_no_duplicates),
        cmocka_unit_test(the_rule_says_which_is_kept),
        cmocka_unit_test(fingerprints_are_kept_and_damaged_ones_refused),
        cmocka_unit_test(neighbours_are_the_nearest),
        cmocka_unit_test(waveforms_are_compared_between_samples),
        IN_A_PLACE(moved_files_come_back),
        IN_A_PLACE(the_scan_keeps_the_same_fingerprint),
        IN_A_PLACE(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
