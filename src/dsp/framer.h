/* Cuts a stream into overlapping frames. Private to this room: the mel front ends, the CREPE frames and the analysers stand on
 * it, so that "cut in any way, same result" is true in one place. */
#ifndef DSP_FRAMER_H
#define DSP_FRAMER_H

#include "dsp/dsp.h"

typedef struct {
    int frame, hop;
    int64_t lead;      /* zeros in front of the first sample */
    int64_t received;  /* samples pushed so far, without the lead */
    int64_t emitted;   /* frames handed out */
    size_t skip;       /* samples still to come that lie between two frames (hop > frame) */
    sm_floats pending; /* from the start of the next frame on */
} framer;

/* One frame of f->frame samples, valid during the call. A negative return stops and is what push returns. */
typedef int (*framer_sink)(void *user, const float *samples);

/* The same for n frames at once, f->hop samples apart. */
typedef int (*framer_block)(void *user, const float *samples, size_t n);

void framer_init(framer *f, int frame, int hop, int64_t lead);
void framer_free(framer *f);
/* Hands out every frame that is complete. mono NULL: n zeros. */
int framer_push(framer *f, const float *mono, size_t n, framer_sink sink, void *user);
/* Hands out frames, zeros following the signal, until `total` have been handed out; then f is as after framer_init. */
int framer_finish(framer *f, int64_t total, framer_sink sink, void *user);
int framer_push_blocks(framer *f, const float *mono, size_t n, framer_block block, void *user);
int framer_finish_blocks(framer *f, int64_t total, framer_block block, void *user);

#endif
