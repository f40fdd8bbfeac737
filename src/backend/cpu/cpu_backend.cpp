#include <algorithm>
#include <cstring>
#include <fstream>
#include <memory>
#include <string>

#include "backend/backend.h"
#include "backend/cpu/aligned_buffer.h"
#include "backend/cpu/bf16.h"
#include "backend/cpu/context.h"
#include "backend/cpu/kernel.h"
#include "backend/cpu/layouts.h"
#include "backend/cpu/memory.h"
#include "backend/cpu/onednn.h"
#include "backend/cpu/simd.h"
#include "backend/host_step_work.h"
#include "core/error.h"
#include "core/parallel.h"
#include "ops/conv2d.h"

namespace daybreak {
namespace {

CpuOffers offers_of(const CpuContext& context, const KernelQuery& query, std::string* reason) {
  switch (query.op->kind()) {
    case OpKind::input_u8:
      return input_u8_cpu_offers(context, query);
    case OpKind::conv2d:
      return conv2d_cpu_offers(context, query);
    case OpKind::conv2d_transpose:
      return conv2d_transpose_cpu_offers(context, query);
    case OpKind::linear:
      return linear_cpu_offers(context, query);
    case OpKind::batchnorm:
      return batchnorm_cpu_offers(context, query, reason);
    case OpKind::instancenorm:
      return instancenorm_cpu_offers(context, query);
    case OpKind::act:
      return act_cpu_offers(context, query);
    case OpKind::softmax:
      return softmax_cpu_offers(context, query);
    case OpKind::dropout:
      return dropout_cpu_offers(context, query);
    case OpKind::pool:
      return pool_cpu_offers(context, query);
    case OpKind::adaptive_avgpool:
      return adaptive_avgpool_cpu_offers(context, query);
    case OpKind::upsample:
      return upsample_cpu_offers(context, query);
    case OpKind::pad:
      return pad_cpu_offers(context, query);
    case OpKind::add:
      return add_cpu_offers(context, query, reason);
    case OpKind::multiply:
      return multiply_cpu_offers(context, query);
    case OpKind::concat:
      return concat_cpu_offers(context, query);
    case OpKind::reorg:
      return reorg_cpu_offers(context, query);
    case OpKind::slice:
      return slice_cpu_offers(context, query);
    case OpKind::reshape:
      return reshape_cpu_offers(context, query);
    case OpKind::softmax_xent:
      return softmax_xent_cpu_offers(context, query);
    case OpKind::hinge:
      return hinge_cpu_offers(context, query);
    case OpKind::distance:
      return distance_cpu_offers(context, query);
    case OpKind::bce:
      return bce_cpu_offers(context, query);
    case OpKind::region_loss:
      return region_loss_cpu_offers(context, query);
    case OpKind::yolo_loss:
      return yolo_loss_cpu_offers(context, query);
    case OpKind::ssd_loss:
      return ssd_loss_cpu_offers(context, query);
    case OpKind::topk_count:
      return topk_count_cpu_offers(context, query);
  }
  return {};
}

bool has_gradient(const KernelQuery& query) {
  for (std::size_t i = 0; i < query.inputs.size(); ++i) {
    if (query.op->differentiable(static_cast<int>(i))) return true;
  }
  return false;
}

// The others are rare: the plan converts around their f32 kernels.
bool works_in_bf16(OpKind kind) {
  switch (kind) {
    case OpKind::input_u8:
    case OpKind::conv2d:
    case OpKind::conv2d_transpose:
    case OpKind::linear:
    case OpKind::batchnorm:
    case OpKind::act:
    case OpKind::dropout:
    case OpKind::pool:
    case OpKind::adaptive_avgpool:
    case OpKind::add:
    case OpKind::concat:
    case OpKind::reshape:
      return onednn_bf16() != Bf16Support::none;
    default:
      return false;
  }
}

// Why a query cannot be served; empty when it can. Shapes have been inferred by the caller.
std::string refusal(const KernelQuery& query) {
  const Op& op = *query.op;
  const DType dtype = op.kind() == OpKind::input_u8 ? query.output.dtype : query.inputs[0].dtype;
  if (dtype != DType::f32 && !(dtype == DType::bf16 && works_in_bf16(op.kind()))) {
    return std::string("this op works in f32, not in ") + to_string(dtype);
  }
  if (query.pass == Pass::forward) {
    if (op.statistics() != Statistics::none && query.mode == Mode::train) {
      return "convolutions do not measure their output";
    }
    const Shape& x = query.inputs[0].shape;
    const bool one = std::int64_t{x.n} * x.spatial() == 1;
    if (op.kind() == OpKind::batchnorm && query.mode == Mode::train && one) {
      return "batch norm cannot be trained on one value a channel (batch x height x width is 1)";
    }
    return "";
  }
  if (op.kind() == OpKind::conv2d && static_cast<const Conv2d&>(op).chain &&
      query.pass == Pass::backward_data) {
    return "convolutions do not sum their gradient up";
  }
  if (!has_gradient(query)) return "this op has no gradient";
  if (op.splits_backward() == (query.pass == Pass::backward)) {
    return "this op has no pass '" + std::string(to_string(query.pass)) + "'";
  }
  // Batch norm's evaluation form is the one gradient that needs nothing from the forward pass.
  if (query.mode == Mode::eval && op.backward_reads().aux && op.kind() != OpKind::batchnorm) {
    return "the forward pass saves nothing for a gradient in evaluation";
  }
  return "";
}

template <typename T>
DAYBREAK_INLINE void accumulate_elements(const T* x, T* y, std::int64_t begin, std::int64_t end) {
#pragma omp simd
  for (std::int64_t i = begin; i < end; ++i) put(y[i], to_float(y[i]) + to_float(x[i]));
}

DAYBREAK_MULTIARCH void accumulate_range(DType dtype, const Bindings& b, std::int64_t begin,
                                         std::int64_t end) {
  with_storage(dtype, [&](auto tag) DAYBREAK_INLINE_LAMBDA {
    using T = decltype(tag);
    accumulate_elements(as<const T>(b.x[0]), as<T>(b.y), begin, end);
  });
}

// "model name : ..." of /proc/cpuinfo.
std::string cpu_model() {
  std::ifstream file("/proc/cpuinfo");
  std::string line;
  while (std::getline(file, line)) {
    if (line.rfind("model name", 0) != 0) continue;
    const std::size_t colon = line.find(": ");
    if (colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown processor";
}

// Two reorders in a row, where oneDNN has no direct one (towards prepared Winograd weights).
class TwoStepReorder final : public Kernel {
 public:
  TwoStepReorder(KernelPtr first, KernelPtr second, std::size_t bytes)
      : first_(std::move(first)), second_(std::move(second)), between_(bytes) {
    bindings_.x.resize(1);
  }
  void run(const Bindings& b) override {
    bindings_.x[0] = b.x[0];
    bindings_.y = between_.data();
    first_->run(bindings_);
    bindings_.x[0] = between_.data();
    bindings_.y = b.y;
    second_->run(bindings_);
  }

 private:
  KernelPtr first_, second_;
  AlignedBuffer between_;
  Bindings bindings_;
};

class CpuBackend final : public Backend {
 public:
  explicit CpuBackend(int threads)
      : threads_(threads > 0 ? threads : usable_cores()),
        layouts_(onednn_channel_block()),
        onednn_(&layouts_) {
    set_compute_threads(threads_);
    context_ = {&layouts_, &onednn_, layouts_.block()};
  }

  std::string name() const override { return "cpu"; }

  std::string identity() const override {
    return cpu_model() + ", " + onednn_isa() + ", oneDNN " + onednn_version() + ", " +
           std::to_string(threads_) + (threads_ == 1 ? " thread" : " threads");
  }

  int kernel_set() const override { return 3; }
  bool measurable() const override { return true; }
  bool supports(DType dtype) const override {
    return dtype == DType::f32 || (dtype == DType::bf16 && onednn_bf16() != Bf16Support::none);
  }
  std::string caution(DType dtype) const override {
    if (dtype != DType::bf16 || onednn_bf16() != Bf16Support::emulated) return "";
    return "this processor (" + onednn_isa() +
           ") has no bf16 arithmetic: bf16 is emulated and slower than f32";
  }

  std::vector<KernelOffer> offers(const KernelQuery& query, std::string* reason) override {
    std::string why_not = refusal(query);
    if (why_not.empty()) {
      CpuOffers offers = offers_of(context_, query, &why_not);
      if (!offers.empty()) return offers;
      if (why_not.empty()) why_not = "oneDNN has no implementation for these shapes";
    }
    if (reason) *reason = why_not;
    return {};
  }

  bool norms_in_place(DType dtype) const override { return dtype == DType::f32; }
  bool fuses_into_conv(const Activation& act) const override { return onednn_fuses(act.kind); }

  std::size_t layout_bytes(const Shape& shape, DType dtype, Layout layout) const override {
    return layouts_.bytes(shape, dtype, layout);
  }
  std::string layout_name(Layout layout) const override { return layouts_.name(layout); }

  KernelPtr reorder(const TensorDesc& from, const TensorDesc& to) override {
    DAYBREAK_ASSERT(from.shape == to.shape);
    if (from.dtype == to.dtype && same_bytes(from, to)) {
      const std::size_t bytes = to.bytes;
      const auto copy = [bytes](const Bindings& b) {
        if (b.y != b.x[0]) std::memcpy(b.y, b.x[0], bytes);
      };
      return std::make_unique<CpuKernel<decltype(copy)>>(copy);
    }
    const int groups = std::max(layouts_.groups(from.layout), layouts_.groups(to.layout));
    const auto desc = [&](const TensorDesc& d, Layout layout) {
      return layouts_.memory_desc(d.shape, d.dtype, layout, groups);
    };
    if (KernelPtr kernel = onednn_.reorder(desc(from, from.layout), desc(to, to.layout))) {
      return kernel;
    }
    const TensorDesc plain = context_.with_layout(to, kNchw);
    KernelPtr first = onednn_.reorder(desc(from, from.layout), desc(plain, kNchw));
    KernelPtr second = onednn_.reorder(desc(plain, kNchw), desc(to, to.layout));
    if (!first || !second) {
      throw DeviceError("oneDNN cannot reorder " + to_string(from.shape) + " from " +
                        layout_name(from.layout) + " to " + layout_name(to.layout));
    }
    return std::make_unique<TwoStepReorder>(std::move(first), std::move(second), plain.bytes);
  }

  bool same_bytes(const TensorDesc& a, const TensorDesc& b) const override {
    return a.shape == b.shape && a.dtype == b.dtype &&
           layouts_.same_bytes(a.shape, a.layout, b.layout);
  }

  bool storable(const TensorDesc& desc) const override {
    return desc.dtype == DType::f32 && !layouts_.is_opaque(desc.layout);
  }

  KernelPtr accumulate(const TensorDesc& desc) override {
    const DType dtype = desc.dtype;
    DAYBREAK_ASSERT(supports(dtype));
    const std::int64_t count = static_cast<std::int64_t>(desc.bytes / element_size(dtype));
    const auto add = [count, dtype](const Bindings& b) {
      parallel_for(count, kGrain, [&](std::int64_t begin, std::int64_t end) {
        accumulate_range(dtype, b, begin, end);
      });
    };
    return std::make_unique<CpuKernel<decltype(add)>>(add);
  }

  std::unique_ptr<UpdateKernel> optimizer(const OptimizerAttrs& attrs, DType dtype) override {
    DAYBREAK_ASSERT(dtype == DType::f32);
    return make_cpu_update(attrs);
  }

  void blend(std::byte* average, const std::byte* values, std::size_t count, DType dtype,
             double share) override {
    DAYBREAK_ASSERT(dtype == DType::f32);
    blend_floats(as(average), reinterpret_cast<const float*>(values), count,
                 static_cast<float>(share));
  }
  void exchange(std::byte* a, std::byte* b, std::size_t count, DType dtype) override {
    DAYBREAK_ASSERT(dtype == DType::f32);
    exchange_floats(as(a), as(b), count);
  }

  MemoryPtr allocate(std::size_t bytes) override { return allocate_cpu_memory(bytes); }
  std::size_t free_bytes() const override { return available_host_memory(); }
  void copy_in(std::byte* to, const void* from, std::size_t bytes) override {
    if (bytes > 0) std::memcpy(to, from, bytes);
  }
  void copy_out(void* to, const std::byte* from, std::size_t bytes) override {
    if (bytes > 0) std::memcpy(to, from, bytes);
  }
  void synchronize() override {}
  KernelPtr step_work(StepWork work, DType dtype) override {
    return make_host_step_work(work, dtype);
  }
  KernelPtr row_keeper(const RowRecipe& recipe) override {
    return std::make_unique<HostRowKeeper>(recipe);
  }

 private:
  int threads_;
  LayoutRegistry layouts_;
  OneDnn onednn_;
  CpuContext context_;
};

}  // namespace

BackendPtr make_cpu_backend(int threads) {
  return std::make_unique<CpuBackend>(threads);
}

}  // namespace daybreak
