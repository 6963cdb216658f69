/* A kernel by hand: half the mean square of pred - label over features, and its gradient by pred. */
#include <string.h>

static const int lg_types_NUMBER[] = {1, 1}, lg_out_ranks_NUMBER[] = {1, 2},
                 lg_in_ranks_NUMBER[] = {2, 2};

static const char *lg_plan_NUMBER(LgCall *call) {
  int64_t rows = call->in_dims[0][0], columns = call->in_dims[0][1];
  if (call->in_dims[1][0] != rows || call->in_dims[1][1] != columns)
    return "lossgraph: pred and label differ in shape";
  call->size[0] = rows, call->size[1] = columns;
  call->out_dims[0][0] = call->out_dims[1][0] = rows;
  call->out_dims[1][1] = columns;
  call->rows = rows;
  call->step = columns < 16384 ? 16384 / (columns + 1) + 1 : 1;
  call->chunks = (size_t)((rows + call->step - 1) / call->step);
  return 0;
}

static void lg_chunk_NUMBER(LgCall *call, size_t index) {
  int64_t first = (int64_t)index * call->step, last = first + call->step, columns = call->size[1];
  if (last > call->rows) last = call->rows;
  const float *pred = call->in[0], *label = call->in[1];
  float *loss = call->out[0], *grad = call->out[1];
  for (int64_t r = first; r < last; r++) {
    double sum = 0;
    float scale = 1 / (float)columns;
    for (int64_t c = 0; c < columns; c++) {
      float d = pred[r * columns + c] - label[r * columns + c];
      sum += d * d;
      grad[r * columns + c] = d * scale;
    }
    loss[r] = (float)(sum / (double)columns / 2);
  }
}

static void lg_finish_NUMBER(LgCall *call) { (void)call; }

static const LgKernel lg_kernel_NUMBER = {
  .name = "NAME",
  .inputs = 2,
  .outputs = 2,
  .input_type = lg_types_NUMBER,
  .output_type = lg_types_NUMBER,
  .input_rank = lg_in_ranks_NUMBER,
  .output_rank = lg_out_ranks_NUMBER,
  .plan = lg_plan_NUMBER,
  .chunk = lg_chunk_NUMBER,
  .finish = lg_finish_NUMBER,
};
