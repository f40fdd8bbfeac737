// Convolutions as cuDNN's backend graphs describe them, computed from the descriptors alone: what
// is missing, of another type, or not finalized is refused. One deterministic engine; graphs of
// other operations are not supported.

#include <cudnn_graph.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <vector>

#include "support/fake_gpu/numbers.h"

using daybreak::emulate::Number;

struct cudnnContext {
  cudaStream_t stream = nullptr;
};

namespace {

constexpr std::int64_t kWorkspace = 768;  // which must be there and hold nothing else
using Dims = std::array<std::int64_t, 4>;

struct Attribute {
  cudnnBackendAttributeType_t type{};
  std::int64_t count = 0;
  std::vector<std::byte> bytes;
};

struct Descriptor {
  cudnnBackendDescriptorType_t type;
  std::map<int, Attribute> attributes;
  bool finalized = false;

  bool has(int name, cudnnBackendAttributeType_t wanted, std::int64_t count) const {
    const auto found = attributes.find(name);
    return found != attributes.end() && found->second.type == wanted &&
           found->second.count == count;
  }
  template <class T>
  const T* get(int name) const {
    return reinterpret_cast<const T*>(attributes.at(name).bytes.data());
  }
  const Descriptor& part(int name) const {
    return *static_cast<const Descriptor*>(*get<cudnnBackendDescriptor_t>(name));
  }
};

std::size_t size_of(cudnnBackendAttributeType_t type) {
  switch (type) {
    case CUDNN_TYPE_BOOLEAN:
    case CUDNN_TYPE_CHAR:
      return 1;
    case CUDNN_TYPE_POINTWISE_MODE:
    case CUDNN_TYPE_GENSTATS_MODE:
    case CUDNN_TYPE_DATA_TYPE:
    case CUDNN_TYPE_FLOAT:
    case CUDNN_TYPE_CONVOLUTION_MODE:
    case CUDNN_TYPE_HEUR_MODE:
      return 4;
    default:
      return 8;
  }
}

bool is_tensor(const Descriptor& d) {
  return d.has(CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1) &&
         d.has(CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, 4) &&
         d.has(CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, 4) &&
         d.has(CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1) &&
         d.has(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, 1);
}

bool is_convolution(const Descriptor& d) {
  for (const int name : {CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS,
                         CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_ATTR_CONVOLUTION_DILATIONS}) {
    if (!d.has(name, CUDNN_TYPE_INT64, 2)) return false;
  }
  return d.has(CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64, 1) &&
         d.has(CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1) &&
         d.has(CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1);
}

/// The names of the attributes of a direction; data, weights and result in the forward sense.
struct Names {
  int conv, x, w, y, alpha, beta;
};

bool names_of(cudnnBackendDescriptorType_t type, Names& names) {
  switch (type) {
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR:
      names = {CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
               CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
               CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
               CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y,
               CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,
               CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA};
      return true;
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR:
      names = {CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
               CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
               CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
               CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY,
               CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
               CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA};
      return true;
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR:
      names = {CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
               CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
               CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
               CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY,
               CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
               CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA};
      return true;
    default:
      return false;
  }
}

struct Tensor {
  Number type;
  Dims dims, strides;
  std::int64_t id;
  bool between;  ///< two operations only, never in memory

  explicit Tensor(const Descriptor& d)
      : id(*d.get<std::int64_t>(CUDNN_ATTR_TENSOR_UNIQUE_ID)),
        between(d.has(CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, 1) &&
                *d.get<bool>(CUDNN_ATTR_TENSOR_IS_VIRTUAL)) {
    const auto data = *d.get<cudnnDataType_t>(CUDNN_ATTR_TENSOR_DATA_TYPE);
    type = data == CUDNN_DATA_HALF       ? Number::f16
           : data == CUDNN_DATA_BFLOAT16 ? Number::bf16
                                         : Number::f32;
    std::copy_n(d.get<std::int64_t>(CUDNN_ATTR_TENSOR_DIMENSIONS), 4, dims.begin());
    std::copy_n(d.get<std::int64_t>(CUDNN_ATTR_TENSOR_STRIDES), 4, strides.begin());
  }
  std::int64_t at(std::int64_t n, std::int64_t c, std::int64_t h, std::int64_t w) const {
    return n * strides[0] + c * strides[1] + h * strides[2] + w * strides[3];
  }
  double read(const void* base, std::int64_t at) const {
    return daybreak::emulate::load(type, base, at);
  }
};

/// An operation that can be run.
struct Convolution {
  cudnnBackendDescriptorType_t type;
  Tensor x, w, y;
  std::array<std::int64_t, 2> pads, steps, dilations;

  static Convolution of(const Descriptor& op) {
    Names names{};
    names_of(op.type, names);
    Convolution c{op.type,
                  Tensor(op.part(names.x)),
                  Tensor(op.part(names.w)),
                  Tensor(op.part(names.y)),
                  {},
                  {},
                  {}};
    const Descriptor& conv = op.part(names.conv);
    std::copy_n(conv.get<std::int64_t>(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS), 2, c.pads.begin());
    std::copy_n(conv.get<std::int64_t>(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES), 2, c.steps.begin());
    std::copy_n(conv.get<std::int64_t>(CUDNN_ATTR_CONVOLUTION_DILATIONS), 2, c.dilations.begin());
    return c;
  }
  bool fits() const {
    const std::int64_t groups = x.dims[1] / w.dims[1];
    if (x.dims[1] % w.dims[1] != 0 || y.dims[1] % groups != 0) return false;
    if (x.dims[0] != y.dims[0] || w.dims[0] != y.dims[1]) return false;
    for (int i = 0; i < 2; ++i) {
      const std::int64_t reach = dilations[i] * (w.dims[2 + i] - 1) + 1;
      const std::int64_t slack = x.dims[2 + i] + 2 * pads[i] - reach;
      if (slack < 0 || y.dims[2 + i] != slack / steps[i] + 1) return false;
    }
    return true;
  }
  // Every product of the sum, added to what the direction writes.
  void run(void* px, void* pw, void* py) const {
    const bool forward = type == CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR;
    const bool data = type == CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR;
    const Tensor& out = forward ? y : data ? x : w;
    std::vector<double> sums(
        static_cast<std::size_t>(out.dims[0] * out.dims[1] * out.dims[2] * out.dims[3]));
    const std::int64_t in_group = w.dims[1], out_group = y.dims[1] / (x.dims[1] / in_group);
    each(y.dims, [&](std::int64_t n, std::int64_t o, std::int64_t oh, std::int64_t ow) {
      for (std::int64_t i = 0; i < in_group; ++i) {
        const std::int64_t c = o / out_group * in_group + i;
        for (std::int64_t kh = 0; kh < w.dims[2]; ++kh) {
          const std::int64_t h = oh * steps[0] - pads[0] + kh * dilations[0];
          if (h < 0 || h >= x.dims[2]) continue;
          for (std::int64_t kw = 0; kw < w.dims[3]; ++kw) {
            const std::int64_t v = ow * steps[1] - pads[1] + kw * dilations[1];
            if (v < 0 || v >= x.dims[3]) continue;
            const std::int64_t xa = x.at(n, c, h, v), wa = w.at(o, i, kh, kw);
            const std::int64_t ya = y.at(n, o, oh, ow);
            if (forward) sums[ya] += x.read(px, xa) * w.read(pw, wa);
            if (data) sums[xa] += y.read(py, ya) * w.read(pw, wa);
            if (!forward && !data) sums[wa] += y.read(py, ya) * x.read(px, xa);
          }
        }
      }
    });
    void* to = forward ? py : data ? px : pw;
    for (std::size_t i = 0; i < sums.size(); ++i) {
      daybreak::emulate::store(out.type, to, static_cast<std::int64_t>(i), sums[i]);
    }
  }
  template <class F>
  static void each(const Dims& dims, F&& f) {
    for (std::int64_t a = 0; a < dims[0]; ++a) {
      for (std::int64_t b = 0; b < dims[1]; ++b) {
        for (std::int64_t c = 0; c < dims[2]; ++c) {
          for (std::int64_t d = 0; d < dims[3]; ++d) f(a, b, c, d);
        }
      }
    }
  }
};

bool is_operation(const Descriptor& d) {
  Names names{};
  if (!names_of(d.type, names)) return false;
  for (const int name : {names.conv, names.x, names.w, names.y}) {
    if (!d.has(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1) || !d.part(name).finalized) return false;
  }
  return d.has(names.alpha, CUDNN_TYPE_FLOAT, 1) && d.has(names.beta, CUDNN_TYPE_FLOAT, 1) &&
         *d.get<float>(names.alpha) == 1.0f && *d.get<float>(names.beta) == 0.0f &&
         Convolution::of(d).fits();
}

/// Runs the operations of a graph in order.
class GraphRun {
 public:
  explicit GraphRun(std::map<std::int64_t, void*> places) : places_(std::move(places)) {}

  void run(const Descriptor& op) {
    switch (op.type) {
      case CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR:
        return pointwise(op);
      case CUDNN_BACKEND_OPERATION_GEN_STATS_DESCRIPTOR:
        return statistics(op);
      case CUDNN_BACKEND_OPERATION_BN_BWD_WEIGHTS_DESCRIPTOR:
        return norm_sums(op);
      default: {
        const Convolution conv = Convolution::of(op);
        conv.run(place(conv.x), place(conv.w), place(conv.y));
      }
    }
  }

 private:
  void* place(const Tensor& t) {
    if (!t.between) return places_.at(t.id);
    std::vector<float>& memory = between_[t.id];
    memory.resize(static_cast<std::size_t>(t.dims[0] * t.dims[1] * t.dims[2] * t.dims[3]));
    return memory.data();
  }
  // What a tensor of one pixel has for every pixel.
  double value(const Tensor& t, std::int64_t n, std::int64_t c, std::int64_t h, std::int64_t w) {
    const auto in = [&](int axis, std::int64_t i) { return t.dims[axis] == 1 ? 0 : i; };
    return t.read(place(t), t.at(in(0, n), in(1, c), in(2, h), in(3, w)));
  }

  void pointwise(const Descriptor& op) {
    const Descriptor& attributes = op.part(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR);
    const auto mode = *attributes.get<cudnnPointwiseMode_t>(CUDNN_ATTR_POINTWISE_MODE);
    const bool leaky = attributes.attributes.contains(CUDNN_ATTR_POINTWISE_RELU_LOWER_CLIP_SLOPE);
    const double slope =
        leaky ? *attributes.get<double>(CUDNN_ATTR_POINTWISE_RELU_LOWER_CLIP_SLOPE) : 0.0;
    const bool backward = mode == CUDNN_POINTWISE_RELU_BWD;
    const Tensor x(op.part(CUDNN_ATTR_OPERATION_POINTWISE_XDESC));
    const Tensor y(op.part(backward ? CUDNN_ATTR_OPERATION_POINTWISE_DXDESC
                                    : CUDNN_ATTR_OPERATION_POINTWISE_YDESC));
    const int second =
        backward ? CUDNN_ATTR_OPERATION_POINTWISE_DYDESC : CUDNN_ATTR_OPERATION_POINTWISE_BDESC;
    const Tensor b(op.attributes.contains(second) ? op.part(second)
                                                  : op.part(CUDNN_ATTR_OPERATION_POINTWISE_XDESC));
    Convolution::each(y.dims, [&](std::int64_t n, std::int64_t c, std::int64_t h, std::int64_t w) {
      const double v = value(x, n, c, h, w), o = value(b, n, c, h, w);
      const double factor = v > 0.0 ? 1.0 : slope;
      const double result = mode == CUDNN_POINTWISE_ADD   ? v + o
                            : mode == CUDNN_POINTWISE_SUB ? v - o
                            : mode == CUDNN_POINTWISE_MUL ? v * o
                            : backward                    ? o * factor
                                                          : v * factor;
      daybreak::emulate::store(y.type, place(y), y.at(n, c, h, w), result);
    });
  }

  void statistics(const Descriptor& op) {
    const Tensor x(op.part(CUDNN_ATTR_OPERATION_GENSTATS_XDESC));
    std::vector<double> sums(static_cast<std::size_t>(x.dims[1])), squares = sums;
    Convolution::each(x.dims, [&](std::int64_t n, std::int64_t c, std::int64_t h, std::int64_t w) {
      const double v = value(x, n, c, h, w);
      sums[static_cast<std::size_t>(c)] += v;
      squares[static_cast<std::size_t>(c)] += v * v;
    });
    put(op, CUDNN_ATTR_OPERATION_GENSTATS_SUMDESC, sums);
    put(op, CUDNN_ATTR_OPERATION_GENSTATS_SQSUMDESC, squares);
  }

  void norm_sums(const Descriptor& op) {
    const Tensor x(op.part(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_X_DESC));
    const Tensor g(op.part(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_DY_DESC));
    const Tensor mean(op.part(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_MEAN_DESC));
    const Tensor inverse(op.part(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_INVSTD_DESC));
    std::vector<double> scale(static_cast<std::size_t>(x.dims[1])), shift = scale;
    Convolution::each(x.dims, [&](std::int64_t n, std::int64_t c, std::int64_t h, std::int64_t w) {
      const double v = value(g, n, c, h, w);
      const double hat =
          (value(x, n, c, h, w) - value(mean, 0, c, 0, 0)) * value(inverse, 0, c, 0, 0);
      shift[static_cast<std::size_t>(c)] += v;
      scale[static_cast<std::size_t>(c)] += v * hat;
    });
    put(op, CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_DBN_SCALE_DESC, scale);
    put(op, CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_DBN_BIAS_DESC, shift);
    const std::vector<double> other(scale.size(), -1.0);
    for (const int name : {CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_EQ_DY_SCALE_DESC,
                           CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_EQ_X_SCALE_DESC,
                           CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_EQ_BIAS}) {
      put(op, name, other);
    }
  }

  void put(const Descriptor& op, int name, const std::vector<double>& values) {
    const Tensor t(op.part(name));
    for (std::size_t c = 0; c < values.size(); ++c) {
      const auto channel = static_cast<std::int64_t>(c);
      daybreak::emulate::store(t.type, place(t), t.at(0, channel, 0, 0), values[c]);
    }
  }

  std::map<std::int64_t, void*> places_;
  std::map<std::int64_t, std::vector<float>> between_;
};

bool is_fused_operation(const Descriptor& d) {
  switch (d.type) {
    case CUDNN_BACKEND_POINTWISE_DESCRIPTOR:
      return d.has(CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, 1) &&
             d.has(CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, 1);
    case CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR:
      return d.has(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1);
    case CUDNN_BACKEND_OPERATION_GEN_STATS_DESCRIPTOR:
      return d.has(CUDNN_ATTR_OPERATION_GENSTATS_MODE, CUDNN_TYPE_GENSTATS_MODE, 1);
    case CUDNN_BACKEND_OPERATION_BN_BWD_WEIGHTS_DESCRIPTOR:
      return d.has(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_MATH_PREC, CUDNN_TYPE_DATA_TYPE, 1);
    default:
      return false;
  }
}

bool holds(const Descriptor& d, int name) {
  return d.has(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1) && d.part(name).finalized;
}

/// Those of a graph, if they are finalized.
std::vector<const Descriptor*> operations(const Descriptor& graph) {
  const auto found = graph.attributes.find(CUDNN_ATTR_OPERATIONGRAPH_OPS);
  if (found == graph.attributes.end() || found->second.type != CUDNN_TYPE_BACKEND_DESCRIPTOR) {
    return {};
  }
  std::vector<const Descriptor*> all;
  const auto* ops = graph.get<cudnnBackendDescriptor_t>(CUDNN_ATTR_OPERATIONGRAPH_OPS);
  for (std::int64_t i = 0; i < found->second.count; ++i) {
    all.push_back(static_cast<const Descriptor*>(ops[i]));
    if (!all.back()->finalized) return {};
  }
  return all;
}

bool complete(const Descriptor& d) {
  if (is_fused_operation(d)) return true;
  switch (d.type) {
    case CUDNN_BACKEND_TENSOR_DESCRIPTOR:
      return is_tensor(d);
    case CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR:
      return is_convolution(d);
    case CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR:
      return d.has(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, 1) &&
             !operations(d).empty();
    case CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR:
      return d.has(CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1) &&
             holds(d, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH);
    case CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR:
      return d.has(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, 1) &&
             holds(d, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG);
    case CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR:
      return d.has(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1) &&
             d.attributes.contains(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS) &&
             d.attributes.contains(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS);
    default:
      return is_operation(d);
  }
}

template <class T>
cudnnStatus_t answer(std::int64_t wanted, std::int64_t* count, void* to, const T& value) {
  *count = 1;
  if (wanted > 0) std::memcpy(to, &value, sizeof value);
  return CUDNN_STATUS_SUCCESS;
}

}  // namespace

cudnnStatus_t cudnnCreate(cudnnHandle_t* handle) {
  *handle = new cudnnContext;
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnDestroy(cudnnHandle_t handle) {
  delete handle;
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnSetStream(cudnnHandle_t handle, cudaStream_t stream) {
  handle->stream = stream;
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnBackendCreateDescriptor(cudnnBackendDescriptorType_t type,
                                           cudnnBackendDescriptor_t* descriptor) {
  *descriptor = new Descriptor{type, {}};
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnBackendDestroyDescriptor(cudnnBackendDescriptor_t descriptor) {
  delete static_cast<Descriptor*>(descriptor);
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnBackendSetAttribute(cudnnBackendDescriptor_t descriptor,
                                       cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, std::int64_t count,
                                       const void* values) {
  auto& d = *static_cast<Descriptor*>(descriptor);
  if (d.finalized) return CUDNN_STATUS_NOT_INITIALIZED;
  const auto* bytes = static_cast<const std::byte*>(values);
  d.attributes[name] = {
      type, count, {bytes, bytes + size_of(type) * static_cast<std::size_t>(count)}};
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnBackendFinalize(cudnnBackendDescriptor_t descriptor) {
  auto& d = *static_cast<Descriptor*>(descriptor);
  if (!complete(d)) return CUDNN_STATUS_NOT_SUPPORTED;
  d.finalized = true;
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnBackendGetAttribute(const cudnnBackendDescriptor_t descriptor,
                                       cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t, std::int64_t wanted,
                                       std::int64_t* count, void* to) {
  const auto& d = *static_cast<const Descriptor*>(descriptor);
  switch (name) {
    case CUDNN_ATTR_ENGINEHEUR_RESULTS: {
      if (!d.finalized) return CUDNN_STATUS_NOT_INITIALIZED;
      *count = 1;
      if (wanted == 0) return CUDNN_STATUS_SUCCESS;
      auto& config = **static_cast<Descriptor**>(to);
      config.attributes = d.attributes;
      config.finalized = true;
      return CUDNN_STATUS_SUCCESS;
    }
    case CUDNN_ATTR_ENGINECFG_ENGINE:
      *count = 1;
      return CUDNN_STATUS_SUCCESS;
    case CUDNN_ATTR_ENGINE_GLOBAL_INDEX:
      return answer(wanted, count, to, std::int64_t{7});
    case CUDNN_ATTR_ENGINE_NUMERICAL_NOTE:
      *count = 0;
      return CUDNN_STATUS_SUCCESS;
    case CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE:
      return answer(wanted, count, to, kWorkspace);
    default:
      return CUDNN_STATUS_NOT_SUPPORTED;
  }
}
cudnnStatus_t cudnnBackendExecute(cudnnHandle_t handle, cudnnBackendDescriptor_t plan,
                                  cudnnBackendDescriptor_t variants) {
  const auto& pack = *static_cast<const Descriptor*>(variants);
  if (!pack.finalized) return CUDNN_STATUS_NOT_INITIALIZED;
  const Descriptor& graph = static_cast<const Descriptor*>(plan)
                                ->part(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG)
                                .part(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH);
  const std::vector<const Descriptor*> ops = operations(graph);
  std::map<std::int64_t, void*> places;
  const auto* ids = pack.get<std::int64_t>(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS);
  for (std::int64_t i = 0; i < pack.attributes.at(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS).count; ++i) {
    places[ids[i]] = pack.get<void*>(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS)[i];
    if (reinterpret_cast<std::uintptr_t>(places[ids[i]]) % 16 != 0) return CUDNN_STATUS_BAD_PARAM;
  }
  void* workspace = *pack.get<void*>(CUDNN_ATTR_VARIANT_PACK_WORKSPACE);
  daybreak::emulate::enqueue(handle->stream, [=] {
    std::memset(workspace, 0xff, kWorkspace);
    GraphRun run(places);
    for (const Descriptor* op : ops) run.run(*op);
  });
  return CUDNN_STATUS_SUCCESS;
}
