#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "backend/step_scalars.h"
#include "core/shape.h"
#include "ops/act_kind.h"
#include "ops/op.h"
#include "ops/update.h"

namespace daybreak {

/// The pointers of one kernel call, filled in by the plan before training; null where a tensor is
/// not wanted (dx, dw) or not kept.
struct Bindings {
  std::vector<std::byte*> x;   ///< inputs
  std::vector<std::byte*> dx;  ///< gradients of the inputs, overwritten
  std::vector<std::byte*> w;   ///< parameters, in the order of Op::params
  std::vector<std::byte*> dw;  ///< their gradients, overwritten
  std::byte* y = nullptr;
  std::byte* dy = nullptr;
  std::byte* aux = nullptr;        ///< saved by forward for backward
  std::byte* workspace = nullptr;  ///< scratch, 64-byte aligned, dead after the call
  StepScalars* scalars = nullptr;
};

/// One backend's prepared implementation of one pass of one op for fixed shapes. It owns its
/// descriptors; run() creates, checks and allocates nothing.
class Kernel {
 public:
  virtual ~Kernel() = default;
  virtual void run(const Bindings& bindings) = 0;
};
using KernelPtr = std::unique_ptr<Kernel>;

/// What the plan asks a backend for. The layouts of `inputs` and `output` are those the tensors
/// have so far (the layout of a gradient is that of its value); an offer may ask for others.
struct KernelQuery {
  const Op* op = nullptr;
  Pass pass = Pass::forward;
  Mode mode = Mode::train;
  std::vector<TensorDesc> inputs;
  TensorDesc output;
  std::vector<TensorDesc> params;
  std::vector<bool> want_dx;  ///< per input, for backward passes
  bool want_dw = false;       ///< for Pass::backward of ops with parameters
  /// False while nobody has decided how the parameters are stored: `params` is then only a start,
  /// and the storable layouts of the offer that is taken cost nothing.
  bool params_fixed = true;
};

/// How an offer computes; `--conv` chooses among them.
enum class KernelAlgorithm : std::uint8_t { other, direct, winograd, gemm };

/// A kernel a backend could make, with the layouts it needs. A reorder is inserted by the plan
/// wherever they differ from what a tensor has.
struct KernelOffer {
  std::string name;  ///< "onednn:jit:avx512_core", "own:batchnorm"; printed by `describe`
  KernelAlgorithm algorithm = KernelAlgorithm::other;
  std::vector<TensorDesc> inputs;    ///< x, and dx in backward passes
  TensorDesc output;                 ///< y, and dy in backward passes
  std::vector<TensorDesc> params;    ///< w, and dw in backward passes
  std::vector<Layout> kept_layouts;  ///< forward: how to keep parameters; empty: as `params` lie
  Reads reads;  ///< backward passes: what is really read; may be less than the op's
  std::size_t workspace_bytes = 0;
  std::size_t aux_bytes = 0;  ///< forward passes in training: what backward will read
  bool in_place = false;      ///< y may share memory with x[0] (forward), dx[0] with dy (backward)
  std::function<KernelPtr()> make;
};

/// Runs an optimizer over flat arenas in one pass.
class UpdateKernel {
 public:
  virtual ~UpdateKernel() = default;
  /// Sum of squares of all gradients, those of frozen groups left out, in fixed chunks and order;
  /// writes scalars->grad_norm, gradient_norm_of(scalars, square root).
  virtual void norm(std::byte* gradients, std::span<const UpdateGroup> groups,
                    StepScalars* scalars) = 0;
  /// One step, unless skips_update(scalars), then finish_update(scalars); `slots` as
  /// OptimizerAttrs::slots(), all in the order and layout of `weights`.
  virtual void update(std::byte* weights, std::byte* gradients, std::span<std::byte* const> slots,
                      std::span<const UpdateGroup> groups, StepScalars* scalars) = 0;
};

/// Owns a stretch of a backend's memory, zeroed when made.
class Memory {
 public:
  virtual ~Memory() = default;
  virtual std::byte* data() = 0;
  virtual std::size_t bytes() const = 0;
};
using MemoryPtr = std::unique_ptr<Memory>;

/// Executes operations somewhere: `ref` (plain loops, the specification), `cpu`, `cuda`.
class Backend {
 public:
  virtual ~Backend() = default;
  virtual std::string name() const = 0;
  /// Device, instruction set, library versions, threads: what results may depend on.
  virtual std::string identity() const = 0;
  /// Raised whenever a kernel is added, removed or made faster: measured choices of another set
  /// are void.
  virtual int kernel_set() const { return 1; }
  /// True when offers may be timed by running them between two synchronize().
  virtual bool measurable() const { return false; }
  virtual bool supports(DType dtype) const = 0;
  /// What people should know before they compute in a supported type; empty: nothing.
  virtual std::string caution(DType) const { return ""; }
  /// Kernels that fit, best guess first; empty with `reason` filled in when there is none.
  virtual std::vector<KernelOffer> offers(const KernelQuery& query, std::string* reason) = 0;
  /// True when this convolution can be run with `act` (and a residual sum) at its end in
  /// evaluation.
  virtual bool fuses_into_conv(const Activation& act) const {
    (void)act;
    return false;
  }
  /// True when batch norms with a leaky activation can do with their output alone in training
  /// (BatchNorm::in_place).
  virtual bool norms_in_place(DType) const { return false; }
  /// Bytes of a tensor in a layout of this backend.
  virtual std::size_t layout_bytes(const Shape& shape, DType dtype, Layout layout) const = 0;
  virtual std::string layout_name(Layout layout) const = 0;
  /// Copies x[0] to y between layouts and data types of equal shape.
  virtual KernelPtr reorder(const TensorDesc& from, const TensorDesc& to) = 0;
  /// True when a tensor of this shape has the same bytes in both layouts: no reorder is needed.
  virtual bool same_bytes(const TensorDesc& a, const TensorDesc& b) const = 0;
  /// True when parameters may be kept in this layout: it can be converted both ways, padding stays
  /// zero under elementwise updates, and no kernel owns its format.
  virtual bool storable(const TensorDesc& desc) const = 0;
  /// y += x[0], both of `desc`.
  virtual KernelPtr accumulate(const TensorDesc& desc) = 0;
  virtual std::unique_ptr<UpdateKernel> optimizer(const OptimizerAttrs& attrs, DType dtype) = 0;
  /// Throws DeviceError when the memory cannot be had.
  virtual MemoryPtr allocate(std::size_t bytes) = 0;
  /// Bytes that allocate() could give in all now, as far as is known; the largest number when it is
  /// not.
  virtual std::size_t free_bytes() const { return std::numeric_limits<std::size_t>::max(); }
  virtual void copy_in(std::byte* to, const void* from, std::size_t bytes) = 0;
  virtual void copy_out(void* to, const std::byte* from, std::size_t bytes) = 0;
  virtual void synchronize() = 0;
};
using BackendPtr = std::unique_ptr<Backend>;

/// The reference backend: float or double, plain NCHW, one thread.
BackendPtr make_ref_backend();
/// oneDNN and own kernels on `threads` threads (0: all usable cores).
BackendPtr make_cpu_backend(int threads);

}  // namespace daybreak
