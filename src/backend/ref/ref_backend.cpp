#include "backend/ref/ref_backend.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <limits>

#include "backend/blend.h"
#include "backend/ref/ref_kernel.h"
#include "backend/ref/ref_ops.h"
#include "backend/ref/ref_update.h"
#include "core/error.h"

namespace daybreak {

namespace {

std::vector<KernelOffer> offers_of(const KernelQuery& query) {
  switch (query.op->kind()) {
    case OpKind::input_u8:
      return input_u8_ref_offers(query);
    case OpKind::conv2d:
      return conv2d_ref_offers(query);
    case OpKind::conv2d_transpose:
      return conv2d_transpose_ref_offers(query);
    case OpKind::linear:
      return linear_ref_offers(query);
    case OpKind::batchnorm:
      return batchnorm_ref_offers(query);
    case OpKind::instancenorm:
      return instancenorm_ref_offers(query);
    case OpKind::act:
      return act_ref_offers(query);
    case OpKind::softmax:
      return softmax_ref_offers(query);
    case OpKind::dropout:
      return dropout_ref_offers(query);
    case OpKind::pool:
      return pool_ref_offers(query);
    case OpKind::adaptive_avgpool:
      return adaptive_avgpool_ref_offers(query);
    case OpKind::upsample:
      return upsample_ref_offers(query);
    case OpKind::pad:
      return pad_ref_offers(query);
    case OpKind::add:
      return add_ref_offers(query);
    case OpKind::multiply:
      return multiply_ref_offers(query);
    case OpKind::concat:
      return concat_ref_offers(query);
    case OpKind::reorg:
      return reorg_ref_offers(query);
    case OpKind::slice:
      return slice_ref_offers(query);
    case OpKind::reshape:
      return reshape_ref_offers(query);
    case OpKind::softmax_xent:
      return softmax_xent_ref_offers(query);
    case OpKind::hinge:
      return hinge_ref_offers(query);
    case OpKind::distance:
      return distance_ref_offers(query);
    case OpKind::bce:
      return bce_ref_offers(query);
    case OpKind::region_loss:
      return region_loss_ref_offers(query);
    case OpKind::yolo_loss:
      return yolo_loss_ref_offers(query);
    case OpKind::ssd_loss:
      return ssd_loss_ref_offers(query);
    case OpKind::topk_count:
      return topk_count_ref_offers(query);
  }
  return {};
}

bool takes_labels(OpKind kind) {
  return kind == OpKind::softmax_xent || kind == OpKind::hinge || kind == OpKind::topk_count;
}

/// The type input `i` must have when the op works in `dtype`.
DType input_dtype(const Op& op, std::size_t i, DType dtype) {
  if (op.kind() == OpKind::input_u8) return DType::u8;
  return takes_labels(op.kind()) && i == 1 ? DType::i32 : dtype;
}

bool has_gradient(const Op& op, std::size_t inputs) {
  for (std::size_t i = 0; i < inputs; ++i) {
    if (op.differentiable(static_cast<int>(i))) return true;
  }
  return false;
}

std::string pass_problem(const KernelQuery& query) {
  if (query.pass == Pass::forward) return "";
  const Op& op = *query.op;
  if (!has_gradient(op, query.inputs.size())) return "this op has no gradient";
  if (op.splits_backward() == (query.pass == Pass::backward)) {
    return "this op has no pass '" + std::string(to_string(query.pass)) + "'";
  }
  // Batch norm's evaluation form is the one gradient that needs nothing from the forward pass.
  if (query.mode == Mode::eval && op.backward_reads().aux && op.kind() != OpKind::batchnorm) {
    return "the forward pass saves nothing for a gradient in evaluation";
  }
  return "";
}

/// Why the query cannot be served; empty when it can.
std::string problem(const KernelQuery& query) {
  const Op& op = *query.op;
  const DType dtype = ref_dtype(query);
  if (dtype != DType::f32 && dtype != DType::f64) {
    return std::string("ref works in f32 and f64, not in ") + to_string(dtype);
  }
  std::vector<Shape> shapes;
  for (std::size_t i = 0; i < query.inputs.size(); ++i) {
    const DType wanted = input_dtype(op, i, dtype);
    const bool integer = wanted == DType::u8 || wanted == DType::i32;
    if (integer && query.inputs[i].dtype != wanted) {
      return std::string("input ") + std::to_string(i) + " must be " + to_string(wanted) +
             ", not " + to_string(query.inputs[i].dtype);
    }
    shapes.push_back(query.inputs[i].shape);
  }
  try {
    if (op.infer(shapes) != query.output.shape) return "the output has another shape";
  } catch (const ShapeError& error) {
    return error.what();
  }
  const std::vector<ParamSpec> specs = op.params(shapes);
  if (specs.size() != query.params.size()) return "wrong number of parameters";
  for (std::size_t i = 0; i < specs.size(); ++i) {
    if (specs[i].shape != query.params[i].shape) return "'" + specs[i].suffix + "' does not fit";
  }
  const bool statistics = op.kind() == OpKind::batchnorm && query.mode == Mode::train;
  if (statistics && std::int64_t{shapes[0].n} * shapes[0].spatial() == 1) {
    return "batch norm cannot be trained on one value a channel (batch x height x width is 1)";
  }
  return pass_problem(query);
}

/// Zeroed host memory, 64-byte aligned.
class HostMemory final : public Memory {
 public:
  explicit HostMemory(std::size_t bytes) : bytes_(bytes) {
    if (bytes == 0) return;
    constexpr std::size_t kAlign = 64;
    const bool fits = bytes <= std::numeric_limits<std::size_t>::max() - kAlign;
    if (fits) data_ = std::aligned_alloc(kAlign, (bytes + kAlign - 1) / kAlign * kAlign);
    if (!data_) throw DeviceError("no memory for " + std::to_string(bytes) + " bytes");
    std::memset(data_, 0, bytes);
  }
  ~HostMemory() override { std::free(data_); }
  HostMemory(const HostMemory&) = delete;
  HostMemory& operator=(const HostMemory&) = delete;
  std::byte* data() override { return static_cast<std::byte*>(data_); }
  std::size_t bytes() const override { return bytes_; }

 private:
  void* data_ = nullptr;
  std::size_t bytes_ = 0;
};

template <typename Body>
auto dispatch_any(DType dtype, Body&& body) {
  switch (dtype) {
    case DType::u8:
      return body(std::uint8_t{});
    case DType::i32:
      return body(std::int32_t{});
    case DType::f32:
      return body(float{});
    case DType::f64:
      return body(double{});
    case DType::bf16:
    case DType::f16:
      break;
  }
  throw DeviceError(std::string("ref has no data type ") + to_string(dtype));
}

std::int64_t position(const TensorDesc& desc, std::int64_t n, int c, int i) {
  const Shape& s = desc.shape;
  return desc.layout == kNhwc ? (n * s.spatial() + i) * s.c + c : (n * s.c + c) * s.spatial() + i;
}

template <typename From, typename To>
KernelPtr make_reorder(const TensorDesc& from, const TensorDesc& to) {
  const auto body = [=](auto, const Bindings& b) {
    const Shape& s = from.shape;
    for (std::int64_t n = 0; n < s.n; ++n) {
      for (int c = 0; c < s.c; ++c) {
        for (int i = 0; i < s.spatial(); ++i) {
          as<To>(b.y)[position(to, n, c, i)] =
              static_cast<To>(as<From>(b.x[0])[position(from, n, c, i)]);
        }
      }
    }
  };
  return std::make_unique<RefKernel<To, decltype(body)>>(body);
}

}  // namespace

std::vector<KernelOffer> RefBackend::offers(const KernelQuery& query, std::string* reason) {
  const std::string why_not = problem(query);
  if (why_not.empty()) return offers_of(query);
  if (reason) *reason = why_not;
  return {};
}

std::size_t RefBackend::layout_bytes(const Shape& shape, DType dtype, Layout) const {
  return plain_desc(shape, dtype).bytes;
}

std::string RefBackend::layout_name(Layout layout) const {
  return layout == kNchw ? "nchw" : layout == kNhwc ? "nhwc" : "?";
}

KernelPtr RefBackend::reorder(const TensorDesc& from, const TensorDesc& to) {
  DAYBREAK_ASSERT(from.shape == to.shape);
  DAYBREAK_ASSERT(from.layout <= kNhwc && to.layout <= kNhwc);
  return dispatch_any(from.dtype, [&](auto a) {
    return dispatch_any(to.dtype,
                        [&](auto b) { return make_reorder<decltype(a), decltype(b)>(from, to); });
  });
}

bool RefBackend::same_bytes(const TensorDesc& a, const TensorDesc& b) const {
  const bool one_order = a.shape.c == 1 || a.shape.spatial() == 1;
  return a.shape == b.shape && a.dtype == b.dtype && (a.layout == b.layout || one_order);
}

bool RefBackend::storable(const TensorDesc& desc) const {
  return supports(desc.dtype) && desc.layout == kNchw;
}

KernelPtr RefBackend::accumulate(const TensorDesc& desc) {
  DAYBREAK_ASSERT(supports(desc.dtype));
  const std::int64_t count = desc.shape.count();
  const auto body = [=]<typename T>(T, const Bindings& b) {
    for (std::int64_t i = 0; i < count; ++i) as<T>(b.y)[i] += as<T>(b.x[0])[i];
  };
  return dispatch_float(desc.dtype, [&](auto tag) -> KernelPtr {
    return std::make_unique<RefKernel<decltype(tag), decltype(body)>>(body);
  });
}

std::unique_ptr<UpdateKernel> RefBackend::optimizer(const OptimizerAttrs& attrs, DType dtype) {
  DAYBREAK_ASSERT(supports(dtype));
  return make_ref_update(attrs, dtype);
}

void RefBackend::blend(std::byte* average, const std::byte* values, std::size_t count, DType dtype,
                       double share) {
  dispatch_float(dtype, [&](auto tag) {
    using T = decltype(tag);
    T* to = as<T>(average);
    const T* from = reinterpret_cast<const T*>(values);
    for (std::size_t i = 0; i < count; ++i) {
      to[i] = static_cast<T>(blended<double>(to[i], from[i], share));
    }
  });
}

void RefBackend::exchange(std::byte* a, std::byte* b, std::size_t count, DType dtype) {
  std::swap_ranges(a, a + count * element_size(dtype), b);
}

MemoryPtr RefBackend::allocate(std::size_t bytes) {
  return std::make_unique<HostMemory>(bytes);
}

void RefBackend::copy_in(std::byte* to, const void* from, std::size_t bytes) {
  if (bytes > 0) std::memcpy(to, from, bytes);
}

void RefBackend::copy_out(void* to, const std::byte* from, std::size_t bytes) {
  if (bytes > 0) std::memcpy(to, from, bytes);
}

BackendPtr make_ref_backend() {
  return std::make_unique<RefBackend>();
}

}  // namespace daybreak
