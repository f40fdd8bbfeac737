#pragma once

#include <cstddef>
#include <cstdint>

#include "backend/cuda/context.h"
#include "backend/cuda/index.h"
#include "core/shape.h"
#include "ops/act_kind.h"

// Small kernels that library calls (cuDNN, cuBLASLt) are completed with. All run on the stream.
namespace daybreak::cuda {

/// to[i] = from[i] in another floating type (or from u8 or i32).
void launch_cast(const Context& context, const void* from, DType from_type, void* to, DType to_type,
                 std::int64_t count);
bool can_cast(DType from, DType to);

/// y = act(y + bias[c] + residual) for [rows, channels] matrices of `dtype`; the bias is f32, and
/// it and the residual may be null.
void launch_epilogue(const Context& context, DType dtype, void* y, const float* bias,
                     const void* residual, Activation act, int rows, int channels);

/// db[c] = sum over rows of dy[row, c], in f32 and fixed order.
void launch_bias_gradient(const Context& context, DType dtype, const void* dy, float* db,
                          float* workspace, int rows, int channels);
std::size_t bias_gradient_bytes(int rows, int channels);

/// Statistics of x, `shape` of `dtype`: [2][groups * channels], means and variances (divided by the
/// rows), in f32 around the first row's values and fixed order.
void launch_moments(const Context& context, DType dtype, const void* x, const ColumnShape& shape,
                    float* workspace, float* statistics);
std::size_t moments_bytes(const ColumnShape& shape);
/// The same of one group from the sums over its rows of the values and of their squares.
void launch_moments_of_sums(const Context& context, const float* sums, const float* squares,
                            int rows, int channels, float* statistics);

/// What the gradient of a batch norm with relu starts with (Conv2d::chain).
struct NormGradient {
  const void* x = nullptr;                          ///< the norm's input
  const void* gradient = nullptr;                   ///< behind the relu
  const float *mean = nullptr, *inverse = nullptr;  ///< of each channel, as the norm has saved them
  const float *scale = nullptr, *shift = nullptr;
};
/// totals: [2][channels], sums of the gradient in front of the relu and of its products with the
/// normalised x. The workspace is that of launch_moments.
void launch_norm_gradient(const Context& context, DType dtype, const NormGradient& call,
                          const ColumnShape& shape, float* workspace, float* totals);

/// y = relu(norm(x)), as the norm itself would have made it, from what it has left when it was
/// deferred: `saved` holds mean, inverse, scale and shift of each channel, the first four of
/// BatchNorm::kDeferredRows. The last two are scale and shift of x in `dtype`, for engines.
void launch_norm_output(const Context& context, DType dtype, const void* x, const float* saved,
                        const ColumnShape& shape, void* y);

/// Writes up to kFewBytes bytes that are taken at once.
constexpr int kFewBytes = 256;
void launch_put_bytes(const Context& context, void* to, const void* from, std::size_t count);

/// Backend::blend and Backend::exchange, of f32.
void launch_blend(const Context& context, std::byte* average, const std::byte* values,
                  std::size_t count, float share);
void launch_exchange(const Context& context, std::byte* a, std::byte* b, std::size_t count);

}  // namespace daybreak::cuda
