#include <array>
#include <cmath>

#include <gtest/gtest.h>

#include "backend/ref/ref_backend.h"
#include "support/op_harness.h"

// Vectors of semantics.md, section 4: w = 1, gradients .5, -.25, .8, the weight after each step.

namespace daybreak {
namespace {

using enum OptimizerKind;

constexpr std::array<double, 3> kGradients = {0.5, -0.25, 0.8};

/// One optimizer on flat arenas of doubles, stepped by hand.
class Stepper {
 public:
  Stepper(const OptimizerAttrs& attrs, std::vector<double> weights, std::vector<UpdateGroup> groups)
      : w(std::move(weights)), groups_(std::move(groups)) {
    kernel_ = RefBackend().optimizer(attrs, DType::f64);
    slots.assign(attrs.slots(), std::vector<double>(w.size(), 0.0));
  }

  void step(std::vector<double> gradients) {
    std::vector<std::byte*> pointers;
    for (auto& slot : slots) pointers.push_back(bytes(slot));
    ++scalars.update;
    kernel_->norm(bytes(gradients), groups_, &scalars);
    kernel_->update({bytes(w), bytes(gradients), pointers, {}}, groups_, &scalars);
  }

  std::vector<double> w;
  std::vector<std::vector<double>> slots;
  StepScalars scalars{.update = 0};

 private:
  static std::byte* bytes(std::vector<double>& v) { return reinterpret_cast<std::byte*>(v.data()); }
  std::vector<UpdateGroup> groups_;
  std::unique_ptr<UpdateKernel> kernel_;
};

struct Vector {
  const char* name;
  OptimizerAttrs attrs;
  float lr, momentum, decay;
  std::array<double, 3> expected;
  float lr_at_step3 = 0.0f;  ///< 0: as before
};

const OptimizerAttrs kNesterov{.kind = sgd, .nesterov = true};
const OptimizerAttrs kCaffe{.kind = sgd, .lr_in_slot = true};
const OptimizerAttrs kCaffeNesterov{.kind = sgd, .nesterov = true, .lr_in_slot = true};
const OptimizerAttrs kAdamW{.kind = adam, .decay = DecayForm::decoupled};
const OptimizerAttrs kFastai{
    .kind = adam, .beta2 = 0.99f, .eps = 1e-5f, .decay = DecayForm::decoupled};

const Vector kVectors[] = {
    {"sgd", {.kind = sgd}, 0.1f, 0.9f, 0.0f, {.95, .93, .832}},
    {"sgd, decay", {.kind = sgd}, 0.1f, 0.9f, 0.01f, {.949, .927151, .82656}},
    {"nesterov", kNesterov, 0.1f, 0.9f, 0.0f, {.905, .912, .7438}},
    {"nesterov, decay", kNesterov, 0.1f, 0.9f, 0.01f, {.9031, .907574, .736189}},
    {"dampening", {.kind = sgd, .dampening = 0.5f}, 0.1f, 0.9f, 0.0f, {.95, .9175, .84825}},
    {"sgd, lr change", {.kind = sgd}, 0.1f, 0.9f, 0.0f, {.95, .93, .881}, 0.05f},
    {"caffe, lr change", kCaffe, 0.1f, 0.9f, 0.0f, {.95, .93, .872}, 0.05f},
    {"nesterov, lr change", kNesterov, 0.1f, 0.9f, 0.0f, {.905, .912, .8279}, 0.05f},
    {"caffe nesterov, lr change", kCaffeNesterov, 0.1f, 0.9f, 0.0f, {.905, .912, .8198}, 0.05f},
    {"adagrad", {.kind = adagrad, .eps = 1e-10f}, 0.1f, 0.0f, 0.0f, {.9, .944721, .862751}},
    {"rmsprop", {.kind = rmsprop}, 0.01f, 0.0f, 0.0f, {.9, .944901, .862689}},
    {"rmsprop, momentum", {.kind = rmsprop}, 0.01f, 0.9f, 0.0f, {.9, .854901, .7321}},
    {"rmsprop, centered",
     {.kind = rmsprop, .centered = true},
     0.01f,
     0.0f,
     0.0f,
     {.899496, .944441, .861753}},
    {"rmsprop, lr 1e-4", {.kind = rmsprop}, 1e-4f, 0.0f, 0.0f, {.999, .999449, .998627}},
    {"adadelta", {.kind = adadelta, .eps = 1e-6f}, 1.0f, 0.0f, 0.0f, {.996838, .998923, .994845}},
    {"adadelta, eps 1e-5",
     {.kind = adadelta, .eps = 1e-5f},
     1.0f,
     0.0f,
     0.0f,
     {.990002, .996594, .983702}},
    {"adam", {.kind = adam}, 0.1f, 0.9f, 0.0f, {.9, .873366, .809202}},
    {"adam, l2", {.kind = adam}, 0.1f, 0.9f, 0.01f, {.9, .871229, .806103}},
    {"adamw", kAdamW, 0.1f, 0.9f, 0.01f, {.899, .871467, .806431}},
    {"adam, eps .01", {.kind = adam, .eps = 0.01f}, 0.1f, 0.9f, 0.0f, {.901961, .875984, .812938}},
    {"fastai adam", kFastai, 0.1f, 0.9f, 0.01f, {.899002, .871434, .806518}},
    {"adam, beta1 .5", {.kind = adam}, 2e-4f, 0.5f, 0.0f, {.9998, .9998, .999638}},
};

TEST(Optimizer, VectorsOfSemantics) {
  for (const Vector& v : kVectors) {
    SCOPED_TRACE(v.name);
    Stepper stepper(v.attrs, {1.0}, {{0, 1, 1.0f, v.decay, false}});
    stepper.scalars.lr = v.lr;
    stepper.scalars.momentum = v.momentum;
    for (int t = 0; t < 3; ++t) {
      if (t == 2 && v.lr_at_step3 != 0.0f) stepper.scalars.lr = v.lr_at_step3;
      stepper.step({kGradients[t]});
      EXPECT_NEAR(stepper.w[0], v.expected[t], 1e-5 * v.expected[t]) << "step " << t + 1;
    }
  }
}

TEST(Optimizer, ClipsByTheNormOfAllGradients) {
  Stepper stepper({.kind = sgd}, {0.0, 0.0, 0.0},
                  {{0, 1, 1.0f, 0.0f, false}, {1, 2, 1.0f, 0.0f, false}});
  stepper.scalars.lr = 1.0f;
  stepper.scalars.clip_norm = 1.0f;
  stepper.step({3.0, 4.0, 12.0});
  EXPECT_NEAR(stepper.scalars.grad_norm, 13.0, 1e-6);
  EXPECT_NEAR(stepper.w[0], -0.230769213, 1e-8);
  EXPECT_NEAR(stepper.w[1], -0.307692284, 1e-8);
  EXPECT_NEAR(stepper.w[2], -0.923076852, 1e-8);
}

TEST(Optimizer, SmallGradientsAreNotClipped) {
  Stepper stepper({.kind = sgd}, {0.0, 0.0}, {{0, 2, 1.0f, 0.0f, false}});
  stepper.scalars.lr = 1.0f;
  stepper.scalars.clip_norm = 5.1f;
  stepper.step({3.0, 4.0});
  EXPECT_EQ(stepper.w[0], -3.0);
  EXPECT_EQ(stepper.w[1], -4.0);
}

TEST(Optimizer, ScalesGradientsBeforeTheNormAndTheDecay) {
  Stepper stepper({.kind = sgd}, {1.0, 2.0}, {{0, 2, 1.0f, 0.5f, false}});
  stepper.scalars.lr = 1.0f;
  stepper.scalars.grad_scale = 0.25f;
  stepper.step({12.0, 16.0});
  EXPECT_NEAR(stepper.scalars.grad_norm, 5.0, 1e-6);
  EXPECT_NEAR(stepper.w[0], 1.0 - (3.0 + 0.5), 1e-12);
  EXPECT_NEAR(stepper.w[1], 2.0 - (4.0 + 1.0), 1e-12);
}

TEST(Optimizer, GroupsHaveTheirOwnRateDecayAndFreeze) {
  Stepper stepper({.kind = sgd}, {1.0, 1.0, 1.0, 1.0},
                  {{0, 1, 1.0f, 0.0f, false},
                   {1, 1, 0.5f, 0.0f, false},
                   {2, 1, 1.0f, 0.1f, false},
                   {3, 1, 1.0f, 0.1f, true}});
  stepper.scalars.lr = 0.5f;
  stepper.step({1.0, 1.0, 1.0, 100.0});
  EXPECT_NEAR(stepper.w[0], 0.5, 1e-7);
  EXPECT_NEAR(stepper.w[1], 0.75, 1e-7);
  EXPECT_NEAR(stepper.w[2], 1.0 - 0.5 * 1.1, 1e-7);
  EXPECT_EQ(stepper.w[3], 1.0);
  EXPECT_EQ(stepper.slots[0][3], 0.0) << "a frozen parameter's slot has moved";
  EXPECT_NEAR(stepper.scalars.grad_norm, std::sqrt(3.0), 1e-6) << "frozen gradients do not count";
}

TEST(Optimizer, FirstUpdateIgnoresWhatIsInTheSlot) {
  Stepper stepper({.kind = sgd}, {1.0}, {{0, 1, 1.0f, 0.0f, false}});
  stepper.slots[0][0] = 77.0;
  stepper.scalars.lr = 0.1f;
  stepper.scalars.momentum = 0.9f;
  stepper.step({0.5});
  EXPECT_NEAR(stepper.w[0], 0.95, 1e-7);
  EXPECT_NEAR(stepper.slots[0][0], 0.5, 1e-12);
}

TEST(Optimizer, CenteredRmspropSurvivesAConstantGradient) {
  Stepper stepper({.kind = rmsprop, .centered = true}, {1.0}, {{0, 1, 1.0f, 0.0f, false}});
  stepper.scalars.lr = 1e-4f;
  for (int t = 0; t < 3000; ++t) stepper.step({0.1});
  EXPECT_TRUE(std::isfinite(stepper.w[0]));
}

TEST(Optimizer, SlotsPerKind) {
  EXPECT_EQ(OptimizerAttrs{.kind = sgd}.slots(), 1);
  EXPECT_EQ(OptimizerAttrs{.kind = adagrad}.slots(), 1);
  EXPECT_EQ(OptimizerAttrs{.kind = rmsprop}.slots(), 2);
  EXPECT_EQ((OptimizerAttrs{.kind = rmsprop, .centered = true}.slots()), 3);
  EXPECT_EQ(OptimizerAttrs{.kind = adadelta}.slots(), 2);
  EXPECT_EQ(OptimizerAttrs{.kind = adam}.slots(), 2);
  EXPECT_EQ(to_string(adadelta), "adadelta");
}

TEST(Optimizer, ReferenceInFloatFollowsTheHarness) {
  RefBackend backend;
  for (const OptimizerKind kind : {sgd, adagrad, rmsprop, adadelta, adam}) {
    check_optimizer(backend, {.kind = kind});
    check_guarded_update(backend, {.kind = kind});
  }
}

}  // namespace
}  // namespace daybreak
