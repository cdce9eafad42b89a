/* What the files query_*.c share. */
#ifndef SM_LIBRARY_QUERY_INTERNAL_H
#define SM_LIBRARY_QUERY_INTERNAL_H

#include "library/query.h"

query_node *query_node_new(query *q, query_kind kind); /* NULL: no memory */
/* The words of a tree (*at and below): joins those that are one ("open hat"), finds what they mean, drops those that say nothing,
 * reads "without" and "not" as -. *changed: the tree is to be tidied and looked at again. */
int query_understand_words(query *q, const thesaurus *t, query_node **at, bool *changed);

#endif
