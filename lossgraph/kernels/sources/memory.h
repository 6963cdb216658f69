/* Loads and stores of every storage type.

   float16 and bfloat16 are uint16_t. "part": the first n lanes, zero in the others, nothing beyond
   is touched. "strided": lane i at p[i * stride], the first n lanes. "gather": p[index] where mask,
   zero elsewhere. A real is rounded to nearest even when stored narrower. Integers saturate to
   the lanes' width when loaded and wrap when stored. A bool is a mask: iload gives -1 or 0, istore
   writes 1 where a lane is not zero; load gives 1.0 or 0.0. */

/* Whole vectors of integers, by what a lane is widened to and narrowed from. */
#define LG_WHOLE(T, C) \
  typedef C LG_PACKED(T) \
      __attribute__((vector_size(LG_LANES * sizeof(C)), aligned(1), may_alias)); \
  LG_FN M lg_iload_##T(const C *p) { \
    return __builtin_convertvector(*(const LG_PACKED(T) *)p, M); \
  } \
  LG_FN void lg_istore_##T(C *p, M x) { \
    *(LG_PACKED(T) *)p = __builtin_convertvector(x, LG_PACKED(T)); \
  } \
  LG_FN V lg_load_##T(const C *p) { return lg_to_real(lg_iload_##T(p)); }
#define LG_LANEWISE(T, C, FROM) \
  LG_FN M lg_iload_##T(const C *p) { \
    M r = {0}; \
    for (int i = 0; i < LG_LANES; i++) r[i] = (LG_INTEGER)FROM(p[i]); \
    return r; \
  } \
  LG_FN void lg_istore_##T(C *p, M x) { \
    for (int i = 0; i < LG_LANES; i++) p[i] = (C)x[i]; \
  } \
  LG_FN V lg_load_##T(const C *p) { LG_EACH(p[i]); }
#define LG_PACKED(T) LG_JOIN(lg_packed_##T, LG_BITS)
LG_WHOLE(i16, int16_t)
LG_WHOLE(i8, int8_t)
LG_WHOLE(u16, uint16_t)
LG_WHOLE(u8, uint8_t)
LG_WHOLE(i32, int32_t)
#if LG_BITS == 64
LG_WHOLE(i64, int64_t)
LG_WHOLE(u32, uint32_t)
LG_FN int64_t lg_saturate(uint64_t x) { return x > INT64_MAX ? INT64_MAX : (int64_t)x; }
LG_LANEWISE(u64, uint64_t, lg_saturate)
#else
LG_FN M lg_iload_u32(const uint32_t *p) {
  M x = lg_iload_i32((const int32_t *)p);
  return lg_iwhere(x < lg_isplat(0), lg_isplat(INT32_MAX), x);
}
LG_FN void lg_istore_u32(uint32_t *p, M x) { lg_istore_i32((int32_t *)p, x); }
LG_FN V lg_load_u32(const uint32_t *p) { LG_EACH(p[i]); }
#if LG_BYTES == 64
LG_FN M lg_of_integer_halves(__m256i low, __m256i high) {
  return (M)_mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
}
LG_FN M lg_iload_i64(const int64_t *p) {
  return lg_of_integer_halves(_mm512_cvtsepi64_epi32(_mm512_loadu_si512(p)),
                              _mm512_cvtsepi64_epi32(_mm512_loadu_si512(p + 8)));
}
LG_FN M lg_iload_u64(const uint64_t *p) {
  M x = lg_of_integer_halves(_mm512_cvtusepi64_epi32(_mm512_loadu_si512(p)),
                             _mm512_cvtusepi64_epi32(_mm512_loadu_si512(p + 8)));
  return lg_iwhere(x < lg_isplat(0), lg_isplat(INT32_MAX), x);
}
LG_FN void lg_istore_i64(int64_t *p, M x) {
  _mm512_storeu_si512(p, _mm512_cvtepi32_epi64(_mm512_castsi512_si256((__m512i)x)));
  _mm512_storeu_si512(p + 8, _mm512_cvtepi32_epi64(_mm512_extracti64x4_epi64((__m512i)x, 1)));
}
LG_FN V lg_load_i64(const int64_t *p) {
  __m512 low = _mm512_castps256_ps512(_mm512_cvtepi64_ps(_mm512_loadu_si512(p)));
  return (V)_mm512_insertf32x8(low, _mm512_cvtepi64_ps(_mm512_loadu_si512(p + 8)), 1);
}
LG_FN V lg_load_u64(const uint64_t *p) { LG_EACH(p[i]); }
LG_FN void lg_istore_u64(uint64_t *p, M x) { lg_istore_i64((int64_t *)p, x); }
#else
LG_FN int32_t lg_saturate(int64_t x) {
  return (int32_t)(x > INT32_MAX ? INT32_MAX : x < INT32_MIN ? INT32_MIN : x);
}
LG_FN int32_t lg_saturate_unsigned(uint64_t x) { return x > INT32_MAX ? INT32_MAX : (int32_t)x; }
LG_LANEWISE(i64, int64_t, lg_saturate)
LG_LANEWISE(u64, uint64_t, lg_saturate_unsigned)
#endif
#endif
LG_FN M lg_iload_bool(const uint8_t *p) { return lg_iload_u8(p) != lg_isplat(0); }
LG_FN void lg_istore_bool(uint8_t *p, M x) { lg_istore_u8(p, (x != lg_isplat(0)) & lg_isplat(1)); }
LG_FN V lg_load_bool(const uint8_t *p) { return lg_of_mask(lg_iload_bool(p)); }

/* Whole vectors of reals. */
#if LG_BITS == 32
LG_FN V lg_load_f32(const float *p) { return *(const LG_UNALIGNED *)p; }
LG_FN void lg_store_f32(float *p, V x) { *(LG_UNALIGNED *)p = x; }
LG_FN V lg_load_f64(const double *p) {
  return lg_of_halves(*(const lg_unaligned_64 *)p, *(const lg_unaligned_64 *)(p + LG_LANES / 2));
}
LG_FN void lg_store_f64(double *p, V x) {
  *(lg_unaligned_64 *)p = lg_low_half(x);
  *(lg_unaligned_64 *)(p + LG_LANES / 2) = lg_high_half(x);
}
#else
typedef float lg_packed_f32 __attribute__((vector_size(LG_LANES * 4), aligned(1), may_alias));
LG_FN V lg_load_f32(const float *p) {
  return __builtin_convertvector(*(const lg_packed_f32 *)p, V);
}
LG_FN void lg_store_f32(float *p, V x) {
  *(lg_packed_f32 *)p = __builtin_convertvector(x, lg_packed_f32);
}
LG_FN V lg_load_f64(const double *p) { return *(const LG_UNALIGNED *)p; }
LG_FN void lg_store_f64(double *p, V x) { *(LG_UNALIGNED *)p = x; }
#endif
#include "half.h"

/* The others go through an array, unless the machine has them for lanes as stored. */
#define LG_FIRST(C, from) \
  C s[LG_LANES] = {0}; \
  for (int i = 0; i < n; i++) s[i] = from
#define LG_MASKED(C) \
  C s[LG_LANES] = {0}; \
  for (int i = 0; i < LG_LANES; i++) \
    if (mask[i]) s[i] = p[index[i]]
#define LG_READS(T, C, X, load, part, strided, gather) \
  LG_FN X part(const C *p, int n) { \
    LG_FIRST(C, p[i]); \
    return load(s); \
  } \
  LG_FN X strided(const C *p, int64_t stride, int n) { \
    LG_FIRST(C, p[i * stride]); \
    return load(s); \
  } \
  LG_FN X gather(const C *p, M index, M mask) { \
    LG_MASKED(C); \
    return load(s); \
  }
#define LG_WRITES(C, X, store, part, strided) \
  LG_FN void part(C *p, X x, int n) { \
    C s[LG_LANES]; \
    store(s, x); \
    for (int i = 0; i < n; i++) p[i] = s[i]; \
  } \
  LG_FN void strided(C *p, int64_t stride, X x, int n) { \
    C s[LG_LANES]; \
    store(s, x); \
    for (int i = 0; i < n; i++) p[i * stride] = s[i]; \
  }
/* p[lane * stride]: an index is as wide as a lane */
#define LG_NEAR(stride) \
  (LG_BYTES > 16 && (LG_BITS == 64 || ((stride) < (1 << 26) && (stride) > -(1 << 26))))
#define LG_NATIVE_READS(C, X, load, part, strided, gather, read_part, read_at) \
  LG_FN X part(const C *p, int n) { return read_part(p, n); } \
  LG_FN X gather(const C *p, M index, M mask) { return read_at(p, index, mask); } \
  LG_FN X strided(const C *p, int64_t stride, int n) { \
    if (LG_NEAR(stride)) \
      return read_at(p, lg_iota() * lg_isplat(stride), lg_iota() < lg_isplat(n)); \
    LG_FIRST(C, p[i * stride]); \
    return load(s); \
  }
#define LG_NATIVE_WRITES(C, X, store, part, strided, write_part) \
  LG_FN void part(C *p, X x, int n) { write_part(p, x, n); } \
  LG_FN void strided(C *p, int64_t stride, X x, int n) { \
    for (int i = 0; i < n; i++) p[i * stride] = x[i]; \
  }
#define LG_REALS(T, C) \
  LG_READS(T, C, V, lg_load_##T, lg_load_part_##T, lg_load_strided_##T, lg_gather_##T) \
  LG_WRITES(C, V, lg_store_##T, lg_store_part_##T, lg_store_strided_##T)
#define LG_NATIVE_REALS(T, C) \
  LG_NATIVE_READS(C, V, lg_load_##T, lg_load_part_##T, lg_load_strided_##T, lg_gather_##T, \
                  lg_read_part, lg_read_at) \
  LG_NATIVE_WRITES(C, V, lg_store_##T, lg_store_part_##T, lg_store_strided_##T, lg_write_part)
#define LG_INTEGERS(T, C) \
  LG_READS(T, C, V, lg_load_##T, lg_load_part_##T, lg_load_strided_##T, lg_gather_##T) \
  LG_READS(T, C, M, lg_iload_##T, lg_iload_part_##T, lg_iload_strided_##T, lg_igather_##T) \
  LG_WRITES(C, M, lg_istore_##T, lg_istore_part_##T, lg_istore_strided_##T)
#define LG_NATIVE_INTEGERS(T, C) \
  LG_READS(T, C, V, lg_load_##T, lg_load_part_##T, lg_load_strided_##T, lg_gather_##T) \
  LG_NATIVE_READS(C, M, lg_iload_##T, lg_iload_part_##T, lg_iload_strided_##T, lg_igather_##T, \
                  lg_iread_part, lg_iread_at) \
  LG_NATIVE_WRITES(C, M, lg_istore_##T, lg_istore_part_##T, lg_istore_strided_##T, lg_iwrite_part)
#if LG_BITS == 32
LG_NATIVE_REALS(f32, float)
LG_REALS(f64, double)
LG_NATIVE_INTEGERS(i32, int32_t)
LG_INTEGERS(i64, int64_t)
#else
LG_REALS(f32, float)
LG_NATIVE_REALS(f64, double)
LG_INTEGERS(i32, int32_t)
LG_NATIVE_INTEGERS(i64, int64_t)
#endif
LG_REALS(f16, uint16_t)
LG_REALS(bf16, uint16_t)
LG_INTEGERS(i16, int16_t)
LG_INTEGERS(i8, int8_t)
LG_INTEGERS(u64, uint64_t)
LG_INTEGERS(u32, uint32_t)
LG_INTEGERS(u16, uint16_t)
LG_INTEGERS(u8, uint8_t)
LG_INTEGERS(bool, uint8_t)
