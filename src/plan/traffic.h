#pragma once

#include <cstdint>

#include "graph/graph.h"
#include "plan/param_store.h"
#include "plan/plan.h"

namespace daybreak {

/// Bytes of memory that a pass reads and writes, and the fewest it could do with
/// (docs/architecture.md).
struct PassTraffic {
  std::uint64_t moved = 0, floor = 0;

  /// 1: nothing is moved in vain; 0: there is nothing to move.
  double ratio() const {
    return floor == 0 ? 0.0 : static_cast<double>(moved) / static_cast<double>(floor);
  }
};

/// Those of one step.
struct Traffic {
  PassTraffic forward, backward, update;

  PassTraffic total() const {
    return {forward.moved + backward.moved + update.moved,
            forward.floor + backward.floor + update.floor};
  }
};

/// Both passes of a plan. Moved: every tensor a kernel is given counts once when it is read and
/// once when it is written; workspaces do not count. Floor: what the products (convolutions and
/// linear layers) must read and write if all that lies between them costs nothing.
Traffic plan_traffic(const Graph& graph, const Plan& plan);

/// Gradient norm and update with an optimizer of `slots` arrays, nothing being frozen. The floor
/// has no pass for the norm: sums could be taken where gradients are written.
PassTraffic update_traffic(const ParamBytes& params, int slots);

}  // namespace daybreak
