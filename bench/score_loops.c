/* Scores tempo and key on a table of sounds.
 *
 *   score_loops LOOPS.csv [--features FILE]
 *
 * The table needs the columns path (below its folder), bpm, and may have meter, key, mode; empty cells are not scored. Right is a tempo
 * within 4 % and the same tonic and mode. "octave" also takes twice and half the tempo. 6/8 and 7/8 are summed up apart: their beat is
 * the dotted quarter; in 7/8, where some tables count eighths above 200, the quarter.
 * --features writes what the judges see, for scripts/loops/fit.py: the sizes of both rows, then for each sound the number of candidates,
 * each with its tempo (f64) and features (f32), and the rows of the key. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "dsp/dsp.h"
#include "dsp/key.h"
#include "dsp/tempogram.h"

enum { COLUMNS = 32, FRAMES = 16384 };

typedef struct {
    char *cell[COLUMNS];
    int n;
} row;

/* Splits a line in place; quoted cells may hold commas. */
static void split(char *line, row *out)
{
    out->n = 0;
    line[strcspn(line, "\r\n")] = 0;
    for (char *p = line; out->n < COLUMNS;) {
        const bool quoted = *p == '"';
        char *end = quoted ? strchr(p + 1, '"') : NULL;
        out->cell[out->n++] = quoted ? p + 1 : p;
        if (end)
            *end++ = 0;
        p = strchr(end ? end : p, ',');
        if (!p)
            break;
        *p++ = 0;
    }
}

static const char *cell(const row *head, const row *r, const char *name)
{
    for (int i = 0; i < SM_MIN(head->n, r->n); i++)
        if (strcmp(head->cell[i], name) == 0)
            return r->cell[i];
    return "";
}

/* "Eb" -> 3; -1: empty */
static int tonic_of(const char *s)
{
    static const int white[7] = { 9, 11, 0, 2, 4, 5, 7 };
    if (s[0] < 'A' || s[0] > 'G')
        return -1;
    return (white[s[0] - 'A'] + (s[1] == '#') - (s[1] == 'b') + 12) % 12;
}

typedef int (*sink)(void *user, const float *mono, size_t n);

/* Plays a file's mean channel at DSP_RATE into the sink. */
static int play(const char *path, sink push, void *user)
{
    sm_audio *a = NULL;
    sm_resampler *r = NULL;
    sm_floats block = { 0 }, mono = { 0 }, ready = { 0 };
    int64_t got = 0;
    int err = sm_audio_open(path, &a);
    if (err < 0)
        return err;
    const sm_audio_info *info = sm_audio_get_info(a);
    err = sm_resampler_new(SM_RESAMPLE_SOXR, info->rate_hz, DSP_RATE, 1, &r);
    if (err == 0)
        err = sm_floats_add(&block, NULL, (size_t)FRAMES * (size_t)info->channels);
    if (err == 0)
        err = sm_floats_add(&mono, NULL, FRAMES);
    while (err == 0 && (got = sm_audio_read(a, block.data, FRAMES)) > 0) {
        sm_downmix(block.data, (size_t)got, info->channels, mono.data);
        ready.length = 0;
        err = sm_resampler_push(r, mono.data, (size_t)got, &ready);
        if (err == 0)
            err = push(user, ready.data, ready.length);
    }
    ready.length = 0;
    if (err == 0)
        err = got < 0 ? (int)got : sm_resampler_finish(r, &ready);
    if (err == 0)
        err = push(user, ready.data, ready.length);
    sm_floats_free(&block);
    sm_floats_free(&mono);
    sm_floats_free(&ready);
    sm_resampler_free(r);
    sm_audio_close(a);
    return err;
}

static int keep(void *user, const float *mono, size_t n)
{
    return sm_floats_add(user, mono, n);
}

typedef struct {
    int files, tempo, octave, odd_files, odd_tempo, odd_octave, keys, key, relative, fifth, no_key_files, no_key;
    double seconds, spent;
} totals;

static void score_tempo(totals *t, const char *meter, double truth, double bpm, char note[16])
{
    const bool odd = strcmp(meter, "6/8") == 0 || strcmp(meter, "7/8") == 0;
    bool octave = false;
    if (strcmp(meter, "7/8") == 0 && truth > 200)
        truth /= 2;
    for (double ratio = 0.5; ratio <= 2; ratio *= 2)
        octave |= fabs(bpm / (truth * ratio) - 1) < 0.04;
    const bool right = fabs(bpm / truth - 1) < 0.04;
    *(odd ? &t->odd_files : &t->files) += 1;
    *(odd ? &t->odd_tempo : &t->tempo) += right;
    *(odd ? &t->odd_octave : &t->octave) += octave;
    strcpy(note, right ? "" : octave ? "OCTAVE" : "TEMPO");
}

static void score_key(totals *t, int tonic, bool minor, const dsp_key *k, char note[16])
{
    const int up = (k->tonic - tonic + 12) % 12;
    note[0] = 0;
    if (tonic < 0) {
        t->no_key_files++;
        t->no_key += k->tonic < 0;
        return;
    }
    const bool right = k->tonic == tonic && k->minor == minor, same = k->tonic >= 0 && k->minor == minor;
    const bool relative = k->tonic >= 0 && k->minor != minor && up == (minor ? 3 : 9),
               fifth = same && (up == 5 || up == 7);
    t->keys++;
    t->key += right;
    t->relative += relative;
    t->fifth += fifth;
    strcpy(note, right ? "" : relative ? "RELATIVE" : fifth ? "FIFTH" : "KEY");
}

static int write_features(FILE *f, const sm_floats *mono)
{
    static tempo_candidate c[TEMPO_CANDIDATES];
    float rows[KEY_ROWS][12];
    chroma_view chord;
    rhythm *r = NULL;
    tempogram *t = NULL;
    chroma *k = NULL;
    rhythm_view see;
    int err = rhythm_new(&r);
    if (err == 0)
        err = rhythm_push(r, mono->data, mono->length);
    if (err == 0)
        err = rhythm_finish(r);
    if (err == 0) {
        rhythm_see(r, &see);
        err = tempogram_new(&see, &t);
    }
    if (err == 0)
        err = chroma_new(&k);
    if (err == 0)
        err = chroma_push(k, mono->data, mono->length);
    if (err == 0)
        err = chroma_finish(k, &chord);
    if (err == 0) {
        const int32_t n = (int32_t)tempogram_candidates(t, 40, 240, c), onsets = (int32_t)t->onsets;
        const double about[4] = { see.duration_s, see.end_s - see.start_s, chord.tuning_sure, chord.tonal };
        key_features(&chord, rows);
        fwrite(&n, sizeof n, 1, f);
        fwrite(&onsets, sizeof onsets, 1, f);
        fwrite(about, sizeof about, 1, f);
        for (int32_t i = 0; i < n; i++) {
            fwrite(&c[i].bpm, sizeof(double), 1, f);
            fwrite(&c[i].salience, sizeof(double), 1, f);
            fwrite(c[i].features, sizeof c[i].features, 1, f);
        }
        fwrite(rows, sizeof rows, 1, f);
    }
    chroma_free(k);
    tempogram_free(t);
    rhythm_free(r);
    return err;
}

static int analyse(const sm_floats *mono, dsp_tempo *tempo, dsp_key *key)
{
    dsp_tempo_state *t = NULL;
    dsp_key_state *k = NULL;
    int err = dsp_tempo_new(NULL, &t);
    if (err == 0)
        err = dsp_tempo_push(t, mono->data, mono->length);
    if (err == 0)
        err = dsp_tempo_finish(t, NULL, tempo);
    if (err == 0)
        err = dsp_key_new(NULL, &k);
    if (err == 0)
        err = dsp_key_push(k, mono->data, mono->length);
    if (err == 0)
        err = dsp_key_finish(k, key);
    dsp_tempo_free(t);
    dsp_key_free(k);
    return err;
}

static int score_one(const row *head, const row *r, const char *path, FILE *features, totals *sum)
{
    sm_floats mono = { 0 };
    dsp_tempo tempo = { 0 };
    dsp_key key;
    char tempo_note[16] = "", key_note[16] = "", name[16], camelot[16];
    const char *bpm = cell(head, r, "bpm");
    const bool minor = strcmp(cell(head, r, "mode"), "minor") == 0;
    int err = play(path, keep, &mono);
    const double before = sm_cpu_time_s();
    if (err == 0)
        err = analyse(&mono, &tempo, &key);
    sum->spent += sm_cpu_time_s() - before;
    sum->seconds += (double)mono.length / DSP_RATE;
    if (err == 0 && features)
        err = write_features(features, &mono);
    if (err == 0) {
        if (*bpm)
            score_tempo(sum, cell(head, r, "meter"), atof(bpm), tempo.bpm, tempo_note);
        score_key(sum, tonic_of(cell(head, r, "key")), minor, &key, key_note);
        printf("%-36s %7s %7.2f %.2f %-11s %-8s | %3s %-6s %-10s %-4s %.2f %s\n", sm_path_name(path), bpm, tempo.bpm,
               tempo.confidence, tempo.method, tempo_note, cell(head, r, "key"), cell(head, r, "mode"),
               dsp_key_text(&key, "musical", name) ? name : "none",
               dsp_key_text(&key, "camelot", camelot) ? camelot : "", key.confidence, key_note);
        sm_free(tempo.beat_times_s);
    }
    sm_floats_free(&mono);
    return err;
}

static void print_totals(const totals *t)
{
    printf("\ntempo: %d of %d (with octaves %d); 6/8 and 7/8: %d of %d (with octaves %d)\n", t->tempo, t->files,
           t->octave, t->odd_tempo, t->odd_files, t->odd_octave);
    printf("key: %d of %d (relative %d, fifth %d); without key: %d of %d\n", t->key, t->keys, t->relative, t->fifth,
           t->no_key, t->no_key_files);
    printf("%.1f s of sound in %.3f s of processor time: %.2f ms a second\n", t->seconds, t->spent,
           1000 * t->spent / t->seconds);
}

int main(int argc, char **argv)
{
    char line[4096], head_line[4096], folder[1024], path[2048];
    row head, r;
    totals sum = { 0 };
    const int32_t sizes[2] = { TEMPO_FEATURES, KEY_ROWS * 12 };
    FILE *csv = argc > 1 ? fopen(argv[1], "r") : NULL;
    FILE *features = argc > 3 && strcmp(argv[2], "--features") == 0 ? fopen(argv[3], "wb") : NULL;
    if (!csv || !fgets(head_line, sizeof head_line, csv)) {
        fprintf(stderr, "usage: score_loops LOOPS.csv [--features FILE]\n");
        return 2;
    }
    split(head_line, &head);
    snprintf(folder, sizeof folder, "%.*s", (int)(sm_path_name(argv[1]) - argv[1]), argv[1]);
    if (features)
        fwrite(sizes, sizeof sizes, 1, features);
    while (fgets(line, sizeof line, csv)) {
        split(line, &r);
        snprintf(path, sizeof path, "%s%s", cell(&head, &r, "path")[0] == '/' ? "" : folder, cell(&head, &r, "path"));
        if (score_one(&head, &r, path, features, &sum) < 0)
            printf("%s: %s\n", path, sm_last_error());
    }
    print_totals(&sum);
    if (features)
        fclose(features);
    fclose(csv);
    return 0;
}
