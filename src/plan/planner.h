#pragma once

#include <functional>
#include <vector>

#include "backend/backend.h"
#include "plan/param_layouts.h"
#include "plan/plan.h"

namespace daybreak {

/// Index of the offer to take: the backend's best guess is 0.
using OfferChooser =
    std::function<std::size_t(const KernelQuery& query, const std::vector<KernelOffer>& offers)>;

/// Decides shapes, fusions, kernels, layouts, reorders, gradients and memory for one request.
/// Throws ConfigError (with the layer's place) for shapes that do not fit or operations the
/// backend does not have.
Plan make_plan(const Graph& graph, Backend& backend, const PlanRequest& request,
               ParamLayouts& layouts, const OfferChooser& choose);

}  // namespace daybreak
