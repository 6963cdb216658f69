/* Exponentials and logarithms. */
/* log(2) in two parts: the first, times any exponent, is exact. */
#define LG_LN2_HIGH (LG_BITS == 32 ? (R)0x1.62e4p-1 : (R)0x1.62e42fefa3800p-1)
#define LG_LN2_LOW (LG_BITS == 32 ? (R)0x1.7f7d1cf79abcap-20 : (R)0x1.ef35793c76730p-45)
#define LG_LOG2_E lg_splat((R)0x1.71547652b82fep+0)
#define LG_EXP_MOST lg_splat(LG_BITS == 32 ? 89 : 710)     /* infinity from here on */
#define LG_EXP_LEAST lg_splat(LG_BITS == 32 ? -105 : -746) /* zero to here */
#define LG_POLYNOMIAL(x, NAME) \
  lg_polynomial(x, (const R[]){LG_WIDE(NAME)}, (int)(sizeof((R[]){LG_WIDE(NAME)}) / sizeof(R)))
LG_FN V lg_polynomial(V x, const R *c, int n) {
  V r = lg_splat(c[n - 1]);
#pragma GCC unroll 32
  for (int i = n - 2; i >= 0; i--) r = lg_fma(r, x, lg_splat(c[i]));
  return r;
}

/* x = n log(2) + r, |r| <= log(2)/2, t = n + LG_MAGIC; r is rest + low, where rest is exact. */
#define LG_REDUCED(x) \
  V t = lg_fma(x, LG_LOG2_E, lg_splat(LG_MAGIC)); \
  V n = t - lg_splat(LG_MAGIC); \
  V rest = lg_fma(n, lg_splat(-LG_LN2_HIGH), x), low = n * lg_splat(-LG_LN2_LOW), r = rest + low
/* e^r - 1 = rest + (low + r^2 p(r)): all roundings but the last are of something small. */
#define LG_EXP_LESS_1(NAME) (rest + lg_fma(r * r, LG_POLYNOMIAL(r, NAME), low))
LG_FN V lg_exp(V x) {
  V c = lg_smaller(LG_EXP_MOST, lg_larger(LG_EXP_LEAST, x)); /* a NaN stays */
  LG_REDUCED(c);
  return lg_scale(LG_EXP_LESS_1(LG_EXP) + lg_splat(1), t);
}
LG_FN V lg_exp_nonpositive(V x) {
  V c = lg_larger(LG_EXP_LEAST, x);
  LG_REDUCED(c);
  return lg_scale_down(LG_EXP_LESS_1(LG_EXP) + lg_splat(1), t);
}
/* (f + f_low) e^(high + lower), for |lower| < 2^-4 */
LG_FN V lg_exp_times(V f, V f_low, V high, V lower) {
  V c = lg_smaller(LG_EXP_MOST + lg_splat(1), lg_larger(LG_EXP_LEAST, high));
  LG_REDUCED(c);
  low += lower;
  r += lower;
  return lg_scale(f + lg_fma(f, LG_EXP_LESS_1(LG_EXP), f_low), t);
}
/* 2^n, for n = t - LG_MAGIC within the exponents */
LG_FN V lg_power_of_2(V t) { return (V)lg_bits_sum((M)t << LG_DIGITS, (M)lg_splat(1)); }
/* 2^n q + (2^n - 1), with q = e^r - 1; half of it first, as 2^128 (2^1024) is none. */
LG_FN V lg_expm1(V x) {
  V c = lg_smaller(LG_EXP_MOST, lg_larger(lg_splat(-40), x));
  LG_REDUCED(c);
  V half = lg_power_of_2(t - lg_splat(1));
  V y = lg_fma(half, LG_EXP_LESS_1(LG_EXPM1), half - lg_splat((R)0.5));
  return lg_where(lg_abs(x) < lg_splat((R)0x1p-60), x, y + y);
}
/* By a polynomial below 5/8; from there on 1 - 2/(e^2|x| + 1). */
LG_FN V lg_tanh(V x) {
  V a = lg_abs(x), c = lg_smaller(lg_splat(40), a + a);
  LG_REDUCED(c);
  V e = (LG_EXP_LESS_1(LG_EXP) + lg_splat(1)) * lg_power_of_2(t);
  V far = lg_splat(1) - lg_splat(2) / (e + lg_splat(1));
  V s = x * x, near = lg_fma(a * s, LG_POLYNOMIAL(s, LG_TANH), a);
  return lg_copysign(lg_where(a < lg_splat((R)0.625), near, far), x);
}

/* log(1+f) + n log(2), f in [sqrt(1/2), sqrt(2)] - 1 */
#if LG_BITS == 32
LG_FN V lg_log_core(V f, V n) {
  V q = f * f;
  V tail = lg_fma(n, lg_splat(LG_LN2_LOW), q * f * LG_POLYNOMIAL(f, LG_LOG));
  return lg_fma(n, lg_splat(LG_LN2_HIGH), f + lg_fma(q, lg_splat((R)-0.5), tail));
}
#else /* by 2s + s^3 p(s^2), s = f/(2+f), a third of the terms; 2s is f - f^2/2 + s f^2/2 */
LG_FN V lg_log_core(V f, V n) {
  V s = f / (f + lg_splat(2)), z = s * s, q = lg_splat(0.5) * f * f;
  V tail = lg_fma(n, lg_splat(LG_LN2_LOW), s * lg_fma(z, LG_POLYNOMIAL(z, LG_LOG), q));
  return lg_fma(n, lg_splat(LG_LN2_HIGH), f - (q - tail));
}
#endif
/* The bits of sqrt(1/2). */
#define LG_SQRT_HALF (LG_BITS == 32 ? INT64_C(0x3f3504f3) : INT64_C(0x3fe6a09e667f3bcd))
#define LG_FRACTION lg_isplat((INT64_C(1) << LG_DIGITS) - 1)
#if LG_BYTES != 64
/* f and n of x = 2^n (1+f), for x > 0 */
LG_FN V lg_fraction(V x, V *n) {
  const R up = LG_BITS == 32 ? (R)0x1p23 : (R)0x1p52;
  const R least = LG_BITS == 32 ? (R)0x1p-126 : (R)0x1p-1022;
  M small = x < lg_splat(least);
  M bits = lg_bits_less((M)lg_where(small, x * lg_splat(up), x), lg_isplat(LG_SQRT_HALF));
  *n = lg_to_real((bits >> LG_DIGITS) - (small & lg_isplat(LG_DIGITS)));
  return (V)((bits & LG_FRACTION) + lg_isplat(LG_SQRT_HALF)) - lg_splat(1);
}
/* r, but what a logarithm is of 0, below, of infinity and NaN. */
LG_FN V lg_log_ends(V x, V r) {
  r = lg_where(x < lg_splat((R)INFINITY), r, x);
  r = lg_where(x == lg_splat(0), lg_splat(-(R)INFINITY), r);
  return lg_where(x < lg_splat(0), lg_splat((R)NAN), r);
}
#endif
LG_FN V lg_log(V x) {
  V n, f = lg_fraction(x, &n);
  return lg_log_ends(x, lg_log_core(f, n));
}
/* 1+x = 2^n (1+f) with f = 2^-n x + (2^-n - 1): exact but for one rounding */
LG_FN V lg_log1p(V x) {
  V u = x + lg_splat(1);
  M n = lg_bits_less((M)u, lg_isplat(LG_SQRT_HALF)) >> LG_DIGITS;
  /* 2^-n times 4, as 2^-128 (2^-1024) is no normal number */
  V s = (V)lg_bits_less((M)lg_splat(4), n << LG_DIGITS);
  const V quarter = lg_splat((R)0.25);
  V r = lg_log_core(lg_fma(x * quarter, s, s * quarter - lg_splat(1)), lg_to_real(n));
  return lg_where(lg_abs(x) < lg_splat((R)0x1p-60), x, lg_log_ends(u, r));
}
/* log(1+x) less x, for x in [0, 1] or NaN */
#if LG_BITS == 32
LG_FN V lg_log1p_rest(V x) { return x * x * LG_POLYNOMIAL(x, LG_LOG1P); }
#else /* as in lg_log_core */
LG_FN V lg_log1p_rest(V x) {
  V s = x / (x + lg_splat(2)), z = s * s, q = lg_splat(0.5) * x * x;
  return lg_fma(s, lg_fma(z, LG_POLYNOMIAL(z, LG_LOG1P), q), -q);
}
#endif
LG_FN V lg_log1p_unit(V x) { return x + lg_log1p_rest(x); }

/* 1/(1+t), or t/(1+t) with t = 2^n (1+q) not rounded first; t = e^-|x|. */
LG_FN V lg_sigmoid(V x) {
  V c = lg_larger(LG_EXP_LEAST, lg_neg(lg_abs(x)));
  LG_REDUCED(c);
  const V one = lg_splat(1);
  V q = LG_EXP_LESS_1(LG_EXP), p = q + one, e = lg_scale_down(p, t), d = one + e, w = one / d;
  q -= (e - (d - one)) * w * p; /* what the sum lost */
  return lg_where(x < lg_splat(0), lg_scale_down(lg_fma(w, q, w), t), w);
}
#if LG_FUSED
LG_FN V lg_log1p_exp_neg_abs(V x) { return lg_log1p_unit(lg_exp_nonpositive(lg_neg(lg_abs(x)))); }
#else /* the square is rounded: e^-|x| must bring what its own rounding took */
LG_FN V lg_log1p_exp_neg_abs(V x) {
  V c = lg_larger(LG_EXP_LEAST, lg_neg(lg_abs(x)));
  LG_REDUCED(c);
  V q = LG_EXP_LESS_1(LG_EXP), p = q + lg_splat(1), e = lg_scale_down(p, t);
  V lost = e * (q - (p - lg_splat(1))) * (lg_splat(1) - lg_splat((R)0.5) * e);
  return e + (lg_log1p_rest(e) + lost);
}
#endif
LG_FN V lg_softplus(V x) { return lg_relu(x) + lg_log1p_exp_neg_abs(x); }
