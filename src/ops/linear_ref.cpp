#include "ops/linear.h"

#include "backend/ref/ref_kernel.h"
#include "backend/ref/ref_ops.h"

namespace daybreak {

namespace {

struct Extents {
  std::int64_t samples, in, out;
};

template <typename T>
void forward(const Extents& e, const T* x, const T* weight, const T* bias, T* y) {
  for (std::int64_t n = 0; n < e.samples; ++n)
    for (std::int64_t o = 0; o < e.out; ++o) {
      double sum = bias ? bias[o] : 0.0;
      for (std::int64_t i = 0; i < e.in; ++i) sum += double{x[n * e.in + i]} * weight[o * e.in + i];
      y[n * e.out + o] = static_cast<T>(sum);
    }
}

template <typename T>
void backward_data(const Extents& e, const T* dy, const T* weight, T* dx) {
  for (std::int64_t n = 0; n < e.samples; ++n)
    for (std::int64_t i = 0; i < e.in; ++i) {
      double sum = 0.0;
      for (std::int64_t o = 0; o < e.out; ++o) {
        sum += double{dy[n * e.out + o]} * weight[o * e.in + i];
      }
      dx[n * e.in + i] = static_cast<T>(sum);
    }
}

template <typename T>
void backward_weights(const Extents& e, const T* x, const T* dy, T* dw, T* db) {
  for (std::int64_t o = 0; o < e.out; ++o) {
    for (std::int64_t i = 0; dw && i < e.in; ++i) {
      double sum = 0.0;
      for (std::int64_t n = 0; n < e.samples; ++n) {
        sum += double{dy[n * e.out + o]} * x[n * e.in + i];
      }
      dw[o * e.in + i] = static_cast<T>(sum);
    }
    if (!db) continue;
    double sum = 0.0;
    for (std::int64_t n = 0; n < e.samples; ++n) sum += dy[n * e.out + o];
    db[o] = static_cast<T>(sum);
  }
}

}  // namespace

std::vector<KernelOffer> linear_ref_offers(const KernelQuery& query) {
  const Linear op = static_cast<const Linear&>(*query.op);
  const Extents e{query.inputs[0].shape.n, query.inputs[0].shape.per_sample(), op.outputs};
  if (query.pass == Pass::forward) {
    return {ref_offer(query, {}, [=]<typename T>(T, const Bindings& b) {
      const T* bias = op.bias ? as<T>(b.w[1]) : nullptr;
      forward(e, as<T>(b.x[0]), as<T>(b.w[0]), bias, as<T>(b.y));
    })};
  }
  if (query.pass == Pass::backward_data) {
    return {ref_offer(query, {}, [=]<typename T>(T, const Bindings& b) {
      backward_data(e, as<T>(b.dy), as<T>(b.w[0]), as<T>(b.dx[0]));
    })};
  }
  return {ref_offer(query, {.inputs = true}, [=]<typename T>(T, const Bindings& b) {
    T* db = op.bias ? entry<T>(b.dw, 1) : nullptr;
    backward_weights(e, as<T>(b.x[0]), as<T>(b.dy), entry<T>(b.dw, 0), db);
  })};
}

}  // namespace daybreak
