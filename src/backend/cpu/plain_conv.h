#pragma once

#include <optional>

#include "backend/backend.h"
#include "backend/cpu/context.h"
#include "backend/cpu/onednn.h"

namespace daybreak {

/// Own convolutions for inference on plain tensors: pointwise (1x1), depthwise 3x3 and 5x5, and
/// first layers of few channels. Blocked layouts pad channels to 16, which wastes most of the work
/// in networks whose layers have 4 or 8 or 24; here vectors run along the pixels. Nothing is
/// compiled at start-up either. Nothing when the shapes, the layouts so far or the processor (no
/// AVX-512) do not suit.
std::optional<KernelOffer> plain_conv_offer(const CpuContext& context, const KernelQuery& query,
                                            const ConvProblem& problem);

}  // namespace daybreak
