#pragma once

#include "config/spec_schemas.h"

namespace daybreak {

/// A solver as written: what needs other files or expansion is still a node.
struct SolverFile : SolverSpec {
  Node recipe, net, data;
  Node one_cycle, sgdr, policy_node, phases_node, lr, length, momentum;
};

const Schema<SolverFile>& solver_schema();

}  // namespace daybreak
