/* Closes simd_avx2.h and simd_avx512.h. */
#ifdef __clang__
#pragma clang attribute pop
#endif
