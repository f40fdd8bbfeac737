// What follows a convolution in the same graph: cuDNN's engines that fuse take it into the kernel
// that computes the sums.

#include "backend/cuda/cudnn_graph.h"

namespace daybreak::cuda {
namespace {

/// Chains pointwise operations.
class Chain {
 public:
  Chain(const ConvProblem& problem, const Descriptor& sums, ConvGraph& graph)
      : problem_(problem), graph_(graph), value_(&sums) {
    const ConvEpilogue& epilogue = problem.epilogue;
    left_ = epilogue.bias + epilogue.residual + (epilogue.act != ActKind::none);
  }

  void add(std::int64_t name, const Shape& shape, DType dtype) {
    const Descriptor& other = keep(make_tensor(name, shape, dtype, problem_.layout));
    append(keep(attributes(CUDNN_POINTWISE_ADD)), &other);
  }

  void relu(float slope) {
    Descriptor act = attributes(CUDNN_POINTWISE_RELU_FWD, slope);
    append(keep(std::move(act)), nullptr);
  }

 private:
  const Descriptor& keep(Descriptor descriptor) {
    graph_.epilogue.push_back(std::move(descriptor));
    return graph_.epilogue.back();
  }

  static Descriptor attributes(cudnnPointwiseMode_t mode, double slope = 0.0) {
    Descriptor pointwise(CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
    pointwise.set(CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, 1, &mode);
    pointwise.set(CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_DATA_FLOAT);
    if (slope != 0.0) {
      pointwise.set(CUDNN_ATTR_POINTWISE_RELU_LOWER_CLIP_SLOPE, CUDNN_TYPE_DOUBLE, 1, &slope);
    }
    pointwise.finalize();
    return pointwise;
  }

  // The last operation writes y; those before it hand f32 on.
  void append(const Descriptor& pointwise, const Descriptor* other) {
    const bool last = --left_ == 0;
    const Descriptor* result = last ? &graph_.y
                                    : &keep(make_tensor(kBetween + left_, problem_.y, DType::f32,
                                                        problem_.layout, TensorUse::between));
    Descriptor operation(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
    operation.set(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, pointwise);
    operation.set(CUDNN_ATTR_OPERATION_POINTWISE_XDESC, *value_);
    if (other != nullptr) operation.set(CUDNN_ATTR_OPERATION_POINTWISE_BDESC, *other);
    operation.set(CUDNN_ATTR_OPERATION_POINTWISE_YDESC, *result);
    operation.finalize();
    graph_.operations.push_back(keep(std::move(operation)).raw());
    value_ = result;
  }

  const ConvProblem& problem_;
  ConvGraph& graph_;
  const Descriptor* value_;
  int left_ = 0;
};

void add_statistics(const ConvProblem& problem, ConvGraph& graph) {
  const Shape channels{1, problem.y.c, 1, 1};
  const auto keep = [&](Descriptor descriptor) -> const Descriptor& {
    graph.epilogue.push_back(std::move(descriptor));
    return graph.epilogue.back();
  };
  const Descriptor& sums = keep(make_tensor(kSums, channels, DType::f32, problem.layout));
  const Descriptor& squares = keep(make_tensor(kSquares, channels, DType::f32, problem.layout));
  Descriptor operation(CUDNN_BACKEND_OPERATION_GEN_STATS_DESCRIPTOR);
  const cudnnGenStatsMode_t mode = CUDNN_GENSTATS_SUM_SQSUM;
  operation.set(CUDNN_ATTR_OPERATION_GENSTATS_MODE, CUDNN_TYPE_GENSTATS_MODE, 1, &mode);
  operation.set(CUDNN_ATTR_OPERATION_GENSTATS_MATH_PREC, CUDNN_DATA_FLOAT);
  operation.set(CUDNN_ATTR_OPERATION_GENSTATS_XDESC, graph.y);
  operation.set(CUDNN_ATTR_OPERATION_GENSTATS_SUMDESC, sums);
  operation.set(CUDNN_ATTR_OPERATION_GENSTATS_SQSUMDESC, squares);
  operation.finalize();
  graph.operations.push_back(keep(std::move(operation)).raw());
}

}  // namespace

void add_epilogue(const ConvProblem& problem, const Descriptor& sums, ConvGraph& graph) {
  const ConvEpilogue& epilogue = problem.epilogue;
  if (epilogue.statistics) return add_statistics(problem, graph);
  Chain chain(problem, sums, graph);
  if (epilogue.bias) chain.add(kBias, {1, problem.y.c, 1, 1}, DType::f32);
  if (epilogue.residual) chain.add(kResidual, problem.y, problem.dtype);
  if (epilogue.act != ActKind::none) {
    chain.relu(epilogue.act == ActKind::leaky ? epilogue.slope : 0.0f);
  }
}

}  // namespace daybreak::cuda
