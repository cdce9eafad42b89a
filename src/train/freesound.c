/* A search of Freesound into the dataset. The page that comes next is kept in the dataset for each search, so that a run which
 * was stopped goes on; files that are there are not fetched again. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/download.h"
#include "train/freesound_api.h"
#include "train/dataset_parts.h"
#include "train/words.h"

enum { PAGE = 50 };

typedef struct {
    sm_dataset *d;
    const sm_freesound_options *o;
    sm_freesound_result *out;
    freesound_api api;
    sm_words *words;
    sm_arena *arena; /* of a page */
    char *root;      /* the folder, absolute */
    char state[64];  /* name of what is remembered of this search */
    sm_item items[PAGE];
    size_t n;
} search;

void sm_freesound_licence(const char *url, char out[64])
{
    static const struct {
        const char *part, *name;
        bool versioned;
    } known[] = { { "/publicdomain/zero/", "CC0", false },
                  { "/licenses/by-nc/", "CC-BY-NC", true },
                  { "/licenses/by-sa/", "CC-BY-SA", true },
                  { "/licenses/by/", "CC-BY", true },
                  { "/licenses/sampling+/", "Sampling+", false } };
    for (size_t i = 0; i < SM_LENGTH(known); i++) {
        const char *at = strstr(url, known[i].part);
        if (!at)
            continue;
        const char *version = at + strlen(known[i].part);
        const int n = (int)strspn(version, "0123456789.");
        if (known[i].versioned && n > 0)
            snprintf(out, 64, "%s-%.*s", known[i].name, SM_MIN(n, 8), version);
        else
            snprintf(out, 64, "%s", known[i].name);
        return;
    }
    snprintf(out, 64, "%.63s", url);
}

/* Whether the list of patterns takes it: the dataset's own filter says so, of a table with one row. */
static int takes_licence(search *s, const char *licence, bool *yes)
{
    const sm_dataset_filter f = { .licences = s->o->licences ? s->o->licences : "CC0,CC-BY-?.0", .rejected = -1 };
    sm_buffer sql = { 0 };
    sm_strings values = { 0 };
    sqlite3_stmt *q = NULL;
    sm_buffer_text(&sql, "SELECT 1 FROM (SELECT ?1 AS licence) WHERE ");
    int err = ds_filter_sql(&f, &sql, &values);
    if (err == 0)
        err = sql.failed ? SM_ENOMEM : ds_prepare(s->d, sql.data, &q);
    if (err == 0) {
        ds_bind_text(q, 1, licence);
        for (size_t i = 0; i < values.length; i++)
            ds_bind_text(q, (int)i + 2, values.items[i]);
        err = ds_step(s->d, q);
    }
    *yes = err == 1;
    sqlite3_finalize(q);
    sm_strings_free(&values);
    sm_buffer_free(&sql);
    return SM_MIN(err, 0);
}

/* ---- addresses ---- */

static void add_escaped(sm_buffer *b, const char *text)
{
    for (; *text; text++)
        if (isalnum((unsigned char)*text) || strchr("-_.~", *text))
            sm_buffer_add(b, text, 1);
        else
            sm_buffer_printf(b, "%%%02X", (unsigned)(unsigned char)*text);
}

static void page_url(const search *s, long page, sm_buffer *out)
{
    sm_buffer_text(out, "https://freesound.org/apiv2/search/text/?query=");
    add_escaped(out, s->o->query ? s->o->query : "");
    if (s->o->filter) {
        sm_buffer_text(out, "&filter=");
        add_escaped(out, s->o->filter);
    }
    sm_buffer_printf(out,
                     "&fields=id,name,tags,license,username,url,type,previews&sort=created_asc&page_size=%d&page=%ld",
                     PAGE, page);
}

/* "Kick (deep) 01.wav" of sound 123 -> "123_Kick_deep_01.ogg": no byte of a foreign name is trusted. */
static char *file_name(sm_arena *a, int64_t id, const char *name, const char *ending)
{
    char clean[81];
    size_t n = 0;
    const char *dot = strrchr(name, '.');
    const size_t length = dot && dot > name && strlen(dot) <= 5 ? (size_t)(dot - name) : strlen(name);
    for (size_t i = 0; i < length && n + 1 < sizeof clean; i++)
        if (isalnum((unsigned char)name[i]) || name[i] == '-')
            clean[n++] = name[i];
        else if (n > 0 && clean[n - 1] != '_')
            clean[n++] = '_';
    clean[n] = 0;
    return sm_arena_printf(a, "%lld_%s.%s", (long long)id, clean, ending);
}

/* ---- one sound ---- */

static int on_download(void *user, const sm_progress_info *p)
{
    const search *s = user;
    return ds_progress(&s->o->work, p->what, 0, 0, "files") != 0;
}

static int fetch(search *s, const char *url, const char *name, const char *path)
{
    char *to = sm_printf_new("%s/%s", s->root, path);
    const sm_remote_file remote = { .name = name, .url = url };
    const sm_download_options o = { .mirror = s->o->mirror,
                                    .bearer = s->o->oauth_token,
                                    .retry_wait_s = s->o->retry_wait_s > 0 ? s->o->retry_wait_s : 0,
                                    .progress = on_download,
                                    .user = s };
    int err = to ? 0 : SM_ENOMEM;
    if (err == 0 && access(to, F_OK) != 0)
        err = sm_download(&remote, to, &o);
    sm_free(to);
    return err;
}

static void label_item(search *s, const json_t *sound, sm_item *i)
{
    sm_word_label found;
    const json_t *tag;
    size_t k;
    i->label_from = "freesound";
    i->confidence = 0.7; /* a search finds also what only mentions its words */
    i->label = s->o->label;
    if (i->label)
        return;
    sm_words_label(s->words, i->original_name, &found);
    json_array_foreach(json_object_get(sound, "tags"), k, tag)
    {
        if (!found.label && json_is_string(tag)) {
            sm_words_label(s->words, json_string_value(tag), &found);
            found.confidence *= 0.7;
        }
    }
    i->label = found.label;
    i->confidence = found.label ? 0.9 * found.confidence : 0;
}

static int take_sound(search *s, const json_t *sound)
{
    const char *name = json_string_value(json_object_get(sound, "name"));
    const char *licence_url = json_string_value(json_object_get(sound, "license"));
    const char *user = json_string_value(json_object_get(sound, "username"));
    const char *preview = json_string_value(json_object_get(json_object_get(sound, "previews"), "preview-hq-ogg"));
    const char *type = json_string_value(json_object_get(sound, "type"));
    const int64_t id = json_integer_value(json_object_get(sound, "id"));
    char licence[64];
    bool taken = false;
    sm_item *i = &s->items[s->n];
    if (!name || !licence_url || !user || id <= 0 || (!preview && !s->o->oauth_token))
        return sm_fail(SM_EFORMAT, "a sound without id, name, license, username or preview");
    sm_freesound_licence(licence_url, licence);
    int err = takes_licence(s, licence, &taken);
    if (err < 0 || !taken) {
        s->out->refused += err == 0;
        return err;
    }
    const bool plain =
        type && *type && strlen(type) <= 5 && !type[strspn(type, "abcdefghijklmnopqrstuvwxyz0123456789")];
    sm_item_init(i);
    i->root = s->root;
    i->path = file_name(s->arena, id, name, s->o->oauth_token ? plain ? type : "wav" : "ogg");
    i->original_name = sm_arena_strdup(s->arena, name);
    i->source = "freesound";
    i->family = sm_arena_printf(s->arena, "freesound %s", user);
    i->licence = sm_arena_strdup(s->arena, licence);
    i->url = sm_arena_printf(s->arena, "https://freesound.org/s/%lld/", (long long)id);
    i->attribution = sm_arena_printf(s->arena, "\"%s\" by %s", name, user);
    const char *from =
        s->o->oauth_token
            ? sm_arena_printf(s->arena, "https://freesound.org/apiv2/sounds/%lld/download/", (long long)id)
            : preview;
    if (!i->path || !i->original_name || !i->family || !i->licence || !i->url || !i->attribution || !from)
        return SM_ENOMEM;
    label_item(s, sound, i);
    err = fetch(s, from, i->original_name, i->path);
    s->n += err == 0;
    return err;
}

/* ---- pages ---- */

static int64_t taken_so_far(const search *s)
{
    return s->out->items.added + s->out->items.updated + s->out->items.unchanged;
}

static int add_page(search *s)
{
    sm_dataset_result r = { 0 };
    const int err = ds_take(s->d, s->items, s->n, &s->o->work, false, &r);
    sm_dataset_result *sum = &s->out->items;
    sum->added += r.added;
    sum->updated += r.updated;
    sum->unchanged += r.unchanged;
    sum->broken += r.broken;
    sum->unlabelled += r.unlabelled;
    sum->doubtful += r.doubtful;
    s->n = 0;
    return err;
}

/* Everything of one page. What cannot be fetched is told and left out; *next: there is another page. */
static int take_page(search *s, const json_t *page, bool *next)
{
    const json_t *results = json_object_get(page, "results"), *sound;
    size_t k;
    int err = json_is_array(results) ? 0 : sm_fail(SM_EFORMAT, "freesound: an answer without \"results\"");
    *next = json_is_string(json_object_get(page, "next"));
    s->out->found = json_integer_value(json_object_get(page, "count"));
    json_array_foreach(results, k, sound)
    {
        if (err < 0 || s->n == PAGE)
            break;
        if (s->o->most > 0 && taken_so_far(s) + (int64_t)s->n >= s->o->most) {
            s->out->more = true;
            break;
        }
        err = ds_progress(&s->o->work, "freesound", (double)(taken_so_far(s) + (int64_t)s->n),
                          (double)(s->o->most > 0 ? SM_MIN(s->o->most, s->out->found) : s->out->found), "files");
        if (err == 0)
            err = take_sound(s, sound);
        if (err < 0 && err != SM_ECANCELLED && err != SM_ENOMEM) {
            const char *name = json_string_value(json_object_get(sound, "name"));
            ds_problem(&s->o->work, &s->out->items, name ? name : "a sound", sm_last_error());
            err = 0;
        }
    }
    /* what came before a stop is kept */
    const int kept = s->n > 0 ? add_page(s) : 0;
    return err < 0 ? err : kept;
}

static int remember_page(search *s, long page)
{
    char text[24];
    snprintf(text, sizeof text, "%ld", page);
    return ds_state_set(s->d, s->state, text);
}

static int run_pages(search *s, long page)
{
    bool next = true;
    int err = 0;
    while (err == 0 && next && !s->out->more) {
        sm_buffer url = { 0 };
        json_t *answer = NULL;
        page_url(s, page, &url);
        err = url.failed ? SM_ENOMEM : freesound_get(&s->api, url.data, &answer);
        sm_buffer_free(&url);
        if (err == SM_ENOTFOUND && page > 1) { /* fewer pages than before: begin anew the next time */
            err = 0;
            next = false;
        } else if (err == 0) {
            err = take_page(s, answer, &next);
        }
        json_decref(answer);
        sm_arena_back(s->arena, 0);
        if (err == 0 && !s->out->more)
            err = remember_page(s, next ? ++page : 1);
    }
    s->out->requests = s->api.requests;
    return err;
}

int sm_dataset_freesound(sm_dataset *d, const sm_freesound_options *o, sm_freesound_result *out)
{
    search *s = sm_alloc_zero(1, sizeof *s);
    const char *kept = NULL, *label = NULL;
    int err = s ? 0 : SM_ENOMEM;
    *out = (sm_freesound_result){ 0 };
    if (err == 0 && (!o->token || !*o->token))
        err = sm_fail(SM_EUSAGE, "Freesound needs a token: https://freesound.org/apiv2/apply gives one");
    if (err == 0 && o->label)
        err = ds_class(o->label, &label);
    if (err == 0) {
        sm_buffer key = { 0 };
        s->d = d;
        s->o = o;
        s->out = out;
        s->api = (freesound_api){ .d = d, .o = o };
        sm_buffer_printf(&key, "%s\n%s\n%s", o->query ? o->query : "", o->filter ? o->filter : "",
                         o->licences ? o->licences : "");
        snprintf(s->state, sizeof s->state, "freesound %016llx",
                 (unsigned long long)sm_fnv1a64(key.data ? key.data : "", key.length));
        err = key.failed || !(s->arena = sm_arena_new()) ? SM_ENOMEM : sm_make_directories(o->folder);
        sm_buffer_free(&key);
    }
    if (err == 0)
        err = ds_absolute(o->folder, &s->root);
    if (err == 0)
        err = sm_words_new(&s->words);
    if (err == 0)
        err = ds_state_get(d, s->state, s->arena, &kept);
    if (err == 0)
        err = run_pages(s, kept ? SM_MAX(strtol(kept, NULL, 10), 1) : 1);
    if (s) {
        sm_words_free(s->words);
        sm_arena_free(s->arena);
        sm_free(s->root);
    }
    sm_free(s);
    return err;
}
