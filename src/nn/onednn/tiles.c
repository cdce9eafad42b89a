/* Which vectors this CPU multiplies with. */
#include "nn/onednn/tiles.h"

const nn_tiles *nn_tiles_best(void)
{
    sm_cpu_info cpu;

    sm_cpu_detect(&cpu);
    if (cpu.avx512)
        return &nn_tiles_avx512;
    return cpu.avx2 && cpu.fma ? &nn_tiles_avx2 : &nn_tiles_base;
}
