// The CUDA backend on the emulated GPU in the place of the module and its loader.

#include "backend/cuda/cuda_backend.h"
#include "backend/module.h"

namespace daybreak {

BackendPtr make_cuda_backend(int device, int engines) {
  return std::make_unique<cuda::CudaBackend>(device, engines);
}

BackendPtr make_cuda_offers(int engines) {
  return std::make_unique<cuda::CudaBackend>(engines);
}

bool cuda_available(std::string*) {
  return true;
}

}  // namespace daybreak
