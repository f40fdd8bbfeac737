#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "graph/graph.h"
#include "ops/ssd_loss.h"
#include "ops/yolo_loss_math.h"

namespace daybreak {

/// What a detector's loss consists of, weights included; NaN where a network has no such parts. An
/// ssd head has no objectness: its `box` is the loss of the offsets, `classes` that of the scores.
struct LossParts {
  double box = std::numeric_limits<double>::quiet_NaN();
  double objectness = std::numeric_limits<double>::quiet_NaN();
  double classes = std::numeric_limits<double>::quiet_NaN();

  bool known() const { return std::isfinite(box); }
  LossParts& operator+=(const LossParts& other);
  LossParts times(double factor) const {
    return {factor * box, factor * objectness, factor * classes};
  }
};

/// Says what the loss of a detector's batch consists of. Box and class losses are computed at the
/// places that learn a truth, which are few, by the terms of the loss itself; the rest of the loss
/// is objectness (yolo, region) or classes (ssd).
class PartedLoss {
 public:
  explicit PartedLoss(const Graph& graph);

  /// False: the heads' losses have no common parts (ssd beside others), or there are no heads.
  bool known() const { return known_; }
  /// `shapes[h]` and `values[h]` are those of the raw map of head h, `rows` the true boxes
  /// [N, truths, 5], `loss` the batch's. Parts of known() losses add up to it.
  LossParts parts(std::span<const Shape> shapes, std::span<const std::vector<float>> values,
                  const float* rows, int truths, double loss);

 private:
  struct HeadLoss {
    const Op* op;
    std::vector<std::size_t> heads;  ///< of the graph, in the order of the op's inputs
  };
  // A map of a head, as its loss reads it.
  struct HeadBatch {
    Shape map;
    const float* raw;
    const float* rows;
    int truths;
  };

  template <typename Claim, typename Visit>
  void visit_taught(const HeadBatch& batch, int anchors, int classes, bool everywhere, Claim claim,
                    Visit visit);
  LossParts yolo_parts(const Op& op, const HeadBatch& batch);
  LossParts region_parts(const Op& op, const HeadBatch& batch);
  void place_anchors(const HeadLoss& loss, std::span<const Shape> shapes);
  double ssd_offsets_loss(const HeadLoss& loss, std::span<const std::vector<float>> values,
                          const float* rows, int truths);

  std::vector<HeadLoss> losses_;
  bool known_ = false, is_ssd_ = false;
  // Scratch, kept from call to call.
  std::vector<YoloClaim> claims_;  // of a picture
  std::vector<Shape> maps_;        // of an ssd head, and its anchors
  std::vector<SsdPlace> places_;
  std::vector<std::int32_t> match_, forced_;
  std::vector<double> best_;
};

}  // namespace daybreak
