#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "train/schedule.h"

// Helpers to write published schedules as phases and to compare them with tables of numbers.

namespace daybreak::test {

/// Tables are given with 6 significant digits: 1e-5 relative, 1e-9 absolute near 0.
inline bool near_enough(double value, double expected) {
  return std::fabs(value - expected) <= std::max(1e-9, 1e-5 * std::fabs(expected));
}
// Values far below 1e-9 are compared by their ratio.
inline bool same_ratio(double value, double expected) {
  return expected == 0.0 ? std::fabs(value) < 1e-15 : std::fabs(value / expected - 1.0) <= 1e-5;
}

inline Length epochs(double amount) {
  return {amount, LengthUnit::epochs};
}
inline Length steps(double amount) {
  return {amount, LengthUnit::steps};
}

struct Range {
  double start, end;
};

inline PhaseSpec phase(Length until, Range lr, Range momentum, Curve curve) {
  PhaseSpec spec;
  spec.until = until;
  spec.lr = Ramp{lr.start, lr.end};
  spec.momentum = Ramp{momentum.start, momentum.end};
  spec.curve = curve;
  return spec;
}

/// A solver whose epoch has exactly `steps_per_epoch` steps of one sample.
inline SolverSpec solver_of(std::vector<PhaseSpec> phases) {
  SolverSpec spec;
  spec.batch = 1;
  spec.phases = std::move(phases);
  return spec;
}
inline Schedule schedule_of(std::vector<PhaseSpec> phases, std::int64_t steps_per_epoch) {
  return Schedule(solver_of(std::move(phases)), steps_per_epoch);
}

/// fastai 0.7 phases_1cycle(cycle_len, lr, div, pct, max_mom, min_mom).
inline std::vector<PhaseSpec> phases_1cycle(double cycle_len, double lr, double div, double pct,
                                            double max_mom, double min_mom) {
  const double tri = (1.0 - pct / 100.0) * cycle_len;
  return {
      phase(epochs(tri / 2), {lr / div, lr}, {max_mom, min_mom}, Curve::linear),
      phase(epochs(tri), {lr, lr / div}, {min_mom, max_mom}, Curve::linear),
      phase(epochs(cycle_len), {lr / div, lr / (100 * div)}, {max_mom, max_mom}, Curve::linear)};
}

enum class Compare { tolerance, ratio };

/// Compares one number per step of `at` with what `value` gives.
template <typename Value>
void expect_vector(const std::string& name, const std::vector<std::int64_t>& at,
                   const std::vector<double>& expected, Value value,
                   Compare compare = Compare::tolerance) {
  ASSERT_EQ(at.size(), expected.size()) << name;
  for (std::size_t i = 0; i < at.size(); ++i) {
    const double found = value(at[i]);
    const bool good = compare == Compare::ratio ? same_ratio(found, expected[i])
                                                : near_enough(found, expected[i]);
    EXPECT_TRUE(good) << name << " at " << at[i] << ": " << found << ", expected " << expected[i];
  }
}

inline auto lr_of(const Schedule& schedule) {
  return [&schedule](std::int64_t step) { return schedule.at(step).lr; };
}
inline auto momentum_of(const Schedule& schedule) {
  return [&schedule](std::int64_t step) { return schedule.at(step).momentum; };
}

}  // namespace daybreak::test
