/* Searching a large library: makes one of N made-up sounds (once, in the folder that is named), then times queries on it.
 *   make build/gcc/bench/search_library && build/gcc/bench/search_library FOLDER [N [QUERY]]
 * The sounds have names as packs have them, instruments by weight, and descriptors that depend on the instrument. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "library/columns.h"
#include "library/search.h"
#include "models/model.h"

static const char *const adjectives[] = { "Dark", "Bright", "Hard",  "Soft", "Vinyl",
                                          "Deep", "Clean",  "Dirty", "Fat",  "Tight" };

static double unit(size_t i, uint64_t what)
{
    return 0.5 + 0.5 * sm_unit(what * 0x9E3779B97F4A7C15u, i);
}

static void make_record(size_t i, const char *class, sm_buffer *out)
{
    const bool loop = unit(i, 1) < 0.3;
    const int c = (int)(unit(i, 2) * 25);
    out->length = 0;
    sm_buffer_printf(
        out,
        "{\"audio_xxh128\":\"%032zx\",\"kind\":\"%s\",\"duration_s\":%.4f,\"loudness_lufs\":%.3f,"
        "\"brightness\":%.4f,\"spectral_centroid_hz\":%.3f,\"spectral_rolloff_hz\":%.3f,\"roughness\":%.4f,"
        "\"depth\":%.4f,\"warmth\":%.4f,\"hardness\":%.4f,\"log_attack_time\":%.4f,\"dynamic_range_db\":%.4f,"
        "\"onset_count\":%d,\"instrument\":\"%s\",\"instrument_confidence\":%.4f,\"sample_rate_hz\":44100,"
        "\"channels\":2,\"note_midi\":%d,\"bpm\":",
        i + 1, loop ? "loop" : "one_shot", loop ? 2 + 6 * unit(i, 3) : unit(i, 3), -30 + 25 * unit(i, 4),
        c * 2 + 50 * unit(i, 5), 200 + 8000 * unit(i, 6) * unit(i, 5), 500 + 12000 * unit(i, 7), 100 * unit(i, 8),
        100 * unit(i, 9), 100 * unit(i, 10), 100 * unit(i, 11), -3 + 3 * unit(i, 12), 3 + 20 * unit(i, 13),
        loop ? 4 + (int)(12 * unit(i, 14)) : 1, class, 0.3 + 0.7 * unit(i, 15), 24 + (int)(60 * unit(i, 16)));
    if (loop)
        sm_buffer_printf(out, "%.3f,\"key\":\"%s\"}", 70 + 110 * unit(i, 17),
                         unit(i, 18) < 0.5 ? "A minor" : "C major");
    else
        sm_buffer_text(out, "null}");
}

static int make_one(sm_store *s, size_t i, int64_t folder, sm_buffer *json)
{
    const char *class = sm_instruments[(int)(unit(i, 2) * SM_INSTRUMENTS)];
    char name[160];
    float scores[SM_INSTRUMENTS];
    sm_content_row c = { .pipeline = 1 };
    int64_t id;
    memcpy(c.hash, &i, sizeof i);
    make_record(i, class, json);
    int err = json->failed ? SM_ENOMEM : sm_store_content_put(s, &c, json->data);
    for (int k = 0; k < SM_INSTRUMENTS; k++)
        scores[k] =
            (float)(!strcmp(sm_instruments[k], class) ? 0.3 + 0.7 * unit(i, 15) : 0.02 * unit(i, 20 + (uint64_t)k));
    const sm_output_row o = {
        .model = "samplemind", .weights = "0123456789abcdef", .n = SM_INSTRUMENTS, .scores = scores
    };
    if (err == 0)
        err = sm_store_output_put(s, c.id, &o, sm_instruments);
    snprintf(name, sizeof name, "%s_%s_%zu.wav", adjectives[(int)(unit(i, 19) * 10)],
             unit(i, 60) < 0.5 ? class : "Sound", i);
    const sm_file_row f = {
        .folder = folder, .content = c.id, .name = name, .size = 100000, .state = SM_FILE_ANALYSED
    };
    return err < 0 ? err : sm_store_file_add(s, &f, &id);
}

static int make(sm_store *s, size_t n)
{
    sm_buffer json = { 0 };
    int64_t folder = 0;
    bool own = false;
    char path[128];
    int err = sm_store_root_put(s, "/made/Samples", true);
    for (size_t i = 0; i < n && err == 0; i++) {
        if (i % 10000 == 0)
            err = sm_store_begin(s, &own);
        if (i % 100 == 0 && err == 0) {
            snprintf(path, sizeof path, "/made/Samples/Pack %02zu/Part %03zu", i / 20000, i / 100);
            err = sm_store_folder_id(s, path, true, &folder);
        }
        if (err == 0)
            err = make_one(s, i, folder, &json);
        if (err < 0 || i % 10000 == 9999 || i + 1 == n)
            err = sm_store_end(s, own, err);
    }
    sm_buffer_free(&json);
    return err;
}

static int time_query(sm_store *s, const char *text)
{
    double best = INFINITY;
    size_t count = 0;
    char first[200] = "";
    for (int run = 0; run < 5; run++) {
        search *r = NULL;
        const search_options o = { .limit = 50 };
        const double start = sm_now_s();
        const int err = search_run(s, text, &o, &r);
        if (err < 0)
            return err;
        const double took = sm_now_s() - start;
        best = took < best ? took : best;
        count = search_count(r);
        if (search_hits(r) > 0)
            snprintf(first, sizeof first, "%s", search_hit_at(r, 0)->path);
        search_free(r);
    }
    printf("%7.1f ms  %8zu found  %-60s %s\n", 1000 * best, count, text, first);
    return 0;
}

int main(int argc, char **argv)
{
    static const char *const queries[] = { "dark aggressive basslines bpm:120..130",
                                           "kick",
                                           "dark kick",
                                           "bright punchy snare -clap",
                                           "bpm:120..130 key:~Am kind:loop",
                                           "kind:one_shot",
                                           "",
                                           "warm soft pad length:>1s brightness:~40",
                                           "sound",
                                           "folder:\"Pack 03\"/ bass sort:brightness-",
                                           "(kick | snare | clap) loud",
                                           "dark warm hard punchy rough deep" };
    const size_t n = argc > 2 ? (size_t)strtoull(argv[2], NULL, 10) : 500000;
    sm_store *s = NULL;
    int64_t stale = 0, folder = 0;
    if (argc < 2) {
        fprintf(stderr, "usage: search_library FOLDER [N [QUERY]]\n");
        return 2;
    }
    int err = sm_store_open(argv[1], SM_STORE_CREATE, &s);
    if (err == 0)
        err = sm_store_folder_id(s, "/made/Samples/Pack 00/Part 000", false, &folder);
    double start = sm_now_s();
    if (err == 0 && folder == 0) {
        err = make(s, n);
        printf("%zu sounds made in %.1f s\n", n, sm_now_s() - start);
    }
    if (err == 0)
        err = sm_store_columns_stale(s, &stale);
    if (err == 0 && stale > 0) {
        thesaurus *t = NULL;
        start = sm_now_s();
        err = thesaurus_open(NULL, &t);
        if (err == 0)
            err = sm_store_columns_refresh(s, t, true);
        thesaurus_free(t);
        printf("words and columns of %lld sounds in %.1f s\n", (long long)stale, sm_now_s() - start);
    }
    printf("%.0f MB in the database\n", (double)sm_store_bytes(s) / 1e6);
    for (size_t i = 0; i < (argc > 3 ? 1 : SM_LENGTH(queries)) && err == 0; i++)
        err = time_query(s, argc > 3 ? argv[3] : queries[i]);
    if (err < 0)
        fprintf(stderr, "%s\n", sm_last_error());
    sm_store_close(s);
    return err < 0;
}
