#pragma once

#include <span>
#include <string>
#include <vector>

#include "config/diagnostics.h"
#include "config/node.h"
#include "config/schema_types.h"
#include "config/specs.h"

// What a network file says. Options of layers stay nodes: src/layers reads them with its tables.

namespace daybreak {

/// One entry of a list of layers, after `repeat` is expanded and defaults are merged in.
struct LayerNode {
  std::string type;
  std::string name;               ///< unique in the network, with the names of what it is nested in
  std::vector<std::string> from;  ///< layers it reads; empty: the one before
  Node options;    ///< without `name` and `from`; a map, or the value of a short form
  Mark mark;       ///< of the type's name
  Mark from_mark;  ///< of `from`, when it is given
};

struct NetworkSpec {
  std::string name;
  InputSpec input;
  std::vector<std::string> classes;  ///< names, when the file has them
  Node defaults;                     ///< options by layer type, merged already into `layers`
  std::vector<LayerNode> layers;
  Mark mark;
  Node source;  ///< the whole map as written, base files merged in
};

/// Reads a list of layers: one-key maps `conv: {filters: 8}`, names `flatten`, and
/// `repeat: {count: 3, name: block, layers: [...]}`, whose layers are named block.1.LAYER and so
/// on. Layers without a name get TYPE1, TYPE2, ... `prefix` (of a container such as `residual`) is
/// put before every name with a dot, and before what `from` names inside the same list. Reports
/// malformed entries and names given twice.
std::vector<LayerNode> parse_layers(const Node& list, const Node& defaults,
                                    Diagnostics& diagnostics, const std::string& prefix = "");

/// The map of a network file. What is wrong goes to `diagnostics`.
NetworkSpec parse_network(const Node& map, Diagnostics& diagnostics);

/// The map again, with every key of `input`; reads back to the same network.
Node write_network(const NetworkSpec& network);

/// `over` laid on `base`: maps are merged key by key, anything else is replaced, and so is a map
/// that names another choice under one of the keys act, norm, init, optimizer, policy.
Node merge_nodes(const Node& base, const Node& over);

/// A layer type, as its folder describes it, for the JSON schema of networks.
struct LayerSchemaEntry {
  std::string type;
  std::string doc;
  const SchemaBase* schema = nullptr;
};

}  // namespace daybreak
