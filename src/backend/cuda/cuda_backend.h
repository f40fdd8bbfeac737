#pragma once

#include <string>

#include "backend/backend.h"
#include "backend/cuda/context.h"
#include "backend/cuda/uploader.h"

namespace daybreak::cuda {

/// cuDNN, cuBLASLt and own kernels on one stream of one GPU. Tensors are channels last (kNhwc) but
/// for linear layers and reshapes; no layout is padded. All addresses a kernel is bound to are
/// device addresses, StepScalars included.
class CudaBackend final : public Backend {
 public:
  CudaBackend(int device, int engines) : context_(device, engines), uploader_(context_) {}
  /// Without a device: makes offers only, and no memory; of cuDNN's engines where `engines` > 0.
  explicit CudaBackend(int engines) : context_(engines), uploader_(context_) {}

  std::string name() const override { return "cuda"; }
  std::string identity() const override;
  int kernel_set() const override { return 6; }
  bool measurable() const override { return context_.has_device(); }
  bool supports(DType dtype) const override;
  std::vector<KernelOffer> offers(const KernelQuery& query, std::string* reason) override;
  /// What is found again from 16 bits would be too coarse.
  bool norms_in_place(DType) const override { return true; }
  bool norms_with_sum(DType) const override { return true; }
  bool keeps_rounded_weights(DType dtype) const override {
    return dtype == DType::bf16 || dtype == DType::f16;
  }
  bool statistics_of_convs(DType) const override { return true; }
  /// Other types have no engine for the weight gradient, which would have to make the output
  /// itself.
  bool loads_norms(DType dtype) const override { return dtype == DType::f16; }
  bool fuses_into_conv(const Activation&) const override { return true; }
  std::size_t layout_bytes(const Shape& shape, DType dtype, Layout layout) const override;
  std::string layout_name(Layout layout) const override;
  KernelPtr reorder(const TensorDesc& from, const TensorDesc& to) override;
  bool same_bytes(const TensorDesc& a, const TensorDesc& b) const override;
  bool storable(const TensorDesc& desc) const override;
  KernelPtr accumulate(const TensorDesc& desc) override;
  std::unique_ptr<UpdateKernel> optimizer(const OptimizerAttrs& attrs, DType dtype) override;
  void blend(std::byte* average, const std::byte* values, std::size_t count, DType dtype,
             double share) override;
  void exchange(std::byte* a, std::byte* b, std::size_t count, DType dtype) override;
  MemoryPtr allocate(std::size_t bytes) override;
  std::size_t free_bytes() const override;
  void copy_in(std::byte* to, const void* from, std::size_t bytes) override;
  void copy_out(void* to, const std::byte* from, std::size_t bytes) override;
  void send(std::byte* to, const void* from, std::size_t bytes) override;
  void synchronize() override;
  KernelPtr step_work(StepWork work, DType dtype) override;
  KernelPtr batch_maker(const BatchRecipe& recipe) override;
  KernelPtr row_keeper(const RowRecipe& recipe) override;
  bool can_record() const override { return context_.has_device(); }
  void begin_recording() override;
  RecordingPtr end_recording() override;

 private:
  void forbid_while_recording(const char* what) const;
  void wait() const;

  Context context_;
  Uploader uploader_;
  bool recording_ = false;
};

}  // namespace daybreak::cuda
