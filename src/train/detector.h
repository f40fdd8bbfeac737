#pragma once

#include <memory>
#include <string>
#include <vector>

#include "config/network_spec.h"
#include "data/image.h"
#include "plan/executor.h"
#include "train/find_objects.h"

namespace daybreak {

/// Where the time of one picture went, in milliseconds: resizing; the network; decoding and NMS.
struct DetectTimes {
  double fit_ms = 0.0;
  double network_ms = 0.0;
  double nms_ms = 0.0;
};

/// A trained detector for single pictures, prepared as its `input` says.
class Detector {
 public:
  /// `net.input` must have its statistics. Throws ConfigError when the network has no detection
  /// head, DataError when the weights do not fit. `classes`: what `classes: auto` stands for.
  Detector(const NetworkSpec& net, int classes, Backend& backend, const std::string& weights);

  /// What is found in a picture, best first; boxes as fractions of the picture, not clipped.
  std::vector<Detection> detect(const Image& picture, const DetectOptions& options,
                                DetectTimes* times = nullptr);
  int classes() const { return classes_; }

  /// Seconds of every step of the network, medians over `rounds` runs on the last picture.
  std::vector<StepTime> profile(int rounds) { return executor_->profile(plan_, rounds); }

 private:
  InputSpec input_;
  std::unique_ptr<Executor> executor_;
  PlanId plan_ = -1;
  int classes_ = 0;
  Image source_;
  std::vector<float> fitted_;
  std::vector<HeadMap> maps_;
  std::vector<std::vector<float>> values_;  ///< of the heads
};

}  // namespace daybreak
