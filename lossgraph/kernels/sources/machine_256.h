/* What AVX2 with FMA does in one instruction or a few: LG_OF(add) is _mm256_add_ps or _pd. */
#undef LG_OF
#if LG_BITS == 32
#define LG_OF(name) _mm256_##name##_ps
#else
#define LG_OF(name) _mm256_##name##_pd
#endif

LG_FN V lg_fma(V a, V b, V c) { return LG_OF(fmadd)(a, b, c); }
LG_FN V lg_where(M m, V a, V b) { return LG_OF(blendv)(b, a, (V)m); }
LG_FN M lg_iwhere(M m, M a, M b) {
  return (M)_mm256_blendv_epi8((__m256i)b, (__m256i)a, (__m256i)m);
}
LG_FN V lg_larger(V a, V b) { return LG_OF(max)(a, b); }
LG_FN V lg_smaller(V a, V b) { return LG_OF(min)(a, b); }
LG_FN V lg_sqrt(V x) { return LG_OF(sqrt)(x); }
LG_FN V lg_floor(V x) { return LG_OF(floor)(x); }
LG_FN V lg_ceil(V x) { return LG_OF(ceil)(x); }
LG_FN V lg_rint(V x) { return LG_OF(round)(x, 8); }
LG_FN unsigned lg_truths(M m) { return (unsigned)LG_OF(movemask)((V)m); }

LG_FN __m256i lg_first_lanes(int n) { return (__m256i)(lg_iota() < lg_isplat(n)); }
LG_FN V lg_read_part(const R *p, int n) { return LG_OF(maskload)(p, lg_first_lanes(n)); }
LG_FN void lg_write_part(R *p, V x, int n) { LG_OF(maskstore)(p, lg_first_lanes(n), x); }
#if LG_BITS == 32
LG_FN M lg_iread_part(const int32_t *p, int n) {
  return (M)_mm256_maskload_epi32(p, lg_first_lanes(n));
}
LG_FN void lg_iwrite_part(int32_t *p, M x, int n) {
  _mm256_maskstore_epi32(p, lg_first_lanes(n), (__m256i)x);
}
LG_FN V lg_read_at(const float *p, M index, M mask) {
  return _mm256_mask_i32gather_ps(lg_splat(0), p, (__m256i)index, (V)mask, 4);
}
LG_FN M lg_iread_at(const int32_t *p, M index, M mask) {
  __m256i none = _mm256_setzero_si256();
  return (M)_mm256_mask_i32gather_epi32(none, p, (__m256i)index, (__m256i)mask, 4);
}
LG_FN lg_vector_64 lg_low_half(V x) { return _mm256_cvtps_pd(_mm256_castps256_ps128(x)); }
LG_FN lg_vector_64 lg_high_half(V x) { return _mm256_cvtps_pd(_mm256_extractf128_ps(x, 1)); }
LG_FN V lg_of_halves(lg_vector_64 low, lg_vector_64 high) {
  return _mm256_set_m128(_mm256_cvtpd_ps(high), _mm256_cvtpd_ps(low));
}
#else
LG_FN M lg_iread_part(const int64_t *p, int n) {
  return (M)_mm256_maskload_epi64((const long long *)p, lg_first_lanes(n));
}
LG_FN void lg_iwrite_part(int64_t *p, M x, int n) {
  _mm256_maskstore_epi64((long long *)p, lg_first_lanes(n), (__m256i)x);
}
LG_FN V lg_read_at(const double *p, M index, M mask) {
  return _mm256_mask_i64gather_pd(lg_splat(0), p, (__m256i)index, (V)mask, 8);
}
LG_FN M lg_iread_at(const int64_t *p, M index, M mask) {
  const long long *q = (const long long *)p;
  __m256i none = _mm256_setzero_si256();
  return (M)_mm256_mask_i64gather_epi64(none, q, (__m256i)index, (__m256i)mask, 8);
}
#endif
