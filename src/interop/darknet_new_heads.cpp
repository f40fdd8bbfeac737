#include "interop/darknet_new_heads.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/error.h"

namespace daybreak {
namespace {

using Layers = std::vector<Node>;

NodeEntry& entry_of(Node& layer) {
  return layer.entries[0];
}

std::string name_of(Node& layer) {
  return entry_of(layer).value.find("name")->text;
}

// What the layer at `at` reads, when that is one layer.
std::string source_of(Layers& layers, std::size_t at) {
  const Node* from = entry_of(layers[at]).value.find("from");
  if (from) return from->is_scalar() ? from->text : "";
  return at == 0 ? "input" : name_of(layers[at - 1]);
}

bool reads(Layers& layers, std::size_t at, const std::string& name) {
  const Node* from = entry_of(layers[at]).value.find("from");
  if (!from || !from->is_list()) return source_of(layers, at) == name;
  return std::any_of(from->items.begin(), from->items.end(),
                     [&](const Node& item) { return item.text == name; });
}

bool is_plain_conv(Node& layer) {
  const Node& options = entry_of(layer).value;
  const Node* size = options.find("size");
  return entry_of(layer).key == "conv" && size && size->text == "1" && !options.has("norm") &&
         !options.has("act") && !options.has("groups");
}

// Takes the convolution before the head at `at` out; returns its name.
std::string renew_head(Layers& layers, std::size_t at) {
  Node& head = entry_of(layers[at]).value;
  const std::string source = source_of(layers, at);
  std::size_t conv = 0;
  while (conv < layers.size() && name_of(layers[conv]) != source) ++conv;
  if (conv == layers.size() || !is_plain_conv(layers[conv])) {
    throw ConfigError(head.mark, fmt::format("--new-heads: \"{}\" is not a plain 1x1 convolution, "
                                             "which is what a head can make anew",
                                             source));
  }
  for (std::size_t other = 0; other < layers.size(); ++other) {
    if (other == at || !reads(layers, other, source)) continue;
    throw ConfigError(head.mark, fmt::format("--new-heads: \"{}\" is read by \"{}\" as well",
                                             source, name_of(layers[other])));
  }
  head.set("from", Node::make_text(source_of(layers, conv), head.mark));
  head.set("conv", Node::make_scalar("1", head.mark));
  head.set("classes", Node::make_scalar("auto", head.mark));
  layers.erase(layers.begin() + static_cast<std::ptrdiff_t>(conv));
  return source;
}

}  // namespace

void renew_heads(DarknetImport& import) {
  Layers& layers = import.net.network.find("layers")->items;
  for (std::size_t at = 0; at < layers.size(); ++at) {
    if (entry_of(layers[at]).key == "region") {
      throw ConfigError(layers[at].mark, "--new-heads is for yolo heads, not for region");
    }
    if (entry_of(layers[at]).key != "yolo") continue;
    const std::string prefix = renew_head(layers, at) + ".";
    std::erase_if(import.tensors, [&](const ImportedTensor& tensor) {
      return tensor.name.compare(0, prefix.size(), prefix) == 0;
    });
    --at;  // the layers behind have moved up
  }
  import.net.classes = 0;
}

}  // namespace daybreak
