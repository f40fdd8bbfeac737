#include "ops/linear.h"

#include "backend/cpu/context.h"
#include "backend/cpu/onednn.h"

namespace daybreak {

// The order of a sample's numbers matters (weights index C, H, W), so input and output are plain.
CpuOffers linear_cpu_offers(const CpuContext& context, const KernelQuery& query) {
  const Linear& op = static_cast<const Linear&>(*query.op);
  LinearProblem problem;
  problem.samples = query.inputs[0].shape.n;
  problem.in = query.inputs[0].shape.per_sample();
  problem.out = op.outputs;
  problem.dtype = query.inputs[0].dtype;
  problem.bias = op.bias;
  auto answer = context.onednn->linear(problem, query.pass, query.mode);
  if (!answer) return {};
  KernelOffer offer;
  offer.name = "onednn:" + answer->implementation;
  offer.algorithm = KernelAlgorithm::gemm;
  offer.inputs = {context.with_layout(query.inputs[0], kNchw)};
  offer.output = context.with_layout(query.output, kNchw);
  for (const TensorDesc& desc : query.params) {
    offer.params.push_back(plain_desc(desc.shape, DType::f32));
  }
  if (query.pass != Pass::backward_weights) {
    offer.params[0] = plain_desc(offer.params[0].shape, problem.dtype);
  }
  offer.reads.inputs = query.pass == Pass::backward_weights;
  offer.workspace_bytes = answer->workspace_bytes;
  offer.make = std::move(answer->make);
  return {offer};
}

}  // namespace daybreak
