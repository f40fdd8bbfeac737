#pragma once

#include <string>
#include <vector>

#include "report/progress.h"
#include "report/run_log.h"
#include "train/session.h"
#include "train/trainer.h"

namespace daybreak {

/// How `train` was called.
struct TrainOptions {
  std::string run_dir;  ///< empty: runs/NAME-N
  bool resume = false;  ///< go on with the run in run_dir
  std::string init;     ///< weights to start from
  int threads = 0;
};

struct TrainOutcome {
  TrainingEnd end = TrainingEnd::done;
  int signal = 0;  ///< that asked for the stop; 0: none
  std::string run_dir;
  RunSummary summary;
};

/// Trains a configuration from the first byte of data to the last file of the run folder.
/// Throws DivergenceError after the run's files are written.
TrainOutcome run_training(SolverConfig config, const TrainOptions& options, Progress& progress,
                          RunLog& log);

}  // namespace daybreak
