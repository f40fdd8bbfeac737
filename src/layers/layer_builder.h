#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "config/network_spec.h"
#include "graph/graph_builder.h"

namespace daybreak {

struct LayerType;

/// What the data set says that a network depends on.
struct BuildOptions {
  int classes = 0;                  ///< of the data set; 0: unknown
  std::string classes_source = {};  ///< for messages: `data set "cifar10" (data/cifar10.yaml)`
  int stand_in_classes = 0;         ///< for `auto` while the classes are unknown; 0: an error
  int max_boxes = 1;                ///< rows of true boxes a picture has in training (M)
  bool with_loss = true;            ///< false: leave the loss, labels and metrics out
  bool float_input = false;         ///< the image comes normalised: f32 [N, C, H, W]
};

/// A GraphBuilder that knows the network around the layer being lowered: defaults, the data's
/// classes, other layers by name. It walks lists of layers, the network's own and those inside
/// containers, and collects every error.
class LayerBuilder : public GraphBuilder {
 public:
  LayerBuilder(Graph* graph, const NetworkSpec& network, const BuildOptions& options)
      : GraphBuilder(graph), network_(network), options_(options) {}

  const BuildOptions& options() const { return options_; }
  Diagnostics& diagnostics() { return diagnostics_; }

  /// The data's class count for `KEY: auto`; an error when there are no classes.
  int auto_classes(const std::string& key) const;

  /// Lowers a list of layers, the first of which reads `input`; returns the value of the last.
  /// After an error, which is already reported, the result is kNone; so it is for input kNone.
  ValueId lower_layers(const std::vector<LayerNode>& layers, ValueId input);
  /// Lowers a list inside the current layer, names prefixed by LAYER[.scope]. Throws
  /// LayerFailed after an error.
  ValueId lower_nested(const Node& list, ValueId input, const std::string& scope = "");

  /// Makes `value` known as "input" or another name that `from` may use.
  void name_value(const std::string& name, ValueId value) { values_[name] = value; }
  /// What the loss reads; kNone before the loss layer.
  ValueId loss_input() const { return loss_input_; }

 private:
  ValueId lower_layer(const LayerNode& layer, ValueId previous);
  std::vector<ValueId> resolve(const LayerNode& layer, const LayerType& type, ValueId previous,
                               bool* good);
  std::map<std::string, ValueId>::const_iterator find_named(const std::string& name,
                                                            const std::string& reader) const;
  bool check_loss_place(const LayerNode& layer, const LayerType& type);
  ValueId run(const LayerNode& layer, const LayerType& type,
              const std::function<void(LayerBuilder&)>& lower, std::vector<ValueId> inputs);
  void check_nested(const LayerNode& layer, const LayerType& type);

  const NetworkSpec& network_;
  BuildOptions options_;
  Diagnostics diagnostics_;
  std::map<std::string, ValueId> values_;  ///< by layer name; kNone: known, but it went wrong
  int depth_ = 0;                          ///< of containers around the current list
  std::string loss_layer_;
  ValueId loss_input_ = kNone;
};

/// Thrown inside a container whose errors are reported already.
struct LayerFailed {};

/// The options of `layer` with keys that are misspelt renamed to the nearest valid one, so that
/// later layers see the shapes the user probably meant. Used only after reporting.
Node guess_keys(const Node& options, const SchemaBase& schema);

}  // namespace daybreak
