/* Powers, and what follows from exponentials: float32 through float64. */
#if LG_BITS == 32
#define LG_BY_HALVES(name) \
  LG_FN V lg_##name(V x) { \
    return lg_of_halves(lg_##name##_64(lg_low_half(x)), lg_##name##_64(lg_high_half(x))); \
  }
LG_FN V lg_power_of_positive(V x, V y) {
  V b = lg_smaller(lg_splat(0x1p64f), lg_larger(lg_splat(-0x1p64f), y));
  lg_vector_64 low = lg_rough_power_64(lg_low_half(x), lg_low_half(b));
  return lg_of_halves(low, lg_rough_power_64(lg_high_half(x), lg_high_half(b)));
}
LG_BY_HALVES(sinh)
LG_BY_HALVES(cosh)
LG_BY_HALVES(asinh)
#else
/* log(x) for x > 0 as the result and *lower, to 2^-64 of it: with s = f/(2+f), x = 2^n (1+f),
   n log(2) + 2s + 2s^3/3 + s^5 p(s^2), all but the last in two parts. */
LG_FN V lg_log_parts(V x, V *lower) {
  V n, f = lg_fraction(x, &n);
  V d = f + lg_splat(2), d_low = f - (d - lg_splat(2)), inverse = lg_splat(1) / d;
  V s = lg_opaque(f * inverse), sd = lg_opaque(s * d);
  V s_low = ((f - sd) - lg_product_error(s, d, sd) - s * d_low) * inverse;
  V z = lg_opaque(s * s), z_low = lg_product_error(s, s, z) + lg_splat(2) * s * s_low;
  V w = lg_opaque(s * z), w_low = lg_product_error(s, z, w) + s * z_low + s_low * z;
  const V c = lg_splat(0x1.5555555555555p-1), c_low = lg_splat(0x1.5555555555555p-55);
  V cube = lg_opaque(c * w), cube_low = lg_product_error(c, w, cube) + c * w_low + c_low * w;
  V tail = w * z * LG_POLYNOMIAL(z, LG_ATANH);
  V whole = lg_opaque(n * lg_splat(LG_LN2_HIGH)), twice = s + s;
  V first = lg_opaque(whole + twice), second = lg_opaque(first + cube);
  V rest = (twice - (first - whole)) + (cube - (second - first));
  V low = rest + (tail + (cube_low + lg_fma(n, lg_splat(LG_LN2_LOW), s_low + s_low)));
  V sum = lg_opaque(second + low);
  *lower = low - (sum - second);
  return sum;
}
LG_FN V lg_power_of_positive(V x, V y) {
  V b = lg_smaller(lg_splat(0x1p64), lg_larger(lg_splat(-0x1p64), y)), lower;
  V logarithm = lg_log_parts(x, &lower);
  V product = lg_opaque(b * logarithm), rest = lg_product_error(b, logarithm, product) + b * lower;
  M inside = lg_abs(product) < lg_splat(1000);
  return lg_exp_times(lg_splat(1), lg_splat(0), product, (V)((M)rest & inside));
}
/* For float32: to 2^-30, within its exponents and somewhat beyond. */
LG_FN V lg_rough_exp(V x) {
  V c = lg_smaller(lg_splat(200), lg_larger(lg_splat(-200), x));
  LG_REDUCED(c);
  return (LG_EXP_LESS_1(LG_EXP_ROUGH) + lg_splat(1)) * lg_power_of_2(t);
}
LG_FN V lg_rough_power(V x, V y) {
  V n, f = lg_fraction(x, &n), q = f * f;
  V logarithm = lg_fma(q, lg_fma(f, LG_POLYNOMIAL(f, LG_LOG_ROUGH), lg_splat(-0.5)), f);
  return lg_rough_exp(y * lg_fma(n, lg_splat(0x1.62e42fefa39efp-1), logarithm));
}
/* By a polynomial below 1. */
LG_FN V lg_sinh(V x) {
  V a = lg_abs(x), s = x * x, near = lg_fma(a * s, LG_POLYNOMIAL(s, LG_SINH), a);
  V half = lg_exp_times(lg_splat(0.5), lg_splat(0), a, lg_splat(0));
  return lg_copysign(lg_where(a < lg_splat(1), near, half - lg_splat(0.25) / half), x);
}
LG_FN V lg_cosh(V x) {
  V half = lg_exp_times(lg_splat(0.5), lg_splat(0), lg_abs(x), lg_splat(0));
  return half + lg_splat(0.25) / half;
}
/* log(1 + a + a^2/(1+sqrt(1+a^2))), and log(2a) where a^2 is out of range */
LG_FN V lg_asinh(V x) {
  V a = lg_abs(x), s = a * a;
  M far = a > lg_splat(0x1p60);
  V near = a + s / (lg_splat(1) + lg_sqrt(lg_splat(1) + s));
  V r = lg_log1p(lg_where(far, a, near)) + (V)((M)lg_splat(0x1.62e42fefa39efp-1) & far);
  return lg_copysign(r, x);
}
#endif
/* C's pow: 1 where x is 1 or y is 0, whatever the other. */
LG_FN V lg_pow(V x, V y) {
  const V zero = lg_splat(0), one = lg_splat(1), infinity = lg_splat((R)INFINITY),
          half = lg_splat((R)0.5);
  V a = lg_abs(x), r = lg_power_of_positive(a, y);
  M end = (a == zero) | (a == infinity);
  r = lg_where(end, lg_where((a == zero) ^ (y < zero), zero, infinity), r);
  M whole = lg_rint(y) == y, odd = whole & (lg_rint(y * half) != y * half);
  r = (V)((M)r ^ ((M)x & LG_SIGN & odd));
  M none = ((x < zero) & ~end & ~whole) | lg_isnan(x) | lg_isnan(y);
  r = lg_where(none, lg_splat((R)NAN), r);
  return lg_where((x == one) | (y == zero), one, r);
}
