#pragma once

#include <vector>

#include "plan/executor.h"

namespace daybreak {

/// What one training step of a small network finds.
struct Trained {
  std::size_t bytes = 0;
  double loss = 0.0;
  std::vector<std::vector<float>> gradients;
  std::vector<std::vector<float>> running;  ///< means and variances after the step
};

/// Of 64 pictures, by plans of `backend` that join what `join` says.
Trained first_gradients(const Graph& graph, Backend& backend, const JoinChooser& join = {});

/// Within `relative`, and a tenth of it absolutely.
void expect_near(const std::vector<std::vector<float>>& actual,
                 const std::vector<std::vector<float>>& expected, float relative);

}  // namespace daybreak
