#include "train/loss_parts.h"

#include <algorithm>

#include "ops/region_loss_math.h"
#include "ops/ssd_loss_math.h"

namespace daybreak {
namespace {

bool is_head_loss(OpKind kind) {
  return kind == OpKind::yolo_loss || kind == OpKind::region_loss || kind == OpKind::ssd_loss;
}

std::size_t head_of(const Graph& graph, ValueId raw) {
  const auto found = std::find_if(graph.heads.begin(), graph.heads.end(),
                                  [raw](const DetectionHead& head) { return head.raw == raw; });
  return static_cast<std::size_t>(found - graph.heads.begin());
}

}  // namespace

LossParts& LossParts::operator+=(const LossParts& other) {
  box += other.box;
  objectness += other.objectness;
  classes += other.classes;
  return *this;
}

PartedLoss::PartedLoss(const Graph& graph) {
  std::size_t of_ssd = 0;
  for (const GraphNode& node : graph.nodes) {
    if (!is_head_loss(node.op->kind())) continue;
    HeadLoss loss{node.op.get(), {}};
    for (std::size_t i = 0; i + 1 < node.inputs.size(); ++i) {  // the last are the true boxes
      loss.heads.push_back(head_of(graph, node.inputs[i]));
    }
    of_ssd += node.op->kind() == OpKind::ssd_loss ? 1 : 0;
    losses_.push_back(std::move(loss));
  }
  is_ssd_ = of_ssd > 0;
  known_ = !losses_.empty() && (of_ssd == 0 || of_ssd == losses_.size());
}

// Calls `visit(place, stride, anchor, cell, rows, claims)` where a truth is learnt, or everywhere.
template <typename Claim, typename Visit>
void PartedLoss::visit_taught(const HeadBatch& batch, int anchors, int classes, bool everywhere,
                              Claim claim, Visit visit) {
  claims_.resize(static_cast<std::size_t>(batch.truths));
  const int cells = batch.map.spatial();
  for (int n = 0; n < batch.map.n; ++n) {
    const float* raw = batch.raw + n * batch.map.per_sample();
    const float* rows = batch.rows + std::int64_t{n} * batch.truths * 5;
    for (std::size_t m = 0; m < claims_.size(); ++m) claims_[m] = claim(raw, rows + 5 * m);
    const auto visit_place = [&](int a, int cell) {
      const float* place = raw + std::int64_t{a} * (5 + classes) * cells + cell;
      visit(place, std::int64_t{cells}, a, cell, rows, claims_.data());
    };
    for (int a = 0; everywhere && a < anchors; ++a) {
      for (int cell = 0; cell < cells; ++cell) visit_place(a, cell);
    }
    for (int m = 0; !everywhere && m < batch.truths; ++m) {
      const YoloClaim& one = claims_[static_cast<std::size_t>(m)];
      for (int a = 0; one.cell >= 0 && a < anchors; ++a) {
        // Of several truths that want a place one has it.
        const bool wanted = (one.best | one.other) >> a & 1;
        if (!wanted || yolo_owner(claims_.data(), batch.truths, a, one.cell) != m) continue;
        visit_place(a, one.cell);
      }
    }
  }
}

LossParts PartedLoss::yolo_parts(const Op& op, const HeadBatch& batch) {
  const auto terms = yolo_terms<double>(static_cast<const YoloLoss&>(op), batch.map,
                                        {batch.map.n, batch.truths, 1, 5});
  YoloTerms<double> box = terms, classes = terms;  // with the weights of the other parts zero
  box.objectness = box.cls = 0.0;
  classes.box = classes.objectness = 0.0;
  LossParts sums = {0.0, 0.0, 0.0};
  float* const none = nullptr;
  visit_taught(
      batch, terms.anchors, terms.classes, /*everywhere=*/terms.truth < 1.0,
      [&](const float*, const float* row) { return yolo_claim(terms, row); },
      [&](auto... at) {
        sums.box += yolo_place_loss(box, at..., 1.0, none);
        sums.classes += yolo_place_loss(classes, at..., 1.0, none);
      });
  return sums.times(1.0 / batch.map.n);
}

LossParts PartedLoss::region_parts(const Op& op, const HeadBatch& batch) {
  const auto terms = region_terms<double>(static_cast<const RegionLoss&>(op), batch.map,
                                          {batch.map.n, batch.truths, 1, 5});
  RegionTerms<double> box = terms, classes = terms;
  box.object = box.noobject = box.cls = 0.0;
  classes.coord = classes.object = classes.noobject = 0.0;
  LossParts sums = {0.0, 0.0, 0.0};
  float* const none = nullptr;
  visit_taught(
      batch, terms.boxes.anchors, terms.boxes.classes, /*everywhere=*/false,
      [&](const float* map, const float* row) { return region_claim(terms, map, row); },
      [&](auto... at) {
        sums.box += region_place_loss(box, at..., 1.0, none);
        sums.classes += region_place_loss(classes, at..., 1.0, none);
      });
  return sums.times(1.0 / batch.map.n);
}

void PartedLoss::place_anchors(const HeadLoss& loss, std::span<const Shape> shapes) {
  bool same = maps_.size() == loss.heads.size();
  for (std::size_t k = 0; same && k < maps_.size(); ++k) same = maps_[k] == shapes[loss.heads[k]];
  if (same) return;
  maps_.clear();
  for (const std::size_t head : loss.heads) maps_.push_back(shapes[head]);
  places_ = ssd_places(static_cast<const SsdLoss&>(*loss.op), maps_);
  match_.resize(places_.size());
}

double PartedLoss::ssd_offsets_loss(const HeadLoss& loss,
                                    std::span<const std::vector<float>> values, const float* rows,
                                    int truths) {
  const double match_iou = static_cast<const SsdLoss&>(*loss.op).match_iou;
  forced_.resize(static_cast<std::size_t>(truths));
  best_.resize(forced_.size());
  double sum = 0.0;
  std::int64_t positives = 0;
  for (int n = 0; n < maps_[0].n; ++n, rows += std::int64_t{truths} * 5) {
    ssd_match(places_, rows, truths, match_iou, match_.data(), forced_.data(), best_.data());
    for (std::size_t p = 0; p < places_.size(); ++p) {
      if (match_[p] < 0) continue;
      const SsdPlace& place = places_[p];
      const std::vector<float>& map = values[loss.heads[static_cast<std::size_t>(place.map)]];
      const float* x = map.data() + n * place.per_sample + place.offset;
      sum += ssd_box_loss(place, x, ssd_box(rows + 5 * match_[p]), 0.0, nullptr);
      ++positives;
    }
  }
  return sum / static_cast<double>(std::max<std::int64_t>(1, positives));
}

LossParts PartedLoss::parts(std::span<const Shape> shapes,
                            std::span<const std::vector<float>> values, const float* rows,
                            int truths, double loss) {
  if (!known_) return {};
  LossParts sums = {0.0, 0.0, 0.0};
  for (const HeadLoss& one : losses_) {
    if (is_ssd_) {
      place_anchors(one, shapes);
      sums.box += ssd_offsets_loss(one, values, rows, truths);
      continue;
    }
    const std::size_t head = one.heads[0];
    const HeadBatch batch{shapes[head], values[head].data(), rows, truths};
    sums += one.op->kind() == OpKind::yolo_loss ? yolo_parts(*one.op, batch)
                                                : region_parts(*one.op, batch);
  }
  if (is_ssd_) return {sums.box, LossParts{}.objectness, loss - sums.box};
  sums.objectness = loss - sums.box - sums.classes;
  return sums;
}

}  // namespace daybreak
