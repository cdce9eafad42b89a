/* Freesound (https://freesound.org/docs/api): a search with APIv2, its sounds into a folder and into the dataset, each with its
 * licence, author and address. */
#ifndef SM_TRAIN_FREESOUND_H
#define SM_TRAIN_FREESOUND_H

#include "train/dataset_tools.h"

typedef struct {
    sm_dataset_work work;
    const char *token;       /* of the user's API credentials: https://freesound.org/apiv2/apply */
    const char *oauth_token; /* then originals are fetched; NULL: previews (Ogg, some 192 kbit/s) */
    const char *query;       /* words; may be "" with a filter */
    const char *filter;      /* APIv2's own, "duration:[0 TO 2] tag:kick"; NULL: none */
    const char *licences;    /* list of patterns on short names; NULL: "CC0,CC-BY-?.0" */
    const char *label;       /* class of all that is found; NULL: what names and tags say */
    const char *folder;      /* where files go; made */
    int64_t most;            /* sounds; 0: all that is found */
    const char *mirror;      /* as in sm_download_options; http is allowed there */
    double request_gap_s;    /* between requests; 0: 1 (60 a minute are allowed) */
    double retry_wait_s;     /* after 429 without Retry-After, and before a retry; 0: 30 */
    int requests_a_day;      /* 0: 2000, Freesound's own limit */
} sm_freesound_options;
typedef struct {
    sm_dataset_result items;
    int64_t found;    /* by the search, of all licences */
    int64_t refused;  /* for their licence */
    int64_t requests; /* to the API, in this run */
    bool more;        /* stopped at `most` or at the day's limit; the next run goes on */
} sm_freesound_result;
/* Goes on where the last run of the same query, filter and licences was. SM_EUSAGE: no token; SM_EUNSUPPORTED: the token is refused;
 * SM_EIO: network; SM_EFORMAT: not an answer of APIv2; SM_ELIMIT: the day's requests are spent. */
int sm_dataset_freesound(sm_dataset *d, const sm_freesound_options *o, sm_freesound_result *out);
/* "http://creativecommons.org/licenses/by/4.0/" -> "CC-BY-4.0"; "CC0"; what is not known as it is. */
void sm_freesound_licence(const char *url, char out[64]);

#endif
