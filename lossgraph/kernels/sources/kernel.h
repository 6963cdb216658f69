/* What a kernel is, and what one call of it carries.

   A kernel computes a whole loss: rows (samples, mostly) in chunks that may run on several threads,
   and then what follows from sums over all of them. Results must not depend on the number of
   threads, so the plan chooses the rows of a chunk from sizes alone, and sums of chunks are added
   in their order. */
#ifndef LG_KERNEL_H
#define LG_KERNEL_H
#include <stddef.h>
#include <stdint.h>

#define LG_MOST 32 /* inputs, or outputs */
#define LG_RANK 8
#define LG_NUMBERS 64

typedef struct LgCall LgCall;

typedef struct {
  const char *name; /* of the operator */
  int inputs, outputs;
  const int *input_type, *output_type; /* ONNX's numbers of element types */
  const int *input_rank, *output_rank;
  size_t sums; /* doubles that each chunk adds up */

  /* Reads in_dims; writes out_dims, size, rows, step and chunks. Returns 0, or what is wrong. */
  const char *(*plan)(LgCall *);

  /* Computes the rows from index * step on, and the chunk's sums: call->sums + index * sums. */
  void (*chunk)(LgCall *, size_t index);

  /* Computes what follows from the sums of all chunks; also called if there are none. */
  void (*finish)(LgCall *);

  /* A kernel that goes over rows several times has as many sweeps, each begun by `begin`, which
     writes rows, step and chunks, and ended by `finish`; 0 and none for a single one. */
  int sweeps;
  void (*begin)(LgCall *);
} LgKernel;

struct LgCall {
  const LgKernel *kernel;
  const void *in[LG_MOST];
  void *out[LG_MOST];
  int64_t in_dims[LG_MOST][LG_RANK], out_dims[LG_MOST][LG_RANK];
  int64_t size[LG_RANK * 4]; /* lengths that the kernel has names for */
  int64_t rows, step;
  size_t chunks;
  double *sums;
  int sweep;                  /* which one is going on */
  double numbers[LG_NUMBERS]; /* what sweeps have found out, for those that follow */
  size_t shared_size;         /* bytes of memory for all chunks and sweeps, that the plan asks for */
  void *shared;
  int failed; /* whether a chunk got no memory, or met an integer that it cannot hold: see below */
};

/* Chunks run side by side: the one that gets no memory says so here. */
enum { LG_NO_MEMORY = 1, LG_TOO_LARGE = 2 };
static inline void lg_fail_as(LgCall *call, int why) {
  __atomic_store_n(&call->failed, why, __ATOMIC_RELAXED);
}
static inline void lg_fail(LgCall *call) { lg_fail_as(call, LG_NO_MEMORY); }

#endif
