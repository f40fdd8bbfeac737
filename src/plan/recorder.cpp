#include "plan/recorder.h"

#include <spdlog/spdlog.h>

#include "core/error.h"

namespace daybreak {

// A backend that finds it cannot record has run nothing so far; kernel by kernel always works.
void Recorder::record(Known& known, const std::function<void()>& work) {
  try {
    backend_.begin_recording();
    try {
      work();
    } catch (const DeviceError&) {
      try {
        backend_.end_recording();
      } catch (const DeviceError&) {  // follows from the first
      }
      throw;
    }
    known.recording = backend_.end_recording();
    ++recorded_;
  } catch (const DeviceError& error) {
    spdlog::warn("{} are not recorded, which makes them slower: {}", what_, error.what());
    records_ = false;
  }
}

}  // namespace daybreak
