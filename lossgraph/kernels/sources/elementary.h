/* Exponentials and logarithms. */
#define LG_LN2_HIGH (LG_BITS == 32 ? (R)0x1.62e4p-1 : (R)0x1.62e42fefa3800p-1) /* times any exponent: exact */
#define LG_LN2_LOW (LG_BITS == 32 ? (R)0x1.7f7d1cf79abcap-20 : (R)0x1.ef35793c76730p-45)
#define LG_LOG2_E lg_splat((R)0x1.71547652b82fep+0)
#define LG_EXP_MOST lg_splat(LG_BITS == 32 ? 89 : 710) /* infinity from here on */
#define LG_EXP_LEAST lg_splat(LG_BITS == 32 ? -105 : -746) /* zero to here */
#define LG_POLYNOMIAL(x, NAME) lg_polynomial(x, (const R[]){LG_WIDE(NAME)}, (int)(sizeof((R[]){LG_WIDE(NAME)}) / sizeof(R)))
LG_FN V lg_polynomial(V x, const R *c, int n) {
  V r = lg_splat(c[n - 1]);
#pragma GCC unroll 32
  for (int i = n - 2; i >= 0; i--) r = lg_fma(r, x, lg_splat(c[i]));
  return r;
}

/* e^x = 2^n (1 + r + r^2 p(r)), |r| <= log(2)/2. */
#define LG_EXP_REDUCED(x) \
  V t = lg_fma(x, LG_LOG2_E, lg_splat(LG_MAGIC)); \
  V n = t - lg_splat(LG_MAGIC); \
  V r = lg_fma(n, lg_splat(-LG_LN2_LOW), lg_fma(n, lg_splat(-LG_LN2_HIGH), x))
LG_FN V lg_exp(V x) {
  V c = lg_smaller(LG_EXP_MOST, lg_larger(LG_EXP_LEAST, x)); /* a NaN stays */
  LG_EXP_REDUCED(c);
  return lg_scale(lg_fma(r * r, LG_POLYNOMIAL(r, LG_EXP), r) + lg_splat(1), t);
}
LG_FN V lg_exp_nonpositive(V x) {
  V c = lg_larger(LG_EXP_LEAST, x);
  LG_EXP_REDUCED(c);
  return lg_scale_down(lg_fma(r * r, LG_POLYNOMIAL(r, LG_EXP), r) + lg_splat(1), t);
}
/* f e^(high + low), for f > 0 and |low| < 2^-4 */
LG_FN V lg_exp_times(V f, V high, V low) {
  V c = lg_smaller(LG_EXP_MOST, lg_larger(LG_EXP_LEAST, high));
  LG_EXP_REDUCED(c);
  r += low;
  V q = lg_fma(r * r, LG_POLYNOMIAL(r, LG_EXP), r);
  return lg_scale(lg_fma(f, q, f), t);
}
/* 2^n q + (2^n - 1), with q = e^r - 1; half of it first, as 2^128 (2^1024) is none. */
LG_FN V lg_expm1(V x) {
  V c = lg_smaller(LG_EXP_MOST, lg_larger(lg_splat(-40), x));
  LG_EXP_REDUCED(c);
  V q = lg_fma(r * r, LG_POLYNOMIAL(r, LG_EXPM1), r);
  V half = (V)(((M)t << LG_DIGITS) + (M)lg_splat((R)0.5));
  V y = lg_fma(half, q, half - lg_splat((R)0.5));
  return lg_where(lg_abs(x) < lg_splat((R)0x1p-60), x, y + y);
}
/* From e^2|x| - 1, which loses no digits near 0. */
LG_FN V lg_tanh(V x) {
  V a = lg_abs(x), c = lg_smaller(lg_splat(40), a + a);
  LG_EXP_REDUCED(c);
  V q = lg_fma(r * r, LG_POLYNOMIAL(r, LG_EXPM1), r);
  V s = (V)(((M)t << LG_DIGITS) + (M)lg_splat(1));
  V e = lg_fma(s, q, s - lg_splat(1));
  return lg_copysign(e / (e + lg_splat(2)), x);
}

/* log(1+f) + n log(2), f in [sqrt(1/2), sqrt(2)] - 1 */
LG_FN V lg_log_core(V f, V n) {
  V q = f * f;
  V tail = lg_fma(n, lg_splat(LG_LN2_LOW), q * f * LG_POLYNOMIAL(f, LG_LOG));
  return lg_fma(n, lg_splat(LG_LN2_HIGH), f + lg_fma(q, lg_splat((R)-0.5), tail));
}
#define LG_SQRT_HALF (LG_BITS == 32 ? INT64_C(0x3f3504f3) : INT64_C(0x3fe6a09e667f3bcd)) /* its bits */
#define LG_FRACTION lg_isplat((INT64_C(1) << LG_DIGITS) - 1)
/* What a logarithm is at the ends: of 0, below, of infinity and NaN. */
LG_FN V lg_log_ends(V x, V r) {
  r = lg_where(x < lg_splat((R)INFINITY), r, x);
  r = lg_where(x == lg_splat(0), lg_splat(-(R)INFINITY), r);
  return lg_where(x < lg_splat(0), lg_splat((R)NAN), r);
}
LG_FN V lg_log(V x) {
  const R up = LG_BITS == 32 ? (R)0x1p23 : (R)0x1p52, least = LG_BITS == 32 ? (R)0x1p-126 : (R)0x1p-1022;
  M small = x < lg_splat(least);
  M bits = (M)lg_where(small, x * lg_splat(up), x) - lg_isplat(LG_SQRT_HALF);
  V n = lg_to_real((bits >> LG_DIGITS) - (small & lg_isplat(LG_DIGITS)));
  V m = (V)((bits & LG_FRACTION) + lg_isplat(LG_SQRT_HALF));
  return lg_log_ends(x, lg_log_core(m - lg_splat(1), n));
}
/* 1+x = 2^n (1+f) with f = 2^-n x + (2^-n - 1): exact but for one rounding */
LG_FN V lg_log1p(V x) {
  V u = x + lg_splat(1);
  M n = ((M)u - lg_isplat(LG_SQRT_HALF)) >> LG_DIGITS;
  V s = (V)((M)lg_splat(1) - (n << LG_DIGITS));
  V r = lg_log_core(lg_fma(x, s, s - lg_splat(1)), lg_to_real(n));
  return lg_where(x == lg_splat(0), x, lg_log_ends(u, r));
}
/* For x in [0, 1] or NaN. */
LG_FN V lg_log1p_unit(V x) { return lg_fma(x * x, LG_POLYNOMIAL(x, LG_LOG1P), x); }

LG_FN V lg_sigmoid(V x) {
  V t = lg_exp_nonpositive(lg_neg(lg_abs(x)));
  return lg_where(x < lg_splat(0), t, lg_splat(1)) / (lg_splat(1) + t);
}
LG_FN V lg_log1p_exp_neg_abs(V x) { return lg_log1p_unit(lg_exp_nonpositive(lg_neg(lg_abs(x)))); }
LG_FN V lg_softplus(V x) { return lg_relu(x) + lg_log1p_exp_neg_abs(x); }

LG_FN V lg_pow(V x, V y) { LG_EACH(pow(x[i], y[i])); }
LG_FN V lg_sin(V x) { LG_EACH(sin(x[i])); }
LG_FN V lg_cos(V x) { LG_EACH(cos(x[i])); }
LG_FN V lg_atan(V x) { LG_EACH(atan(x[i])); }
LG_FN V lg_sinh(V x) { LG_EACH(sinh(x[i])); }
LG_FN V lg_cosh(V x) { LG_EACH(cosh(x[i])); }
LG_FN V lg_asinh(V x) { LG_EACH(asinh(x[i])); }
