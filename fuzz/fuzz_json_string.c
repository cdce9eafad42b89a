/* Whatever bytes a file name or a tag holds: what the JSON writer makes of them must be read by another reader. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    sm_buffer out = { 0 };
    sm_json j;
    json_t *read;

    if (!text)
        return 0;
    if (size > 0)
        memcpy(text, data, size);
    text[size] = 0;
    sm_json_init(&j, &out, false);
    sm_json_begin_object(&j);
    sm_json_key(&j, text);
    sm_json_string(&j, text);
    sm_json_end_object(&j);
    read = json_loadb(out.data, out.length, 0, NULL);
    if (!read || json_object_size(read) != 1)
        abort();
    json_decref(read);
    sm_buffer_free(&out);
    free(text);
    return 0;
}
