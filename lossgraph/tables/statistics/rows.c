/* Exact sums, extremes and counts by bucket of the values of rows.

   A sum is digits to the base 2^32 in words of 64 bits, as sums.py has them; buckets are those of
   mapping.py. The caller has made place for all digits and buckets that values reach, and there is
   neither NaN nor infinity among the values that are added. */

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))
#define LANES 4       /* tables of bins, so that equal exponents in a row need not wait */
#define CHUNK (1 << 17) /* values until bins are emptied: 2^15 squares of 48 bits a lane */
#define WIDE_CHUNK (1 << 20) /* the same for products of 106 bits */
#define BLOCK 512

typedef unsigned __int128 u128;

typedef struct {
    int64_t *digits;
    int64_t low, width;
} Sum;

typedef struct {
    int64_t *counts;
    int64_t low, width;
} Table;

/* Buckets: a table a sign and counts of zeros; without tables buckets are put into numbers. */
typedef struct {
    double factor, smallest;
    int64_t shift;
    int64_t *zeros;
    Table negative, positive;
    int64_t *numbers;
} Sketch;

typedef struct {
    int64_t finite;
    double least, most;
    double positive_least, positive_most, negative_least, negative_most; /* sizes; 0: none */
} Extent;

static inline uint32_t bits_f32(float x) { uint32_t b; memcpy(&b, &x, 4); return b; }
static inline uint64_t bits_f64(double x) { uint64_t b; memcpy(&b, &x, 8); return b; }
static inline double value_f32(uint32_t b) { float x; memcpy(&x, &b, 4); return x; }
static inline double value_f64(uint64_t b) { double x; memcpy(&x, &b, 8); return x; }

/* As integers floats of one sign are in order of size; less 1, zeros come last. */
#define SCAN(NAME, FLOAT, SIGNED, UNSIGNED, BITS, VALUE, TOP, INFINITE)                            \
    EXPORT int NAME(const FLOAT *x, int64_t n, Extent *out)                                        \
    {                                                                                              \
        UNSIGNED positive = ~(UNSIGNED)0, negative = ~(UNSIGNED)0, size = ~(UNSIGNED)0, high = 0;  \
        SIGNED most = (SIGNED)TOP;                                                                 \
        for (int64_t i = 0; i < n; i++) {                                                          \
            UNSIGNED b = BITS(x[i]), p = b - 1, q = (b ^ TOP) - 1, s = b & ~TOP;                   \
            positive = p < positive ? p : positive;                                                \
            negative = q < negative ? q : negative;                                                \
            size = s < size ? s : size;                                                            \
            high = b > high ? b : high;                                                            \
            most = (SIGNED)b > most ? (SIGNED)b : most;                                            \
        }                                                                                          \
        int has_positive = most > 0, has_negative = high > TOP, has_zero = size == 0;              \
        UNSIGNED largest = has_negative ? high & ~TOP : 0;                                         \
        out->finite = (!has_positive || (UNSIGNED)most < INFINITE) && largest < INFINITE;          \
        out->positive_least = has_positive ? VALUE(positive + 1) : 0;                              \
        out->positive_most = has_positive ? VALUE((UNSIGNED)most) : 0;                             \
        out->negative_least = has_negative ? VALUE(negative + 1) : 0;                              \
        out->negative_most = VALUE(largest);                                                       \
        out->least = has_negative ? -out->negative_most : has_zero ? 0 : out->positive_least;      \
        out->most = has_positive ? out->positive_most : has_zero ? 0 : -out->negative_least;       \
        return 0;                                                                                  \
    }

SCAN(lg_scan_f32, float, int32_t, uint32_t, bits_f32, value_f32, 0x80000000u, 0x7F800000u)
SCAN(lg_scan_f64, double, int64_t, uint64_t, bits_f64, value_f64, 0x8000000000000000u,
     0x7FF0000000000000u)

/* Sums ------------------------------------------------------------------------------------- */

/* Add sign * v * 2^e to the digits of one sum; sign is 0 or -1. */
static inline void deposit(const Sum *sum, int64_t *row, uint64_t v, int64_t sign, int64_t e)
{
    int64_t *digit = row + (e >> 5) - sum->low;
    u128 shifted = (u128)v << (e & 31);
    uint64_t low = (uint64_t)shifted, high = (uint64_t)(shifted >> 64);
    digit[0] += ((int64_t)(low & 0xFFFFFFFFu) ^ sign) - sign;
    digit[1] += ((int64_t)(low >> 32) ^ sign) - sign;
    if (high)
        digit[2] += ((int64_t)high ^ sign) - sign;
}

static inline void deposit_wide(const Sum *sum, int64_t *row, u128 v, int64_t sign, int64_t e)
{
    uint64_t high = (uint64_t)(v >> 64);
    deposit(sum, row, (uint64_t)v, sign, e);
    if (high)
        deposit(sum, row, high, sign, e + 64);
}

typedef struct {
    uint64_t mantissa;
    int64_t sign, exponent;
} Parts;

static inline Parts parts_f32(float x)
{
    uint32_t b = bits_f32(x), e = (b >> 23) & 255;
    return (Parts){(b & 0x7FFFFF) | (uint32_t)(e != 0) << 23, -(int64_t)(b >> 31),
                   (int64_t)(e ? e : 1) - 150};
}

static inline Parts parts_f64(double x)
{
    uint64_t b = bits_f64(x), e = (b >> 52) & 2047;
    return (Parts){(b & 0xFFFFFFFFFFFFFu) | (uint64_t)(e != 0) << 52, (int64_t)b >> 63,
                   (int64_t)(e ? e : 1) - 1075};
}

/* Mantissas, and their squares, are added up by exponent first: a bin each, and no carry. */
EXPORT int lg_sums_f32(const float *x, int64_t n, const Sum *sum, const Sum *square)
{
    struct { uint64_t sum, square; } bins[LANES][512];
    for (int64_t start = 0; start < n; start += CHUNK) {
        int64_t end = n - start < CHUNK ? n : start + CHUNK, i = start;
        memset(bins, 0, sizeof bins);
        for (; i < end; i++) {
            uint32_t b = bits_f32(x[i]), at = b >> 23;
            uint64_t m = (b & 0x7FFFFF) | (uint32_t)((at & 255) != 0) << 23;
            bins[i % LANES][at].sum += m;
            bins[i % LANES][at].square += m * m;
        }
        for (int lane = 0; lane < LANES; lane++)
            for (int64_t at = 0; at < 512; at++)
                if (bins[lane][at].sum) {
                    int64_t e = ((at & 255) ? (at & 255) : 1) - 150;
                    deposit(sum, sum->digits, bins[lane][at].sum, -(at >> 8), e);
                    deposit(square, square->digits, bins[lane][at].square, 0, 2 * e);
                }
    }
    return 0;
}

EXPORT int lg_sums_f64(const double *x, int64_t n, const Sum *sum, const Sum *square)
{
    typedef struct { u128 sum, square; } Bin;
    Bin *bins = malloc(4096 * sizeof(Bin));
    if (!bins)
        return 1;
    for (int64_t start = 0; start < n; start += CHUNK) {
        int64_t end = n - start < CHUNK ? n : start + CHUNK;
        uint64_t low = 4095, high = 0;
        memset(bins, 0, 4096 * sizeof(Bin));
        for (int64_t i = start; i < end; i++) {
            uint64_t b = bits_f64(x[i]), at = b >> 52;
            uint64_t m = (b & 0xFFFFFFFFFFFFFu) | (uint64_t)((at & 2047) != 0) << 52;
            bins[at].sum += m;
            bins[at].square += (u128)m * m;
            low = at < low ? at : low;
            high = at > high ? at : high;
        }
        for (uint64_t at = low; at <= high; at++)
            if (bins[at].sum) {
                int64_t e = (int64_t)((at & 2047) ? (at & 2047) : 1) - 1075;
                deposit_wide(sum, sum->digits, bins[at].sum, -(int64_t)(at >> 11), e);
                deposit_wide(square, square->digits, bins[at].square, 0, 2 * e);
            }
    }
    free(bins);
    return 0;
}

/* Exact products of two columns, each to its group; without groups to the first. With few groups
   they go to bins of exponents from first on. */
EXPORT int lg_products(const double *x, const double *y, int64_t n, const int64_t *groups,
                       int64_t count, int64_t first, int64_t range, const Sum *sum)
{
    __int128 *bins = malloc(count * range * sizeof *bins);
    if (!bins)
        return 1;
    for (int64_t start = 0; start < n; start += WIDE_CHUNK) {
        int64_t end = n - start < WIDE_CHUNK ? n : start + WIDE_CHUNK;
        memset(bins, 0, count * range * sizeof *bins);
        for (int64_t i = start; i < end; i++) {
            Parts a = parts_f64(x[i]), b = parts_f64(y[i]);
            __int128 product = (__int128)(((int64_t)a.mantissa ^ a.sign) - a.sign) *
                               (((int64_t)b.mantissa ^ b.sign) - b.sign);
            int64_t at = product ? a.exponent + b.exponent - first : 0;
            bins[(groups ? groups[i] * range : 0) + at] += product;
        }
        for (int64_t at = 0; at < count * range; at++)
            if (bins[at]) {
                int64_t sign = -(bins[at] < 0);
                deposit_wide(sum, sum->digits + at / range * sum->width,
                             ((u128)bins[at] ^ (u128)(__int128)sign) - (u128)(__int128)sign, sign,
                             first + at % range);
            }
    }
    free(bins);
    return 0;
}

EXPORT int lg_products_apart(const double *x, const double *y, int64_t n, const int64_t *groups,
                             const Sum *sum)
{
    for (int64_t i = 0; i < n; i++) {
        Parts a = parts_f64(x[i]), b = parts_f64(y[i]);
        u128 product = (u128)a.mantissa * b.mantissa;
        if (product)
            deposit_wide(sum, sum->digits + groups[i] * sum->width, product, a.sign ^ b.sign,
                         a.exponent + b.exponent);
    }
    return 0;
}

/* Buckets ---------------------------------------------------------------------------------- */

/* e + s for a size of (1 + s) 2^e: its bits are that number, in units of their last. */
static inline int64_t bucket_of(double size, const Sketch *sketch)
{
    double logarithm = (double)((int64_t)bits_f64(size) - 0x3FF0000000000000) * 0x1p-52;
    return (int64_t)ceil(logarithm * sketch->factor) + sketch->shift;
}

static inline void count_one(double x, int64_t group, const Sketch *sketch)
{
    double size = fabs(x);
    if (size <= sketch->smallest) {
        sketch->zeros[group]++;
        return;
    }
    const Table *table = x < 0 ? &sketch->negative : &sketch->positive;
    int64_t bucket = bucket_of(size, sketch);
    table->counts[group * table->width + (x < 0 ? -bucket : bucket) - table->low]++;
}

#define BUCKETS(NAME, FLOAT)                                                                       \
    EXPORT int NAME(const FLOAT *x, int64_t n, const Sketch *sketch)                               \
    {                                                                                              \
        for (int64_t i = 0; i < n; i++) {                                                          \
            double size = fabs((double)x[i]);                                                      \
            int64_t bucket = bucket_of(size, sketch);                                              \
            sketch->numbers[i] = size <= sketch->smallest ? 0 : x[i] < 0 ? -bucket : bucket;       \
        }                                                                                          \
        return 0;                                                                                  \
    }

BUCKETS(lg_buckets_f32, float)
BUCKETS(lg_buckets_f64, double)

/* Counts without groups: keys of a block at once, then a table of both signs around its zeros. */
#define COUNTS(NAME, FLOAT, KEY)                                                                   \
    EXPORT int NAME(const FLOAT *x, int64_t n, const Sketch *sketch)                               \
    {                                                                                              \
        const Table *below = &sketch->negative, *above = &sketch->positive;                        \
        int64_t width = below->width + 1 + above->width;                                           \
        uint32_t *table = calloc(width, sizeof *table), *zero = table + below->width;              \
        if (!table)                                                                                \
            return 1;                                                                              \
        int32_t plus = (int32_t)(sketch->shift - above->low + 1);                                  \
        int32_t minus = (int32_t)(sketch->shift + below->low + below->width);                      \
        double factor = sketch->factor, smallest = sketch->smallest;                               \
        int32_t places[BLOCK];                                                                     \
        for (int64_t start = 0; start < n; start += BLOCK) {                                       \
            int64_t count = n - start < BLOCK ? n - start : BLOCK;                                 \
            const FLOAT *block = x + start;                                                        \
            for (int64_t i = 0; i < count; i++) {                                                  \
                FLOAT value = block[i];                                                            \
                int32_t key = KEY;                                                                 \
                int32_t place = value < 0 ? -(key + minus) : key + plus;                           \
                places[i] = (value < 0 ? -value : value) <= smallest ? 0 : place;                  \
            }                                                                                      \
            for (int64_t i = 0; i < count; i++)                                                    \
                zero[places[i]]++;                                                                 \
        }                                                                                          \
        for (int64_t i = 0; i < below->width; i++)                                                 \
            below->counts[i] += table[i];                                                          \
        for (int64_t i = 0; i < above->width; i++)                                                 \
            above->counts[i] += zero[1 + i];                                                       \
        sketch->zeros[0] += *zero;                                                                 \
        free(table);                                                                               \
        return 0;                                                                                  \
    }

/* The fraction of a float32 has 23 bits: its logarithm is an int32, unless it is subnormal. */
#define KEY_F32 \
    (int32_t)ceil((double)((int32_t)(bits_f32(value) & 0x7FFFFFFF) - 0x3F800000) * 0x1p-23 * factor)
#define KEY_F64                                                                                    \
    (int32_t)ceil((double)((int64_t)(bits_f64((double)value) & 0x7FFFFFFFFFFFFFFF) -               \
                           0x3FF0000000000000) * 0x1p-52 * factor)

COUNTS(lg_counts_normal, float, KEY_F32)
COUNTS(lg_counts_f32, float, KEY_F64)
COUNTS(lg_counts_f64, double, KEY_F64)

/* By group ---------------------------------------------------------------------------------- */

#define GROUPED(SUFFIX, FLOAT)                                                                     \
    EXPORT int lg_grouped_extremes_##SUFFIX(const FLOAT *x, int64_t n, const int64_t *groups,      \
                                            double *least, double *most)                           \
    {                                                                                              \
        for (int64_t i = 0; i < n; i++) {                                                          \
            int64_t group = groups[i];                                                             \
            double value = (double)x[i] + 0.0;                                                     \
            least[group] = value < least[group] ? value : least[group];                            \
            most[group] = value > most[group] ? value : most[group];                               \
        }                                                                                          \
        return 0;                                                                                  \
    }                                                                                              \
    EXPORT int lg_grouped_counts_##SUFFIX(const FLOAT *x, int64_t n, const int64_t *groups,        \
                                          const Sketch *sketch)                                    \
    {                                                                                              \
        for (int64_t i = 0; i < n; i++)                                                            \
            count_one(x[i], groups[i], sketch);                                                    \
        return 0;                                                                                  \
    }

GROUPED(f32, float)
GROUPED(f64, double)

/* With many groups each row goes to its digits; with few to bins of exponents from first on. */
#define GROUPED_SUMS(NAME, FLOAT, PARTS, INT, UINT, DEPOSIT, LIMIT)                                \
    EXPORT int NAME(const FLOAT *x, int64_t n, const int64_t *groups, int64_t count,               \
                    int64_t first, int64_t range, const Sum *sum, const Sum *square)               \
    {                                                                                              \
        struct { INT sum; UINT square; } *bins = malloc(count * range * sizeof *bins);             \
        if (!bins)                                                                                 \
            return 1;                                                                              \
        for (int64_t start = 0; start < n; start += LIMIT) {                                       \
            int64_t end = n - start < LIMIT ? n : start + LIMIT;                                   \
            memset(bins, 0, count * range * sizeof *bins);                                         \
            for (int64_t i = start; i < end; i++) {                                                \
                Parts p = PARTS(x[i]);                                                             \
                int64_t at = p.mantissa ? p.exponent - first : 0;                                  \
                at += groups[i] * range;                                                           \
                bins[at].sum += ((int64_t)p.mantissa ^ p.sign) - p.sign;                           \
                bins[at].square += (UINT)p.mantissa * p.mantissa;                                  \
            }                                                                                      \
            for (int64_t at = 0; at < count * range; at++) {                                       \
                if (!bins[at].square)                                                              \
                    continue;                                                                      \
                int64_t group = at / range, e = first + at % range, sign = -(bins[at].sum < 0);    \
                UINT size = ((UINT)bins[at].sum ^ (UINT)(INT)sign) - (UINT)(INT)sign;              \
                DEPOSIT(sum, sum->digits + group * sum->width, size, sign, e);                     \
                DEPOSIT(square, square->digits + group * square->width, bins[at].square, 0, 2 * e);\
            }                                                                                      \
        }                                                                                          \
        free(bins);                                                                                \
        return 0;                                                                                  \
    }                                                                                              \
    EXPORT int NAME##_apart(const FLOAT *x, int64_t n, const int64_t *groups, const Sum *sum,      \
                            const Sum *square)                                                     \
    {                                                                                              \
        for (int64_t i = 0; i < n; i++) {                                                          \
            Parts p = PARTS(x[i]);                                                                 \
            int64_t group = groups[i];                                                             \
            if (!p.mantissa)                                                                       \
                continue;                                                                          \
            deposit(sum, sum->digits + group * sum->width, p.mantissa, p.sign, p.exponent);        \
            DEPOSIT(square, square->digits + group * square->width,                                \
                    (UINT)p.mantissa * p.mantissa, 0, 2 * p.exponent);                             \
        }                                                                                          \
        return 0;                                                                                  \
    }

GROUPED_SUMS(lg_grouped_sums_f32, float, parts_f32, int64_t, uint64_t, deposit, (1 << 15))
GROUPED_SUMS(lg_grouped_sums_f64, double, parts_f64, __int128, u128, deposit_wide, WIDE_CHUNK)
