/* separation: a song in pieces of any size into its sources (stems), as Demucs' apply_model does it (demucs/apply.py, MIT).
 *
 *     const sm_bag_model *b = sm_bag_find("htdemucs_ft");              // which networks it has, by sm_model name
 *     sm_bag_open(networks, b->n, b->weights, &bag_options, &bag);     // one opened sm_weights a network
 *     sm_bag_select(bag, outputs, n);                                  // which stems, or sums of stems, are wanted
 *     sm_separation_new(bag, &options, on_block, on_chunk, user, &s);  // one a song; threads: any number of songs a bag
 *     while (samples come) sm_separation_push(s, left, right, n);
 *     sm_separation_end(s);                                            // computes what is left, gives the last blocks
 *     sm_separation_free(s);
 *
 * Audio is 44.1 kHz stereo (sm_bag_rate), planar, full scale 1; samples are numbered from 0 at the song's start. The result does
 * not depend on how the song was cut into pieces, and memory does not depend on its length: what is kept is a window of about one
 * and a half segments (7.8 s each) of input and as much of every output.
 *
 * How the original's steps are here (HTDEMUCS.md sections 9 and 10):
 *  - Whole-song normalisation: give `mean` and `deviation` of the song (sm_reference computes them; two passes over a file). Input is
 *    normalised with them, outputs are turned back. mean 0, deviation 0 (the defaults): not normalised, as apply_model alone does.
 *  - Every shift of every network is a `pass` over the song with its own grid of chunks. All passes go side by side through the
 *    window; each chunk's output is weighted, divided by the sum of weights and passes, and added.
 *  - A chunk that is all zeros gives zeros without being computed: that is exact. */
#ifndef SM_MODELS_SEPARATION_H
#define SM_MODELS_SEPARATION_H

#include "models/model.h"

/* ---- bags that have a name: which networks, which of them gives which source ---- */
typedef struct {
    const char *name;            /* "htdemucs", "htdemucs_ft", "htdemucs_6s" */
    size_t n;                    /* networks */
    const char *const *networks; /* sm_model names, in the original's order */
    const double *weights;       /* [n][sources]; NULL: all 1 */
    const char *summary;
} sm_bag_model;
const sm_bag_model *sm_bags(size_t *n);
const sm_bag_model *sm_bag_find(const char *name); /* also a single network's sm_model name; NULL: unknown */

/* ---- opened networks ---- */
typedef struct sm_bag sm_bag; /* after sm_bag_select: immutable but for plans; any number of threads */

typedef struct {
    const sm_model *model;
    sm_weights *weights; /* borrowed, outlives the bag */
} sm_bag_network;

typedef struct {
    const char *backend;    /* NULL: "onednn" */
    nn_precision precision; /* NN_PRECISION_AUTO: f32 */
    int threads;            /* inside one network; 0: 1 */
    bool emulate;           /* also run a precision that this CPU only emulates */
    const char *config;     /* "k=v,..": other sizes, for made-up weights; NULL: what the weights say */
} sm_bag_options;

/* weights [n][sources]: estimate of source k = sum_i weights[i][k] y_i[k] / sum_i weights[i][k]; NULL: all 1; a network whose weights for
 * what is wanted are all 0 is not run. SM_EFORMAT: networks that differ in sources, rate or segment, or a source that no network
 * gives; SM_EUNSUPPORTED: a network that does not separate, or a configuration of HTDemucs that is not here. */
int sm_bag_open(const sm_bag_network *networks, size_t n, const double *weights, const sm_bag_options *o, sm_bag **out);
void sm_bag_close(sm_bag *b);
size_t sm_bag_sources(const sm_bag *b, const char *const **names); /* "drums", "bass", "other", "vocals" ... */
int sm_bag_rate(const sm_bag *b);                                  /* Hz: 44100 */
int64_t sm_bag_segment(const sm_bag *b);                           /* samples of a chunk: 343,980 */

/* One output: the sum of these sources (bit k: source k). "vocals" is one bit, "no_vocals" all others. The rows of the last
 * convolutions are summed before they are applied, so a sum costs no more than a stem. */
typedef struct {
    uint64_t sources;
} sm_bag_output;
/* Chooses what is computed; n 0: every source for itself, in order. Compiles the networks that are needed. Call once, before the
 * first sm_separation_new. SM_EUSAGE: no source, or one that is not there. */
int sm_bag_select(sm_bag *b, const sm_bag_output *outputs, size_t n);
size_t sm_bag_outputs(const sm_bag *b);    /* chosen */
size_t sm_bag_running(const sm_bag *b);    /* networks that run for them */
size_t sm_bag_weight_bytes(sm_bag *b);     /* packed weights, shared by all songs */
double sm_bag_chunk_macs(const sm_bag *b); /* multiply-adds of one chunk through one network */

/* ---- a song ---- */
typedef struct {
    int shifts;              /* 0: none. The original's default is 1; ours too */
    double overlap;          /* of chunks, 0..0.99; default 0.25 */
    double transition_power; /* >= 1; default 1 */
    double segment_s;        /* 0: the model's; shorter costs the same per chunk; longer: SM_EUSAGE */
    bool no_split;           /* the song as one chunk: SM_EUSAGE from push or end when it is longer than the segment */
    double mean, deviation;  /* of the song, see sm_reference; both 0: no normalisation */
    uint64_t seed;           /* of the shifts' offsets */
    bool python_random;      /* offsets as the original draws them after random.seed(seed); needs `length` */
    int64_t length;          /* samples of the song, -1: not known. push fails when more come, end when fewer came */
    int parallel;            /* chunks computed side by side, each with activations of its own; 0: 1 */
} sm_separation_options;
extern const sm_separation_options sm_separation_defaults;

/* Samples at .. at + n - 1 of every output, in order and without gaps; planes[2 * output + channel] are n floats each, valid
 * during the call. Not 0: stop, sm_separation_push or _end return SM_ECANCELLED. Called on the caller's thread. */
typedef int (*sm_separation_block)(void *user, const float *const *planes, int64_t at, size_t n);

typedef struct {
    int64_t samples_in, samples_out; /* pushed, given out */
    int64_t chunks_done;             /* of all passes */
    int64_t chunks_total;            /* -1: the length is not known */
} sm_separation_progress;
/* After each chunk and at the start of the first; may be NULL. Not 0: stop (SM_ECANCELLED). On the caller's thread. */
typedef int (*sm_separation_chunk)(void *user, const sm_separation_progress *p);

typedef struct sm_separation sm_separation;
/* o NULL: sm_separation_defaults. SM_EUSAGE: options outside their ranges. The bag outlives it. */
int sm_separation_new(sm_bag *b, const sm_separation_options *o, sm_separation_block block, sm_separation_chunk chunk,
                      void *user, sm_separation **out);
void sm_separation_free(sm_separation *s);
/* n samples of each channel (finite numbers); computes every chunk that is complete. After a failure only free is allowed. */
int sm_separation_push(sm_separation *s, const float *left, const float *right, size_t n);
int sm_separation_end(sm_separation *s);
/* Bytes that one song takes with these options (activations, window, outputs), without the bag's weights. */
int sm_separation_memory(sm_bag *b, const sm_separation_options *o, size_t *bytes);
/* Chunks of all passes for a song of `length` samples: what a progress bar counts to. */
int64_t sm_separation_chunks(const sm_bag *b, const sm_separation_options *o, int64_t length);
/* The offset of each pass, network by network, shift by shift (tests). Gives how many; max of them are written. */
size_t sm_separation_offsets(const sm_separation *s, int64_t *offsets, size_t max);

/* ---- mean and deviation of a song: of the mean of its two channels, deviation over n - 1 (section 9) ---- */
typedef struct {
    double n, mean, squares; /* squares: sum of squared differences from the mean */
} sm_reference;
void sm_reference_add(sm_reference *r, const float *left, const float *right, size_t n); /* r starts as { 0 } */
void sm_reference_finish(const sm_reference *r, double *mean, double *deviation);        /* 0, 0 of no samples */

#endif
