#include <cmath>

#include <gtest/gtest.h>

#include "core/philox.h"
#include "plan/executor.h"
#include "plan/small_nets.h"

// Loss scaling through a whole executor. It is meant for f16, but its arithmetic is the same in
// f32, where a power of two changes no bit and the overflow can be had with a huge scale.

namespace daybreak {
namespace {

constexpr int kBatch = 4;

class Trained {
 public:
  explicit Trained(Backend& backend, const LossScaling& scaling = {},
                   OptimizerKind kind = OptimizerKind::sgd)
      : executor_(residual_net(), backend) {
    PlanRequest request;
    request.batch = kBatch;
    request.keep = {executor_.graph().loss, executor_.graph().prediction};
    plan_ = executor_.add_plan(request);
    executor_.prepare();
    executor_.initialize(3);
    enlarge_head();
    executor_.set_optimizer({.kind = kind});
    const std::vector<ParamKnobs> knobs(executor_.graph().params.size());
    executor_.set_groups(executor_.params().groups(knobs));
    executor_.set_loss_scaling(scaling);
    Draws draws(5, Purpose::synthetic, 1, 2);
    const Shape& shape = executor_.plan(plan_).shapes[executor_.graph().input(InputRole::image)];
    pictures_.resize(static_cast<std::size_t>(shape.count()));
    for (float& value : pictures_) value = draws.uniform(-1.0f, 1.0f);
  }

  void step() {
    executor_.scalars().lr = 1e-4f;
    executor_.scalars().momentum = 0.9f;
    executor_.send_scalars();
    executor_.upload(plan_, InputRole::image, pictures_.data(), pictures_.size() * sizeof(float));
    executor_.upload(plan_, InputRole::labels, labels_.data(), labels_.size() * sizeof(int));
    executor_.forward(plan_);
    executor_.backward(plan_);
    executor_.gradient_norm();
    executor_.update();
  }

  std::vector<std::vector<float>> weights() {
    std::vector<std::vector<float>> all;
    for (std::size_t p = 0; p < executor_.graph().params.size(); ++p) {
      if (!is_trained(executor_.graph().params[p].spec.role)) continue;
      all.push_back(executor_.params().read_weight(static_cast<ParamId>(p)));
    }
    return all;
  }
  Executor& executor() { return executor_; }

 private:
  // Gradients that are larger in front of the head than the scale itself: they overflow first.
  void enlarge_head() {
    ParamId head = kNone;
    for (std::size_t p = 0; p < executor_.graph().params.size(); ++p) {
      if (executor_.graph().params[p].spec.role == ParamRole::weight)
        head = static_cast<ParamId>(p);
    }
    std::vector<float> values = executor_.params().read_weight(head);
    for (float& value : values) value *= 256.0f;
    executor_.params().write_weight(head, values);
  }

  Executor executor_;
  PlanId plan_ = -1;
  std::vector<float> pictures_;
  std::vector<std::int32_t> labels_ = {0, 2, 1, 2};
};

std::vector<BackendPtr> backends() {
  std::vector<BackendPtr> list;
  list.push_back(make_ref_backend());
  list.push_back(make_cpu_backend(1));
  return list;
}

TEST(LossScale, AFixedPowerOfTwoChangesNoBit) {
  for (const BackendPtr& backend : backends()) {
    for (const OptimizerKind kind : {OptimizerKind::sgd, OptimizerKind::adam}) {
      Trained plain(*backend, {}, kind);
      Trained scaled(*backend, {.on = true, .dynamic = false, .scale = 1024.0f}, kind);
      for (int i = 0; i < 4; ++i) {
        plain.step();
        scaled.step();
        EXPECT_EQ(plain.executor().scalars().grad_norm, scaled.executor().scalars().grad_norm);
      }
      EXPECT_TRUE(plain.weights() == scaled.weights()) << backend->name();
      EXPECT_EQ(scaled.executor().read_scalars().loss_scale, 1024.0f);
    }
  }
}

TEST(LossScale, StepsThatOverflowAreSkippedUntilTheScaleFits) {
  for (const BackendPtr& backend : backends()) {
    for (const OptimizerKind kind : {OptimizerKind::sgd, OptimizerKind::adam}) {
      Trained plain(*backend, {}, kind);
      Trained scaled(*backend, {.on = true, .scale = std::ldexp(1.0f, 127), .interval = 1000},
                     kind);
      const auto start = scaled.weights();
      int skipped = 0;
      for (; skipped < 100; ++skipped) {
        scaled.step();
        if (scaled.executor().scalars().skipped == static_cast<std::uint32_t>(skipped)) break;
        ASSERT_TRUE(scaled.weights() == start) << "a skipped step has moved weights";
      }
      EXPECT_GT(skipped, 0) << backend->name();
      EXPECT_LT(skipped, 20);
      // From then on the training is that without a scale: the skipped steps do not count, not
      // even for adam's correction.
      plain.step();
      for (int i = 0; i < 3; ++i) {
        plain.step();
        scaled.step();
      }
      const auto expected = plain.weights(), actual = scaled.weights();
      for (std::size_t p = 0; p < expected.size(); ++p) {
        for (std::size_t i = 0; i < expected[p].size(); ++i) {
          EXPECT_NEAR(actual[p][i], expected[p][i], 1e-5f + 1e-4f * std::abs(expected[p][i]));
        }
      }
      const StepScalars& kept = scaled.executor().read_scalars();
      EXPECT_EQ(kept.loss_scale, std::ldexp(1.0f, 127 - skipped));
      EXPECT_EQ(update_number(kept), 5u);  // of the next one
    }
  }
}

TEST(LossScale, TheHostsCopyFollowsTheDevice) {
  const BackendPtr backend = make_cpu_backend(1);
  Trained scaled(*backend, {.on = true, .scale = 8.0f, .interval = 2});
  for (int i = 0; i < 5; ++i) {
    scaled.step();
    const StepScalars host = scaled.executor().scalars();
    const StepScalars& device = scaled.executor().read_scalars();
    EXPECT_EQ(host.loss_scale, device.loss_scale);
    EXPECT_EQ(host.good_updates, device.good_updates);
  }
  EXPECT_EQ(scaled.executor().scalars().loss_scale, 32.0f);
  scaled.executor().set_loss_scaling({});
  EXPECT_EQ(scaled.executor().read_scalars().loss_scale, 1.0f);
}

}  // namespace
}  // namespace daybreak
