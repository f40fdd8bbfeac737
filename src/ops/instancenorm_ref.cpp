#include "ops/instancenorm.h"

#include <cmath>

#include "backend/ref/ref_kernel.h"
#include "backend/ref/ref_ops.h"

namespace daybreak {

namespace {

template <typename T>
void forward(const InstanceNorm& op, const Shape& s, const Bindings& b) {
  const std::int64_t planes = std::int64_t{s.n} * s.c;
  T* aux = as<T>(b.aux);
  for (std::int64_t plane = 0; plane < planes; ++plane) {
    const T* x = as<T>(b.x[0]) + plane * s.spatial();
    T* y = as<T>(b.y) + plane * s.spatial();
    double sum = 0.0, squares = 0.0;
    for (int i = 0; i < s.spatial(); ++i) sum += x[i];
    const double mean = sum / s.spatial();
    for (int i = 0; i < s.spatial(); ++i) squares += (x[i] - mean) * (x[i] - mean);
    const double invstd = 1.0 / std::sqrt(squares / s.spatial() + op.eps);
    const double gamma = op.affine ? as<T>(b.w[0])[plane % s.c] : 1.0;
    const double beta = op.affine ? as<T>(b.w[1])[plane % s.c] : 0.0;
    for (int i = 0; i < s.spatial(); ++i) {
      y[i] = static_cast<T>((x[i] - mean) * invstd * gamma + beta);
    }
    if (aux) {
      aux[plane] = static_cast<T>(mean);
      aux[planes + plane] = static_cast<T>(invstd);
    }
  }
}

template <typename T>
void backward(const InstanceNorm& op, const Shape& s, const Bindings& b) {
  const std::int64_t planes = std::int64_t{s.n} * s.c;
  const T* aux = as<T>(b.aux);
  std::vector<double> dscale(s.c), dshift(s.c);
  for (std::int64_t plane = 0; plane < planes; ++plane) {
    const T* x = as<T>(b.x[0]) + plane * s.spatial();
    const T* dy = as<T>(b.dy) + plane * s.spatial();
    const double mean = aux[plane], invstd = aux[planes + plane];
    double sum = 0.0, product = 0.0;
    for (int i = 0; i < s.spatial(); ++i) {
      sum += dy[i];
      product += dy[i] * (x[i] - mean) * invstd;
    }
    dscale[plane % s.c] += product;
    dshift[plane % s.c] += sum;
    if (!entry<T>(b.dx, 0)) continue;
    T* dx = as<T>(b.dx[0]) + plane * s.spatial();
    const double gamma = op.affine ? as<T>(b.w[0])[plane % s.c] : 1.0;
    const double mean_g = sum / s.spatial(), mean_gx = product / s.spatial();
    for (int i = 0; i < s.spatial(); ++i) {
      dx[i] = static_cast<T>(gamma * invstd * (dy[i] - mean_g - (x[i] - mean) * invstd * mean_gx));
    }
  }
  if (!op.affine) return;
  for (int c = 0; c < s.c; ++c) {
    if (T* dw = entry<T>(b.dw, 0)) dw[c] = static_cast<T>(dscale[c]);
    if (T* db = entry<T>(b.dw, 1)) db[c] = static_cast<T>(dshift[c]);
  }
}

}  // namespace

std::vector<KernelOffer> instancenorm_ref_offers(const KernelQuery& query) {
  const InstanceNorm op = static_cast<const InstanceNorm&>(*query.op);
  const Shape s = query.inputs[0].shape;
  if (query.pass == Pass::forward) {
    KernelOffer offer =
        ref_offer(query, {}, [=]<typename T>(T, const Bindings& b) { forward<T>(op, s, b); });
    if (query.mode == Mode::train) {
      offer.aux_bytes = 2 * std::size_t(s.n) * s.c * element_size(ref_dtype(query));
    }
    return {offer};
  }
  return {ref_offer(query, {.inputs = true, .aux = true},
                    [=]<typename T>(T, const Bindings& b) { backward<T>(op, s, b); })};
}

}  // namespace daybreak
