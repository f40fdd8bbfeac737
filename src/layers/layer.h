#pragma once

#include <functional>
#include <string>
#include <utility>

#include "config/schema.h"
#include "layers/layer_builder.h"

namespace daybreak {

/// Options that have been read. `good` is false when something was wrong with them.
struct PreparedLayer {
  bool good = false;
  std::function<void(LayerBuilder&)> lower;
};

/// What a user may write in a network's list of layers: a field table and a function that lowers
/// the options to ops. Layers have no device code; nobody outside this folder names one.
struct LayerType {
  std::string name;
  std::string doc;
  const SchemaBase* schema = nullptr;
  /// Reads options (wrong fields are reported and keep their defaults) and returns the lowering.
  std::function<PreparedLayer(const Node&, const Reader&)> prepare;
  int min_inputs = 1;
  int max_inputs = 1;
  bool loss = false;           ///< ends a network; left out of graphs without a loss
  bool conv_defaults = false;  ///< takes norm, act and init from the defaults of `conv`

  LayerType takes(int least, int most) && {
    min_inputs = least, max_inputs = most;
    return std::move(*this);
  }
  LayerType is_loss() && {
    loss = true;
    return std::move(*this);
  }
  LayerType with_conv_defaults() && {
    conv_defaults = true;
    return std::move(*this);
  }
};

/// `schema` is kept by reference: give it static storage.
template <typename Options>
LayerType make_layer_type(std::string name, std::string doc, const Schema<Options>& schema,
                          void (*lower)(const Options&, LayerBuilder&)) {
  LayerType type;
  type.name = std::move(name);
  type.doc = std::move(doc);
  type.schema = &schema;
  type.prepare = [&schema, lower](const Node& node, const Reader& reader) {
    Options options{};
    const bool good = schema.read(node, options, reader);
    return PreparedLayer{
        good, [options = std::move(options), lower](LayerBuilder& b) { lower(options, b); }};
  };
  return type;
}

/// For layers without options.
struct NoOptions {};
const Schema<NoOptions>& no_options();

}  // namespace daybreak
