#include "backend/cuda/cuda_backend.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <fstream>

#include "backend/cuda/check.h"
#include "backend/cuda/kernel.h"
#include "backend/cuda/launch.h"
#include "backend/cuda/offers.h"
#include "backend/cuda/recording.h"
#include "core/error.h"

namespace daybreak::cuda {
namespace {

class CudaMemory final : public Memory {
 public:
  CudaMemory(const Context& context, std::size_t bytes) : buffer_(bytes) {
    if (bytes == 0) return;
    check(cudaMemsetAsync(buffer_.as<void>(), 0, bytes, context.stream()), "cudaMemsetAsync");
    check(cudaStreamSynchronize(context.stream()), "cudaStreamSynchronize");
  }
  std::byte* data() override { return buffer_.as<std::byte>(); }
  std::size_t bytes() const override { return buffer_.bytes(); }

 private:
  DeviceBuffer buffer_;
};

Offers dispatch(Context& context, const KernelQuery& query, std::string* reason) {
  switch (query.op->kind()) {
    case OpKind::input_u8:
      return input_u8_offers(context, query, reason);
    case OpKind::conv2d:
    case OpKind::conv2d_transpose:
      return conv_offers(context, query, reason);
    case OpKind::linear:
      return linear_offers(context, query, reason);
    case OpKind::batchnorm:
    case OpKind::instancenorm:
      return norm_offers(context, query, reason);
    case OpKind::act:
      return activation_offers(context, query, reason);
    case OpKind::softmax:
      return softmax_offers(context, query, reason);
    case OpKind::dropout:
      return dropout_offers(context, query, reason);
    case OpKind::pool:
      return pool_offers(context, query, reason);
    case OpKind::adaptive_avgpool:
      return adaptive_avgpool_offers(context, query, reason);
    case OpKind::upsample:
      return upsample_offers(context, query, reason);
    case OpKind::pad:
      return pad_offers(context, query, reason);
    case OpKind::add:
      return add_offers(context, query, reason);
    case OpKind::concat:
      return concat_offers(context, query, reason);
    case OpKind::reshape:
      return reshape_offers(context, query, reason);
    case OpKind::multiply:
      return multiply_offers(context, query, reason);
    case OpKind::slice:
      return slice_offers(context, query, reason);
    case OpKind::reorg:
      return reorg_offers(context, query, reason);
    case OpKind::softmax_xent:
    case OpKind::hinge:
      return label_loss_offers(context, query, reason);
    case OpKind::distance:
    case OpKind::bce:
      return elementwise_loss_offers(context, query, reason);
    case OpKind::yolo_loss:
      return yolo_loss_offers(context, query, reason);
    case OpKind::region_loss:
      return region_loss_offers(context, query, reason);
    case OpKind::ssd_loss:
      return ssd_loss_offers(context, query, reason);
    case OpKind::topk_count:
      return topk_offers(context, query, reason);
  }
  refuse(reason, "the cuda backend does not know this operation");
  return {};
}

bool differentiable(const KernelQuery& query) {
  for (std::size_t i = 0; i < query.inputs.size(); ++i) {
    if (query.op->differentiable(static_cast<int>(i))) return true;
  }
  return false;
}

// Why a pass cannot exist for an operation; empty when it can.
std::string pass_problem(const KernelQuery& query) {
  if (query.pass == Pass::forward) {
    const Shape& x = query.inputs[0].shape;
    const bool one = std::int64_t{x.n} * x.spatial() == 1;
    if (query.op->kind() == OpKind::batchnorm && query.mode == Mode::train && one) {
      return "batch norm cannot be trained on one value a channel (batch x height x width is 1)";
    }
    return "";
  }
  if (!differentiable(query)) return "this operation has no gradient";
  if (query.op->splits_backward() == (query.pass == Pass::backward)) {
    return "this operation has no pass \"" + std::string(to_string(query.pass)) + "\"";
  }
  // Batch norm's evaluation form is the one gradient that needs nothing from the forward pass.
  if (query.mode == Mode::eval && query.op->backward_reads().aux &&
      query.op->kind() != OpKind::batchnorm) {
    return "the forward pass saves nothing for a gradient in evaluation";
  }
  return "";
}

std::string version_text(int version) {
  return fmt::format("{}.{}", version / 1000, version % 1000 / 10);
}

// The release of the driver, "580.65.06", from its line in /proc; empty where that is hidden.
std::string driver_release() {
  std::ifstream file("/proc/driver/nvidia/version");
  std::string word;
  while (file >> word) {
    const bool number = std::isdigit(static_cast<unsigned char>(word[0])) != 0;
    if (number && std::count(word.begin(), word.end(), '.') >= 1) return " " + word;
  }
  return "";
}

}  // namespace

std::string CudaBackend::identity() const {
  if (!context_.has_device()) return "no GPU";
  int driver = 0;
  check(cudaDriverGetVersion(&driver), "cudaDriverGetVersion");
  const std::size_t cudnn = cudnnGetVersion(), cublas = cublasLtGetVersion();
  return fmt::format(
      "{}, compute capability {}.{}, {}, CUDA {} (driver{} of {}), cuDNN {}.{}.{}, "
      "cuBLASLt {}.{}.{}, {}",
      context_.properties().name, context_.properties().major, context_.properties().minor,
      bytes_text(context_.properties().totalGlobalMem), version_text(CUDART_VERSION),
      driver_release(), version_text(driver), cudnn / 10000, cudnn / 100 % 100, cudnn % 100,
      cublas / 10000, cublas / 100 % 100, cublas % 100,
      context_.allow_tf32 ? "TF32 allowed" : "no TF32");
}

bool CudaBackend::supports(DType dtype) const {
  return is_float(dtype);
}

std::vector<KernelOffer> CudaBackend::offers(const KernelQuery& query, std::string* reason) {
  const std::string problem = pass_problem(query);
  if (!problem.empty()) {
    refuse(reason, problem);
    return {};
  }
  try {
    return dispatch(context_, query, reason);
  } catch (const DeviceError& error) {
    throw DeviceError(query_name(query) + ": " + error.what());
  }
}

std::size_t CudaBackend::layout_bytes(const Shape& shape, DType dtype, Layout) const {
  return plain_desc(shape, dtype).bytes;
}

std::string CudaBackend::layout_name(Layout layout) const {
  return layout == kNchw ? "nchw" : layout == kNhwc ? "nhwc" : "?";
}

KernelPtr CudaBackend::reorder(const TensorDesc& from, const TensorDesc& to) {
  return make_reorder(context_, from, to);
}

bool CudaBackend::same_bytes(const TensorDesc& a, const TensorDesc& b) const {
  return a.dtype == b.dtype && same_order(a, b);
}

bool CudaBackend::storable(const TensorDesc& desc) const {
  return desc.layout == kNchw || desc.layout == kNhwc;
}

KernelPtr CudaBackend::accumulate(const TensorDesc& desc) {
  return make_accumulate(context_, desc);
}

std::unique_ptr<UpdateKernel> CudaBackend::optimizer(const OptimizerAttrs& attrs, DType dtype) {
  if (dtype != DType::f32) {
    throw DeviceError("cuda: optimizers keep their parameters in f32");
  }
  return make_optimizer(context_, attrs);
}

void CudaBackend::blend(std::byte* average, const std::byte* values, std::size_t count, DType dtype,
                        double share) {
  DAYBREAK_ASSERT(dtype == DType::f32);
  launch_blend(context_, average, values, count, static_cast<float>(share));
}

void CudaBackend::exchange(std::byte* a, std::byte* b, std::size_t count, DType dtype) {
  DAYBREAK_ASSERT(dtype == DType::f32);
  launch_exchange(context_, a, b, count);
}

MemoryPtr CudaBackend::allocate(std::size_t bytes) {
  forbid_while_recording("memory");
  if (!context_.has_device()) throw DeviceError("cuda: without a GPU there is no memory");
  return std::make_unique<CudaMemory>(context_, bytes);
}

std::size_t CudaBackend::free_bytes() const {
  // What the driver and the libraries may still load: modules with kernels, their stacks.
  constexpr std::size_t kReserve = std::size_t{96} << 20;
  std::size_t free = 0, total = 0;
  check(cudaMemGetInfo(&free, &total), "cudaMemGetInfo");
  return free > kReserve ? free - kReserve : 0;
}

// The planner's promise: a step needs none of this once it is prepared.
void CudaBackend::forbid_while_recording(const char* what) const {
  if (recording_) {
    throw DeviceError(std::string("cuda: a step that is recorded asks for ") + what);
  }
}

void CudaBackend::copy_in(std::byte* to, const void* from, std::size_t bytes) {
  forbid_while_recording("a copy");
  upload(context_, to, from, bytes);
}

void CudaBackend::send(std::byte* to, const void* from, std::size_t bytes) {
  forbid_while_recording("a copy");
  uploader_.send(to, from, bytes);
}

void CudaBackend::copy_out(void* to, const std::byte* from, std::size_t bytes) {
  forbid_while_recording("a copy");
  if (bytes == 0) return;
  wait();  // so that the copy has nothing to wait for
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, context_.stream()),
        "cudaMemcpyAsync");
  check(cudaStreamSynchronize(context_.stream()), "cudaStreamSynchronize");
}

// A wait of the driver gives the processor away, which costs tens of microseconds at its end: short
// ones are spent asking.
void CudaBackend::wait() const {
  constexpr std::chrono::milliseconds kAsking(1);
  const auto begin = std::chrono::steady_clock::now();
  while (std::chrono::steady_clock::now() - begin < kAsking) {
    const cudaError_t state = cudaStreamQuery(context_.stream());
    if (state != cudaErrorNotReady) return check(state, "cudaStreamQuery");
    cudaGetLastError();  // "not ready" is kept as an error that the next launch would report
  }
  check(cudaStreamSynchronize(context_.stream()), "cudaStreamSynchronize");
}

void CudaBackend::synchronize() {
  forbid_while_recording("a wait");
  wait();
}

KernelPtr CudaBackend::step_work(StepWork work, DType dtype) {
  return dtype == DType::f32 ? make_step_work(context_, work) : nullptr;
}

KernelPtr CudaBackend::batch_maker(const BatchRecipe& recipe) {
  return make_batch_maker(context_, recipe);
}

KernelPtr CudaBackend::row_keeper(const RowRecipe& recipe) {
  return make_row_keeper(context_, recipe);
}

void CudaBackend::begin_recording() {
  GraphRecording::begin(context_);
  recording_ = true;
}

RecordingPtr CudaBackend::end_recording() {
  recording_ = false;
  return GraphRecording::end(context_);
}

}  // namespace daybreak::cuda
