/* libfluidsynth (LGPL), opened when the first SoundFont comes: linking it would bring some sixty libraries to every start. The
 * functions keep FluidSynth's own names and types. */
#ifndef SM_EXT_FLUIDSYNTH_H
#define SM_EXT_FLUIDSYNTH_H

#include <fluidsynth.h>

#include "base/base.h"

/* name, as X(name) */
#define SM_FLUIDSYNTH(X)                                                                                               \
    X(new_fluid_settings)                                                                                              \
    X(delete_fluid_settings)                                                                                           \
    X(fluid_settings_setnum)                                                                                           \
    X(fluid_settings_setint)                                                                                           \
    X(new_fluid_synth)                                                                                                 \
    X(delete_fluid_synth)                                                                                              \
    X(fluid_is_soundfont)                                                                                              \
    X(fluid_synth_sfload)                                                                                              \
    X(fluid_synth_get_sfont)                                                                                           \
    X(fluid_sfont_iteration_start)                                                                                     \
    X(fluid_sfont_iteration_next)                                                                                      \
    X(fluid_preset_get_name)                                                                                           \
    X(fluid_preset_get_banknum)                                                                                        \
    X(fluid_preset_get_num)                                                                                            \
    X(fluid_synth_program_select)                                                                                      \
    X(fluid_synth_system_reset)                                                                                        \
    X(fluid_synth_noteon)                                                                                              \
    X(fluid_synth_noteoff)                                                                                             \
    X(fluid_synth_write_float)                                                                                         \
    X(fluid_set_log_function)

typedef struct {
#define SM_FLUIDSYNTH_MEMBER(name) __typeof__(&name) name;
    SM_FLUIDSYNTH(SM_FLUIDSYNTH_MEMBER)
#undef SM_FLUIDSYNTH_MEMBER
} sm_fluidsynth;

/* SM_EUNSUPPORTED: not installed; the message names the package. The library stays in the process. */
int sm_fluidsynth_load(sm_fluidsynth *out);

#endif
