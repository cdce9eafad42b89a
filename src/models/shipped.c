/* The models that come with the program: files of models/ at the top of the source, part of the library's read-only data. A source tree
 * without the file (before `make train`) builds all the same and ships none. */
#include <string.h>

#include "models/model.h"

#define SHIP(id, file)                                                                                                 \
    __asm__(".section .rodata,\"a\",@progbits\n"                                                                       \
            ".balign 64\n"                                                                                             \
            "sm_shipped_" #id "_begin:\n"                                                                              \
            ".incbin \"" file "\"\n"                                                                                   \
            "sm_shipped_" #id "_end:\n"                                                                                \
            ".byte 0\n"                                                                                                \
            ".previous\n");                                                                                            \
    extern const char sm_shipped_##id##_begin[] __attribute__((visibility("hidden")));                                 \
    extern const char sm_shipped_##id##_end[] __attribute__((visibility("hidden")));

/* Both macros are set by the Makefile where the file is there. */
#ifdef SM_SHIPPED_samplemind
SHIP(own, "models/samplemind.safetensors")
#endif
#ifdef SM_SHIPPED_samplemind_yamnet
SHIP(yamnet, "models/samplemind-yamnet.safetensors")
#endif
#ifdef SM_SHIPPED_samplemind_tuned
SHIP(tuned, "models/samplemind-tuned.safetensors")
#endif
#ifdef SM_SHIPPED_samplemind_tuned_wide
SHIP(tuned_wide, "models/samplemind-tuned-wide.safetensors")
#endif

const void *sm_model_shipped(const char *name, size_t *size)
{
    static const struct {
        const char *name, *begin, *end;
    } files[] = {
#ifdef SM_SHIPPED_samplemind
        { "samplemind", sm_shipped_own_begin, sm_shipped_own_end },
#endif
#ifdef SM_SHIPPED_samplemind_yamnet
        { "samplemind-yamnet", sm_shipped_yamnet_begin, sm_shipped_yamnet_end },
#endif
#ifdef SM_SHIPPED_samplemind_tuned
        { "samplemind-tuned", sm_shipped_tuned_begin, sm_shipped_tuned_end },
#endif
#ifdef SM_SHIPPED_samplemind_tuned_wide
        { "samplemind-tuned-wide", sm_shipped_tuned_wide_begin, sm_shipped_tuned_wide_end },
#endif
        { "", NULL, NULL }
    };
    for (size_t i = 0; i + 1 < SM_LENGTH(files); i++)
        if (!strcmp(name, files[i].name)) {
            *size = (size_t)(files[i].end - files[i].begin);
            return files[i].begin;
        }
    *size = 0;
    return NULL;
}
