#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace daybreak {

enum class OptimizerKind : std::uint8_t { sgd, adagrad, rmsprop, adadelta, adam };

/// l2: weight_decay * w is added to the gradient. decoupled: w *= 1 - lr * weight_decay first (AdamW).
enum class DecayForm : std::uint8_t { l2, decoupled };

/// Attributes of an optimizer, PyTorch's forms and names. lr and momentum come with every step.
struct OptimizerAttrs {
  OptimizerKind kind = OptimizerKind::sgd;
  bool nesterov = false;       ///< sgd
  float dampening = 0.0f;      ///< sgd; the first step takes the gradient undamped
  bool lr_in_slot = false;     ///< sgd in Caffe's form: h = momentum * h + lr * g; w -= h
  bool centered = false;       ///< rmsprop
  float alpha = 0.99f;         ///< rmsprop
  float rho = 0.9f;            ///< adadelta
  float beta2 = 0.999f;        ///< adam; beta1 is the step's momentum
  float eps = 1e-8f;
  DecayForm decay = DecayForm::l2;

  bool operator==(const OptimizerAttrs&) const = default;
  /// Arrays of the size of the parameters this optimizer keeps: sgd 1, adagrad 1, rmsprop 2 or 3
  /// (square, momentum buffer, mean), adadelta 2, adam 2.
  int slots() const;
};

std::string_view to_string(OptimizerKind kind);

/// A stretch of the flat parameter arena with its own knobs. `offset`, `count` in elements.
struct UpdateGroup {
  std::size_t offset = 0;
  std::size_t count = 0;
  float lr_scale = 1.0f;
  float weight_decay = 0.0f;  ///< 0 for parameters that are spared
  bool frozen = false;
};

}  // namespace daybreak
