/* File names from a pattern with words in braces, as demucs has them and a few more. */
#include <string.h>

#include "cli/stem_names.h"

static const char *const words[] = { "track", "trackext", "stem", "ext", "model", "index", "bpm", "key" };

/* The word in braces at `open`: its length; 0: no closing brace. */
static size_t word_length(const char *open)
{
    const char *close = strchr(open, '}');
    return close ? (size_t)(close - open) - 1 : 0;
}

static int word_at(const char *open)
{
    const size_t n = word_length(open);
    for (size_t i = 0; i < SM_LENGTH(words); i++)
        if (strlen(words[i]) == n && !strncmp(words[i], open + 1, n))
            return (int)i;
    return -1;
}

bool sm_stem_pattern_has(const char *pattern, const char *word)
{
    for (const char *p = strchr(pattern, '{'); p; p = strchr(p + 1, '{'))
        if (word_at(p) >= 0 && !strcmp(words[word_at(p)], word))
            return true;
    return false;
}

int sm_stem_pattern_check(const char *pattern)
{
    for (const char *p = strchr(pattern, '{'); p; p = strchr(p + 1, '{')) {
        const size_t n = word_length(p);
        if (n == 0)
            return sm_fail(SM_EUSAGE, "--filename %s: a brace is not closed, or holds nothing", pattern);
        if (word_at(p) < 0)
            return sm_fail(SM_EUSAGE,
                           "--filename %s: {%.*s} is not known; there are {track} {trackext} {stem} {ext} {model} "
                           "{index} {bpm} {key}",
                           pattern, (int)n, p + 1);
    }
    if (!sm_stem_pattern_has(pattern, "stem"))
        return sm_fail(SM_EUSAGE, "--filename %s: {stem} is missing, all stems would go to one file", pattern);
    if (!sm_stem_pattern_has(pattern, "ext"))
        return sm_fail(SM_EUSAGE, "--filename %s: {ext} is missing, the ending says what to write", pattern);
    return 0;
}

static void add_value(sm_buffer *out, const char *value, size_t n)
{
    for (size_t i = 0; i < n; i++)
        sm_buffer_add(out, value[i] == '/' ? "-" : &value[i], 1);
}

static void add_word(sm_buffer *out, int word, const sm_stem_words *w)
{
    const char *name = sm_path_name(w->track_path), *dot = strrchr(name, '.');
    const size_t track = dot && dot > name ? (size_t)(dot - name) : strlen(name);
    char index[24];
    snprintf(index, sizeof index, "%zu", w->index);
    const char *const values[SM_LENGTH(words)] = { name,
                                                   dot && dot > name ? dot + 1 : "",
                                                   w->stem,
                                                   w->ext,
                                                   w->model,
                                                   index,
                                                   w->bpm ? w->bpm : "unknown",
                                                   w->key ? w->key : "unknown" };
    add_value(out, values[word], word == 0 ? track : strlen(values[word]));
}

char *sm_stem_path(const char *folder, const char *pattern, const sm_stem_words *w)
{
    sm_buffer out = { 0 };
    sm_buffer_printf(&out, "%s/%s/", folder, w->model);
    for (const char *p = pattern; *p;) {
        const int word = *p == '{' ? word_at(p) : -1;
        if (word < 0) {
            sm_buffer_add(&out, p++, 1);
            continue;
        }
        add_word(&out, word, w);
        p += strlen(words[word]) + 2;
    }
    if (out.failed) {
        sm_buffer_free(&out);
        return NULL;
    }
    return out.data;
}
