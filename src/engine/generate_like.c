/* What goes with a loop: its own analysis as words, tempo and bars. */
#include <math.h>
#include <string.h>

#include "engine/engine.h"

/* The number of bars that makes the loop whole at about the tempo that was heard; without one, the number nearest to 120. */
static void fit_bars(sm_loop_words *l, double heard)
{
    const double about = isfinite(heard) && heard > 0 ? heard : 120;
    l->bars = (int)SM_MAX(lround(l->length_s * about / 240), 1);
    l->bpm = 240 * l->bars / l->length_s;
    while (l->bpm > 200 && l->bars > 1 && l->bars % 2 == 0) {
        l->bars /= 2;
        l->bpm /= 2;
    }
    while (l->bpm < 60) {
        l->bars *= 2;
        l->bpm *= 2;
    }
}

static const char *energy_word(double energy)
{
    return energy >= 7 ? "energetic" : energy >= 0 && energy < 3 ? "calm" : NULL;
}

static void add_word(sm_buffer *b, const char *word)
{
    if (word && *word)
        sm_buffer_printf(b, "%s%s", b->length ? ", " : "", word);
}

/* The public part first: what is freed is the whole. */
typedef struct {
    sm_loop_words shown;
    char *prompt, key[32];
} loop_words;

static int describe(loop_words *l, const sm_summary *s, const char *words)
{
    sm_buffer prompt = { 0 };
    char tempo[48];
    l->shown.length_s = s->duration_s;
    fit_bars(&l->shown, s->bpm);
    snprintf(tempo, sizeof tempo, "%.4g BPM", l->shown.bpm);
    if (s->key && s->key_confidence > 0.3) {
        snprintf(l->key, sizeof l->key, "%s", s->key);
        l->shown.key = l->key;
    }
    add_word(&prompt, words);
    add_word(&prompt, s->genre);
    add_word(&prompt, s->instrument);
    add_word(&prompt, energy_word(s->energy));
    add_word(&prompt, tempo);
    add_word(&prompt, "4/4");
    add_word(&prompt, l->shown.key);
    l->shown.prompt = l->prompt = prompt.data;
    return prompt.failed ? SM_ENOMEM : 0;
}

int sm_loop_words_read(const char *home, const char *path, const char *words, sm_loop_words **out)
{
    sm_options o;
    sm_engine *e = NULL;
    sm_record *record = NULL;
    loop_words *l = NULL;
    *out = NULL;
    sm_options_init(&o);
    o.home = home;
    int err = sm_engine_open(&o, &e);
    if (err == 0)
        err = sm_analyze_file(e, path, &record);
    if (err == 0) {
        const sm_summary *s = sm_record_summary(record);
        if (!(s->duration_s >= 0.3) || (s->kind && !strcmp(s->kind, "silence")))
            err = sm_fail(SM_EUSAGE, "%s: too short or silent, there is nothing to go with", path);
        else if (!(l = sm_alloc_zero(1, sizeof *l)))
            err = SM_ENOMEM;
        else
            err = describe(l, s, words);
    }
    sm_record_free(record);
    sm_engine_close(e);
    if (err < 0)
        sm_loop_words_free(l ? &l->shown : NULL);
    else
        *out = &l->shown;
    return err;
}

void sm_loop_words_free(sm_loop_words *shown)
{
    loop_words *l = (loop_words *)shown;
    if (!l)
        return;
    sm_free(l->prompt);
    sm_free(l);
}
