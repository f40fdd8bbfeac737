#pragma once

#include <string>
#include <vector>

#include "backend/ref/label.h"
#include "backend/ref/ref_kernel.h"
#include "ops/yolo_loss_math.h"

namespace daybreak {

/// The reference kernels of a loss over places: `claim(map, row)` tells where a truth is learned,
/// `place(x, stride, anchor, cell, rows, claims, scale, g)` is the loss of a place (see
/// yolo_place_loss); both are generic over the element type.
template <typename Claim, typename Place>
std::vector<KernelOffer> head_loss_ref_offers(const KernelQuery& query, int anchors, int classes,
                                              Claim claim, Place place) {
  const Shape map = query.inputs[0].shape, boxes = query.inputs[1].shape;
  const std::int64_t count = map.count();
  if (query.pass == Pass::backward) {
    return {ref_offer(query, {.aux = true}, [=]<typename T>(T, const Bindings& b) {
      T* dx = entry<T>(b.dx, 0);
      const double g = *as<T>(b.dy);
      for (std::int64_t i = 0; dx && i < count; ++i) dx[i] = static_cast<T>(g * as<T>(b.aux)[i]);
    })};
  }
  KernelOffer offer = ref_offer(query, {}, [=]<typename T>(T, const Bindings& b) {
    std::vector<YoloClaim> claims(static_cast<std::size_t>(boxes.c));
    const int cells = map.spatial();
    double sum = 0.0;
    for (int n = 0; n < map.n; ++n) {
      const T* rows = as<T>(b.x[1]) + std::int64_t{n} * boxes.c * 5;
      for (int m = 0; m < boxes.c; ++m) {
        claims[m] = claim(as<T>(b.x[0]) + n * map.per_sample(), rows + 5 * m);
        if (claims[m].cell >= 0) checked_label(claims[m].category, n, classes);
      }
      for (int a = 0; a < anchors; ++a) {
        for (int cell = 0; cell < cells; ++cell) {
          const std::int64_t at = (std::int64_t{n} * anchors + a) * (5 + classes) * cells + cell;
          sum += place(as<T>(b.x[0]) + at, cells, a, cell, rows, claims.data(), 1.0 / map.n,
                       b.aux ? as<T>(b.aux) + at : nullptr);
        }
      }
    }
    *as<T>(b.y) = static_cast<T>(sum / map.n);
  });
  if (query.mode == Mode::train) {
    offer.aux_bytes = static_cast<std::size_t>(count) * element_size(ref_dtype(query));
  }
  return {offer};
}

}  // namespace daybreak
