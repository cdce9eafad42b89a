#include <stddef.h>
#include <stdint.h>

#include "models/t5.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A tokenizer's file; what opens must cut any text. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sm_t5_tokens *t;
    sm_t5_ids ids;
    if (sm_t5_tokens_open_memory(data, size, "fuzz", &t) < 0)
        return 0;
    if (sm_t5_tokens_encode(t, " Warm  loop, 128 BPM \xC2\xBD \xEF\xBC\xA6 \xFF", &ids) == 0)
        sm_t5_ids_free(&ids);
    sm_t5_tokens_free(t);
    return 0;
}
