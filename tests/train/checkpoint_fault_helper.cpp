// A process that saves checkpoints, to be killed and to be given errors by the tests.
//   save DIR STEP   saves one checkpoint (keep 1, best) between two marker calls
//   loop DIR        saves one after the other until it is killed
//   load DIR        prints "STEP VALUE" of the newest checkpoint
// Exit codes are those of daybreak: 0, 4 (data), 5 (device).
#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "core/error.h"
#include "train/checkpoint_file.h"
#include "train/signals.h"

namespace {

using namespace daybreak;  // NOLINT: a small program

/// Every value is the step, so that a mixture of two files shows.
CheckpointData content(std::int64_t step) {
  CheckpointData data;
  data.meta["step"] = std::to_string(step);
  data.tensors = {{"w", {40, 25}, std::vector<float>(1000, static_cast<float>(step))},
                  {"b", {25}, std::vector<float>(25, static_cast<float>(step))}};
  return data;
}

/// Shows the tracer where the save begins and ends.
void mark(const char* what) {
  static_cast<void>(::access(what, F_OK));
}

int run(const std::string& verb, const std::string& folder, std::int64_t step) {
  install_signal_handlers();
  CheckpointStore store(folder, /*keep=*/1);
  if (verb == "save") {
    mark("/daybreak-save-begins");
    store.save(step, content(step), /*best=*/true);
    store.finish();
    mark("/daybreak-save-ends");
  } else if (verb == "loop") {
    for (;; ++step) store.save(step, content(step), step % 2 == 0);
  } else {
    const CheckpointData data = store.load_newest();
    fmt::print("{} {}\n", data.meta.at("step"), data.tensors.at(0).values.at(0));
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argv[1], argv[2], argc > 3 ? std::atoll(argv[3]) : 1);
  } catch (const DataError& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 4;
  } catch (const DeviceError& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 5;
  }
}
