#include "train/weights.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "io/sha256.h"

namespace daybreak {
namespace {

std::string slot_name(int slot, const std::string& param) {
  return fmt::format("optimizer.{}.{}", slot, param);
}

const NamedTensor* find(const std::vector<NamedTensor>& tensors, const std::string& name) {
  for (const NamedTensor& tensor : tensors) {
    if (tensor.name == name) return &tensor;
  }
  return nullptr;
}

// A network with such a number would find nothing and not say why.
void check_finite(const std::string& path, const NamedTensor& tensor) {
  for (std::size_t i = 0; i < tensor.values.size(); ++i) {
    if (std::isfinite(tensor.values[i])) continue;
    throw DataError(path, fmt::format("{} in \"{}\" (number {} of {}); the file is damaged, or its "
                                      "training had diverged",
                                      tensor.values[i], tensor.name, i, tensor.values.size()));
  }
}

std::vector<TensorSignature> signatures(const Graph& graph) {
  std::vector<TensorSignature> result;
  for (const Param& param : graph.params) result.push_back({param.name, param.spec.dims});
  return result;
}

}  // namespace

std::vector<NamedTensor> read_weights(Executor& executor) {
  std::vector<NamedTensor> tensors;
  const Graph& graph = executor.graph();
  for (std::size_t p = 0; p < graph.params.size(); ++p) {
    tensors.push_back({graph.params[p].name, graph.params[p].spec.dims,
                       executor.params().read_weight(static_cast<ParamId>(p))});
  }
  return tensors;
}

std::vector<NamedTensor> read_slots(Executor& executor) {
  std::vector<NamedTensor> tensors;
  const Graph& graph = executor.graph();
  for (int slot = 0; slot < executor.params().slots(); ++slot) {
    for (std::size_t p = 0; p < graph.params.size(); ++p) {
      if (!is_trained(graph.params[p].spec.role)) continue;
      tensors.push_back({slot_name(slot, graph.params[p].name), graph.params[p].spec.dims,
                         executor.params().read_slot(slot, static_cast<ParamId>(p))});
    }
  }
  return tensors;
}

std::vector<std::string> write_weights(Executor& executor, const std::string& path,
                                       const std::vector<NamedTensor>& tensors, bool partial) {
  const Graph& graph = executor.graph();
  std::vector<NamedTensor> weights;
  for (const NamedTensor& tensor : tensors) {
    if (tensor.name.rfind("optimizer.", 0) != 0) weights.push_back(tensor);
  }
  if (!partial) check_tensors(path, signatures(graph), weights);
  std::vector<std::string> kept;
  std::size_t matched = 0;
  for (std::size_t p = 0; p < graph.params.size(); ++p) {
    const NamedTensor* tensor = find(weights, graph.params[p].name);
    if (tensor == nullptr || tensor->dims != graph.params[p].spec.dims) {
      kept.push_back(graph.params[p].name);
      continue;
    }
    check_finite(path, *tensor);
    executor.params().write_weight(static_cast<ParamId>(p), tensor->values);
    ++matched;
  }
  if (matched == 0 && !graph.params.empty()) check_tensors(path, signatures(graph), weights);
  return kept;
}

void write_slots(Executor& executor, const std::string& path,
                 const std::vector<NamedTensor>& tensors) {
  const Graph& graph = executor.graph();
  for (int slot = 0; slot < executor.params().slots(); ++slot) {
    for (std::size_t p = 0; p < graph.params.size(); ++p) {
      const Param& param = graph.params[p];
      if (!is_trained(param.spec.role)) continue;
      const NamedTensor* tensor = find(tensors, slot_name(slot, param.name));
      if (tensor == nullptr || tensor->dims != param.spec.dims) {
        throw DataError(path, fmt::format("no optimizer state \"{}\" of the right shape; this file "
                                          "holds weights only, use --init to start from it",
                                          slot_name(slot, param.name)));
      }
      executor.params().write_slot(slot, static_cast<ParamId>(p), tensor->values);
    }
  }
}

std::vector<NamedTensor> read_weights_for(const Graph& graph, const std::string& path) {
  std::vector<NamedTensor> tensors = read_tensors(path);
  std::erase_if(tensors,
                [](const NamedTensor& tensor) { return tensor.name.rfind("optimizer.", 0) == 0; });
  check_tensors(path, signatures(graph), tensors);
  for (const NamedTensor& tensor : tensors) check_finite(path, tensor);
  return tensors;
}

std::vector<std::string> load_weights(Executor& executor, const std::string& path, bool partial) {
  return write_weights(executor, path, read_tensors(path), partial);
}

std::string weights_digest(Executor& executor) {
  Sha256 hash;
  for (const auto& tensors : {read_weights(executor), read_slots(executor)}) {
    for (const NamedTensor& tensor : tensors) {
      hash.update(tensor.name);
      hash.update(std::as_bytes(std::span(tensor.values)));
    }
  }
  return to_hex(hash.finish());
}

}  // namespace daybreak
