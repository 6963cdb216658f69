/* Runs a kernel of a library on what comes in: for each input its dims and its data; out goes the
   same for each output. Included after the library's own text, or linked with it. */
#include "kernel.h"
#include <stdio.h>
#include <stdlib.h>

static size_t width(int type) { return type == 1 ? 4 : 8; /* float32, or float64 and int64 */ }

static size_t bytes(int type, const int64_t *dims, int rank) {
  size_t total = width(type);
  for (int i = 0; i < rank; i++) total *= (size_t)dims[i];
  return total;
}

size_t lg_count(void);
const LgKernel *lg_kernel(size_t);
const char *lg_run(size_t, const void *const *, const int64_t *, void *const *, int64_t *, int);

int main(void) {
  size_t number = lg_count() - 1;
  const LgKernel *kernel = lg_kernel(number);
  const void *in[LG_MOST];
  void *out[LG_MOST];
  int64_t in_dims[LG_MOST * LG_RANK], out_dims[LG_MOST * LG_RANK], *dims = in_dims;
  for (int i = 0; i < kernel->inputs; i++) {
    int rank = kernel->input_rank[i];
    if (fread(dims, sizeof *dims, rank, stdin) != (size_t)rank) return 2;
    size_t size = bytes(kernel->input_type[i], dims, rank);
    void *data = malloc(size + 1);
    if (!data || fread(data, 1, size, stdin) != size) return 2;
    in[i] = data;
    dims += rank;
  }
  const char *wrong = lg_run(number, 0, in_dims, 0, out_dims, 0);
  dims = out_dims;
  for (int i = 0; i < kernel->outputs && !wrong; i++) {
    out[i] = malloc(bytes(kernel->output_type[i], dims, kernel->output_rank[i]) + 1);
    dims += kernel->output_rank[i];
  }
  if (!wrong) wrong = lg_run(number, in, in_dims, out, out_dims, 1);
  if (wrong) return fprintf(stderr, "%s\n", wrong), 1;
  dims = out_dims;
  for (int i = 0; i < kernel->outputs; i++) {
    int rank = kernel->output_rank[i];
    fwrite(dims, sizeof *dims, rank, stdout);
    fwrite(out[i], 1, bytes(kernel->output_type[i], dims, rank), stdout);
    dims += rank;
  }
  return 0;
}
