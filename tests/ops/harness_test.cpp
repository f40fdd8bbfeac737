#include <functional>
#include <optional>

#include <gtest/gtest-spi.h>
#include <gtest/gtest.h>

#include "backend/ref/ref_backend.h"
#include "backend/ref/ref_kernel.h"
#include "ops/conv2d.h"
#include "ops/pool.h"
#include "support/op_harness.h"

// The harness must notice what it exists to notice: a reference backend with one fault at a time.

namespace daybreak {
namespace {

/// What is done to a call, after (or instead of) the true kernel.
using Fault = std::function<void(const KernelQuery&, const KernelOffer&, Kernel&, const Bindings&)>;

class FaultyKernel final : public Kernel {
 public:
  FaultyKernel(KernelPtr kernel, KernelQuery query, KernelOffer offer, Fault fault)
      : kernel_(std::move(kernel)),
        query_(std::move(query)),
        offer_(std::move(offer)),
        fault_(std::move(fault)) {}
  void run(const Bindings& bindings) override { fault_(query_, offer_, *kernel_, bindings); }

 private:
  KernelPtr kernel_;
  KernelQuery query_;
  KernelOffer offer_;
  Fault fault_;
};

class FaultyBackend final : public Backend {
 public:
  explicit FaultyBackend(Fault fault) : fault_(std::move(fault)) {}
  std::function<void(KernelOffer&)> change_offer;

  std::string name() const override { return "faulty"; }
  std::string identity() const override { return ref_.identity(); }
  bool supports(DType dtype) const override { return ref_.supports(dtype); }
  std::vector<KernelOffer> offers(const KernelQuery& query, std::string* reason) override {
    auto list = ref_.offers(query, reason);
    for (KernelOffer& offer : list) {
      if (change_offer) change_offer(offer);
      const KernelOffer copy = offer;
      const Fault fault = fault_;
      offer.make = [query, copy, fault] {
        return std::make_unique<FaultyKernel>(copy.make(), query, copy, fault);
      };
    }
    return list;
  }
  std::size_t layout_bytes(const Shape& s, DType d, Layout l) const override {
    return ref_.layout_bytes(s, d, l);
  }
  std::string layout_name(Layout layout) const override { return ref_.layout_name(layout); }
  KernelPtr reorder(const TensorDesc& from, const TensorDesc& to) override {
    return ref_.reorder(from, to);
  }
  bool same_bytes(const TensorDesc& a, const TensorDesc& b) const override {
    return ref_.same_bytes(a, b);
  }
  bool storable(const TensorDesc& desc) const override { return ref_.storable(desc); }
  KernelPtr accumulate(const TensorDesc& desc) override { return ref_.accumulate(desc); }
  std::unique_ptr<UpdateKernel> optimizer(const OptimizerAttrs& attrs, DType dtype) override {
    return ref_.optimizer(optimizer_attrs.value_or(attrs), dtype);
  }
  void blend(std::byte* average, const std::byte* values, std::size_t count, DType dtype,
             double share) override {
    ref_.blend(average, values, count, dtype, share);
  }
  void exchange(std::byte* a, std::byte* b, std::size_t count, DType dtype) override {
    ref_.exchange(a, b, count, dtype);
  }
  MemoryPtr allocate(std::size_t bytes) override { return ref_.allocate(bytes); }
  void copy_in(std::byte* to, const void* from, std::size_t bytes) override {
    ref_.copy_in(to, from, bytes);
  }
  void copy_out(void* to, const std::byte* from, std::size_t bytes) override {
    ref_.copy_out(to, from, bytes);
  }
  void synchronize() override {}

  std::optional<OptimizerAttrs> optimizer_attrs;

 private:
  RefBackend ref_;
  Fault fault_;
};

/// Failures that `body` reports, caught.
template <typename Body>
int failures_of(Body&& body) {
  testing::TestPartResultArray results;
  {
    testing::ScopedFakeTestPartResultReporter reporter(
        testing::ScopedFakeTestPartResultReporter::INTERCEPT_ONLY_CURRENT_THREAD, &results);
    body();
  }
  int failures = 0;
  for (int i = 0; i < results.size(); ++i) {
    failures += results.GetTestPartResult(i).failed() ? 1 : 0;
  }
  return failures;
}

const std::vector<Shape> kInput = {{2, 3, 5, 5}};

int conv_failures(Fault fault, const std::function<void(KernelOffer&)>& change_offer = {}) {
  FaultyBackend backend(std::move(fault));
  backend.change_offer = change_offer;
  const Conv2d op;
  return failures_of([&] { check_backend(backend, op, kInput); });
}

void right(const KernelQuery&, const KernelOffer&, Kernel& kernel, const Bindings& b) {
  kernel.run(b);
}

TEST(Harness, AcceptsARightBackend) {
  EXPECT_EQ(conv_failures(right), 0);
}

TEST(Harness, NoticesASmallError) {
  for (const Pass pass : {Pass::forward, Pass::backward_data, Pass::backward_weights}) {
    EXPECT_GT(conv_failures([=](const KernelQuery& q, const KernelOffer& o, Kernel& kernel,
                                const Bindings& b) {
                kernel.run(b);
                if (q.pass != pass) return;
                std::byte* out = pass == Pass::forward         ? b.y
                                 : pass == Pass::backward_data ? b.dx[0]
                                                               : b.dw[0];
                const TensorDesc& desc = pass == Pass::forward         ? o.output
                                         : pass == Pass::backward_data ? o.inputs[0]
                                                                       : o.params[0];
                as<float>(out)[desc.shape.count() - 1] += 1e-3f;
              }),
              0)
        << to_string(pass);
  }
}

TEST(Harness, NoticesAnElementNotWritten) {
  EXPECT_GT(conv_failures([](const auto& q, const auto& o, Kernel& kernel, const Bindings& b) {
              float* y = as<float>(b.y);
              const float before = y ? y[7] : 0.0f;
              kernel.run(b);
              if (q.pass == Pass::forward && o.output.bytes > 28) y[7] = before;
            }),
            0);
}

TEST(Harness, NoticesWritesBehindATensor) {
  EXPECT_GT(conv_failures([](const auto& q, const auto& o, Kernel& kernel, const Bindings& b) {
              kernel.run(b);
              if (q.pass == Pass::forward) b.y[o.output.bytes] = std::byte{0};
            }),
            0);
  EXPECT_GT(conv_failures([](const auto& q, const auto&, Kernel& kernel, const Bindings& b) {
              kernel.run(b);
              if (q.pass == Pass::backward_weights) b.dw[1][-1] = std::byte{0};
            }),
            0);
  EXPECT_GT(conv_failures(
                [](const auto&, const auto& o, Kernel& kernel, const Bindings& b) {
                  kernel.run(b);
                  b.workspace[o.workspace_bytes] = std::byte{0};
                },
                [](KernelOffer& offer) { offer.workspace_bytes = 100; }),
            0);
}

TEST(Harness, NoticesChangedInputs) {
  EXPECT_GT(conv_failures([](const auto& q, const auto&, Kernel& kernel, const Bindings& b) {
              kernel.run(b);
              if (q.pass == Pass::forward) as<float>(b.x[0])[0] = 9.0f;
            }),
            0);
  EXPECT_GT(conv_failures([](const auto& q, const auto&, Kernel& kernel, const Bindings& b) {
              kernel.run(b);
              if (q.pass == Pass::backward_data) as<float>(b.dy)[0] = 9.0f;
            }),
            0);
  EXPECT_GT(conv_failures([](const auto& q, const auto&, Kernel& kernel, const Bindings& b) {
              kernel.run(b);
              if (q.pass == Pass::forward) as<float>(b.w[1])[0] = 9.0f;
            }),
            0);
}

TEST(Harness, NoticesAccumulationIntoTheGradient) {
  EXPECT_GT(conv_failures([](const auto& q, const auto& o, Kernel& kernel, const Bindings& b) {
              float before = 0.0f;
              if (q.pass == Pass::backward_weights && b.dw[1] && o.params.size() > 1) {
                before = as<float>(b.dw[1])[0];
              }
              kernel.run(b);
              if (q.pass == Pass::backward_weights) as<float>(b.dw[1])[0] += before;
            }),
            0);
}

TEST(Harness, NoticesARefusalAndAcceptsAnAllowedOne) {
  FaultyBackend backend(right);
  const Conv2d op;
  HarnessOptions options;
  options.dtype = DType::bf16;  // the reference has none
  EXPECT_GT(failures_of([&] { check_backend(backend, op, kInput, options); }), 0);
  options.may_refuse = [](const KernelQuery& q) { return q.inputs[0].dtype == DType::bf16; };
  EXPECT_EQ(failures_of([&] { check_backend(backend, op, kInput, options); }), 0);
}

TEST(Harness, NoticesAFalsePromiseToRunInPlace) {
  FaultyBackend backend(right);
  backend.change_offer = [](KernelOffer& offer) { offer.in_place = true; };
  Conv2d op;
  op.out_channels = 3;  // input and output are of one size
  EXPECT_GT(failures_of([&] { check_backend(backend, op, kInput); }), 0);
}

TEST(Harness, NoticesATieGivenToTheLastMaximum) {
  FaultyBackend backend(
      [](const KernelQuery& q, const KernelOffer&, Kernel& kernel, const Bindings& b) {
        kernel.run(b);
        if (q.pass != Pass::forward || !b.aux) return;
        for (int window = 0; window < 24; ++window) {  // 2 x 3 planes of 4 x 4, windows of 2 x 2
          const float* plane = as<float>(b.x[0]) + window / 4 * 16;
          std::int32_t& winner = as<std::int32_t>(b.aux)[window];
          const int corner = window % 4 / 2 * 8 + window % 2 * 2;
          for (const int i : {0, 1, 4, 5}) {
            if (plane[corner + i] == plane[winner]) winner = corner + i;
          }
        }
      });
  EXPECT_GT(failures_of([&] { check_backend(backend, Pool{}, {{2, 3, 4, 4}}); }), 0);
}

TEST(Harness, NoticesAWrongOptimizer) {
  FaultyBackend backend(right);
  backend.optimizer_attrs = OptimizerAttrs{.kind = OptimizerKind::sgd, .nesterov = true};
  EXPECT_GT(failures_of([&] { check_optimizer(backend, {}); }), 0);
  backend.optimizer_attrs = OptimizerAttrs{};
  EXPECT_EQ(failures_of([&] { check_optimizer(backend, {}); }), 0);
}

}  // namespace
}  // namespace daybreak
