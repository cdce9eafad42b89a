/* The models that come with the program: files of models/ at the top of the source, part of the library's read-only data. A source tree
 * without the file (before `make train`) builds all the same and ships none. */
#include <string.h>

#include "models/model.h"

#ifdef SM_SHIPPED /* set by the Makefile where the file is there */
__asm__(".section .rodata,\"a\",@progbits\n"
        ".balign 64\n"
        "sm_shipped_begin:\n"
        ".incbin \"models/samplemind.safetensors\"\n"
        "sm_shipped_end:\n"
        ".byte 0\n"
        ".previous\n");
extern const char sm_shipped_begin[] __attribute__((visibility("hidden")));
extern const char sm_shipped_end[] __attribute__((visibility("hidden")));

const void *sm_model_shipped(const char *name, size_t *size)
{
    *size = 0;
    if (strcmp(name, "samplemind") != 0)
        return NULL;
    *size = (size_t)(sm_shipped_end - sm_shipped_begin);
    return sm_shipped_begin;
}
#else
const void *sm_model_shipped(const char *name, size_t *size)
{
    (void)name;
    *size = 0;
    return NULL;
}
#endif
