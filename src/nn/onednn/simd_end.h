/* Closes simd_avx2.h and simd_avx512.h. */
#if defined(__clang__) && LANES_BITS > 128
#pragma clang attribute pop
#endif
