#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cli/command.h"
#include "plan/executor.h"

namespace daybreak {

/// A plan over one batch size: training with loss and metric, or the forward pass to the
/// prediction.
PlanRequest plan_request(const Graph& graph, Mode mode, int batch, int height, int width,
                         DType dtype);

/// "HxW" or one number for both; 0 x 0 when empty.
std::pair<int, int> parse_size(const std::string& text);

/// A network on random resident data, for `bench`: no files but the network's.
class BenchNet {
 public:
  /// `mode` train plans full steps with SGD; eval plans the forward pass.
  BenchNet(const std::string& net_path, const CommonOptions& common, Mode mode, int batch,
           int height, int width);

  /// One forward pass, or one whole training step: forward, backward, norm, update.
  void step();
  double loss();
  Executor& executor() { return *executor_; }
  PlanId plan() const { return plan_; }
  Backend& backend() { return *backend_; }
  int threads() const { return threads_; }
  /// Floating-point operations of one step: 3x the forward pass in training.
  double flops_per_step() const;

 private:
  void fill_inputs(int classes);

  Mode mode_;
  int batch_;
  int threads_;
  BackendPtr backend_;
  std::unique_ptr<Executor> executor_;
  PlanId plan_ = -1;
};

}  // namespace daybreak
