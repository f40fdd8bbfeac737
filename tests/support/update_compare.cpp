#include <cmath>
#include <limits>
#include <random>

#include <gtest/gtest.h>

#include "support/device_tensor.h"
#include "support/op_harness.h"

namespace daybreak {

namespace {

constexpr std::size_t kElements = 10007;  // more than two chunks of the norm, and odd

std::vector<UpdateGroup> make_groups() {
  return {{0, 1, 1.0f, 0.0f, false},       {1, 30, 0.5f, 0.01f, false},
          {31, 4100, 1.0f, 0.001f, false}, {4131, 127, 2.0f, 0.0f, false},
          {4258, 1000, 1.0f, 0.01f, true}, {5258, kElements - 5258, 1.0f, 5e-4f, false}};
}

HostTensor random_tensor(std::uint64_t seed, double low, double high) {
  std::mt19937_64 generator(seed);
  HostTensor tensor{{1, static_cast<int>(kElements), 1, 1}, std::vector<double>(kElements)};
  for (double& value : tensor.v) {
    const double unit = static_cast<double>(generator() >> 11) * 0x1p-53;
    value = static_cast<float>(low + (high - low) * unit);
  }
  return tensor;
}

/// One optimizer with its arenas in one backend.
class Arena {
 public:
  Arena(Backend& backend, const OptimizerAttrs& attrs, const std::vector<DType>& rounded = {})
      : backend_(backend), update_(backend.optimizer(attrs, DType::f32)) {
    const TensorDesc desc = plain_desc({1, static_cast<int>(kElements), 1, 1}, DType::f32);
    tensors_.push_back(upload(backend, random_tensor(1, -1.0, 1.0), desc));
    HostTensor zeros{desc.shape, std::vector<double>(kElements)};
    for (int i = 0; i < attrs.slots(); ++i) tensors_.push_back(upload(backend, zeros, desc));
    for (const DType dtype : rounded) {
      const TensorDesc small = plain_desc(desc.shape, dtype);
      rounded_.push_back(upload(backend, random_tensor(1, -1.0, 1.0), small));
    }
  }

  /// Returns grad_norm.
  float step(const HostTensor& gradients, const StepScalars& scalars) {
    const auto groups = make_groups();
    const TensorDesc desc = plain_desc(gradients.shape, DType::f32);
    DeviceTensor g = upload(backend_, gradients, desc);
    GuardedBuffer device_scalars(backend_, sizeof(StepScalars));
    backend_.copy_in(device_scalars.data(), &scalars, sizeof(StepScalars));
    auto* pointer = reinterpret_cast<StepScalars*>(device_scalars.data());
    std::vector<std::byte*> slots;
    for (std::size_t i = 1; i < tensors_.size(); ++i) slots.push_back(tensors_[i].data());
    update_->norm(g.data(), groups, pointer);
    std::vector<RoundedWeights> rounded;
    for (DeviceTensor& tensor : rounded_) rounded.push_back({tensor.desc.dtype, tensor.data()});
    update_->update({tensors_[0].data(), g.data(), slots, rounded}, groups, pointer);
    backend_.synchronize();
    for (DeviceTensor& tensor : tensors_) tensor.buffer->expect_guards("arena");
    for (DeviceTensor& tensor : rounded_) tensor.buffer->expect_guards("rounded weights");
    g.buffer->expect_guards("gradients");
    device_scalars.expect_guards("scalars");
    backend_.copy_out(&after, device_scalars.data(), sizeof(StepScalars));
    return after.grad_norm;
  }

  StepScalars after;  ///< what the kernels left

  std::vector<HostTensor> tensors() {
    std::vector<HostTensor> list;
    for (DeviceTensor& tensor : tensors_) list.push_back(download(backend_, tensor));
    return list;
  }

  // To the last bit, frozen ones too: those were right from the start.
  void expect_rounded() {
    const HostTensor weights = download(backend_, tensors_[0]);
    for (DeviceTensor& tensor : rounded_) {
      const HostTensor actual = download(backend_, tensor);
      for (std::size_t i = 0; i < kElements; ++i) {
        ASSERT_EQ(actual.v[i], nearest_in(weights.v[i], tensor.desc.dtype))
            << to_string(tensor.desc.dtype) << " of " << weights.v[i] << ", element " << i;
      }
    }
  }

 private:
  Backend& backend_;
  std::unique_ptr<UpdateKernel> update_;
  std::vector<DeviceTensor> tensors_;  ///< weights, then slots
  std::vector<DeviceTensor> rounded_;
};

void expect_close(const HostTensor& actual, const HostTensor& expected, double tolerance,
                  const std::string& what) {
  double error = 0.0, size = 0.0;
  for (std::size_t i = 0; i < expected.v.size(); ++i) {
    error += std::pow(actual.v[i] - expected.v[i], 2);
    size += std::pow(expected.v[i], 2);
  }
  EXPECT_LE(std::sqrt(error), tolerance * std::sqrt(size) + 1e-12) << what;
}

}  // namespace

double nearest_in(double value, DType dtype) {
  // Digits behind the first, and the exponent of the smallest normal number.
  const int digits = dtype == DType::bf16 ? 7 : 10, least = dtype == DType::bf16 ? -126 : -14;
  if (value == 0.0) return value;
  const double unit = std::ldexp(1.0, std::max(std::ilogb(value), least) - digits);
  return std::nearbyint(value / unit) * unit;
}

void check_optimizer(Backend& backend, const OptimizerAttrs& attrs, double tolerance,
                     const std::vector<DType>& rounded) {
  const BackendPtr ref = make_ref_backend();
  Arena actual(backend, attrs, rounded), expected(*ref, attrs);
  const std::vector<HostTensor> start = expected.tensors();
  for (int t = 1; t <= 5; ++t) {
    SCOPED_TRACE(std::string(to_string(attrs.kind)) + " update " + std::to_string(t));
    StepScalars scalars;
    scalars.update = static_cast<std::uint64_t>(t);
    scalars.lr = 0.02f / static_cast<float>(t);
    scalars.momentum = t == 4 ? 0.5f : 0.9f;
    scalars.grad_scale = t == 3 ? 0.25f : 1.0f;
    scalars.clip_norm = t % 2 == 0 ? 1.5f : 0.0f;
    const HostTensor gradients = random_tensor(100 + t, -1.0, 1.0);
    const float norm = actual.step(gradients, scalars);
    const float expected_norm = expected.step(gradients, scalars);
    EXPECT_NEAR(norm, expected_norm, 1e-6 * expected_norm);
    const auto after = actual.tensors(), wanted = expected.tensors();
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      expect_close(after[i], wanted[i], tolerance,
                   i == 0 ? "weights" : "slot " + std::to_string(i - 1));
    }
    for (std::size_t i = 4258; i < 5258; ++i) {
      ASSERT_EQ(after[0].v[i], start[0].v[i]) << "a frozen weight has moved";
    }
    actual.expect_rounded();
  }
}

void check_guarded_update(Backend& backend, const OptimizerAttrs& attrs) {
  Arena arena(backend, attrs);
  StepScalars scalars;
  scalars.lr = 0.1f;
  scalars.momentum = 0.9f;
  scalars.guarded = 1;
  scalars.loss_scale = 64.0f;
  scalars.scale_growth = 2.0f;
  scalars.scale_backoff = 0.5f;
  scalars.growth_interval = 1;
  HostTensor gradients = random_tensor(7, -1.0, 1.0);
  gradients.v[6000] = std::numeric_limits<double>::infinity();
  const auto start = arena.tensors();
  arena.step(gradients, scalars);
  EXPECT_EQ(arena.after.skipped, 1u);
  EXPECT_EQ(arena.after.loss_scale, 32.0f);
  auto now = arena.tensors();
  for (std::size_t i = 0; i < start.size(); ++i) {
    EXPECT_TRUE(now[i].v == start[i].v) << "a skipped update has changed array " << i;
  }
  gradients.v[6000] = 0.25;
  StepScalars next = arena.after;
  next.update = 2;
  arena.step(gradients, next);
  EXPECT_EQ(arena.after.skipped, 1u);
  EXPECT_EQ(arena.after.loss_scale, 64.0f);
  EXPECT_FALSE(arena.tensors()[0].v == start[0].v);
  EXPECT_TRUE(std::isfinite(arena.after.grad_norm));
}

void check_accumulate(Backend& backend) {
  for (const Shape& shape : {Shape{1, 1, 1, 1}, Shape{2, 3, 5, 7}, Shape{3, 127, 4, 4}}) {
    const TensorDesc desc = plain_desc(shape, DType::f32);
    HostTensor x{shape, std::vector<double>(shape.count())}, y = x, sum = x;
    for (std::size_t i = 0; i < x.v.size(); ++i) {
      x.v[i] = static_cast<float>(std::sin(static_cast<double>(i)));
      y.v[i] = static_cast<float>(std::cos(static_cast<double>(3 * i)));
      sum.v[i] = static_cast<float>(y.v[i]) + static_cast<float>(x.v[i]);
    }
    DeviceTensor from = upload(backend, x, desc), to = upload(backend, y, desc);
    Bindings b;
    b.x = {from.data()};
    b.y = to.data();
    backend.accumulate(desc)->run(b);
    backend.synchronize();
    from.buffer->expect_guards("x");
    to.buffer->expect_guards("y");
    EXPECT_EQ(download(backend, to).v, sum.v) << to_string(shape);
  }
}

}  // namespace daybreak
