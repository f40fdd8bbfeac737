#pragma once

#include "backend/backend.h"
#include "backend/cuda/context.h"

namespace daybreak::cuda {

/// A CUDA graph made of what was queued on the context's stream.
class GraphRecording final : public Recording {
 public:
  /// From here on kernels are noted instead of run.
  static void begin(const Context& context);
  /// Ends the noting in any case. Throws DeviceError when it cannot become a graph.
  static RecordingPtr end(const Context& context);

  GraphRecording(const Context& context, cudaGraphExec_t graph)
      : context_(context), graph_(graph) {}
  ~GraphRecording() override;
  GraphRecording(const GraphRecording&) = delete;
  GraphRecording& operator=(const GraphRecording&) = delete;
  void replay() override;

 private:
  const Context& context_;
  cudaGraphExec_t graph_;
};

}  // namespace daybreak::cuda
