/* Queries from anywhere put to a small library: an error of the user with a message, or pages that show each sound once and together are as
 * many as was said; every hit can be shown and explained, and the query as it was understood finds as many. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "library/columns.h"
#include "library/search.h"
#include "models/model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SOUNDS = 40, WAITING = 9, PAGE = 7 };

static char folder[96];
static sm_store *store;

static void need(int err)
{
    if (err < 0) {
        fprintf(stderr, "%s\n", sm_last_error());
        abort();
    }
}

static void remove_library(void)
{
    char command[160];
    sm_store_close(store);
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    if (system(command) != 0)
        abort();
}

static void add_file(int64_t content, const char *name, size_t i)
{
    static const char *const folders[] = { "/lib/Drums/Kicks", "/lib/Loops 120bpm", "/lib", "/other/Deep House" };
    int64_t id;
    sm_file_row f = {
        .content = content, .name = name, .size = 100, .state = content ? SM_FILE_ANALYSED : SM_FILE_LISTED
    };
    need(sm_store_folder_id(store, folders[i % SM_LENGTH(folders)], true, &f.folder));
    need(sm_store_file_add(store, &f, &id));
}

static int64_t add_sound(size_t i)
{
    static const char *const kinds[] = { "one_shot", "loop", "song" };
    static const char *const keys[] = { "\"A minor\"", "\"C major\"", "null", "\"F# minor\"" };
    char json[512], name[64];
    float scores[SM_INSTRUMENTS] = { 0 };
    const char *instrument = sm_instruments[i % SM_INSTRUMENTS];
    sm_content_row c = { .hash = { (uint8_t)(i + 1) }, .pipeline = 1 };
    snprintf(
        json, sizeof json,
        "{\"audio_xxh128\":\"%032zx\",\"kind\":\"%s\",\"instrument\":\"%s\",\"instrument_confidence\":0.9,\"bpm\":%zu,"
        "\"brightness\":%zu,\"roughness\":%zu,\"loudness_lufs\":-%zu,\"note_midi\":%zu,\"duration_s\":%zu.5,\"key\":%"
        "s}",
        i, kinds[i % 3], instrument, 80 + 3 * i, i * 2, (i * 37) % 100, i, 30 + i, i % 9, keys[i % 4]);
    need(sm_store_content_put(store, &c, json));
    scores[i % SM_INSTRUMENTS] = 0.9f;
    const sm_output_row o = { .model = "samplemind", .weights = "1", .n = SM_INSTRUMENTS, .scores = scores };
    need(sm_store_output_put(store, c.id, &o, sm_instruments));
    snprintf(name, sizeof name, "%s_%02zu%s.wav", instrument, i, i % 5 == 0 ? " Dark" : "");
    add_file(c.id, name, i);
    if (i % 11 == 0)
        add_file(c.id, "copy of it.wav", i + 1);
    if (i % 6 == 0)
        need(sm_store_favourite(store, c.id, true));
    if (i % 7 == 0)
        need(sm_store_tag_add(store, c.id, "dusty kick", "user"));
    if (i % 8 == 0)
        need(sm_store_correct(store, c.id, "instrument", "snare"));
    return c.id;
}

/* Before the first input. */
__attribute__((constructor)) static void make_library(void)
{
    bool own;
    int64_t collection;
    snprintf(folder, sizeof folder, "%s/sm_fuzz_search_%ld", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp",
             (long)getpid());
    setenv("SAMPLEMIND_HOME", folder, 1); /* no models of the user's */
    need(sm_store_open(folder, SM_STORE_CREATE, &store));
    atexit(remove_library);
    need(sm_store_begin(store, &own));
    need(sm_store_root_put(store, "/lib", true));
    need(sm_store_collection(store, "Track 7", true, &collection));
    for (size_t i = 0; i < SOUNDS; i++) {
        const int64_t id = add_sound(i);
        if (i % 4 == 0)
            need(sm_store_collection_put(store, collection, id, true));
    }
    for (size_t i = 0; i < WAITING; i++) {
        char name[32];
        snprintf(name, sizeof name, "kick waiting %zu.wav", i);
        add_file(0, name, i);
    }
    need(sm_store_state_set(store, SM_WAITING_STATE, "1"));
    need(sm_store_end(store, own, 0));
}

static int ignore_why(void *user, const char *item, double score, const char *by)
{
    (void)user;
    if (!*item || !by || !(score >= 0 && score <= 1.000001))
        abort();
    return 0;
}

static void show(search *r, size_t i)
{
    sm_buffer text = { 0 };
    sm_json j;
    sm_json_init(&j, &text, false);
    need(search_hit_json(r, i, NULL, 0, true, &j));
    need(search_why(r, i, ignore_why, NULL));
    if (text.failed || !search_hit_at(r, i)->path)
        abort();
    sm_buffer_free(&text);
}

/* like: opens files by any name and asks models what they hear: nothing to be tried with names from anywhere. */
static bool opens_files(const char *text)
{
    query *q = NULL;
    const bool opens = query_parse(text, NULL, &q) == 0 && q->like;
    query_free(q);
    return opens;
}

/* Whether an answer to such a text may fail so. */
static void is_the_users(int err)
{
    if ((err != SM_EUSAGE && err != SM_ELIMIT && err != SM_ENOTFOUND && err != SM_EFORMAT && err != SM_EIO &&
         err != SM_EUNSUPPORTED) ||
        !*sm_last_error())
        abort();
}

/* All pages: each sound and each file that waits once. */
static void turn_pages(const char *text, size_t expected, size_t waiting)
{
    bool seen[SOUNDS + 1] = { false };
    size_t hits = 0, behind = 0;
    char *cursor = NULL;
    for (size_t pages = 0;; pages++) {
        search *r = NULL;
        need(search_run(store, text, &(const search_options){ .limit = PAGE, .cursor = cursor, .threads = 1 }, &r));
        if (search_hits(r) > PAGE || search_count(r) != expected || pages > (SOUNDS + WAITING) / PAGE + 2)
            abort();
        for (size_t i = 0; i < search_hits(r); i++) {
            const search_hit *h = search_hit_at(r, i);
            if (h->content == 0)
                behind++;
            else if (seen[h->content] || behind > 0)
                abort();
            else
                seen[h->content] = true;
            hits += h->content > 0;
        }
        sm_free(cursor);
        cursor = search_cursor(r) ? sm_strdup(search_cursor(r)) : NULL;
        search_free(r);
        if (!cursor)
            break;
    }
    if (hits != expected || behind != waiting)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = sm_strndup((const char *)data, strnlen((const char *)data, size));
    search *r = NULL, *again = NULL;
    if (text && opens_files(text)) {
        sm_free(text);
        return 0;
    }
    int err = text ? search_run(store, text, &(const search_options){ .limit = 0, .threads = 1 }, &r) : SM_ENOMEM;
    if (err < 0) {
        is_the_users(err);
        sm_free(text);
        return 0;
    }
    if (search_hits(r) != search_count(r) + search_waiting_count(r) || search_cursor(r))
        abort();
    for (size_t i = 0; i < search_hits(r); i += 5)
        show(r, i);
    need(search_run(store, search_understood(r), &(const search_options){ .limit = 0, .threads = 1 }, &again));
    if (search_count(again) != search_count(r) || search_waiting_count(again) != search_waiting_count(r))
        abort();
    turn_pages(text, search_count(r), search_waiting_count(r));
    search_free(again);
    search_free(r);
    sm_free(text);
    return 0;
}
