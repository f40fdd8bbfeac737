#include "plan/param_store.h"

#include <cstring>

#include "core/error.h"

namespace daybreak {
namespace {

// Offsets are multiples of this many elements: 64 bytes of f32, a cache line and a vector.
constexpr std::size_t kAlignElements = 16;

std::size_t aligned(std::size_t elements) {
  return (elements + kAlignElements - 1) / kAlignElements * kAlignElements;
}

// Between the file's form and the stored one.
void convert(Backend& backend, const TensorDesc& from, const TensorDesc& to, std::byte* source,
             std::byte* target) {
  Bindings bindings;
  bindings.x = {source};
  bindings.y = target;
  backend.reorder(from, to)->run(bindings);
  backend.synchronize();
}

}  // namespace

ParamStore::ParamStore(const Graph& graph, Backend& backend, DType dtype)
    : graph_(graph), backend_(backend), dtype_(dtype), layouts_(graph.params.size()) {}

void ParamStore::allocate() {
  offsets_.assign(graph_.params.size(), 0);
  order_.clear();
  for (const bool trained : {true, false}) {
    for (std::size_t p = 0; p < graph_.params.size(); ++p) {
      const Param& param = graph_.params[p];
      if (is_trained(param.spec.role) != trained) continue;
      if (!layouts_.desc[p]) layouts_.desc[p] = plain_desc(param.spec.shape, dtype_);
      offsets_[p] = all_elements_;
      all_elements_ += aligned(layouts_.desc[p]->bytes / element_size(dtype_));
      order_.push_back(static_cast<ParamId>(p));
    }
    if (trained) trained_elements_ = all_elements_;
  }
  const std::size_t size = element_size(dtype_);
  weights_ = backend_.allocate(std::max<std::size_t>(all_elements_, 1) * size);
  gradients_ = backend_.allocate(std::max<std::size_t>(trained_elements_, 1) * size);
  for (const DType dtype : layouts_.rounded) {
    rounded_.push_back({dtype, backend_.allocate(trained_elements_ * element_size(dtype)),
                        rounding(trained_elements_, dtype)});
  }
}

KernelPtr ParamStore::rounding(std::size_t elements, DType dtype) {
  const Shape flat{1, static_cast<int>(elements), 1, 1};
  return backend_.reorder(plain_desc(flat, dtype_), plain_desc(flat, dtype));
}

void ParamStore::round_all() {
  for (const Rounded& rounded : rounded_) {
    Bindings bindings;
    bindings.x = {weights_->data()};
    bindings.y = rounded.memory->data();
    rounded.make->run(bindings);
  }
}

std::byte* ParamStore::rounded_weight(ParamId param, DType dtype) {
  for (const Rounded& rounded : rounded_) {
    if (rounded.dtype != dtype) continue;
    return rounded.memory->data() + offsets_[param] * element_size(dtype);
  }
  DAYBREAK_ASSERT(false);
  return nullptr;
}

std::vector<RoundedWeights> ParamStore::rounded_bases() {
  std::vector<RoundedWeights> bases;
  for (const Rounded& rounded : rounded_) bases.push_back({rounded.dtype, rounded.memory->data()});
  return bases;
}

void ParamStore::set_slots(int count) {
  slots_.clear();
  for (int i = 0; i < count; ++i) {
    slots_.push_back(
        backend_.allocate(std::max<std::size_t>(trained_elements_, 1) * element_size(dtype_)));
  }
}

std::byte* ParamStore::weight(ParamId param) {
  return weights_->data() + offsets_[param] * element_size(dtype_);
}

std::byte* ParamStore::gradient(ParamId param) {
  DAYBREAK_ASSERT(is_trained(graph_.params[param].spec.role));
  return gradients_->data() + offsets_[param] * element_size(dtype_);
}

std::vector<std::byte*> ParamStore::slot_bases() {
  std::vector<std::byte*> bases;
  for (const MemoryPtr& slot : slots_) bases.push_back(slot->data());
  return bases;
}

ParamBytes ParamStore::planned_bytes() const {
  ParamBytes bytes;
  const std::size_t size = element_size(dtype_);
  for (std::size_t p = 0; p < graph_.params.size(); ++p) {
    const ParamSpec& spec = graph_.params[p].spec;
    const TensorDesc planned = layouts_.desc[p].value_or(plain_desc(spec.shape, dtype_));
    const std::size_t room = aligned(planned.bytes / size) * size;
    bytes.all += room;
    if (!is_trained(spec.role)) continue;
    bytes.trained += room;
    for (const DType dtype : layouts_.rounded) bytes.rounded += room / size * element_size(dtype);
  }
  return bytes;
}

std::size_t ParamStore::bytes() const {
  std::size_t sum = 0;
  if (weights_) sum += weights_->bytes() + gradients_->bytes();
  for (const MemoryPtr& slot : slots_) sum += slot->bytes();
  for (const Rounded& rounded : rounded_) sum += rounded.memory->bytes();
  return sum;
}

std::vector<float> ParamStore::read(std::byte* from, ParamId param) {
  const Shape& shape = graph_.params[param].spec.shape;
  std::vector<float> values(static_cast<std::size_t>(shape.count()));
  const TensorDesc plain = plain_desc(shape, dtype_);
  const MemoryPtr scratch = backend_.allocate(plain.bytes);
  convert(backend_, desc(param), plain, from, scratch->data());
  if (dtype_ == DType::f64) {
    std::vector<double> wide(values.size());
    backend_.copy_out(wide.data(), scratch->data(), wide.size() * sizeof(double));
    for (std::size_t i = 0; i < wide.size(); ++i) values[i] = static_cast<float>(wide[i]);
  } else {
    backend_.copy_out(values.data(), scratch->data(), values.size() * sizeof(float));
  }
  return values;
}

void ParamStore::write(std::byte* to, ParamId param, std::span<const float> values) {
  const TensorDesc plain = plain_desc(graph_.params[param].spec.shape, dtype_);
  const MemoryPtr scratch = backend_.allocate(plain.bytes);
  write(to, param, values, scratch->data());
}

void ParamStore::write(std::byte* to, ParamId param, std::span<const float> values,
                       std::byte* scratch) {
  const TensorDesc plain = plain_desc(graph_.params[param].spec.shape, dtype_);
  DAYBREAK_ASSERT(values.size() == static_cast<std::size_t>(plain.shape.count()));
  if (dtype_ == DType::f64) {
    const std::vector<double> wide(values.begin(), values.end());
    backend_.copy_in(scratch, wide.data(), wide.size() * sizeof(double));
  } else {
    backend_.copy_in(scratch, values.data(), values.size_bytes());
  }
  convert(backend_, plain, desc(param), scratch, to);
}

void ParamStore::write_weights(const std::function<void(ParamId, std::vector<float>&)>& fill) {
  std::size_t largest = 1;
  for (const Param& param : graph_.params) {
    largest = std::max(largest, plain_desc(param.spec.shape, dtype_).bytes);
  }
  const MemoryPtr scratch = backend_.allocate(largest);
  std::vector<float> values;
  for (std::size_t p = 0; p < graph_.params.size(); ++p) {
    const ParamId param = static_cast<ParamId>(p);
    fill(param, values);
    write(weight(param), param, values, scratch->data());
  }
  round_all();
}

std::vector<float> ParamStore::read_weight(ParamId param) {
  return read(weight(param), param);
}

void ParamStore::write_weight(ParamId param, std::span<const float> values) {
  write(weight(param), param, values);
  if (!is_trained(graph_.params[param].spec.role)) return;
  const std::size_t elements = desc(param).bytes / element_size(dtype_);
  for (const Rounded& rounded : rounded_) {
    Bindings bindings;
    bindings.x = {weight(param)};
    bindings.y = rounded_weight(param, rounded.dtype);
    rounding(elements, rounded.dtype)->run(bindings);
  }
}

std::vector<float> ParamStore::read_gradient(ParamId param) {
  return read(gradient(param), param);
}

std::vector<float> ParamStore::read_slot(int slot, ParamId param) {
  return read_at(slots_[slot]->data(), param);
}

void ParamStore::write_slot(int slot, ParamId param, std::span<const float> values) {
  write_at(slots_[slot]->data(), param, values);
}

std::vector<float> ParamStore::read_at(std::byte* base, ParamId param) {
  return read(base + offsets_[param] * element_size(dtype_), param);
}

void ParamStore::write_at(std::byte* base, ParamId param, std::span<const float> values) {
  write(base + offsets_[param] * element_size(dtype_), param, values);
}

std::vector<UpdateGroup> ParamStore::groups(std::span<const ParamKnobs> knobs) const {
  std::vector<UpdateGroup> result;
  for (ParamId param : order_) {
    if (!is_trained(graph_.params[param].spec.role)) continue;
    const ParamKnobs& knob = knobs[param];
    UpdateGroup group;
    group.offset = offsets_[param];
    group.count = aligned(desc(param).bytes / element_size(dtype_));
    group.lr_scale = knob.lr_scale;
    group.weight_decay = knob.weight_decay;
    group.frozen = knob.frozen;
    if (!result.empty() && result.back().lr_scale == group.lr_scale &&
        result.back().weight_decay == group.weight_decay && result.back().frozen == group.frozen) {
      result.back().count += group.count;
    } else {
      result.push_back(group);
    }
  }
  return result;
}

}  // namespace daybreak
