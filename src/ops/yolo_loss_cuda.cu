// The losses of YOLO's heads: v3 and later, and v2's ("region"), over the places of one map.

#include "ops/head_loss_cuda.cuh"
#include "ops/region_loss_math.h"

namespace daybreak::cuda {
namespace {

struct YoloHead {
  YoloTerms<double> terms;

  __host__ __device__ int anchors() const { return terms.anchors; }
  __host__ __device__ int classes() const { return terms.classes; }
  __host__ __device__ int truths() const { return terms.truths; }
  __host__ __device__ int cells() const { return terms.height * terms.width; }
  __device__ YoloClaim claim(const float*, const float* row) const {
    return yolo_claim(terms, row);
  }
  __device__ double place_loss(const float* x, std::int64_t stride, int a, int cell,
                               const float* rows, const YoloClaim* claims, double scale,
                               float* g) const {
    return yolo_place_loss(terms, x, stride, a, cell, rows, claims, scale, g);
  }
};

struct RegionHead {
  RegionTerms<double> terms;

  __host__ __device__ int anchors() const { return terms.boxes.anchors; }
  __host__ __device__ int classes() const { return terms.boxes.classes; }
  __host__ __device__ int truths() const { return terms.boxes.truths; }
  __host__ __device__ int cells() const { return terms.boxes.height * terms.boxes.width; }
  __device__ YoloClaim claim(const float* map, const float* row) const {
    return region_claim(terms, map, row);
  }
  __device__ double place_loss(const float* x, std::int64_t stride, int a, int cell,
                               const float* rows, const YoloClaim* claims, double scale,
                               float* g) const {
    return region_place_loss(terms, x, stride, a, cell, rows, claims, scale, g);
  }
};

// Arguments of a launch may have 4 KiB with any driver.
static_assert(sizeof(RegionHead) < 3584 && sizeof(YoloHead) < 3584);

}  // namespace

Offers yolo_loss_offers(Context& context, const KernelQuery& query, std::string* reason) {
  const YoloHead head{yolo_terms<double>(static_cast<const YoloLoss&>(*query.op),
                                         query.inputs[0].shape, query.inputs[1].shape)};
  return head_loss_offers(context, query, "own:yolo_loss", head, reason);
}

Offers region_loss_offers(Context& context, const KernelQuery& query, std::string* reason) {
  const RegionHead head{region_terms<double>(static_cast<const RegionLoss&>(*query.op),
                                             query.inputs[0].shape, query.inputs[1].shape)};
  return head_loss_offers(context, query, "own:region_loss", head, reason);
}

}  // namespace daybreak::cuda
