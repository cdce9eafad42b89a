/* Duplicates among sounds that are known: same bytes, same audio, same sound. Private to library; what others use is in samplemind.h. */
#ifndef SM_LIBRARY_DUPES_H
#define SM_LIBRARY_DUPES_H

#include "library/fingerprint.h"

/* What is known of a file when duplicates are looked for. Texts are borrowed. */
typedef struct {
    const char *path;
    int64_t bytes, mtime_ns;
    char hash[33], audio_hash[33]; /* xxh128 of the file and of the decoded samples; "": not known */
    char container[16], codec[24];
    int rate_hz, channels, bit_depth; /* depth 0: lossy */
    int64_t bitrate_bps;
    double duration_s; /* NAN: not known */
    sm_print print;
} sm_dupe_sound;

typedef struct {
    size_t a, b; /* a < b */
    sm_dupe_level level;
    double cosine, similarity;
    sm_print_proof proof; /* correlation 0: not compared, because bytes or audio are the same, or the file is gone */
} sm_dupe_pair;

/* What counts as the same; the defaults are where the measurements of docs/dupes.md put them. */
typedef struct {
    double least_cosine;      /* of a candidate */
    double least_similarity;  /* of a pair whose waveforms are compared */
    double least_variant;     /* of a pair whose waveforms differ */
    double least_correlation; /* that its waveforms must have */
    double least_click;       /* and their first 50 ms */
    int neighbours;           /* candidates a sound */
} sm_dupe_limits;
extern const sm_dupe_limits sm_dupe_limits_default;

typedef struct {
    sm_dupe_level level;
    const sm_dupe_limits *limits;
    sm_pool *pool;
    sm_progress_fn progress;
    void *user;
} sm_dupe_search;

/* All pairs of the wanted levels, ordered by a, then b. With SM_DUPES_VARIANT also pairs whose fingerprints agree and whose
 * waveforms do not. *pairs is the caller's: sm_free. SM_ENOMEM, SM_ECANCELLED. */
int sm_dupe_pairs(const sm_dupe_sound *sounds, size_t n, const sm_dupe_search *search, sm_dupe_pair **pairs,
                  size_t *n_pairs);

/* ---- candidates (dupes_near.c, dupes_cells.c) ---- */
typedef struct {
    int8_t values[PRINT_VECTOR];
    float scale; /* one over its length; 0: silence, which is nobody's neighbour */
} sm_print_row;

typedef struct {
    const sm_print_row *rows;
    size_t n;
    int k;
    float least; /* cosine */
    sm_pool *pool;
    sm_progress_fn progress;
    void *user;
} sm_print_search;

enum { SM_PRINT_CELLS_LEAST = 30000 }; /* sounds from which on sm_print_neighbours goes by cells: docs/dupes.md */

/* For each vector its `k` nearest others by cosine, at least `least` and best first, of equals the earlier: near[i * k ..], cosines
 * likewise; what is left over is SIZE_MAX. Both ways give the same whatever the number of threads. */
int sm_print_neighbours(const sm_print_search *s, size_t *near, float *cosines);
int sm_print_neighbours_of_all(const sm_print_search *s, size_t *near, float *cosines); /* exact; the square of n */
/* In the cells that are nearest to each, which takes n^1.5 and misses few of those that are much alike. n >= 1. */
int sm_print_neighbours_in_cells(const sm_print_search *s, size_t *near, float *cosines);

/* Products of one row with `n` others, by the best this CPU has. */
typedef void (*sm_print_products)(const sm_print_row *row, const sm_print_row *others, size_t n, int32_t *out);
sm_print_products sm_print_products_best(void);
/* Into the sorted list of the k best of a row. */
void sm_print_offer(int k, size_t *near, float *cosines, size_t other, float cosine);

/* Which of two is kept: negative when a is better by the rule. Never 0 for two different sounds. */
int sm_dupe_better(sm_keep_rule rule, const sm_dupe_sound *a, const sm_dupe_sound *b);

#endif
