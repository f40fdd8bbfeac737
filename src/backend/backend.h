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
  std::byte* aux = nullptr;         ///< saved by forward for backward
  std::byte* statistics = nullptr;  ///< in training: Op::statistics(), Conv2d::chain
  std::byte* workspace = nullptr;   ///< scratch, 64-byte aligned, dead after the call
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
  bool slow_to_make = false;  ///< make() compiles a kernel: a second or so at every start
  bool fused = false;         ///< one kernel does what the op has joined; others run its parts
  std::function<KernelPtr()> make;
};

/// The trained weights once more, rounded to nearest (ties to even) in a 16-bit type, in the order
/// of the arena: what convolutions and linear layers of that precision read.
struct RoundedWeights {
  DType dtype = DType::bf16;
  std::byte* data = nullptr;
};

/// The flat arrays an optimizer works on, all in the order of `weights`.
struct UpdateArenas {
  std::byte* weights = nullptr;
  std::byte* gradients = nullptr;
  std::span<std::byte* const> slots;        ///< as OptimizerAttrs::slots()
  std::span<const RoundedWeights> rounded;  ///< written where weights are
};

/// Runs an optimizer over flat arenas in one pass.
class UpdateKernel {
 public:
  virtual ~UpdateKernel() = default;
  /// Sum of squares of all gradients, those of frozen groups left out, in fixed chunks and order;
  /// writes scalars->grad_norm, gradient_norm_of(scalars, square root).
  virtual void norm(std::byte* gradients, std::span<const UpdateGroup> groups,
                    StepScalars* scalars) = 0;
  /// One step, unless skips_update(scalars), then finish_update(scalars).
  virtual void update(const UpdateArenas& arenas, std::span<const UpdateGroup> groups,
                      StepScalars* scalars) = 0;
};

/// Owns a stretch of a backend's memory, zeroed when made.
class Memory {
 public:
  virtual ~Memory() = default;
  virtual std::byte* data() = 0;
  virtual std::size_t bytes() const = 0;
};
using MemoryPtr = std::unique_ptr<Memory>;

/// Work that was queued once, to be queued again as a whole: the same kernels on the same
/// addresses.
class Recording {
 public:
  virtual ~Recording() = default;
  virtual void replay() = 0;
};
using RecordingPtr = std::unique_ptr<Recording>;

/// What keeps count of training steps on the device (step_scalars.h).
enum class StepWork : std::uint8_t {
  first_batch,  ///< take_batch() with x[0], the loss, and x[1], hits first (null: none)
  next_batch,   ///< the same for a further batch of the step
  end,          ///< end_step() into the ring y
};

/// Rows [rows, columns] of f32 that a batch has computed, to be kept until somebody reads them: row
/// i goes to row first_sample % capacity + i, with first_sample of the scalars. `capacity` is a
/// multiple of `rows`.
struct RowRecipe {
  int rows = 1, columns = 1;
  std::uint64_t capacity = 1;
};

struct BatchRecipe;  // backend/batch_recipe.h

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
  /// True when batch norms that keep their input can add a residual in training, with their
  /// activation before or behind it (BatchNorm::sum, BatchNorm::act_last).
  virtual bool norms_with_sum(DType) const { return false; }
  /// True when plans read weights in this type from RoundedWeights, instead of converting them in
  /// every step; the optimizers of this backend then write them.
  virtual bool keeps_rounded_weights(DType) const { return false; }
  /// True when convolutions can give statistics of their output in training, and of their input's
  /// gradient, and batch norms take them (Statistics, Conv2d::chain).
  virtual bool statistics_of_convs(DType) const { return false; }
  /// True when batch norms can leave their output to the convolution that reads it in training
  /// (BatchNorm::deferred, Conv2d::loads).
  virtual bool loads_norms(DType) const { return false; }
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
  /// average = blended(average, values, share) for `count` parameters of `dtype`, in the order of
  /// all other work and without waiting for it: averages of weights (backend/blend.h).
  virtual void blend(std::byte* average, const std::byte* values, std::size_t count, DType dtype,
                     double share) = 0;
  /// Exchanges two stretches of `count` parameters, likewise in order.
  virtual void exchange(std::byte* a, std::byte* b, std::size_t count, DType dtype) = 0;
  /// Throws DeviceError when the memory cannot be had.
  virtual MemoryPtr allocate(std::size_t bytes) = 0;
  /// Bytes that allocate() could give in all now, as far as is known; the largest number when it is
  /// not.
  virtual std::size_t free_bytes() const { return std::numeric_limits<std::size_t>::max(); }
  virtual void copy_in(std::byte* to, const void* from, std::size_t bytes) = 0;
  /// As copy_in, but in the order of all other work and without waiting for it where the backend
  /// can; `from` may change at once.
  virtual void send(std::byte* to, const void* from, std::size_t bytes) {
    copy_in(to, from, bytes);
  }
  virtual void copy_out(void* to, const std::byte* from, std::size_t bytes) = 0;
  virtual void synchronize() = 0;

  /// Work of StepWork on numbers of type `dtype` (f32; f64 on the reference backend); null: not on
  /// this backend.
  virtual KernelPtr step_work(StepWork, DType) { return nullptr; }
  /// Makes batches out of pictures that are resident: x[0] the pictures, x[1] labels of all, x[2]
  /// the epoch's order (u32), y the batch's pictures, w[0] its labels; null: not on this backend.
  virtual KernelPtr batch_maker(const BatchRecipe&) { return nullptr; }
  /// Puts a batch's rows x[0] among those y of many batches; null: not on this backend.
  virtual KernelPtr row_keeper(const RowRecipe&) { return nullptr; }
  /// True when work can be recorded. Between begin_recording() and end_recording() kernels are
  /// noted instead of run; nothing may be allocated, copied from or to the host, or waited for.
  virtual bool can_record() const { return false; }
  virtual void begin_recording() {}
  /// Ends it in any case; throws DeviceError when what was queued cannot be recorded.
  virtual RecordingPtr end_recording() { return nullptr; }
};
using BackendPtr = std::unique_ptr<Backend>;

/// The reference backend: float or double, plain NCHW, one thread.
BackendPtr make_ref_backend();
/// oneDNN and own kernels on `threads` threads (0: all usable cores).
BackendPtr make_cpu_backend(int threads);

}  // namespace daybreak
