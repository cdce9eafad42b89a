/* Stems out. A thread of its own takes blocks from a short queue and encodes them, so that the network does not wait for mp3. A
 * clip mode that rescales needs the peak before the first sample is written: samples then wait in an unnamed file. */
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/stem_files.h"

enum { QUEUE = 2, SPOOL_FRAMES = 1 << 14, OPUS_RATE = 48000 };

typedef struct {
    char *path;
    sm_audio_writer *writer;
    sm_resampler *resampler; /* Opus; else NULL */
    sm_floats resampled;
    FILE *spool; /* samples that wait for their factor; NULL: none do */
    float peak;
} stem_file;

typedef struct {
    float *samples; /* [n stems][frames][2] */
    size_t frames;
} block;

struct sm_stem_files {
    sm_stem_format format; /* paths and comment not kept */
    char *comment;
    stem_file *stems;
    size_t n;
    block queue[QUEUE];
    size_t first, waiting;
    bool last, started;
    int err; /* of the thread, with its sentence */
    char *reason;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
};

/* ---- one stem ---- */

static bool rescales(const sm_stem_files *f)
{
    return f->format.clip == SM_CLIP_RESCALE || f->format.clip == SM_CLIP_RESCALE_STEM;
}

/* A file without a name in the folder of `path`: it is gone however the program ends. */
static int open_spool(stem_file *s)
{
    char *name = sm_printf_new("%.*s.samplemind.XXXXXX", (int)(sm_path_name(s->path) - s->path), s->path);
    const int fd = name ? mkstemp(name) : -1;
    int err = 0;
    if (!name)
        err = SM_ENOMEM;
    else if (fd < 0)
        err = sm_fail(SM_EIO, "%s: cannot write there: %s", s->path, strerror(errno));
    if (fd >= 0) {
        unlink(name);
        s->spool = fdopen(fd, "w+b");
        if (!s->spool) {
            close(fd);
            err = sm_fail(SM_ENOMEM, "%s: %s", s->path, strerror(errno));
        }
    }
    sm_free(name);
    return err;
}

static int open_writer(sm_stem_files *f, stem_file *s)
{
    const bool opus = sm_text_has_suffix(s->path, ".opus");
    const sm_audio_write_options o = { .rate_hz = opus ? OPUS_RATE : f->format.rate_hz,
                                       .channels = 2,
                                       .format = f->format.format,
                                       .mp3_bitrate_kbps = f->format.mp3_bitrate_kbps,
                                       .comment = f->comment,
                                       .software = "SampleMind",
                                       .frames_expected = f->format.frames_expected };
    int err = sm_audio_writer_open(s->path, &o, &s->writer);
    if (err == 0 && o.rate_hz != f->format.rate_hz)
        err = sm_resampler_new(SM_RESAMPLE_SOXR, f->format.rate_hz, o.rate_hz, 2, &s->resampler);
    return err;
}

/* "a/b/c.wav": makes a/b. */
static int make_folder(const char *path)
{
    const size_t n = (size_t)(sm_path_name(path) - path);
    char *folder = n > 1 ? sm_strndup(path, n - 1) : NULL;
    const int err = folder ? sm_make_directories(folder) : n > 1 ? SM_ENOMEM : 0;
    sm_free(folder);
    return err;
}

static int open_stem(sm_stem_files *f, stem_file *s, const char *path)
{
    int err = (s->path = sm_strdup(path)) ? make_folder(path) : SM_ENOMEM;
    if (err == 0)
        err = open_writer(f, s); /* also before spooling: what cannot be written is told before the work, not after */
    if (err == 0 && rescales(f))
        err = open_spool(s);
    return err;
}

static void close_stem(stem_file *s)
{
    if (s->spool)
        fclose(s->spool);
    sm_audio_writer_abandon(s->writer);
    sm_resampler_free(s->resampler);
    sm_floats_free(&s->resampled);
    sm_free(s->path);
}

static int encode(stem_file *s, const float *x, size_t frames, bool last)
{
    if (!s->resampler)
        return sm_audio_writer_write(s->writer, x, frames);
    s->resampled.length = 0;
    int err = sm_resampler_push(s->resampler, x, frames, &s->resampled);
    if (err == 0 && last)
        err = sm_resampler_finish(s->resampler, &s->resampled);
    return err == 0 ? sm_audio_writer_write(s->writer, s->resampled.data, s->resampled.length / 2) : err;
}

static int take(const sm_stem_files *f, stem_file *s, float *x, size_t frames)
{
    for (size_t i = 0; i < 2 * frames; i++)
        s->peak = fmaxf(s->peak, fabsf(x[i]));
    if (s->spool) {
        errno = 0;
        if (fwrite(x, 2 * sizeof *x, frames, s->spool) < frames)
            return sm_fail(SM_EIO, "%s: %s", s->path, strerror(errno ? errno : EIO));
        return 0;
    }
    for (size_t i = 0; f->format.clip == SM_CLIP_CLAMP && i < 2 * frames; i++)
        x[i] = SM_CLAMP(x[i], -0.99f, 0.99f);
    return encode(s, x, frames, false);
}

/* What waits in the spool, times `scale`. */
static int unspool(stem_file *s, float scale)
{
    float *x = sm_alloc(2 * SPOOL_FRAMES, sizeof *x);
    int err = x ? 0 : SM_ENOMEM;
    if (err == 0 && (fflush(s->spool) != 0 || fseeko(s->spool, 0, SEEK_SET) != 0))
        err = sm_fail(SM_EIO, "%s: %s", s->path, strerror(errno));
    while (err == 0) {
        const size_t n = fread(x, 2 * sizeof *x, SPOOL_FRAMES, s->spool);
        if (n == 0)
            break;
        for (size_t i = 0; i < 2 * n; i++)
            x[i] *= scale;
        err = encode(s, x, n, false);
    }
    if (err == 0 && ferror(s->spool))
        err = sm_fail(SM_EIO, "%s: the samples that waited could not be read back: %s", s->path, strerror(errno));
    sm_free(x);
    return err;
}

/* ---- the thread ---- */

static int take_block(sm_stem_files *f, const block *b)
{
    int err = 0;
    for (size_t i = 0; i < f->n && err == 0; i++)
        err = take(f, &f->stems[i], b->samples + 2 * b->frames * i, b->frames);
    return err;
}

static void *encoder(void *user)
{
    sm_stem_files *f = user;
    pthread_mutex_lock(&f->lock);
    for (;;) {
        while (f->waiting == 0 && !f->last)
            pthread_cond_wait(&f->changed, &f->lock);
        if (f->waiting == 0)
            break;
        const block b = f->queue[f->first];
        const bool failed = f->err < 0;
        pthread_mutex_unlock(&f->lock);
        const int err = failed ? 0 : take_block(f, &b); /* after a failure blocks are only thrown away */
        pthread_mutex_lock(&f->lock);
        if (err < 0) {
            f->err = err;
            f->reason = sm_strdup(sm_last_error());
        }
        sm_free(b.samples);
        f->first = (f->first + 1) % QUEUE;
        f->waiting--;
        pthread_cond_broadcast(&f->changed);
    }
    pthread_mutex_unlock(&f->lock);
    return NULL;
}

static int failure_of(const sm_stem_files *f)
{
    return f->err < 0 ? sm_fail(f->err, "%s", f->reason ? f->reason : "no memory") : 0;
}

int sm_stem_files_write(void *files, const float *const *stems, size_t frames)
{
    sm_stem_files *f = files;
    block b = { sm_alloc(f->n * 2 * SM_MAX(frames, 1), sizeof(float)), frames };
    if (!b.samples)
        return SM_ENOMEM;
    for (size_t i = 0; i < f->n; i++)
        memcpy(b.samples + 2 * frames * i, stems[i], 2 * frames * sizeof *b.samples);
    pthread_mutex_lock(&f->lock);
    while (f->waiting == QUEUE)
        pthread_cond_wait(&f->changed, &f->lock);
    const int err = failure_of(f);
    if (err == 0)
        f->queue[(f->first + f->waiting++) % QUEUE] = b;
    pthread_cond_broadcast(&f->changed);
    pthread_mutex_unlock(&f->lock);
    if (err < 0)
        sm_free(b.samples);
    return err;
}

/* Waits until all that was given is encoded. */
static void stop(sm_stem_files *f)
{
    if (!f->started)
        return;
    pthread_mutex_lock(&f->lock);
    f->last = true;
    pthread_cond_broadcast(&f->changed);
    pthread_mutex_unlock(&f->lock);
    pthread_join(f->thread, NULL);
    f->started = false;
}

/* ---- the files of a song ---- */

int sm_stem_files_open(const sm_stem_format *format, sm_stem_files **out)
{
    *out = NULL;
    sm_stem_files *f = sm_alloc_zero(1, sizeof *f);
    if (!f)
        return SM_ENOMEM;
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->changed, NULL);
    f->format = *format;
    f->format.paths = NULL;
    f->stems = sm_alloc_zero(format->n, sizeof *f->stems);
    int err = f->stems && (!format->comment || (f->comment = sm_strdup(format->comment))) ? 0 : SM_ENOMEM;
    for (; err == 0 && f->n < format->n;
         f->n++) /* also counts the one that failed: what it has is closed with the others */
        err = open_stem(f, &f->stems[f->n], format->paths[f->n]);
    if (err == 0 && pthread_create(&f->thread, NULL, encoder, f) != 0)
        err = sm_fail(SM_ENOMEM, "no thread to encode the stems on");
    f->started = err == 0;
    if (err < 0)
        sm_stem_files_abandon(f);
    else
        *out = f;
    return err;
}

/* As demucs: samples stay as they are unless the loudest would pass 1 / 1.01. */
static float factor(const sm_stem_files *f, size_t stem)
{
    float peak = f->stems[stem].peak;
    for (size_t i = 0; f->format.clip == SM_CLIP_RESCALE && i < f->n; i++)
        peak = fmaxf(peak, f->stems[i].peak);
    return rescales(f) ? 1 / fmaxf(1.01f * peak, 1) : 1;
}

static int finish_stem(const sm_stem_files *f, size_t i)
{
    stem_file *s = &f->stems[i];
    int err = s->spool ? unspool(s, factor(f, i)) : 0;
    return err == 0 && s->resampler ? encode(s, NULL, 0, true) : err;
}

int sm_stem_files_commit(sm_stem_files *f, double *peak, double *scale)
{
    stop(f);
    int err = failure_of(f);
    double loudest = 0, least = 1;
    for (size_t i = 0; i < f->n; i++) {
        loudest = fmax(loudest, (double)f->stems[i].peak);
        least = fmin(least, (double)factor(f, i));
    }
    for (size_t i = 0; i < f->n && err == 0; i++)
        err = finish_stem(f, i);
    for (size_t i = 0; i < f->n && err == 0; i++) {
        err = sm_audio_writer_commit(f->stems[i].writer);
        f->stems[i].writer = NULL;
    }
    if (peak)
        *peak = loudest;
    if (scale)
        *scale = least;
    sm_stem_files_abandon(f);
    return err;
}

void sm_stem_files_abandon(sm_stem_files *f)
{
    if (!f)
        return;
    stop(f);
    for (size_t i = 0; i < f->n; i++)
        close_stem(&f->stems[i]);
    pthread_cond_destroy(&f->changed);
    pthread_mutex_destroy(&f->lock);
    sm_free(f->reason);
    sm_free(f->comment);
    sm_free(f->stems);
    sm_free(f);
}
