#pragma once

#include <memory>
#include <string>
#include <vector>

#include "config/network_spec.h"
#include "data/image.h"
#include "plan/executor.h"

namespace daybreak {

/// A guess of a classifier.
struct Guess {
  int class_index = 0;
  double probability = 0.0;
};

/// A trained classifier for single pictures, prepared as its `input` says.
class Predictor {
 public:
  /// `net.input` must have its statistics. Throws DataError when the weights do not fit.
  /// `classes`: what `outputs: auto` stands for; 0 when the network says it.
  Predictor(const NetworkSpec& net, int classes, Backend& backend, const std::string& weights,
            DType dtype = DType::f32);

  /// The `top` most probable classes, best first.
  std::vector<Guess> predict(const Image& picture, int top);
  /// Class probabilities; the softmax of the prediction unless the network ends in one.
  std::vector<float> probabilities(const Image& picture);
  int classes() const { return classes_; }

 private:
  InputSpec input_;
  std::unique_ptr<Executor> executor_;
  PlanId plan_ = -1;
  int classes_ = 0;
  bool is_probability_ = false;
};

}  // namespace daybreak
