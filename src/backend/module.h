#pragma once

#include <string>

#include "backend/backend.h"

namespace daybreak {

/// The CUDA backend on GPU `device`, from the module libdaybreak_cuda.so, which is opened now and
/// stays open. `engines`: how many of cuDNN's a convolution, or of cuBLASLt's algorithms a linear
/// layer, is offered with at most; measuring chooses among them (plan/choose.h). It is looked
/// for beside the executable, in ../lib, and up to two folders above (a build tree). Throws
/// DeviceError with one line when there is no module, driver or GPU, or when the module is of
/// another build.
constexpr int kMeasuredEngines = 4;
BackendPtr make_cuda_backend(int device, int engines = kMeasuredEngines);

/// The same without a GPU: it offers own kernels, so that plans can be made and looked at anywhere,
/// and has no memory. With `engines` > 0 cuDNN (9.11 or newer) is asked as well, what it would
/// offer on an H100; engines that compile their kernels want some libcuda.so.1 for that, be it the
/// toolkit's stub. Throws DeviceError where the module or a library of it is missing, or cuDNN
/// cannot say.
BackendPtr make_cuda_offers(int engines = 0);

/// True when make_cuda_backend can work: module, driver and a GPU are there. Asks the driver only,
/// so it is quick where there is none; `why` (may be null) says what is missing.
bool cuda_available(std::string* why);

}  // namespace daybreak
