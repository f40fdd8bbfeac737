#pragma once

#include "backend/module.h"

namespace daybreak {

/// The GPU that the tests of kernels share. Never destroyed: what cuDNN loads later would end
/// before it.
inline Backend& cuda() {
  static Backend& backend = *make_cuda_backend(0, /*engines=*/3).release();
  return backend;
}

}  // namespace daybreak
