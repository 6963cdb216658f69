/* Vectors of float32 or float64 and their mathematics, for gcc, clang and zig cc.

   #define LG_BITS 32 or 64, then include. Both widths are defined by the first inclusion; LG_BITS
   chooses at each place of use, so a file may define it anew between two kernels.

   Never fast-math: -O3 -fno-math-errno -fno-trapping-math -ffp-contract=fast. */
#ifndef LG_VECTOR_H
#define LG_VECTOR_H
#include <math.h>
#include <stdint.h>
#include <string.h>
#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif
#include "coefficients.h"
#include "names.h"

#if defined(__AVX512F__) && defined(__AVX512DQ__) && defined(__AVX512BW__) && defined(__AVX512VL__)
#define LG_BYTES 64
#elif defined(__AVX2__) && defined(__FMA__)
#define LG_BYTES 32
#else
#define LG_BYTES 16
#endif
#if LG_BYTES > 16 || defined(__aarch64__)
#define LG_FUSED 1
#else
#define LG_FUSED 0
#endif

#define LG_FN static inline __attribute__((always_inline, unused))
#pragma push_macro("LG_BITS")
#undef LG_BITS
#define LG_BITS 64
#include "width.h"
#undef LG_BITS
#define LG_BITS 32
#include "width.h"
#pragma pop_macro("LG_BITS")
#endif
