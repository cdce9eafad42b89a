/* library: a collection that is remembered and searched. A library is a folder with library.db in it, and beside it files that are
 * rebuilt from that at any time. What other programs may use is in samplemind.h; here is what the command line needs besides. */
#ifndef SM_LIBRARY_H
#define SM_LIBRARY_H

#include "engine/engine.h"

/* `given` when it is not NULL, else $SAMPLEMIND_HOME/library and so on (sm_data_directory). The caller's; NULL: no memory, or no
 * home is known. */
char *sm_library_path(const char *given);

/* The meanings of words that ship, as a file that a user's thesaurus.csv may start from; appended. */
int sm_library_thesaurus(sm_buffer *csv);

#endif
