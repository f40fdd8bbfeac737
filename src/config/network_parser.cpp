#include <fmt/format.h>

#include "config/network_spec.h"
#include "config/schema.h"
#include "config/spec_names.h"
#include "config/spec_schemas.h"

namespace daybreak {
namespace {

struct NetworkFile {
  std::string name;
  InputSpec input;
  std::vector<std::string> classes;
  Node defaults = Node::make_map();
  Node layers = Node::make_list();
};

void check_input(const InputSpec& input, const Node& node, const Reader& reader) {
  const auto place = [&](const char* key) {
    return node.has(key) ? node.find(key)->mark : node.mark;
  };
  if (input.mean.empty() != input.std.empty()) {
    const char* given = input.mean.empty() ? "std" : "mean";
    reader.error(place(given), "needs both \"mean\" and \"std\", or neither to measure them");
    return;
  }
  const auto check_size = [&](const char* key, std::size_t size) {
    if (size == 0 || size == static_cast<std::size_t>(input.channels)) return;
    reader.at(key).error(place(key),
                         fmt::format("must have one number for each of the {} channels, found {}",
                                     input.channels, size));
  };
  check_size("mean", input.mean.size());
  check_size("std", input.std.size());
}

bool check_defaults(const Node& defaults, Diagnostics& diagnostics) {
  if (!defaults.is_map()) {
    return Reader(diagnostics, {}, "defaults").wrong(defaults, "a map of layer types");
  }
  bool good = true;
  for (const NodeEntry& entry : defaults.entries) {
    const Reader reader(diagnostics, {}, "defaults." + entry.key);
    if (!entry.value.is_map()) {
      good = reader.wrong(entry.value, "a map of options");
      continue;
    }
    for (const char* key : {"name", "from"}) {
      const NodeEntry* own = entry.value.find_entry(key);
      if (own)
        good = reader.error(own->mark,
                            fmt::format("cannot set \"{}\", which belongs to one layer", key));
    }
  }
  return good;
}

}  // namespace

const Schema<InputSpec>& config_schema(Type<InputSpec>) {
  static const Schema<InputSpec> kSchema{
      field("channels", &InputSpec::channels).in(1, 1024).doc("colour channels of a picture"),
      field("height", &InputSpec::height).in(1, 65535).doc("in pixels"),
      field("width", &InputSpec::width).in(1, 65535).doc("in pixels"),
      field("mean", &InputSpec::mean)
          .items(1, 1024)
          .or_word("measure", {})
          .doc("subtracted after scaling, by channel; measure: over the training pictures"),
      field("std", &InputSpec::std)
          .above(0)
          .items(1, 1024)
          .or_word("measure", {})
          .doc("divides after the mean is subtracted, by channel"),
      field("scale", &InputSpec::scale).above(0).doc("factor on the stored values 0..255"),
      field("order", &InputSpec::order).doc("order of the colour channels"),
      field("fit", &InputSpec::fit).doc("how a picture of another size becomes the input"),
      field("resample", &InputSpec::resample).doc("how it is resized then"),
      check<InputSpec>(check_input)};
  return kSchema;
}

const SchemaBase& network_file_schema() {
  static const Schema<NetworkFile> kSchema{
      field("name", &NetworkFile::name).doc("default: the file's name"),
      field("input", &NetworkFile::input).required().doc("how pictures become the network's input"),
      field("classes", &NetworkFile::classes)
          .items(0, 65536)
          .doc("names of the classes, for predict and detect; training takes the data set's"),
      field("defaults", &NetworkFile::defaults)
          .doc("options by layer type, for layers that do not set them"),
      field("layers", &NetworkFile::layers).layer_list().required().doc("what runs, in order")};
  return kSchema;
}

NetworkSpec parse_network(const Node& map, Diagnostics& diagnostics) {
  const auto& schema = static_cast<const Schema<NetworkFile>&>(network_file_schema());
  NetworkFile file = schema.parse(map, diagnostics);
  NetworkSpec network;
  network.name = std::move(file.name);
  network.input = std::move(file.input);
  network.classes = std::move(file.classes);
  if (const Node* input = map.find("input")) network.input.mark = input->mark;
  network.mark = map.mark;
  network.source = map;
  network.defaults =
      check_defaults(file.defaults, diagnostics) ? std::move(file.defaults) : Node::make_map();
  network.layers = parse_layers(file.layers, network.defaults, diagnostics);
  if (const Node* layers = map.find("layers");
      layers && layers->is_list() && layers->items.empty()) {
    diagnostics.add(layers->mark, "a network needs at least one layer");
  }
  return network;
}

Node write_network(const NetworkSpec& network) {
  Node map = Node::make_map();
  map.set("name", Node::make_text(network.name));
  map.set("input", config_schema(Type<InputSpec>{}).write(network.input));
  for (const char* key : {"classes", "defaults", "layers"}) {
    if (const Node* value = network.source.find(key)) map.set(key, *value);
  }
  return map;
}

}  // namespace daybreak
