/* What AVX-512 does in one instruction, for both widths: LG_OF(add) is _mm512_add_ps or _pd. */
#undef LG_OF
#undef LG_OF_INTEGERS
#undef LG_TRUTHS
#undef LG_TRUTHS_OF
#undef LG_GREATER
#if LG_BITS == 32
#define LG_OF(name) _mm512_##name##_ps
#define LG_OF_INTEGERS(name) _mm512_##name##_epi32
#define LG_TRUTHS __mmask16
#define LG_TRUTHS_OF(m) _mm512_movepi32_mask((__m512i)(m))
#define LG_GREATER(a, b) _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ)
#else
#define LG_OF(name) _mm512_##name##_pd
#define LG_OF_INTEGERS(name) _mm512_##name##_epi64
#define LG_TRUTHS __mmask8
#define LG_TRUTHS_OF(m) _mm512_movepi64_mask((__m512i)(m))
#define LG_GREATER(a, b) _mm512_cmp_pd_mask(a, b, _CMP_GT_OQ)
#endif

LG_FN V lg_fma(V a, V b, V c) { return LG_OF(fmadd)(a, b, c); }
LG_FN V lg_where(M m, V a, V b) { return LG_OF(mask_blend)(LG_TRUTHS_OF(m), b, a); }
LG_FN M lg_iwhere(M m, M a, M b) {
  return (M)LG_OF_INTEGERS(mask_blend)(LG_TRUTHS_OF(m), (__m512i)b, (__m512i)a);
}
LG_FN V lg_larger(V a, V b) { return LG_OF(max)(a, b); }
LG_FN V lg_smaller(V a, V b) { return LG_OF(min)(a, b); }
LG_FN V lg_sqrt(V x) { return LG_OF(sqrt)(x); }
LG_FN V lg_floor(V x) { return LG_OF(roundscale)(x, 9); }
LG_FN V lg_ceil(V x) { return LG_OF(roundscale)(x, 10); }
LG_FN V lg_rint(V x) { return LG_OF(roundscale)(x, 8); }
LG_FN V lg_scale(V x, V t) { return LG_OF(scalef)(x, t - lg_splat(LG_MAGIC)); }
LG_FN V lg_scale_down(V x, V t) { return lg_scale(x, t); }
LG_FN unsigned lg_truths(M m) { return LG_TRUTHS_OF(m); }
LG_FN R lg_sum(V x) { return LG_OF(reduce_add)(x); }
LG_FN R lg_largest(V x) { return LG_OF(reduce_max)(x); }
LG_FN R lg_smallest(V x) { return LG_OF(reduce_min)(x); }

LG_FN LG_TRUTHS lg_first_lanes(int n) { return (LG_TRUTHS)((1u << n) - 1); }
LG_FN V lg_read_part(const R *p, int n) { return LG_OF(maskz_loadu)(lg_first_lanes(n), p); }
LG_FN M lg_iread_part(const LG_INTEGER *p, int n) {
  return (M)LG_OF_INTEGERS(maskz_loadu)(lg_first_lanes(n), p);
}
LG_FN void lg_write_part(R *p, V x, int n) { LG_OF(mask_storeu)(p, lg_first_lanes(n), x); }
LG_FN void lg_iwrite_part(LG_INTEGER *p, M x, int n) {
  LG_OF_INTEGERS(mask_storeu)(p, lg_first_lanes(n), (__m512i)x);
}
#if LG_BITS == 32
LG_FN V lg_read_at(const R *p, M index, M mask) {
  __mmask16 truths = LG_TRUTHS_OF(mask);
  return _mm512_mask_i32gather_ps(lg_splat(0), truths, (__m512i)index, p, 4);
}
LG_FN M lg_iread_at(const LG_INTEGER *p, M index, M mask) {
  __m512i none = _mm512_setzero_si512();
  return (M)_mm512_mask_i32gather_epi32(none, LG_TRUTHS_OF(mask), (__m512i)index, p, 4);
}
LG_FN lg_vector_64 lg_low_half(V x) { return _mm512_cvtps_pd(_mm512_castps512_ps256(x)); }
LG_FN lg_vector_64 lg_high_half(V x) { return _mm512_cvtps_pd(_mm512_extractf32x8_ps(x, 1)); }
LG_FN V lg_of_halves(lg_vector_64 low, lg_vector_64 high) {
  __m512 lower = _mm512_castps256_ps512(_mm512_cvtpd_ps(low));
  return _mm512_insertf32x8(lower, _mm512_cvtpd_ps(high), 1);
}
#else
LG_FN V lg_read_at(const R *p, M index, M mask) {
  __mmask8 truths = LG_TRUTHS_OF(mask);
  return _mm512_mask_i64gather_pd(lg_splat(0), truths, (__m512i)index, p, 8);
}
LG_FN M lg_iread_at(const LG_INTEGER *p, M index, M mask) {
  __m512i none = _mm512_setzero_si512();
  return (M)_mm512_mask_i64gather_epi64(none, LG_TRUTHS_OF(mask), (__m512i)index, p, 8);
}
#endif

/* x = 2^n (1+f), 1+f from sqrt(1/2) to sqrt(2) */
LG_FN V lg_fraction(V x, V *n) {
  V m = LG_OF(getmant)(x, _MM_MANT_NORM_1_2, _MM_MANT_SIGN_zero), e = LG_OF(getexp)(x);
  LG_TRUTHS half = LG_GREATER(m, lg_splat((R)0x1.6a09e667f3bcdp+0));
  *n = LG_OF(mask_add)(e, half, e, lg_splat(1));
  return LG_OF(mask_mul)(m, half, m, lg_splat((R)0.5)) - lg_splat(1);
}
/* r, but by kinds of x, from the last digit on: NaN, infinity, below, -infinity and of zero that */
LG_FN V lg_log_ends(V x, V r) { return LG_OF(fixupimm)(r, x, LG_OF_INTEGERS(set1)(0x03530422), 0); }
