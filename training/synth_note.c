#include "synth_note.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* "60" or "48+55+60", "100", "0.8" (seconds). */
static bool parse(note *n, const char *keys, const char *velocity, const char *hold)
{
    const double seconds = atof(hold);
    n->velocity = atoi(velocity);
    n->hold = (int)(seconds * NOTE_RATE / NOTE_BLOCK) * NOTE_BLOCK;
    for (n->n_keys = 0; *keys && n->n_keys < NOTE_KEYS;) {
        char *end;
        const long key = strtol(keys, &end, 10);
        if (end == keys || key < 0 || key > 127 || (*end && *end != '+'))
            return false;
        n->keys[n->n_keys++] = (int)key;
        keys = *end ? end + 1 : end;
    }
    return !*keys && n->n_keys && n->velocity > 0 && n->velocity < 128 && n->hold > 0 && n->hold < NOTE_FRAMES;
}

static void put(uint8_t *at, uint32_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        at[i] = (uint8_t)(value >> 8 * i);
}

static bool write_wav(const char *path, const float *x, size_t frames, double gain)
{
    uint8_t head[44] = "RIFF....WAVEfmt ", *data = malloc(2 * frames);
    FILE *file = data ? fopen(path, "wb") : NULL;
    const size_t fade = 30 * NOTE_RATE / 1000;
    if (!file) {
        free(data);
        return false;
    }
    put(head + 4, (uint32_t)(36 + 2 * frames), 4);
    put(head + 16, 16, 4);
    put(head + 20, 1, 2);
    put(head + 22, 1, 2);
    put(head + 24, NOTE_RATE, 4);
    put(head + 28, 2 * NOTE_RATE, 4);
    put(head + 32, 2, 2);
    put(head + 34, 16, 2);
    memcpy(head + 36, "data", 4);
    put(head + 40, (uint32_t)(2 * frames), 4);
    for (size_t i = 0; i < frames; i++) {
        const double left = (double)(frames - i), cut = left < (double)fade ? left / (double)fade : 1;
        put(data + 2 * i, (uint32_t)lrint(32767 * gain * cut * x[i]), 2);
    }
    const bool good = fwrite(head, 1, sizeof head, file) == sizeof head && fwrite(data, 2, frames, file) == frames;
    free(data);
    return (fclose(file) == 0) & good;
}

/* One pole. */
static void remove_offset(float *x, size_t frames)
{
    const double c = exp(-2 * 3.14159265358979 * 10 / NOTE_RATE);
    double before = 0, y = 0;
    for (size_t i = 0; i < frames; i++) {
        y = c * y + (1 + c) / 2 * (x[i] - before);
        before = x[i];
        x[i] = (float)y;
    }
}

/* A 16 bit WAV file of one channel: less what is below 10 Hz (an offset that a key switches on and off), the loudest value .9, from the first to the
 * last value of a thousandth of that, with 64 values before and behind; the end fades over 30 ms. Changes x. False, said on stderr, for silence and values that are no numbers. */
static bool write_note(const char *path, float *x, size_t frames)
{
    double peak = 0;
    size_t first = 0, last = frames;
    remove_offset(x, frames);
    for (size_t i = 0; i < frames; i++) {
        if (!isfinite(x[i])) {
            fprintf(stderr, "%s: not a number\n", path);
            return false;
        }
        peak = fmax(peak, fabs(x[i]));
    }
    if (peak < 0.0005) {
        fprintf(stderr, "%s: silence\n", path);
        return false;
    }
    while (fabs(x[first]) < peak / 1000)
        first++;
    while (fabs(x[last - 1]) < peak / 1000)
        last--;
    first = first > 64 ? first - 64 : 0;
    last = last + 64 < frames ? last + 64 : frames;
    if (last - first > NOTE_FRAMES)
        last = first + NOTE_FRAMES;
    if (write_wav(path, x + first, last - first, 0.9 / peak))
        return true;
    perror(path);
    return false;
}

void note_mix(float (*sides)[NOTE_BLOCK], int n_sides, float *out)
{
    for (int i = 0; i < NOTE_BLOCK; i++)
        out[i] = n_sides == 2 ? 0.5f * (sides[0][i] + sides[1][i]) : sides[0][i];
}

static bool play(const note *n, const char *path, note_block_fn block, void *synth)
{
    float *x = calloc(NOTE_LEAD + NOTE_FRAMES, sizeof *x);
    if (!x)
        return false;
    for (int frame = 0; frame < NOTE_LEAD + NOTE_FRAMES; frame += NOTE_BLOCK)
        block(synth, n, frame, x + frame);
    const bool good = write_note(path, x + NOTE_LEAD, NOTE_FRAMES);
    free(x);
    return good;
}

void note_play(char **arguments, int n_arguments, note_block_fn block, void *synth)
{
    note n;
    bool good = n_arguments == 4 && parse(&n, arguments[0], arguments[1], arguments[2]);
    if (good)
        good = play(&n, arguments[3], block, synth);
    else
        fprintf(stderr, "no note: KEY[+KEY] VELOCITY SECONDS FILE.wav are wanted\n");
    fflush(NULL);
    _exit(good ? 0 : 1);
}
