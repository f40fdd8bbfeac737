#include "ops/conv2d.h"

#include "backend/cpu/conv_offers.h"

namespace daybreak {

CpuOffers conv2d_cpu_offers(const CpuContext& context, const KernelQuery& query) {
  const Conv2d& op = static_cast<const Conv2d&>(*query.op);
  ConvProblem problem;
  problem.x = query.inputs[0].shape;
  problem.y = query.output.shape;
  problem.w = query.params[0].shape;
  problem.dtype = query.inputs[0].dtype;
  problem.groups = op.groups;
  problem.bias = op.bias;
  problem.residual = op.residual;
  problem.act = op.act;
  const int stride[2] = {op.stride_h, op.stride_w};
  const int dilation[2] = {op.dilation_h, op.dilation_w};
  const int pad[2] = {op.pad_h, op.pad_w};
  for (int i = 0; i < 2; ++i) {
    problem.stride[i] = stride[i];
    problem.dilation[i] = dilation[i];
    problem.pad_before[i] = problem.pad_after[i] = pad[i];
  }
  return convolution_offers(context, query, problem);
}

}  // namespace daybreak
