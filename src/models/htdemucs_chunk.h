/* One chunk through one HTDemucs: spectrum, normalising, network, and back to samples. Private to the models room. */
#ifndef SM_MODELS_HTDEMUCS_CHUNK_H
#define SM_MODELS_HTDEMUCS_CHUNK_H

#include "models/htdemucs.h"

/* A compiled network and what belongs to it; immutable, shared by any number of threads. */
typedef struct {
    htdemucs_size size;
    htdemucs_rows rows;
    double row_sum[HTDEMUCS_MAX_SOURCES]; /* of rows: how much of the mean a row gets back */
    dsp_chunk *spectrum;
    nn_pack *pack;
    nn_plan *plan;
} htdemucs_net;
/* v and its weights outlive the network. taps: htdemucs_work_state gives traced layers. */
int htdemucs_net_new(sm_view *v, const htdemucs_size *s, const htdemucs_rows *rows, const nn_compile_options *o,
                     htdemucs_net **out);
void htdemucs_net_free(htdemucs_net *n);

/* What one thread needs to run some networks of equal size, one after the other. */
typedef struct htdemucs_work htdemucs_work;
int htdemucs_work_new(const htdemucs_net *const *nets, size_t n, int threads, htdemucs_work **out);
void htdemucs_work_free(htdemucs_work *w);
/* mix [2][segment] through network `net`; *out receives [rows][2][segment], the work's, valid until its next run. */
int htdemucs_run(htdemucs_work *w, size_t net, const float *mix, const float **out);
size_t htdemucs_work_bytes(const htdemucs_net *const *nets, size_t n, int threads); /* that htdemucs_work_new takes */

/* For tests and goldens, of the last run. */
nn_run_state *htdemucs_work_state(htdemucs_work *w, size_t net);
/* Mean and deviation that a branch's input was freed of. */
typedef struct {
    double mean, deviation;
} htdemucs_scale;
void htdemucs_work_look(const htdemucs_work *w, const float **freq, const float **time, const float **freq_out,
                        htdemucs_scale *freq_scale, htdemucs_scale *time_scale);

#endif
