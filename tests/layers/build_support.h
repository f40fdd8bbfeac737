#pragma once

#include <fmt/format.h>

#include <string>
#include <vector>

#include "config/network_spec.h"
#include "config/yaml_reader.h"
#include "core/text.h"
#include "layers/build_graph.h"

// Builds graphs from a few lines of YAML.

namespace daybreak {

/// Reads a whole network file from text. Throws ConfigError.
inline NetworkSpec network_of(const std::string& text) {
  Diagnostics diagnostics;
  const Node map = read_yaml(text, "net.yaml", diagnostics);
  diagnostics.throw_if_any();
  NetworkSpec network = parse_network(map, diagnostics);
  diagnostics.throw_if_any();
  return network;
}

/// A network file with these lines under `layers:`; `extra` stands above it. The first layer is
/// on line 4 (and lower by the lines of `extra`).
inline std::string network_text(const std::string& layers, const Shape& input,
                                const std::string& extra = "") {
  std::string mean, std;
  for (int c = 0; c < input.c; ++c) {
    mean += c == 0 ? "0.5" : ", 0.5";
    std += c == 0 ? "0.25" : ", 0.25";
  }
  return fmt::format(
      "name: t\ninput: {{channels: {}, height: {}, width: {}, mean: [{}], std: "
      "[{}]}}\n{}layers:\n{}",
      input.c, input.h, input.w, mean, std, extra, layers);
}

inline Graph build(const std::string& layers, const Shape& input = {1, 3, 16, 16},
                   const BuildOptions& options = {}, const std::string& extra = "") {
  return build_graph(network_of(network_text(layers, input, extra)), options);
}

/// The errors of building, one a line, without "net.yaml:"; "" when there are none.
inline std::string build_errors(const std::string& layers, const Shape& input = {1, 3, 16, 16},
                                const BuildOptions& options = {}, const std::string& extra = "") {
  std::string text;
  try {
    build(layers, input, options, extra);
  } catch (const ConfigError& error) {
    for (const Diagnostic& d : error.diagnostics()) {
      text += fmt::format("{}:{}: {}\n", d.mark.line, d.mark.column, d.text);
    }
  }
  return text;
}

/// "c1.weight 8 x 3 x 3 x 3" for every parameter.
inline std::vector<std::string> param_list(const Graph& graph) {
  std::vector<std::string> list;
  for (const Param& param : graph.params) {
    list.push_back(param.name + " " + format_dims(param.spec.dims));
  }
  return list;
}

inline const Param& param_named(const Graph& graph, const std::string& name) {
  for (const Param& param : graph.params) {
    if (param.name == name) return param;
  }
  throw std::runtime_error("no parameter " + name);
}

inline Shape output_shape(const Graph& graph) {
  return graph.values[graph.prediction].shape;
}

/// The only op of a kind; throws when there is none.
template <typename OpType>
const OpType& op_of(const Graph& graph, OpKind kind) {
  for (const GraphNode& node : graph.nodes) {
    if (node.op->kind() == kind) return dynamic_cast<const OpType&>(*node.op);
  }
  throw std::runtime_error(fmt::format("no {}", to_string(kind)));
}

/// The kinds of all nodes behind the input's, in order.
inline std::vector<std::string> kinds(const Graph& graph) {
  std::vector<std::string> list;
  for (const GraphNode& node : graph.nodes) {
    if (node.op->kind() != OpKind::input_u8) list.emplace_back(to_string(node.op->kind()));
  }
  return list;
}

}  // namespace daybreak
