/* Opens libfluidsynth by the name that belongs to the header we were built with; see fluidsynth.h. */
#include "ext/fluidsynth.h"

#include <dlfcn.h>

static const char library_name[] = "libfluidsynth.so.3";

int sm_fluidsynth_load(sm_fluidsynth *out)
{
    void *library = dlopen(library_name, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (!library) {
        const char *why = dlerror();
        return sm_fail(SM_EUNSUPPORTED, "SoundFonts need FluidSynth's library, Debian package libfluidsynth3: %s",
                       why ? why : "cannot be opened");
    }
#define LOAD(name)                                                                                                     \
    *(void **)&out->name = dlsym(library, #name);                                                                      \
    if (!out->name)                                                                                                    \
        return sm_fail(SM_EUNSUPPORTED, "%s has no function %s", library_name, #name);
    SM_FLUIDSYNTH(LOAD)
    dlclose(library); /* NODELETE keeps it */
    return 0;
}
