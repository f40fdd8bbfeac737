#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "config/data_specs.h"
#include "core/error.h"
#include "core/tuning.h"

// What a solver file says, typed. Field tables that parse and print these are in solver_schema.cpp.

namespace daybreak {

/// An amount of training with its unit: "30e" epochs (fractions allowed), "800s" steps.
enum class LengthUnit : std::uint8_t { epochs, steps };
struct Length {
  double amount = 0.0;
  LengthUnit unit = LengthUnit::epochs;
};

// ---- optimisation -------------------------------------------------------------------------------

enum class OptimizerType : std::uint8_t { sgd, adagrad, rmsprop, adadelta, adam, adamw };
enum class WeightDecayForm : std::uint8_t { l2, decoupled };
enum class DecayOn : std::uint8_t { weights, all };

/// Parameters with a learning rate and weight decay of their own: names as in "freeze".
struct LrGroup {
  std::string match;
  double lr_scale = 1.0;
  double decay_scale = 1.0;  ///< on the weight decay, which acts times the learning rate
  bool operator==(const LrGroup&) const = default;
};

struct OptimizerSpec {
  OptimizerType type = OptimizerType::sgd;
  double weight_decay = 0.0;
  WeightDecayForm decay = WeightDecayForm::l2;
  DecayOn decay_on = DecayOn::weights;  ///< weights: biases and norms are spared
  bool nesterov = false;
  double dampening = 0.0;
  bool lr_in_slot = false;
  bool centered = false;
  double alpha = 0.99;
  double rho = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;
  double bias_lr = 1.0;              ///< factor on the learning rate of biases and norm shifts
  std::vector<LrGroup> groups = {};  ///< the first that matches counts
  bool operator==(const OptimizerSpec&) const = default;
};

enum class Curve : std::uint8_t { constant, linear, cosine, exponential, polynomial };

/// A value over a phase: `start`, or start to `end` along the phase's curve.
struct Ramp {
  double start = 0.0;
  std::optional<double> end;
};

/// Type of activations and their gradients.
enum class Precision : std::uint8_t { f32, bf16, f16, automatic };

/// A stretch of training. A key that is not given keeps its last value.
struct PhaseSpec {
  Length until;  ///< counted from the start of training
  std::optional<Ramp> lr;
  std::optional<Ramp> momentum;
  std::optional<Curve> curve;  ///< of lr; and of momentum unless momentum_curve is given
  std::optional<Curve> momentum_curve;
  double power = 2.0;  ///< of the polynomial curve
  std::optional<OptimizerSpec> optimizer;
  std::optional<int> batch;
  std::optional<int> image;  ///< picture side in pixels
  std::optional<Precision> precision;
  std::optional<std::vector<TransformSpec>> augment;
  std::optional<std::vector<std::string>> freeze;  ///< patterns over layer names: "backbone.*"
  Mark mark;
};

/// A running mean of all parameters and statistics, evaluated beside them (train/ema.h).
struct EmaSpec {
  double decay = 0.0;  ///< share of the old mean; 0: none is kept
  int every = 1;       ///< updates between two of its steps
  double ramp = 0.0;   ///< steps over which the decay grows from 0; 0: at once
  bool operator==(const EmaSpec&) const = default;
};

/// Slow weights that the trained ones are set back to (train/lookahead.h).
struct LookaheadSpec {
  int every = 0;       ///< updates between two times; 0: none
  double decay = 0.5;  ///< share of the old slow weights, at the end of training
  double power = 0.0;  ///< decay * (step / steps)^power before
  bool operator==(const LookaheadSpec&) const = default;
};

/// Views of a picture whose probabilities are averaged when a classifier is tested.
enum class Views : std::uint8_t { none, flip, shift };

/// lr policies of Caffe and Darknet, by step, where phases do not fit.
enum class PolicyKind : std::uint8_t {
  none,
  step,
  steps,
  exponential,
  inverse,
  polynomial,
  sigmoid
};
struct PolicySpec {
  PolicyKind kind = PolicyKind::none;
  Length length;  ///< total length of training
  double lr = 0.1;
  double momentum = 0.9;
  double gamma = 0.1;  ///< factor (step, steps, exponential), rate (inverse, sigmoid)
  double power = 1.0;
  std::int64_t every = 0;        ///< step: steps between drops; sigmoid: centre
  std::vector<std::int64_t> at;  ///< steps: where the lr drops
  std::int64_t burn_in = 0;      ///< Darknet: lr * (it / burn_in)^burn_in_power before
  double burn_in_power = 4.0;
};

enum class BestMetric : std::uint8_t { accuracy, loss };
/// The value of `loss_scale: dynamic`.
constexpr double kDynamicLossScale = -1.0;
enum class LastBatch : std::uint8_t { drop, keep };

struct CheckpointSpec {
  Length every{1.0, LengthUnit::epochs};
  int keep = 3;
  BestMetric best = BestMetric::accuracy;
};

struct SolverSpec {
  std::string name;      ///< of the run folder; default: the file's stem
  std::string net_path;  ///< empty when the network is written inline
  DataSpec data;
  std::vector<TransformSpec> augment;
  std::string device = "auto";
  Precision precision = Precision::f32;
  TuneMode tune = TuneMode::on;
  ConvChoice conv_algorithm = ConvChoice::automatic;
  double loss_scale = kDynamicLossScale;
  std::uint64_t seed = 1;
  int batch = 128;
  int accumulate = 1;  ///< micro-batches per update
  LastBatch last_batch = LastBatch::drop;
  std::vector<int> multi_scale;  ///< picture sides; each step draws one, where no phase sets it
  OptimizerSpec optimizer;
  std::vector<std::string> freeze;  ///< patterns over layer names, until a phase gives its own
  double clip_norm = 0.0;
  std::vector<PhaseSpec> phases;  ///< one_cycle, sgdr and a plain length+lr are expanded into these
  PolicySpec policy;
  Length evaluate_every{1.0, LengthUnit::epochs};
  int evaluate_batch = 0;   ///< 0: the training batch
  Views tta = Views::none;  ///< test-time augmentation, reported beside the plain figure
  EmaSpec ema;
  LookaheadSpec lookahead;
  CheckpointSpec checkpoint;
  std::string init;  ///< weights to start from
  Mark mark;
};

}  // namespace daybreak
