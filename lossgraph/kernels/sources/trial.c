/* A kernel that uses all that operator.c asks of ONNX Runtime, to try a release with: inputs of
   several types and ranks, chunks on threads, sums, a scalar that counts, and what it refuses. */
static const int lg_in_type_NUMBER[] = {1, 7}, lg_in_rank_NUMBER[] = {2, 1};
static const int lg_out_type_NUMBER[] = {1, 11, 7}, lg_out_rank_NUMBER[] = {2, 0, 0};

static const char *lg_plan_NUMBER(LgCall *call) {
  call->rows = call->in_dims[0][0];
  if (call->in_dims[1][0] != call->rows) return "lossgraph: trial of an error";
  call->out_dims[0][0] = call->rows;
  call->out_dims[0][1] = call->size[0] = call->in_dims[0][1];
  call->step = 7;
  call->chunks = (size_t)((call->rows + call->step - 1) / call->step);
  return 0;
}

static void lg_chunk_NUMBER(LgCall *call, size_t index) {
  int64_t first = (int64_t)index * call->step, last = first + call->step, columns = call->size[0];
  const float *scores = call->in[0];
  const int64_t *labels = call->in[1];
  float *doubled = call->out[0];
  double sum = 0, negative = 0;
  if (last > call->rows) last = call->rows;
  for (int64_t i = first * columns; i < last * columns; i++) {
    doubled[i] = 2 * scores[i];
    sum += scores[i];
  }
  for (int64_t r = first; r < last; r++) negative += labels[r] < 0;
  call->sums[2 * index] = sum;
  call->sums[2 * index + 1] = negative;
}

static void lg_finish_NUMBER(LgCall *call) {
  double total = 0, negative = 0;
  for (size_t i = 0; i < call->chunks; i++) {
    total += call->sums[2 * i];
    negative += call->sums[2 * i + 1];
  }
  *(double *)call->out[1] = total;
  *(int64_t *)call->out[2] = (int64_t)negative;
}

static const LgKernel lg_kernel_NUMBER = {
  .name = "NAME",
  .inputs = 2,
  .outputs = 3,
  .input_type = lg_in_type_NUMBER,
  .output_type = lg_out_type_NUMBER,
  .input_rank = lg_in_rank_NUMBER,
  .output_rank = lg_out_rank_NUMBER,
  .sums = 2,
  .plan = lg_plan_NUMBER,
  .chunk = lg_chunk_NUMBER,
  .finish = lg_finish_NUMBER,
};
