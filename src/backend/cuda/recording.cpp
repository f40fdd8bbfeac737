#include "backend/cuda/recording.h"

#include "backend/cuda/check.h"
#include "core/error.h"

namespace daybreak::cuda {

void GraphRecording::begin(const Context& context) {
  // Other threads may go on calling CUDA meanwhile.
  check(cudaStreamBeginCapture(context.stream(), cudaStreamCaptureModeThreadLocal),
        "cudaStreamBeginCapture");
}

RecordingPtr GraphRecording::end(const Context& context) {
  cudaGraph_t graph = nullptr;
  const cudaError_t ended = cudaStreamEndCapture(context.stream(), &graph);
  if (ended != cudaSuccess) {
    if (graph != nullptr) cudaGraphDestroy(graph);
    check(ended, "cudaStreamEndCapture");
  }
  cudaGraphExec_t ready = nullptr;
  const cudaError_t made = cudaGraphInstantiate(&ready, graph, 0);
  cudaGraphDestroy(graph);
  check(made, "cudaGraphInstantiate");
  auto recording = std::make_unique<GraphRecording>(context, ready);
  check(cudaGraphUpload(ready, context.stream()), "cudaGraphUpload");
  return recording;
}

GraphRecording::~GraphRecording() {
  cudaStreamSynchronize(context_.stream());  // it may be running
  cudaGraphExecDestroy(graph_);
}

void GraphRecording::replay() {
  check(cudaGraphLaunch(graph_, context_.stream()), "cudaGraphLaunch");
}

}  // namespace daybreak::cuda
