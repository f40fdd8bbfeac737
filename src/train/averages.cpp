#include "train/averages.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/error.h"

namespace daybreak {
namespace {

constexpr const char* kEma = "ema";
constexpr const char* kLookahead = "lookahead";

std::string file_name(const char* average, const std::string& param) {
  return fmt::format("optimizer.{}.{}", average, param);
}

}  // namespace

WeightAverages::WeightAverages(const SolverSpec& spec, const Graph& graph, ParamStore& params,
                               Backend& backend)
    : graph_(graph) {
  if (spec.ema.decay > 0.0) ema_.emplace(spec.ema, params, backend);
  if (spec.lookahead.every > 0) lookahead_.emplace(spec.lookahead, params, backend);
}

void WeightAverages::start() {
  if (ema_) ema_->start();
  if (lookahead_) lookahead_->start();
}

void WeightAverages::after_step(std::int64_t step, std::int64_t steps) {
  if (lookahead_) lookahead_->after_step(step, steps);
  if (ema_) ema_->after_step(step);
}

std::vector<WeightAverages::Entry> WeightAverages::entries() {
  std::vector<Entry> list;
  if (ema_) list.push_back({kEma, &ema_->mean()});
  if (lookahead_) list.push_back({kLookahead, &lookahead_->slow()});
  return list;
}

std::vector<NamedTensor> WeightAverages::read() {
  std::vector<NamedTensor> tensors;
  for (const Entry& entry : entries()) {
    for (std::size_t p = 0; p < graph_.params.size(); ++p) {
      const Param& param = graph_.params[p];
      tensors.push_back({file_name(entry.name, param.name), param.spec.dims,
                         entry.copy->read(static_cast<ParamId>(p))});
    }
  }
  return tensors;
}

void WeightAverages::write(const std::string& path, const std::vector<NamedTensor>& tensors) {
  for (const Entry& entry : entries()) {
    for (std::size_t p = 0; p < graph_.params.size(); ++p) {
      const Param& param = graph_.params[p];
      const std::string name = file_name(entry.name, param.name);
      const auto found = std::find_if(tensors.begin(), tensors.end(), [&](const NamedTensor& one) {
        return one.name == name && one.dims == param.spec.dims;
      });
      if (found == tensors.end()) {
        throw DataError(path, fmt::format("no \"{}\" of the right shape: it was trained without "
                                          "\"{}\", which cannot begin in the middle",
                                          name, entry.name));
      }
      entry.copy->write(static_cast<ParamId>(p), found->values);
    }
  }
}

int copies_of_weights(const SolverSpec& spec) {
  return (spec.ema.decay > 0.0 ? 1 : 0) + (spec.lookahead.every > 0 ? 1 : 0);
}

std::vector<NamedTensor> ema_weights(const std::vector<NamedTensor>& tensors) {
  const std::string prefix = file_name(kEma, "");
  std::vector<NamedTensor> weights;
  for (const NamedTensor& tensor : tensors) {
    if (tensor.name.rfind(prefix, 0) != 0) continue;
    weights.push_back({tensor.name.substr(prefix.size()), tensor.dims, tensor.values});
  }
  return weights;
}

}  // namespace daybreak
