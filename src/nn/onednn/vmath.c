/* Which vectors this CPU computes functions with. */
#include "nn/onednn/vmath.h"

const nn_vmath *nn_vmath_best(void)
{
    sm_cpu_info cpu;

    sm_cpu_detect(&cpu);
    if (cpu.avx512)
        return &nn_vmath_avx512;
    return cpu.avx2 && cpu.fma ? &nn_vmath_avx2 : &nn_vmath_base;
}
