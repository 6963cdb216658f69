/* erf, erfc and erfinv. */
LG_FN V lg_erf_near(V x) {
  V s = x * x;
  return lg_fma(x, LG_POLYNOMIAL(s, LG_ERF), x);
}
#if LG_BITS == 32
/* From 1 on it is 1 - e^(-a p(a)). */
LG_FN V lg_erf(V x) {
  V a = lg_abs(x), m = lg_smaller(lg_splat(4), a);
  V far = lg_splat(1) - lg_exp_nonpositive(lg_neg(m * LG_POLYNOMIAL(m, LG_ERF_FAR)));
  return lg_copysign(lg_where(a < lg_splat(1), lg_erf_near(a), far), x);
}
LG_FN V lg_erfc(V x) {
  return lg_of_halves(lg_rough_erfc_64(lg_low_half(x)), lg_rough_erfc_64(lg_high_half(x)));
}
LG_BY_HALVES(erfinv)
#else
/* What 1/d, rounded to v, lacks: v times the result; d lacks `low`. */
LG_FN V lg_quotient_error(V v, V d, V low) {
  V back = lg_opaque(v * d);
  return (lg_splat(1) - back) - lg_product_error(v, d, back) - v * low;
}
/* e^-a^2 p(1/(a+3)) / (1+2a), for a > 1/2. What an operation loses goes on as the second part of
   the factor. Of a^2, the square of the upper half of a is exact. */
LG_FN V lg_erfc_far(V a) {
  const V c = lg_splat(LG_ERFC_FIRST), one = lg_splat(1), three = lg_splat(3);
  V m = lg_smaller(lg_splat(28), a), d = m + m + one, e = m + three;
  V u = lg_opaque(one / d), v = lg_opaque(one / e);
  V off = lg_quotient_error(u, d, one - (d - (m + m)));
  V t = (v - lg_splat(0.1875)) + v * lg_quotient_error(v, e, m - (e - three));
  V y = lg_opaque(t * LG_POLYNOMIAL(t, LG_ERFC)), p = lg_opaque(c + y);
  V f = lg_opaque(u * p), f_low = lg_product_error(u, p, f) + u * (y - (p - c)) + f * off;
  V upper = (V)((M)m & lg_isplat(-(INT64_C(1) << 27)));
  return lg_exp_times(f, f_low, -upper * upper, -(m - upper) * (m + upper));
}
/* For float32, whose squares are exact here: e^-a^2 p(1/(a+3)) / (1+2a) from 0 on. */
LG_FN V lg_rough_erfc(V x) {
  V m = lg_smaller(lg_splat(11), lg_abs(x)), d = lg_fma(m, lg_splat(2), lg_splat(1)),
    e = m + lg_splat(3);
  V inverse = lg_splat(1) / (d * e), t = lg_fma(d, inverse, lg_splat(-0.1875));
  V far = LG_POLYNOMIAL(t, LG_ERFC_ROUGH) * (e * inverse) * lg_rough_exp(-m * m);
  return lg_where(x < lg_splat(0), lg_splat(2) - far, far);
}
LG_FN V lg_erf(V x) {
  V a = lg_abs(x);
  return lg_copysign(lg_where(a < lg_splat(1), lg_erf_near(a), lg_splat(1) - lg_erfc_far(a)), x);
}
LG_FN V lg_erfc(V x) {
  V a = lg_abs(x), far = lg_erfc_far(a);
  far = lg_where(x < lg_splat(0), lg_splat(2) - far, far);
  return lg_where(a < lg_splat(0.5), lg_splat(1) - lg_erf_near(x), far);
}
/* x p(w) with w = -log(1-x^2), and polynomials of its root in the tails */
LG_FN V lg_erfinv(V x) {
  V one = lg_splat(1), w = -lg_log((one - x) * (one + x)), root = lg_sqrt(w);
  V p = LG_POLYNOMIAL(w - lg_splat(3.125), LG_ERFINV);
  M tail = w > lg_splat(6.25);
  if (lg_any(tail)) {
    V far = LG_POLYNOMIAL(root - lg_splat(5), LG_ERFINV_FAR);
    far = lg_where(root > lg_splat(4), far, LG_POLYNOMIAL(root - lg_splat(3.25), LG_ERFINV_TAIL));
    p = lg_where(tail, far, p);
  }
  V end = lg_where(lg_abs(x) == one, lg_splat((R)INFINITY), p);
  return x * lg_where(lg_abs(x) > one, lg_splat((R)NAN), end);
}
#endif
