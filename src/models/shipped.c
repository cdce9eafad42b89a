/* The models that come with the program: files of models/ at the top of the source, part of the library's read-only data. A source tree
 * without the file (before `make train`) builds all the same and ships none. */
#include <string.h>

#include "models/model.h"

#define SHIP(id, name)                                                                                                 \
    __asm__(".section .rodata,\"a\",@progbits\n"                                                                       \
            ".balign 64\n"                                                                                             \
            "sm_shipped_" #id "_begin:\n"                                                                              \
            ".incbin \"models/" name ".safetensors\"\n"                                                                \
            "sm_shipped_" #id "_end:\n"                                                                                \
            ".byte 0\n"                                                                                                \
            ".previous\n");                                                                                            \
    extern const char sm_shipped_##id##_begin[] __attribute__((visibility("hidden")));                                 \
    extern const char sm_shipped_##id##_end[] __attribute__((visibility("hidden")));

/* SM_SHIPPED(X), set by the Makefile: X(identifier, "name") for each file that is there. */
#ifndef SM_SHIPPED
#define SM_SHIPPED(X)
#endif
SM_SHIPPED(SHIP)

const void *sm_model_shipped(const char *name, size_t *size)
{
#define ROW(id, text) { text, sm_shipped_##id##_begin, sm_shipped_##id##_end },
    static const struct {
        const char *name, *begin, *end;
    } files[] = { SM_SHIPPED(ROW){ "", NULL, NULL } };
#undef ROW
    for (size_t i = 0; i + 1 < SM_LENGTH(files); i++)
        if (!strcmp(name, files[i].name)) {
            *size = (size_t)(files[i].end - files[i].begin);
            return files[i].begin;
        }
    *size = 0;
    return NULL;
}
