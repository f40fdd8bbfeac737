// What a convolution does with its input as it loads it, in the same graph (ConvProblem::loads).
// cuDNN pads what the convolution reads, so the border is zero behind the relu.

#include "backend/cuda/cudnn_graph.h"

namespace daybreak::cuda {

const Descriptor& add_prologue(const ConvProblem& problem, ConvGraph& graph) {
  const Descriptor* value = &graph.x;
  std::int64_t between = kLoaded;
  // The convolution reads its own type; what comes before is f32.
  const auto apply = [&](cudnnPointwiseMode_t mode, const Descriptor* other, DType dtype) {
    const Descriptor& result =
        graph.keep(make_tensor(between++, problem.x, dtype, problem.layout, TensorUse::between));
    Descriptor operation(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
    operation.set(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR,
                  graph.keep(pointwise_attributes(mode)));
    operation.set(CUDNN_ATTR_OPERATION_POINTWISE_XDESC, *value);
    if (other != nullptr) operation.set(CUDNN_ATTR_OPERATION_POINTWISE_BDESC, *other);
    operation.set(CUDNN_ATTR_OPERATION_POINTWISE_YDESC, result);
    graph.append(std::move(operation));
    value = &result;
  };
  const auto channels = [&](std::int64_t name) {
    return &graph.keep(make_tensor(name, {1, problem.x.c, 1, 1}, problem.dtype, problem.layout));
  };
  apply(CUDNN_POINTWISE_MUL, channels(kScale), DType::f32);
  apply(CUDNN_POINTWISE_ADD, channels(kShift), DType::f32);
  apply(CUDNN_POINTWISE_RELU_FWD, nullptr, problem.dtype);
  return *value;
}

}  // namespace daybreak::cuda
