/* Makes the sounds of examples/, sample by sample from formulas, so that every number that analysis prints for them has a known
 * truth (examples/README.md). Run by tools/make-sounds. The same samples each time; Ogg files differ in their serial number. */
#include <math.h>
#include <string.h>

#include "audio/audio.h"

typedef struct {
    int rate, channels;
    size_t frames;
    float *x; /* interleaved */
} sound;

static sound sound_new(int rate, int channels, double seconds)
{
    sound s = { rate, channels, (size_t)llround(seconds * rate), NULL };
    s.x = sm_alloc_zero(s.frames * (size_t)channels, sizeof *s.x);
    return s;
}

static double noise(const char *name, size_t i)
{
    return sm_unit(sm_unit_hash(name, 1), i);
}

static double midi_hz(double note)
{
    return 440 * exp2((note - 69) / 12);
}

static void mix(sound *s, int channel, size_t at, double value)
{
    if (at < s->frames)
        s->x[at * (size_t)s->channels + (size_t)channel] += (float)value;
}

/* ---- instruments: each adds one hit or note, beginning at `start` seconds ---- */

/* A sine that falls from 150 to 50 Hz in 60 ms and dies away. */
static void kick(sound *s, double start, double level)
{
    double phase = 0;
    for (size_t i = 0; i < (size_t)(0.4 * s->rate); i++) {
        const double t = (double)i / s->rate;
        phase += 2 * M_PI * (50 + 100 * exp(-t / 0.02)) / s->rate;
        for (int c = 0; c < s->channels; c++)
            mix(s, c, (size_t)llround(start * s->rate) + i, level * sin(phase) * exp(-t / 0.12));
    }
}

/* Noise, differentiated twice: little below 5 kHz. */
static void hat(sound *s, double start, double level, double decay, double pan)
{
    for (size_t i = 2; i < (size_t)(5 * decay * s->rate); i++) {
        const double n = (noise("hat", i) - 2 * noise("hat", i - 1) + noise("hat", i - 2)) / 4;
        for (int c = 0; c < s->channels; c++)
            mix(s, c, (size_t)llround(start * s->rate) + i,
                level * n * exp(-(double)i / s->rate / decay) *
                    (s->channels == 1 ? 1
                     : c              ? pan
                                      : 1 - pan) *
                    1.4);
    }
}

/* 190 Hz and noise. */
static void snare(sound *s, double start, double level)
{
    for (size_t i = 0; i < (size_t)(0.25 * s->rate); i++) {
        const double t = (double)i / s->rate;
        const double v = 0.6 * noise("snare", i) * exp(-t / 0.06) + 0.5 * sin(2 * M_PI * 190 * t) * exp(-t / 0.04);
        for (int c = 0; c < s->channels; c++)
            mix(s, c, (size_t)llround(start * s->rate) + i, level * v);
    }
}

/* Partials 1/k with an attack of 5 ms and a release of 30 ms. */
static void note(sound *s, double start, double length, double midi, int partials, double level)
{
    for (size_t i = 0; i < (size_t)(length * s->rate); i++) {
        const double t = (double)i / s->rate;
        const double shape = fmin(1, fmin(t / 0.005, (length - t) / 0.03)) * exp(-t / 1.5);
        double v = 0;
        for (int k = 1; k <= partials; k++)
            if (midi_hz(midi) * k < s->rate / 2.2)
                v += sin(2 * M_PI * midi_hz(midi) * k * t) / k;
        for (int c = 0; c < s->channels; c++)
            mix(s, c, (size_t)llround(start * s->rate) + i, level * shape * v);
    }
}

/* Karplus and Strong's string: a ring of noise, averaged as it goes round; an all-pass filter sets the fraction of its length. */
static void pluck(sound *s, double midi, double level)
{
    const double period = s->rate / midi_hz(midi) - 0.5;
    const int n = (int)(period - 0.2);
    const double fraction = period - n, c = (1 - fraction) / (1 + fraction);
    double ring[4096] = { 0 }, last = 0, all_in = 0, all_out = 0;
    for (int i = 0; i < n; i++)
        ring[i] = noise("pluck", (size_t)i);
    for (size_t i = 0; i < s->frames; i++) {
        const double now = ring[i % (size_t)n], mean = 0.5 * (now + last) * 0.998;
        last = now;
        all_out = c * (mean - all_out) + all_in;
        all_in = mean;
        ring[i % (size_t)n] = all_out;
        mix(s, 0, i, level * now * fmin(1, (double)(s->frames - i) / (0.02 * s->rate)));
    }
}

/* ---- files ---- */

static void put_le(sm_buffer *b, uint32_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        sm_buffer_add(b, &(uint8_t){ (uint8_t)(value >> 8 * i) }, 1);
}

static void chunk(sm_buffer *b, const char *id, const sm_buffer *body)
{
    sm_buffer_add(b, id, 4);
    put_le(b, (uint32_t)body->length, 4);
    sm_buffer_add(b, body->data, body->length);
    if (body->length % 2)
        put_le(b, 0, 1);
}

static void chunk_done(sm_buffer *b, const char *id, sm_buffer *body)
{
    chunk(b, id, body);
    sm_buffer_free(body);
}

/* beats > 0: a loop, with acid's tempo and smpl's points; note >= 0: a one-shot of this MIDI note. */
static void loop_chunks(sm_buffer *b, const sound *s, int beats, int midi)
{
    sm_buffer c = { 0 };
    const float tempo = beats > 0 ? (float)(beats * 60.0 * s->rate / (double)s->frames) : 0;
    uint32_t bits;

    memcpy(&bits, &tempo, 4);
    put_le(&c, (beats > 0 ? 0 : 1) | (midi >= 0 ? 2 : 0), 4);
    put_le(&c, (uint32_t)(midi >= 0 ? midi : 60), 2);
    put_le(&c, 0x8000, 2);
    put_le(&c, 0, 4);
    put_le(&c, (uint32_t)beats, 4);
    put_le(&c, 4, 2);
    put_le(&c, 4, 2);
    put_le(&c, bits, 4);
    chunk_done(b, "acid", &c);
    put_le(&c, 0, 8);
    put_le(&c, (uint32_t)(1000000000 / s->rate), 4);
    put_le(&c, (uint32_t)(midi >= 0 ? midi : 60), 4);
    put_le(&c, 0, 12);
    put_le(&c, beats > 0, 4);
    put_le(&c, 0, 4);
    if (beats > 0) {
        put_le(&c, 0, 12);
        put_le(&c, (uint32_t)s->frames - 1, 4);
        put_le(&c, 0, 8);
    }
    chunk_done(b, "smpl", &c);
}

static int write_wav(const char *path, sound *s, int bits, int beats, int midi)
{
    sm_buffer b = { 0 }, c = { 0 };
    sm_outfile *f = NULL;
    int err = sm_outfile_open(path, &f);

    if (err < 0)
        return err;
    sm_buffer_text(&b, "RIFF0000WAVE");
    put_le(&c, bits == 32 ? 3 : 1, 2);
    put_le(&c, (uint32_t)s->channels, 2);
    put_le(&c, (uint32_t)s->rate, 4);
    put_le(&c, (uint32_t)(s->rate * s->channels * bits / 8), 4);
    put_le(&c, (uint32_t)(s->channels * bits / 8), 2);
    put_le(&c, (uint32_t)bits, 2);
    chunk_done(&b, "fmt ", &c);
    for (size_t i = 0; i < s->frames * (size_t)s->channels; i++) {
        uint32_t value = (uint32_t)(int32_t)lrint(s->x[i] * (bits == 16 ? 32768.0 : 8388608.0));
        if (bits == 32)
            memcpy(&value, &s->x[i], 4);
        put_le(&c, value, bits / 8);
    }
    chunk_done(&b, "data", &c);
    if (beats > 0 || midi >= 0)
        loop_chunks(&b, s, beats, midi);
    for (int i = 0; i < 4; i++)
        b.data[4 + i] = (char)((b.length - 8) >> 8 * i);
    fwrite(b.data, 1, b.length, sm_outfile_stream(f));
    err = b.failed || c.failed ? SM_ENOMEM : sm_outfile_commit(f);
    sm_buffer_free(&b);
    return err;
}

static int write_other(const char *path, const sound *s, sm_sample_format format, int kbps, const char *title)
{
    const sm_audio_write_options o = {
        .rate_hz = s->rate, .channels = s->channels, .format = format, .mp3_bitrate_kbps = kbps, .title = title
    };
    sm_audio_writer *w = NULL;
    int err = sm_audio_writer_open(path, &o, &w);
    if (err < 0)
        return err;
    err = sm_audio_writer_write(w, s->x, s->frames);
    if (err < 0) {
        sm_audio_writer_abandon(w);
        return err;
    }
    return sm_audio_writer_commit(w);
}

/* ---- the sounds ---- */

static int make_sine(const char *path)
{
    sound s = sound_new(44100, 1, 1);
    for (size_t i = 0; i < s.frames; i++)
        s.x[i] = (float)(0.5 * sin(2 * M_PI * 440 * (double)i / s.rate));
    return write_wav(path, &s, 16, 0, -1);
}

static int make_silence(const char *path)
{
    sound s = sound_new(8000, 1, 0.5);
    return write_wav(path, &s, 16, 0, -1);
}

static int make_noise(const char *path)
{
    sound s = sound_new(22050, 1, 1);
    for (size_t i = 0; i < s.frames; i++)
        s.x[i] = (float)(0.5 * noise("noise", i));
    return write_other(path, &s, SM_SAMPLE_S16, 0, "White noise");
}

static int make_kick(const char *path)
{
    sound s = sound_new(44100, 1, 0.4);
    kick(&s, 0, 0.9);
    return write_wav(path, &s, 16, 0, -1);
}

static int make_hat(const char *path)
{
    sound s = sound_new(48000, 1, 0.2);
    hat(&s, 0, 0.5, 0.03, 0.5);
    return write_wav(path, &s, 32, 0, -1);
}

static int make_bass(const char *path)
{
    sound s = sound_new(22050, 1, 1);
    note(&s, 0, 1, 28, 8, 0.4);
    return write_wav(path, &s, 24, 0, 28);
}

static int make_pluck(const char *path)
{
    sound s = sound_new(44100, 1, 1);
    pluck(&s, 60, 0.7);
    return write_other(path, &s, SM_SAMPLE_S16, 0, NULL);
}

/* Eight beats: kick on each, snare on 2, 4, 6, 8, hats on the eighths. */
static int make_house(const char *path)
{
    sound s = sound_new(22050, 1, 8 * 60.0 / 128);
    for (int beat = 0; beat < 8; beat++) {
        const double at = beat * 60.0 / 128;
        kick(&s, at, 0.6);
        if (beat % 2 == 1)
            snare(&s, at, 0.3);
        hat(&s, at, 0.15, 0.015, 0.5);
        hat(&s, at + 30.0 / 128, 0.25, 0.03, 0.5);
    }
    return write_wav(path, &s, 16, 8, -1);
}

/* Sixteen beats of a broken beat in stereo, with a bass on D. */
static int make_jungle(const char *path)
{
    static const double kicks[] = { 0, 2.5 }, snares[] = { 1, 3 };
    const double beat = 60.0 / 174;
    sound s = sound_new(44100, 2, 16 * beat);
    for (int bar = 0; bar < 4; bar++) {
        for (int i = 0; i < 2; i++) {
            kick(&s, (4 * bar + kicks[i]) * beat, 0.55);
            snare(&s, (4 * bar + snares[i]) * beat, 0.4);
        }
        for (int i = 0; i < 8; i++)
            hat(&s, (4 * bar + 0.5 * i) * beat, i % 2 ? 0.1 : 0.2, 0.02, i % 2 ? 0.8 : 0.3);
        note(&s, 4 * bar * beat, 2 * beat, bar == 3 ? 33 : 38, 4, 0.12);
    }
    return write_other(path, &s, SM_SAMPLE_S16, 0, "Jungle loop 174");
}

/* i iv V i in A minor, one chord a second. */
static int make_chords(const char *path)
{
    static const int chords[4][4] = { { 45, 57, 60, 64 }, { 50, 57, 62, 65 }, { 52, 56, 59, 64 }, { 45, 57, 60, 64 } };
    sound s = sound_new(22050, 1, 4);
    for (int i = 0; i < 4; i++)
        for (int k = 0; k < 4; k++)
            note(&s, i, 1, chords[i][k], 4, 0.1);
    return write_other(path, &s, SM_SAMPLE_S16, 0, "Cadence in A minor");
}

/* C major up and down, then home: C4 D E F G A B C5 B A G F E D C4 C4, a quarter second each. */
static sound melody(int rate)
{
    static const int notes[16] = { 60, 62, 64, 65, 67, 69, 71, 72, 71, 69, 67, 65, 64, 62, 60, 60 };
    sound s = sound_new(rate, 1, 4);
    for (int i = 0; i < 16; i++)
        note(&s, 0.25 * i, 0.25, notes[i], 3, 0.35);
    return s;
}
static int make_melody_mp3(const char *path)
{
    sound s = melody(44100);
    return write_other(path, &s, SM_SAMPLE_S16, 64, "C major");
}
static int make_melody_opus(const char *path)
{
    sound s = melody(48000);
    return write_other(path, &s, SM_SAMPLE_S16, 0, "C major");
}
/* what tools/make-sounds turns into melody_c_major.m4a */
static int make_melody_wav(const char *path)
{
    sound s = melody(44100);
    return write_wav(path, &s, 16, 0, -1);
}

static const struct {
    const char *name;
    int (*make)(const char *path);
} sounds[] = {
    { "sine_440.wav", make_sine },
    { "silence.wav", make_silence },
    { "noise.aiff", make_noise },
    { "kick.wav", make_kick },
    { "hihat.wav", make_hat },
    { "bass_e1.wav", make_bass },
    { "pluck_c4.caf", make_pluck },
    { "house_loop_128bpm.wav", make_house },
    { "jungle_loop_174.ogg", make_jungle },
    { "cadence_a_minor.flac", make_chords },
    { "melody_c_major.mp3", make_melody_mp3 },
    { "melody_c_major.opus", make_melody_opus },
    { "melody_c_major.wav.tmp.wav", make_melody_wav },
};

int main(int argc, char **argv)
{
    for (size_t i = 0; argc == 2 && i < SM_LENGTH(sounds); i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", argv[1], sounds[i].name);
        if (sounds[i].make(path) < 0) {
            fprintf(stderr, "%s\n", sm_last_error());
            return 1;
        }
    }
    return argc == 2 ? 0 : 2;
}
