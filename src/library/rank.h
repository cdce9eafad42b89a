/* Ranks: where a value stands among the sounds of its own instrument. "A bright kick" is bright for a kick. */
#ifndef SM_LIBRARY_RANK_H
#define SM_LIBRARY_RANK_H

#include "base/base.h"

enum { RANK_GROUPS = 256, RANK_SAMPLE = 4096, RANK_LEAST = 30 };

/* Which group each sound is in, by its class and by its kind; 0: not known. */
typedef struct {
    size_t n;
    const uint64_t *alive;       /* bits: only these count */
    uint8_t *by_class, *by_kind; /* [n] */
} rank_groups;
/* classes, kinds: [n] codes (NAN: unknown) or NULL; the first 255 codes of each have groups. */
int rank_groups_make(const float *classes, const float *kinds, const uint64_t *alive, size_t n, rank_groups *out);
void rank_groups_free(rank_groups *g);

typedef struct rank_field rank_field;
/* values: [n], borrowed. Samples of up to RANK_SAMPLE values are drawn evenly from each group, always the same ones. */
int rank_field_new(const rank_groups *g, const float *values, rank_field **out);
void rank_field_free(rank_field *f);
/* 0..1: the part of its group that lies below, of equal values the half; the group is the class if it has RANK_LEAST known values,
 * else the kind, else all. NAN: the value is not known. */
float rank_of(const rank_field *f, const rank_groups *g, size_t i);
typedef enum { RANK_AMONG_CLASS, RANK_AMONG_KIND, RANK_AMONG_ALL } rank_among;
rank_among rank_group_of(const rank_field *f, const rank_groups *g, size_t i);

#endif
