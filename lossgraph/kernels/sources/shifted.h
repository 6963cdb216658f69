/* Reals of the lanes' width along a line that leaves the array, or runs backwards.

   "range": lane i is p[from + i] for the first n lanes where that is an index of the array, 0
   elsewhere. "reversed": lane i is p[-i], the first n lanes. Nothing else is read. */
LG_FN V lg_load_range(const R *p, int64_t from, int64_t size, int n) {
  int64_t end = size - from < n ? size - from : n;
  if (from >= 0) return end > 0 ? lg_read_part(p + from, (int)end) : lg_splat(0);
#if LG_BYTES == 64
  if (from + LG_LANES <= 0 || end <= 0) return lg_splat(0);
#if LG_BITS == 32
  __mmask16 inside = lg_first_lanes((int)end) & (__mmask16)~lg_first_lanes((int)-from);
  return (V)_mm512_maskz_loadu_ps(inside, p + from);
#else
  __mmask8 inside = lg_first_lanes((int)end) & (__mmask8)~lg_first_lanes((int)-from);
  return (V)_mm512_maskz_loadu_pd(inside, p + from);
#endif
#else
  V r = {0};
  for (int64_t i = -from; i < end; i++) r[i] = p[from + i];
  return r;
#endif
}
LG_FN V lg_load_reversed(const R *p, int n) {
#if LG_BYTES == 64 && LG_BITS == 32
  V x = lg_read_part(p - (n - 1), n);
  return (V)_mm512_permutexvar_ps((__m512i)(lg_isplat(n - 1) - lg_iota()), (__m512)x);
#elif LG_BYTES == 64
  V x = lg_read_part(p - (n - 1), n);
  return (V)_mm512_permutexvar_pd((__m512i)(lg_isplat(n - 1) - lg_iota()), (__m512d)x);
#else
  V r = {0};
  for (int i = 0; i < n; i++) r[i] = p[-i];
  return r;
#endif
}
/* Each of the first n lanes added where its index says, one after the other. */
LG_FN void lg_add_at(R *p, M index, V x, int n) {
  for (int i = 0; i < n; i++) p[index[i]] += x[i];
}
