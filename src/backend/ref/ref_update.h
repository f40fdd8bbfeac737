#pragma once

#include <memory>

#include "backend/backend.h"

namespace daybreak {

/// The reference optimizers, over arenas of float or double; arithmetic in double, rounded when
/// stored. Formulas: PyTorch's (torch/optim), sgd's lr_in_slot Caffe's.
std::unique_ptr<UpdateKernel> make_ref_update(const OptimizerAttrs& attrs, DType dtype);

}  // namespace daybreak
