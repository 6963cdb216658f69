/* Kernels as custom operators of ONNX Runtime, and for direct calls.

   Included after the kernels, the table `lg_kernels` of LG_KERNELS of them, and LG_DOMAIN. */
#include "kernel.h"
#include "levels.h"
#ifndef LG_LEVEL
#include "ort.h"
#include <stdlib.h>
#include <string.h>

static const char lg_no_memory[] = "lossgraph: no memory";
static const char lg_too_large[] = "lossgraph: an integer is too large for a kernel of this dtype";

/* --- a call: its chunks, and what follows from their sums --- */

typedef void LgEach(LgCall *, void *context); /* runs all chunks; sets failed if it cannot */

static void lg_one_chunk(void *call, size_t index) { ((LgCall *)call)->kernel->chunk(call, index); }

static void lg_in_order(LgCall *call, void *context) {
  (void)context;
  for (size_t i = 0; i < call->chunks; i++) lg_one_chunk(call, i);
}

/* Computes the chunks of one sweep; 0, or what went wrong. */
static const char *lg_sweep(LgCall *call, LgEach *each, void *context) {
  double few[64];
  if (call->kernel->begin) call->kernel->begin(call);
  size_t sums = call->chunks * call->kernel->sums;
  call->sums = sums <= sizeof few / sizeof *few ? few : malloc(sums * sizeof *few);
  if (!call->sums) return lg_no_memory;
  each(call, context);
  if (!call->failed) call->kernel->finish(call);
  if (call->sums != few) free(call->sums);
  if (call->failed == LG_TOO_LARGE) return lg_too_large;
  return call->failed ? lg_no_memory : 0;
}

/* Computes what the plan has laid out, into call->out; 0, or what went wrong. */
static const char *lg_compute(LgCall *call, LgEach *each, void *context) {
  const char *wrong = 0;
  int sweeps = call->kernel->sweeps ? call->kernel->sweeps : 1;
  call->failed = 0;
  call->shared = call->shared_size ? malloc(call->shared_size) : 0;
  if (call->shared_size && !call->shared) return lg_no_memory;
  for (call->sweep = 0; call->sweep < sweeps && !wrong; call->sweep++)
    wrong = lg_sweep(call, each, context);
  free(call->shared);
  return wrong;
}

/* --- the operator --- */

typedef struct {
  const OrtApi *api;
  const LgKernel *kernel;
} LgNode; /* of a model: what ONNX Runtime keeps for us */

typedef struct {
  const OrtApi *api;
  const OrtKernelContext *context;
  OrtStatus *status;
} LgThreads;

#define LG_TRY(call)              \
  do {                            \
    OrtStatus *status_ = (call);  \
    if (status_) return status_;  \
  } while (0)

static void lg_on_threads(LgCall *call, void *context) {
  LgThreads *threads = context;
  if (call->chunks < 2) {
    lg_in_order(call, 0);
    return;
  }
  threads->status = threads->api->KernelContext_ParallelFor(threads->context, lg_one_chunk,
                                                            call->chunks, 0, call);
  if (threads->status) lg_fail(call);
}

static OrtStatus *lg_read_dims(const OrtApi *api, const OrtTypeAndShape *shape, size_t expected,
                               int64_t *dims) {
  size_t rank;
  LG_TRY(api->GetDimensionsCount(shape, &rank));
  if (rank != expected)
    return api->CreateStatus(ORT_INVALID_ARGUMENT,
                             "lossgraph: an input has another rank than the kernel was made for");
  return rank ? api->GetDimensions(shape, dims, rank) : 0;
}

static OrtStatus *lg_read_input(const OrtApi *api, const OrtKernelContext *context, LgCall *call,
                                int i) {
  const OrtValue *value;
  OrtTypeAndShape *shape;
  void *data;
  LG_TRY(api->KernelContext_GetInput(context, i, &value));
  LG_TRY(api->GetTensorTypeAndShape(value, &shape));
  OrtStatus *status = lg_read_dims(api, shape, call->kernel->input_rank[i], call->in_dims[i]);
  api->ReleaseTensorTypeAndShapeInfo(shape);
  LG_TRY(status);
  LG_TRY(api->GetTensorMutableData((OrtValue *)value, &data)); /* there is no other way to read */
  call->in[i] = data;
  return 0;
}

static OrtStatus *lg_make_output(const OrtApi *api, OrtKernelContext *context, LgCall *call,
                                 int i) {
  OrtValue *value;
  LG_TRY(api->KernelContext_GetOutput(context, i, call->out_dims[i], call->kernel->output_rank[i],
                                      &value));
  return api->GetTensorMutableData(value, &call->out[i]);
}

static OrtStatus *LG_CALLED lg_op_compute(void *node, OrtKernelContext *context) {
  const OrtApi *api = ((LgNode *)node)->api;
  LgCall call;
  call.kernel = ((LgNode *)node)->kernel;
  call.shared_size = 0;
  for (int i = 0; i < call.kernel->inputs; i++) LG_TRY(lg_read_input(api, context, &call, i));
  const char *wrong = call.kernel->plan(&call);
  if (wrong) return api->CreateStatus(ORT_INVALID_ARGUMENT, wrong);
  for (int i = 0; i < call.kernel->outputs; i++) LG_TRY(lg_make_output(api, context, &call, i));
  LgThreads threads = {api, context, 0};
  wrong = lg_compute(&call, lg_on_threads, &threads);
  if (threads.status) return threads.status;
  return wrong ? api->CreateStatus(ORT_FAIL, wrong) : 0;
}

static const OrtCustomOp lg_operators[LG_KERNELS];

static const LgKernel *lg_kernel_of(const OrtCustomOp *op) { return lg_table()[op - lg_operators]; }

static OrtStatus *LG_CALLED lg_op_create(const OrtCustomOp *op, const OrtApi *api,
                                         const OrtKernelInfo *info, void **node) {
  (void)info;
  LgNode *made = malloc(sizeof *made);
  if (!made) return api->CreateStatus(ORT_FAIL, lg_no_memory);
  *made = (LgNode){api, lg_kernel_of(op)};
  *node = made;
  return 0;
}

static void LG_CALLED lg_op_destroy(void *node) { free(node); }

static const char *LG_CALLED lg_op_name(const OrtCustomOp *op) { return lg_kernel_of(op)->name; }

static const char *LG_CALLED lg_op_provider(const OrtCustomOp *op) {
  (void)op;
  return 0;
}

static int LG_CALLED lg_op_input(const OrtCustomOp *op, size_t i) {
  return lg_kernel_of(op)->input_type[i];
}

static size_t LG_CALLED lg_op_inputs(const OrtCustomOp *op) {
  return (size_t)lg_kernel_of(op)->inputs;
}

static int LG_CALLED lg_op_output(const OrtCustomOp *op, size_t i) {
  return lg_kernel_of(op)->output_type[i];
}

static size_t LG_CALLED lg_op_outputs(const OrtCustomOp *op) {
  return (size_t)lg_kernel_of(op)->outputs;
}

static int LG_CALLED lg_op_default(const OrtCustomOp *op, size_t i) {
  (void)op, (void)i;
  return 0;
}

static int LG_CALLED lg_op_one(const OrtCustomOp *op) {
  (void)op;
  return 1;
}

static int LG_CALLED lg_op_last(const OrtCustomOp *op) {
  (void)op;
  return INT32_MAX;
}

/* All alike: which kernel an operator has follows from its place. */
static const OrtCustomOp lg_operators[LG_KERNELS] = {[0 ... LG_KERNELS - 1] = {
  .version = LG_ORT_VERSION,
  .GetName = lg_op_name,
  .GetExecutionProviderType = lg_op_provider,
  .GetInputType = lg_op_input,
  .GetInputTypeCount = lg_op_inputs,
  .GetOutputType = lg_op_output,
  .GetOutputTypeCount = lg_op_outputs,
  .KernelDestroy = lg_op_destroy,
  .GetInputCharacteristic = lg_op_default,
  .GetOutputCharacteristic = lg_op_default,
  .GetInputMemoryType = lg_op_default,
  .GetVariadicInputMinArity = lg_op_one,
  .GetVariadicInputHomogeneity = lg_op_one,
  .GetVariadicOutputMinArity = lg_op_one,
  .GetVariadicOutputHomogeneity = lg_op_one,
  .CreateKernelV2 = lg_op_create,
  .KernelComputeV2 = lg_op_compute,
  .GetStartVersion = lg_op_one,
  .GetEndVersion = lg_op_last,
}};

/* --- registration --- */

/* The number of the operator, from 1, that the next registration of this thread is of; 0: all. */
static _Thread_local size_t lg_selected;

static OrtStatus *lg_make_domain(const OrtApi *api, size_t selected, OrtCustomOpDomain **domain) {
  size_t end = selected ? selected : LG_KERNELS;
  LG_TRY(api->CreateCustomOpDomain(LG_DOMAIN, domain));
  for (size_t i = selected ? selected - 1 : 0; i < end; i++)
    LG_TRY(api->CustomOpDomain_Add(*domain, &lg_operators[i]));
  return 0;
}

/* The domain must outlive all sessions, so there is one as long as the library is loaded. (It is
   made anew for another copy of ONNX Runtime in the same process, which has its own table.) */
static OrtStatus *lg_domain_of(const OrtApi *api, size_t selected, OrtCustomOpDomain **domain) {
  static const OrtApi *made_by;
  static OrtCustomOpDomain *made[LG_KERNELS + 1];
  if (made_by != api) memset(made, 0, sizeof made);
  made_by = api;
  *domain = made[selected];
  if (!*domain) LG_TRY(lg_make_domain(api, selected, domain));
  made[selected] = *domain;
  return 0;
}

/* What ONNX Runtime calls for `SessionOptions.register_custom_ops_library`. A release that is too
   old for our table gets no operators: its models run by the functions that they bring along. */
LG_EXPORT OrtStatus *LG_CALLED RegisterCustomOps(OrtSessionOptions *options,
                                                 const OrtApiBase *base) {
  static char busy;
  OrtCustomOpDomain *domain;
  const OrtApi *api = base->GetApi(LG_ORT_VERSION);
  size_t selected = lg_selected;
  lg_selected = 0;
  if (!api) return 0;
  while (__atomic_test_and_set(&busy, __ATOMIC_ACQUIRE)) {
  }
  OrtStatus *status = lg_domain_of(api, selected, &domain);
  __atomic_clear(&busy, __ATOMIC_RELEASE);
  return status ? status : api->AddCustomOpDomain(options, domain);
}

/* Has the next registration of this thread bring one operator: an engine takes its time for each,
   and a library may have hundreds. Returns whether there is one of that name. */
LG_EXPORT int lg_select(const char *name) {
  for (lg_selected = LG_KERNELS; lg_selected; lg_selected--)
    if (!strcmp(lg_kernels[lg_selected - 1]->name, name)) return 1;
  return 0;
}

/* --- direct calls, without ONNX Runtime and on one thread --- */

LG_EXPORT size_t lg_count(void) { return LG_KERNELS; }

LG_EXPORT const LgKernel *lg_kernel(size_t i) { return i < LG_KERNELS ? lg_table()[i] : 0; }

/* The level of x86-64 whose kernels are called; 0 in a library that has no choice. */
LG_EXPORT int lg_level(void) { return lg_level_here(); }

/* Dims stand one after the other. Stage 0 writes out_dims only, stage 1 computes the outputs too;
   returns 0, or what is wrong. */
LG_EXPORT const char *lg_run(size_t kernel, const void *const *in, const int64_t *in_dims,
                             void *const *out, int64_t *out_dims, int stage) {
  LgCall call;
  if (kernel >= LG_KERNELS) return "lossgraph: there is no kernel of this number";
  call.kernel = lg_table()[kernel];
  call.shared_size = 0;
  for (int i = 0; i < call.kernel->inputs; i++) {
    size_t rank = (size_t)call.kernel->input_rank[i];
    call.in[i] = stage ? in[i] : 0;
    memcpy(call.in_dims[i], in_dims, rank * sizeof *in_dims);
    in_dims += rank;
  }
  const char *wrong = call.kernel->plan(&call);
  if (wrong) return wrong;
  for (int i = 0; i < call.kernel->outputs; i++) {
    size_t rank = (size_t)call.kernel->output_rank[i];
    call.out[i] = stage ? out[i] : 0;
    memcpy(out_dims, call.out_dims[i], rank * sizeof *out_dims);
    out_dims += rank;
  }
  return stage ? lg_compute(&call, lg_in_order, 0) : 0;
}

#endif
