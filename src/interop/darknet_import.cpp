#include "interop/darknet_import.h"

#include <fmt/format.h>

#include <bit>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <map>

#include "config/network_spec.h"
#include "config/yaml_reader.h"
#include "core/checked_size.h"
#include "core/text.h"
#include "io/posix_file.h"
#include "layers/build_graph.h"

namespace daybreak {
namespace {

static_assert(std::endian::native == std::endian::little, "the files are little-endian");

// Parameters by name, with the place of their layer.
const Param* find_param(const Graph& graph, const std::string& name) {
  for (const Param& param : graph.params) {
    if (param.name == name) return &param;
  }
  return nullptr;
}

std::uint64_t count_of(const Param& param) {
  std::uint64_t count = 1;
  for (const std::int64_t dim : param.spec.dims) count *= static_cast<std::uint64_t>(dim);
  return count;
}

std::string with_thousands(std::uint64_t value) {
  std::string text = std::to_string(value);
  for (std::size_t at = text.size(); at > 3;) text.insert(at -= 3, ",");
  return text;
}

/// Walks through the bytes of a weights file.
class WeightsFile {
 public:
  /// Reads the header alone: the size must be right before anything is allocated for the rest.
  WeightsFile(const std::string& path, const std::string& cfg) : path_(path), cfg_(cfg) {
    const FileDescriptor fd = open_regular_file(path, &size_);
    std::byte head[20] = {};
    const std::int64_t count = read_fully(fd.get(), head);
    if (count < 0) fail("cannot read: " + errno_text(errno));
    if (count < 16) {
      fail(fmt::format(
          "{} bytes are too few for a Darknet weights file (its header takes 16 or 20)", count));
    }
    std::int32_t version[3];
    std::memcpy(version, head, sizeof(version));
    major = version[0], minor = version[1], revision = version[2];
    if (major < 0 || minor < 0 || major > 10'000 || minor > 10'000) {
      fail(fmt::format("not a Darknet weights file: its version would be {}.{}", major, minor));
    }
    const bool wide = std::int64_t{major} * 10 + minor >= 2 && major < 1000 && minor < 1000;
    header_ = wide ? 20 : 16;
    if (static_cast<std::uint64_t>(count) < header_) fail("ends inside its header of 20 bytes");
    std::memcpy(&seen, head + 12, wide ? 8 : 4);
    at_ = header_;
  }

  /// Reads the rest; to be called when the size is known to be right.
  void load() {
    bytes_ = read_whole_file(path_, size_);
    if (bytes_.size != size_) fail("changed while it was read");
  }

  /// Connected matrices of the first versions lie transposed.
  bool old_order() const { return major > 1000 || minor > 1000; }
  std::uint64_t size() const { return size_; }
  std::uint64_t header() const { return header_; }

  std::vector<float> take(std::uint64_t count, const DarknetWeights& layer,
                          const std::string& name) {
    std::vector<float> values(count);
    std::memcpy(values.data(), bytes_.data.get() + at_, count * sizeof(float));
    for (std::uint64_t i = 0; i < count; ++i) {
      if (std::isfinite(values[i])) continue;
      throw DataError(
          path_, at_ + i * sizeof(float),
          fmt::format("{} in \"{}\" of layer {} [{}] ({}:{}); the file is damaged or "
                      "belongs to another network",
                      values[i], name, layer.layer, layer.section, cfg_, layer.mark.line));
    }
    at_ += count * sizeof(float);
    return values;
  }

  [[noreturn]] void fail(const std::string& text) const { throw DataError(path_, text); }

  int major = 0, minor = 0, revision = 0;
  std::uint64_t seen = 0;

 private:
  std::string path_, cfg_;
  FileBytes bytes_;
  std::uint64_t size_ = 0;
  std::uint64_t header_ = 0;
  std::uint64_t at_ = 0;
};

// [rows, columns] -> [columns, rows]
std::vector<float> transposed(const std::vector<float>& values, std::uint64_t rows) {
  const std::uint64_t columns = values.size() / rows;
  std::vector<float> result(values.size());
  for (std::uint64_t r = 0; r < rows; ++r) {
    for (std::uint64_t c = 0; c < columns; ++c) result[c * rows + r] = values[r * columns + c];
  }
  return result;
}

class WeightsImport {
 public:
  WeightsImport(const Graph& graph, DarknetImport& result, const std::string& path,
                const std::string& cfg)
      : graph_(graph), result_(result), file_(path, cfg), path_(path), cfg_(cfg) {}

  void run(int layers) {
    check_size(layers);
    file_.load();
    result_.major = file_.major, result_.minor = file_.minor, result_.revision = file_.revision;
    result_.seen = file_.seen;
    result_.layers_filled = layers;
    for (const DarknetWeights& layer : result_.net.weights) {
      if (layer.layer >= layers) break;
      for (const DarknetWeights::Part& part : layer.parts) add(layer, part);
    }
    add_missing_shifts();
  }

 private:
  std::uint64_t layer_bytes(const DarknetWeights& layer) const {
    CheckedSize bytes = 0;
    for (const DarknetWeights::Part& part : layer.parts) {
      const Param* param = find_param(graph_, part.param);
      DAYBREAK_ASSERT(param != nullptr);
      bytes = bytes + CheckedSize(count_of(*param)) * sizeof(float);
    }
    DAYBREAK_ASSERT(bytes.value().has_value());
    return *bytes.value();
  }

  // Bytes used must be the file's size: Darknet itself would pass over the difference.
  void check_size(int layers) {
    CheckedSize sum = file_.header();
    const DarknetWeights* unfilled = nullptr;
    const DarknetWeights* border = nullptr;  // a layer that the file ends in front of
    const DarknetWeights* last = nullptr;
    for (const DarknetWeights& layer : result_.net.weights) {
      if (sum.equals(file_.size())) border = &layer;
      if (layer.layer >= layers) break;
      sum = sum + layer_bytes(layer);
      last = &layer;
      if (!unfilled && !sum.fits(file_.size())) unfilled = &layer;
    }
    const std::uint64_t needed = sum.value().value_or(UINT64_MAX);
    if (needed == file_.size()) return;
    const std::string sizes = fmt::format("does not fit {}: {} bytes, {} needed", cfg_,
                                          with_thousands(file_.size()), with_thousands(needed));
    if (needed > file_.size()) {
      const std::string hint =
          border ? fmt::format(
                       "; it ends exactly before layer {}: a partial file, import it with "
                       "--until {}",
                       border->layer, border->layer)
                 : "";
      file_.fail(fmt::format("{} ({} short); the first layer not filled is {} [{}] ({}:{}){}",
                             sizes, with_thousands(needed - file_.size()), unfilled->layer,
                             unfilled->section, cfg_, unfilled->mark.line, hint));
    }
    const std::string behind = last ? fmt::format("layer {} [{}] ({}:{})", last->layer,
                                                  last->section, cfg_, last->mark.line)
                                    : std::string("the header");
    const std::string hint = border && layers < result_.net.layers
                                 ? fmt::format("; --until {} would fit", border->layer)
                                 : "";
    file_.fail(fmt::format("{} ({} left over behind {}){}", sizes,
                           with_thousands(file_.size() - needed), behind, hint));
  }

  void add(const DarknetWeights& layer, const DarknetWeights::Part& part) {
    const Param& param = *find_param(graph_, part.param);
    ImportedTensor tensor{part.param, param.spec.dims, {}};
    tensor.values = file_.take(count_of(param), layer, part.param);
    const auto rows = static_cast<std::uint64_t>(param.spec.dims[0]);
    const bool turn = part.order == WeightOrder::transposed ||
                      (part.order == WeightOrder::by_version && file_.old_order());
    if (turn) tensor.values = transposed(tensor.values, tensor.values.size() / rows);
    result_.parameters += static_cast<std::int64_t>(tensor.values.size());
    result_.tensors.push_back(std::move(tensor));
  }

  // pj's batch norm sections have no shift in the file; it stays 0.
  void add_missing_shifts() {
    for (const DarknetWeights& layer : result_.net.weights) {
      if (layer.section != "batchnorm" || layer.parts.size() != 3) continue;
      if (layer.layer >= result_.layers_filled) continue;
      std::string name = layer.parts[0].param;
      name.replace(name.rfind('.'), std::string::npos, ".bias");
      const Param& param = *find_param(graph_, name);
      result_.tensors.push_back({name, param.spec.dims, std::vector<float>(count_of(param), 0.0f)});
    }
  }

  const Graph& graph_;
  DarknetImport& result_;
  WeightsFile file_;
  const std::string& path_;
  const std::string& cfg_;
};

// "74": the layers before number 74; "conv73": up to and including that layer.
int layer_count(const std::string& until, const DarknetNetwork& net) {
  if (until.empty()) return net.layers;
  if (const auto number = parse_int(until)) {
    if (*number >= 1 && *number <= net.layers) return static_cast<int>(*number);
    throw ConfigError(fmt::format("--until {} is out of range: the network has layers 0 to {}",
                                  *number, net.layers - 1));
  }
  std::vector<std::string> names;
  for (const DarknetWeights& layer : net.weights) {
    const std::string& param = layer.parts[0].param;
    names.push_back(param.substr(0, param.find('.')));
    if (names.back() == until) return layer.layer + 1;
  }
  const auto nearest = nearest_name(until, names);
  throw ConfigError(fmt::format("--until {} names no layer with weights{}", quote(until),
                                nearest ? fmt::format(", did you mean \"{}\"?", *nearest) : ""));
}

// Sums may be of unequal shapes until the graph knows the shapes. Where they are equal the key goes
// again; where sizes differ only pj does what a person expects, the others add the numbers in the
// order they lie in memory.
void settle_sums(Node& network, const Graph& graph, DarknetDialect dialect) {
  std::map<std::string, bool> unequal;  // by layer; true: the sizes differ
  for (const GraphNode& node : graph.nodes) {
    const OpKind kind = node.op->kind();
    if (kind == OpKind::pool || kind == OpKind::slice) unequal[node.layer] |= kind == OpKind::pool;
  }
  Diagnostics diagnostics;
  for (Node& layer : network.find("layers")->items) {
    Node* sum = layer.find("add");
    if (!sum) continue;
    const auto found = unequal.find(sum->find("name")->text);
    if (found == unequal.end()) {
      sum->remove("unequal");
    } else if (found->second && dialect != DarknetDialect::pj) {
      diagnostics.add(
          sum->mark,
          "[shortcut]: layers of different width and height are added by the dialect pj only");
    }
  }
  diagnostics.throw_if_any();
}

Graph checked_graph(const DarknetNetwork& net) {
  Diagnostics diagnostics;
  const NetworkSpec spec = parse_network(net.network, diagnostics);
  diagnostics.throw_if_any();
  return build_graph(spec, {});
}

}  // namespace

DarknetImport import_darknet(const std::string& cfg, const std::string& weights,
                             DarknetDialect dialect, const std::string& until) {
  Diagnostics diagnostics;
  const std::vector<DarknetSection> sections =
      parse_darknet_cfg(read_config_file(cfg), cfg, diagnostics);
  DarknetImport result;
  result.net =
      translate_darknet(sections, std::filesystem::path(cfg).stem().string(), dialect, diagnostics);
  diagnostics.throw_if_any();
  const Graph graph = checked_graph(result.net);
  settle_sums(result.net.network, graph, dialect);
  WeightsImport(graph, result, weights, cfg).run(layer_count(until, result.net));
  return result;
}

}  // namespace daybreak
