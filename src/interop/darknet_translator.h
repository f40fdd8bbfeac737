#pragma once

#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "interop/darknet_network.h"

// What the translations of sections share; only src/interop/darknet_*.cpp include this.

namespace daybreak::detail {

/// Builds the list of layers. Darknet's layers are known by their number; a layer that only renames
/// another's output (a route to one layer) has no counterpart, its readers read that layer.
class DarknetTranslator {
 public:
  DarknetTranslator(DarknetDialect whose, Diagnostics& errors)
      : dialect(whose), diagnostics(errors) {}

  const DarknetDialect dialect;
  Diagnostics& diagnostics;
  DarknetNetwork result;

  void net(DarknetKeys& keys);
  void layer(DarknetKeys& keys);
  /// After the last section: how pictures are fitted, what a classifier ends in.
  void finish(const std::string& name);

 private:
  using Options = std::vector<std::pair<std::string, Node>>;

  // Sections, by group: darknet_layers.cpp, darknet_joins.cpp, darknet_heads.cpp.
  void convolutional(DarknetKeys& keys);
  void crop(DarknetKeys& keys);
  void connected(DarknetKeys& keys);
  void batchnorm(DarknetKeys& keys);
  void activation(DarknetKeys& keys);
  void maxpool(DarknetKeys& keys);
  void local_avgpool(DarknetKeys& keys);
  void avgpool(DarknetKeys& keys);
  void upsample(DarknetKeys& keys);
  void dropout(DarknetKeys& keys);
  void softmax(DarknetKeys& keys);
  void cost(DarknetKeys& keys);
  void route(DarknetKeys& keys);
  void shortcut(DarknetKeys& keys);
  void scale_channels(DarknetKeys& keys);
  void sam(DarknetKeys& keys);
  void reorg(DarknetKeys& keys);
  void reorg3d(DarknetKeys& keys);
  void yolo(DarknetKeys& keys);
  void region(DarknetKeys& keys);

  void common_keys(DarknetKeys& keys);
  /// "conv3": a name by the layer's number.
  std::string own_name(const char* stem) const;
  /// The layer before, as an input; reports a layer whose output cannot be read.
  std::string previous(DarknetKeys& keys);
  /// The output of layer `index` (negative: relative); empty after reporting.
  std::string output_of(int index, DarknetKeys& keys, const std::string& key);
  /// Adds TYPE: {name: NAME, from: [...], options} and makes NAME the current layer's output.
  void emit(DarknetKeys& keys, const std::string& type, const std::string& name,
            std::vector<std::string> from, Options options);
  /// The activation's node for `act`; a null node for linear. Reports what is unknown.
  Node act_node(DarknetKeys& keys, const std::string& fallback);
  Node norm_node() const;
  DarknetWeights& add_weights(DarknetKeys& keys);
  Node anchors_node(DarknetKeys& keys, std::size_t count);
  void add_nms(DarknetKeys& keys, Options& options);

  int height_ = 0, width_ = 0, channels_ = 0;
  bool letter_box_ = false;
  bool has_heads_ = false;
  bool around_zero_ = false;          // pixels in -1..1 instead of 0..1
  int index_ = 0;                     // of the current layer
  std::vector<std::string> outputs_;  // by layer; empty: cannot be read
  std::string last_ = "input";        // the layer emitted last
  Node layers_ = Node::make_list();
};

Node number_node(double value);
Node whole_node(int value);

}  // namespace daybreak::detail
