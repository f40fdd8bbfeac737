#pragma once

#include <functional>
#include <vector>

#include "backend/backend.h"
#include "plan/param_layouts.h"
#include "plan/plan.h"

namespace daybreak {

/// The offer to take and, when it was measured, its time with the reorders it causes.
struct OfferChoice {
  std::size_t index = 0;
  double seconds = 0.0;  ///< 0: not measured

  OfferChoice(std::size_t index_in, double seconds_in = 0.0)
      : index(index_in), seconds(seconds_in) {}
};

/// Takes one of at least one offer; the backend's best guess is 0.
using OfferChooser =
    std::function<OfferChoice(const KernelQuery& query, const std::vector<KernelOffer>& offers)>;

/// A kernel that a plan would run, with all there is for it.
struct KernelAsk {
  KernelQuery query;
  std::vector<KernelOffer> offers;
};

/// True when a plan is to run the kernels of `joined` instead of those of `apart`, which compute
/// the same.
using JoinChooser =
    std::function<bool(const std::vector<KernelAsk>& apart, const std::vector<KernelAsk>& joined)>;

/// Decides shapes, fusions, kernels, layouts, reorders, gradients and memory for one request.
/// Throws ConfigError (with the layer's place) for shapes that do not fit or operations the
/// backend does not have. Without `join` every kernel of which it would be asked stays apart.
Plan make_plan(const Graph& graph, Backend& backend, const PlanRequest& request,
               ParamLayouts& layouts, const OfferChooser& choose, const JoinChooser& join = {});

}  // namespace daybreak
