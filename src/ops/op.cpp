#include "ops/op.h"

#include <fmt/format.h>

#include <limits>

#include "ops/check.h"

namespace daybreak {

std::string_view to_string(OpKind kind) {
  switch (kind) {
    case OpKind::input_u8:
      return "input_u8";
    case OpKind::conv2d:
      return "conv2d";
    case OpKind::conv2d_transpose:
      return "conv2d_transpose";
    case OpKind::linear:
      return "linear";
    case OpKind::batchnorm:
      return "batchnorm";
    case OpKind::instancenorm:
      return "instancenorm";
    case OpKind::act:
      return "act";
    case OpKind::softmax:
      return "softmax";
    case OpKind::dropout:
      return "dropout";
    case OpKind::pool:
      return "pool";
    case OpKind::adaptive_avgpool:
      return "adaptive_avgpool";
    case OpKind::upsample:
      return "upsample";
    case OpKind::pad:
      return "pad";
    case OpKind::add:
      return "add";
    case OpKind::multiply:
      return "multiply";
    case OpKind::concat:
      return "concat";
    case OpKind::slice:
      return "slice";
    case OpKind::reorg:
      return "reorg";
    case OpKind::reshape:
      return "reshape";
    case OpKind::softmax_xent:
      return "softmax_xent";
    case OpKind::hinge:
      return "hinge";
    case OpKind::distance:
      return "distance";
    case OpKind::bce:
      return "bce";
    case OpKind::region_loss:
      return "region_loss";
    case OpKind::yolo_loss:
      return "yolo_loss";
    case OpKind::ssd_loss:
      return "ssd_loss";
    case OpKind::topk_count:
      return "topk_count";
  }
  return "?";
}

std::string_view to_string(Pass pass) {
  switch (pass) {
    case Pass::forward:
      return "forward";
    case Pass::backward:
      return "backward";
    case Pass::backward_data:
      return "backward_data";
    case Pass::backward_weights:
      return "backward_weights";
  }
  return "?";
}

int window_output(int in, int size, int stride, int before, int after, int dilation,
                  bool ceil_mode) {
  check_at_least(in, 1, "input size");
  check_at_least(size, 1, "window size");
  check_at_least(stride, 1, "stride");
  check_at_least(before, 0, "padding");
  check_at_least(after, 0, "padding");
  check_at_least(dilation, 1, "dilation");
  const std::int64_t padded = std::int64_t{in} + before + after;
  const std::int64_t reach = std::int64_t{dilation} * (size - 1) + 1;
  if (reach > padded) {
    throw ShapeError(
        fmt::format("a window of {} does not fit into {} (input {}, padding {} and {})", reach,
                    padded, in, before, after));
  }
  const std::int64_t room = padded - reach;
  std::int64_t out = room / stride + 1;
  if (ceil_mode && room % stride != 0 && out * stride < std::int64_t{in} + before) ++out;
  if (out > std::numeric_limits<int>::max()) {
    throw ShapeError(fmt::format("an output of {} pixels is too large", out));
  }
  return static_cast<int>(out);
}

}  // namespace daybreak
