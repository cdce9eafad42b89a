/* Which lane kernels this CPU runs. */
#include "nn/onednn/lanes.h"

const nn_lanes *nn_lanes_best(void)
{
    sm_cpu_info cpu;

    sm_cpu_detect(&cpu);
    if (cpu.avx512)
        return &nn_lanes_avx512;
    return cpu.avx2 && cpu.fma ? &nn_lanes_avx2 : &nn_lanes_base;
}
