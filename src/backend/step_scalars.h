#pragma once

#include <cstddef>
#include <cstdint>

#include "core/philox.h"

// The numbers of a training step that kernels read, and what the update does with them: plain
// functions, the same on host and device.
namespace daybreak {

/// Numbers that change from step to step. On a device they live in device memory, so that a
/// captured step never has to be recorded again. The host sends the first part before a step; the
/// second part belongs to the kernels, which carry it from step to step without the host.
struct StepScalars {
  std::uint64_t seed = 0;
  std::uint64_t step = 0;    ///< 0-based step of the run: key of dropout
  std::uint64_t update = 1;  ///< 1-based count of updates, skipped ones included, since the
                             ///< optimizer's slots were new
  float lr = 0.0f;
  float momentum = 0.0f;       ///< beta1 for adam
  float grad_scale = 1.0f;     ///< every gradient is multiplied by this (micro-batches)
  float clip_norm = 0.0f;      ///< 0: no clipping. PyTorch's form: min(1, max / (norm + 1e-6))
  std::uint32_t guarded = 0;   ///< 1: an update whose gradients are not finite is skipped
  float scale_growth = 1.0f;   ///< factor of loss_scale after growth_interval good updates
  float scale_backoff = 1.0f;  ///< factor of loss_scale after a skipped update
  std::uint32_t growth_interval = 0;  ///< 0: loss_scale never grows
  std::uint64_t epoch = 0;            ///< 0-based, and ...
  std::uint64_t first_sample = 0;     ///< ... place in its order of the batch's first sample: for
                                      ///< batches that are made on the device

  // Kept by the kernels.
  float loss_scale = 1.0f;         ///< the gradient of the loss; gradients are divided by it
  float grad_norm = 0.0f;          ///< written by the norm kernel: before clipping, unscaled
  std::uint32_t good_updates = 0;  ///< since loss_scale changed or an update was skipped
  std::uint32_t skipped = 0;       ///< updates skipped since the slots were new
  std::uint32_t batches = 0;       ///< of this step so far; 0: nobody adds losses up
  double loss_sum = 0.0;           ///< over them
  std::uint32_t hits = 0;          ///< over them: samples whose best score was the right one
  std::uint32_t halted = 0;        ///< 1: a step was not finite; nothing is updated any more
};

/// What a step did, written by the device into a ring, for when somebody asks.
struct StepRecord {
  double loss = 0.0;        ///< mean over the step's batches
  float grad_norm = 0.0f;   ///< before clipping, unscaled
  float loss_scale = 1.0f;  ///< of the next step
  std::uint32_t hits = 0;
  std::uint32_t good_updates = 0;
  std::uint32_t skipped = 0;  ///< updates, since the slots were new, this one included
  std::uint32_t skips = 0;    ///< 1: this update was skipped
};

/// Records a ring has; that of update u is at (u - 1) % kStepRecords.
constexpr std::uint64_t kStepRecords = 64;

/// Bytes of the part that the host sends before every step.
constexpr std::size_t kHostScalarBytes = offsetof(StepScalars, loss_scale);

constexpr float kLargestFloat = 3.402823466e38f;

/// True when training is lost: the loss, or gradients that no scale explains, are not finite. The
/// weights then stay as they are until the host looks.
DAYBREAK_HOST_DEVICE inline bool halts(const StepScalars& s) {
  if (s.batches == 0) return false;
  if (s.halted != 0 || !(s.loss_sum - s.loss_sum == 0.0)) return true;
  return s.guarded == 0 && !(s.grad_norm <= kLargestFloat);
}

/// True when the gradients of this step must not reach the weights.
DAYBREAK_HOST_DEVICE inline bool skips_update(const StepScalars& s) {
  if (halts(s)) return true;
  return s.guarded != 0 && !(s.grad_norm <= kLargestFloat);  // also for a norm of NaN
}

/// 1-based number of the update that is about to be made: adam's t.
DAYBREAK_HOST_DEVICE inline std::uint64_t update_number(const StepScalars& s) {
  return s.update - s.skipped;
}

/// What the norm kernel writes for a sum of squares of all gradients.
DAYBREAK_HOST_DEVICE inline float gradient_norm_of(const StepScalars& s, double root) {
  return static_cast<float>(root * s.grad_scale / s.loss_scale);
}

/// What gradients are multiplied by: the scales, then PyTorch's clipping by their common norm.
DAYBREAK_HOST_DEVICE inline double gradient_factor(const StepScalars& s) {
  const double factor = static_cast<double>(s.grad_scale) / s.loss_scale;
  if (!(s.clip_norm > 0.0f)) return factor;
  const double ratio = s.clip_norm / (static_cast<double>(s.grad_norm) + 1e-6);
  return ratio >= 1.0 ? factor : factor * ratio;  // a norm of NaN must not pass unseen
}

/// After an update, made or skipped: moves the loss scale as PyTorch's GradScaler does. Back off
/// when the gradients were not finite; grow after an interval of good updates, unless the scale
/// would become infinite.
DAYBREAK_HOST_DEVICE inline void finish_update(StepScalars& s) {
  if (halts(s)) return;
  if (skips_update(s)) {
    ++s.skipped;
    s.good_updates = 0;
    s.loss_scale *= s.scale_backoff;
    return;
  }
  if (s.growth_interval == 0 || ++s.good_updates < s.growth_interval) return;
  s.good_updates = 0;
  const float grown = s.loss_scale * s.scale_growth;
  if (grown <= kLargestFloat) s.loss_scale = grown;
}

/// Adds a batch of a step to its sums; `first`: they start anew.
DAYBREAK_HOST_DEVICE inline void take_batch(StepScalars& s, double loss, double hits, bool first) {
  if (first) {
    s.batches = s.hits = 0;
    s.loss_sum = 0.0;
  }
  ++s.batches;
  s.loss_sum += loss;
  s.hits += static_cast<std::uint32_t>(hits);
}

/// After finish_update(): what the step did. One that is lost stops all that follow.
DAYBREAK_HOST_DEVICE inline void end_step(StepScalars& s, StepRecord* ring) {
  StepRecord& record = ring[(s.update - 1) % kStepRecords];
  record.loss = s.loss_sum / s.batches;
  record.grad_norm = s.grad_norm;
  record.loss_scale = s.loss_scale;
  record.hits = s.hits;
  record.good_updates = s.good_updates;
  record.skipped = s.skipped;
  record.skips = skips_update(s) ? 1 : 0;
  if (halts(s)) s.halted = 1;
}

/// How the loss is scaled so that small gradients survive 16-bit floats. Results do not change but
/// for rounding: gradients are divided by the scale before they are used.
struct LossScaling {
  bool on = false;
  bool dynamic = true;     ///< false: the scale stays as it is
  float scale = 65536.0f;  ///< at the start; this and the rest are GradScaler's defaults
  float growth = 2.0f, backoff = 0.5f;
  std::uint32_t interval = 2000;
};

}  // namespace daybreak
