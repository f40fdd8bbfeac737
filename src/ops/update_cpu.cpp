#include <algorithm>
#include <cmath>
#include <vector>

#include "backend/cpu/bf16.h"
#include "backend/cpu/context.h"
#include "backend/cpu/kernel.h"
#include "backend/cpu/ordered_sum.h"
#include "backend/cpu/simd.h"
#include "core/error.h"
#include "core/parallel.h"

// One fused pass over the flat arenas: weights, gradients and slots are read once and written once
// (sgd: 20 bytes an element). Elements are independent, so the result does not depend on threads.

namespace daybreak {
namespace {

// Numbers of one step that are the same for all elements of a group.
struct Step {
  float lr, momentum, factor;        // factor: of the gradient
  float decay;                       // l2
  float keep;                        // decoupled: 1 - lr * decay, else 1
  float correction1, inverse_root2;  // adam: 1 / (1 - beta1^t), 1 / sqrt(1 - beta2^t)
  bool first;                        // the slots are new
};

struct Arrays {
  float* w;
  const float* g;
  float* slots[3];
};

DAYBREAK_INLINE float gradient_at(const Arrays& a, const Step& s, std::int64_t i) {
  return a.g[i] * s.factor + s.decay * a.w[i];
}

DAYBREAK_MULTIARCH void sgd_range(const OptimizerAttrs& attrs, const Step& s, const Arrays& a,
                                  std::int64_t begin, std::int64_t end) {
  float* buffer = a.slots[0];
  const float mu = s.first ? 0.0f : s.momentum;
  const float share = s.first ? 1.0f : 1.0f - attrs.dampening;
  if (attrs.lr_in_slot) {
    const bool nesterov = attrs.nesterov;
#pragma omp simd
    for (std::int64_t i = begin; i < end; ++i) {
      const float before = buffer[i];
      const float now = s.momentum * before + s.lr * gradient_at(a, s, i);
      buffer[i] = now;
      const float ahead = (1.0f + s.momentum) * now - s.momentum * before;
      a.w[i] = s.keep * a.w[i] - (nesterov ? ahead : now);
    }
    return;
  }
  const float look_ahead = attrs.nesterov ? s.momentum : 0.0f;
  const bool nesterov = attrs.nesterov;
#pragma omp simd
  for (std::int64_t i = begin; i < end; ++i) {
    const float g = gradient_at(a, s, i);
    // New slots hold nothing: not even a NaN of an earlier run may come through.
    const float old = s.first ? 0.0f : buffer[i];
    const float now = mu * old + share * g;
    buffer[i] = now;
    a.w[i] = s.keep * a.w[i] - s.lr * (nesterov ? g + look_ahead * now : now);
  }
}

DAYBREAK_MULTIARCH void adagrad_range(const OptimizerAttrs& attrs, const Step& s, const Arrays& a,
                                      std::int64_t begin, std::int64_t end) {
  const float eps = attrs.eps;
#pragma omp simd
  for (std::int64_t i = begin; i < end; ++i) {
    const float g = gradient_at(a, s, i);
    const float sum = a.slots[0][i] + g * g;
    a.slots[0][i] = sum;
    a.w[i] = s.keep * a.w[i] - s.lr * g / (std::sqrt(sum) + eps);
  }
}

DAYBREAK_MULTIARCH void rmsprop_range(const OptimizerAttrs& attrs, const Step& s, const Arrays& a,
                                      std::int64_t begin, std::int64_t end) {
  const float eps = attrs.eps, alpha = attrs.alpha;
  const float beta = static_cast<float>(1.0 - double{attrs.alpha});
  if (attrs.centered) {
#pragma omp simd
    for (std::int64_t i = begin; i < end; ++i) {
      const float g = gradient_at(a, s, i);
      const float square = alpha * a.slots[0][i] + beta * g * g;
      const float mean = alpha * a.slots[2][i] + beta * g;
      // In double: the difference of two nearly equal numbers. Rounding may leave it below 0.
      const double variance = double{square} - double{mean} * mean;
      const float root = std::sqrt(static_cast<float>(variance < 0.0 ? 0.0 : variance));
      const float buffer = s.momentum * a.slots[1][i] + g / (root + eps);
      a.slots[0][i] = square;
      a.slots[1][i] = buffer;
      a.slots[2][i] = mean;
      a.w[i] = s.keep * a.w[i] - s.lr * buffer;
    }
    return;
  }
#pragma omp simd
  for (std::int64_t i = begin; i < end; ++i) {
    const float g = gradient_at(a, s, i);
    const float square = alpha * a.slots[0][i] + beta * g * g;
    const float buffer = s.momentum * a.slots[1][i] + g / (std::sqrt(square) + eps);
    a.slots[0][i] = square;
    a.slots[1][i] = buffer;
    a.w[i] = s.keep * a.w[i] - s.lr * buffer;
  }
}

DAYBREAK_MULTIARCH void adadelta_range(const OptimizerAttrs& attrs, const Step& s, const Arrays& a,
                                       std::int64_t begin, std::int64_t end) {
  const float eps = attrs.eps, rho = attrs.rho;
  const float beta = static_cast<float>(1.0 - double{attrs.rho});
#pragma omp simd
  for (std::int64_t i = begin; i < end; ++i) {
    const float g = gradient_at(a, s, i);
    const float square = rho * a.slots[0][i] + beta * g * g;
    const float delta = std::sqrt(a.slots[1][i] + eps) / std::sqrt(square + eps) * g;
    a.slots[0][i] = square;
    a.slots[1][i] = rho * a.slots[1][i] + beta * delta * delta;
    a.w[i] = s.keep * a.w[i] - s.lr * delta;
  }
}

DAYBREAK_MULTIARCH void adam_range(const OptimizerAttrs& attrs, const Step& s, const Arrays& a,
                                   std::int64_t begin, std::int64_t end) {
  const float eps = attrs.eps, beta1 = s.momentum, beta2 = attrs.beta2;
  const float share1 = static_cast<float>(1.0 - double{s.momentum});
  const float share2 = static_cast<float>(1.0 - double{attrs.beta2});
#pragma omp simd
  for (std::int64_t i = begin; i < end; ++i) {
    const float g = gradient_at(a, s, i);
    const float mean = beta1 * a.slots[0][i] + share1 * g;
    const float square = beta2 * a.slots[1][i] + share2 * g * g;
    a.slots[0][i] = mean;
    a.slots[1][i] = square;
    a.w[i] = s.keep * a.w[i] -
             s.lr * (mean * s.correction1) / (std::sqrt(square) * s.inverse_root2 + eps);
  }
}

void update_range(const OptimizerAttrs& attrs, const Step& s, const Arrays& a, std::int64_t begin,
                  std::int64_t end) {
  switch (attrs.kind) {
    case OptimizerKind::sgd:
      return sgd_range(attrs, s, a, begin, end);
    case OptimizerKind::adagrad:
      return adagrad_range(attrs, s, a, begin, end);
    case OptimizerKind::rmsprop:
      return rmsprop_range(attrs, s, a, begin, end);
    case OptimizerKind::adadelta:
      return adadelta_range(attrs, s, a, begin, end);
    case OptimizerKind::adam:
      return adam_range(attrs, s, a, begin, end);
  }
}

DAYBREAK_MULTIARCH void round_range(const float* w, Bf16* rounded, std::int64_t begin,
                                    std::int64_t end) {
#pragma omp simd
  for (std::int64_t i = begin; i < end; ++i) put(rounded[i], w[i]);
}

DAYBREAK_MULTIARCH double squares_range(const float* g, std::int64_t begin, std::int64_t end) {
  constexpr int kLanes = 16;
  double lanes[kLanes] = {};
  std::int64_t i = begin;
  for (; i + kLanes <= end; i += kLanes) {
#pragma omp simd
    for (int l = 0; l < kLanes; ++l) lanes[l] += double{g[i + l]} * g[i + l];
  }
  for (; i < end; ++i) lanes[i % kLanes] += double{g[i]} * g[i];
  double sum = 0.0;
  for (double lane : lanes) sum += lane;
  return sum;
}

class CpuUpdate final : public UpdateKernel {
 public:
  explicit CpuUpdate(const OptimizerAttrs& attrs) : attrs_(attrs) {}

  void norm(std::byte* gradients, std::span<const UpdateGroup> groups,
            StepScalars* scalars) override {
    double sum = 0.0;
    for (const UpdateGroup& group : groups) {
      if (group.frozen) continue;
      const std::int64_t count = static_cast<std::int64_t>(group.count);
      const auto chunks = static_cast<std::size_t>(sum_chunks(count));
      if (partial_.size() < chunks) partial_.resize(chunks);  // in the first step only
      const float* g = as(gradients) + group.offset;
      sum += ordered_sum_of(count, partial_.data(), [=](std::int64_t begin, std::int64_t end) {
        return squares_range(g, begin, end);
      });
    }
    scalars->grad_norm = gradient_norm_of(*scalars, std::sqrt(sum));
  }

  void update(const UpdateArenas& arenas, std::span<const UpdateGroup> groups,
              StepScalars* scalars) override {
    DAYBREAK_ASSERT(static_cast<int>(arenas.slots.size()) == attrs_.slots());
    if (!skips_update(*scalars)) update_groups(arenas, groups, *scalars);
    finish_update(*scalars);
  }

 private:
  void update_groups(const UpdateArenas& arenas, std::span<const UpdateGroup> groups,
                     const StepScalars& scalars) const {
    const double t = static_cast<double>(update_number(scalars));
    Step step{};
    step.momentum = scalars.momentum;
    step.factor = static_cast<float>(gradient_factor(scalars));
    step.correction1 = static_cast<float>(1.0 / (1.0 - std::pow(double{scalars.momentum}, t)));
    step.inverse_root2 =
        static_cast<float>(1.0 / std::sqrt(1.0 - std::pow(double{attrs_.beta2}, t)));
    step.first = update_number(scalars) == 1;
    const bool decoupled = attrs_.decay == DecayForm::decoupled;
    for (const UpdateGroup& group : groups) {
      if (group.frozen) continue;
      const double lr = double{scalars.lr} * group.lr_scale;
      step.lr = static_cast<float>(lr);
      step.decay = decoupled ? 0.0f : group.weight_decay;
      step.keep = decoupled ? static_cast<float>(1.0 - lr * group.weight_decay) : 1.0f;
      Arrays arrays{as(arenas.weights) + group.offset, as(arenas.gradients) + group.offset, {}};
      for (std::size_t i = 0; i < arenas.slots.size(); ++i) {
        arrays.slots[i] = as(arenas.slots[i]) + group.offset;
      }
      parallel_for(static_cast<std::int64_t>(group.count), kGrain,
                   [&](std::int64_t begin, std::int64_t end) {
                     update_range(attrs_, step, arrays, begin, end);
                     for (const RoundedWeights& rounded : arenas.rounded) {
                       DAYBREAK_ASSERT(rounded.dtype == DType::bf16);
                       round_range(arrays.w, as<Bf16>(rounded.data) + group.offset, begin, end);
                     }
                   });
    }
  }

  OptimizerAttrs attrs_;
  std::vector<double> partial_;
};

}  // namespace

std::unique_ptr<UpdateKernel> make_cpu_update(const OptimizerAttrs& attrs) {
  return std::make_unique<CpuUpdate>(attrs);
}

}  // namespace daybreak
