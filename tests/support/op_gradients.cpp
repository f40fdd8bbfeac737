#include <algorithm>
#include <cmath>
#include <random>

#include <gtest/gtest.h>

#include "support/op_data.h"
#include "support/op_harness.h"

namespace daybreak {

namespace {

constexpr double kStep = 1e-5;
constexpr std::size_t kElements = 100;

class GradientCheck {
 public:
  GradientCheck(const Op& op, OpData data, Mode mode)
      : op_(op), data_(std::move(data)), mode_(mode) {
    result_ = run_reference(op_, data_, mode_, DType::f64, Want::backward);
  }

  void check() {
    for (std::size_t i = 0; i < data_.x.size(); ++i) {
      if (op_.differentiable(static_cast<int>(i))) {
        check_tensor("dx[" + std::to_string(i) + "]", data_.x[i], result_.dx[i]);
      }
    }
    for (std::size_t i = 0; i < data_.w.size(); ++i) {
      if (result_.dw[i].v.empty()) continue;
      check_tensor("dw[" + std::to_string(i) + "]", data_.w[i], result_.dw[i]);
    }
  }

 private:
  /// A random projection of the output: its gradient with respect to y is data_.dy.
  double loss() const {
    const HostTensor y = run_reference(op_, data_, mode_, DType::f64, Want::forward).y;
    double sum = 0.0;
    for (std::size_t i = 0; i < y.v.size(); ++i) sum += y.v[i] * data_.dy.v[i];
    return sum;
  }

  double derivative_along(HostTensor& tensor, const std::vector<double>& direction) const {
    const std::vector<double> before = tensor.v;
    const auto loss_at = [&](double h) {
      for (std::size_t i = 0; i < before.size(); ++i) tensor.v[i] = before[i] + h * direction[i];
      return loss();
    };
    const double above = loss_at(kStep), below = loss_at(-kStep);
    tensor.v = before;
    return (above - below) / (2.0 * kStep);
  }

  static void expect_close(const std::string& what, double analytic, double numeric) {
    const double allowed = 1e-7 + 1e-6 * std::max(std::abs(analytic), std::abs(numeric));
    EXPECT_LE(std::abs(analytic - numeric), allowed)
        << what << ": gradient " << analytic << ", central difference " << numeric;
  }

  void check_tensor(const std::string& name, HostTensor& tensor, const HostTensor& gradient) {
    ASSERT_EQ(tensor.v.size(), gradient.v.size()) << name;
    std::mt19937_64 generator(tensor.v.size());
    const std::size_t count = tensor.v.size();
    for (std::size_t k = 0; k < std::min(count, kElements); ++k) {
      // All elements of a small tensor; of a larger one both ends and a random choice.
      std::size_t i = k;
      if (count > kElements && k >= 2) i = generator() % count;
      if (count > kElements && k == 1) i = count - 1;
      std::vector<double> direction(count, 0.0);
      direction[i] = 1.0;
      expect_close(name + " element " + std::to_string(i), gradient.v[i],
                   derivative_along(tensor, direction));
    }
    std::vector<double> direction(count);
    double analytic = 0.0;
    const double scale = 1.0 / std::sqrt(static_cast<double>(count));
    for (std::size_t i = 0; i < count; ++i) {
      direction[i] = generator() % 2 == 0 ? scale : -scale;
      analytic += direction[i] * gradient.v[i];
    }
    expect_close(name + " along a direction", analytic, derivative_along(tensor, direction));
  }

  const Op& op_;
  OpData data_;
  Mode mode_;
  OpResult result_;
};

}  // namespace

void check_gradients(const Op& op, const std::vector<Shape>& inputs, Mode mode) {
  ASSERT_TRUE(is_differentiable(op, inputs.size())) << op.describe() << " has no gradient";
  GradientCheck(op, make_smooth_data(op, inputs, mode), mode).check();
}

}  // namespace daybreak
