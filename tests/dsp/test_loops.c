/* Tempo and key of the labelled loops beside the repository, where they are. */
#include "support/support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "dsp/dsp.h"

enum { FRAMES = 16384 };

static int feed(dsp_tempo_state *t, dsp_key_state *k, const sm_floats *mono)
{
    const int err = dsp_tempo_push(t, mono->data, mono->length);
    return err < 0 ? err : dsp_key_push(k, mono->data, mono->length);
}

static void analyse(const char *path, dsp_tempo *tempo, dsp_key *key)
{
    static float block[8 * FRAMES], mono[FRAMES];
    sm_audio *a = NULL;
    sm_resampler *r = NULL;
    sm_floats ready = { 0 };
    dsp_tempo_state *t = NULL;
    dsp_key_state *k = NULL;
    int64_t got;
    test_ok(sm_audio_open(path, &a));
    test_ok(sm_resampler_new(SM_RESAMPLE_SOXR, sm_audio_get_info(a)->rate_hz, DSP_RATE, 1, &r));
    test_ok(dsp_tempo_new(NULL, &t));
    test_ok(dsp_key_new(NULL, &k));
    while ((got = sm_audio_read(a, block, FRAMES)) > 0) {
        sm_downmix(block, (size_t)got, sm_audio_get_info(a)->channels, mono);
        ready.length = 0;
        test_ok(sm_resampler_push(r, mono, (size_t)got, &ready));
        test_ok(feed(t, k, &ready));
    }
    assert_true(got == 0);
    ready.length = 0;
    test_ok(sm_resampler_finish(r, &ready));
    test_ok(feed(t, k, &ready));
    test_ok(dsp_tempo_finish(t, NULL, tempo));
    test_ok(dsp_key_finish(k, key));
    dsp_tempo_free(t);
    dsp_key_free(k);
    sm_floats_free(&ready);
    sm_resampler_free(r);
    sm_audio_close(a);
}

static const char *const names[12] = { "C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B" };

/* Columns: path,kind,bpm,beat_unit,meter,key,mode,first_beat_s,... */
static void most_loops_get_tempo_and_key(void **state)
{
    (void)state;
    char root[512], line[1024], path[1024], name[256], bpm_text[32], unit[32], meter[16], key_name[8], mode[16];
    int files = 0, tempo_right = 0, keyed = 0, key_right = 0;
    double first;
    const char *table = test_shared("audio/loops.csv");
    if (!table)
        test_skip("no ../shared/audio/loops.csv");
    snprintf(root, sizeof root, "%s", table);
    FILE *f = fopen(root, "r");
    assert_non_null(f);
    *strrchr(root, '/') = 0;
    while (fgets(line, sizeof line, f)) {
        key_name[0] = mode[0] = 0;
        const int full = sscanf(line, "%255[^,],%*[^,],%31[^,],%31[^,],%15[^,],%7[^,],%15[^,],%lf", name, bpm_text,
                                unit, meter, key_name, mode, &first);
        if (full < 4 || strcmp(name, "path") == 0)
            continue;
        const double truth =
            atof(bpm_text) / (strcmp(unit, "eighth") == 0 ? 2 : 1); /* a listener taps quarters in 7/8 */
        dsp_tempo t;
        dsp_key k;
        snprintf(path, sizeof path, "%s/%s", root, name);
        analyse(path, &t, &k);
        sm_free(t.beat_times_s);
        const bool right = fabs(t.bpm / truth - 1) < 0.04;
        files++;
        tempo_right += right;
        if (!right)
            print_message("%s: %.2f, expected %.2f\n", name, t.bpm, truth);
        if (full < 7)
            continue;
        const bool same =
            k.tonic >= 0 && strcmp(names[k.tonic], key_name) == 0 && k.minor == (strcmp(mode, "minor") == 0);
        keyed++;
        key_right += same;
        if (!same)
            print_message("%s: key %d%s, expected %s %s\n", name, k.tonic, k.minor ? "m" : "", key_name, mode);
    }
    fclose(f);
    print_message("tempo %d of %d, key %d of %d\n", tempo_right, files, key_right, keyed);
    assert_int_equal(files, 29);
    assert_int_equal(keyed, 26);
    assert_true(tempo_right >= 28 && key_right >= 25); /* one below what was reached */
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(most_loops_get_tempo_and_key) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
