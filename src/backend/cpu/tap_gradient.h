#pragma once

#include <optional>

#include "backend/backend.h"
#include "backend/cpu/context.h"
#include "backend/cpu/onednn.h"

namespace daybreak {

/// The weight gradient of a bf16 convolution with a small output as one matrix product per kernel
/// tap over the pixels whose tap lies inside the picture. Nothing where it does not fit.
std::optional<KernelOffer> tap_gradient_offer(const CpuContext& context, const KernelQuery& query,
                                              const ConvProblem& problem);

}  // namespace daybreak
