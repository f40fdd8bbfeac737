// The part of CUDA's runtime that the backend calls, for a GPU that is emulated. Work is done as
// late as the rules allow, when somebody waits for it, so that what forgets to wait reads garbage.
// Errors are kept for cudaGetLastError() as the runtime keeps them, and what a capture does not
// allow is refused.

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <iterator>
#include <map>
#include <memory>
#include <vector>

#include "support/fake_gpu/emulate.h"

using Work = std::function<void()>;

struct CUevent_st {
  CUstream_st* stream = nullptr;  ///< null: never recorded
  std::uint64_t at = 0;           ///< how much of the stream's work it waits for
};
struct CUstream_st {
  std::deque<Work> queue;
  std::uint64_t queued = 0, finished = 0;
  bool capturing = false, invalid = false;
  std::vector<Work> noted;
};
struct CUgraph_st {
  std::vector<Work> work;
};
struct CUgraphExec_st {
  std::vector<Work> work;
};

namespace {

constexpr std::size_t kMemory = std::size_t{2} << 30;

cudaError_t last_error = cudaSuccess;
std::vector<CUstream_st*> streams;
std::map<void*, std::size_t> pinned, on_device;
std::size_t used = 0;

cudaError_t result(cudaError_t code) {
  if (code != cudaSuccess) last_error = code;
  return code;
}

void finish(CUstream_st& stream, std::uint64_t until) {
  while (stream.finished < until) {
    const Work work = std::move(stream.queue.front());
    stream.queue.pop_front();
    work();
    ++stream.finished;
  }
}

void finish_all() {
  for (CUstream_st* stream : streams) finish(*stream, stream->queued);
}

// True while a capture forbids the call, which spoils the capture.
bool forbidden() {
  const auto found = std::find_if(streams.begin(), streams.end(),
                                  [](const CUstream_st* s) { return s->capturing; });
  if (found != streams.end()) (*found)->invalid = true;
  return found != streams.end();
}

bool within(const std::map<void*, std::size_t>& blocks, const void* address) {
  const auto next = blocks.upper_bound(const_cast<void*>(address));
  if (next == blocks.begin()) return false;
  const auto& [begin, bytes] = *std::prev(next);
  return static_cast<const char*>(address) < static_cast<const char*>(begin) + bytes;
}

}  // namespace

void daybreak::emulate::enqueue(cudaStream_t stream, Work work) {
  if (stream->capturing) return stream->noted.push_back(std::move(work));
  stream->queue.push_back(std::move(work));
  ++stream->queued;
}

cudaError_t cudaGetLastError() {
  return std::exchange(last_error, cudaSuccess);
}
const char* cudaGetErrorName(cudaError_t) {
  return "an error of the emulated GPU";
}
const char* cudaGetErrorString(cudaError_t code) {
  return code == cudaErrorNotReady ? "device not ready" : "see fake_cudart.cpp";
}

cudaError_t cudaDriverGetVersion(int* version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}
cudaError_t cudaGetDeviceCount(int* count) {
  *count = 1;
  return cudaSuccess;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int) {
  *properties = {};
  std::strcpy(properties->name, "emulated GPU");
  properties->major = 9;
  properties->totalGlobalMem = kMemory;
  return cudaSuccess;
}
cudaError_t cudaSetDevice(int) {
  return cudaSuccess;
}
cudaError_t cudaSetDeviceFlags(unsigned) {
  return cudaSuccess;
}

// --- memory
// ---------------------------------------------------------------------------------------

cudaError_t cudaMalloc(void** data, std::size_t bytes) {
  if (forbidden()) return result(cudaErrorStreamCaptureUnsupported);
  const std::size_t room = (bytes + 511) / 512 * 512;
  if (room > kMemory - used) return result(cudaErrorMemoryAllocation);
  *data = std::aligned_alloc(512, room);
  std::memset(*data, 0xff, room);  // NaN
  on_device[*data] = room;
  used += room;
  return cudaSuccess;
}
cudaError_t cudaFree(void* data) {
  if (data == nullptr) return cudaSuccess;
  if (forbidden()) return result(cudaErrorStreamCaptureUnsupported);
  finish_all();
  used -= on_device.at(data);
  on_device.erase(data);
  std::free(data);
  return cudaSuccess;
}
cudaError_t cudaHostAlloc(void** data, std::size_t bytes, unsigned) {
  if (forbidden()) return result(cudaErrorStreamCaptureUnsupported);
  *data = std::malloc(bytes);
  pinned[*data] = bytes;
  return cudaSuccess;
}
cudaError_t cudaFreeHost(void* data) {
  finish_all();
  pinned.erase(data);
  std::free(data);
  return cudaSuccess;
}
cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) {
  *free = kMemory - used, *total = kMemory;
  return cudaSuccess;
}
cudaError_t cudaMemsetAsync(void* to, int value, std::size_t bytes, cudaStream_t stream) {
  daybreak::emulate::enqueue(stream, [=] { std::memset(to, value, bytes); });
  return cudaSuccess;
}

// Memory that is not pinned is read at once, and written before the call returns.
cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  const bool upload = kind == cudaMemcpyHostToDevice, download = kind == cudaMemcpyDeviceToHost;
  if (within(on_device, to) == download || within(on_device, from) == upload) {
    return result(cudaErrorInvalidValue);
  }
  const bool fixed = (!upload || within(pinned, from)) && (!download || within(pinned, to));
  if (!fixed && stream->capturing) {
    stream->invalid = true;
    return result(cudaErrorStreamCaptureUnsupported);
  }
  if (upload && !fixed) {
    const auto* bytes_now = static_cast<const char*>(from);
    auto copy = std::make_shared<std::vector<char>>(bytes_now, bytes_now + bytes);
    daybreak::emulate::enqueue(stream, [=] { std::memcpy(to, copy->data(), bytes); });
    return cudaSuccess;
  }
  daybreak::emulate::enqueue(stream, [=] { std::memmove(to, from, bytes); });
  if (!fixed) finish(*stream, stream->queued);
  return cudaSuccess;
}

// --- streams and events
// ---------------------------------------------------------------------------

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  *stream = new CUstream_st;
  streams.push_back(*stream);
  return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  finish(*stream, stream->queued);
  std::erase(streams, stream);
  delete stream;
  return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  if (forbidden()) return result(cudaErrorStreamCaptureUnsupported);
  finish(*stream, stream->queued);
  return cudaSuccess;
}
cudaError_t cudaStreamQuery(cudaStream_t stream) {
  if (forbidden()) return result(cudaErrorStreamCaptureUnsupported);
  if (stream->finished == stream->queued) return cudaSuccess;
  finish(*stream, stream->queued);
  return result(cudaErrorNotReady);
}
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  *event = new CUevent_st;
  return cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event;
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  *event = {stream, stream->queued};
  return cudaSuccess;
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  if (forbidden()) return result(cudaErrorStreamCaptureUnsupported);
  if (event->stream != nullptr) finish(*event->stream, event->at);
  return cudaSuccess;
}
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  if (event->stream == nullptr) return cudaSuccess;
  daybreak::emulate::enqueue(stream, [now = *event] { finish(*now.stream, now.at); });
  return cudaSuccess;
}

// --- graphs
// ---------------------------------------------------------------------------------------

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  if (stream->capturing) return result(cudaErrorIllegalState);
  stream->capturing = true, stream->invalid = false;
  stream->noted.clear();
  return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  stream->capturing = false;
  *graph = nullptr;
  if (stream->invalid) return result(cudaErrorStreamCaptureInvalidated);
  *graph = new CUgraph_st{std::move(stream->noted)};
  return cudaSuccess;
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* ready, cudaGraph_t graph, unsigned long long) {
  *ready = new CUgraphExec_st{graph->work};
  return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}
cudaError_t cudaGraphUpload(cudaGraphExec_t, cudaStream_t) {
  return cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t graph, cudaStream_t stream) {
  for (const Work& work : graph->work) daybreak::emulate::enqueue(stream, work);
  return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t graph) {
  delete graph;
  return cudaSuccess;
}
