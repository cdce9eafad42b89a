/* Labels from what files and folders are called (words.def). */
#ifndef SM_TRAIN_WORDS_H
#define SM_TRAIN_WORDS_H

#include "base/base.h"

typedef struct sm_words sm_words;
int sm_words_new(sm_words **out);
void sm_words_free(sm_words *w);

typedef struct {
    const char *label; /* one of sm_instruments; NULL: the name says nothing. Belongs to the words */
    const char *from;  /* "name" or "folder": which of them said it */
    double confidence; /* 0..1 */
    const char *other; /* another class that was named as well, against this one; NULL: none */
} sm_word_label;
/* path: folders and a file's name, "Kicks/808 Deep 01.wav". What the name says goes before what folders say, the nearest folder
 * before those above it. */
void sm_words_label(const sm_words *w, const char *path, sm_word_label *out);
/* True when a folder's name by itself names a class with some certainty ("Kicks", "02 Open Hats"). */
bool sm_words_is_class(const sm_words *w, const char *folder);

#endif
