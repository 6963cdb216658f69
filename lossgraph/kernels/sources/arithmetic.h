/* Elementwise functions that are exact or rounded once. */
#define LG_LARGEST (LG_BITS == 32 ? (R)3.40282346638528859812e38 : (R)1.79769313486231570815e308)
#define LG_SIGN lg_isplat(LG_BITS == 32 ? INT32_MIN : INT64_MIN)
#define LG_EACH(call) V r = {0}; for (int i = 0; i < LG_LANES; i++) r[i] = (R)call; return r
LG_FN V lg_fma(V a, V b, V c) { return a * b + c; }
LG_FN V lg_neg(V x) { return (V)((M)x ^ LG_SIGN); }
LG_FN V lg_abs(V x) { return (V)((M)x & ~LG_SIGN); }
LG_FN V lg_sqrt(V x) { LG_EACH(sqrt(x[i])); }
LG_FN V lg_reciprocal(V x) { return lg_splat(1) / x; }
LG_FN V lg_floor(V x) { LG_EACH(floor(x[i])); }
LG_FN V lg_ceil(V x) { LG_EACH(ceil(x[i])); }
LG_FN V lg_rint(V x) { LG_EACH(rint(x[i])); }
LG_FN V lg_step(V x) { return lg_where(lg_isnan(x), x, lg_of_mask(x > lg_splat(0))); }
LG_FN V lg_sign(V x) {
  V unit = (V)((M)lg_splat(1) | ((M)x & LG_SIGN));
  return lg_where(lg_isnan(x), x, lg_where(x == lg_splat(0), lg_splat(0), unit));
}
LG_FN V lg_relu(V x) { return lg_where(x <= lg_splat(0), lg_splat(0), x); }
LG_FN V lg_max(V a, V b) { return lg_where((a >= b) | lg_isnan(a), a, b); }
LG_FN V lg_min(V a, V b) { return lg_where((a <= b) | lg_isnan(a), a, b); }
LG_FN V lg_clip(V x, R low, R high) { return lg_min(lg_max(x, lg_splat(low)), lg_splat(high)); }
/* numpy.mod: the sign of the divisor */
LG_FN V lg_mod(V x, V y) {
  V r = {0};
  for (int i = 0; i < LG_LANES; i++) r[i] = (R)fmod(x[i], y[i]);
  M other = (r != lg_splat(0)) & ((r < lg_splat(0)) ^ (y < lg_splat(0)));
  V zero = (V)((M)y & LG_SIGN);
  return lg_where(r == lg_splat(0), zero, lg_where(other, r + y, r));
}
/* w x, and zero where w is and x is infinite */
LG_FN V lg_masked_mul(V w, V x) {
  V c = lg_clip(x, -LG_LARGEST, LG_LARGEST);
  return w * lg_where(w == lg_splat(0), c, x);
}
