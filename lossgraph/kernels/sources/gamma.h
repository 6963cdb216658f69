/* The logarithm of the gamma function and its derivatives: float32 through float64.

   Below zero by reflection. Absolute errors where a value comes near zero: some 2^-53 of the terms.
   Float64 elsewhere to a few units in the last place. */
#if LG_BITS == 32
LG_BY_HALVES(lgamma)
LG_BY_HALVES(digamma)
LG_BY_HALVES(trigamma)
#else
/* Below 3 w (w-1) p(w) and a logarithm, w in [0, 1]; then Stirling's series as p(1/x^2)/x. */
LG_FN V lg_lgamma_positive(V x) {
  V one = lg_splat(1), below = x - one;
  M first = x < one, second = x < lg_splat(2), near = x < lg_splat(3);
  V w = lg_where(first, x, lg_where(second, below, x - lg_splat(2)));
  V argument = lg_where(near & ~first, lg_where(second, one, below), x);
  V low, logarithm = lg_log_parts(argument, &low);
  low = lg_where(first, -low, low);
  V small = lg_where(first, -logarithm, logarithm) +
            lg_fma(w * (w - one), LG_POLYNOMIAL(w, LG_GAMMA), low);
  V inverse = one / x, s = inverse * inverse;
  V tail = lg_fma(inverse, LG_POLYNOMIAL(s, LG_STIRLING),
                  lg_splat(0x1.acfe390c97d69p-2)); /* (log(2 pi) - 1)/2 */
  V factor = x - lg_splat(0.5), less = lg_opaque(logarithm - one);
  low += (logarithm - less) - one;
  V main = lg_opaque(factor * less),
    large = main + (lg_product_error(factor, less, main) + lg_fma(factor, low, tail));
  V r = lg_where(near, small, lg_where(main < lg_splat((R)INFINITY), large, main));
  r = lg_where(x == lg_splat(0), lg_splat((R)INFINITY), r);
  return lg_where(x < lg_splat((R)INFINITY), r, x);
}
/* 1-x if x < 0 */
LG_FN V lg_reflected(V x) { return lg_where(x < lg_splat(0), lg_splat(1) - x, x); }
LG_FN V lg_lgamma(V x) {
  V y = lg_lgamma_positive(lg_reflected(x));
  M below = x < lg_splat(0);
  if (!lg_any(below)) return y;
  V log_sine = lg_log(lg_abs(lg_sin_pi(x - lg_rint(x))));
  V r = lg_splat(0x1.250d048e7a1bdp+0) - log_sine - y; /* log(pi) */
  return lg_where(below, lg_where(x == lg_floor(x), lg_splat((R)INFINITY), r), y);
}
/* In [1, 2] (x - zero) p(x - 3/2); below 8 moved there, by a sum of 1/(x-k) as one quotient; from 8
   on log(x) and a series. */
LG_FN V lg_digamma_positive(V x) {
  const V one = lg_splat(1);
  M first = x < one;
  V y = lg_where(first, x + one, x), sum = lg_splat(0), product = one;
#pragma GCC unroll 6
  for (int k = 0; k < 6; k++) {
    M above = y > lg_splat(2);
    V next = lg_where(above, y - one, y), factor = lg_where(above, next, one);
    sum = lg_fma(sum, factor, (V)((M)product & above));
    product *= factor;
    y = next;
  }
  sum = lg_where(first, lg_splat(-1), sum);
  product = lg_where(first, x, product);
  V distance = (y - lg_splat(0x1.762d86356be3fp+0)) - lg_splat(0x1.b86a722197829p-54);
  V near = lg_fma(distance, LG_POLYNOMIAL(y - lg_splat(1.5), LG_DIGAMMA_NEAR), sum / product);
  V inverse = one / x, s = inverse * inverse;
  V far = lg_log(x) - lg_fma(inverse, lg_splat(0.5), s * LG_POLYNOMIAL(s, LG_DIGAMMA));
  return lg_where(x < lg_splat(8), near, far);
}
LG_FN V lg_digamma(V x) {
  V y = lg_digamma_positive(lg_reflected(x));
  V r = x - lg_rint(x);
  V reflected =
      y - lg_splat(0x1.921fb54442d18p+1) * lg_cos_pi(r) / lg_copysign(lg_sin_pi(lg_abs(r)), r);
  y = lg_where(x < lg_splat(0), lg_where(r == lg_splat(0), lg_splat((R)NAN), reflected), y);
  return lg_where(x == lg_splat(0), lg_copysign(lg_splat((R)INFINITY), lg_neg(x)), y);
}
LG_FN V lg_trigamma_positive(V x) {
  M near = x < lg_splat(8);
  V sum = lg_splat(0);
#pragma GCC unroll 8
  for (int k = 0; k < 8; k++) {
    V inverse = lg_splat(1) / (x + lg_splat(k));
    sum = lg_fma(inverse, inverse, sum);
  }
  V y = lg_where(near, x + lg_splat(8), x), inverse = lg_splat(1) / y, s = inverse * inverse;
  V series = lg_fma(s * inverse, LG_POLYNOMIAL(s, LG_TRIGAMMA), lg_fma(s, lg_splat(0.5), inverse));
  return lg_where(near, series + sum, series);
}
LG_FN V lg_trigamma(V x) {
  V y = lg_trigamma_positive(lg_reflected(x));
  M below = x < lg_splat(0);
  if (!lg_any(below)) return y;
  V q = lg_splat(0x1.921fb54442d18p+1) / lg_sin_pi(x - lg_rint(x));
  return lg_where(below, q * q - y, y);
}
#endif
