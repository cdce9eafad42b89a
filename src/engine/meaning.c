/* Which answers speak of the instrument, the genre and the mood, and how they are read (docs/fields.md says it for users).
 *
 *   instrument  our classifiers, samplemind and those tuned from YAMNet and EfficientAT; where they are not sure, together with our layer on YAMNet's
 *               embedding (samplemind-yamnet), or, where that did not run, with YAMNet's scores through yamnet_to_instrument (max
 *               over a class's rows of score * weight); without ours each of these alone
 *   genre       the 400 styles of Discogs (a head, or the backbone's own output), else MusiCNN's tags that are genres
 *   mood        heads and whole networks called mood_*: the probability of the positive class */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/engine.h"
#include "engine/meaning.h"

static int add(sm_verdict *v, size_t *capacity, const char *name, double score)
{
    if (sm_grow(&v->scores, capacity, v->n + 1, sizeof *v->scores) < 0)
        return SM_ENOMEM;
    v->scores[v->n].name = name;
    v->scores[v->n++].score = score;
    return 0;
}

static int by_score(const void *a, const void *b)
{
    const struct {
        const char *name;
        double score;
    } *x = a, *y = b;
    if (x->score != y->score)
        return x->score < y->score ? 1 : -1;
    return strcmp(x->name, y->name);
}

/* Below these the best class is no answer: the scores are still listed. A mood head is a coin at .5; the scores of YAMNet and of
 * the genre networks are independent sigmoids that are small everywhere when nothing fits. */
static const double least_instrument = 0.1, least_genre = 0.1, least_mood = 0.5;

static void decide(sm_verdict *v, double least)
{
    if (v->n == 0)
        return;
    qsort(v->scores, v->n, sizeof *v->scores, by_score);
    if (v->scores[0].score < least)
        return;
    v->name = v->scores[0].name;
    v->confidence = v->scores[0].score;
}

void sm_verdict_free(sm_verdict *v)
{
    sm_free(v->scores);
    *v = (sm_verdict){ 0 };
}

/* ---- instrument ---- */

/* At this probability (calibrated) what our classifiers say together is the last word. */
static const double sure = 0.7;
/* Those that ship err on different sounds. Their probabilities are combined as a weighted geometric mean (product of experts, Hinton
 * 2002) over those that have heard the sound, then summing to 1. Weights: chosen on held-out training families (docs/training.md). */
static const struct {
    const char *model;
    double weight;
} experts[] = {
    { "samplemind", 1 },        { "samplemind-cnn", 1 }, /* only in the place of the first */
    { "samplemind-tuned", 1 },  { "samplemind-tuned-wide", 1 },
    { "samplemind-mobile", 1 }, { "samplemind-mobile-long", 1 },
};
enum { EXPERTS = SM_LENGTH(experts) };
_Static_assert(EXPERTS + 1 <= SM_LENGTH(((sm_verdict *)0)->votes), "each has a vote, and so has the second opinion");
static const double least_probability = 1e-4;
/* Below `sure` the layer's probabilities come in as well: p q^weight; */
static const double layer_weight = 0.05;
/* or, where it did not run, YAMNet's evidence e: p (e + floor)^weight. YAMNet can lift or sink a class by no more than
 * ((1 + floor) / floor)^weight, since it is silent about many one-shots. */
static const double evidence_floor = 0.05, evidence_weight = 0.25;

const char *sm_meaning_expert(size_t i)
{
    return i < EXPERTS ? experts[i].model : NULL;
}

static const sm_model_answer *answer_of(const sm_model_answer *answers, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (!strcmp(answers[i].model->name, name) && answers[i].result->mean)
            return &answers[i];
    return NULL;
}

/* Likewise, and it has classes. */
static const sm_model_answer *heard(const sm_model_answer *answers, size_t n, const char *name)
{
    const sm_model_answer *a = answer_of(answers, n, name);
    return a && a->classes && a->classes->n > 0 ? a : NULL;
}

static int find_class(const char *name)
{
    for (int c = 0; c < SM_INSTRUMENTS; c++)
        if (!strcmp(sm_instruments[c], name))
            return c;
    return -1;
}

static void vote(sm_verdict *v, const char *model, const char *name, double confidence)
{
    v->votes[v->n_votes].model = model;
    v->votes[v->n_votes].name = name;
    v->votes[v->n_votes++].confidence = confidence;
}

static void vote_of_evidence(sm_verdict *v, const float *evidence)
{
    int best = 0;
    for (int c = 1; c < SM_INSTRUMENTS; c++)
        best = evidence[c] > evidence[best] ? c : best;
    if ((double)evidence[best] >= least_instrument)
        vote(v, "yamnet", sm_instruments[best], evidence[best]);
}

/* What is known besides our own classifiers: the layer, or the evidence of the table; NULL: not there. */
typedef struct {
    const sm_model_answer *layer;
    const float *evidence; /* [SM_INSTRUMENTS] */
} second;

static size_t classes_of(const sm_model_answer *a)
{
    return SM_MIN(a->result->n_classes, a->classes->n);
}

/* -1 where it has no such class. */
static double score_of(const sm_model_answer *a, const char *name)
{
    for (size_t c = 0; c < classes_of(a); c++)
        if (!strcmp(a->classes->names[c], name))
            return (double)a->result->mean[c];
    return -1;
}

/* Whoever trains a classifier for classes of their own is not answered with ours. */
static bool same_classes(const sm_model_answer *a, const sm_model_answer *b)
{
    bool same = classes_of(a) == classes_of(b);
    for (size_t c = 0; c < classes_of(a) && same; c++)
        same = score_of(b, a->classes->names[c]) >= 0;
    return same;
}

/* Our probability p of a class after the second opinion, not yet summing to 1. A user's own classes have none. */
static double combined(double p, const char *name, const second *s)
{
    if (s->layer) {
        const double q = score_of(s->layer, name);
        return q < 0 ? p : (p + least_probability) * pow(q + least_probability, layer_weight);
    }
    const int known = find_class(name);
    return p * pow((known >= 0 ? (double)s->evidence[known] : 0) + evidence_floor, evidence_weight);
}

static void vote_of_answer(sm_verdict *v, const sm_model_answer *a)
{
    size_t best = 0;
    for (size_t c = 1; c < classes_of(a); c++)
        best = a->result->mean[c] > a->result->mean[best] ? c : best;
    vote(v, a->model->name, a->classes->names[best], a->result->mean[best]);
}

static void make_sum_one(sm_verdict *v)
{
    double sum = 0;
    for (size_t c = 0; c < v->n; c++)
        sum += v->scores[c].score;
    for (size_t c = 0; c < v->n && sum > 0; c++)
        v->scores[c].score /= sum;
}

/* Our classifiers that have heard the sound and speak of the same classes as the first of them. */
typedef struct {
    const sm_model_answer *answer[EXPERTS];
    double weight[EXPERTS]; /* summing to 1 */
    size_t n;
} panel;

static panel gather(const sm_model_answer *answers, size_t n)
{
    panel p = { 0 };
    double sum = 0;
    for (size_t i = 0; i < EXPERTS; i++) {
        const sm_model_answer *a = heard(answers, n, experts[i].model);
        if (!a || (i == 1 && p.n > 0) || (p.n > 0 && !same_classes(p.answer[0], a)))
            continue;
        p.answer[p.n] = a;
        p.weight[p.n++] = experts[i].weight;
        sum += experts[i].weight;
    }
    for (size_t i = 0; i < p.n; i++)
        p.weight[i] /= sum;
    return p;
}

static double mean_of(const panel *p, const char *name)
{
    double sum = 0;
    if (p->n == 1) /* as it is */
        return score_of(p->answer[0], name);
    for (size_t i = 0; i < p->n; i++)
        sum += p->weight[i] * log(score_of(p->answer[i], name) + least_probability);
    return exp(sum);
}

static int own_scores(const panel *p, const second *s, sm_verdict *out)
{
    const sm_model_answer *first = p->answer[0];
    size_t capacity = 0;
    double most = 0;
    if (classes_of(first) == 0)
        return 0;
    for (size_t i = 0; i < p->n; i++)
        vote_of_answer(out, p->answer[i]);
    for (size_t c = 0; c < classes_of(first); c++)
        if (add(out, &capacity, first->classes->names[c], mean_of(p, first->classes->names[c])) < 0)
            return SM_ENOMEM;
    if (p->n > 1)
        make_sum_one(out);
    for (size_t c = 0; c < out->n; c++)
        most = SM_MAX(most, out->scores[c].score);
    if ((!s->evidence && !s->layer) || most >= sure)
        return 0;
    for (size_t c = 0; c < out->n; c++)
        out->scores[c].score = combined(out->scores[c].score, out->scores[c].name, s);
    make_sum_one(out);
    if (s->layer)
        vote_of_answer(out, s->layer);
    else
        vote_of_evidence(out, s->evidence);
    return 0;
}

static int evidence_scores(const float *evidence, sm_verdict *out)
{
    size_t capacity = 0;
    vote_of_evidence(out, evidence);
    for (size_t c = 0; c < SM_INSTRUMENTS; c++)
        if (add(out, &capacity, sm_instruments[c], evidence[c]) < 0)
            return SM_ENOMEM;
    return 0;
}

int sm_meaning_instrument(const sm_model_answer *answers, size_t n, sm_verdict *out)
{
    const sm_model_answer *yamnet = answer_of(answers, n, "yamnet"), *layer = heard(answers, n, "samplemind-yamnet");
    const panel ours = gather(answers, n);
    float evidence[SM_INSTRUMENTS];
    int err = 0;
    *out = (sm_verdict){ 0 };
    if (yamnet)
        sm_yamnet_instruments(yamnet->result->mean, evidence);
    if (ours.n > 0)
        err = own_scores(&ours, &(second){ layer, yamnet ? evidence : NULL }, out);
    else if (layer)
        err = own_scores(&(panel){ { layer }, { 1 }, 1 }, &(second){ 0 }, out);
    else if (yamnet)
        err = evidence_scores(evidence, out);
    if (err < 0)
        sm_verdict_free(out);
    else
        decide(out, least_instrument);
    return err;
}

/* MusiCNN's tags (Last.fm) that name a genre. */
static bool is_genre_tag(const char *tag)
{
    static const char *const genres[] = { "rock",
                                          "pop",
                                          "alternative",
                                          "indie",
                                          "electronic",
                                          "dance",
                                          "alternative rock",
                                          "jazz",
                                          "metal",
                                          "classic rock",
                                          "soul",
                                          "indie rock",
                                          "electronica",
                                          "folk",
                                          "chillout",
                                          "punk",
                                          "blues",
                                          "hard rock",
                                          "ambient",
                                          "acoustic",
                                          "experimental",
                                          "Hip-Hop",
                                          "country",
                                          "funk",
                                          "electro",
                                          "heavy metal",
                                          "Progressive rock",
                                          "rnb",
                                          "indie pop",
                                          "House" };
    for (size_t i = 0; i < SM_LENGTH(genres); i++)
        if (!strcmp(tag, genres[i]))
            return true;
    return false;
}

static int genre_from(const sm_model_answer *a, bool tags_only, sm_verdict *out)
{
    size_t capacity = 0;
    for (size_t c = 0; c < a->classes->n && c < a->result->n_classes; c++)
        if ((!tags_only || is_genre_tag(a->classes->names[c])) &&
            add(out, &capacity, a->classes->names[c], a->result->mean[c]) < 0)
            return SM_ENOMEM;
    return 0;
}

int sm_meaning_genre(const sm_model_answer *answers, size_t n, sm_verdict *out)
{
    /* best first; the first that is there speaks */
    static const struct {
        const char *model;
        bool tags_only;
    } sources[] = { { "genre_discogs400", false }, { "effnet-discogs", false }, { "musicnn", true } };
    *out = (sm_verdict){ 0 };
    for (size_t s = 0; s < SM_LENGTH(sources) && out->n == 0; s++)
        for (size_t i = 0; i < n; i++)
            if (!strcmp(answers[i].model->name, sources[s].model) && answers[i].result->mean && answers[i].classes &&
                genre_from(&answers[i], sources[s].tags_only, out) < 0) {
                sm_verdict_free(out);
                return SM_ENOMEM;
            }
    decide(out, least_genre);
    return 0;
}

/* "non_happy", "not_aggressive" deny; the other class is the mood. */
static bool denies(const char *name)
{
    return !strncmp(name, "non_", 4) || !strncmp(name, "not_", 4);
}

int sm_meaning_mood(const sm_model_answer *answers, size_t n, sm_verdict *out)
{
    size_t capacity = 0;
    *out = (sm_verdict){ 0 };
    for (size_t i = 0; i < n; i++) {
        const sm_model_answer *a = &answers[i];
        if (strncmp(a->model->name, "mood_", 5) != 0 || !a->result->mean || !a->classes)
            continue;
        for (size_t c = 0; c < a->classes->n && c < a->result->n_classes; c++)
            if (!denies(a->classes->names[c]) && add(out, &capacity, a->classes->names[c], a->result->mean[c]) < 0) {
                sm_verdict_free(out);
                return SM_ENOMEM;
            }
    }
    decide(out, least_mood);
    return 0;
}
