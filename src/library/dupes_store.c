/* What a library knows already of the files among which duplicates are looked for; and the fingerprint as a part of the scan. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "library/dupes_parts.h"
#include "library/library.h"
#include "library/scan.h"
#include "library/store_dupes.h"

/* ---- the scan's part ---- */

static int compute(const sm_scan_audio *a, sm_buffer *out)
{
    const size_t n = SM_MIN(a->frames, (size_t)PRINT_READ_S * (size_t)a->rate_hz);
    float *mono = sm_alloc(SM_MAX(n, 1), sizeof *mono);
    sm_resampler *resampler = NULL;
    sm_floats wave = { 0 };
    sm_print print = { 0 };
    int err = mono ? 0 : SM_ENOMEM;
    if (err == 0)
        sm_downmix(a->audio, n, a->channels, mono);
    if (err == 0 && a->rate_hz == PRINT_RATE)
        err = sm_floats_add(&wave, mono, n);
    else if (err == 0)
        err = sm_resampler_new(SM_RESAMPLE_SOXR, a->rate_hz, PRINT_RATE, 1, &resampler);
    if (resampler && err == 0)
        err = sm_resampler_push(resampler, mono, n, &wave);
    if (resampler && err == 0)
        err = sm_resampler_finish(resampler, &wave);
    if (err == 0) {
        sm_print_trim(&wave);
        err = sm_print_of(wave.data, wave.length, &print);
    }
    if (err == 0)
        err = sm_print_pack(&print, out);
    sm_print_free(&print);
    sm_floats_free(&wave);
    sm_resampler_free(resampler);
    sm_free(mono);
    return err;
}

static int keep(sm_store *s, int64_t content, const sm_record *record, const sm_buffer *computed)
{
    (void)record;
    return computed->length > 0 ? sm_store_print_put(s, content, PRINT_VERSION, computed->data, computed->length) : 0;
}

const sm_scan_part sm_scan_fingerprint = {
    .name = "fingerprint", .version = PRINT_VERSION, .compute = compute, .keep = keep
};

/* ---- recalling ---- */

typedef struct {
    sm_store *store;
    sm_arena *arena;
    sm_dupe_sound *sounds;
    bool *known;
    size_t n, capacity, known_capacity;
    const char *folder; /* of the walk over all */
    /* one sound in hand */
    sm_dupe_sound *sound;
    bool *sound_known;
} recall;

static void hex_of(const uint8_t hash[SM_HASH_BYTES], char out[33])
{
    for (int i = 0; i < SM_HASH_BYTES; i++)
        snprintf(out + (ptrdiff_t)(2 * i), 3, "%02x", hash[i]);
}

static int text_property(sm_store *s, int64_t content, const char *name, char *out, size_t size)
{
    const char *text = NULL;
    const int err = sm_store_text(s, content, sm_property_find(name), &text);
    if (err == 0)
        snprintf(out, size, "%s", text ? text : "");
    return err;
}

static int number_property(sm_store *s, int64_t content, const char *name, int64_t *out)
{
    double value = NAN;
    const int err = sm_store_number(s, content, sm_property_find(name), &value);
    *out = isfinite(value) && fabs(value) < 1e15 ? llrint(value) : 0;
    return err;
}

static int recall_format(sm_store *s, int64_t content, sm_dupe_sound *x)
{
    int64_t rate = 0, channels = 0, depth = 0;
    int err = text_property(s, content, "container", x->container, sizeof x->container);
    if (err == 0)
        err = text_property(s, content, "codec", x->codec, sizeof x->codec);
    if (err == 0)
        err = number_property(s, content, "sample_rate_hz", &rate);
    if (err == 0)
        err = number_property(s, content, "channels", &channels);
    if (err == 0)
        err = number_property(s, content, "bit_depth", &depth);
    if (err == 0)
        err = number_property(s, content, "bitrate_bps", &x->bitrate_bps);
    x->rate_hz = (int)SM_CLAMP(rate, 0, 1 << 20);
    x->channels = (int)SM_CLAMP(channels, 0, 1 << 10);
    x->bit_depth = (int)SM_CLAMP(depth, 0, 64);
    return err;
}

/* Of a content that was analysed. *known false when its fingerprint is not of today's version. */
static int recall_content(sm_store *s, int64_t content, sm_dupe_sound *x, bool *known)
{
    sm_content_row row;
    sm_buffer bytes = { 0 };
    bool there = false;
    int err = sm_store_content_get(s, content, &row);
    if (err == 0)
        err = sm_store_print_get(s, content, PRINT_VERSION, &bytes, &there);
    if (err == 0 && there && sm_print_unpack(bytes.data, bytes.length, &x->print) < 0)
        there = false;
    if (err == 0 && there)
        err = recall_format(s, content, x);
    if (err == 0 && there) {
        hex_of(row.hash, x->hash);
        hex_of(row.audio_hash, x->audio_hash);
        if (x->print.frames == 0)
            x->audio_hash[0] = 0; /* silences are no duplicates of each other */
        x->duration_s = row.duration_s;
        *known = true;
    }
    sm_buffer_free(&bytes);
    return err;
}

static int recall_file(void *user, const sm_file_row *f)
{
    recall *r = user;
    if (f->state != SM_FILE_ANALYSED || f->content == 0 || f->size != r->sound->bytes ||
        f->mtime_ns != r->sound->mtime_ns)
        return 0;
    return recall_content(r->store, f->content, r->sound, r->sound_known);
}

static int recall_path(recall *r, size_t i)
{
    char *absolute = realpath(r->sounds[i].path, NULL); /* gives memory of the C library */
    r->sound = &r->sounds[i];
    r->sound_known = &r->known[i];
    int err = absolute ? sm_store_file_find(r->store, absolute, recall_file, r) : SM_ENOTFOUND;
    free(absolute);
    return err == SM_ENOTFOUND ? 0 : err;
}

/* A file of the library that is there still; those that were never read are read now, broken ones are left out. */
static int add_file(void *user, const sm_file_row *f)
{
    recall *r = user;
    struct stat st;
    if (f->state == SM_FILE_GONE || f->state == SM_FILE_BROKEN)
        return 0;
    const char *path = sm_arena_printf(r->arena, "%s/%s", strcmp(r->folder, "/") ? r->folder : "", f->name);
    if (!path)
        return SM_ENOMEM;
    if (stat(path, &st) < 0 || !S_ISREG(st.st_mode))
        return 0;
    int err = sm_grow(&r->sounds, &r->capacity, r->n + 1, sizeof *r->sounds);
    if (err == 0)
        err = sm_grow(&r->known, &r->known_capacity, r->n + 1, sizeof *r->known);
    if (err < 0)
        return err;
    r->sounds[r->n] = (sm_dupe_sound){ .path = path,
                                       .bytes = st.st_size,
                                       .mtime_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec,
                                       .duration_s = NAN };
    r->known[r->n] = false;
    r->sound = &r->sounds[r->n];
    r->sound_known = &r->known[r->n];
    r->n++;
    return recall_file(r, f);
}

static int add_folder(void *user, int64_t id, const char *path)
{
    recall *r = user;
    r->folder = sm_arena_strdup(r->arena, path); /* the walk's own text may go while files are asked for */
    return r->folder ? sm_store_files_in(r->store, id, add_file, r) : SM_ENOMEM;
}

int sm_dupe_recall(const char *library, sm_arena *a, sm_dupe_sound **sounds, bool **known, size_t *n)
{
    recall r = { .arena = a, .sounds = *sounds, .n = *n };
    const bool all = *sounds == NULL;
    int err = sm_store_open(library, SM_STORE_READ, &r.store);
    if (err == 0 && !all) {
        r.known = sm_alloc_zero(r.n, sizeof *r.known);
        err = r.known ? 0 : SM_ENOMEM;
        for (size_t i = 0; err == 0 && i < r.n; i++)
            err = recall_path(&r, i);
    } else if (err == 0) {
        err = sm_store_each_folder(r.store, NULL, add_folder, &r);
    }
    sm_store_close(r.store);
    *sounds = r.sounds;
    *known = r.known;
    *n = r.n;
    return err;
}
