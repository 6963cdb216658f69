/* The types of a width and what moves lanes. A mask is an M of lanes -1 (true) and 0. */
#if defined(__AVX512F__) && defined(__AVX512DQ__) && defined(__AVX512BW__) && defined(__AVX512VL__)
#define LG_BYTES 64
#elif defined(__AVX2__)
#define LG_BYTES 32
#else
#define LG_BYTES 16
#endif
#if LG_BITS == 32
typedef float R;
typedef int32_t LG_INTEGER;
enum { LG_LANES = LG_BYTES / 4 };
#else
typedef double R;
typedef int64_t LG_INTEGER;
enum { LG_LANES = LG_BYTES / 8 };
#endif
typedef R V __attribute__((vector_size(LG_BYTES)));
typedef LG_INTEGER M __attribute__((vector_size(LG_BYTES)));

LG_FN V lg_splat(R x) { return x - (V){0}; }
LG_FN M lg_isplat(int64_t x) { return (LG_INTEGER)x - (M){0}; }
LG_FN M lg_iota(void) { M r = {0}; for (int i = 0; i < LG_LANES; i++) r[i] = i; return r; }
LG_FN R lg_first(V x) { return x[0]; }
LG_FN int64_t lg_ifirst(M x) { return x[0]; }

LG_FN V lg_where(M m, V a, V b) { return (V)(((M)a & m) | ((M)b & ~m)); }
LG_FN M lg_iwhere(M m, M a, M b) { return (a & m) | (b & ~m); }
LG_FN V lg_of_mask(M m) { return (V)((M)lg_splat(1) & m); }
LG_FN M lg_isnan(V x) { return x != x; }
LG_FN V lg_to_real(M x) { return __builtin_convertvector(x, V); }
LG_FN M lg_to_int(V x) {
  const R limit = LG_BITS == 32 ? (R)0x1p31 : (R)0x1p63;
  const int64_t most = LG_BITS == 32 ? INT32_MAX : INT64_MAX;
  M inside = (x >= lg_splat(-limit)) & (x < lg_splat(limit));
  M r = __builtin_convertvector(lg_where(inside, x, lg_splat(0)), M);
  M outside = lg_iwhere(x >= lg_splat(limit), lg_isplat(most), (x < lg_splat(-limit)) & lg_isplat(-most - 1));
  return lg_iwhere(inside, r, outside);
}

LG_FN R lg_sum(V x) { R r = x[0]; for (int i = 1; i < LG_LANES; i++) r += x[i]; return r; }
LG_FN double lg_dsum(V x) { double r = x[0]; for (int i = 1; i < LG_LANES; i++) r += x[i]; return r; }
LG_FN R lg_max_of(V x) { R r = x[0]; for (int i = 1; i < LG_LANES; i++) r = x[i] > r || x[i] != x[i] ? x[i] : r; return r; }
LG_FN R lg_min_of(V x) { R r = x[0]; for (int i = 1; i < LG_LANES; i++) r = x[i] < r || x[i] != x[i] ? x[i] : r; return r; }
LG_FN int lg_any(M m) { LG_INTEGER r = 0; for (int i = 0; i < LG_LANES; i++) r |= m[i]; return r != 0; }
LG_FN int lg_all(M m) { LG_INTEGER r = -1; for (int i = 0; i < LG_LANES; i++) r &= m[i]; return r != 0; }
