#pragma once

#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "ops/op.h"

namespace daybreak {

/// One op with its attributes and input shapes, for gradient checks and backend comparisons.
struct OpCase {
  std::string name;  ///< letters, digits and underscores: the name of the test
  std::function<std::unique_ptr<Op>()> make;
  std::vector<Shape> inputs;
  bool large = false;  ///< too slow for gradient checks; here for blocked and Winograd kernels
};
void PrintTo(const OpCase& op_case, std::ostream* out);

/// A convolution in few words, for lists of shapes beside cases().
struct ConvShape {
  Shape x;
  int out, kernel_h, kernel_w, stride, pad, dilation;
  bool bias;
};
OpCase conv_case(const ConvShape& shape);

/// All kinds, in the order of the enum.
std::vector<OpKind> all_op_kinds();
/// The cases of one op: shapes chosen to break vector widths, borders and special paths.
std::vector<OpCase> cases(OpKind kind);
/// The cases of all ops, names prefixed with the op's; without the large ones if so asked.
enum class LargeCases { with, without };
std::vector<OpCase> all_cases(LargeCases large);

}  // namespace daybreak
