#include <cstring>
#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "backend/backend.h"
#include "op_cases.h"
#include "ops/conv2d.h"
#include "support/device_tensor.h"
#include "support/op_data.h"
#include "support/op_harness.h"

namespace daybreak {
namespace {

constexpr Layout kBlocked{2};  // the CPU backend's nChw16c or nChw8c

std::string name_of(const testing::TestParamInfo<OpCase>& info) {
  return info.param.name;
}

/// Passes everything on to the CPU backend, but asks for forward kernels as if the inputs lay in
/// `layout`, as they do in the middle of a net.
class InLayout final : public Backend {
 public:
  InLayout(Backend& inner, Layout layout) : inner_(inner), layout_(layout) {}

  std::vector<KernelOffer> offers(const KernelQuery& query, std::string* reason) override {
    KernelQuery changed = query;
    for (TensorDesc& desc : changed.inputs) {
      if (query.pass != Pass::forward || desc.dtype != DType::f32) continue;
      desc.layout = layout_;
      desc.bytes = inner_.layout_bytes(desc.shape, desc.dtype, layout_);
    }
    return inner_.offers(changed, reason);
  }
  std::string name() const override { return inner_.name(); }
  std::string identity() const override { return inner_.identity(); }
  bool supports(DType dtype) const override { return inner_.supports(dtype); }
  std::size_t layout_bytes(const Shape& s, DType dtype, Layout layout) const override {
    return inner_.layout_bytes(s, dtype, layout);
  }
  std::string layout_name(Layout layout) const override { return inner_.layout_name(layout); }
  KernelPtr reorder(const TensorDesc& from, const TensorDesc& to) override {
    return inner_.reorder(from, to);
  }
  bool same_bytes(const TensorDesc& a, const TensorDesc& b) const override {
    return inner_.same_bytes(a, b);
  }
  bool storable(const TensorDesc& desc) const override { return inner_.storable(desc); }
  KernelPtr accumulate(const TensorDesc& desc) override { return inner_.accumulate(desc); }
  std::unique_ptr<UpdateKernel> optimizer(const OptimizerAttrs& attrs, DType dtype) override {
    return inner_.optimizer(attrs, dtype);
  }
  MemoryPtr allocate(std::size_t bytes) override { return inner_.allocate(bytes); }
  void copy_in(std::byte* to, const void* from, std::size_t bytes) override {
    inner_.copy_in(to, from, bytes);
  }
  void copy_out(void* to, const std::byte* from, std::size_t bytes) override {
    inner_.copy_out(to, from, bytes);
  }
  void synchronize() override { inner_.synchronize(); }

 private:
  Backend& inner_;
  Layout layout_;
};

class CpuBackendOps : public testing::TestWithParam<OpCase> {
 protected:
  /// Every offer of every pass against the reference, inputs coming in `layout`.
  void compare(int threads, Layout layout) {
    const BackendPtr cpu = make_cpu_backend(threads);
    InLayout backend(*cpu, layout);
    const auto op = GetParam().make();
    HarnessOptions options;
    options.eval_backward = op->kind() == OpKind::batchnorm || op->kind() == OpKind::dropout;
    // The plan fuses relu and leaky relu only.
    options.may_refuse = [](const KernelQuery& query) {
      const std::string text = query.op->describe();
      const bool fused = query.op->kind() == OpKind::batchnorm || query.op->kind() == OpKind::add;
      return fused &&
             (text.find("sigmoid") != std::string::npos || text.find("tanh") != std::string::npos);
    };
    check_backend(backend, *op, GetParam().inputs, options);
  }
};

TEST_P(CpuBackendOps, AgreeWithTheReference) {
  compare(2, kNchw);
}
TEST_P(CpuBackendOps, AgreeInBlockedLayout) {
  compare(2, kBlocked);
}
TEST_P(CpuBackendOps, AgreeInNhwc) {
  compare(1, kNhwc);
}

INSTANTIATE_TEST_SUITE_P(Ops, CpuBackendOps, testing::ValuesIn(all_cases(LargeCases::with)),
                         name_of);

TEST(CpuBackend, AccumulatesAndUpdates) {
  const BackendPtr backend = make_cpu_backend(2);
  check_accumulate(*backend);
  for (const OptimizerKind kind :
       {OptimizerKind::sgd, OptimizerKind::adagrad, OptimizerKind::rmsprop, OptimizerKind::adadelta,
        OptimizerKind::adam}) {
    for (const bool flag : {false, true}) {
      OptimizerAttrs attrs;
      attrs.kind = kind;
      attrs.nesterov = attrs.centered = flag;
      SCOPED_TRACE(std::string(to_string(kind)) + (flag ? " nesterov/centered" : ""));
      check_optimizer(*backend, attrs);
      attrs.decay = DecayForm::decoupled;
      attrs.lr_in_slot = kind == OptimizerKind::sgd;
      check_optimizer(*backend, attrs);
    }
  }
}

}  // namespace
}  // namespace daybreak
