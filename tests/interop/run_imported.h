#pragma once

#include <vector>

#include "interop/darknet_import.h"

namespace daybreak::test {

/// Values of the heads and of the last layer for an input [c, h, w], without folding; `on_cpu`:
/// from the backend cpu, else from the reference.
std::vector<std::vector<float>> run_imported(const DarknetImport& import,
                                             const std::vector<double>& input, bool on_cpu);

}  // namespace daybreak::test
