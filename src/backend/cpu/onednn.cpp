#include "backend/cpu/onednn.h"

#include <memory>
#include <utility>

#include "backend/cpu/aligned_buffer.h"
#include "core/error.h"

namespace daybreak {
namespace {

using dnnl::memory;

// Where a primitive finds an argument among the Bindings.
enum class Slot : std::uint8_t { x, dx, w, dw, y, dy, workspace };

struct Argument {
  int name;  // DNNL_ARG_*
  Slot slot;
  std::size_t index;
  memory::desc desc;
};

std::byte* at(const std::vector<std::byte*>& pointers, std::size_t i) {
  return i < pointers.size() ? pointers[i] : nullptr;
}

std::byte* find(const Bindings& b, Slot slot, std::size_t index) {
  switch (slot) {
    case Slot::x:
      return at(b.x, index);
    case Slot::dx:
      return at(b.dx, index);
    case Slot::w:
      return at(b.w, index);
    case Slot::dw:
      return at(b.dw, index);
    case Slot::y:
      return b.y;
    case Slot::dy:
      return b.dy;
    case Slot::workspace:
      return b.workspace;
  }
  return nullptr;
}

// Owns a primitive and its memory objects; run() sets pointers and executes. A pointer is set only
// when it changed: oneDNN then also zeroes the padding of blocked tensors, which costs a pass.
class PrimitiveKernel final : public Kernel {
 public:
  PrimitiveKernel(dnnl::engine engine, dnnl::stream stream, const_dnnl_primitive_desc_t desc,
                  const std::vector<Argument>& arguments)
      : engine_(std::move(engine)), stream_(std::move(stream)), primitive_(desc) {
    for (const Argument& argument : arguments) {
      Bound bound;
      bound.slot = argument.slot;
      bound.index = argument.index;
      bound.memory = dnnl::memory(argument.desc, engine_, DNNL_MEMORY_NONE);
      bound.bytes = argument.desc.get_size();
      exec_.push_back({argument.name, bound.memory.get()});
      bound_.push_back(std::move(bound));
    }
  }

  void run(const Bindings& bindings) override {
    for (Bound& bound : bound_) {
      std::byte* pointer = find(bindings, bound.slot, bound.index);
      if (!pointer) pointer = unwanted(bound);
      if (pointer == bound.last) continue;
      bound.memory.set_data_handle(pointer, stream_);
      bound.last = pointer;
    }
    const dnnl_status_t status = dnnl_primitive_execute(
        primitive_.get(), stream_.get(), static_cast<int>(exec_.size()), exec_.data());
    if (status != dnnl_success) {
      throw DeviceError("oneDNN could not run a primitive (status " + std::to_string(status) + ")");
    }
  }

 private:
  struct Bound {
    Slot slot = Slot::x;
    std::size_t index = 0;
    dnnl::memory memory;
    std::size_t bytes = 0;
    AlignedBuffer unwanted;
    std::byte* last = nullptr;
  };

  // The primitive writes both gradients; one that nobody wants (a frozen bias) goes to a buffer of
  // the kernel, made in the first run.
  std::byte* unwanted(Bound& bound) {
    DAYBREAK_ASSERT(bound.slot == Slot::dw);
    if (!bound.unwanted.data()) bound.unwanted = AlignedBuffer(bound.bytes);
    return bound.unwanted.data();
  }

  dnnl::engine engine_;
  dnnl::stream stream_;
  dnnl::primitive primitive_;
  std::vector<Bound> bound_;
  std::vector<dnnl_exec_arg_t> exec_;
};

dnnl::primitive_attr user_scratchpad() {
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attr;
}

// The answer shared by all kinds of primitives; layouts are filled in by the caller.
template <typename PrimitiveDesc>
OneDnnAnswer answer_of(const OneDnn& onednn, const PrimitiveDesc& pd,
                       std::vector<Argument> arguments) {
  OneDnnAnswer answer;
  answer.implementation = pd.impl_info_str();
  answer.workspace_bytes = pd.scratchpad_desc().get_size();
  if (answer.workspace_bytes > 0) {
    arguments.push_back({DNNL_ARG_SCRATCHPAD, Slot::workspace, 0, pd.scratchpad_desc()});
  }
  answer.make = [engine = onednn.engine(), stream = onednn.stream(), pd,
                 arguments = std::move(arguments)]() -> KernelPtr {
    return std::make_unique<PrimitiveKernel>(engine, stream, pd.get(), arguments);
  };
  return answer;
}

// Convolution and deconvolution have the same interface in oneDNN.
struct ConvTypes {
  using forward = dnnl::convolution_forward;
  using backward_data = dnnl::convolution_backward_data;
  using backward_weights = dnnl::convolution_backward_weights;
  static dnnl::algorithm algorithm(ConvAlgorithm a) {
    return a == ConvAlgorithm::winograd ? dnnl::algorithm::convolution_winograd
                                        : dnnl::algorithm::convolution_direct;
  }
};
struct DeconvTypes {
  using forward = dnnl::deconvolution_forward;
  using backward_data = dnnl::deconvolution_backward_data;
  using backward_weights = dnnl::deconvolution_backward_weights;
  static dnnl::algorithm algorithm(ConvAlgorithm a) {
    return a == ConvAlgorithm::winograd ? dnnl::algorithm::deconvolution_winograd
                                        : dnnl::algorithm::deconvolution_direct;
  }
};

struct ConvDescs {
  memory::desc x, y, w, bias;
  memory::dims stride, dilation, before, after;
};

memory::desc any_desc(const memory::dims& dims, DType dtype) {
  return memory::desc(dims, dnnl_type(dtype), memory::format_tag::any);
}

// Weights are read in the activations' type, their gradients are written in f32.
DType weight_type(DType dtype, Pass pass) {
  return pass == Pass::backward_weights ? DType::f32 : dtype;
}

ConvDescs conv_descs(const LayoutRegistry& layouts, const ConvProblem& p, Pass pass,
                     const ConvWish& wish) {
  const auto activation = [&](const Shape& s, const std::optional<Layout>& layout) {
    return layout ? layouts.memory_desc(s, p.dtype, *layout)
                  : any_desc({s.n, s.c, s.h, s.w}, p.dtype);
  };
  ConvDescs d;
  d.x = activation(p.x, wish.x);
  d.y = activation(p.y, wish.y);
  const int oc = p.y.c / p.groups, ic = p.x.c / p.groups;
  const DType type = weight_type(p.dtype, pass);
  d.w = p.groups == 1 ? any_desc({oc, ic, p.w.h, p.w.w}, type)
                      : any_desc({p.groups, oc, ic, p.w.h, p.w.w}, type);
  if (p.bias) d.bias = memory::desc({p.y.c}, memory::data_type::f32, memory::format_tag::a);
  d.stride = {p.stride[0], p.stride[1]};
  d.dilation = {p.dilation[0] - 1, p.dilation[1] - 1};
  d.before = {p.pad_before[0], p.pad_before[1]};
  d.after = {p.pad_after[0], p.pad_after[1]};
  return d;
}

// oneDNN's weights are [OC, IC]; a transposed convolution's parameter is [IC, OC].
memory::desc swap_channels(const memory::desc& desc) {
  return desc.data.ndims == 4 ? desc.permute_axes({1, 0, 2, 3})
                              : desc.permute_axes({0, 2, 1, 3, 4});
}

template <typename T>
typename T::forward::primitive_desc forward_pd(const ConvDescs& d, dnnl::prop_kind kind,
                                               ConvAlgorithm algorithm, bool bias,
                                               const dnnl::engine& engine) {
  using Desc = typename T::forward::desc;
  const Desc desc = bias ? Desc(kind, T::algorithm(algorithm), d.x, d.w, d.bias, d.y, d.stride,
                                d.dilation, d.before, d.after)
                         : Desc(kind, T::algorithm(algorithm), d.x, d.w, d.y, d.stride, d.dilation,
                                d.before, d.after);
  return {desc, user_scratchpad(), engine};
}

struct Chosen {
  OneDnnAnswer answer;
  memory::desc x, y, w;
};

template <typename T>
Chosen conv_forward(const OneDnn& onednn, const ConvDescs& d, const ConvProblem& p,
                    const ConvWish& wish) {
  const auto kind =
      wish.inference ? dnnl::prop_kind::forward_inference : dnnl::prop_kind::forward_training;
  const auto pd = forward_pd<T>(d, kind, wish.algorithm, p.bias, onednn.engine());
  std::vector<Argument> arguments = {{DNNL_ARG_SRC, Slot::x, 0, pd.src_desc()},
                                     {DNNL_ARG_WEIGHTS, Slot::w, 0, pd.weights_desc()},
                                     {DNNL_ARG_DST, Slot::y, 0, pd.dst_desc()}};
  if (p.bias) arguments.push_back({DNNL_ARG_BIAS, Slot::w, 1, pd.bias_desc()});
  return {answer_of(onednn, pd, std::move(arguments)), pd.src_desc(), pd.dst_desc(),
          pd.weights_desc()};
}

// The forward descriptor a backward one is created with; it only serves as a hint.
template <typename T>
typename T::forward::primitive_desc hint_pd(const ConvProblem& p, const LayoutRegistry& layouts,
                                            const dnnl::engine& engine) {
  return forward_pd<T>(conv_descs(layouts, p, Pass::forward, {}), dnnl::prop_kind::forward_training,
                       ConvAlgorithm::direct, p.bias, engine);
}

template <typename T>
Chosen conv_backward_data(const OneDnn& onednn, const LayoutRegistry& layouts, const ConvDescs& d,
                          const ConvProblem& p, ConvAlgorithm algorithm) {
  const typename T::backward_data::desc desc(T::algorithm(algorithm), d.x, d.w, d.y, d.stride,
                                             d.dilation, d.before, d.after);
  const typename T::backward_data::primitive_desc pd(desc, user_scratchpad(), onednn.engine(),
                                                     hint_pd<T>(p, layouts, onednn.engine()));
  std::vector<Argument> arguments = {{DNNL_ARG_DIFF_DST, Slot::dy, 0, pd.diff_dst_desc()},
                                     {DNNL_ARG_WEIGHTS, Slot::w, 0, pd.weights_desc()},
                                     {DNNL_ARG_DIFF_SRC, Slot::dx, 0, pd.diff_src_desc()}};
  return {answer_of(onednn, pd, std::move(arguments)), pd.diff_src_desc(), pd.diff_dst_desc(),
          pd.weights_desc()};
}

template <typename T>
Chosen conv_backward_weights(const OneDnn& onednn, const LayoutRegistry& layouts,
                             const ConvDescs& d, const ConvProblem& p, ConvAlgorithm algorithm) {
  using Desc = typename T::backward_weights::desc;
  const Desc desc = p.bias ? Desc(T::algorithm(algorithm), d.x, d.w, d.bias, d.y, d.stride,
                                  d.dilation, d.before, d.after)
                           : Desc(T::algorithm(algorithm), d.x, d.w, d.y, d.stride, d.dilation,
                                  d.before, d.after);
  const typename T::backward_weights::primitive_desc pd(desc, user_scratchpad(), onednn.engine(),
                                                        hint_pd<T>(p, layouts, onednn.engine()));
  std::vector<Argument> arguments = {{DNNL_ARG_SRC, Slot::x, 0, pd.src_desc()},
                                     {DNNL_ARG_DIFF_DST, Slot::dy, 0, pd.diff_dst_desc()},
                                     {DNNL_ARG_DIFF_WEIGHTS, Slot::dw, 0, pd.diff_weights_desc()}};
  if (p.bias) {
    arguments.push_back({DNNL_ARG_DIFF_BIAS, Slot::dw, 1, pd.diff_bias_desc()});
  }
  return {answer_of(onednn, pd, std::move(arguments)), pd.src_desc(), pd.diff_dst_desc(),
          pd.diff_weights_desc()};
}

template <typename T>
Chosen conv_any(const OneDnn& onednn, const LayoutRegistry& layouts, const ConvProblem& p,
                Pass pass, const ConvWish& wish) {
  const ConvDescs d = conv_descs(layouts, p, pass, wish);
  if (pass == Pass::forward) return conv_forward<T>(onednn, d, p, wish);
  if (pass == Pass::backward_data) {
    return conv_backward_data<T>(onednn, layouts, d, p, wish.algorithm);
  }
  return conv_backward_weights<T>(onednn, layouts, d, p, wish.algorithm);
}

// oneDNN's ways to say "there is no such implementation"; anything else is trouble.
bool is_refusal(const dnnl::error& error) {
  return error.status == dnnl_unimplemented || error.status == dnnl_invalid_arguments;
}

[[noreturn]] void throw_trouble(const dnnl::error& error) {
  throw DeviceError(std::string("oneDNN: ") + error.what() + " (status " +
                    std::to_string(error.status) + ")");
}

}  // namespace

OneDnn::OneDnn(LayoutRegistry* layouts)
    : layouts_(layouts), engine_(dnnl::engine::kind::cpu, 0), stream_(engine_) {}

std::optional<OneDnnAnswer> OneDnn::convolution(const ConvProblem& problem, Pass pass,
                                                const ConvWish& wish) {
  try {
    Chosen chosen = problem.transposed
                        ? conv_any<DeconvTypes>(*this, *layouts_, problem, pass, wish)
                        : conv_any<ConvTypes>(*this, *layouts_, problem, pass, wish);
    OneDnnAnswer answer = std::move(chosen.answer);
    answer.x = wish.x ? *wish.x : layouts_->find(chosen.x, problem.x);
    answer.y = wish.y ? *wish.y : layouts_->find(chosen.y, problem.y);
    answer.w = layouts_->find(problem.transposed ? swap_channels(chosen.w) : chosen.w, problem.w);
    answer.w_is_opaque = layouts_->is_opaque(answer.w);
    return answer;
  } catch (const dnnl::error& error) {
    if (is_refusal(error)) return std::nullopt;
    throw_trouble(error);
  }
}

std::optional<OneDnnAnswer> OneDnn::linear(const LinearProblem& p, Pass pass, Mode mode) {
  const auto type = dnnl_type(p.dtype);
  const memory::desc x({p.samples, p.in}, type, memory::format_tag::ab);
  const memory::desc w({p.out, p.in}, type, memory::format_tag::ab);
  const memory::desc dw({p.out, p.in}, memory::data_type::f32, memory::format_tag::ab);
  const memory::desc y({p.samples, p.out}, type, memory::format_tag::ab);
  const memory::desc bias =
      p.bias ? memory::desc({p.out}, memory::data_type::f32, memory::format_tag::a)
             : memory::desc();
  try {
    const auto kind =
        mode == Mode::eval ? dnnl::prop_kind::forward_inference : dnnl::prop_kind::forward_training;
    using Forward = dnnl::inner_product_forward;
    const Forward::primitive_desc forward(
        p.bias ? Forward::desc(kind, x, w, bias, y) : Forward::desc(kind, x, w, y),
        user_scratchpad(), engine_);
    if (pass == Pass::forward) {
      std::vector<Argument> arguments = {{DNNL_ARG_SRC, Slot::x, 0, x},
                                         {DNNL_ARG_WEIGHTS, Slot::w, 0, w},
                                         {DNNL_ARG_DST, Slot::y, 0, y}};
      if (p.bias) arguments.push_back({DNNL_ARG_BIAS, Slot::w, 1, bias});
      return answer_of(*this, forward, std::move(arguments));
    }
    if (pass == Pass::backward_data) {
      const dnnl::inner_product_backward_data::primitive_desc pd(
          dnnl::inner_product_backward_data::desc(x, w, y), user_scratchpad(), engine_, forward);
      return answer_of(*this, pd,
                       {{DNNL_ARG_DIFF_DST, Slot::dy, 0, y},
                        {DNNL_ARG_WEIGHTS, Slot::w, 0, w},
                        {DNNL_ARG_DIFF_SRC, Slot::dx, 0, x}});
    }
    using Weights = dnnl::inner_product_backward_weights;
    const Weights::primitive_desc pd(
        p.bias ? Weights::desc(x, dw, bias, y) : Weights::desc(x, dw, y), user_scratchpad(),
        engine_, forward);
    std::vector<Argument> arguments = {{DNNL_ARG_SRC, Slot::x, 0, x},
                                       {DNNL_ARG_DIFF_DST, Slot::dy, 0, y},
                                       {DNNL_ARG_DIFF_WEIGHTS, Slot::dw, 0, dw}};
    if (p.bias) arguments.push_back({DNNL_ARG_DIFF_BIAS, Slot::dw, 1, bias});
    return answer_of(*this, pd, std::move(arguments));
  } catch (const dnnl::error& error) {
    if (is_refusal(error)) return std::nullopt;
    throw_trouble(error);
  }
}

std::optional<OneDnnAnswer> OneDnn::product(const ProductProblem& p) {
  const auto type = dnnl_type(p.dtype);
  const memory::desc a({p.m, p.k}, type, memory::format_tag::ba);
  const memory::desc b({p.k, p.n}, type, memory::format_tag::ab);
  const memory::desc c({p.m, p.n}, memory::data_type::f32, memory::format_tag::ab);
  try {
    const dnnl::matmul::primitive_desc pd(dnnl::matmul::desc(a, b, c), user_scratchpad(), engine_);
    return answer_of(*this, pd,
                     {{DNNL_ARG_SRC, Slot::x, 0, a},
                      {DNNL_ARG_WEIGHTS, Slot::x, 1, b},
                      {DNNL_ARG_DST, Slot::y, 0, c}});
  } catch (const dnnl::error& error) {
    if (is_refusal(error)) return std::nullopt;
    throw_trouble(error);
  }
}

KernelPtr OneDnn::reorder(const memory::desc& from, const memory::desc& to) {
  try {
    // The library's own scratchpad: a reorder has no workspace among its bindings.
    const dnnl::reorder::primitive_desc pd(engine_, from, engine_, to);
    const std::vector<Argument> arguments = {{DNNL_ARG_FROM, Slot::x, 0, from},
                                             {DNNL_ARG_TO, Slot::y, 0, to}};
    return std::make_unique<PrimitiveKernel>(engine_, stream_, pd.get(), arguments);
  } catch (const dnnl::error& error) {
    if (is_refusal(error)) return nullptr;
    throw_trouble(error);
  }
}

std::string onednn_isa() {
  switch (dnnl_get_effective_cpu_isa()) {
    case dnnl_cpu_isa_sse41:
      return "sse41";
    case dnnl_cpu_isa_avx:
      return "avx";
    case dnnl_cpu_isa_avx2:
      return "avx2";
    case dnnl_cpu_isa_avx2_vnni:
      return "avx2_vnni";
    case dnnl_cpu_isa_avx512_core:
      return "avx512_core";
    case dnnl_cpu_isa_avx512_core_vnni:
      return "avx512_core_vnni";
    case dnnl_cpu_isa_avx512_core_bf16:
      return "avx512_core_bf16";
    case dnnl_cpu_isa_avx512_core_amx:
      return "avx512_core_amx";
    default:
      return "other";
  }
}

namespace {

// Newer instruction sets contain the bits of those they extend.
bool isa_has(dnnl_cpu_isa_t wanted) {
  return (static_cast<unsigned>(dnnl_get_effective_cpu_isa()) & wanted) == wanted;
}

}  // namespace

int onednn_channel_block() {
  return isa_has(dnnl_cpu_isa_avx512_core) ? 16 : 8;
}

Bf16Support onednn_bf16() {
  if (isa_has(dnnl_cpu_isa_avx512_core_bf16)) return Bf16Support::native;
  return isa_has(dnnl_cpu_isa_avx512_core) ? Bf16Support::emulated : Bf16Support::none;
}

std::string onednn_version() {
  const dnnl_version_t* version = dnnl_version();
  return std::to_string(version->major) + "." + std::to_string(version->minor) + "." +
         std::to_string(version->patch);
}

}  // namespace daybreak
