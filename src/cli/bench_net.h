#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cli/command.h"
#include "io/safetensors.h"
#include "plan/choose.h"
#include "plan/executor.h"
#include "plan/step_runner.h"
#include "plan/traffic.h"

namespace daybreak {

/// A plan over one batch size: training with loss and metric, or the forward pass to the
/// prediction.
PlanRequest plan_request(const Graph& graph, Mode mode, int batch, int height, int width,
                         DType dtype);

/// GFLOP/s of f32 multiply-adds of this machine, probed once and then kept with the measured
/// kernels.
double fma_peak(KernelChooser& chooser, int threads);

/// "HxW" or one number for both; 0 x 0 when empty.
std::pair<int, int> parse_size(const std::string& text);

/// A network on random resident data, for `bench`: no files but the network's.
class BenchNet {
 public:
  /// `mode` train plans full steps with SGD; eval plans the forward pass.
  BenchNet(const std::string& net_path, const CommonOptions& common, Mode mode, int batch,
           int height, int width);
  BenchNet(NetworkSpec net, const CommonOptions& common, Mode mode, int batch, int height,
           int width);

  /// Queues one forward pass, or one whole training step: forward, backward, norm, update.
  void step();
  /// Until all that was queued is done.
  void wait();
  /// Seconds of each of `count` steps. A device that steps can be queued on is not waited for in
  /// between, as in training: the steps then have their mean.
  std::vector<double> timed_steps(int count);
  /// The losses of the first training steps, kMostLosses at most: with those of another program
  /// that started from the same dump they prove equal work.
  const std::vector<double>& losses() const { return losses_; }
  static constexpr std::size_t kMostLosses = 20;
  /// Writes parameters and the resident batch to a safetensors file: parameters by their names in
  /// file order (f32), "input.image" u8 [N, H, W, C], "input.labels" i32 [N].
  void dump(const std::string& path);
  Executor& executor() { return *executor_; }
  PlanId plan() const { return plan_; }
  Backend& backend() { return *backend_; }
  KernelChooser& chooser() { return *chooser_; }
  int threads() const { return threads_; }
  /// Floating-point operations of one step: 3x the forward pass in training.
  double flops_per_step() const;
  /// Bytes that one step moves, and their floor.
  PassTraffic traffic() const;
  /// Bytes that the network takes of the backend's memory.
  std::size_t device_bytes() const;

 private:
  struct Input {
    std::string name;
    TensorType type;
    std::vector<std::int64_t> dims;
    std::vector<std::byte> bytes;
  };
  void fill_inputs(int classes);
  void collect();

  Mode mode_;
  int batch_;
  int threads_;
  BackendPtr backend_;
  std::unique_ptr<KernelChooser> chooser_;
  std::unique_ptr<Executor> executor_;
  std::unique_ptr<StepRunner> runner_;
  PlanId plan_ = -1;
  std::vector<Input> inputs_;
  std::vector<double> losses_;
};

/// What a device can do at most, measured now through its backend's own kernels.
struct DeviceCeilings {
  double f32_gflops = 0.0;        ///< a product of large matrices
  double bf16_gflops = 0.0;       ///< the same in bf16
  double bandwidth_gbytes = 0.0;  ///< a copy, bytes read and written
};
DeviceCeilings probe_device(Backend& backend);

/// Peak resident memory of this process so far.
std::size_t peak_rss_bytes();

/// For a program that measures several trainings in turns: says in a line of JSON that the warm-up
/// is done, then reads a number of steps from every line of standard input and answers with a line
/// of JSON, {"seconds": [...], "losses": [...], "peak_rss_bytes": N}. Ends with the input.
int bench_paired(BenchNet& net, int warmup);

/// `bench loader SOLVER.yaml`: pictures a second through the augmentation, and through the
/// normalisation that the network begins with.
int bench_loader(const std::string& path, int batch, const CommonOptions& common);

}  // namespace daybreak
