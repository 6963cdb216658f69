/* The levels of x86-64 in one library: its kernels compiled for each, the best chosen at run time.

   An object of a level is compiled with LG_LEVEL, its number: it has the kernels alone, behind
   lg_level_<number>. The object with the operators has LG_LEVELS and those of the first level. A
   library for one processor has neither. */
#if defined(LG_LEVEL)

#define LG_LEVEL_NAME_(level) lg_level_##level
#define LG_LEVEL_NAME(level) LG_LEVEL_NAME_(level)
extern const LgKernel *const *const LG_LEVEL_NAME(LG_LEVEL);
const LgKernel *const *const LG_LEVEL_NAME(LG_LEVEL) = lg_kernels;

#elif defined(LG_LEVELS)

#include <cpuid.h>
extern const LgKernel *const *const lg_level_3, *const *const lg_level_4;

/* Compilers have builtins that ask the processor, but not all of them bring what those call. */
static int lg_has(unsigned found, unsigned wanted) { return (found & wanted) == wanted; }

/* Which registers the system saves when it changes threads; needs OSXSAVE. */
static unsigned lg_saved_registers(void) {
  unsigned low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return low;
}

static int lg_ask_processor(void) {
  enum { AVX = 1 << 28, FMA = 1 << 12, F16C = 1 << 29, MOVBE = 1 << 22, OSXSAVE = 1 << 27 };
  enum { AVX2 = 1 << 5, BMI1 = 1 << 3, BMI2 = 1 << 8, LZCNT = 1 << 5 };
  const unsigned avx512 = 1u << 16 | 1u << 17 | 1u << 28 | 1u << 30 | 1u << 31; /* F DQ CD BW VL */
  const unsigned ymm = 0x6, zmm = 0xe6;
  unsigned a, b, c, d, more, extended = 0;
  if (!__get_cpuid(1, &a, &b, &c, &d) || !lg_has(c, AVX | FMA | F16C | MOVBE | OSXSAVE)) return 1;
  if (__get_cpuid(0x80000001u, &a, &b, &c, &d)) extended = c;
  if (!__get_cpuid_count(7, 0, &a, &more, &c, &d)) return 1;
  unsigned saved = lg_saved_registers();
  if (!lg_has(more, AVX2 | BMI1 | BMI2) || !lg_has(extended, LZCNT) || !lg_has(saved, ymm)) return 1;
  return lg_has(more, avx512) && lg_has(saved, zmm) ? 4 : 3;
}

/* Asked once: a virtual machine takes long to answer. Threads may do so at once, and agree. */
static int lg_level_here(void) {
  static int level;
  int known = __atomic_load_n(&level, __ATOMIC_RELAXED);
  if (!known) __atomic_store_n(&level, known = lg_ask_processor(), __ATOMIC_RELAXED);
  return known;
}

static const LgKernel *const *lg_table(void) {
  int level = lg_level_here();
  return level == 4 ? lg_level_4 : level == 3 ? lg_level_3 : lg_kernels;
}

#else

static int lg_level_here(void) { return 0; }
static const LgKernel *const *lg_table(void) { return lg_kernels; }

#endif
