/* What the generator writes beside the functions of vector.h: sizes, single elements. */
#ifndef LG_GENERATED_H
#define LG_GENERATED_H
#include "vector.h"
#include "tiles.h"
#include <stdlib.h>

static inline int64_t lg_quotient(int64_t a, int64_t b) { return b ? a / b : 0; }
static inline int64_t lg_remainder(int64_t a, int64_t b) { return b ? a % b : 0; }
static inline int64_t lg_least(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t lg_greatest(int64_t a, int64_t b) { return a > b ? a : b; }

/* Two totals as one; a NaN of either comes out. */
static inline double lg_sum_of_two(double a, double b) { return a + b; }
static inline double lg_prod_of_two(double a, double b) { return a * b; }
static inline double lg_max_of_two(double a, double b) { return a != a || a > b ? a : b; }
static inline double lg_min_of_two(double a, double b) { return a != a || a < b ? a : b; }

/* An index that may lie outside of an axis, moved inside: what is read there is not used. */
static inline int64_t lg_inside(int64_t i, int64_t size) {
  return i < 0 ? 0 : i < size ? i : lg_greatest(size - 1, 0);
}
#define lg_iinside(i, size) lg_iclamp(i, lg_isplat(0), lg_isplat(lg_greatest((size) - 1, 0)))
#define lg_iclamp(i, low, high) \
  lg_iwhere((i) < (low), low, lg_iwhere((i) > (high), high, i))

/* Where to read if an axis is empty whose elements are read, and not used, whatever the index is. */
static const double lg_nothing[16];
#define lg_there(size, p) ((size) > 0 ? (p) : (__typeof__(p))lg_nothing)

/* Reals with the digits of a narrower dtype. */
#define lg_round_f32(x) ({ float narrow_[LG_LANES]; lg_store_f32(narrow_, x); lg_load_f32(narrow_); })
#define lg_round_f16(x) ({ uint16_t narrow_[LG_LANES]; lg_store_f16(narrow_, x); lg_load_f16(narrow_); })
#define lg_round_bf16(x) ({ uint16_t narrow_[LG_LANES]; lg_store_bf16(narrow_, x); lg_load_bf16(narrow_); })

/* Arithmetic of integers that wraps around, as it does in numpy, and not as C has it. */
#define lg_wrapped(a, op, b)                                                                     \
  ({                                                                                             \
    typedef __typeof__(__builtin_choose_expr(LG_BITS == 32, (uint32_t)0, (uint64_t)0)) lane_;    \
    typedef lane_ lanes_ __attribute__((vector_size(LG_BYTES)));                                 \
    (M)((lanes_)(a) op (lanes_)(b));                                                             \
  })

/* Of integers: the quotient towards zero, and what is left with the sign of the divisor; 0 for a
   divisor of 0, which has none. */
static inline int64_t lg_div_of(int64_t a, int64_t b) {
  return b == 0 ? 0 : b == -1 ? (int64_t)(0 - (uint64_t)a) : a / b;
}
static inline int64_t lg_mod_of(int64_t a, int64_t b) {
  int64_t rest = b == 0 || b == -1 ? 0 : a % b;
  return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}
#define lg_integer_div(a, b) lg_each_of(lg_div_of, a, b)
#define lg_integer_mod(a, b) lg_each_of(lg_mod_of, a, b)
#define lg_each_of(function, a, b)                                                            \
  ({                                                                                          \
    M a_ = (a), b_ = (b);                                                                     \
    for (int i_ = 0; i_ < LG_LANES; i_++) a_[i_] = (LG_INTEGER)function(a_[i_], b_[i_]);      \
    a_;                                                                                       \
  })

/* The product of all lanes: a macro, as the width of V is that of the place of use. */
#define lg_product(x)                                                        \
  ({                                                                         \
    double product_ = 1;                                                     \
    for (int i_ = 0; i_ < LG_LANES; i_++) product_ *= (double)(x)[i_];       \
    product_;                                                                \
  })

/* A number added to a total in each lane, and to another total what the first one loses of it. */
#define lg_add_exactly(total, lost, x)                                       \
  do {                                                                       \
    const V sum_ = *(total) + (x), part_ = sum_ - *(total);                  \
    *(lost) += (*(total) - (sum_ - part_)) + ((x) - part_);                  \
    *(total) = sum_;                                                         \
  } while (0)
/* The two totals as one; of infinite ones nothing is lost. */
#define lg_kept(total, lost) lg_where(lg_isnan(lost), total, (total) + (lost))

/* An integer that must be small enough to be compared and added in lanes; others are remembered. */
#define LG_SMALL ((int64_t)1 << (LG_BITS - 3))
#define lg_within(x, wide) \
  (wide |= ((x) > lg_isplat(LG_SMALL)) | ((x) < lg_isplat(-LG_SMALL)), (x))

/* One element, in every lane. */
#define lg_load_one_f32(p) lg_splat((R)*(p))
#define lg_load_one_f64(p) lg_splat((R)*(p))
#define lg_load_one_f16(p) lg_splat(lg_first(lg_load_part_f16(p, 1)))
#define lg_load_one_bf16(p) lg_splat(lg_first(lg_load_part_bf16(p, 1)))
#define lg_load_one_i64(p) lg_splat((R)*(p))
#define lg_load_one_i32(p) lg_splat((R)*(p))
#define lg_load_one_i16(p) lg_splat((R)*(p))
#define lg_load_one_i8(p) lg_splat((R)*(p))
#define lg_load_one_u64(p) lg_splat((R)*(p))
#define lg_load_one_u32(p) lg_splat((R)*(p))
#define lg_load_one_u16(p) lg_splat((R)*(p))
#define lg_load_one_u8(p) lg_splat((R)*(p))
#define lg_load_one_bool(p) lg_splat((R)(*(p) != 0))
#define lg_iload_one_i64(p) lg_isplat(lg_ifirst(lg_iload_part_i64(p, 1)))
#define lg_iload_one_i32(p) lg_isplat(*(p))
#define lg_iload_one_i16(p) lg_isplat(*(p))
#define lg_iload_one_i8(p) lg_isplat(*(p))
#define lg_iload_one_u64(p) lg_isplat(lg_ifirst(lg_iload_part_u64(p, 1)))
#define lg_iload_one_u32(p) lg_isplat(lg_ifirst(lg_iload_part_u32(p, 1)))
#define lg_iload_one_u16(p) lg_isplat(*(p))
#define lg_iload_one_u8(p) lg_isplat(*(p))
#define lg_iload_one_bool(p) lg_isplat(*(p) != 0)
#endif
