/* The error function and the gamma function's logarithm with their relatives. */
#if LG_BITS == 64 /* scalars: once */
LG_FN double lg_scalar_digamma(double x) {
  if (x == 0) return signbit(x) ? (double)INFINITY : -(double)INFINITY;
  if (x < 0 && x == floor(x)) return (double)NAN;
  double r = 0;
  if (x < 0) {
    r = -3.141592653589793 / tan(3.141592653589793 * (x - rint(x)));
    x = 1 - x;
  }
  for (; x < 10; x += 1) r -= 1 / x;
  double t = 1 / (x * x);
  return r + log(x) - 0.5 / x - t * (1. / 12 - t * (1. / 120 - t * (1. / 252 - t * (1. / 240 - t * (1. / 132 - t * (691. / 32760 - t / 12))))));
}
LG_FN double lg_scalar_trigamma(double x) {
  if (x <= 0 && x == floor(x)) return (double)INFINITY;
  double r = 0, sign = 1;
  if (x < 0) {
    double s = 3.141592653589793 / sin(3.141592653589793 * (x - rint(x)));
    r = s * s;
    sign = -1;
    x = 1 - x;
  }
  double sum = 0;
  for (; x < 10; x += 1) sum += 1 / (x * x);
  double t = 1 / (x * x);
  return r + sign * (sum + 1 / x + t / 2 + t / x * (1. / 6 - t * (1. / 30 - t * (1. / 42 - t * (1. / 30 - t * (5. / 66 - t * 691. / 2730))))));
}
LG_FN double lg_scalar_erfinv(double x) {
  if (!(fabs(x) < 1)) return fabs(x) == 1 ? x * (double)INFINITY : (double)NAN;
  double w = -log1p(-x * x), a = 4.33 + w / 2, y = copysign(sqrt(sqrt(a * a - w / 0.147) - a), x);
  if (fabs(x) < 1e-3) y = x * 0.886226925452758;
  for (int i = 0; i < 4 && x != 0; i++) {
    double e = fabs(x) < 0.5 ? erf(y) - x : copysign((1 - fabs(x)) - erfc(fabs(y)), x);
    double step = e * 0.886226925452758 * exp(y * y);
    y -= step / (1 + y * step);
  }
  return y;
}
#endif
LG_FN V lg_erf(V x) { LG_EACH(erf(x[i])); }
LG_FN V lg_erfc(V x) { LG_EACH(erfc(x[i])); }
LG_FN V lg_erfinv(V x) { LG_EACH(lg_scalar_erfinv(x[i])); }
LG_FN V lg_lgamma(V x) { LG_EACH(lgamma(x[i])); }
LG_FN V lg_digamma(V x) { LG_EACH(lg_scalar_digamma(x[i])); }
LG_FN V lg_trigamma(V x) { LG_EACH(lg_scalar_trigamma(x[i])); }
