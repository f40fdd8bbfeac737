#pragma once

#include <optional>

#include "backend/backend.h"
#include "backend/cpu/context.h"
#include "backend/cpu/onednn.h"

namespace daybreak {

/// Convolution as one matrix product per kernel tap over the positions where the tap lies inside
/// the picture. Unlike im2col nothing is copied more than once, and taps outside are not computed:
/// a 3x3 kernel with padding does 16 of 36 products on 2x2 maps, 100 of 144 on 4x4. Meant for small
/// maps, where direct kernels are slow. Nothing when the shapes do not suit it.
std::optional<KernelOffer> tap_gemm_offer(const CpuContext& context, const KernelQuery& query,
                                          const ConvProblem& problem);

/// [begin, end) of the outputs whose tap k lies inside the input, along one axis.
struct TapRange {
  int begin, end;
};
TapRange valid_outputs(int k, int in, int out, int stride, int dilation, int pad);

}  // namespace daybreak
