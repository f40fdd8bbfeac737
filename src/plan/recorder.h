#pragma once

#include <functional>
#include <string>

#include "backend/backend.h"

namespace daybreak {

/// Queues work that is the same every time (the same kernels on the same addresses): kernel by
/// kernel the first time, when libraries load their kernels and tables are sent to the device;
/// recorded the second time and replayed from then on where the backend can record.
class Recorder {
 public:
  /// What is known of one such work.
  struct Known {
    int runs = 0;
    RecordingPtr recording;
  };

  /// `what`: "training steps", for the warning where they turn out not to be recordable.
  Recorder(Backend& backend, std::string what)
      : backend_(backend), what_(std::move(what)), records_(backend.can_record()) {}

  template <typename Work>
  void queue(Known& known, const Work& work) {
    if (records_ && known.runs++ == 1) record(known, work);
    if (records_ && known.recording) {
      known.recording->replay();
    } else {
      work();
    }
  }
  /// Recordings made so far.
  int recorded() const { return recorded_; }

 private:
  void record(Known& known, const std::function<void()>& work);

  Backend& backend_;
  std::string what_;
  bool records_;
  int recorded_ = 0;
};

}  // namespace daybreak
