#pragma once

#include <vector>

#include "backend/backend.h"

namespace daybreak {

/// The reference kernels of one op each, defined in src/ops/NAME_ref.cpp. The query has passed
/// ref_backend.cpp's checks: known pass, floating type, tensors that fit Op::infer and Op::params.
std::vector<KernelOffer> act_ref_offers(const KernelQuery& query);
std::vector<KernelOffer> adaptive_avgpool_ref_offers(const KernelQuery& query);
std::vector<KernelOffer> add_ref_offers(const KernelQuery& query);
std::vector<KernelOffer> batchnorm_ref_offers(const KernelQuery& query);
std::vector<KernelOffer> bce_ref_offers(const KernelQuery& query);
std::vector<KernelOffer> concat_ref_offers(const KernelQuery& query);
std::vector<KernelOffer> conv2d_ref_offers(const KernelQuery& query);
std::vector<KernelOffer> conv2d_transpose_ref_offers(const KernelQuery& query);
std::vector<KernelOffer> distance_ref_offers(const KernelQuery& query);
std::vector<KernelOffer> dropout_ref_offers(const KernelQuery& query);
std::vector<KernelOffer> hinge_ref_offers(const KernelQuery& query);
std::vector<KernelOffer> input_u8_ref_offers(const KernelQuery& query);
std::vector<KernelOffer> instancenorm_ref_offers(const KernelQuery& query);
std::vector<KernelOffer> linear_ref_offers(const KernelQuery& query);
std::vector<KernelOffer> multiply_ref_offers(const KernelQuery& query);
std::vector<KernelOffer> pad_ref_offers(const KernelQuery& query);
std::vector<KernelOffer> pool_ref_offers(const KernelQuery& query);
std::vector<KernelOffer> region_loss_ref_offers(const KernelQuery& query);
std::vector<KernelOffer> reorg_ref_offers(const KernelQuery& query);
std::vector<KernelOffer> reshape_ref_offers(const KernelQuery& query);
std::vector<KernelOffer> slice_ref_offers(const KernelQuery& query);
std::vector<KernelOffer> softmax_ref_offers(const KernelQuery& query);
std::vector<KernelOffer> softmax_xent_ref_offers(const KernelQuery& query);
std::vector<KernelOffer> ssd_loss_ref_offers(const KernelQuery& query);
std::vector<KernelOffer> topk_count_ref_offers(const KernelQuery& query);
std::vector<KernelOffer> upsample_ref_offers(const KernelQuery& query);
std::vector<KernelOffer> yolo_loss_ref_offers(const KernelQuery& query);

}  // namespace daybreak
