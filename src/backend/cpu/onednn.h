#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <oneapi/dnnl/dnnl.hpp>

#include "backend/backend.h"
#include "backend/cpu/layouts.h"

namespace daybreak {

/// A convolution, or a transposed one (then `w` is [IC, OC / groups, KH, KW]), without pointers.
/// With bf16 activations weights are read as bf16, their gradients and biases are f32.
struct ConvProblem {
  bool transposed = false;
  Shape x, y, w;
  DType dtype = DType::f32;  ///< of x and y
  int groups = 1;
  int stride[2] = {1, 1}, dilation[2] = {1, 1};  ///< h, w; dilation 1 is dense
  int pad_before[2] = {0, 0}, pad_after[2] = {0, 0};
  bool bias = false;
};

enum class ConvAlgorithm : std::uint8_t { direct, winograd };

/// One way to ask oneDNN for a convolution; without a layout the library chooses.
struct ConvWish {
  ConvAlgorithm algorithm = ConvAlgorithm::direct;
  std::optional<Layout> x, y;
  bool inference = false;  ///< forward only: weights in a form prepared once (Winograd)
};

/// What oneDNN answered: an implementation and the layouts it needs.
struct OneDnnAnswer {
  std::string implementation;  ///< "jit:avx512_core"
  Layout x, y, w;
  bool w_is_opaque = false;
  std::size_t workspace_bytes = 0;
  std::function<KernelPtr()> make;
};

/// y[samples, out] = x[samples, in] w[out, in]^T + b, all plain; types as of a convolution.
struct LinearProblem {
  std::int64_t samples = 0, in = 0, out = 0;
  DType dtype = DType::f32;
  bool bias = false;
};

/// c[m, n] = a[k, m]^T b[k, n], all plain, c in f32.
struct ProductProblem {
  std::int64_t m = 0, n = 0, k = 0;
  DType dtype = DType::f32;  ///< of a and b
};

/// oneDNN's engine and stream, and the only place where its primitives are created. Descriptors are
/// made by the calls below, primitives (which compile code) by the answers' `make`. Scratchpads
/// come from Bindings::workspace.
class OneDnn {
 public:
  explicit OneDnn(LayoutRegistry* layouts);

  /// Nothing when the library has no such implementation. `pass` is one of forward,
  /// backward_data, backward_weights.
  std::optional<OneDnnAnswer> convolution(const ConvProblem& problem, Pass pass,
                                          const ConvWish& wish);
  std::optional<OneDnnAnswer> linear(const LinearProblem& problem, Pass pass, Mode mode);
  /// A kernel from x[0] = a, x[1] = b to y = c.
  std::optional<OneDnnAnswer> product(const ProductProblem& problem);
  /// A kernel from x[0] to y; null when oneDNN cannot convert between the two.
  KernelPtr reorder(const dnnl::memory::desc& from, const dnnl::memory::desc& to);

  const dnnl::engine& engine() const { return engine_; }
  const dnnl::stream& stream() const { return stream_; }

 private:
  LayoutRegistry* layouts_;
  dnnl::engine engine_;
  dnnl::stream stream_;
};

/// Instruction set oneDNN uses: "avx512_core".
std::string onednn_isa();
/// Floats a vector register holds for oneDNN's blocked layouts: 16 with AVX-512, else 8.
int onednn_channel_block();
std::string onednn_version();

/// How oneDNN computes in bf16 here: not at all below AVX-512, in f32 arithmetic without bf16
/// units.
enum class Bf16Support : std::uint8_t { none, emulated, native };
Bf16Support onednn_bf16();

}  // namespace daybreak
