#pragma once

#include "backend/module.h"

namespace daybreak {

inline bool on_cpu = false;  ///< the CPU takes the GPU's place (--on-cpu)

/// The GPU that whole networks are tried on. Never destroyed: what cuDNN loads later would end
/// before it.
inline Backend& cuda() {
  static Backend& backend = *(on_cpu ? make_cpu_backend(1) : make_cuda_backend(0)).release();
  return backend;
}

}  // namespace daybreak
