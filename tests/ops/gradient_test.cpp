#include <gtest/gtest.h>

#include "op_cases.h"
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

}  // namespace
}  // namespace daybreak
