#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "graph/graph.h"
#include "plan/param_layouts.h"

namespace daybreak {

/// Learning-rate factor, weight decay and freezing of one parameter.
struct ParamKnobs {
  float lr_scale = 1.0f;
  float weight_decay = 0.0f;
  bool frozen = false;
};

/// Bytes of the flat arenas: of all parameters, of the trained ones, and of all their rounded
/// copies.
struct ParamBytes {
  std::size_t all = 0, trained = 0, rounded = 0;
};

/// Owns the parameters of a network in flat arenas on a backend: one for weights, one for
/// gradients, one per optimizer slot, all in the same order and layout. Trained parameters come
/// first, running statistics after them. Reads and writes are plain f32 in file order (OIHW).
/// Where plans read weights in 16 bits, those are kept once more, rounded, and are always those of
/// the weights: the optimizer writes both, and every other way to change weights is in here.
class ParamStore {
 public:
  ParamStore(const Graph& graph, Backend& backend, DType dtype);

  ParamLayouts& layouts() { return layouts_; }
  /// Allocates weights and gradients once every plan is made; undecided layouts become plain.
  void allocate();
  /// Allocates (or drops and zeroes) the arrays an optimizer keeps.
  void set_slots(int count);
  int slots() const { return static_cast<int>(slots_.size()); }

  std::byte* weight(ParamId param);
  std::byte* gradient(ParamId param);
  /// A trained parameter in 16 bits, in the layout of weight().
  std::byte* rounded_weight(ParamId param, DType dtype);
  /// Who writes to the weights behind this, but for the optimizer, calls round_all() then.
  std::byte* weights_base() { return weights_->data(); }
  std::byte* gradients_base() { return gradients_->data(); }
  std::vector<std::byte*> slot_bases();
  std::vector<RoundedWeights> rounded_bases();
  /// Queues the rounding of all trained weights; nothing where no plan reads them so.
  void round_all();
  const TensorDesc& desc(ParamId param) const { return *layouts_.desc[param]; }
  /// Elements of the trained stretch of the arena, padding included.
  std::size_t trained_elements() const { return trained_elements_; }
  /// Elements of the whole arena of weights, running statistics included.
  std::size_t all_elements() const { return all_elements_; }
  DType dtype() const { return dtype_; }
  std::size_t bytes() const;
  /// What one arena will take, from the layouts decided so far.
  ParamBytes planned_bytes() const;

  std::vector<float> read_weight(ParamId param);
  void write_weight(ParamId param, std::span<const float> values);
  /// Writes every parameter; `fill` makes its values in a buffer that all of them share.
  void write_weights(const std::function<void(ParamId, std::vector<float>&)>& fill);
  std::vector<float> read_gradient(ParamId param);
  std::vector<float> read_slot(int slot, ParamId param);
  void write_slot(int slot, ParamId param, std::span<const float> values);

  /// The same of any memory that is laid out as the weights are; `base` is its start.
  std::vector<float> read_at(std::byte* base, ParamId param);
  void write_at(std::byte* base, ParamId param, std::span<const float> values);

  /// The update groups for these knobs (one per ParamId); neighbours that agree are joined.
  std::vector<UpdateGroup> groups(std::span<const ParamKnobs> knobs) const;

 private:
  std::vector<float> read(std::byte* from, ParamId param);
  void write(std::byte* to, ParamId param, std::span<const float> values);
  void write(std::byte* to, ParamId param, std::span<const float> values, std::byte* scratch);
  KernelPtr rounding(std::size_t elements, DType dtype);

  const Graph& graph_;
  Backend& backend_;
  DType dtype_;
  ParamLayouts layouts_;
  std::vector<std::size_t> offsets_;  // in elements, by ParamId
  std::vector<ParamId> order_;        // of the arena
  std::size_t trained_elements_ = 0, all_elements_ = 0;
  MemoryPtr weights_, gradients_;
  std::vector<MemoryPtr> slots_;
  struct Rounded {
    DType dtype;
    MemoryPtr memory;
    KernelPtr make;  // of all weights
  };
  std::vector<Rounded> rounded_;
};

}  // namespace daybreak
