/* float16 and bfloat16 as uint16_t: widened exactly, narrowed to nearest even, NaN to NaN. */
#if LG_BITS == 64 /* scalars: once */
LG_FN float lg_scalar_of_bits(uint32_t b) {
  float f;
  memcpy(&f, &b, 4);
  return f;
}
LG_FN uint32_t lg_scalar_bits(float f) {
  uint32_t b;
  memcpy(&b, &f, 4);
  return b;
}
LG_FN float lg_scalar_of_bf16(uint16_t h) { return lg_scalar_of_bits((uint32_t)h << 16); }
/* With float32's bias exponents are 112 too small, also of subnormals; the last is infinity's. */
LG_FN float lg_scalar_of_f16(uint16_t h) {
  uint32_t b = (uint32_t)(h & 0x7fff) << 13, sign = (uint32_t)(h & 0x8000) << 16;
  uint32_t wide = lg_scalar_bits(lg_scalar_of_bits(b) * 0x1p112f);
  return lg_scalar_of_bits(((h & 0x7c00) == 0x7c00 ? b | 0x7f800000 : wide) | sign);
}
LG_FN uint16_t lg_scalar_to_bf16(float x) {
  uint32_t b = lg_scalar_bits(x);
  return (uint16_t)((x != x ? b | 0x400000 : b + 0x7fff + (b >> 16 & 1)) >> 16);
}
LG_FN uint16_t lg_scalar_to_f16(float x) {
  uint32_t b = lg_scalar_bits(x), a = b & 0x7fffffff, sign = b >> 16 & 0x8000;
  uint32_t normal = (a - (112u << 23) + 0xfff + (a >> 13 & 1)) >> 13;
  uint32_t tiny = lg_scalar_bits(lg_scalar_of_bits(a) + 0.5f) -
                  0x3f000000; /* 2^-24, the unit, is the last digit of 1/2 */
  uint32_t r = x != x ? 0x7e00 : a < 113u << 23 ? tiny : a >= 143u << 23 ? 0x7c00 : normal;
  return (uint16_t)(r | sign);
}
/* x toward zero, the last digit set if that loses something: narrowing it again rounds x once */
LG_FN float lg_scalar_to_odd(double x) {
  float f = (float)x;
  if (!((double)f < x || (double)f > x)) return f;
  return lg_scalar_of_bits((lg_scalar_bits(f) - (fabs((double)f) > fabs(x))) | 1);
}
LG_FN V lg_load_bf16(const uint16_t *p) { LG_EACH(lg_scalar_of_bf16(p[i])); }
LG_FN V lg_load_f16(const uint16_t *p) { LG_EACH(lg_scalar_of_f16(p[i])); }
LG_FN void lg_store_bf16(uint16_t *p, V x) {
  for (int i = 0; i < LG_LANES; i++) p[i] = lg_scalar_to_bf16(lg_scalar_to_odd(x[i]));
}
LG_FN void lg_store_f16(uint16_t *p, V x) {
  for (int i = 0; i < LG_LANES; i++) p[i] = lg_scalar_to_f16(lg_scalar_to_odd(x[i]));
}
#else
LG_FN V lg_load_bf16(const uint16_t *p) { return (V)(lg_iload_u16(p) << 16); }
LG_FN void lg_store_bf16(uint16_t *p, V x) {
  M b = (M)x, r = lg_bits_sum(b, lg_isplat(0x7fff) + ((b >> 16) & lg_isplat(1)));
  lg_istore_u16(p, lg_iwhere(lg_isnan(x), b | lg_isplat(0x400000), r) >> 16);
}
#if LG_BYTES == 64
LG_FN V lg_load_f16(const uint16_t *p) {
  return (V)_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p));
}
LG_FN void lg_store_f16(uint16_t *p, V x) {
  _mm256_storeu_si256((__m256i *)p,
                      _mm512_cvtps_ph((__m512)x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
#elif LG_BYTES == 32 && defined(__F16C__)
LG_FN V lg_load_f16(const uint16_t *p) {
  return (V)_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p));
}
LG_FN void lg_store_f16(uint16_t *p, V x) {
  _mm_storeu_si128((__m128i *)p, _mm256_cvtps_ph((__m256)x, _MM_FROUND_TO_NEAREST_INT));
}
#else
LG_FN V lg_load_f16(const uint16_t *p) {
  M h = lg_iload_u16(p), b = (h & lg_isplat(0x7fff)) << 13, sign = (h & lg_isplat(0x8000)) << 16;
  M wide = (M)((V)b * lg_splat(0x1p112f)), end = (h & lg_isplat(0x7c00)) == lg_isplat(0x7c00);
  return (V)(lg_iwhere(end, b | lg_isplat(0x7f800000), wide) | sign);
}
LG_FN void lg_store_f16(uint16_t *p, V x) {
  M a = (M)lg_abs(x), sign = ((M)x >> 16) & lg_isplat(0x8000);
  M normal = (a - lg_isplat((112 << 23) - 0xfff) + ((a >> 13) & lg_isplat(1))) >> 13;
  M tiny = (M)((V)a + lg_splat(0.5f)) - lg_isplat(0x3f000000);
  M r = lg_iwhere(a < lg_isplat(113 << 23), tiny,
                  lg_iwhere(a >= lg_isplat(INT64_C(143) << 23), lg_isplat(0x7c00), normal));
  lg_istore_u16(p, lg_iwhere(lg_isnan(x), lg_isplat(0x7e00), r) | sign);
}
#endif
#endif
