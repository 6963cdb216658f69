/* Narrow rows by lanes: a block of as many rows as a vector has lanes, transposed to columns.

   Where a row has few elements most lanes of a vector along it would be empty. Transposed, a vector
   holds one element of each row: tile[c * LG_LANES + lane] is element c of row `lane`. */
#ifndef LG_TILES_H
#define LG_TILES_H
#include "vector.h"

/* Loops over registers, all indices of which must become constants. */
#if defined(__clang__)
#define LG_UNROLL _Pragma("clang loop unroll(full)")
#else
#define LG_UNROLL _Pragma("GCC unroll 16")
#endif

/* What is 32 rows ahead is asked for early: the steps of a row are too uneven for the processor to
   foresee, which costs a factor of three in arrays that lie in memory (measured on a Zen 4). */

/* Square blocks in registers: the compiler keeps the vectors there, as all indices are constant. */
#if defined(__AVX512F__) && defined(__AVX512DQ__)
LG_FN void lg_transpose_16(__m512 r[16]) {
  __m512 t[16];
  LG_UNROLL for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_ps(r[i], r[i + 1]);
    t[i + 1] = _mm512_unpackhi_ps(r[i], r[i + 1]);
  }
  LG_UNROLL for (int i = 0; i < 16; i += 4)
    LG_UNROLL for (int k = 0; k < 2; k++) {
      __m512d a = _mm512_castps_pd(t[i + k]), b = _mm512_castps_pd(t[i + 2 + k]);
      r[i + 2 * k] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, b));
      r[i + 2 * k + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, b));
    }
  LG_UNROLL for (int h = 0; h < 16; h += 8)
    LG_UNROLL for (int c = 0; c < 4; c++) {
      t[h + c] = _mm512_shuffle_f32x4(r[h + c], r[h + 4 + c], 0x88);
      t[h + 4 + c] = _mm512_shuffle_f32x4(r[h + c], r[h + 4 + c], 0xdd);
    }
  LG_UNROLL for (int c = 0; c < 8; c++) {
    r[c] = _mm512_shuffle_f32x4(t[c], t[8 + c], 0x88);
    r[8 + c] = _mm512_shuffle_f32x4(t[c], t[8 + c], 0xdd);
  }
}

/* Rows of at most four elements are that many vectors, as they lie in memory: an element of the
   tile is found by its place among these 64. */
LG_FN void lg_permuted(const __m512 v[4], __m512i place, float *to, __mmask16 mask) {
  __m512 low = _mm512_permutex2var_ps(v[0], place, v[1]);
  __m512 high = _mm512_permutex2var_ps(v[2], place, v[3]);
  __mmask16 upper = _mm512_cmpge_epi32_mask(place, _mm512_set1_epi32(32));
  _mm512_mask_storeu_ps(to, mask, _mm512_mask_blend_ps(upper, low, high));
}

LG_FN __mmask16 lg_first_of_16(int64_t n) {
  return n >= 16 ? 0xffff : n <= 0 ? 0 : (__mmask16)((1u << n) - 1);
}

LG_FN void lg_few_in(float *tile, const float *p, int width, int n) {
  const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  __m512i place = _mm512_mullo_epi32(lane, _mm512_set1_epi32(width));
  __m512 v[4];
  LG_UNROLL for (int i = 0; i < 4; i++) {
    __builtin_prefetch(p + 16 * (i + 24));
    v[i] = _mm512_maskz_loadu_ps(lg_first_of_16(n * width - 16 * i), p + 16 * i);
  }
  for (int c = 0; c < width; c++) {
    lg_permuted(v, place, tile + 16 * c, 0xffff);
    place = _mm512_add_epi32(place, _mm512_set1_epi32(1));
  }
}

LG_FN void lg_few_out(float *p, const float *tile, int width, int n) {
  const __m512 lane = _mm512_setr_ps(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  const __m512 step = _mm512_set1_ps(1.0f / (float)width), half = _mm512_set1_ps(0.5f);
  __m512 v[4];
  LG_UNROLL for (int i = 0; i < 4; i++) {
    __builtin_prefetch(p + 16 * (i + 24), 1);
    v[i] = i < width ? _mm512_loadu_ps(tile + 16 * i) : _mm512_setzero_ps();
  }
  for (int i = 0; i < width; i++) {
    __m512 element = _mm512_add_ps(lane, _mm512_set1_ps(16.0f * (float)i));
    __m512i row = _mm512_cvttps_epi32(_mm512_mul_ps(_mm512_add_ps(element, half), step));
    __m512i column = _mm512_sub_epi32(_mm512_cvtps_epi32(element),
                                      _mm512_mullo_epi32(row, _mm512_set1_epi32(width)));
    __m512i place = _mm512_add_epi32(_mm512_slli_epi32(column, 4), row);
    lg_permuted(v, place, p + 16 * i, lg_first_of_16(n * width - 16 * i));
  }
}

LG_FN void lg_tile_in_f32_32(float *tile, const float *p, int64_t width, int n) {
  if (width <= 4) {
    lg_few_in(tile, p, (int)width, n);
    return;
  }
  for (int64_t c = 0; c < width; c += 16) {
    int part = width - c < 16 ? (int)(width - c) : 16;
    __mmask16 mask = (__mmask16)((1u << part) - 1);
    __m512 r[16];
    LG_UNROLL for (int i = 0; i < 16; i++) __builtin_prefetch(p + (i + 32) * width + c);
    LG_UNROLL for (int i = 0; i < 16; i++)
      r[i] = i < n ? _mm512_maskz_loadu_ps(mask, p + i * width + c) : _mm512_setzero_ps();
    lg_transpose_16(r);
    LG_UNROLL for (int i = 0; i < 16; i++)
      if (i < part) _mm512_storeu_ps(tile + (c + i) * 16, r[i]);
  }
}

LG_FN void lg_tile_out_f32_32(float *p, const float *tile, int64_t width, int n) {
  if (width <= 4) {
    lg_few_out(p, tile, (int)width, n);
    return;
  }
  for (int64_t c = 0; c < width; c += 16) {
    int part = width - c < 16 ? (int)(width - c) : 16;
    __mmask16 mask = (__mmask16)((1u << part) - 1);
    __m512 r[16];
    LG_UNROLL for (int i = 0; i < 16; i++) __builtin_prefetch(p + (i + 32) * width + c, 1);
    LG_UNROLL for (int i = 0; i < 16; i++)
      r[i] = i < part ? _mm512_loadu_ps(tile + (c + i) * 16) : _mm512_setzero_ps();
    lg_transpose_16(r);
    LG_UNROLL for (int i = 0; i < 16; i++)
      if (i < n) _mm512_mask_storeu_ps(p + i * width + c, mask, r[i]);
  }
}
#else
LG_FN void lg_tile_in_f32_32(float *tile, const float *p, int64_t width, int n) {
  for (int i = 0; i < LG_LANES_32; i++)
    for (int64_t c = 0; c < width; c++) tile[c * LG_LANES_32 + i] = i < n ? p[i * width + c] : 0;
}

LG_FN void lg_tile_out_f32_32(float *p, const float *tile, int64_t width, int n) {
  for (int i = 0; i < n; i++)
    for (int64_t c = 0; c < width; c++) p[i * width + c] = tile[c * LG_LANES_32 + i];
}
#endif

LG_FN void lg_tile_in_f64_64(double *tile, const double *p, int64_t width, int n) {
  for (int i = 0; i < LG_LANES_64; i++)
    for (int64_t c = 0; c < width; c++) tile[c * LG_LANES_64 + i] = i < n ? p[i * width + c] : 0;
}

LG_FN void lg_tile_out_f64_64(double *p, const double *tile, int64_t width, int n) {
  for (int i = 0; i < n; i++)
    for (int64_t c = 0; c < width; c++) p[i * width + c] = tile[c * LG_LANES_64 + i];
}

#define lg_tile_in_f32 LG_WIDE(lg_tile_in_f32)
#define lg_tile_out_f32 LG_WIDE(lg_tile_out_f32)
#define lg_tile_in_f64 LG_WIDE(lg_tile_in_f64)
#define lg_tile_out_f64 LG_WIDE(lg_tile_out_f64)
#endif
