/* Loads and stores of every storage type.

   float16 and bfloat16 are uint16_t. "part": the first n lanes, zero in the others, nothing beyond
   is touched. "strided": lane i at p[i * stride], the first n lanes. "gather": p[index] where mask,
   zero elsewhere. A real is rounded to nearest even when stored narrower. Integers saturate to
   the lanes' width when loaded and wrap when stored. A bool is a mask: iload gives -1 or 0, istore
   writes 1 where a lane is not zero; load gives 1.0 or 0.0. */
#if LG_BITS == 64 /* scalars: once */
LG_FN float lg_scalar_of_bf16(uint16_t h) { uint32_t b = (uint32_t)h << 16; float f; memcpy(&f, &b, 4); return f; }
LG_FN double lg_scalar_of_f16(uint16_t h) {
  int e = h >> 10 & 31, m = h & 1023;
  double r = e == 31 ? (m ? (double)NAN : (double)INFINITY) : e ? ldexp(1024 + m, e - 25) : ldexp(m, -24);
  return h >> 15 ? -r : r;
}
/* x to the format with `exponent` bits of exponent and `digits` of mantissa, to nearest even */
LG_FN uint16_t lg_scalar_to_half(double x, int exponent, int digits) {
  uint64_t bits;
  memcpy(&bits, &x, 8);
  uint16_t sign = (uint16_t)(bits >> 48 & 0x8000), infinity = (uint16_t)(((1 << exponent) - 1) << digits);
  if (x != x) return sign | infinity | (uint16_t)(1 << (digits - 1));
  int bias = (1 << (exponent - 1)) - 1, e = 0;
  double a = fabs(x);
  if (a == 0) return sign;
  if (a > (double)INFINITY / 2 || a == (double)INFINITY) return sign | infinity;
  frexp(a, &e);
  e = e - 1 < 1 - bias ? 1 - bias : e - 1;
  double units = rint(ldexp(a, digits - e)); /* exact but for the rounding */
  double r = units + ldexp(e + bias - 1, digits);
  return sign | (r >= infinity ? infinity : (uint16_t)r);
}
#define LG_AS_IS(x) (x)
#define LG_AS_TRUTH(x) ((x) != 0)
#define LG_TO_F16(x) lg_scalar_to_half((double)(x), 5, 10)
#define LG_TO_BF16(x) lg_scalar_to_half((double)(x), 8, 7)
#endif

#define LG_LOADS(T, C, FROM) \
  LG_FN V lg_load_part_##T(const C *p, int n) { V r = {0}; for (int i = 0; i < n; i++) r[i] = (R)FROM(p[i]); return r; } \
  LG_FN V lg_load_##T(const C *p) { return lg_load_part_##T(p, LG_LANES); } \
  LG_FN V lg_load_strided_##T(const C *p, int64_t stride, int n) { V r = {0}; for (int i = 0; i < n; i++) r[i] = (R)FROM(p[i * stride]); return r; } \
  LG_FN V lg_gather_##T(const C *p, M index, M mask) { V r = {0}; for (int i = 0; i < LG_LANES; i++) if (mask[i]) r[i] = (R)FROM(p[index[i]]); return r; }
#define LG_STORES(T, C, TO) \
  LG_FN void lg_store_part_##T(C *p, V x, int n) { for (int i = 0; i < n; i++) p[i] = (C)TO(x[i]); } \
  LG_FN void lg_store_##T(C *p, V x) { lg_store_part_##T(p, x, LG_LANES); } \
  LG_FN void lg_store_strided_##T(C *p, int64_t stride, V x, int n) { for (int i = 0; i < n; i++) p[i * stride] = (C)TO(x[i]); }
#define LG_INTEGERS(T, C, FROM, TO) \
  LG_LOADS(T, C, LG_AS_IS) \
  LG_FN M lg_iload_part_##T(const C *p, int n) { M r = {0}; for (int i = 0; i < n; i++) r[i] = (LG_INTEGER)FROM(p[i]); return r; } \
  LG_FN M lg_iload_##T(const C *p) { return lg_iload_part_##T(p, LG_LANES); } \
  LG_FN M lg_iload_strided_##T(const C *p, int64_t stride, int n) { M r = {0}; for (int i = 0; i < n; i++) r[i] = (LG_INTEGER)FROM(p[i * stride]); return r; } \
  LG_FN M lg_igather_##T(const C *p, M index, M mask) { M r = {0}; for (int i = 0; i < LG_LANES; i++) if (mask[i]) r[i] = (LG_INTEGER)FROM(p[index[i]]); return r; } \
  LG_FN void lg_istore_part_##T(C *p, M x, int n) { for (int i = 0; i < n; i++) p[i] = (C)TO(x[i]); } \
  LG_FN void lg_istore_##T(C *p, M x) { lg_istore_part_##T(p, x, LG_LANES); } \
  LG_FN void lg_istore_strided_##T(C *p, int64_t stride, M x, int n) { for (int i = 0; i < n; i++) p[i * stride] = (C)TO(x[i]); }

#if LG_BITS == 32
LG_FN int32_t lg_saturate_i64_32(int64_t x) { return (int32_t)(x > INT32_MAX ? INT32_MAX : x < INT32_MIN ? INT32_MIN : x); }
LG_FN int32_t lg_saturate_u64_32(uint64_t x) { return (int32_t)(x > INT32_MAX ? INT32_MAX : x); }
#define LG_FROM_I64 lg_saturate_i64_32
#define LG_FROM_U64 lg_saturate_u64_32
#define LG_FROM_U32 lg_saturate_u64_32
#else
LG_FN int64_t lg_saturate_u64_64(uint64_t x) { return (int64_t)(x > INT64_MAX ? INT64_MAX : x); }
#define LG_FROM_I64 LG_AS_IS
#define LG_FROM_U64 lg_saturate_u64_64
#define LG_FROM_U32 LG_AS_IS
#endif
LG_LOADS(f32, float, LG_AS_IS)
LG_LOADS(f64, double, LG_AS_IS)
LG_LOADS(f16, uint16_t, lg_scalar_of_f16)
LG_LOADS(bf16, uint16_t, lg_scalar_of_bf16)
LG_STORES(f32, float, LG_AS_IS)
LG_STORES(f64, double, LG_AS_IS)
LG_STORES(f16, uint16_t, LG_TO_F16)
LG_STORES(bf16, uint16_t, LG_TO_BF16)
LG_INTEGERS(i64, int64_t, LG_FROM_I64, LG_AS_IS)
LG_INTEGERS(i32, int32_t, LG_AS_IS, LG_AS_IS)
LG_INTEGERS(i16, int16_t, LG_AS_IS, LG_AS_IS)
LG_INTEGERS(i8, int8_t, LG_AS_IS, LG_AS_IS)
LG_INTEGERS(u64, uint64_t, LG_FROM_U64, LG_AS_IS)
LG_INTEGERS(u32, uint32_t, LG_FROM_U32, LG_AS_IS)
LG_INTEGERS(u16, uint16_t, LG_AS_IS, LG_AS_IS)
LG_INTEGERS(u8, uint8_t, LG_AS_IS, LG_AS_IS)
LG_INTEGERS(bool, uint8_t, -LG_AS_TRUTH, LG_AS_TRUTH)
#undef LG_FROM_I64
#undef LG_FROM_U64
#undef LG_FROM_U32
#undef LG_LOADS
#undef LG_STORES
#undef LG_INTEGERS
