#include "backend/cuda/check.h"

#include <fmt/format.h>

#include <string_view>

#include "core/error.h"

namespace daybreak::cuda {
namespace {

// The path below src/, which is the same wherever the tree was built.
std::string_view short_path(std::string_view path) {
  const std::size_t at = path.rfind("/src/");
  return at == std::string_view::npos ? path : path.substr(at + 1);
}

[[noreturn]] void fail(const char* call, std::string_view text, std::string_view code,
                       const Where& where) {
  throw DeviceError(fmt::format("{} failed: {} ({}, {}:{})", call, text, code,
                                short_path(where.file_name()), where.line()));
}

}  // namespace

void check(cudaError_t code, const char* call, Where where) {
  if (code == cudaSuccess) return;
  cudaGetLastError();  // it is reported here: a later launch must not be blamed for it
  fail(call, cudaGetErrorString(code), cudaGetErrorName(code), where);
}

void check(cudnnStatus_t code, const char* call, Where where) {
  if (code == CUDNN_STATUS_SUCCESS) return;
  const std::string detail = cudnn_last_error();
  fail(call, detail.empty() ? "cuDNN gave no details" : detail, cudnnGetErrorString(code), where);
}

void check(cublasStatus_t code, const char* call, Where where) {
  if (code == CUBLAS_STATUS_SUCCESS) return;
  fail(call, cublasLtGetStatusString(code), cublasLtGetStatusName(code), where);
}

void check_launch(const char* kernel, Where where) {
  check(cudaGetLastError(), kernel, where);
}

std::string cudnn_last_error() {
  char text[2048] = {};
  cudnnGetLastErrorString(text, sizeof text);
  text[sizeof text - 1] = '\0';
  std::string_view view = text;
  while (!view.empty() && (view.back() == '\n' || view.back() == ' ')) view.remove_suffix(1);
  const std::size_t line = view.rfind('\n');
  if (line != std::string_view::npos) view.remove_prefix(line + 1);
  constexpr std::size_t kMaxShown = 300;
  return std::string(view.substr(0, kMaxShown));
}

std::string bytes_text(std::size_t bytes) {
  constexpr double kMiB = 1024.0 * 1024.0;
  if (bytes >= std::size_t{1} << 30) return fmt::format("{:.2f} GiB", bytes / (kMiB * 1024.0));
  if (bytes >= std::size_t{1} << 20) return fmt::format("{:.1f} MiB", bytes / kMiB);
  return fmt::format("{} bytes", bytes);
}

}  // namespace daybreak::cuda
