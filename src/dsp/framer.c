#include <string.h>

#include "dsp/framer.h"

enum { CHUNK = 16384 }; /* samples taken at once, so that pending stays small however much is pushed */

void framer_init(framer *f, int frame, int hop, int64_t lead)
{
    *f = (framer){ .frame = frame, .hop = hop, .lead = lead };
}

void framer_free(framer *f)
{
    sm_floats_free(&f->pending);
}

/* Hands out all whole frames of pending, until `limit` frames were handed out in all. */
static int emit(framer *f, int64_t limit, framer_block block, void *user)
{
    const size_t frame = (size_t)f->frame, hop = (size_t)f->hop, have = f->pending.length;
    const size_t whole = have >= frame ? (have - frame) / hop + 1 : 0;
    const size_t n = (size_t)SM_CLAMP(limit - f->emitted, 0, (int64_t)whole), at = n * hop;
    const int err = n > 0 ? block(user, f->pending.data, n) : 0;
    f->emitted += (int64_t)n;
    const size_t gone = SM_MIN(at, f->pending.length);
    f->skip += at - gone;
    sm_floats_drop(&f->pending, gone);
    return err;
}

static int add(framer *f, const float *mono, size_t n)
{
    const size_t skipped = SM_MIN(n, f->skip);
    f->skip -= skipped;
    return sm_floats_add(&f->pending, mono ? mono + skipped : NULL, n - skipped);
}

static int take(framer *f, const float *mono, size_t n, int64_t limit, framer_block block, void *user)
{
    int err = 0;
    if (f->received == 0 && f->emitted == 0 && f->pending.length == 0 && f->lead > 0)
        err = sm_floats_add(&f->pending, NULL, (size_t)f->lead);
    while (err == 0 && n > 0) {
        const size_t part = SM_MIN(n, (size_t)CHUNK);
        err = add(f, mono, part);
        if (err == 0)
            err = emit(f, limit, block, user);
        f->received += (int64_t)part;
        mono = mono ? mono + part : NULL;
        n -= part;
    }
    return err;
}

int framer_push_blocks(framer *f, const float *mono, size_t n, framer_block block, void *user)
{
    return take(f, mono, n, INT64_MAX, block, user);
}

int framer_finish_blocks(framer *f, int64_t total, framer_block block, void *user)
{
    const int64_t end = (total - 1) * f->hop + f->frame - f->lead; /* of the last frame, in samples of the signal */
    int err = 0;
    if (f->emitted < total)
        err = take(f, NULL, (size_t)SM_MAX(end - f->received, 1), total, block, user);
    f->pending.length = 0;
    f->received = f->emitted = 0;
    f->skip = 0;
    return err;
}

/* ---- frame by frame ---- */

typedef struct {
    framer_sink sink;
    void *user;
    size_t hop;
} one_by_one;

static int each_frame(void *user, const float *samples, size_t n)
{
    const one_by_one *o = user;
    int err = 0;
    for (size_t i = 0; i < n && err == 0; i++)
        err = o->sink(o->user, samples + i * o->hop);
    return err;
}

int framer_push(framer *f, const float *mono, size_t n, framer_sink sink, void *user)
{
    one_by_one o = { sink, user, (size_t)f->hop };
    return framer_push_blocks(f, mono, n, each_frame, &o);
}

int framer_finish(framer *f, int64_t total, framer_sink sink, void *user)
{
    one_by_one o = { sink, user, (size_t)f->hop };
    return framer_finish_blocks(f, total, each_frame, &o);
}
