// Declarations of what exported programs use of ONNX Runtime's C++ interface, written after its
// documentation: to see that a program is well-formed where its headers are not installed.
#pragma once
#include <memory>
#include <string>
#include <vector>

#define ORT_TSTR(text) text
typedef char ORTCHAR_T;
enum ONNXTensorElementDataType {
  ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT,
  ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64,
  ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL,
  ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16,
  ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE,
  ONNX_TENSOR_ELEMENT_DATA_TYPE_BFLOAT16
};
enum OrtAllocatorType { OrtDeviceAllocator };
enum OrtMemType { OrtMemTypeDefault };

namespace Ort {
struct Float16_t { float ToFloat() const; };
struct BFloat16_t { float ToFloat() const; };
struct Env { Env(); ~Env(); };
struct SessionOptions { SessionOptions(); ~SessionOptions(); };
struct RunOptions { RunOptions(); ~RunOptions(); };
struct AllocatorWithDefaultOptions { AllocatorWithDefaultOptions(); ~AllocatorWithDefaultOptions(); };
struct MemoryInfo { static MemoryInfo CreateCpu(OrtAllocatorType, OrtMemType); };
struct AllocatedFree { void operator()(void*) const; };
using AllocatedStringPtr = std::unique_ptr<char, AllocatedFree>;
struct TensorTypeAndShapeInfo {
  size_t GetElementCount() const;
  ONNXTensorElementDataType GetElementType() const;
};
struct Value {
  Value(Value&&) = default;
  Value& operator=(Value&&) = default;
  template <typename T> T* GetTensorMutableData();
  template <typename T> const T* GetTensorData() const;
  TensorTypeAndShapeInfo GetTensorTypeAndShapeInfo() const;
};
struct IoBinding;
struct Session {
  Session(const Env&, const ORTCHAR_T*, const SessionOptions&);
  size_t GetInputCount() const;
  size_t GetOutputCount() const;
  AllocatedStringPtr GetInputNameAllocated(size_t, AllocatorWithDefaultOptions&) const;
  AllocatedStringPtr GetOutputNameAllocated(size_t, AllocatorWithDefaultOptions&) const;
  void Run(const RunOptions&, const IoBinding&);
};
struct IoBinding {
  explicit IoBinding(Session&);
  void BindInput(const char*, const Value&);
  void BindOutput(const char*, const MemoryInfo&);
  std::vector<Value> GetOutputValues() const;
};
}  // namespace Ort
