#pragma once

#include <vector>

#include "config/spec_schemas.h"

namespace daybreak {

/// A `phases` list; every phase that is good is complete: ends, curves and powers are filled in.
void read_phases(const Node& list, std::vector<PhaseSpec>& phases, Diagnostics& diagnostics);

}  // namespace daybreak
