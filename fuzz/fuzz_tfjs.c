/* The text of model.json; every shard is as long as the manifest wants, up to 4 kB. */
#include "fuzz_weights.h"

static int shard(const sm_weights *w, const char *name, size_t limit, sm_buffer *out)
{
    (void)w;
    for (size_t i = 0; i < SM_MIN(limit, 4096); i++)
        sm_buffer_add(out, &name[i % (strlen(name) + 1)], 1);
    return out->failed ? SM_ENOMEM : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_open(w_tfjs_probe, w_tfjs_open, shard, data, size);
    return 0;
}
