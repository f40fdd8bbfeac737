#pragma once

#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "core/shape.h"

namespace daybreak {

/// The closed set of operations a backend runs. Layers (src/layers) lower to these.
enum class OpKind : std::uint8_t {
  input_u8,
  conv2d,
  conv2d_transpose,
  linear,
  batchnorm,
  instancenorm,
  act,
  softmax,
  dropout,
  pool,
  adaptive_avgpool,
  upsample,
  pad,
  add,
  multiply,
  concat,
  slice,
  reorg,
  reshape,
  softmax_xent,
  hinge,
  distance,
  bce,
  region_loss,
  yolo_loss,
  ssd_loss,
  topk_count,
};

/// What a parameter is: decides its default initialisation, weight decay and whether it is trained.
enum class ParamRole : std::uint8_t {
  weight,  ///< convolution or linear weight
  bias,
  norm_scale,
  norm_shift,
  running_mean,  ///< not trained: written by the forward pass of batch norm in training
  running_var,
};

constexpr bool is_trained(ParamRole role) {
  return role != ParamRole::running_mean && role != ParamRole::running_var;
}

/// A parameter an op needs. `dims` is its shape in files: [OC, IC/groups, KH, KW], [OUT, IN], [C];
/// `shape` the same padded to four dimensions ({1, c, 1, 1} for vectors, {out, in, 1, 1} for
/// matrices).
struct ParamSpec {
  std::string suffix;  ///< "weight", "bias", "running_mean", ...
  ParamRole role = ParamRole::weight;
  std::vector<std::int64_t> dims;
  Shape shape;
};

/// What the backward pass of an op reads, besides the gradient of its output.
struct Reads {
  bool inputs = false;
  bool output = false;
  bool aux = false;        ///< what the forward kernel saved on purpose: statistics, masks, indices
  int first_input = 0;     ///< inputs before this one are not read
  int end_input = kNoEnd;  ///< nor are this one and those behind it

  static constexpr int kNoEnd = 1 << 30;
  bool input(std::size_t i) const {
    return inputs && static_cast<int>(i) >= first_input && static_cast<int>(i) < end_input;
  }
};

/// The two gradients of a compute op may be wanted, and are computed, separately.
enum class Pass : std::uint8_t {
  forward,
  backward,          ///< all wanted gradients at once (ops whose `splits_backward()` is false)
  backward_data,     ///< gradient of the input
  backward_weights,  ///< gradients of the parameters
};

enum class Mode : std::uint8_t { train, eval };

/// Whether an op's forward pass in training hands statistics of its output on, or takes those of
/// its first input: mean and variance (divided by N*H*W) of each channel, [2][C] beside the tensor,
/// so that a batch norm behind a convolution need not read what that has just written.
enum class Statistics : std::uint8_t { none, given, taken };

/// Thrown by Op::infer for inputs that do not fit; the caller adds layer name and place.
class ShapeError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// One operation with its attributes: no device, no pointer, no YAML.
class Op {
 public:
  virtual ~Op() = default;
  virtual OpKind kind() const = 0;
  /// Short name for tables and messages: "conv 3x3/2".
  virtual std::string describe() const = 0;
  virtual int min_inputs() const { return 1; }
  virtual int max_inputs() const { return 1; }
  /// Shape of the output. Throws ShapeError when the inputs do not fit.
  virtual Shape infer(std::span<const Shape> inputs) const = 0;
  virtual std::vector<ParamSpec> params(std::span<const Shape>) const { return {}; }
  /// True when a gradient with respect to input i exists (labels and targets have none).
  virtual bool differentiable(int input) const { return input == 0; }
  /// Most that a backward kernel may need; an offer may say less.
  virtual Reads backward_reads() const = 0;
  /// True for ops with Pass::backward_data and Pass::backward_weights instead of Pass::backward.
  virtual bool splits_backward() const { return false; }
  virtual Statistics statistics() const { return Statistics::none; }
  /// Floating-point operations of a forward pass over these inputs; a multiply-add counts as 2.
  virtual std::int64_t flops(std::span<const Shape> inputs) const = 0;
};

std::string_view to_string(OpKind kind);
std::string_view to_string(Pass pass);

/// The output extent of a window operation: floor((in + before + after - reach) / stride) + 1 with
/// reach = dilation * (size - 1) + 1, or the ceil form (Caffe, PyTorch's ceil_mode), in which the
/// last window must still start inside the picture or its leading padding.
/// Throws ShapeError when the window is larger than the padded input.
int window_output(int in, int size, int stride, int before, int after, int dilation,
                  bool ceil_mode);

}  // namespace daybreak
