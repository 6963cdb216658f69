/* The part of ONNX Runtime's C interface that a custom operator needs, in our own words.

   ONNX Runtime is asked for a table of functions by a version number. The table only ever grows at
   its end, so what has a place in version 17 keeps it in every later release, and a library built
   against these places runs unchanged in all of them. Places between those used are gaps here; the
   assertions below say where each function stands. */
#ifndef LG_ORT_H
#define LG_ORT_H
#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32)
#define LG_EXPORT __declspec(dllexport)
#define LG_CALLED __stdcall
#else
#define LG_EXPORT __attribute__((visibility("default")))
#define LG_CALLED
#endif

/* The first version with ParallelFor in its table. */
#define LG_ORT_VERSION 17

/* Opaque: only pointers to them are passed on. A status of 0 is success. */
typedef struct OrtStatus OrtStatus;
typedef struct OrtSessionOptions OrtSessionOptions;
typedef struct OrtCustomOpDomain OrtCustomOpDomain;
typedef struct OrtKernelInfo OrtKernelInfo;
typedef struct OrtKernelContext OrtKernelContext;
typedef struct OrtValue OrtValue;
typedef struct OrtTypeAndShape OrtTypeAndShape;
typedef struct OrtCustomOp OrtCustomOp;

enum { ORT_FAIL = 1, ORT_INVALID_ARGUMENT = 2 }; /* codes of a status */

typedef void(LG_CALLED *OrtGap)(void);

typedef struct {
  OrtStatus *(LG_CALLED *CreateStatus)(int code, const char *message);
  OrtGap from_1[25];
  OrtStatus *(LG_CALLED *CreateCustomOpDomain)(const char *domain, OrtCustomOpDomain **);
  OrtStatus *(LG_CALLED *CustomOpDomain_Add)(OrtCustomOpDomain *, const OrtCustomOp *);
  OrtStatus *(LG_CALLED *AddCustomOpDomain)(OrtSessionOptions *, OrtCustomOpDomain *);
  OrtGap from_29[22];
  OrtStatus *(LG_CALLED *GetTensorMutableData)(OrtValue *, void **data);
  OrtGap from_52[9];
  OrtStatus *(LG_CALLED *GetDimensionsCount)(const OrtTypeAndShape *, size_t *rank);
  OrtStatus *(LG_CALLED *GetDimensions)(const OrtTypeAndShape *, int64_t *dims, size_t rank);
  OrtGap from_63[2];
  OrtStatus *(LG_CALLED *GetTensorTypeAndShape)(const OrtValue *, OrtTypeAndShape **);
  OrtGap from_66[24];
  OrtStatus *(LG_CALLED *KernelContext_GetInput)(const OrtKernelContext *, size_t, const OrtValue **);
  OrtStatus *(LG_CALLED *KernelContext_GetOutput)(OrtKernelContext *, size_t, const int64_t *dims,
                                                  size_t rank, OrtValue **);
  OrtGap from_92[7];
  void(LG_CALLED *ReleaseTensorTypeAndShapeInfo)(OrtTypeAndShape *);
  OrtGap from_100[174];
  /* Calls run(data, 0 .. total - 1) on the session's threads; 0 batches: each as a task. */
  OrtStatus *(LG_CALLED *KernelContext_ParallelFor)(const OrtKernelContext *,
                                                    void (*run)(void *data, size_t index),
                                                    size_t total, size_t batches, void *data);
} OrtApi;

#define LG_PLACE(function, place)                                                             \
  _Static_assert(offsetof(OrtApi, function) == (place) * sizeof(OrtGap), "the place of " #function)
LG_PLACE(CreateStatus, 0);
LG_PLACE(CreateCustomOpDomain, 26);
LG_PLACE(CustomOpDomain_Add, 27);
LG_PLACE(AddCustomOpDomain, 28);
LG_PLACE(GetTensorMutableData, 51);
LG_PLACE(GetDimensionsCount, 61);
LG_PLACE(GetDimensions, 62);
LG_PLACE(GetTensorTypeAndShape, 65);
LG_PLACE(KernelContext_GetInput, 90);
LG_PLACE(KernelContext_GetOutput, 91);
LG_PLACE(ReleaseTensorTypeAndShapeInfo, 99);
LG_PLACE(KernelContext_ParallelFor, 274);

/* What a library is handed when it is registered. */
typedef struct {
  const OrtApi *(LG_CALLED *GetApi)(uint32_t version); /* 0 for a version that it has not */
  const char *(LG_CALLED *GetVersionString)(void);
} OrtApiBase;

/* An operator as ONNX Runtime asks about it. It reads as many of the fields as the operator's
   version has, and takes the two-step functions where it has the choice. */
struct OrtCustomOp {
  uint32_t version;
  void *(LG_CALLED *CreateKernel)(const OrtCustomOp *, const OrtApi *, const OrtKernelInfo *);
  const char *(LG_CALLED *GetName)(const OrtCustomOp *);
  const char *(LG_CALLED *GetExecutionProviderType)(const OrtCustomOp *); /* 0: the CPU */
  int(LG_CALLED *GetInputType)(const OrtCustomOp *, size_t);
  size_t(LG_CALLED *GetInputTypeCount)(const OrtCustomOp *);
  int(LG_CALLED *GetOutputType)(const OrtCustomOp *, size_t);
  size_t(LG_CALLED *GetOutputTypeCount)(const OrtCustomOp *);
  void(LG_CALLED *KernelCompute)(void *kernel, OrtKernelContext *);
  void(LG_CALLED *KernelDestroy)(void *kernel);
  int(LG_CALLED *GetInputCharacteristic)(const OrtCustomOp *, size_t); /* 0: required */
  int(LG_CALLED *GetOutputCharacteristic)(const OrtCustomOp *, size_t);
  int(LG_CALLED *GetInputMemoryType)(const OrtCustomOp *, size_t); /* 0: the provider's own */
  int(LG_CALLED *GetVariadicInputMinArity)(const OrtCustomOp *);
  int(LG_CALLED *GetVariadicInputHomogeneity)(const OrtCustomOp *);
  int(LG_CALLED *GetVariadicOutputMinArity)(const OrtCustomOp *);
  int(LG_CALLED *GetVariadicOutputHomogeneity)(const OrtCustomOp *);
  OrtStatus *(LG_CALLED *CreateKernelV2)(const OrtCustomOp *, const OrtApi *, const OrtKernelInfo *,
                                         void **kernel);
  OrtStatus *(LG_CALLED *KernelComputeV2)(void *kernel, OrtKernelContext *);
  OrtStatus *(LG_CALLED *InferOutputShapeFn)(const OrtCustomOp *, void *);
  int(LG_CALLED *GetStartVersion)(const OrtCustomOp *);
  int(LG_CALLED *GetEndVersion)(const OrtCustomOp *);
  OrtGap from_18[4]; /* of version 18: not read of an operator of version 17 */
};

#endif
