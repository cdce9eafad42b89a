/* From what a model gives to what is searched: a fit of a space, made of a library's own sounds. And the vector of descriptors.
 *
 * Embeddings of one library share much: their mean is taken away, the directions in which they differ most are kept, and in spaces of
 * networks that were not trained to tell sounds apart these are made equally important (whitened). */
#ifndef SM_LIBRARY_SPACE_H
#define SM_LIBRARY_SPACE_H

#include "base/base.h"
#include "library/vectors.h"

typedef struct sm_space_fit sm_space_fit;

typedef enum {
    SM_FIT_TURN, /* rows to length 1, less their mean, turned to their main directions */
    SM_FIT_WHITEN, /* and each direction divided by sqrt(variance + the median variance): none is louder than the others */
    SM_FIT_SCORES /* each value less its mean, over its deviation, within -4..4; NAN (not known) becomes 0 */
} sm_fit_kind;
/* What suits a space, by its name, as measured: docs/similar.md. */
sm_fit_kind sm_fit_kind_of(const char *space);

/* rows [n][dims]: a sample of the library, n >= 1. SCORES: as many values come out; else at most 128, and at most n / 4 but 16 (where
 * that is fewer than dims: a few sounds do not tell more directions). sounds: of the whole library, kept with it. */
int sm_fit_new(sm_fit_kind kind, const float *rows, size_t n, int dims, size_t sounds, sm_space_fit **out);
void sm_fit_free(sm_space_fit *f);
int sm_fit_from(const sm_space_fit *f);    /* values in */
int sm_fit_to(const sm_space_fit *f);      /* values out */
uint64_t sm_fit_id(const sm_space_fit *f); /* of its numbers: the same only for the same fit */
size_t sm_fit_sounds(const sm_space_fit *f);
sm_fit_kind sm_fit_kind_is(const sm_space_fit *f);
void sm_fit_apply(const sm_space_fit *f, const float *raw, float *out);
/* A file of its own. Errors of reading: SM_ENOTFOUND, SM_EFORMAT. */
int sm_fit_write(const sm_space_fit *f, const char *path);
int sm_fit_read(const char *path, sm_space_fit **out);

/* ---- the descriptors as a vector (space_aspects.c): space "dsp/1" ---- */
typedef struct {
    const char *name; /* "timbre" */
    int first, count; /* of the vector */
} sm_aspect;
enum { SM_ASPECTS = 4, SM_ASPECT_VALUES = 32 };
#define SM_ASPECT_SPACE "dsp"
enum { SM_ASPECT_VERSION = 1 };
int sm_aspect_values(void);        /* how long the vector is */
const sm_aspect *sm_aspects(void); /* [SM_ASPECTS] */
const char *sm_aspect_value_name(int i);
/* value gives a number of the record by its field's name, or NAN. out: [SM_ASPECT_VALUES]; NAN: not known. */
void sm_aspect_vector(double (*value)(void *user, const char *field), void *user, float *out);
/* How alike two vectors of SM_FIT_SCORES are in one aspect: exp(-mean squared difference), 0..1. */
double sm_aspect_similarity(const sm_aspect *a, const float *x, const float *y);

#endif
