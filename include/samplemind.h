/* samplemind: know, find, split and make sounds. The one public header; see docs/api.md for a walk through it.
 *
 * Rules that hold everywhere:
 *   - A function that can fail returns int: 0, or a negative SM_E... code; sm_last_error() then says why (per thread).
 *   - `**out` is the caller's to free or close; `const *` is borrowed; an out parameter is NULL after a failure.
 *   - Frames count per channel. Audio is f32, nominally -1..1, interleaved. Strings are UTF-8 except paths, which are bytes.
 */
#ifndef SAMPLEMIND_H
#define SAMPLEMIND_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define SM_API __attribute__((visibility("default")))
#else
#define SM_API
#endif

enum {
    SM_ENOMEM = -1,       /* no memory */
    SM_EIO = -2,          /* reading or writing failed */
    SM_ENOTFOUND = -3,    /* no such file, model, tensor or name */
    SM_EFORMAT = -4,      /* the file is not what it says, or is damaged */
    SM_EUNSUPPORTED = -5, /* understood, but not something this program does */
    SM_EUSAGE = -6,       /* the caller asked for something that makes no sense */
    SM_ECANCELLED = -7,   /* a callback or a signal asked to stop */
    SM_ELIMIT = -8,       /* larger than a limit that was set */
    SM_EINTERNAL = -9     /* a fault of this program */
};

/* What the last failure on this thread was, as one sentence without a full stop; "" if there was none. Valid until the
 * next failure on this thread. */
SM_API const char *sm_last_error(void);

/* "0.1.0" */
SM_API const char *sm_version(void);

#ifdef __cplusplus
}
#endif
#endif
