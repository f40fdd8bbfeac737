#pragma once

#include <memory>
#include <string>
#include <vector>

#include "backend/backend.h"

namespace daybreak {

/// Passes everything on to another backend; tests override single functions.
class ForwardingBackend : public Backend {
 public:
  explicit ForwardingBackend(Backend& inner) : inner_(inner) {}

  std::string name() const override { return inner_.name(); }
  std::string identity() const override { return inner_.identity(); }
  int kernel_set() const override { return inner_.kernel_set(); }
  bool measurable() const override { return inner_.measurable(); }
  bool supports(DType dtype) const override { return inner_.supports(dtype); }
  std::string caution(DType dtype) const override { return inner_.caution(dtype); }
  std::vector<KernelOffer> offers(const KernelQuery& query, std::string* reason) override {
    return inner_.offers(query, reason);
  }
  bool norms_in_place(DType dtype) const override { return inner_.norms_in_place(dtype); }
  bool norms_with_sum(DType dtype) const override { return inner_.norms_with_sum(dtype); }
  bool statistics_of_convs(DType dtype) const override { return inner_.statistics_of_convs(dtype); }
  bool loads_norms(DType dtype) const override { return inner_.loads_norms(dtype); }
  bool fuses_into_conv(const Activation& act) const override { return inner_.fuses_into_conv(act); }
  bool keeps_rounded_weights(DType dtype) const override {
    return inner_.keeps_rounded_weights(dtype);
  }
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
  std::size_t free_bytes() const override { return inner_.free_bytes(); }
  void copy_in(std::byte* to, const void* from, std::size_t bytes) override {
    inner_.copy_in(to, from, bytes);
  }
  void copy_out(void* to, const std::byte* from, std::size_t bytes) override {
    inner_.copy_out(to, from, bytes);
  }
  void send(std::byte* to, const void* from, std::size_t bytes) override {
    inner_.send(to, from, bytes);
  }
  void synchronize() override { inner_.synchronize(); }
  KernelPtr step_work(StepWork work, DType dtype) override { return inner_.step_work(work, dtype); }
  KernelPtr batch_maker(const BatchRecipe& recipe) override { return inner_.batch_maker(recipe); }
  KernelPtr row_keeper(const RowRecipe& recipe) override { return inner_.row_keeper(recipe); }
  bool can_record() const override { return inner_.can_record(); }
  void begin_recording() override { inner_.begin_recording(); }
  RecordingPtr end_recording() override { return inner_.end_recording(); }

 protected:
  Backend& inner_;
};

}  // namespace daybreak
