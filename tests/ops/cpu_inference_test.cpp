#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "ops/conv2d.h"
#include "support/op_harness.h"

// Convolutions as inference runs them: with a residual sum and an activation at their end, in every
// layout, by own kernels and by oneDNN, against the reference.

namespace daybreak {
namespace {

struct Form {
  Shape x;
  int out, kernel, stride, groups;
};

// Odd widths, fewer pixels than a vector, tails of all lengths, channels that fill no block.
const Form kForms[] = {
    {{1, 4, 4, 4}, 8, 1, 1, 1},      {{2, 8, 7, 9}, 4, 1, 1, 1},   {{1, 13, 10, 10}, 27, 1, 1, 1},
    {{1, 33, 5, 13}, 17, 1, 1, 1},   {{1, 3, 2, 3}, 5, 1, 1, 1},   {{1, 6, 1, 1}, 9, 1, 1, 1},
    {{2, 8, 9, 7}, 8, 3, 1, 8},      {{1, 5, 17, 33}, 5, 3, 2, 5}, {{1, 12, 20, 20}, 12, 3, 2, 12},
    {{1, 16, 10, 10}, 16, 5, 1, 16}, {{2, 3, 11, 12}, 3, 5, 2, 3}, {{1, 1, 1, 1}, 1, 3, 1, 1},
    {{2, 3, 18, 21}, 8, 3, 2, 1},    {{1, 3, 9, 40}, 7, 3, 1, 1},  {{1, 4, 6, 5}, 11, 3, 2, 1},
    {{1, 32, 8, 8}, 32, 3, 1, 1},    {{1, 32, 9, 9}, 48, 3, 2, 1}, {{1, 24, 6, 6}, 24, 3, 1, 4},
};

Conv2d conv_of(const Form& form) {
  Conv2d op;
  op.out_channels = form.out;
  op.kernel_h = op.kernel_w = form.kernel;
  op.stride_h = op.stride_w = form.stride;
  op.pad_h = op.pad_w = form.kernel / 2;
  op.groups = form.groups;
  return op;
}

HarnessOptions options(const Activation& act) {
  HarnessOptions result;
  result.modes = {Mode::eval};
  result.integers = act.kind == ActKind::none || act.kind == ActKind::relu;
  result.input_layouts = {kNchw, kNhwc, Layout{2}};
  // Gradients of a fused convolution do not exist; they are asked for all the same.
  result.may_refuse = [](const KernelQuery& query) { return query.pass != Pass::forward; };
  return result;
}

class Inference : public testing::TestWithParam<ActKind> {};

TEST_P(Inference, ConvolutionsEndInActivations) {
  const BackendPtr backend = make_cpu_backend(2);
  const Activation act{GetParam(), 0.1f};
  if (!backend->fuses_into_conv(act)) GTEST_SKIP() << "not joined into convolutions here";
  for (const Form& form : kForms) {
    Conv2d op = conv_of(form);
    op.act = act;
    SCOPED_TRACE(to_string(form.x) + " " + op.describe());
    check_backend(*backend, op, {form.x}, options(act));
  }
}

TEST_P(Inference, ConvolutionsAddAResidual) {
  const BackendPtr backend = make_cpu_backend(1);
  const Activation act{GetParam(), 0.1f};
  if (!backend->fuses_into_conv(act)) GTEST_SKIP() << "not joined into convolutions here";
  for (const Form& form : kForms) {
    Conv2d op = conv_of(form);
    const Shape y = op.infer(std::vector<Shape>{form.x});
    op.residual = true;
    op.act = act;
    SCOPED_TRACE(to_string(form.x) + " " + op.describe());
    check_backend(*backend, op, {form.x, y}, options(act));
  }
}

INSTANTIATE_TEST_SUITE_P(Acts, Inference,
                         testing::Values(ActKind::none, ActKind::relu, ActKind::leaky,
                                         ActKind::sigmoid, ActKind::relu6, ActKind::elu,
                                         ActKind::swish, ActKind::mish, ActKind::gelu,
                                         ActKind::hardtan, ActKind::stair),
                         [](const auto& one) { return std::string(to_string(one.param)); });

}  // namespace
}  // namespace daybreak
