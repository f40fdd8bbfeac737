#pragma once

#include <vector>

#include "backend/backend.h"
#include "backend/cpu/context.h"
#include "backend/cpu/onednn.h"

namespace daybreak {

/// oneDNN's kernels for one pass of a convolution, most promising first: direct and, where it
/// exists, Winograd, in the layouts the tensors have and in those the library prefers. With bf16
/// activations also f32 kernels of algorithms that bf16 lacks.
CpuOffers convolution_offers(const CpuContext& context, const KernelQuery& query,
                             const ConvProblem& problem);

}  // namespace daybreak
