#include "backend/cpu/kernel.h"

#include "backend/cpu/layouts.h"
#include "core/error.h"

namespace daybreak {

TensorDesc CpuContext::with_layout(TensorDesc desc, Layout layout) const {
  desc.layout = layout;
  desc.bytes = layouts->bytes(desc.shape, desc.dtype, layout);
  return desc;
}

Layout own_layout(const KernelQuery& query) {
  const TensorDesc& desc = query.pass == Pass::forward ? query.inputs[0] : query.output;
  return desc.layout.id <= kBlocked.id ? desc.layout : kBlocked;
}

void check_labels(const std::int32_t* labels, int samples, int classes) {
  for (int n = 0; n < samples; ++n) {
    if (labels[n] >= 0 && labels[n] < classes) continue;
    throw DataError("label " + std::to_string(labels[n]) + " of sample " + std::to_string(n) +
                    " of the batch is outside 0.." + std::to_string(classes - 1));
  }
}

}  // namespace daybreak
