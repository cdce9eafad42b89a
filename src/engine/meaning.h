/* From models' answers to what a producer calls it: instrument, genre, mood. */
#ifndef SM_ENGINE_MEANING_H
#define SM_ENGINE_MEANING_H

#include "engine/record.h"

typedef struct {
    const char *name;  /* best class; NULL: no model speaks of it, or none is sure enough */
    double confidence; /* its score, 0..1 */
    size_t n;          /* all classes with a score, best first */
    struct {
        const char *name;
        double score;
    } * scores; /* owned */
    struct {
        const char *model, *name;
        double confidence;
    } votes[8]; /* of an instrument: the best class of each model that was heard */
    size_t n_votes;
} sm_verdict;

/* Texts are borrowed from the models' class tables. 0 or SM_ENOMEM. */
int sm_meaning_instrument(const sm_model_answer *answers, size_t n, sm_verdict *out);
int sm_meaning_genre(const sm_model_answer *answers, size_t n, sm_verdict *out);
int sm_meaning_mood(const sm_model_answer *answers, size_t n, sm_verdict *out);
void sm_verdict_free(sm_verdict *v);

#endif
