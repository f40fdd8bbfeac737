#pragma once

#include <cstddef>
#include <cstdint>

#include "backend/cuda/context.h"
#include "core/shape.h"

// Small kernels that library calls (cuDNN, cuBLASLt) are completed with. All run on the stream.
namespace daybreak::cuda {

/// to[i] = from[i] in another floating type (or from u8 or i32).
void launch_cast(const Context& context, const void* from, DType from_type, void* to, DType to_type,
                 std::int64_t count);
bool can_cast(DType from, DType to);

/// y[row, c] += bias[c] for a [rows, channels] matrix of `dtype`; the bias is f32.
void launch_bias_add(const Context& context, DType dtype, void* y, const float* bias, int rows,
                     int channels);

/// db[c] = sum over rows of dy[row, c], in f32 and fixed order.
void launch_bias_gradient(const Context& context, DType dtype, const void* dy, float* db,
                          float* workspace, int rows, int channels);
std::size_t bias_gradient_bytes(int rows, int channels);

/// Writes up to kFewBytes bytes that are taken at once.
constexpr int kFewBytes = 256;
void launch_put_bytes(const Context& context, void* to, const void* from, std::size_t count);

/// Backend::blend and Backend::exchange, of f32.
void launch_blend(const Context& context, std::byte* average, const std::byte* values,
                  std::size_t count, float share);
void launch_exchange(const Context& context, std::byte* a, std::byte* b, std::size_t count);

}  // namespace daybreak::cuda
