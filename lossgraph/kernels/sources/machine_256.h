/* What AVX2 with FMA does in one instruction or a few. */
#if LG_BITS == 32
LG_FN V lg_fma(V a, V b, V c) { return (V)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c); }
LG_FN V lg_where(M m, V a, V b) { return (V)_mm256_blendv_ps((__m256)b, (__m256)a, (__m256)m); }
LG_FN V lg_larger(V a, V b) { return (V)_mm256_max_ps((__m256)a, (__m256)b); }
LG_FN V lg_smaller(V a, V b) { return (V)_mm256_min_ps((__m256)a, (__m256)b); }
LG_FN V lg_sqrt(V x) { return (V)_mm256_sqrt_ps((__m256)x); }
LG_FN V lg_floor(V x) { return (V)_mm256_floor_ps((__m256)x); }
LG_FN V lg_ceil(V x) { return (V)_mm256_ceil_ps((__m256)x); }
LG_FN V lg_rint(V x) { return (V)_mm256_round_ps((__m256)x, 8); }
LG_FN unsigned lg_truths(M m) { return (unsigned)_mm256_movemask_ps((__m256)m); }
LG_FN M lg_first_lanes(int n) { return lg_iota() < lg_isplat(n); }
LG_FN V lg_read_part(const R *p, int n) { return (V)_mm256_maskload_ps(p, (__m256i)lg_first_lanes(n)); }
LG_FN M lg_iread_part(const LG_INTEGER *p, int n) { return (M)_mm256_maskload_epi32(p, (__m256i)lg_first_lanes(n)); }
LG_FN void lg_write_part(R *p, V x, int n) { _mm256_maskstore_ps(p, (__m256i)lg_first_lanes(n), (__m256)x); }
LG_FN void lg_iwrite_part(LG_INTEGER *p, M x, int n) { _mm256_maskstore_epi32(p, (__m256i)lg_first_lanes(n), (__m256i)x); }
LG_FN V lg_read_at(const R *p, M index, M mask) {
  return (V)_mm256_mask_i32gather_ps(_mm256_setzero_ps(), p, (__m256i)index, (__m256)mask, 4);
}
LG_FN M lg_iread_at(const LG_INTEGER *p, M index, M mask) {
  return (M)_mm256_mask_i32gather_epi32(_mm256_setzero_si256(), p, (__m256i)index, (__m256i)mask, 4);
}
LG_FN lg_vector_64 lg_low_half(V x) { return (lg_vector_64)_mm256_cvtps_pd(_mm256_castps256_ps128((__m256)x)); }
LG_FN lg_vector_64 lg_high_half(V x) { return (lg_vector_64)_mm256_cvtps_pd(_mm256_extractf128_ps((__m256)x, 1)); }
LG_FN V lg_of_halves(lg_vector_64 low, lg_vector_64 high) {
  return (V)_mm256_set_m128(_mm256_cvtpd_ps((__m256d)high), _mm256_cvtpd_ps((__m256d)low));
}
#else
LG_FN V lg_fma(V a, V b, V c) { return (V)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c); }
LG_FN V lg_where(M m, V a, V b) { return (V)_mm256_blendv_pd((__m256d)b, (__m256d)a, (__m256d)m); }
LG_FN V lg_larger(V a, V b) { return (V)_mm256_max_pd((__m256d)a, (__m256d)b); }
LG_FN V lg_smaller(V a, V b) { return (V)_mm256_min_pd((__m256d)a, (__m256d)b); }
LG_FN V lg_sqrt(V x) { return (V)_mm256_sqrt_pd((__m256d)x); }
LG_FN V lg_floor(V x) { return (V)_mm256_floor_pd((__m256d)x); }
LG_FN V lg_ceil(V x) { return (V)_mm256_ceil_pd((__m256d)x); }
LG_FN V lg_rint(V x) { return (V)_mm256_round_pd((__m256d)x, 8); }
LG_FN unsigned lg_truths(M m) { return (unsigned)_mm256_movemask_pd((__m256d)m); }
LG_FN M lg_first_lanes(int n) { return lg_iota() < lg_isplat(n); }
LG_FN V lg_read_part(const R *p, int n) { return (V)_mm256_maskload_pd(p, (__m256i)lg_first_lanes(n)); }
LG_FN M lg_iread_part(const LG_INTEGER *p, int n) { return (M)_mm256_maskload_epi64((const long long *)p, (__m256i)lg_first_lanes(n)); }
LG_FN void lg_write_part(R *p, V x, int n) { _mm256_maskstore_pd(p, (__m256i)lg_first_lanes(n), (__m256d)x); }
LG_FN void lg_iwrite_part(LG_INTEGER *p, M x, int n) { _mm256_maskstore_epi64((long long *)p, (__m256i)lg_first_lanes(n), (__m256i)x); }
LG_FN V lg_read_at(const R *p, M index, M mask) {
  return (V)_mm256_mask_i64gather_pd(_mm256_setzero_pd(), p, (__m256i)index, (__m256d)mask, 8);
}
LG_FN M lg_iread_at(const LG_INTEGER *p, M index, M mask) {
  return (M)_mm256_mask_i64gather_epi64(_mm256_setzero_si256(), (const long long *)p, (__m256i)index, (__m256i)mask, 8);
}
#endif
LG_FN M lg_iwhere(M m, M a, M b) { return (M)_mm256_blendv_epi8((__m256i)b, (__m256i)a, (__m256i)m); }
