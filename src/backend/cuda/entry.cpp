#include <cstdio>
#include <cstring>
#include <exception>

#include "backend/cuda/cuda_backend.h"
#include "build_stamp.h"

/// The module's only exported function: a backend for GPU `device` (-1: for none, which makes
/// offers only), owned by the caller, or null with one line in `error` (of `error_bytes`, always
/// terminated). `build_stamp` must equal the module's own: both are made from the interface
/// headers, so a stale module is refused.
extern "C" __attribute__((visibility("default"))) daybreak::Backend* daybreak_make_cuda_backend(
    int device, int engines, const char* build_stamp, char* error, std::size_t error_bytes) {
  const auto fail = [&](const char* text) -> daybreak::Backend* {
    if (error_bytes > 0) std::snprintf(error, error_bytes, "%s", text);
    return nullptr;
  };
  if (std::strcmp(build_stamp, DAYBREAK_BUILD_STAMP) != 0) {
    return fail("libdaybreak_cuda.so is of another build than this program; build both together");
  }
  try {
    if (device == -1) return new daybreak::cuda::CudaBackend(engines);
    return new daybreak::cuda::CudaBackend(device, engines);
  } catch (const std::exception& failure) {
    return fail(failure.what());
  }
}
