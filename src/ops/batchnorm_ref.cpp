#include "ops/batchnorm.h"

#include <cmath>

#include "backend/ref/ref_kernel.h"
#include "backend/ref/ref_ops.h"
#include "ops/act_ref.h"
#include "ops/moments_ref.h"

namespace daybreak {

namespace {

template <typename T>
void forward(const BatchNorm& op, const Shape& s, Mode mode, const Bindings& b) {
  const T* x = op.deferred ? nullptr : as<T>(b.x[0]);
  const T* scale = op.affine ? as<T>(b.w[0]) : nullptr;
  const T* shift = op.affine ? as<T>(b.w[1]) : nullptr;
  T* running_mean = as<T>(b.w[op.affine ? 2 : 0]);
  T* running_var = as<T>(b.w[op.affine ? 3 : 1]);
  T* y = as<T>(b.y);
  T* aux = as<T>(b.aux);
  const double count = static_cast<double>(s.n) * s.spatial();
  const double m = op.momentum;
  for (int c = 0; c < s.c; ++c) {
    Moments moments{running_mean[c], running_var[c]};
    if (mode == Mode::train) {
      const T* given = as<T>(b.statistics);
      moments = op.measured ? Moments{given[c], given[s.c + c]} : channel_moments(s, c, x);
      const double unbiased = moments.var * count / (count - 1.0);
      running_mean[c] = static_cast<T>((1.0 - m) * running_mean[c] + m * moments.mean);
      running_var[c] = static_cast<T>((1.0 - m) * running_var[c] + m * unbiased);
    }
    const double invstd = 1.0 / std::sqrt(moments.var + op.eps);
    const double gamma = scale ? scale[c] : 1.0, beta = shift ? shift[c] : 0.0;
    if (mode == Mode::train && aux) {
      aux[c] = static_cast<T>(moments.mean);
      aux[s.c + c] = static_cast<T>(invstd);
    }
    if (op.deferred) {
      aux[2 * s.c + c] = static_cast<T>(gamma);
      aux[3 * s.c + c] = static_cast<T>(beta);
      continue;
    }
    for_each_of_channel(s, c, [&](auto i) {
      const double value = (x[i] - moments.mean) * invstd * gamma + beta;
      const double more = op.sum ? double{as<T>(b.x[1])[i]} : 0.0;
      y[i] = static_cast<T>(op.act_last ? act_value(op.act, value + more)
                                        : act_value(op.act, value) + more);
    });
  }
}

template <typename T>
void backward(const BatchNorm& op, const Shape& s, Mode mode, const Bindings& b) {
  const T* x = as<T>(b.x[0]);
  const T* dy = as<T>(b.dy);
  const T* scale = op.affine ? as<T>(b.w[0]) : nullptr;
  const T* shift = op.affine ? as<T>(b.w[1]) : nullptr;
  const T* aux = as<T>(b.aux);
  T* dx = entry<T>(b.dx, 0);
  if (T* more = entry<T>(b.dx, 1)) {
    for (std::int64_t i = 0; i < s.count(); ++i) {
      const double slope = op.act_last ? act_derivative(op.act, as<T>(b.y)[i]) : 1.0;
      more[i] = static_cast<T>(dy[i] * slope);
    }
  }
  T* dscale = op.affine ? entry<T>(b.dw, 0) : nullptr;
  T* dshift = op.affine ? entry<T>(b.dw, 1) : nullptr;
  const double count = static_cast<double>(s.n) * s.spatial();
  for (int c = 0; c < s.c; ++c) {
    const bool train = mode == Mode::train;
    const double mean = train ? aux[c] : as<T>(b.w[op.affine ? 2 : 0])[c];
    const double invstd =
        train ? aux[s.c + c] : 1.0 / std::sqrt(as<T>(b.w[op.affine ? 3 : 1])[c] + op.eps);
    const double gamma = scale ? scale[c] : 1.0, beta = shift ? shift[c] : 0.0;
    // act(z): what forward left, in place or behind the sum, else computed again.
    const auto activated = [&](std::int64_t i) {
      if (op.act_last) return double{as<T>(b.y)[i]};
      if (!op.in_place) return act_value(op.act, (x[i] - mean) * invstd * gamma + beta);
      return double{as<T>(b.y)[i]} - (op.sum ? double{as<T>(b.x[1])[i]} : 0.0);
    };
    const bool found = recoverable(gamma, beta);
    const auto normalised = [&](std::int64_t i) {
      if (!op.in_place) return (x[i] - mean) * invstd;
      const double a = activated(i);
      const bool negative = a <= 0.0 && op.act.kind == ActKind::leaky;
      return found ? ((negative ? a / op.act.slope : a) - beta) / gamma : 0.0;
    };
    const auto gradient = [&](std::int64_t i) {
      return dy[i] * act_derivative(op.act, activated(i));
    };
    double sum = 0.0, product = 0.0;
    if (op.chained) {
      sum = as<T>(b.statistics)[c];
      product = as<T>(b.statistics)[s.c + c];
    } else {
      for_each_of_channel(s, c, [&](auto i) {
        sum += gradient(i);
        product += gradient(i) * normalised(i);
      });
    }
    if (dscale) dscale[c] = static_cast<T>(product);
    if (dshift) dshift[c] = static_cast<T>(sum);
    if (!dx) continue;
    // Running statistics are constants; batch statistics depend on x.
    const double mean_g = train ? sum / count : 0.0, mean_gx = train ? product / count : 0.0;
    for_each_of_channel(s, c, [&](auto i) {
      dx[i] = static_cast<T>(gamma * invstd * (gradient(i) - mean_g - normalised(i) * mean_gx));
    });
  }
}

}  // namespace

std::vector<KernelOffer> batchnorm_ref_offers(const KernelQuery& query) {
  const BatchNorm op = static_cast<const BatchNorm&>(*query.op);
  const Shape s = query.inputs[0].shape;
  const Mode mode = query.mode;
  if (query.pass == Pass::forward) {
    KernelOffer offer =
        ref_offer(query, {}, [=]<typename T>(T, const Bindings& b) { forward<T>(op, s, mode, b); });
    const std::size_t rows = op.deferred ? BatchNorm::kDeferredRows : 2;
    if (mode == Mode::train) offer.aux_bytes = rows * s.c * element_size(ref_dtype(query));
    return {offer};
  }
  Reads reads = op.backward_reads();
  reads.aux = mode == Mode::train;
  return {ref_offer(query, reads,
                    [=]<typename T>(T, const Bindings& b) { backward<T>(op, s, mode, b); })};
}

}  // namespace daybreak
