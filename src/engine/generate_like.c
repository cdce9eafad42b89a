/* What goes with a loop: its own analysis as words, tempo and bars. */
#include <math.h>
#include <string.h>

#include "engine/generate.h"

/* The number of bars that makes the loop whole at about the tempo that was heard; without one, the number nearest to 120. */
static void fit_bars(sm_like *l, double heard)
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

int sm_like_read(const char *home, const char *path, const char *words, sm_like *out)
{
    sm_options o;
    sm_engine *e = NULL;
    sm_record *record = NULL;
    sm_buffer prompt = { 0 };
    *out = (sm_like){ 0 };
    sm_options_init(&o);
    o.home = home;
    int err = sm_engine_open(&o, &e);
    if (err == 0)
        err = sm_analyze_file(e, path, &record);
    if (err == 0) {
        const sm_summary *s = sm_record_summary(record);
        char tempo[48];
        out->length_s = s->duration_s;
        if (!(s->duration_s >= 0.3) || (s->kind && !strcmp(s->kind, "silence")))
            err = sm_fail(SM_EUSAGE, "%s: too short or silent, there is nothing to go with", path);
        else {
            fit_bars(out, s->bpm);
            snprintf(tempo, sizeof tempo, "%.4g BPM", out->bpm);
            snprintf(out->key, sizeof out->key, "%s", s->key && s->key_confidence > 0.3 ? s->key : "");
            add_word(&prompt, words);
            add_word(&prompt, s->genre);
            add_word(&prompt, s->instrument);
            add_word(&prompt, energy_word(s->energy));
            add_word(&prompt, tempo);
            add_word(&prompt, "4/4");
            add_word(&prompt, out->key);
            out->prompt = prompt.data;
            err = prompt.failed ? SM_ENOMEM : 0;
        }
    }
    sm_record_free(record);
    sm_engine_close(e);
    return err;
}

void sm_like_free(sm_like *l)
{
    sm_free(l->prompt);
    *l = (sm_like){ 0 };
}
