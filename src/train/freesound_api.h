/* One request to an API that answers JSON and counts requests. Private to freesound. */
#ifndef SM_TRAIN_FREESOUND_API_H
#define SM_TRAIN_FREESOUND_API_H

#include <jansson.h>

#include "train/freesound.h"

typedef struct {
    sm_dataset *d;
    const sm_freesound_options *o;
    double last_s; /* when the last request was sent */
    int64_t requests;
} freesound_api;
/* GET of an https URL (or the mirror's), waiting as the limits ask; *out: the caller's, json_decref. */
int freesound_get(freesound_api *api, const char *url, json_t **out);

#endif
