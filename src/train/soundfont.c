/* Notes of SoundFonts as labelled sounds: FluidSynth renders, General MIDI says what a program is. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "ext/fluidsynth.h"
#include "train/synth.h"

enum { CHANNEL = 0, BLOCK = 1024, POLYPHONY = 64 };

struct sm_soundfont {
    sm_fluidsynth f;
    fluid_settings_t *settings;
    fluid_synth_t *synth;
    int id, rate_hz;
};

int sm_soundfont_open(const char *path, int rate_hz, sm_soundfont **out)
{
    *out = NULL;
    if (access(path, R_OK) != 0)
        return sm_fail(errno == ENOENT ? SM_ENOTFOUND : SM_EIO, "%s: %s", path, strerror(errno));
    sm_soundfont *s = sm_alloc_zero(1, sizeof *s);
    int err = s ? sm_fluidsynth_load(&s->f) : SM_ENOMEM;
    if (err < 0)
        goto out;
    for (int level = FLUID_PANIC; level < LAST_LOG_LEVEL; level++)
        s->f.fluid_set_log_function(level, NULL, NULL); /* what goes wrong is said by us */
    if (!s->f.fluid_is_soundfont(path)) {
        err = sm_fail(SM_EFORMAT, "%s: is not a SoundFont", path);
        goto out;
    }
    s->rate_hz = rate_hz;
    s->settings = s->f.new_fluid_settings();
    if (s->settings) {
        s->f.fluid_settings_setnum(s->settings, "synth.sample-rate", rate_hz);
        s->f.fluid_settings_setint(s->settings, "synth.polyphony", POLYPHONY);
        s->f.fluid_settings_setint(s->settings, "synth.reverb.active", 0); /* the augmentation has its own rooms */
        s->f.fluid_settings_setint(s->settings, "synth.chorus.active", 0);
        s->synth = s->f.new_fluid_synth(s->settings);
    }
    if (!s->synth) {
        err = sm_fail(SM_ENOMEM, "%s: FluidSynth cannot start", path);
        goto out;
    }
    s->id = s->f.fluid_synth_sfload(s->synth, path, 0);
    if (s->id < 0)
        err = sm_fail(SM_EFORMAT, "%s: FluidSynth cannot read it", path);
out:
    if (err < 0)
        sm_soundfont_close(s);
    else
        *out = s;
    return err;
}

void sm_soundfont_close(sm_soundfont *s)
{
    if (!s)
        return;
    if (s->synth)
        s->f.delete_fluid_synth(s->synth);
    if (s->settings)
        s->f.delete_fluid_settings(s->settings);
    sm_free(s);
}

bool sm_soundfont_preset_at(sm_soundfont *s, size_t i, sm_soundfont_preset *out)
{
    fluid_sfont_t *font = s->f.fluid_synth_get_sfont(s->synth, 0);
    fluid_preset_t *p = NULL;
    if (!font)
        return false;
    s->f.fluid_sfont_iteration_start(font);
    do
        p = s->f.fluid_sfont_iteration_next(font);
    while (p && i-- > 0);
    if (!p)
        return false;
    *out = (sm_soundfont_preset){ .bank = s->f.fluid_preset_get_banknum(p), .program = s->f.fluid_preset_get_num(p) };
    snprintf(out->name, sizeof out->name, "%s", s->f.fluid_preset_get_name(p));
    return true;
}

/* Renders `frames` as the mean of both sides and appends them. */
static int render(sm_soundfont *s, size_t frames, sm_floats *out)
{
    float left[BLOCK], right[BLOCK];
    int err = 0;
    for (size_t at = 0; at < frames && err == 0; at += BLOCK) {
        const int n = (int)SM_MIN(frames - at, (size_t)BLOCK);
        if (s->f.fluid_synth_write_float(s->synth, n, left, 0, 1, right, 0, 1) != FLUID_OK)
            return sm_fail(SM_EIO, "FluidSynth gave no samples");
        for (int k = 0; k < n; k++)
            left[k] = 0.5f * (left[k] + right[k]);
        err = sm_floats_add(out, left, (size_t)n);
    }
    return err;
}

int sm_soundfont_render(sm_soundfont *s, int bank, int program, int key, int velocity, double hold_s, double most_s,
                        sm_floats *out)
{
    const size_t most = (size_t)(most_s * s->rate_hz), hold = SM_MIN((size_t)(hold_s * s->rate_hz), most);
    s->f.fluid_synth_system_reset(s->synth);
    if (s->f.fluid_synth_program_select(s->synth, CHANNEL, s->id, bank, program) != FLUID_OK)
        return sm_fail(SM_ENOTFOUND, "the SoundFont has no preset %d in bank %d", program, bank);
    if (key < 0 || key > 127 || velocity < 1 || velocity > 127)
        return sm_fail(SM_EUSAGE, "key %d, velocity %d: expected 0 to 127 and 1 to 127", key, velocity);
    if (s->f.fluid_synth_noteon(s->synth, CHANNEL, key, velocity) != FLUID_OK)
        return 0; /* the preset has no sample at this key */
    int err = render(s, hold, out);
    s->f.fluid_synth_noteoff(s->synth, CHANNEL, key);
    return err == 0 ? render(s, most - hold, out) : err;
}

/* ---- General MIDI ---- */

/* Runs of programs of one class, first and last. What stands in no run (ensembles of several kinds, sound effects that are
 * textures) is nobody's. */
static const struct {
    int first, last;
    const char *label;
} programs[] = { { 0, 7, "keys" },         { 8, 14, "mallet-bell" }, { 15, 15, "pluck" },
                 { 16, 23, "organ" },      { 24, 31, "guitar" },     { 32, 39, "bass" },
                 { 40, 44, "strings" },    { 45, 46, "pluck" },      { 48, 49, "strings" },
                 { 50, 51, "pad" },        { 52, 54, "vocal" },      { 56, 63, "brass" },
                 { 64, 79, "woodwind" },   { 80, 87, "synth-lead" }, { 88, 95, "pad" },
                 { 96, 103, "fx" },        { 104, 107, "pluck" },    { 108, 108, "mallet-bell" },
                 { 109, 109, "woodwind" }, { 110, 110, "strings" },  { 111, 111, "woodwind" },
                 { 112, 113, "perc" },     { 115, 115, "perc" },     { 116, 116, "hand-drum" },
                 { 117, 118, "tom" },      { 120, 127, "fx" } };

const char *sm_gm_program_label(int program)
{
    for (size_t i = 0; i < SM_LENGTH(programs); i++)
        if (program >= programs[i].first && program <= programs[i].last)
            return programs[i].label;
    return NULL;
}

/* Notes 35 to 81 of the drum bank. */
static const char *const drums[] = {
    "kick",   "kick",         "rim",       "snare",      "clap",      "snare",     "tom",       "hihat-closed",
    "tom",    "hihat-closed", "tom",       "hihat-open", "tom",       "tom",       "cymbal",    "tom",
    "cymbal", "cymbal",       "cymbal",    "shaker",     "cymbal",    "perc",      "cymbal",    "perc",
    "cymbal", "hand-drum",    "hand-drum", "hand-drum",  "hand-drum", "hand-drum", "hand-drum", "hand-drum",
    "perc",   "perc",         "shaker",    "shaker",     NULL,        NULL,        "perc",      "perc",
    "perc",   "perc",         "perc",      "perc",       "perc",      "perc",      "perc"
};

const char *sm_gm_drum_label(int key)
{
    return key >= 35 && key - 35 < (int)SM_LENGTH(drums) ? drums[key - 35] : NULL;
}
