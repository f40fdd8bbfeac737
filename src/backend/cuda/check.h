#pragma once

#include <cublasLt.h>
#include <cuda_runtime.h>
#include <cudnn_graph.h>

#include <cstddef>
#include <source_location>
#include <string>

namespace daybreak::cuda {

using Where = std::source_location;

/// Throws DeviceError "CALL failed: TEXT (NAME, FILE:LINE)" unless the code means success.
void check(cudaError_t code, const char* call, Where where = Where::current());
void check(cudnnStatus_t code, const char* call, Where where = Where::current());
void check(cublasStatus_t code, const char* call, Where where = Where::current());

/// Reports the launch of the kernel just before this call; `kernel` names it.
void check_launch(const char* kernel, Where where = Where::current());

/// The last line cuDNN wrote about an error, shortened; empty when there is none.
std::string cudnn_last_error();

/// "1.5 GiB", "12.0 MiB", "640 bytes".
std::string bytes_text(std::size_t bytes);

}  // namespace daybreak::cuda
