#pragma once

#include <string>
#include <vector>

#include "backend/backend.h"
#include "backend/host_step_work.h"

namespace daybreak {

/// Plain loops on one thread, float or double, plain NCHW tensors: the specification of every op,
/// and what all other backends are tested against. Sums are taken in double.
class RefBackend final : public Backend {
 public:
  std::string name() const override { return "ref"; }
  std::string identity() const override { return "plain loops, one thread"; }
  bool supports(DType dtype) const override { return dtype == DType::f32 || dtype == DType::f64; }
  std::vector<KernelOffer> offers(const KernelQuery& query, std::string* reason) override;
  std::size_t layout_bytes(const Shape& shape, DType dtype, Layout layout) const override;
  std::string layout_name(Layout layout) const override;
  /// Between kNchw and kNhwc, and between u8, i32, f32 and f64.
  KernelPtr reorder(const TensorDesc& from, const TensorDesc& to) override;
  bool same_bytes(const TensorDesc& a, const TensorDesc& b) const override;
  bool storable(const TensorDesc& desc) const override;
  KernelPtr accumulate(const TensorDesc& desc) override;
  std::unique_ptr<UpdateKernel> optimizer(const OptimizerAttrs& attrs, DType dtype) override;
  void blend(std::byte* average, const std::byte* values, std::size_t count, DType dtype,
             double share) override;
  void exchange(std::byte* a, std::byte* b, std::size_t count, DType dtype) override;
  MemoryPtr allocate(std::size_t bytes) override;
  void copy_in(std::byte* to, const void* from, std::size_t bytes) override;
  void copy_out(void* to, const std::byte* from, std::size_t bytes) override;
  void synchronize() override {}
  KernelPtr step_work(StepWork work, DType dtype) override {
    return make_host_step_work(work, dtype);
  }
  KernelPtr row_keeper(const RowRecipe& recipe) override {
    return std::make_unique<HostRowKeeper>(recipe);
  }
};

}  // namespace daybreak
