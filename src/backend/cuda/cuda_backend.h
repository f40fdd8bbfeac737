#pragma once

#include <string>

#include "backend/backend.h"
#include "backend/cuda/context.h"

namespace daybreak::cuda {

/// cuDNN, cuBLASLt and own kernels on one stream of one GPU. Tensors are channels last (kNhwc) but
/// for linear layers and reshapes; no layout is padded. All addresses a kernel is bound to are
/// device addresses, StepScalars included.
class CudaBackend final : public Backend {
 public:
  CudaBackend(int device, int engines) : context_(device, engines) {}

  std::string name() const override { return "cuda"; }
  std::string identity() const override;
  bool supports(DType dtype) const override;
  std::vector<KernelOffer> offers(const KernelQuery& query, std::string* reason) override;
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
  void synchronize() override;

 private:
  Context context_;
};

}  // namespace daybreak::cuda
