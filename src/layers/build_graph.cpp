#include "layers/build_graph.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/text.h"
#include "layers/layer.h"
#include "layers/registry.h"
#include "ops/input_u8.h"

namespace daybreak {
namespace {

std::vector<float> per_channel(const std::vector<double>& values, int channels) {
  if (values.size() == 1) return std::vector<float>(channels, static_cast<float>(values[0]));
  return {values.begin(), values.end()};
}

// Pictures as bytes, normalised; the layer "input".
ValueId add_input(LayerBuilder& b, const InputSpec& input) {
  const Shape shape{1, input.channels, input.height, input.width};
  if (b.options().float_input) {
    return b.graph_input(InputRole::image, shape, DType::f32, "input");
  }
  const ValueId image = b.graph_input(InputRole::image, shape, DType::u8, "image");
  InputU8 op;
  op.mean = per_channel(input.mean, input.channels);
  op.std = per_channel(input.std, input.channels);
  op.scale = static_cast<float>(input.scale);
  op.reverse_channels = input.order == ChannelOrder::bgr && input.channels > 1;
  b.begin_layer("input", input.mark, {image});
  b.add(op, {image});
  return b.end_layer();
}

// Defaults of layers that occur are checked with them; the others at least by their keys.
void check_defaults(const NetworkSpec& network, Diagnostics& diagnostics) {
  for (const NodeEntry& entry : network.defaults.entries) {
    const LayerType* type = find_layer_type(entry.key);
    if (!type) {
      diagnostics.add(entry.mark,
                      fmt::format("unknown layer type {} in \"defaults\"{}", quote(entry.key),
                                  hint(entry.key, layer_type_names())));
      continue;
    }
    const std::vector<std::string> keys = type->schema->keys();
    for (const NodeEntry& option : entry.value.entries) {
      if (std::ranges::find(keys, option.key) != keys.end()) continue;
      diagnostics.add(option.mark,
                      fmt::format("unknown key {} in \"defaults.{}\"{}", quote(option.key),
                                  entry.key, hint(option.key, keys)));
    }
  }
}

}  // namespace

Graph build_graph(const NetworkSpec& network, const BuildOptions& options) {
  Graph graph;
  graph.name = network.name;
  LayerBuilder b(&graph, network, options);
  check_defaults(network, b.diagnostics());
  if (network.layers.empty()) b.diagnostics().add(network.mark, "the network has no layers");
  const ValueId input = add_input(b, network.input);
  b.name_value("input", input);
  const ValueId last = b.lower_layers(network.layers, input);
  b.diagnostics().throw_if_any();
  graph.prediction = b.loss_input() == kNone ? last : b.loss_input();
  return graph;
}

}  // namespace daybreak
