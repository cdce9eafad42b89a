/* What is known of a file: from the library, with the user's corrections, where the file is as it was when it was analysed, or
 * sounds the same with other tags; else it is analysed now. Private to library. */
#ifndef SM_LIBRARY_KNOWN_H
#define SM_LIBRARY_KNOWN_H

#include <jansson.h>

#include "library/store.h"

typedef struct sm_known sm_known;
/* library: its folder, or NULL; create: it is made where there is none (for its journal), else a missing one is no error. models: as
 * in sm_options. */
int sm_known_open(const char *library, bool create, const char *models, sm_known **out);
void sm_known_close(sm_known *k);
sm_store *sm_known_store(sm_known *k); /* NULL: there is no library */
/* The record as JSON, the caller's (json_decref). *content: 0 where the library does not know the file as it is. */
int sm_known_record(sm_known *k, const char *path, json_t **out, int64_t *content);
/* The same where the content is known already (0: analysed now). */
int sm_known_record_of(sm_known *k, const char *path, int64_t content, json_t **out);
/* Only what the library has: *content 0 where it knows nothing. */
int sm_known_content(sm_known *k, const char *path, int64_t *content);
/* Every file of the library that is there, absolute, by path. */
int sm_known_files(sm_known *k, sm_strings *out);

/* Values of a record. NULL and NAN where they are not known. */
const char *sm_known_text(const json_t *record, const char *field);
double sm_known_number(const json_t *record, const char *field);
/* "Am", "C#": what tags hold; "" where the key is not known or surer than `least`. "A minor" or "A major" before. */
void sm_key_short(const char *key, char out[8]);

#endif
