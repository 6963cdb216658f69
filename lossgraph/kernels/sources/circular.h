/* Sine, cosine, arc tangent: float32 through float64. */
#if LG_BITS == 32
LG_BY_HALVES(sin)
LG_BY_HALVES(cos)
LG_BY_HALVES(atan)
#else
#define LG_CIRCLE_END lg_splat(0x1p20) /* beyond, pi/2 would need more digits: the C library */
/* sin(x + quarters pi/2), |x| below the end: x = n pi/2 + r, pi/2 in parts of 33 digits */
LG_FN V lg_sin_turned(V x, int64_t quarters) {
  V t = lg_fma(x, lg_splat(0x1.45f306dc9c883p-1), lg_splat(LG_MAGIC)), n = t - lg_splat(LG_MAGIC);
  V r = lg_fma(n, lg_splat(-0x1.921fb544p+0), x);
  r = lg_fma(n, lg_splat(-0x1.0b4611a6p-34), r);
  r = lg_fma(n, lg_splat(-0x1.3198a2e037073p-69), r);
  M turn = (M)t + lg_isplat(quarters);
  V s = r * r, sine = lg_fma(r * s, LG_POLYNOMIAL(s, LG_SIN), r);
  V cosine = lg_fma(s * s, LG_POLYNOMIAL(s, LG_COS), lg_splat(1) - lg_splat(0.5) * s);
  V y = lg_where((turn & lg_isplat(1)) != lg_isplat(0), cosine, sine);
  return (V)((M)y ^ ((turn & lg_isplat(2)) << 62));
}
LG_FN V lg_sin(V x) {
  if (lg_any(lg_abs(x) > LG_CIRCLE_END)) {
    LG_EACH(sin(x[i]));
  }
  return lg_where(x == lg_splat(0), x, lg_sin_turned(x, 0));
}
LG_FN V lg_cos(V x) {
  if (lg_any(lg_abs(x) > LG_CIRCLE_END)) {
    LG_EACH(cos(x[i]));
  }
  return lg_sin_turned(x, 1);
}
/* Turned by 0, pi/4 or pi/2 into |z| < tan(pi/8). */
LG_FN V lg_atan(V x) {
  V a = lg_abs(x), one = lg_splat(1);
  M some = a > lg_splat(0.41421356), more = a > lg_splat(2.41421356);
  V up = lg_where(more, lg_splat(-1), lg_where(some, a - one, a));
  V z = up / lg_where(more, a, lg_where(some, a + one, one));
  V turn =
      lg_where(more, lg_splat(0x1.921fb54442d18p+0), (V)((M)lg_splat(0x1.921fb54442d18p-1) & some));
  V rest = lg_where(more, lg_splat(0x1.1a62633145c07p-54),
                    (V)((M)lg_splat(0x1.1a62633145c07p-55) & some));
  V s = z * z;
  return lg_copysign(turn + (z + lg_fma(z * s, LG_POLYNOMIAL(s, LG_ATAN), rest)), x);
}
/* sin(pi r) and cos(pi r), |r| <= 1/2 */
LG_FN V lg_sin_pi(V r) {
  V s = r * r;
  return r * LG_POLYNOMIAL(s, LG_SIN_PI);
}
LG_FN V lg_cos_pi(V r) { return lg_sin_pi(lg_splat(0.5) - lg_abs(r)); }
#endif
