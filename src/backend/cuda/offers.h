#pragma once

#include <memory>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "backend/cuda/context.h"

namespace daybreak::cuda {

using Offers = std::vector<KernelOffer>;

// One function per group of operations; empty with `reason` filled in when nothing fits.
Offers activation_offers(Context& context, const KernelQuery& query, std::string* reason);
Offers adaptive_avgpool_offers(Context& context, const KernelQuery& query, std::string* reason);
Offers add_offers(Context& context, const KernelQuery& query, std::string* reason);
Offers concat_offers(Context& context, const KernelQuery& query, std::string* reason);
/// Conv2d and Conv2dTranspose: cuDNN engines first, then the direct kernels.
Offers conv_offers(Context& context, const KernelQuery& query, std::string* reason);
Offers dropout_offers(Context& context, const KernelQuery& query, std::string* reason);
Offers elementwise_loss_offers(Context& context, const KernelQuery& query, std::string* reason);
Offers input_u8_offers(Context& context, const KernelQuery& query, std::string* reason);
Offers label_loss_offers(Context& context, const KernelQuery& query, std::string* reason);
Offers linear_offers(Context& context, const KernelQuery& query, std::string* reason);
/// BatchNorm and InstanceNorm.
Offers norm_offers(Context& context, const KernelQuery& query, std::string* reason);
Offers multiply_offers(Context& context, const KernelQuery& query, std::string* reason);
Offers pad_offers(Context& context, const KernelQuery& query, std::string* reason);
Offers pool_offers(Context& context, const KernelQuery& query, std::string* reason);
Offers region_loss_offers(Context& context, const KernelQuery& query, std::string* reason);
Offers reorg_offers(Context& context, const KernelQuery& query, std::string* reason);
Offers reshape_offers(Context& context, const KernelQuery& query, std::string* reason);
Offers slice_offers(Context& context, const KernelQuery& query, std::string* reason);
Offers softmax_offers(Context& context, const KernelQuery& query, std::string* reason);
Offers ssd_loss_offers(Context& context, const KernelQuery& query, std::string* reason);
Offers topk_offers(Context& context, const KernelQuery& query, std::string* reason);
Offers upsample_offers(Context& context, const KernelQuery& query, std::string* reason);
Offers yolo_loss_offers(Context& context, const KernelQuery& query, std::string* reason);

KernelPtr make_reorder(Context& context, const TensorDesc& from, const TensorDesc& to);
KernelPtr make_accumulate(Context& context, const TensorDesc& desc);
KernelPtr make_step_work(Context& context, StepWork work);
KernelPtr make_batch_maker(Context& context, const BatchRecipe& recipe);
KernelPtr make_row_keeper(Context& context, const RowRecipe& recipe);
std::unique_ptr<UpdateKernel> make_optimizer(Context& context, const OptimizerAttrs& attrs);

}  // namespace daybreak::cuda
