#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "ops/op.h"

namespace daybreak {

/// A tensor in plain NCHW order; doubles hold the values of every data type exactly.
struct HostTensor {
  Shape shape;
  std::vector<double> v;
};

enum class Fill { real, integers };

/// What one op is run on. Values are exact in `dtype`, so all backends start from the same numbers.
struct OpData {
  std::vector<HostTensor> x;  ///< labels and pictures are whole numbers
  std::vector<HostTensor> w;  ///< in the order of Op::params
  HostTensor dy;
  StepScalars scalars;
};

/// Random inputs that suit the op: labels in range, targets in [0, 1], distinct values for a
/// maximum.
OpData make_data(const Op& op, const std::vector<Shape>& inputs, Fill fill, std::uint64_t seed,
                 DType dtype = DType::f32);

/// How far the nearest kink (of relu, |x|, a hinge) is from the point where `data` evaluates the
/// op.
double kink_distance(const Op& op, const OpData& data, Mode mode);

/// As make_data with Fill::real, retried until kinks are farther than central differences reach.
OpData make_smooth_data(const Op& op, const std::vector<Shape>& inputs, Mode mode);

/// The type an op's input has when the op computes in `dtype`: labels i32, pictures u8.
DType input_dtype(const Op& op, std::size_t input, DType dtype);

/// Query descriptors: plain, but pictures NHWC.
TensorDesc natural_desc(const Op& op, std::size_t input, const Shape& shape, DType dtype);

/// A query with plain tensors and nothing wanted.
KernelQuery plain_query(const Op& op, const std::vector<Shape>& inputs, Pass pass, Mode mode,
                        DType dtype);

bool has_trained_params(const Op& op, const std::vector<Shape>& inputs);
bool is_differentiable(const Op& op, std::size_t inputs);
/// The same numbers with integer inputs in any order of summation: comparisons can be exact.
bool is_exact_on_integers(const Op& op);
/// Terms in the longest sum that a pass computes for one element.
std::int64_t reduction_length(const Op& op, const std::vector<Shape>& inputs, Pass pass);

struct OpResult {
  HostTensor y;
  std::vector<HostTensor> w;   ///< after the forward pass: running statistics may have moved
  std::vector<HostTensor> dx;  ///< empty tensors where there is no gradient
  std::vector<HostTensor> dw;
  HostTensor statistics;  ///< {2, C, 1, 1}, given or taken in training; else empty
};

/// Runs the reference backend; `backward` asks for all gradients too.
enum class Want { forward, backward };
OpResult run_reference(const Op& op, const OpData& data, Mode mode, DType dtype, Want want);

/// Plain bytes of a tensor of u8, i32, f32 or f64, and back; pictures (kNhwc) are transposed.
std::vector<std::byte> to_bytes(const HostTensor& tensor, DType dtype, Layout layout = kNchw);
HostTensor from_bytes(const std::vector<std::byte>& bytes, const Shape& shape, DType dtype);

}  // namespace daybreak
