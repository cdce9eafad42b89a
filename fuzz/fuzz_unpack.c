/* gzip and bzip2, and whatever they hold. */
#include "fuzz_weights.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_open(w_gzip_probe, w_gzip_open, NULL, data, size);
    fuzz_open(w_bzip2_probe, w_bzip2_open, NULL, data, size);
    return 0;
}
