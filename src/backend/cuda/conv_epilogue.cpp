// What follows a convolution in the same graph: cuDNN's engines that fuse take it into the kernel
// that computes the sums.

#include "backend/cuda/cudnn_graph.h"

namespace daybreak::cuda {

Descriptor pointwise_attributes(cudnnPointwiseMode_t mode, double slope) {
  Descriptor attributes(CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
  attributes.set(CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, 1, &mode);
  attributes.set(CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_DATA_FLOAT);
  if (slope != 0.0) {
    attributes.set(CUDNN_ATTR_POINTWISE_RELU_LOWER_CLIP_SLOPE, CUDNN_TYPE_DOUBLE, 1, &slope);
  }
  attributes.finalize();
  return attributes;
}

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
    const Descriptor& other = graph_.keep(make_tensor(name, shape, dtype, problem_.layout));
    append(graph_.keep(pointwise_attributes(CUDNN_POINTWISE_ADD)), &other);
  }

  void relu(float slope) {
    append(graph_.keep(pointwise_attributes(CUDNN_POINTWISE_RELU_FWD, slope)), nullptr);
  }

 private:
  // The last operation writes y; those before it hand f32 on.
  void append(const Descriptor& pointwise, const Descriptor* other) {
    const bool last = --left_ == 0;
    const Descriptor* result =
        last ? &graph_.y
             : &graph_.keep(make_tensor(kBetween + left_, problem_.y, DType::f32, problem_.layout,
                                        TensorUse::between));
    Descriptor operation(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
    operation.set(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, pointwise);
    operation.set(CUDNN_ATTR_OPERATION_POINTWISE_XDESC, *value_);
    if (other != nullptr) operation.set(CUDNN_ATTR_OPERATION_POINTWISE_BDESC, *other);
    operation.set(CUDNN_ATTR_OPERATION_POINTWISE_YDESC, *result);
    graph_.append(std::move(operation));
    value_ = result;
  }

  const ConvProblem& problem_;
  ConvGraph& graph_;
  const Descriptor* value_;
  int left_ = 0;
};

/// g = gradient * relu'(z) with z = (input - mean) * inverse * scale + shift, and its sums.
class NormChain {
 public:
  NormChain(const ConvProblem& problem, ConvGraph& graph) : problem_(problem), graph_(graph) {}

  void add(const Descriptor& gradient) {
    const Descriptor& x = stored(kNormInput, problem_.x, problem_.dtype);
    const Descriptor &mean = channels(kMean), &inverse = channels(kInverse),
                     &scale = channels(kScale);
    const Descriptor& centred = pointwise(CUDNN_POINTWISE_SUB, x, mean);
    const Descriptor& hat = pointwise(CUDNN_POINTWISE_MUL, centred, inverse);
    const Descriptor& scaled = pointwise(CUDNN_POINTWISE_MUL, hat, scale);
    const Descriptor& z = pointwise(CUDNN_POINTWISE_ADD, scaled, channels(kShift));
    Descriptor slope(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
    slope.set(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR,
              graph_.keep(pointwise_attributes(CUDNN_POINTWISE_RELU_BWD)));
    slope.set(CUDNN_ATTR_OPERATION_POINTWISE_XDESC, z);
    slope.set(CUDNN_ATTR_OPERATION_POINTWISE_DYDESC, gradient);
    slope.set(CUDNN_ATTR_OPERATION_POINTWISE_DXDESC, graph_.x);
    graph_.append(std::move(slope));
    Descriptor sums(CUDNN_BACKEND_OPERATION_BN_BWD_WEIGHTS_DESCRIPTOR);
    sums.set(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_MATH_PREC, CUDNN_DATA_FLOAT);
    sums.set(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_MEAN_DESC, mean);
    sums.set(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_INVSTD_DESC, inverse);
    sums.set(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_BN_SCALE_DESC, scale);
    sums.set(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_X_DESC, x);
    sums.set(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_DY_DESC, graph_.x);
    sums.set(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_DBN_SCALE_DESC, channels(kSumGx));
    sums.set(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_DBN_BIAS_DESC, channels(kSumG));
    sums.set(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_EQ_DY_SCALE_DESC, channels(kUnused));
    sums.set(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_EQ_X_SCALE_DESC, channels(kUnused + 1));
    sums.set(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_EQ_BIAS, channels(kUnused + 2));
    graph_.append(std::move(sums));
  }

 private:
  const Descriptor& stored(std::int64_t name, const Shape& shape, DType dtype) {
    return graph_.keep(make_tensor(name, shape, dtype, problem_.layout));
  }
  const Descriptor& channels(std::int64_t name) {
    return stored(name, {1, problem_.x.c, 1, 1}, DType::f32);
  }
  const Descriptor& pointwise(cudnnPointwiseMode_t kind, const Descriptor& a, const Descriptor& b) {
    const Descriptor& result = graph_.keep(make_tensor(
        kBetween + ++between_, problem_.x, DType::f32, problem_.layout, TensorUse::between));
    Descriptor operation(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
    operation.set(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR,
                  graph_.keep(pointwise_attributes(kind)));
    operation.set(CUDNN_ATTR_OPERATION_POINTWISE_XDESC, a);
    operation.set(CUDNN_ATTR_OPERATION_POINTWISE_BDESC, b);
    operation.set(CUDNN_ATTR_OPERATION_POINTWISE_YDESC, result);
    graph_.append(std::move(operation));
    return result;
  }

  const ConvProblem& problem_;
  ConvGraph& graph_;
  int between_ = 0;
};

void add_statistics(const ConvProblem& problem, ConvGraph& graph) {
  const Shape channels{1, problem.y.c, 1, 1};
  const Descriptor& sums = graph.keep(make_tensor(kSums, channels, DType::f32, problem.layout));
  const Descriptor& squares =
      graph.keep(make_tensor(kSquares, channels, DType::f32, problem.layout));
  Descriptor operation(CUDNN_BACKEND_OPERATION_GEN_STATS_DESCRIPTOR);
  const cudnnGenStatsMode_t mode = CUDNN_GENSTATS_SUM_SQSUM;
  operation.set(CUDNN_ATTR_OPERATION_GENSTATS_MODE, CUDNN_TYPE_GENSTATS_MODE, 1, &mode);
  operation.set(CUDNN_ATTR_OPERATION_GENSTATS_MATH_PREC, CUDNN_DATA_FLOAT);
  operation.set(CUDNN_ATTR_OPERATION_GENSTATS_XDESC, graph.y);
  operation.set(CUDNN_ATTR_OPERATION_GENSTATS_SUMDESC, sums);
  operation.set(CUDNN_ATTR_OPERATION_GENSTATS_SQSUMDESC, squares);
  graph.append(std::move(operation));
}

}  // namespace

void add_epilogue(const ConvProblem& problem, const Descriptor& sums, ConvGraph& graph) {
  const ConvEpilogue& epilogue = problem.epilogue;
  if (epilogue.statistics) return add_statistics(problem, graph);
  if (epilogue.chain) return NormChain(problem, graph).add(sums);
  Chain chain(problem, sums, graph);
  if (epilogue.bias) chain.add(kBias, {1, problem.y.c, 1, 1}, DType::f32);
  if (epilogue.residual) chain.add(kResidual, problem.y, problem.dtype);
  if (epilogue.act != ActKind::none) {
    chain.relu(epilogue.act == ActKind::leaky ? epilogue.slope : 0.0f);
  }
}

}  // namespace daybreak::cuda
