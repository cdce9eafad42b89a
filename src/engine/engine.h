/* engine: opens the models that are installed, plans what each file needs, runs them side by side, and makes one record a file.
 * What other programs may use is in samplemind.h; here is what the command line needs besides. */
#ifndef SM_ENGINE_H
#define SM_ENGINE_H

#include "models/model.h"

/* ---- which files (walk.c) ----
 * Adds `path` itself, or, for a folder, every sound below it (by ending, sorted, hidden ones left out, symbolic links followed
 * without loops). Folders that cannot be read become a line each in `problems`. 0 or SM_ENOMEM. */
int sm_walk(const char *path, sm_strings *files, sm_strings *problems);

#endif
