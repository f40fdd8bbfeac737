#pragma once

#include <vector>

#include "backend/cpu/context.h"
#include "backend/cpu/onednn.h"

namespace daybreak {

/// Our own bilinear convolutions (see winograd/scheme.h) for 3 x 3 without bias on tensors blocked
/// by 16 channels; weights are kept as [3, 3, IC, OC] ("hwio"). Best guess first; empty where none
/// fits or without AVX-512.
std::vector<KernelOffer> winograd_offers(const CpuContext& context, const KernelQuery& query,
                                         const ConvProblem& problem);

/// True on processors whose AVX-512 the kernels may use; `bf16`: that also multiply bf16.
bool has_winograd_kernels(bool bf16);

}  // namespace daybreak
