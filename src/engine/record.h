/* What the engine gathers about one file, and how it is written. */
#ifndef SM_ENGINE_RECORD_H
#define SM_ENGINE_RECORD_H

#include "dsp/dsp.h"
#include "models/model.h"

typedef struct {
    char *what, *reason; /* "yamnet", "no weights; get them with ..." */
} sm_failure;

/* One model's answer in a record. */
typedef struct {
    const char *name;    /* as installed: "crepe-tiny" */
    const char *weights; /* hash of the weights file, for analyzed_by */
    const sm_model *model;
    const sm_classes *classes; /* or NULL */
    const sm_model_result *result;
} sm_model_answer;

/* The draft of a record: filled by analyze.c, written once by sm_record_new. */
typedef struct {
    const char *path;
    sm_audio_info info;
    const sm_audio_metadata *metadata; /* NULL for a buffer */
    const char *warning;               /* or NULL */
    bool truncated;
    char audio_hash[65];   /* xxh128 of the decoded samples */
    const dsp_result *dsp; /* NULL: the sound could not be read */
    const char *key_notation;
    int top;
    const sm_model_answer *answers;
    size_t n_answers;
    const sm_failure *missing; /* models that were asked for and are not to be had */
    size_t n_missing;
    const sm_failure *failures;
    size_t n_failures;
} sm_draft;

/* Copies all it needs from the draft. */
int sm_record_new(const sm_draft *d, sm_record **out);

#endif
