// Which tensors of a file fit a network, said so that a person can act on it.

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "core/error.h"
#include "core/text.h"
#include "train/checkpoint_file.h"

namespace daybreak {
namespace {

constexpr std::size_t kMostListed = 20;

}  // namespace

TensorComparison compare_tensors(const std::vector<TensorSignature>& expected,
                                 const std::vector<NamedTensor>& found) {
  std::unordered_map<std::string_view, const NamedTensor*> by_name;
  for (const NamedTensor& tensor : found) by_name[tensor.name] = &tensor;
  std::unordered_set<std::string_view> wanted;
  for (const TensorSignature& want : expected) wanted.insert(want.name);
  // Only a tensor that nobody else wants can be meant by another name.
  std::vector<std::string> spare;
  for (const NamedTensor& tensor : found) {
    if (!wanted.contains(tensor.name)) spare.push_back(tensor.name);
  }
  TensorComparison result;
  for (const TensorSignature& want : expected) {
    const auto it = by_name.find(want.name);
    if (it == by_name.end()) {
      ++result.missing;
      const bool shown = result.lines.size() < kMostListed;
      const auto nearest = shown ? nearest_name(want.name, spare) : std::nullopt;
      result.lines.push_back(fmt::format("missing: {} ({}){}", quote(want.name),
                                         format_dims(want.dims),
                                         nearest ? ", nearest is " + quote(*nearest) : ""));
    } else if (it->second->dims != want.dims) {
      ++result.reshaped;
      result.lines.push_back(fmt::format("shape: {} is {} in the file, {} in the network",
                                         quote(want.name), format_dims(it->second->dims),
                                         format_dims(want.dims)));
    } else {
      ++result.matched;
    }
  }
  for (const NamedTensor& tensor : found) {
    if (wanted.contains(tensor.name)) continue;
    ++result.unexpected;
    result.lines.push_back(
        fmt::format("unexpected: {} ({})", quote(tensor.name), format_dims(tensor.dims)));
  }
  return result;
}

void check_tensors(const std::string& path, const std::vector<TensorSignature>& expected,
                   const std::vector<NamedTensor>& found) {
  const TensorComparison comparison = compare_tensors(expected, found);
  if (comparison.fits()) return;
  std::string text = fmt::format(
      "does not fit the network: {} of {} tensors match, {} missing, {} unexpected, {} of another "
      "shape",
      comparison.matched, expected.size(), comparison.missing, comparison.unexpected,
      comparison.reshaped);
  const std::size_t shown = std::min(comparison.lines.size(), kMostListed);
  for (std::size_t i = 0; i < shown; ++i) text += "\n    " + comparison.lines[i];
  if (comparison.lines.size() > shown) {
    text += fmt::format("\n    ... and {} more", comparison.lines.size() - shown);
  }
  if (comparison.matched > 0) {
    text += "\n    to start from what fits: daybreak train SOLVER.yaml --init " + path;
  }
  throw DataError(path, text);
}

}  // namespace daybreak
