#include "train/loss_parts.h"

#include <vector>

#include "ops/region_loss_math.h"
#include "ops/yolo_loss_math.h"

namespace daybreak {
namespace {

/// A batch of one head, as its loss reads it.
struct HeadBatch {
  Shape map;
  const float* raw;
  const float* rows;
  int truths, pictures;
};

// The loss of all places as the kernels compute it, without a gradient.
template <typename Claim, typename Place>
double sum_places(const HeadBatch& batch, int anchors, int classes, Claim claim, Place place) {
  std::vector<YoloClaim> claims(static_cast<std::size_t>(batch.truths));
  const int cells = batch.map.spatial();
  double sum = 0.0;
  for (int n = 0; n < batch.pictures; ++n) {
    const float* raw = batch.raw + n * batch.map.per_sample();
    const float* rows = batch.rows + std::int64_t{n} * batch.truths * 5;
    for (std::size_t m = 0; m < claims.size(); ++m) claims[m] = claim(raw, rows + 5 * m);
    for (int a = 0; a < anchors; ++a) {
      const float* plane = raw + std::int64_t{a} * (5 + classes) * cells;
      for (int cell = 0; cell < cells; ++cell) {
        sum += place(plane + cell, std::int64_t{cells}, a, cell, rows, claims.data());
      }
    }
  }
  return sum;
}

double yolo_loss(const HeadBatch& batch, const YoloTerms<double>& terms) {
  return sum_places(
      batch, terms.anchors, terms.classes,
      [&](const float*, const float* row) { return yolo_claim(terms, row); },
      [&](auto... at) { return yolo_place_loss(terms, at..., 1.0, static_cast<float*>(nullptr)); });
}

double region_loss(const HeadBatch& batch, const RegionTerms<double>& terms) {
  return sum_places(
      batch, terms.boxes.anchors, terms.boxes.classes,
      [&](const float* map, const float* row) { return region_claim(terms, map, row); },
      [&](auto... at) {
        return region_place_loss(terms, at..., 1.0, static_cast<float*>(nullptr));
      });
}

}  // namespace

const GraphNode* parted_loss(const Graph& graph, const DetectionHead& head) {
  for (const GraphNode& node : graph.nodes) {
    const OpKind kind = node.op->kind();
    const bool parted = kind == OpKind::yolo_loss || kind == OpKind::region_loss;
    if (parted && node.inputs[0] == head.raw) return &node;
  }
  return nullptr;
}

LossParts loss_parts(const Op& op, const Shape& map, const float* raw, const float* rows,
                     int truths, int pictures) {
  const HeadBatch batch{map, raw, rows, truths, pictures};
  const Shape boxes{map.n, truths, 1, 5};
  LossParts parts;
  if (op.kind() == OpKind::yolo_loss) {
    const auto terms = yolo_terms<double>(static_cast<const YoloLoss&>(op), map, boxes);
    YoloTerms<double> box = terms, objectness = terms, classes = terms;
    box.objectness = box.cls = 0.0;
    objectness.box = objectness.cls = 0.0;
    classes.box = classes.objectness = 0.0;
    parts = {yolo_loss(batch, box), yolo_loss(batch, objectness), yolo_loss(batch, classes)};
  } else if (op.kind() == OpKind::region_loss) {
    const auto terms = region_terms<double>(static_cast<const RegionLoss&>(op), map, boxes);
    RegionTerms<double> box = terms, objectness = terms, classes = terms;
    box.object = box.noobject = box.cls = 0.0;
    objectness.coord = objectness.cls = 0.0;
    classes.coord = classes.object = classes.noobject = 0.0;
    parts = {region_loss(batch, box), region_loss(batch, objectness), region_loss(batch, classes)};
  }
  return parts;
}

}  // namespace daybreak
