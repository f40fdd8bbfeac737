#pragma once

#include <cstddef>

#include "backend/backend.h"

namespace daybreak {

/// Bytes this process may still take: free memory of the machine, limited by the control group.
std::size_t available_host_memory();

/// Zeroed memory, aligned to 2 MiB and backed by huge pages where it is large, touched by the
/// compute team so that no page fault is left for the first step. Throws DeviceError.
MemoryPtr allocate_cpu_memory(std::size_t bytes);

}  // namespace daybreak
