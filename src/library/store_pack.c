/* Records are some 3 kB of JSON of which two thirds are names. Deflate with a dictionary of these leaves about 700 bytes. */
#include <string.h>
#include <zlib.h>

#include "library/store_internal.h"

enum { PACKING = 1, HEAD = 5, LARGEST = 64 << 20 };

/* Frequent last (zlib's advice: distances are shorter). Part of the format of PACKING 1: never changed; a better one is PACKING 2. */
static const char names[] =
    "\"mood_aggressive\":{\"value\":\"\",\"probability\":,\"all\":\"genre_discogs400\":\"effnet-discogs\":\"musicnn\":"
    "\"yamnet\":"
    "{\"top\":[[\"Music\",],[\"Drum\",],[\"Percussion\",],[\"Musical instrument\",],[\"Sound "
    "effect\",]],\"patches\":1,\"model\":"
    "\"percussion\",\"synth-lead\",\"strings\",\"cymbal\",\"hi-hat\",\"vocal\",\"guitar\",\"snare\",\"bass\",\"clap\","
    "\"keys\",\"tom\",\"kick\","
    "\"crepe-tiny\":{\"pitch_hz\":,\"confidence\":,\"voiced\":\"loop length\",\"onsets\",\"acid\",\"C# minor\",\"F "
    "major\","
    "{\"path\":\"/home/Samples/"
    ".wav\",\"file_bytes\":,\"mtime_s\":1700000000.5,\"container\":\"wav\",\"codec\":\"pcm_s16\",\"bit_depth\":24,"
    "\"bit_depth\":16,\"bitrate_bps\":1411200,\"sample_rate_hz\":48000,\"sample_rate_hz\":44100,\"channels\":2,"
    "\"channels\":1,"
    "\"audio_xxh128\":\"0123456789abcdef\",\"duration_s\":0.,\"duration_effective_s\":0.,\"start_time_s\":0,\"loudness_"
    "lufs\":-1,"
    "\"loudness_range_lu\":null,\"true_peak_dbtp\":-,\"sample_peak_dbfs\":-,\"rms_dbfs\":-,\"dynamic_range_db\":1,"
    "\"silence_ratio\":0,"
    "\"clipped_samples\":0,\"dc_offset\":-0.000,\"bpm\":120,\"bpm_confidence\":0.,\"bpm_candidates\":[[,0.],[,0.]],"
    "\"bpm_stable\":true,"
    "\"bpm_method\":\"onsets\",\"bpm_from_name\":null,\"bpm_from_acid\":null,\"beats_in_file\":8,\"first_beat_s\":0,"
    "\"beat_times_s\":[0,"
    "],\"beat_count\":,\"bpm\":null,\"bpm_confidence\":null,\"bpm_candidates\":null,\"bpm_stable\":null,\"bpm_method\":"
    "null,"
    "\"bpm_from_name\":null,\"bpm_from_acid\":null,\"beats_in_file\":null,\"first_beat_s\":null,\"beat_times_s\":null,"
    "\"beat_count\":null,\"key\":\"A "
    "minor\",\"key_confidence\":0.,\"key_strength\":0.,\"key_camelot\":\"8A\",\"key_openkey\":\"1m\","
    "\"key_second\":\"C "
    "major\",\"tuning_hz\":440,\"key\":null,\"key_confidence\":null,\"key_strength\":null,\"key_camelot\":null,"
    "\"key_openkey\":null,\"key_second\":null,\"tuning_hz\":null,\"pitch_hz\":null,\"pitch_min_hz\":null,\"pitch_max_"
    "hz\":null,"
    "\"pitch_confidence\":null,\"pitch_salience\":null,\"note_name\":null,\"note_midi\":null,\"note_cents\":null,"
    "\"note_confidence\":null,\"pitch_hz\":,\"pitch_min_hz\":,\"pitch_max_hz\":,\"pitch_confidence\":0.,\"pitch_"
    "salience\":0.,"
    "\"note_name\":\"A1\",\"note_midi\":,\"note_cents\":-,\"note_confidence\":0.,\"kind\":\"loop\",\"kind\":\"song\","
    "\"kind\":\"one_shot\","
    "\"kind_confidence\":0.9,\"loopable\":true,\"single_event\":false,\"loopable\":false,\"single_event\":true,"
    "\"reverberant\":false,"
    "\"attack_s\":0.00,\"log_attack_time\":-3,\"decay_s\":0.,\"temporal_centroid_s\":0.,\"onset_times_s\":[0],\"onset_"
    "count\":1,"
    "\"spectral_centroid_hz\":,\"spectral_spread_hz\":,\"spectral_rolloff_hz\":,\"spectral_flatness\":0.00,\"spectral_"
    "entropy\":0.,"
    "\"zero_crossing_rate\":0.0,\"brightness\":,\"hardness\":,\"depth\":,\"roughness\":,\"boominess\":,\"warmth\":,"
    "\"sharpness\":,"
    "\"energy\":5.,\"instrument\":\"kick\",\"instrument_confidence\":0.9,\"instrument_scores\":{\"kick\":0.9,\"snare\":"
    "0.0,\"tom\":0.00},"
    "\"instrument_top\":[[\"kick\",0.9],[\"snare\",0.0]],\"instrument_votes\":[{\"model\":\"samplemind\",\"class\":"
    "\"kick\",\"confidence\":"
    "0.9},{\"model\":\"yamnet\",\"class\":\"\",\"confidence\":0.}],\"genre\":null,\"genre_confidence\":null,\"genre_"
    "scores\":{},"
    "\"mood\":null,\"mood_confidence\":null,\"mood_scores\":{},\"samplemind\":{\"top\":[[\"kick\",0.9],[\"snare\",0.00]"
    "],\"patches\":1,"
    "\"model\":\"samplemind\",\"weights\":\"\"},\"file_tags\":[[\"software\",\"title\"]],\"analyzed_by\":\"samplemind "
    "0.1.0\",\"failed\":[]}";

static void put_size(uint8_t *p, size_t n)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(n >> 8 * i);
}

int store_pack(const char *text, sm_buffer *out)
{
    z_stream z = { 0 };
    const size_t n = strlen(text);
    if (n > LARGEST)
        return sm_fail(SM_ELIMIT, "a record of %zu bytes; at most %d are kept", n, LARGEST);
    if (deflateInit2(&z, 6, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return sm_fail(SM_ENOMEM, "no memory to pack a record");
    const size_t most = deflateBound(&z, n) + HEAD;
    uint8_t *packed = sm_alloc(most, 1);
    int err = packed ? 0 : SM_ENOMEM;
    if (err == 0) {
        deflateSetDictionary(&z, (const Bytef *)names, sizeof names - 1);
        packed[0] = PACKING;
        put_size(packed + 1, n);
        z.next_in = (Bytef *)(uintptr_t)text;
        z.avail_in = (uInt)n;
        z.next_out = packed + HEAD;
        z.avail_out = (uInt)(most - HEAD);
        err = deflate(&z, Z_FINISH) == Z_STREAM_END ? 0 : sm_fail(SM_EINTERNAL, "a record could not be packed");
    }
    if (err == 0) {
        sm_buffer_add(out, packed, HEAD + (size_t)z.total_out);
        err = out->failed ? SM_ENOMEM : 0;
    }
    deflateEnd(&z);
    sm_free(packed);
    return err;
}

int store_unpack(const void *packed, size_t size, sm_buffer *out)
{
    const uint8_t *p = packed;
    z_stream z = { 0 };
    if (size < HEAD || p[0] != PACKING)
        return sm_fail(SM_EFORMAT, "a kept record is damaged, or of a later version");
    const size_t n = (size_t)p[1] | (size_t)p[2] << 8 | (size_t)p[3] << 16 | (size_t)p[4] << 24;
    if (n > LARGEST)
        return sm_fail(SM_EFORMAT, "a kept record says that it has %zu bytes", n);
    if (inflateInit2(&z, -15) != Z_OK)
        return sm_fail(SM_ENOMEM, "no memory to unpack a record");
    uint8_t *text = sm_alloc(n + 1, 1);
    int err = text ? 0 : SM_ENOMEM;
    if (err == 0) {
        inflateSetDictionary(&z, (const Bytef *)names, sizeof names - 1);
        z.next_in = (Bytef *)(uintptr_t)(p + HEAD);
        z.avail_in = (uInt)(size - HEAD);
        z.next_out = text;
        z.avail_out = (uInt)(n + 1);
        if (inflate(&z, Z_FINISH) != Z_STREAM_END || z.total_out != n)
            err = sm_fail(SM_EFORMAT, "a kept record is damaged");
    }
    if (err == 0) {
        sm_buffer_add(out, text, n);
        err = out->failed ? SM_ENOMEM : 0;
    }
    inflateEnd(&z);
    sm_free(text);
    return err;
}
