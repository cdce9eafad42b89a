/* From frames of pitch to notes, and notes to a MIDI file (Standard MIDI Files 1.0, format 0). */
#include <math.h>

#include "engine/midi.h"

enum { TICKS_A_SECOND = 960, BRIDGE_FRAMES = 3 };
static const double least_note_s = 0.05;

static int note_at(const sm_pitch_result *r, size_t i, double threshold)
{
    if (!(r->hz[i] > 0) || r->confidence[i] < threshold)
        return -1;
    const double midi = 69 + 12 * log2((double)r->hz[i] / 440);
    return midi < 0 || midi > 127 ? -1 : (int)lround(midi);
}

/* Level -60..0 dB to velocity 1..127. */
static int velocity_of(double db)
{
    return (int)SM_CLAMP(lround(127 + db * 126 / 60), 1, 127);
}

/* The end of the note that starts at frame i: the first of more than BRIDGE_FRAMES frames in a row that are not it. */
static size_t end_of_note(const sm_pitch_result *r, size_t i, int note, double threshold)
{
    size_t end = i + 1;
    for (size_t k = i + 1; k < r->frames && k - end <= BRIDGE_FRAMES; k++)
        if (note_at(r, k, threshold) == note)
            end = k + 1;
    return end;
}

int sm_notes_of_pitch(const sm_pitch_result *r, double threshold, sm_note **notes, size_t *n)
{
    size_t capacity = 0;
    *notes = NULL;
    *n = 0;
    const double step = r->frames > 1 ? r->time_s[1] - r->time_s[0] : 0;
    for (size_t i = 0; i < r->frames;) {
        const int note = note_at(r, i, threshold);
        const size_t end = note < 0 ? i + 1 : end_of_note(r, i, note, threshold);
        if (note >= 0 && (double)(end - i) * step >= least_note_s) {
            float loudest = -120;
            for (size_t k = i; k < end; k++)
                loudest = fmaxf(loudest, r->rms_db[k]);
            if (sm_grow(notes, &capacity, *n + 1, sizeof **notes) < 0) {
                sm_free(*notes);
                *notes = NULL;
                return SM_ENOMEM;
            }
            (*notes)[(*n)++] =
                (sm_note){ r->time_s[i], r->time_s[i] + (double)(end - i) * step, note, velocity_of((double)loudest) };
        }
        i = end;
    }
    return 0;
}

static void put_be(sm_buffer *b, uint32_t value, int bytes)
{
    for (int i = bytes - 1; i >= 0; i--) {
        const unsigned char byte = (unsigned char)(value >> (8 * i));
        sm_buffer_add(b, &byte, 1);
    }
}

/* Seven bits a byte, the highest first, all but the last marked. */
static void put_delta(sm_buffer *b, uint32_t ticks)
{
    for (int shift = 28; shift > 0; shift -= 7)
        if (ticks >> shift)
            put_be(b, (ticks >> shift & 0x7F) | 0x80, 1);
    put_be(b, ticks & 0x7F, 1);
}

int sm_midi_write(const char *path, const sm_note *notes, size_t n)
{
    sm_buffer track = { 0 }, file = { 0 };
    sm_outfile *out = NULL;
    uint32_t at = 0;
    sm_buffer_add(&track, "\0\xFF\x51\x03\x07\xA1\x20", 7); /* 500,000 us a quarter */
    for (size_t i = 0; i < n; i++) {
        const uint32_t on = SM_MAX((uint32_t)lround(notes[i].start_s * TICKS_A_SECOND), at);
        const uint32_t off = SM_MAX((uint32_t)lround(notes[i].end_s * TICKS_A_SECOND), on + 1);
        put_delta(&track, on - at);
        put_be(&track, 0x900000u | (uint32_t)notes[i].note << 8 | (uint32_t)notes[i].velocity, 3);
        put_delta(&track, off - on);
        put_be(&track, 0x800000u | (uint32_t)notes[i].note << 8, 3);
        at = off;
    }
    sm_buffer_add(&track, "\0\xFF\x2F\0", 4); /* end of track */
    sm_buffer_add(&file, "MThd\0\0\0\6\0\0\0\1\x01\xE0MTrk", 18);
    put_be(&file, (uint32_t)track.length, 4);
    sm_buffer_add(&file, track.data, track.length);
    int err = track.failed || file.failed ? SM_ENOMEM : sm_outfile_open(path, &out);
    if (err == 0 && fwrite(file.data, 1, file.length, sm_outfile_stream(out)) != file.length) {
        err = sm_fail(SM_EIO, "%s: cannot write", path);
        sm_outfile_abandon(out);
    } else if (err == 0) {
        err = sm_outfile_commit(out);
    }
    sm_buffer_free(&track);
    sm_buffer_free(&file);
    return err;
}
