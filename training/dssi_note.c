/* Plays one note of one program of a DSSI synthesizer and writes it as a WAV file; lists a synthesizer's programs.
 * Usage: dssi_note PLUGIN.so -l
 *        dssi_note PLUGIN.so [-s BANK PROGRAM NAME] [-w SECONDS] [-p PORT=VALUE]... KEY[+KEY] VELOCITY SECONDS FILE.wav
 * The list (-l) has bank, program and name by line, parted by tabs. -s selects a program; NAME is compared, so that another release's
 * program of the same number is not taken for it. -w waits, running, for a plugin that loads its programs on a thread of its own. -p
 * sets a control port. DSSI: dssi.h of Debian's dssi-dev. */
#include <dlfcn.h>
#include <dssi.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "synth_note.h"

#define MAX_PORTS 1024

typedef struct {
    void *library;
    const DSSI_Descriptor *dssi;
    const LADSPA_Descriptor *ladspa;
    LADSPA_Handle handle;
    float control[MAX_PORTS], spare[NOTE_BLOCK], out[2][NOTE_BLOCK];
    int n_out;
} synth;

/* What LADSPA's hints say; a program overwrites it. */
static float default_of(const LADSPA_PortRangeHint *range)
{
    const int hint = range->HintDescriptor & LADSPA_HINT_DEFAULT_MASK;
    const double unit = LADSPA_IS_HINT_SAMPLE_RATE(range->HintDescriptor) ? NOTE_RATE : 1;
    const double low = unit * range->LowerBound, high = unit * range->UpperBound;
    const double part = hint == LADSPA_HINT_DEFAULT_LOW ? 0.25 : hint == LADSPA_HINT_DEFAULT_HIGH ? 0.75 : 0.5;
    switch (hint) {
    case LADSPA_HINT_DEFAULT_MINIMUM:
        return (float)low;
    case LADSPA_HINT_DEFAULT_MAXIMUM:
        return (float)high;
    case LADSPA_HINT_DEFAULT_LOW:
    case LADSPA_HINT_DEFAULT_MIDDLE:
    case LADSPA_HINT_DEFAULT_HIGH:
        if (LADSPA_IS_HINT_LOGARITHMIC(range->HintDescriptor) && low > 0 && high > 0)
            return (float)exp(log(low) * (1 - part) + log(high) * part);
        return (float)(low * (1 - part) + high * part);
    case LADSPA_HINT_DEFAULT_1:
        return 1;
    case LADSPA_HINT_DEFAULT_100:
        return 100;
    case LADSPA_HINT_DEFAULT_440:
        return 440;
    default:
        return 0;
    }
}

static bool synth_open(synth *s, const char *path)
{
    s->library = dlopen(path, RTLD_NOW);
    if (!s->library) {
        fprintf(stderr, "%s\n", dlerror());
        return false;
    }
    DSSI_Descriptor_Function descriptor;
    *(void **)&descriptor = dlsym(s->library, "dssi_descriptor");
    s->dssi = descriptor ? descriptor(0) : NULL;
    if (!s->dssi || !s->dssi->run_synth || s->dssi->LADSPA_Plugin->PortCount > MAX_PORTS) {
        fprintf(stderr, "%s: no DSSI synthesizer\n", path);
        return false;
    }
    s->ladspa = s->dssi->LADSPA_Plugin;
    s->handle = s->ladspa->instantiate(s->ladspa, NOTE_RATE);
    for (unsigned long i = 0; s->handle && i < s->ladspa->PortCount; i++) {
        const LADSPA_PortDescriptor port = s->ladspa->PortDescriptors[i];
        float *to = s->spare;
        if (LADSPA_IS_PORT_CONTROL(port)) {
            to = &s->control[i];
            *to = default_of(&s->ladspa->PortRangeHints[i]);
        } else if (LADSPA_IS_PORT_OUTPUT(port) && s->n_out < 2) {
            to = s->out[s->n_out++];
        }
        s->ladspa->connect_port(s->handle, i, to);
    }
    return s->handle && s->n_out;
}

static void list_programs(const synth *s)
{
    const DSSI_Program_Descriptor *p;
    for (unsigned long i = 0; s->dssi->get_program && (p = s->dssi->get_program(s->handle, i)); i++)
        printf("%lu\t%lu\t%s\n", p->Bank, p->Program, p->Name);
}

/* Spaces at the end do not count. Plugins expect to be asked for all their programs before one is selected. */
static bool select_program(const synth *s, unsigned long bank, unsigned long program, const char *name)
{
    const DSSI_Program_Descriptor *p;
    const size_t length = strlen(name);
    bool found = false;
    for (unsigned long i = 0; s->dssi->get_program && (p = s->dssi->get_program(s->handle, i)); i++)
        if (p->Bank == bank && p->Program == program && !strncmp(p->Name, name, length))
            found = p->Name[length + strspn(p->Name + length, " ")] == 0;
    if (found && s->dssi->select_program)
        s->dssi->select_program(s->handle, bank, program);
    else
        fprintf(stderr, "no program %lu of bank %lu is called %s\n", program, bank, name);
    return found;
}

static bool set_port(synth *s, const char *setting)
{
    const char *value = strchr(setting, '=');
    for (unsigned long i = 0; value && i < s->ladspa->PortCount; i++)
        if (LADSPA_IS_PORT_CONTROL(s->ladspa->PortDescriptors[i]) &&
            strlen(s->ladspa->PortNames[i]) == (size_t)(value - setting) &&
            !strncmp(s->ladspa->PortNames[i], setting, (size_t)(value - setting))) {
            s->control[i] = (float)atof(value + 1);
            return true;
        }
    fprintf(stderr, "no such port: %s\n", setting);
    return false;
}

/* Runs without notes as fast as time passes. */
static void wait_for(const synth *s, double seconds)
{
    const struct timespec block = { 0, 1000000000L / NOTE_RATE * NOTE_BLOCK };
    for (int i = 0; i < (int)(seconds * NOTE_RATE / NOTE_BLOCK); i++) {
        s->dssi->run_synth(s->handle, NOTE_BLOCK, NULL, 0);
        nanosleep(&block, NULL);
    }
}

/* The note's events of the block that starts at `frame`; as many as were put to `events`. */
static unsigned long events_at(const note *n, int frame, snd_seq_event_t *events)
{
    const bool on = frame == NOTE_LEAD, off = frame == NOTE_LEAD + n->hold;
    for (int i = 0; (on || off) && i < n->n_keys; i++) {
        memset(&events[i], 0, sizeof events[i]);
        events[i].type = on ? SND_SEQ_EVENT_NOTEON : SND_SEQ_EVENT_NOTEOFF;
        events[i].data.note.note = (unsigned char)n->keys[i];
        events[i].data.note.velocity = (unsigned char)(on ? n->velocity : 64);
    }
    return on || off ? (unsigned long)n->n_keys : 0;
}

static void block(void *user, const note *n, int frame, float *out)
{
    synth *s = user;
    snd_seq_event_t events[NOTE_KEYS];
    s->dssi->run_synth(s->handle, NOTE_BLOCK, events, events_at(n, frame, events));
    note_mix(s->out, s->n_out, out);
}

/* The options from argv[2] on; where the note's four arguments begin, 0 for a fault, which is said. */
static int options(synth *s, int argc, char **argv)
{
    int i = 2;
    for (; i < argc && argv[i][0] == '-'; i += 2) {
        if (!strcmp(argv[i], "-s") && i + 3 < argc) {
            if (!select_program(s, strtoul(argv[i + 1], NULL, 10), strtoul(argv[i + 2], NULL, 10), argv[i + 3]))
                return 0;
            i += 2;
        } else if (!strcmp(argv[i], "-w") && i + 1 < argc) {
            wait_for(s, atof(argv[i + 1]));
        } else if (!strcmp(argv[i], "-p") && i + 1 < argc) {
            if (!set_port(s, argv[i + 1]))
                return 0;
        } else {
            fprintf(stderr, "no such option: %s\n", argv[i]);
            return 0;
        }
    }
    return i;
}

int main(int argc, char **argv)
{
    synth *s = calloc(1, sizeof *s);
    if (!s || argc < 3 || !synth_open(s, argv[1]))
        return 1;
    if (argc == 3 && !strcmp(argv[2], "-l")) {
        list_programs(s);
        return 0;
    }
    if (s->ladspa->activate)
        s->ladspa->activate(s->handle);
    const int i = options(s, argc, argv);
    if (!i)
        return 1;
    note_play(argv + i, argc - i, block, s);
}
