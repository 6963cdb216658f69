/* SSE2 and 64-bit ARM: where the compiler's vectors alone would go lane by lane. */
#if defined(__SSE2__)
#undef LG_OF
#if LG_BITS == 32
#define LG_OF(name) _mm_##name##_ps
#else
#define LG_OF(name) _mm_##name##_pd
#endif
LG_FN V lg_larger(V a, V b) { return LG_OF(max)(a, b); }
LG_FN V lg_smaller(V a, V b) { return LG_OF(min)(a, b); }
LG_FN V lg_sqrt(V x) { return LG_OF(sqrt)(x); }
LG_FN unsigned lg_truths(M m) { return (unsigned)LG_OF(movemask)((V)m); }
#if LG_BITS == 32
LG_FN lg_vector_64 lg_low_half(V x) { return _mm_cvtps_pd(x); }
LG_FN lg_vector_64 lg_high_half(V x) { return _mm_cvtps_pd(_mm_movehl_ps(x, x)); }
LG_FN V lg_of_halves(lg_vector_64 low, lg_vector_64 high) {
  return _mm_movelh_ps(_mm_cvtpd_ps(low), _mm_cvtpd_ps(high));
}
#endif
LG_FN V lg_fma(V a, V b, V c) { return a * b + c; }
/* Below 2^23 (2^52), adding that much leaves no digits for a fraction. */
LG_FN V lg_rint(V x) {
  const V big = lg_splat(LG_BITS == 32 ? (R)0x1p23 : (R)0x1p52);
  V a = lg_abs(x), r = lg_copysign((a + big) - big, x);
  return lg_where(a < big, r, x);
}
LG_FN V lg_floor(V x) {
  V r = lg_rint(x);
  return lg_copysign(r - lg_of_mask(r > x), x);
}
LG_FN V lg_ceil(V x) {
  V r = lg_rint(x);
  return lg_copysign(r + lg_of_mask(r < x), x);
}
#elif defined(__aarch64__)
#undef LG_OF
#if LG_BITS == 32
#define LG_OF(name) name##_f32
#else
#define LG_OF(name) name##_f64
#endif
LG_FN V lg_fma(V a, V b, V c) { return LG_OF(vfmaq)(c, a, b); }
LG_FN V lg_sqrt(V x) { return LG_OF(vsqrtq)(x); }
LG_FN V lg_floor(V x) { return LG_OF(vrndmq)(x); }
LG_FN V lg_ceil(V x) { return LG_OF(vrndpq)(x); }
LG_FN V lg_rint(V x) { return LG_OF(vrndnq)(x); }
#if LG_BITS == 32
LG_FN lg_vector_64 lg_low_half(V x) { return vcvt_f64_f32(vget_low_f32(x)); }
LG_FN lg_vector_64 lg_high_half(V x) { return vcvt_high_f64_f32(x); }
LG_FN V lg_of_halves(lg_vector_64 low, lg_vector_64 high) {
  return vcvt_high_f32_f64(vcvt_f32_f64(low), high);
}
#endif
#else /* lane by lane */
LG_FN V lg_fma(V a, V b, V c) { return a * b + c; }
LG_FN V lg_sqrt(V x) { LG_EACH(sqrt(x[i])); }
LG_FN V lg_floor(V x) { LG_EACH(floor(x[i])); }
LG_FN V lg_ceil(V x) { LG_EACH(ceil(x[i])); }
LG_FN V lg_rint(V x) { LG_EACH(rint(x[i])); }
#if LG_BITS == 32
LG_FN lg_vector_64 lg_low_half(V x) {
  lg_vector_64 r = {0};
  for (int i = 0; i < LG_LANES / 2; i++) r[i] = x[i];
  return r;
}
LG_FN lg_vector_64 lg_high_half(V x) {
  lg_vector_64 r = {0};
  for (int i = 0; i < LG_LANES / 2; i++) r[i] = x[LG_LANES / 2 + i];
  return r;
}
LG_FN V lg_of_halves(lg_vector_64 low, lg_vector_64 high) {
  LG_EACH((i < LG_LANES / 2 ? low[i] : high[i - LG_LANES / 2]));
}
#endif
#endif
#if !defined(__SSE2__)
LG_FN V lg_larger(V a, V b) { return lg_where(a > b, a, b); }
LG_FN V lg_smaller(V a, V b) { return lg_where(a < b, a, b); }
LG_FN unsigned lg_truths(M m) {
  unsigned r = 0;
  for (int i = 0; i < LG_LANES; i++) r |= (unsigned)(m[i] & 1) << i;
  return r;
}
#endif
LG_FN V lg_read_part(const R *p, int n) {
  V r = {0};
  for (int i = 0; i < n; i++) r[i] = p[i];
  return r;
}
LG_FN M lg_iread_part(const LG_INTEGER *p, int n) {
  M r = {0};
  for (int i = 0; i < n; i++) r[i] = p[i];
  return r;
}
LG_FN void lg_write_part(R *p, V x, int n) {
  for (int i = 0; i < n; i++) p[i] = x[i];
}
LG_FN void lg_iwrite_part(LG_INTEGER *p, M x, int n) {
  for (int i = 0; i < n; i++) p[i] = x[i];
}
LG_FN V lg_read_at(const R *p, M index, M mask) {
  V r = {0};
  for (int i = 0; i < LG_LANES; i++)
    if (mask[i]) r[i] = p[index[i]];
  return r;
}
LG_FN M lg_iread_at(const LG_INTEGER *p, M index, M mask) {
  M r = {0};
  for (int i = 0; i < LG_LANES; i++)
    if (mask[i]) r[i] = p[index[i]];
  return r;
}
