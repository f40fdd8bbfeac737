#include "ops/distance.h"

#include <cmath>

#include "backend/ref/ref_kernel.h"
#include "backend/ref/ref_ops.h"

namespace daybreak {

namespace {

double value(const Distance& op, double d) {
  const double size = std::abs(d);
  switch (op.distance) {
    case DistanceKind::l1:
      return size;
    case DistanceKind::l2:
      return d * d;
    case DistanceKind::smooth_l1:
      return size < op.beta ? 0.5 * d * d / op.beta : size - 0.5 * op.beta;
  }
  return 0.0;
}

double derivative(const Distance& op, double d) {
  const double sign = d > 0.0 ? 1.0 : d < 0.0 ? -1.0 : d;  // d itself for 0 and NaN
  switch (op.distance) {
    case DistanceKind::l1:
      return sign;
    case DistanceKind::l2:
      return 2.0 * d;
    case DistanceKind::smooth_l1:
      return std::abs(d) < op.beta ? d / op.beta : sign;
  }
  return 0.0;
}

}  // namespace

std::vector<KernelOffer> distance_ref_offers(const KernelQuery& query) {
  const Distance op = static_cast<const Distance&>(*query.op);
  const std::int64_t count = query.inputs[0].shape.count();
  if (query.pass == Pass::forward) {
    return {ref_offer(query, {}, [=]<typename T>(T, const Bindings& b) {
      const T* x = as<T>(b.x[0]);
      const T* t = as<T>(b.x[1]);
      double sum = 0.0;
      for (std::int64_t i = 0; i < count; ++i) sum += value(op, double{x[i]} - t[i]);
      *as<T>(b.y) = static_cast<T>(sum / static_cast<double>(count));
    })};
  }
  return {ref_offer(query, {.inputs = true}, [=]<typename T>(T, const Bindings& b) {
    const T* x = as<T>(b.x[0]);
    const T* t = as<T>(b.x[1]);
    T* dx = entry<T>(b.dx, 0);
    T* dt = entry<T>(b.dx, 1);
    const double scale = *as<T>(b.dy) / static_cast<double>(count);
    for (std::int64_t i = 0; i < count; ++i) {
      const double g = scale * derivative(op, double{x[i]} - t[i]);
      if (dx) dx[i] = static_cast<T>(g);
      if (dt) dt[i] = static_cast<T>(-g);
    }
  })};
}

}  // namespace daybreak
