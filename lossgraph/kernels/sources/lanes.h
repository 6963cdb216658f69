/* The types of a width and what moves lanes. A mask is an M of lanes -1 (true) and 0. */
#if LG_BITS == 32
typedef float R;
typedef int32_t LG_INTEGER;
typedef uint32_t LG_UNSIGNED;
enum { LG_LANES = LG_BYTES / 4 };
#else
typedef double R;
typedef int64_t LG_INTEGER;
typedef uint64_t LG_UNSIGNED;
enum { LG_LANES = LG_BYTES / 8 };
#endif
typedef R V __attribute__((vector_size(LG_BYTES)));
typedef LG_INTEGER M __attribute__((vector_size(LG_BYTES)));
typedef LG_UNSIGNED LG_WORDS __attribute__((vector_size(LG_BYTES)));
typedef V LG_UNALIGNED __attribute__((aligned(1), may_alias));

#define LG_SIGN lg_isplat(LG_BITS == 32 ? INT32_MIN : INT64_MIN)
/* x + this has the integer next to x in its low bits. */
#define LG_MAGIC (LG_BITS == 32 ? (R)0x1.8p23 : (R)0x1.8p52)
/* Those of the stored mantissa. */
#define LG_DIGITS (LG_BITS == 32 ? 23 : 52)
#define LG_EACH(call) \
  V r = {0}; \
  for (int i = 0; i < LG_LANES; i++) r[i] = (R)call; \
  return r

LG_FN V lg_splat(R x) { return x - (V){0}; }
LG_FN M lg_isplat(int64_t x) { return (LG_INTEGER)x - (M){0}; }
LG_FN M lg_iota(void) {
#if LG_BYTES * 8 / LG_BITS == 16
  return (M){0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
#elif LG_BYTES * 8 / LG_BITS == 8
  return (M){0, 1, 2, 3, 4, 5, 6, 7};
#elif LG_BYTES * 8 / LG_BITS == 4
  return (M){0, 1, 2, 3};
#else
  return (M){0, 1};
#endif
}
/* Of bits: what is carried out of a lane is lost. */
LG_FN M lg_bits_sum(M a, M b) { return (M)((LG_WORDS)a + (LG_WORDS)b); }
LG_FN M lg_bits_less(M a, M b) { return (M)((LG_WORDS)a - (LG_WORDS)b); }
LG_FN R lg_first(V x) { return x[0]; }
LG_FN int64_t lg_ifirst(M x) { return x[0]; }
LG_FN V lg_neg(V x) { return (V)((M)x ^ LG_SIGN); }
LG_FN V lg_abs(V x) { return (V)((M)x & ~LG_SIGN); }
LG_FN V lg_copysign(V x, V sign) { return (V)(((M)x & ~LG_SIGN) | ((M)sign & LG_SIGN)); }
LG_FN V lg_of_mask(M m) { return (V)((M)lg_splat(1) & m); }
LG_FN M lg_isnan(V x) { return x != x; }

/* Each machine: lg_where lg_iwhere lg_fma lg_sqrt lg_floor lg_ceil lg_rint; lg_larger and
   lg_smaller (b where one is NaN); lg_truths (a bit for each lane); reads and writes of a part,
   reads at an index; halves as float64. */
#if LG_BYTES == 64
#include "machine_512.h"
#elif LG_BYTES == 32
#include "machine_256.h"
#else
LG_FN V lg_where(M m, V a, V b) { return (V)(((M)a & m) | ((M)b & ~m)); }
LG_FN M lg_iwhere(M m, M a, M b) { return (a & m) | (b & ~m); }
#include "machine_128.h"
#endif

#if LG_BYTES != 64
/* x 2^n, with n = t - LG_MAGIC in exp's range: in two steps, of which only the second rounds. */
LG_FN V lg_scale(V x, V t) {
  const int64_t far = LG_BITS == 32 ? 128 : 1024;
  M shift =
      ((t < lg_splat(LG_MAGIC)) & lg_isplat(far << LG_DIGITS)) - lg_isplat((far / 2) << LG_DIGITS);
  M one = (M)lg_splat(1);
  return x * (V)lg_bits_sum((M)t << LG_DIGITS, one + shift) * (V)(one - shift);
}
/* The same for n <= 0. */
LG_FN V lg_scale_down(V x, V t) {
  const V up = lg_splat(LG_BITS == 32 ? (R)0x1p64 : (R)0x1p512);
  return x * (V)lg_bits_sum((M)t << LG_DIGITS, (M)up) * (lg_splat(1) / up);
}
/* Across lanes, by halves. */
#define LG_ACROSS(call) \
  for (int h = LG_LANES / 2; h; h /= 2) \
    for (int i = 0; i < h; i++) { \
      R a = s[i], b = s[i + h]; \
      s[i] = call; \
    }
LG_FN R lg_sum(V x) {
  V s = x;
  LG_ACROSS(a + b) return s[0];
}
LG_FN R lg_largest(V s) { LG_ACROSS(a > b ? a : b) return s[0]; }
LG_FN R lg_smallest(V s) { LG_ACROSS(a < b ? a : b) return s[0]; }
#undef LG_ACROSS
#endif
LG_FN int lg_any(M m) { return lg_truths(m) != 0; }
LG_FN int lg_all(M m) { return lg_truths(m) == (1u << LG_LANES) - 1; }
LG_FN R lg_max_of(V x) { return lg_any(lg_isnan(x)) ? (R)NAN : lg_largest(x); }
LG_FN R lg_min_of(V x) { return lg_any(lg_isnan(x)) ? (R)NAN : lg_smallest(x); }
#if LG_BITS == 32
LG_FN double lg_dsum(V x) { return lg_sum_64(lg_low_half(x) + lg_high_half(x)); }
#else
LG_FN double lg_dsum(V x) { return lg_sum(x); }
#endif

/* x, of which the compiler knows nothing: it does not contract a product that stands apart. */
LG_FN V lg_opaque(V x) {
#if defined(__x86_64__)
  __asm__("" : "+v"(x));
#elif defined(__aarch64__)
  __asm__("" : "+w"(x));
#endif
  return x;
}
/* a b - product, exactly, with product = a b rounded and opaque */
LG_FN V lg_product_error(V a, V b, V product) {
#if LG_FUSED
  return lg_fma(a, b, -product);
#else
  const M upper = lg_isplat(-(INT64_C(1) << (LG_BITS == 32 ? 12 : 27)));
  V ah = (V)((M)a & upper), al = a - ah, bh = (V)((M)b & upper), bl = b - bh;
  return ((ah * bh - product) + ah * bl + al * bh) + al * bl;
#endif
}

LG_FN V lg_to_real(M x) { return __builtin_convertvector(x, V); }
LG_FN M lg_to_int(V x) {
  const V limit = lg_splat(LG_BITS == 32 ? (R)0x1p31 : (R)0x1p63);
  const int64_t most = LG_BITS == 32 ? INT32_MAX : INT64_MAX;
  M low = x < -limit, high = x >= limit;
  M inside = ~(low | high | lg_isnan(x));
  M r = __builtin_convertvector((V)((M)x & inside), M);
  return r | (low & lg_isplat(-most - 1)) | (high & lg_isplat(most));
}
