#include <string>

#include <gtest/gtest.h>

#include "backend/backend.h"
#include "op_cases.h"
#include "ops/conv2d.h"
#include "support/op_harness.h"

namespace daybreak {
namespace {

constexpr Layout kBlocked{2};  // the CPU backend's nChw16c or nChw8c

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
  void blend(std::byte* average, const std::byte* values, std::size_t count, DType dtype,
             double share) override {
    inner_.blend(average, values, count, dtype, share);
  }
  void exchange(std::byte* a, std::byte* b, std::size_t count, DType dtype) override {
    inner_.exchange(a, b, count, dtype);
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

/// The plan fuses relu and leaky relu only.
bool is_odd_fusion(const KernelQuery& query) {
  const std::string text = query.op->describe();
  const bool fused = query.op->kind() == OpKind::batchnorm || query.op->kind() == OpKind::add;
  return fused &&
         (text.find("sigmoid") != std::string::npos || text.find("tanh") != std::string::npos);
}

/// Every offer of every pass against the reference, inputs coming in `layout`.
void compare(const OpCase& one, int threads, Layout layout) {
  SCOPED_TRACE(one.name);
  const BackendPtr cpu = make_cpu_backend(threads);
  InLayout backend(*cpu, layout);
  const auto op = one.make();
  HarnessOptions options;
  options.eval_backward = op->kind() == OpKind::batchnorm || op->kind() == OpKind::dropout;
  options.may_refuse = is_odd_fusion;
  check_backend(backend, *op, one.inputs, options);
}

class CpuBackendOps : public testing::TestWithParam<OpKind> {};

TEST_P(CpuBackendOps, AgreeWithTheReference) {
  for (const OpCase& one : cases(GetParam())) compare(one, 2, kNchw);
}
TEST_P(CpuBackendOps, AgreeInBlockedLayout) {
  for (const OpCase& one : cases(GetParam())) compare(one, 2, kBlocked);
}
TEST_P(CpuBackendOps, AgreeInNhwc) {
  for (const OpCase& one : cases(GetParam())) compare(one, 1, kNhwc);
}

std::string kind_name(const testing::TestParamInfo<OpKind>& info) {
  return std::string(to_string(info.param));
}
INSTANTIATE_TEST_SUITE_P(Ops, CpuBackendOps, testing::ValuesIn(all_op_kinds()), kind_name);

/// Shapes that get the kernel of one product per tap: small maps, taps that never meet the picture.
TEST(CpuBackend, SmallMapConvolutionsAgree) {
  const ConvShape shapes[] = {
      {{16, 64, 2, 2}, 64, 3, 3, 1, 1, 1, false}, {{17, 40, 4, 4}, 48, 3, 3, 2, 1, 1, true},
      {{16, 33, 1, 1}, 32, 3, 3, 1, 1, 1, true},  {{16, 32, 2, 3}, 37, 5, 3, 1, 2, 1, false},
      {{20, 64, 2, 2}, 65, 1, 1, 1, 0, 1, true},  {{16, 32, 7, 5}, 32, 3, 2, 1, 1, 2, true},
      {{16, 48, 6, 7}, 32, 2, 3, 3, 0, 1, false}, {{16, 32, 2, 2}, 32, 3, 3, 2, 3, 1, true},
  };
  for (const ConvShape& shape : shapes) {
    const OpCase one = conv_case(shape);
    compare(one, 2, kBlocked);
    if (shape.x.c == 40) {
      compare(one, 2, kNchw);
      compare(one, 2, kNhwc);
    }
  }
}

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
      check_optimizer(*backend, attrs, 2e-6, {DType::bf16});
      check_guarded_update(*backend, attrs);
      attrs.decay = DecayForm::decoupled;
      attrs.lr_in_slot = kind == OptimizerKind::sgd;
      check_optimizer(*backend, attrs);
    }
  }
}

}  // namespace
}  // namespace daybreak
