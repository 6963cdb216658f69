/* Elementwise functions that are exact or rounded once. */
#define LG_LARGEST (LG_BITS == 32 ? (R)3.40282346638528859812e38 : (R)1.79769313486231570815e308)
LG_FN V lg_reciprocal(V x) { return lg_splat(1) / x; }
LG_FN V lg_step(V x) { return lg_where(x == x, lg_of_mask(x > lg_splat(0)), x); }
LG_FN V lg_sign(V x) {
  V unit = (V)(((M)lg_splat(1) | ((M)x & LG_SIGN)) & (x != lg_splat(0)));
  return lg_where(x == x, unit, x);
}
LG_FN V lg_relu(V x) { return (V)((M)x & ~(x <= lg_splat(0))); }
LG_FN V lg_max(V a, V b) { return lg_where(a == a, lg_larger(a, b), a); }
LG_FN V lg_min(V a, V b) { return lg_where(a == a, lg_smaller(a, b), a); }
LG_FN V lg_clip(V x, R low, R high) { return lg_min(lg_max(x, lg_splat(low)), lg_splat(high)); }
/* w x, where w = 0 times infinity is 0 */
LG_FN V lg_masked_mul(V w, V x) {
  V c = lg_smaller(lg_splat(LG_LARGEST), lg_larger(lg_splat(-LG_LARGEST), x)); /* a NaN stays */
  return w * lg_where(w == lg_splat(0), c, x);
}
/* numpy.mod: the sign of the divisor */
LG_FN V lg_mod(V x, V y) {
  V r = {0};
  for (int i = 0; i < LG_LANES; i++) r[i] = (R)fmod(x[i], y[i]);
  M other = (r < lg_splat(0)) ^ (y < lg_splat(0));
  return lg_where(r == lg_splat(0), lg_copysign(lg_splat(0), y), lg_where(other, r + y, r));
}
