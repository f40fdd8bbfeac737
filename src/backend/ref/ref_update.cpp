#include "backend/ref/ref_update.h"

#include <algorithm>
#include <cmath>

#include "backend/ref/ref_kernel.h"
#include "core/error.h"

namespace daybreak {

namespace {

/// Numbers of one step that are the same for all elements of a group.
struct Step {
  double lr, momentum;
  bool first;                       ///< the slots are new
  double correction1, correction2;  ///< adam: 1 - beta^t
};

/// Each returns what is subtracted from the weight and moves the element's slots on.
template <typename T>
double sgd(const OptimizerAttrs& a, const Step& s, double g, T* const* slots, std::size_t i) {
  const double before = slots[0][i];
  const double mu = s.momentum;
  if (a.lr_in_slot) {
    const double now = mu * before + s.lr * g;
    slots[0][i] = static_cast<T>(now);
    return a.nesterov ? (1.0 + mu) * now - mu * before : now;
  }
  const double buffer = s.first ? g : mu * before + (1.0 - double{a.dampening}) * g;
  slots[0][i] = static_cast<T>(buffer);
  return s.lr * (a.nesterov ? g + mu * buffer : buffer);
}

template <typename T>
double adagrad(const OptimizerAttrs& a, const Step& s, double g, T* const* slots, std::size_t i) {
  const double sum = slots[0][i] + g * g;
  slots[0][i] = static_cast<T>(sum);
  return s.lr * g / (std::sqrt(sum) + a.eps);
}

template <typename T>
double rmsprop(const OptimizerAttrs& a, const Step& s, double g, T* const* slots, std::size_t i) {
  const double alpha = a.alpha;
  const double square = alpha * slots[0][i] + (1.0 - alpha) * g * g;
  slots[0][i] = static_cast<T>(square);
  double variance = square;
  if (a.centered) {
    const double mean = alpha * slots[2][i] + (1.0 - alpha) * g;
    slots[2][i] = static_cast<T>(mean);
    variance = std::max(0.0, square - mean * mean);  // rounding may leave it below 0
  }
  const double buffer = s.momentum * slots[1][i] + g / (std::sqrt(variance) + a.eps);
  slots[1][i] = static_cast<T>(buffer);
  return s.lr * buffer;
}

template <typename T>
double adadelta(const OptimizerAttrs& a, const Step& s, double g, T* const* slots, std::size_t i) {
  const double rho = a.rho, eps = a.eps;
  const double square = rho * slots[0][i] + (1.0 - rho) * g * g;
  const double delta = std::sqrt(slots[1][i] + eps) / std::sqrt(square + eps) * g;
  slots[0][i] = static_cast<T>(square);
  slots[1][i] = static_cast<T>(rho * slots[1][i] + (1.0 - rho) * delta * delta);
  return s.lr * delta;
}

template <typename T>
double adam(const OptimizerAttrs& a, const Step& s, double g, T* const* slots, std::size_t i) {
  const double beta2 = a.beta2;
  const double mean = s.momentum * slots[0][i] + (1.0 - s.momentum) * g;
  const double square = beta2 * slots[1][i] + (1.0 - beta2) * g * g;
  slots[0][i] = static_cast<T>(mean);
  slots[1][i] = static_cast<T>(square);
  return s.lr * (mean / s.correction1) / (std::sqrt(square / s.correction2) + a.eps);
}

template <typename T>
double delta_of(const OptimizerAttrs& a, const Step& s, double g, T* const* slots, std::size_t i) {
  switch (a.kind) {
    case OptimizerKind::sgd:
      return sgd(a, s, g, slots, i);
    case OptimizerKind::adagrad:
      return adagrad(a, s, g, slots, i);
    case OptimizerKind::rmsprop:
      return rmsprop(a, s, g, slots, i);
    case OptimizerKind::adadelta:
      return adadelta(a, s, g, slots, i);
    case OptimizerKind::adam:
      return adam(a, s, g, slots, i);
  }
  return 0.0;
}

/// Chunk sums in double, in index order, added in index order: one result whatever the thread
/// count.
template <typename T>
double sum_of_squares(const T* values, std::size_t count) {
  constexpr std::size_t kChunk = 4096;
  double sum = 0.0;
  for (std::size_t begin = 0; begin < count; begin += kChunk) {
    double chunk = 0.0;
    for (std::size_t i = begin; i < std::min(begin + kChunk, count); ++i) {
      chunk += double{values[i]} * values[i];
    }
    sum += chunk;
  }
  return sum;
}

template <typename T>
class RefUpdate final : public UpdateKernel {
 public:
  explicit RefUpdate(const OptimizerAttrs& attrs) : attrs_(attrs) {}

  void norm(std::byte* gradients, std::span<const UpdateGroup> groups,
            StepScalars* scalars) override {
    double sum = 0.0;
    for (const UpdateGroup& group : groups) {
      if (!group.frozen) sum += sum_of_squares(as<T>(gradients) + group.offset, group.count);
    }
    scalars->grad_norm = gradient_norm_of(*scalars, std::sqrt(sum));
  }

  void update(const UpdateArenas& arenas, std::span<const UpdateGroup> groups,
              StepScalars* scalars) override {
    DAYBREAK_ASSERT(static_cast<int>(arenas.slots.size()) == attrs_.slots());
    DAYBREAK_ASSERT(arenas.rounded.empty());  // this backend has no 16-bit types
    if (!skips_update(*scalars)) update_groups(arenas, groups, *scalars);
    finish_update(*scalars);
  }

 private:
  void update_groups(const UpdateArenas& arenas, std::span<const UpdateGroup> groups,
                     const StepScalars& scalars) const {
    T* of_slots[3] = {};
    for (std::size_t i = 0; i < arenas.slots.size(); ++i) of_slots[i] = as<T>(arenas.slots[i]);
    const double factor = gradient_factor(scalars);
    const double t = static_cast<double>(update_number(scalars));
    Step step{0.0, scalars.momentum, update_number(scalars) == 1,
              1.0 - std::pow(double{scalars.momentum}, t), 1.0 - std::pow(double{attrs_.beta2}, t)};
    for (const UpdateGroup& group : groups) {
      if (group.frozen) continue;
      step.lr = double{scalars.lr} * group.lr_scale;
      update_group(as<T>(arenas.weights), as<T>(arenas.gradients), of_slots, group, step, factor);
    }
  }

  void update_group(T* w, const T* gradients, T* const* slots, const UpdateGroup& group,
                    const Step& step, double factor) const {
    const double decay = group.weight_decay;
    const bool decoupled = attrs_.decay == DecayForm::decoupled;
    for (std::size_t i = group.offset; i < group.offset + group.count; ++i) {
      const double before = decoupled ? w[i] * (1.0 - step.lr * decay) : w[i];
      const double g = gradients[i] * factor + (decoupled ? 0.0 : decay * w[i]);
      w[i] = static_cast<T>(before - delta_of(attrs_, step, g, slots, i));
    }
  }

  OptimizerAttrs attrs_;
};

}  // namespace

std::unique_ptr<UpdateKernel> make_ref_update(const OptimizerAttrs& attrs, DType dtype) {
  return dispatch_float(dtype, [&](auto tag) -> std::unique_ptr<UpdateKernel> {
    return std::make_unique<RefUpdate<decltype(tag)>>(attrs);
  });
}

}  // namespace daybreak
