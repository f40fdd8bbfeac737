#include "layers/layer_builder.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/text.h"
#include "layers/layer.h"
#include "layers/registry.h"

namespace daybreak {
namespace {

// What a composite of convolutions takes over from `defaults: {conv: ...}`.
constexpr std::string_view kSharedKeys[] = {"norm", "act", "init"};

Node with_conv_defaults(const Node& options, const Node& defaults) {
  const Node* conv = defaults.find("conv");
  if (!conv || !conv->is_map() || !options.is_map()) return options;
  Node base = Node::make_map(options.mark);
  for (std::string_view key : kSharedKeys) {
    if (const Node* value = conv->find(key)) base.set(key, *value);
  }
  return merge_nodes(base, options);
}

std::string input_count(int count) {
  return fmt::format("{} input{}", count, count == 1 ? "" : "s");
}

}  // namespace

int LayerBuilder::auto_classes(const std::string& key) const {
  if (options_.classes > 0) return options_.classes;
  if (options_.stand_in_classes > 0) return options_.stand_in_classes;
  fail(
      fmt::format("\"{}: auto\" takes the number of classes from the data set, but there is none; "
                  "write the number",
                  key));
}

ValueId LayerBuilder::lower_layers(const std::vector<LayerNode>& layers, ValueId input) {
  ValueId value = input;
  for (const LayerNode& layer : layers) value = lower_layer(layer, value);
  return value;
}

ValueId LayerBuilder::lower_nested(const Node& list, ValueId input, const std::string& scope) {
  const std::string prefix = scope.empty() ? layer_name() : layer_name() + "." + scope;
  const std::vector<LayerNode> layers = parse_layers(list, network_.defaults, diagnostics_, prefix);
  ++depth_;
  const std::size_t errors_before = diagnostics_.size();
  const ValueId value = lower_layers(layers, input);
  --depth_;
  if (value == kNone || diagnostics_.size() != errors_before) throw LayerFailed{};
  return value;
}

ValueId LayerBuilder::lower_layer(const LayerNode& layer, ValueId previous) {
  const LayerType* type = find_layer_type(layer.type);
  if (!type) {
    diagnostics_.add(layer.mark, fmt::format("unknown layer type {}{}", quote(layer.type),
                                             hint(layer.type, layer_type_names())));
    return values_[layer.name] = kNone;
  }
  const Owner owner{fmt::format("layer {}", quote(layer.name)),
                    fmt::format("(type: {})", layer.type)};
  Node options = layer.options.is_null() ? Node::make_map(layer.mark) : layer.options;
  if (type->conv_defaults) options = with_conv_defaults(options, network_.defaults);
  PreparedLayer prepared = type->prepare(options, Reader(diagnostics_, owner));
  const bool good_options = prepared.good;
  if (!good_options) {
    Diagnostics said_already;
    prepared = type->prepare(guess_keys(options, *type->schema), Reader(said_already, owner));
  }
  bool good = check_loss_place(layer, *type);
  std::vector<ValueId> inputs = resolve(layer, *type, previous, &good);
  if (!good || std::ranges::find(inputs, kNone) != inputs.end()) {
    check_nested(layer, *type);
    return values_[layer.name] = kNone;
  }
  if (type->loss) {
    loss_input_ = inputs.front();
    if (!options_.with_loss) return values_[layer.name] = inputs.front();
  }
  Diagnostics kept;
  if (!good_options) std::swap(kept, diagnostics_);  // what follows from wrong options is noise
  const ValueId value = run(layer, *type, prepared.lower, std::move(inputs));
  if (!good_options) {
    std::swap(kept, diagnostics_);
    if (value == kNone) check_nested(layer, *type);
  }
  return values_[layer.name] = value;
}

ValueId LayerBuilder::run(const LayerNode& layer, const LayerType& type,
                          const std::function<void(LayerBuilder&)>& lower,
                          std::vector<ValueId> inputs) {
  const std::vector<ValueId> kept = inputs;
  begin_layer(layer.name, layer.mark, std::move(inputs), type.name);
  try {
    lower(*this);
    return end_layer();
  } catch (const ConfigError& error) {
    diagnostics_.add(error);
  } catch (const LayerFailed&) {
  }
  abandon_layer();
  return kNone;
}

bool LayerBuilder::check_loss_place(const LayerNode& layer, const LayerType& type) {
  if (!loss_layer_.empty()) {
    diagnostics_.add(layer.mark, fmt::format("layer {} stands behind the loss {}, which must be "
                                             "the last layer",
                                             quote(layer.name), quote(loss_layer_)));
    return false;
  }
  if (!type.loss) return true;
  if (depth_ > 0) {
    diagnostics_.add(layer.mark, fmt::format("the loss {} must stand in the network's own list",
                                             quote(layer.name)));
    return false;
  }
  loss_layer_ = layer.name;
  return true;
}

// A name from the network's list, or from one of the lists around the reader's own.
std::map<std::string, ValueId>::const_iterator LayerBuilder::find_named(
    const std::string& name, const std::string& reader) const {
  auto found = values_.find(name);
  std::string scope = reader;
  while (found == values_.end() && scope.find('.') != std::string::npos) {
    scope.resize(scope.rfind('.'));
    found = values_.find(scope + "." + name);
  }
  return found;
}

std::vector<ValueId> LayerBuilder::resolve(const LayerNode& layer, const LayerType& type,
                                           ValueId previous, bool* good) {
  std::vector<ValueId> inputs;
  if (layer.from.empty()) inputs.push_back(previous);
  for (const std::string& name : layer.from) {
    const auto it = find_named(name, layer.name);
    if (it != values_.end()) {
      inputs.push_back(it->second);
      continue;
    }
    std::vector<std::string> known;
    for (const auto& [other, value] : values_) known.push_back(other);
    diagnostics_.add(layer.from_mark,
                     fmt::format("layer {} reads {}, and no layer before it has this name{}",
                                 quote(layer.name), quote(name), hint(name, known)));
    *good = false;
  }
  const int count = static_cast<int>(inputs.size());
  if (*good && (count < type.min_inputs || count > type.max_inputs)) {
    const std::string wanted =
        type.min_inputs == type.max_inputs
            ? input_count(type.min_inputs)
            : fmt::format("{} to {}", type.min_inputs, input_count(type.max_inputs));
    const std::string fix = count < type.min_inputs ? "; name them: from: [a, b]" : "";
    diagnostics_.add(layer.mark, fmt::format("layer {} (type: {}) takes {}, found {}{}",
                                             quote(layer.name), layer.type, wanted, count, fix));
    *good = false;
  }
  return inputs;
}

// A container that cannot be lowered still has its layers' options checked.
void LayerBuilder::check_nested(const LayerNode& layer, const LayerType& type) {
  if (!layer.options.is_map()) return;
  for (const FieldInfo& info : type.schema->fields()) {
    const Node* list = layer.options.find(info.key);
    if (info.type.kind != TypeInfo::Kind::layers || !list || list->is_null()) continue;
    const std::string scope = info.key == "body" ? "" : "." + info.key;
    ++depth_;
    lower_layers(parse_layers(*list, network_.defaults, diagnostics_, layer.name + scope), kNone);
    --depth_;
  }
}

Node guess_keys(const Node& options, const SchemaBase& schema) {
  if (!options.is_map()) return options;
  const std::vector<std::string> keys = schema.keys();
  Node result = options;
  for (NodeEntry& entry : result.entries) {
    if (std::ranges::find(keys, entry.key) != keys.end()) continue;
    const std::optional<std::string> guess = nearest_name(entry.key, keys);
    if (guess && !result.has(*guess)) entry.key = *guess;
  }
  return result;
}

}  // namespace daybreak
