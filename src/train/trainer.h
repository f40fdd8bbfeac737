#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "report/classification_metrics.h"
#include "report/run_log.h"
#include "train/detection_evaluator.h"
#include "train/evaluator.h"
#include "train/session.h"
#include "train/supervised.h"

namespace daybreak {

/// Where a training stands: with the parameters and the optimizer's arrays, all that a resumed run
/// needs to go on bit for bit.
struct TrainingState {
  std::int64_t step = 0;     ///< updates done
  std::uint64_t update = 1;  ///< number of the next one that is not skipped
  std::int64_t samples = 0;  ///< seen in training
  double seconds = 0.0;      ///< of training and validation
  // The epoch under way.
  double epoch_loss = 0.0;               ///< sum of the steps' losses
  LossParts epoch_parts{0.0, 0.0, 0.0};  ///< likewise, of a detector
  std::int64_t epoch_steps = 0, epoch_correct = 0, epoch_samples = 0;
  double epoch_seconds = 0.0;  ///< of training
  // The best evaluation so far; epoch 0: none.
  double best_value = 0.0;
  double best_metric = 0.0;  ///< its top-1, or map50 of a detector
  std::int64_t best_epoch = 0;
  float loss_scale = 0.0f;         ///< of the next step; 0: gradients are not scaled
  std::uint32_t good_updates = 0;  ///< since it changed
  double first_loss = 0.0;         ///< of the first step: tells an exploding loss
  std::deque<double> last_losses;
};

/// After every step.
struct StepEvent {
  const TrainingState& state;
  const Knobs& knobs;
  const StepReport& report;
  std::int64_t epoch;   ///< from 1
  bool settled = true;  ///< false: the weights are those of a later step already
};

/// What was measured beside the plain network; kNoValue: not now.
struct OtherFigures {
  double ema = kNoValue;      ///< top-1 of the running mean, or map50
  double tta = kNoValue;      ///< top-1 over the views of `evaluate: tta`, after the last step
  double ema_tta = kNoValue;  ///< both
};

/// After every epoch, and after evaluations within one.
struct EpochEvent {
  const TrainingState& state;
  EpochRow row;
  double train_top1 = kNoValue;                  ///< in training mode, over the epoch so far
  const ClassificationResult* result = nullptr;  ///< null: not evaluated, or a detector
  const DetectionResult* detection = nullptr;    ///< of a detector
  OtherFigures others;
  bool best = false;
  bool epoch_done = true;  ///< false: an evaluation within an epoch
};

/// Watches a training: logs, files, checkpoints. Called in the order they were given.
class Observer {
 public:
  virtual ~Observer() = default;
  virtual void on_epoch_begin(const TrainingState&, std::int64_t /*epoch*/) {}
  virtual void on_step(const StepEvent&) {}
  /// True when on_step() after `state.step` steps will want the weights as they are then.
  virtual bool wants_weights(const TrainingState& /*state*/) const { return false; }
  virtual void on_evaluate(std::int64_t /*done*/, std::int64_t /*total*/) {}
  virtual void on_epoch(const EpochEvent&) {}
};

/// Whether something that happens "every N epochs or steps" is due after `step` steps. Whole epochs
/// count ends of epochs; fractions and steps count steps.
bool length_due(const Length& every, std::int64_t step, std::int64_t steps_per_epoch,
                bool epoch_done, std::int64_t epochs_done);

enum class TrainingEnd : std::uint8_t { done, stopped };

/// The training loop. What a step does is the recipe's business (Supervised), what is written
/// down the observers'.
class Trainer {
 public:
  Trainer(Session& session, TrainingState state, std::vector<Observer*> observers);

  /// Trains from the state to the end of the schedule or until a stop is asked for (signals.h).
  /// Throws DivergenceError with step, epoch, lr and the last losses.
  TrainingEnd run();
  const TrainingState& state() const { return state_; }

 private:
  void enter_phase(int phase);
  void feed(const PhaseRuntime& runtime);
  void restore_scalars();
  int steps_to_queue();
  void steps(int count);
  void note(const StepReport& report, const Knobs& knobs, bool settled);
  void guard(const StepReport& report) const;
  [[noreturn]] void diverged(const std::string& what) const;
  bool evaluation_due(std::int64_t step, bool epoch_done) const;
  void evaluate_now(EpochEvent& event);
  ClassificationResult evaluate_views(Views views, int keep_mistakes = 0);
  DetectionResult evaluate_boxes(int keep_samples = 0);
  double evaluate_classifier(EpochEvent& event);
  double evaluate_detector(EpochEvent& event);
  void evaluate_others(EpochEvent& event);
  void say_evaluated(std::int64_t done);
  void finish(bool epoch_done);
  std::int64_t epoch() const;  ///< of the step under way, from 1
  double elapsed();

  Session& session_;
  const Schedule& schedule_;
  Supervised recipe_;
  TrainingState state_;
  std::vector<Observer*> observers_;
  std::unique_ptr<ResidentData> resident_;
  std::unique_ptr<BatchFeeder> feeder_;
  std::unique_ptr<Loader> eval_loader_;   // of a detector
  std::unique_ptr<Evaluator> evaluator_;  // of a classifier
  ClassificationResult result_;           // of the latest evaluation
  DetectionResult detection_;
  int phase_ = -1;
  Knobs knobs_;
  std::chrono::steady_clock::time_point clock_;
};

}  // namespace daybreak
