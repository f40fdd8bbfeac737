#pragma once

#include <string>
#include <vector>

#include "plan/step_runner.h"

namespace daybreak {

/// A network trained by hand on synthetic pictures that can be learned: every class has its
/// own pattern, under noise. Step `i` sees the same pictures on every backend.
class TrainRig {
 public:
  struct Options {
    DType dtype = DType::f32;
    int batch = 8;
    float lr = 0.05f;
    LossScaling scaling{};
    OfferChooser choose{};  ///< of kernels for training; empty: the first
    JoinChooser join{};     ///< empty: nothing that is a question
  };
  /// `net`: the path of a shipped network, or the text of one.
  TrainRig(const std::string& net, Backend& backend, const Options& options);

  /// One SGD step with momentum; the loss before it.
  double step();
  /// The same step, queued.
  void queue_step(StepRunner& runner);
  /// Forward and backward on the pictures of step `i`, without an update; the loss.
  double forward_backward(int i);
  /// Scores of the pictures of step `i` in evaluation mode.
  std::vector<float> predict(int i);
  Executor& executor() { return executor_; }

 private:
  void upload(PlanId plan, int i);

  Options options_;
  Executor executor_;
  PlanId train_ = -1, eval_ = -1;
  int next_ = 0;
};

/// How two sets of gradients differ.
struct GradientDifference {
  double whole = 0.0;  ///< |a - b| / |b| over all parameters together
  double worst = 0.0;  ///< the largest of single parameters, among those that matter
  std::string worst_name;
  double cosine = 0.0;  ///< between all numbers of both
};
/// `floor`: parameters whose norm is below this share of the whole are left out of `worst`.
GradientDifference compare_gradients(Executor& a, Executor& b, double floor = 1e-3);

}  // namespace daybreak
