#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "config/solver_config.h"
#include "data/dataset.h"
#include "data/loader.h"
#include "plan/choose.h"
#include "plan/executor.h"
#include "train/averages.h"
#include "train/schedule.h"
#include "train/supervised.h"

namespace daybreak {

/// What a verb needs of a session.
struct SessionOptions {
  bool training = true;    ///< plan the phases; otherwise evaluation only
  bool need_train = true;  ///< the training part must be there
  int threads = 0;         ///< compute threads; 0: all usable cores
  KernelChoices kernels;   ///< to be used before measuring: those of a checkpoint
  std::function<void(std::int64_t done, std::int64_t total)> data_progress;
};

/// A phase of training bound to its plan, knobs and loader settings.
struct PhaseRuntime {
  StepPlans plans;
  OptimizerAttrs optimizer;
  LossScaling loss_scaling;
  std::vector<UpdateGroup> groups;
  LoaderOptions loader;
};

/// Everything that is built from a configuration before the first step: data, network, backend,
/// plans and memory. Building it finds every error that can be known beforehand.
class Session {
 public:
  /// Throws ConfigError, DataError or DeviceError.
  Session(SolverConfig config, const SessionOptions& options);

  const SolverConfig& config() const { return config_; }
  const SolverSpec& solver() const { return config_.spec; }
  const DataParts& data() const { return data_; }
  /// The part evaluated during training: val where there is one, else test.
  const Dataset& validation() const;
  Executor& executor() { return *executor_; }
  Backend& backend() { return *backend_; }
  const Backend& backend() const { return *backend_; }
  /// What `device: auto` has taken and why; empty when a device was named.
  const std::string& device_note() const { return device_note_; }
  /// Of a session for training.
  WeightAverages& averages() { return *averages_; }
  const Schedule& schedule() const { return *schedule_; }
  const PhaseRuntime& phase(int index) const { return phases_[index]; }
  PlanId eval_plan() const { return eval_plan_; }
  LoaderOptions eval_loader() const;
  int threads() const { return threads_; }
  /// The kernels of convolutions and linear layers: with them a resumed run goes on bit for bit.
  const KernelChoices& kernels() const { return chooser_->choices(); }
  /// The network has detection heads, the data boxes.
  bool is_detector() const { return is_detector_; }

 private:
  void check_network();
  void check_precisions();
  void check_task() const;
  void open_input(const SessionOptions& options);
  PlanId plan_for(const PlanRequest& request);
  void check_cells(const SizePlans& plans) const;
  SizePlans plans_of_size(PlanRequest request, int batch, int height, int width);
  void expect_calls(bool training);
  void plan_phases();
  void plan_evaluation();
  LoaderOptions loader_options(int batch, int image) const;

  SolverConfig config_;
  int threads_ = 1;
  DataParts data_;
  BackendPtr backend_;
  std::string device_note_;
  std::map<Precision, DType> dtypes_;  // of every precision the run uses
  std::unique_ptr<KernelChooser> chooser_;
  std::unique_ptr<Executor> executor_;
  std::unique_ptr<WeightAverages> averages_;
  std::unique_ptr<Schedule> schedule_;
  std::vector<std::pair<PlanRequest, PlanId>> requests_;
  std::vector<PhaseRuntime> phases_;
  PlanId eval_plan_ = -1;
  bool is_detector_ = false;
  int most_boxes_ = 1;  // rows of true boxes a picture has in the graph
};

/// Fills statistics that are still to be measured with mean 0 and deviation 1: enough for shapes.
void use_placeholder_statistics(InputSpec& input);

/// Chooses kernels as the solver file, or the options of a verb, say. `training`: new choices may
/// be measured. The environment variable DAYBREAK_TUNE (on, cached, off) overrides `tune`.
ChooserOptions chooser_options(TuneMode tune, ConvChoice conv, bool training);

}  // namespace daybreak
