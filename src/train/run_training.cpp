#include "train/run_training.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <filesystem>
#include <optional>

#include "core/version.h"
#include "io/atomic_file.h"
#include "report/text.h"
#include "train/checkpoints.h"
#include "train/net_table.h"
#include "train/progress_observer.h"
#include "train/run_folder.h"
#include "train/run_recorder.h"
#include "train/signals.h"
#include "train/weights.h"

namespace daybreak {
namespace {

// What training goes on with, or starts from.
TrainingState initial_state(Session& session, const TrainOptions& options,
                            const CheckpointData* resumed) {
  if (resumed) {
    TrainingState state = restore_checkpoint(session, *resumed);
    spdlog::info("resuming {} at step {}", resumed->path, state.step);
    return state;
  }
  const std::string init = options.init.empty() ? session.solver().init : options.init;
  if (!init.empty()) {
    const auto kept = load_weights(session.executor(), init, /*partial=*/true);
    for (const std::string& name : kept) {
      spdlog::warn("{}: has no fitting \"{}\"; it starts anew", init, name);
    }
  }
  return {};
}

void say_header(const Session& session, Backend& backend, const std::string& run_dir) {
  const InputSpec& input = session.config().net.input;
  spdlog::info("daybreak {}   {}", kVersion, backend.identity());
  if (!session.device_note().empty()) spdlog::info("device  {}", session.device_note());
  spdlog::info("config  {}     run  {}", session.config().path, run_dir);
  spdlog::info("data    {}  {} train / {} {}  {}x{}x{}  {} classes", session.solver().data.name,
               with_separators(session.data().train.size()),
               with_separators(session.validation().size()),
               session.data().val.empty() ? "test" : "val", input.width, input.height,
               input.channels, session.data().train.class_count());
}

}  // namespace

TrainOutcome run_training(SolverConfig config, const TrainOptions& options, Progress& progress,
                          RunLog& log) {
  install_signal_handlers();
  SessionOptions session_options;
  session_options.threads = options.threads;
  // A resumed run plans with the kernels of its checkpoint, so that comes first.
  const int keep = config.spec.checkpoint.keep;
  std::optional<RunFolder> resumed_folder;
  std::optional<CheckpointStore> store_place;
  std::optional<CheckpointData> resumed;
  if (options.resume) {
    resumed_folder.emplace(RunFolder::open(options.run_dir));
    store_place.emplace(options.run_dir, keep);
    resumed.emplace(store_place->load_newest());
    session_options.kernels = checkpoint_kernels(*resumed);
  }
  Session session(std::move(config), session_options);
  RunFolder folder = resumed_folder ? *std::move(resumed_folder)
                     : options.run_dir.empty()
                         ? RunFolder::create_numbered("runs", session.solver().name)
                         : RunFolder::create(options.run_dir);
  log.open_file(folder.path() + "/log.txt");
  say_header(session, session.backend(), folder.path());
  const std::string layers = layer_table(
      session.executor().graph(), session.executor().plan(session.phase(0).plans.front().full),
      /*kernels=*/false);
  spdlog::info("{}", layers);
  const std::string config_text = print_config(session.config());
  write_file_atomically(folder.path() + "/config.yaml", config_text);
  if (!store_place) store_place.emplace(folder.path(), keep);
  CheckpointStore& store = *store_place;
  TrainingState state = initial_state(session, options, resumed ? &*resumed : nullptr);
  resumed.reset();
  store.check_space(saved_bytes(read_weights(session.executor()), {}) *
                    static_cast<std::uint64_t>(1 + session.phase(0).optimizer.slots() +
                                               copies_of_weights(session.solver())));
  const std::int64_t epochs_done =
      state.step == 0 ? 0 : session.schedule().position(state.step).epoch;
  RunRecorder recorder(session, folder.path(), layers, epochs_done, state.step);
  CheckpointObserver checkpoints(session, store, config_text);
  ProgressObserver shown(progress, session.schedule(), session.is_detector());
  Trainer trainer(session, std::move(state), {&shown, &recorder, &checkpoints});
  TrainOutcome outcome;
  outcome.run_dir = folder.path();
  try {
    outcome.end = trainer.run();
  } catch (const DivergenceError&) {
    try {
      store.finish();
    } catch (const DeviceError& error) {
      spdlog::warn("{}", error.what());  // the divergence is the news
    }
    recorder.finish(trainer.state(), "diverged", log.warnings());
    throw;
  }
  if (outcome.end == TrainingEnd::stopped) {
    checkpoints.save(trainer.state(), /*best=*/false);
    outcome.signal = stop_signal();
  }
  store.finish();
  recorder.finish(trainer.state(), outcome.end == TrainingEnd::done ? "done" : "stopped",
                  log.warnings());
  outcome.summary = recorder.summary();
  return outcome;
}

}  // namespace daybreak
