/* What AVX-512 does in one instruction. */
#if LG_BITS == 32
LG_FN V lg_fma(V a, V b, V c) { return (V)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c); }
LG_FN V lg_where(M m, V a, V b) { return (V)_mm512_mask_blend_ps(_mm512_movepi32_mask((__m512i)m), (__m512)b, (__m512)a); }
LG_FN M lg_iwhere(M m, M a, M b) { return (M)_mm512_mask_blend_epi32(_mm512_movepi32_mask((__m512i)m), (__m512i)b, (__m512i)a); }
LG_FN V lg_larger(V a, V b) { return (V)_mm512_max_ps((__m512)a, (__m512)b); }
LG_FN V lg_smaller(V a, V b) { return (V)_mm512_min_ps((__m512)a, (__m512)b); }
LG_FN V lg_sqrt(V x) { return (V)_mm512_sqrt_ps((__m512)x); }
LG_FN V lg_floor(V x) { return (V)_mm512_roundscale_ps((__m512)x, 9); }
LG_FN V lg_ceil(V x) { return (V)_mm512_roundscale_ps((__m512)x, 10); }
LG_FN V lg_rint(V x) { return (V)_mm512_roundscale_ps((__m512)x, 8); }
LG_FN V lg_scale(V x, V t) { return (V)_mm512_scalef_ps((__m512)x, (__m512)(t - lg_splat(LG_MAGIC))); }
LG_FN V lg_scale_down(V x, V t) { return lg_scale(x, t); }
LG_FN unsigned lg_truths(M m) { return _mm512_movepi32_mask((__m512i)m); }
LG_FN R lg_sum(V x) { return _mm512_reduce_add_ps((__m512)x); }
LG_FN R lg_largest(V x) { return _mm512_reduce_max_ps((__m512)x); }
LG_FN R lg_smallest(V x) { return _mm512_reduce_min_ps((__m512)x); }
LG_FN __mmask16 lg_first_lanes(int n) { return (__mmask16)((1u << n) - 1); }
LG_FN V lg_read_part(const R *p, int n) { return (V)_mm512_maskz_loadu_ps(lg_first_lanes(n), p); }
LG_FN M lg_iread_part(const LG_INTEGER *p, int n) { return (M)_mm512_maskz_loadu_epi32(lg_first_lanes(n), p); }
LG_FN void lg_write_part(R *p, V x, int n) { _mm512_mask_storeu_ps(p, lg_first_lanes(n), (__m512)x); }
LG_FN void lg_iwrite_part(LG_INTEGER *p, M x, int n) { _mm512_mask_storeu_epi32(p, lg_first_lanes(n), (__m512i)x); }
LG_FN V lg_read_at(const R *p, M index, M mask) {
  return (V)_mm512_mask_i32gather_ps(_mm512_setzero_ps(), _mm512_movepi32_mask((__m512i)mask), (__m512i)index, p, 4);
}
LG_FN M lg_iread_at(const LG_INTEGER *p, M index, M mask) {
  return (M)_mm512_mask_i32gather_epi32(_mm512_setzero_si512(), _mm512_movepi32_mask((__m512i)mask), (__m512i)index, p, 4);
}
LG_FN lg_vector_64 lg_low_half(V x) { return (lg_vector_64)_mm512_cvtps_pd(_mm512_castps512_ps256((__m512)x)); }
LG_FN lg_vector_64 lg_high_half(V x) { return (lg_vector_64)_mm512_cvtps_pd(_mm512_extractf32x8_ps((__m512)x, 1)); }
LG_FN V lg_of_halves(lg_vector_64 low, lg_vector_64 high) {
  return (V)_mm512_insertf32x8(_mm512_castps256_ps512(_mm512_cvtpd_ps((__m512d)low)), _mm512_cvtpd_ps((__m512d)high), 1);
}
/* x = 2^n (1+f), 1+f from sqrt(1/2) to sqrt(2) */
LG_FN V lg_fraction(V x, V *n) {
  __m512 m = _mm512_getmant_ps((__m512)x, _MM_MANT_NORM_1_2, _MM_MANT_SIGN_zero), e = _mm512_getexp_ps((__m512)x);
  __mmask16 half = _mm512_cmp_ps_mask(m, (__m512)lg_splat((R)0x1.6a09e667f3bcdp+0), _CMP_GT_OQ);
  *n = (V)_mm512_mask_add_ps(e, half, e, (__m512)lg_splat(1));
  return (V)_mm512_mask_mul_ps(m, half, m, (__m512)lg_splat((R)0.5)) - lg_splat(1);
}
/* r, but by kinds of x, from the last digit on: NaN, infinity, below, -infinity and of zero that */
LG_FN V lg_log_ends(V x, V r) {
  return (V)_mm512_fixupimm_ps((__m512)r, (__m512)x, _mm512_set1_epi32(0x03530422), 0);
}
#else
LG_FN V lg_fma(V a, V b, V c) { return (V)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c); }
LG_FN V lg_where(M m, V a, V b) { return (V)_mm512_mask_blend_pd(_mm512_movepi64_mask((__m512i)m), (__m512d)b, (__m512d)a); }
LG_FN M lg_iwhere(M m, M a, M b) { return (M)_mm512_mask_blend_epi64(_mm512_movepi64_mask((__m512i)m), (__m512i)b, (__m512i)a); }
LG_FN V lg_larger(V a, V b) { return (V)_mm512_max_pd((__m512d)a, (__m512d)b); }
LG_FN V lg_smaller(V a, V b) { return (V)_mm512_min_pd((__m512d)a, (__m512d)b); }
LG_FN V lg_sqrt(V x) { return (V)_mm512_sqrt_pd((__m512d)x); }
LG_FN V lg_floor(V x) { return (V)_mm512_roundscale_pd((__m512d)x, 9); }
LG_FN V lg_ceil(V x) { return (V)_mm512_roundscale_pd((__m512d)x, 10); }
LG_FN V lg_rint(V x) { return (V)_mm512_roundscale_pd((__m512d)x, 8); }
LG_FN V lg_scale(V x, V t) { return (V)_mm512_scalef_pd((__m512d)x, (__m512d)(t - lg_splat(LG_MAGIC))); }
LG_FN V lg_scale_down(V x, V t) { return lg_scale(x, t); }
LG_FN unsigned lg_truths(M m) { return _mm512_movepi64_mask((__m512i)m); }
LG_FN R lg_sum(V x) { return _mm512_reduce_add_pd((__m512d)x); }
LG_FN R lg_largest(V x) { return _mm512_reduce_max_pd((__m512d)x); }
LG_FN R lg_smallest(V x) { return _mm512_reduce_min_pd((__m512d)x); }
LG_FN __mmask8 lg_first_lanes(int n) { return (__mmask8)((1u << n) - 1); }
LG_FN V lg_read_part(const R *p, int n) { return (V)_mm512_maskz_loadu_pd(lg_first_lanes(n), p); }
LG_FN M lg_iread_part(const LG_INTEGER *p, int n) { return (M)_mm512_maskz_loadu_epi64(lg_first_lanes(n), p); }
LG_FN void lg_write_part(R *p, V x, int n) { _mm512_mask_storeu_pd(p, lg_first_lanes(n), (__m512d)x); }
LG_FN void lg_iwrite_part(LG_INTEGER *p, M x, int n) { _mm512_mask_storeu_epi64(p, lg_first_lanes(n), (__m512i)x); }
LG_FN V lg_read_at(const R *p, M index, M mask) {
  return (V)_mm512_mask_i64gather_pd(_mm512_setzero_pd(), _mm512_movepi64_mask((__m512i)mask), (__m512i)index, p, 8);
}
LG_FN M lg_iread_at(const LG_INTEGER *p, M index, M mask) {
  return (M)_mm512_mask_i64gather_epi64(_mm512_setzero_si512(), _mm512_movepi64_mask((__m512i)mask), (__m512i)index, p, 8);
}
/* x = 2^n (1+f), 1+f from sqrt(1/2) to sqrt(2) */
LG_FN V lg_fraction(V x, V *n) {
  __m512d m = _mm512_getmant_pd((__m512d)x, _MM_MANT_NORM_1_2, _MM_MANT_SIGN_zero), e = _mm512_getexp_pd((__m512d)x);
  __mmask8 half = _mm512_cmp_pd_mask(m, (__m512d)lg_splat((R)0x1.6a09e667f3bcdp+0), _CMP_GT_OQ);
  *n = (V)_mm512_mask_add_pd(e, half, e, (__m512d)lg_splat(1));
  return (V)_mm512_mask_mul_pd(m, half, m, (__m512d)lg_splat((R)0.5)) - lg_splat(1);
}
/* r, but by kinds of x, from the last digit on: NaN, infinity, below, -infinity and of zero that */
LG_FN V lg_log_ends(V x, V r) {
  return (V)_mm512_fixupimm_pd((__m512d)r, (__m512d)x, _mm512_set1_epi64(0x03530422), 0);
}
#endif
