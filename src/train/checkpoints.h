#pragma once

#include <memory>
#include <string>

#include "train/checkpoint_file.h"
#include "train/trainer.h"

namespace daybreak {

/// The network, the optimizer, averages of weights and the training's state as one file's content.
/// `config` is the resolved configuration, stored so that a checkpoint explains itself.
CheckpointData checkpoint_of(Session& session, const TrainingState& state,
                             const std::string& config);

/// The kernels it was trained with, which a session needs before it makes its plans.
KernelChoices checkpoint_kernels(const CheckpointData& data);

/// Puts a checkpoint back. Throws DataError when it belongs to another network or optimizer.
TrainingState restore_checkpoint(Session& session, const CheckpointData& data);

/// Saves on the solver's rhythm, and the best evaluation.
class CheckpointObserver final : public Observer {
 public:
  CheckpointObserver(Session& session, CheckpointStore& store, std::string config)
      : session_(session), store_(store), config_(std::move(config)) {}

  void on_step(const StepEvent& event) override;
  bool wants_weights(const TrainingState& state) const override;
  void on_epoch(const EpochEvent& event) override;
  /// Saves now, as when a signal asks for it.
  void save(const TrainingState& state, bool best);

 private:
  bool due(const TrainingState& state) const;
  bool due_within_epoch(const TrainingState& state) const;

  Session& session_;
  CheckpointStore& store_;
  std::string config_;
  std::int64_t saved_step_ = -1;
};

}  // namespace daybreak
