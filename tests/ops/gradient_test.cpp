#include <gtest/gtest.h>

#include "op_cases.h"
#include "ops/batchnorm.h"
#include "support/op_data.h"
#include "support/op_harness.h"

namespace daybreak {
namespace {

std::vector<OpCase> differentiable_cases() {
  std::vector<OpCase> list;
  for (OpCase& one : all_cases(LargeCases::without)) {
    if (is_differentiable(*one.make(), one.inputs.size())) list.push_back(std::move(one));
  }
  return list;
}

std::string name_of(const testing::TestParamInfo<OpCase>& info) {
  return info.param.name;
}

/// The reference kernels against central differences in double.
class Gradient : public testing::TestWithParam<OpCase> {};

TEST_P(Gradient, MatchesCentralDifferences) {
  check_gradients(*GetParam().make(), GetParam().inputs);
}
INSTANTIATE_TEST_SUITE_P(Ops, Gradient, testing::ValuesIn(differentiable_cases()), name_of);

std::vector<OpCase> evaluation_cases() {
  std::vector<OpCase> list;
  for (const OpKind kind : {OpKind::batchnorm, OpKind::dropout}) {
    for (OpCase& one : cases(kind)) {
      if (one.large) continue;
      one.name = std::string(to_string(kind)) + "_" + one.name;
      list.push_back(std::move(one));
    }
  }
  return list;
}

/// Ops whose evaluation form is another function than their training form.
class EvaluationGradient : public testing::TestWithParam<OpCase> {};

TEST_P(EvaluationGradient, MatchesCentralDifferences) {
  check_gradients(*GetParam().make(), GetParam().inputs, Mode::eval);
}
INSTANTIATE_TEST_SUITE_P(Ops, EvaluationGradient, testing::ValuesIn(evaluation_cases()), name_of);

// What only plans make: activations behind sums, statistics that a convolution has taken.
TEST(GradientOfNorms, WithWhatIsJoined) {
  const Shape shape{3, 5, 4, 3};
  for (const Mode mode : {Mode::train, Mode::eval}) {
    for (const Activation& act : {Activation{ActKind::relu}, Activation{ActKind::leaky, 0.1f}}) {
      for (const bool measured : {false, true}) {
        BatchNorm norm;
        norm.act = act;
        norm.sum = norm.act_last = true;
        norm.measured = measured;
        check_gradients(norm, {shape, shape}, mode);
        norm.sum = norm.act_last = false;
        check_gradients(norm, {shape}, mode);
      }
    }
  }
}

}  // namespace
}  // namespace daybreak
