/* Words of names: how they are cut for the word index, and how a word of a query is put to it. */
#ifndef SM_LIBRARY_WORDS_H
#define SM_LIBRARY_WORDS_H

#include "library/thesaurus.h"

/* Adds the words of a name, with blanks between them: cut at case changes, between letters and digits, at everything that is no
 * letter or digit; # stays. What was cut within ("HiHat") follows joined, and so do neighbours that are one word of the thesaurus
 * ("open", "hat"). t may be NULL. Bytes that are no UTF-8 are blanks. */
void words_cut(const char *text, const thesaurus *t, sm_buffer *out);
/* The same without the ending of a file's name. */
void words_cut_name(const char *name, const thesaurus *t, sm_buffer *out);

/* What the word index is asked for a word or phrase: quoted, so that nothing of it is read as an operator. `prefix`: also longer
 * words, if it has three letters or more; a plural s does not count then. Nothing is added when there is no letter: false. */
bool words_expression(const char *text, bool prefix, sm_buffer *out);

#endif
