#pragma once

#include <string>

#include "backend/backend.h"

namespace daybreak {

class LayoutRegistry;
class OneDnn;

/// Blocked channels: nChw16c, or nChw8c without AVX-512.
constexpr Layout kBlocked{2};

/// What the CPU kernels of src/ops/*_cpu.cpp get from their backend.
struct CpuContext {
  LayoutRegistry* layouts = nullptr;
  OneDnn* onednn = nullptr;
  int block = 16;  ///< channels of a block of the layout kBlocked

  /// A tensor in another layout, with the bytes it then takes.
  TensorDesc with_layout(TensorDesc desc, Layout layout) const;
};

using CpuOffers = std::vector<KernelOffer>;

/// The kernels of one op each, defined in src/ops/NAME_cpu.cpp. The query is of dtype f32 or,
/// for ops that work in it, bf16 (pictures u8, labels i32); no offers and a reason when the op
/// cannot be run.
CpuOffers act_cpu_offers(const CpuContext& context, const KernelQuery& query);
CpuOffers adaptive_avgpool_cpu_offers(const CpuContext& context, const KernelQuery& query);
CpuOffers add_cpu_offers(const CpuContext& context, const KernelQuery& query, std::string* reason);
CpuOffers batchnorm_cpu_offers(const CpuContext& context, const KernelQuery& query,
                               std::string* reason);
CpuOffers bce_cpu_offers(const CpuContext& context, const KernelQuery& query);
CpuOffers concat_cpu_offers(const CpuContext& context, const KernelQuery& query);
CpuOffers conv2d_cpu_offers(const CpuContext& context, const KernelQuery& query);
CpuOffers conv2d_transpose_cpu_offers(const CpuContext& context, const KernelQuery& query);
CpuOffers distance_cpu_offers(const CpuContext& context, const KernelQuery& query);
CpuOffers dropout_cpu_offers(const CpuContext& context, const KernelQuery& query);
CpuOffers hinge_cpu_offers(const CpuContext& context, const KernelQuery& query);
CpuOffers input_u8_cpu_offers(const CpuContext& context, const KernelQuery& query);
CpuOffers instancenorm_cpu_offers(const CpuContext& context, const KernelQuery& query);
CpuOffers linear_cpu_offers(const CpuContext& context, const KernelQuery& query);
CpuOffers multiply_cpu_offers(const CpuContext& context, const KernelQuery& query);
CpuOffers pad_cpu_offers(const CpuContext& context, const KernelQuery& query);
CpuOffers pool_cpu_offers(const CpuContext& context, const KernelQuery& query);
CpuOffers region_loss_cpu_offers(const CpuContext& context, const KernelQuery& query);
CpuOffers reorg_cpu_offers(const CpuContext& context, const KernelQuery& query);
CpuOffers reshape_cpu_offers(const CpuContext& context, const KernelQuery& query);
CpuOffers slice_cpu_offers(const CpuContext& context, const KernelQuery& query);
CpuOffers softmax_cpu_offers(const CpuContext& context, const KernelQuery& query);
CpuOffers softmax_xent_cpu_offers(const CpuContext& context, const KernelQuery& query);
CpuOffers ssd_loss_cpu_offers(const CpuContext& context, const KernelQuery& query);
CpuOffers topk_count_cpu_offers(const CpuContext& context, const KernelQuery& query);
CpuOffers upsample_cpu_offers(const CpuContext& context, const KernelQuery& query);
CpuOffers yolo_loss_cpu_offers(const CpuContext& context, const KernelQuery& query);

/// Optimizers over flat arenas, defined in src/ops/update_cpu.cpp.
std::unique_ptr<UpdateKernel> make_cpu_update(const OptimizerAttrs& attrs);

/// Backend::blend and Backend::exchange, defined in blend.cpp.
void blend_floats(float* average, const float* values, std::size_t count, float share);
void exchange_floats(float* a, float* b, std::size_t count);

}  // namespace daybreak
