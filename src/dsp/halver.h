/* Halves a stream's rate. Private to this room: tempo and key listen below 11 kHz and 5 kHz. */
#ifndef DSP_HALVER_H
#define DSP_HALVER_H

#include "dsp/dsp.h"

enum { HALVER_REACH = 19 }; /* the filter looks this many input samples back and ahead */

typedef struct {
    sm_floats pending; /* from HALVER_REACH samples before the next output's middle */
    int64_t received;
} halver;

void halver_init(halver *h);
void halver_free(halver *h);
/* Appends every output that is final; output m has its middle at input sample 2m. 0 or SM_ENOMEM. */
int halver_push(halver *h, const float *mono, size_t n, sm_floats *out);
/* Appends the rest, zeros following the signal: (n + 1) / 2 outputs in all. */
int halver_finish(halver *h, sm_floats *out);

#endif
