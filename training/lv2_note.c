/* Plays one note of one preset of an LV2 synthesizer and writes it as a WAV file; lists a synthesizer's presets.
 * Usage: lv2_note URI -l
 *        lv2_note URI [-s PRESET] [-p PORT=VALUE]... KEY[+KEY] VELOCITY SECONDS FILE.wav
 * The list has the presets' labels, a line each. -s takes the preset of that label, -p sets a control port by its symbol. Plugins that
 * want more of a host than the mapping of URIs and blocks of one length do not start. LV2: lv2plug.in; lilv: drobilla.net. */
#include <lilv/lilv.h>
#include <lv2/atom/atom.h>
#include <lv2/atom/util.h>
#include <lv2/buf-size/buf-size.h>
#include <lv2/midi/midi.h>
#include <lv2/options/options.h>
#include <lv2/presets/presets.h>
#include <lv2/urid/urid.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "synth_note.h"

#define MAX_PORTS 1024
#define MAX_URIS  1024

typedef struct {
    char *uris[MAX_URIS];
    LV2_URID n_uris;
    LV2_URID_Map map; /* the plugin keeps pointers to both */
    LV2_URID_Unmap unmap;
    LilvWorld *world;
    const LilvPlugin *plugin;
    LilvInstance *instance;
    float control[MAX_PORTS], spare[NOTE_BLOCK], out[2][NOTE_BLOCK];
    uint32_t n_ports;
    int n_out;
    union {
        LV2_Atom_Sequence sequence;
        uint8_t bytes[4096];
    } events, answers;
} synth;

static LV2_URID map_uri(LV2_URID_Map_Handle handle, const char *uri)
{
    synth *s = handle;
    for (LV2_URID i = 0; i < s->n_uris; i++)
        if (!strcmp(s->uris[i], uri))
            return i + 1;
    if (s->n_uris == MAX_URIS)
        return 0;
    s->uris[s->n_uris] = strdup(uri);
    return s->uris[s->n_uris] ? ++s->n_uris : 0;
}

static const char *unmap_uri(LV2_URID_Unmap_Handle handle, LV2_URID id)
{
    const synth *s = handle;
    return id && id <= s->n_uris ? s->uris[id - 1] : NULL;
}

static bool instantiate(synth *s)
{
    static const int32_t block = NOTE_BLOCK;
    const LV2_URID is_int = map_uri(s, LV2_ATOM__Int);
    s->map = (LV2_URID_Map){ s, map_uri };
    s->unmap = (LV2_URID_Unmap){ s, unmap_uri };
    const LV2_Options_Option options[] = {
        { LV2_OPTIONS_INSTANCE, 0, map_uri(s, LV2_BUF_SIZE__minBlockLength), sizeof block, is_int, &block },
        { LV2_OPTIONS_INSTANCE, 0, map_uri(s, LV2_BUF_SIZE__maxBlockLength), sizeof block, is_int, &block },
        { LV2_OPTIONS_INSTANCE, 0, 0, 0, 0, NULL },
    };
    const LV2_Feature features[] = {
        { LV2_URID__map, &s->map },
        { LV2_URID__unmap, &s->unmap },
        { LV2_OPTIONS__options, (void *)options },
        { LV2_BUF_SIZE__boundedBlockLength, NULL },
        { LV2_BUF_SIZE__fixedBlockLength, NULL },
        { LV2_BUF_SIZE__powerOf2BlockLength, NULL },
    };
    const LV2_Feature *const given[] = { &features[0], &features[1], &features[2], &features[3],
                                         &features[4], &features[5], NULL };
    s->instance = lilv_plugin_instantiate(s->plugin, NOTE_RATE, given);
    return s->instance != NULL;
}

/* What the preset's or -p's values go to; outputs: the first two of audio. */
static void connect(synth *s)
{
    LilvNode *audio = lilv_new_uri(s->world, LILV_URI_AUDIO_PORT), *input = lilv_new_uri(s->world, LILV_URI_INPUT_PORT);
    LilvNode *control = lilv_new_uri(s->world, LILV_URI_CONTROL_PORT);
    for (uint32_t i = 0; i < s->n_ports; i++) {
        const LilvPort *port = lilv_plugin_get_port_by_index(s->plugin, i);
        const bool in = lilv_port_is_a(s->plugin, port, input);
        void *to = in ? (void *)&s->events : &s->answers;
        if (lilv_port_is_a(s->plugin, port, control))
            to = &s->control[i];
        else if (lilv_port_is_a(s->plugin, port, audio))
            to = in || s->n_out == 2 ? s->spare : s->out[s->n_out++];
        lilv_instance_connect_port(s->instance, i, to);
    }
    lilv_node_free(control);
    lilv_node_free(input);
    lilv_node_free(audio);
}

static bool synth_open(synth *s, const char *name)
{
    s->world = lilv_world_new();
    lilv_world_load_all(s->world);
    LilvNode *uri = lilv_new_uri(s->world, name);
    s->plugin = uri ? lilv_plugins_get_by_uri(lilv_world_get_all_plugins(s->world), uri) : NULL;
    lilv_node_free(uri);
    s->n_ports = s->plugin ? lilv_plugin_get_num_ports(s->plugin) : 0;
    if (!s->n_ports || s->n_ports > MAX_PORTS || !instantiate(s)) {
        fprintf(stderr, "%s: no LV2 plugin that could be used\n", name);
        return false;
    }
    lilv_plugin_get_port_ranges_float(s->plugin, NULL, NULL, s->control);
    connect(s);
    return s->n_out > 0;
}

static bool set_port(synth *s, const char *symbol, float value)
{
    LilvNode *name = lilv_new_string(s->world, symbol);
    const LilvPort *port = lilv_plugin_get_port_by_symbol(s->plugin, name);
    lilv_node_free(name);
    if (!port) {
        fprintf(stderr, "no such port: %s\n", symbol);
        return false;
    }
    s->control[lilv_port_get_index(s->plugin, port)] = value;
    return true;
}

static void take_value(const char *symbol, void *handle, const void *value, uint32_t size, uint32_t type)
{
    float x;
    if (size == sizeof x && type == map_uri(handle, LV2_ATOM__Float)) {
        memcpy(&x, value, sizeof x);
        set_port(handle, symbol, x);
    }
}

/* The preset called `label` is put to the ports, or, without a label, all are printed. */
static bool take_preset(synth *s, const char *label)
{
    LilvNode *kind = lilv_new_uri(s->world, LV2_PRESETS__Preset);
    LilvNodes *presets = lilv_plugin_get_related(s->plugin, kind);
    bool found = false;
    LILV_FOREACH(nodes, i, presets)
    {
        const LilvNode *preset = lilv_nodes_get(presets, i);
        lilv_world_load_resource(s->world, preset);
        LilvState *state = lilv_state_new_from_world(s->world, &s->map, preset);
        const char *name = state ? lilv_state_get_label(state) : NULL;
        if (name && !label)
            puts(name);
        if (name && label && !strcmp(name, label)) {
            lilv_state_restore(state, s->instance, take_value, s, 0, NULL);
            found = true;
        }
        lilv_state_free(state);
    }
    if (label && !found)
        fprintf(stderr, "no preset is called %s\n", label);
    lilv_nodes_free(presets);
    lilv_node_free(kind);
    return found;
}

/* The note's events of the block that starts at `frame`. */
static void events_at(synth *s, const note *n, int frame)
{
    const bool on = frame == NOTE_LEAD, off = frame == NOTE_LEAD + n->hold;
    struct {
        LV2_Atom_Event head;
        uint8_t midi[8];
    } event = { .head.body = { 3, map_uri(s, LV2_MIDI__MidiEvent) } };
    lv2_atom_sequence_clear(&s->events.sequence);
    s->events.sequence.atom.type = map_uri(s, LV2_ATOM__Sequence);
    s->events.sequence.body.unit = s->events.sequence.body.pad = 0;
    s->answers.sequence.atom.type = map_uri(s, LV2_ATOM__Chunk);
    s->answers.sequence.atom.size = sizeof s->answers - sizeof(LV2_Atom);
    for (int i = 0; (on || off) && i < n->n_keys; i++) {
        event.midi[0] = on ? LV2_MIDI_MSG_NOTE_ON : LV2_MIDI_MSG_NOTE_OFF;
        event.midi[1] = (uint8_t)n->keys[i];
        event.midi[2] = (uint8_t)(on ? n->velocity : 64);
        lv2_atom_sequence_append_event(&s->events.sequence, sizeof s->events - sizeof(LV2_Atom), &event.head);
    }
}

static void block(void *user, const note *n, int frame, float *out)
{
    synth *s = user;
    events_at(s, n, frame);
    lilv_instance_run(s->instance, NOTE_BLOCK);
    note_mix(s->out, s->n_out, out);
}

/* The options from argv[2] on; where the note's four arguments begin, 0 for a fault, which is said. */
static int options(synth *s, int argc, char **argv)
{
    int i = 2;
    for (; i + 1 < argc && argv[i][0] == '-'; i += 2) {
        char *value = strchr(argv[i + 1], '=');
        if (!strcmp(argv[i], "-s")) {
            if (!take_preset(s, argv[i + 1]))
                return 0;
        } else if (!strcmp(argv[i], "-p") && value) {
            *value = 0;
            if (!set_port(s, argv[i + 1], (float)atof(value + 1)))
                return 0;
        } else {
            fprintf(stderr, "no such option: %s %s\n", argv[i], argv[i + 1]);
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
        take_preset(s, NULL);
        return 0;
    }
    const int i = options(s, argc, argv);
    if (!i)
        return 1;
    lilv_instance_activate(s->instance);
    note_play(argv + i, argc - i, block, s);
}
