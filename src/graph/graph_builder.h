#pragma once

#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "graph/graph.h"

namespace daybreak {

/// Adds operations to a graph, one layer at a time. Every add infers the output's shape; a shape
/// that does not fit throws ConfigError at the current layer's mark. Layers nest: a layer begun
/// inside another (the body of a residual block) ends before it.
class GraphBuilder {
 public:
  explicit GraphBuilder(Graph* graph) : graph_(graph) {}

  /// Starts a layer: its nodes and parameters carry this name, its errors this place and start
  /// with `type`. `inputs` are the values the layer reads.
  void begin_layer(std::string name, Mark mark, std::vector<ValueId> inputs, std::string type = "");
  /// Ends it and returns the value set by output() (or the last one added, or the layer's input).
  ValueId end_layer();
  /// Ends a layer whose lowering threw; its nodes stay, unreachable.
  void abandon_layer();

  ValueId graph_input(InputRole role, const Shape& shape, DType dtype, std::string name);

  const std::string& layer_name() const { return current().name; }
  const Mark& mark() const { return current().mark; }
  const std::vector<ValueId>& inputs() const { return current().inputs; }
  /// The only (or first) input of the layer.
  ValueId input() const;
  const Shape& shape(ValueId value) const { return graph_->values[value].shape; }

  /// Adds `op`; its parameters are named LAYER[.scope].SUFFIX. `inits` by ParamSpec::suffix; what
  /// is not listed starts by its role.
  template <typename OpType>
  ValueId add(OpType op, std::vector<ValueId> inputs, const std::string& scope = "",
              std::vector<std::pair<std::string, Init>> inits = {}) {
    return add_op(std::make_shared<OpType>(std::move(op)), std::move(inputs), scope,
                  std::move(inits));
  }
  void output(ValueId value) { current().output = value; }

  /// A salt for each dropout of the network.
  std::uint32_t next_salt() { return salt_++; }

  Graph& graph() { return *graph_; }
  const Graph& graph() const { return *graph_; }
  /// Throws ConfigError at the current layer: "TYPE: TEXT".
  [[noreturn]] void fail(const std::string& text) const;
  /// `"r1b" 128 x 16 x 16 (line 9)`: a value as messages show it.
  std::string show(ValueId value) const;

 private:
  struct Frame {
    std::string name;
    std::string type;
    Mark mark;
    std::vector<ValueId> inputs;
    ValueId output = kNone;
    NodeId first_node = 0;  ///< the nodes of this layer start here
  };

  const Frame& current() const;
  Frame& current();
  ValueId add_op(std::shared_ptr<const Op> op, std::vector<ValueId> inputs,
                 const std::string& scope, std::vector<std::pair<std::string, Init>> inits);
  Shape infer(const Op& op, const std::vector<ValueId>& inputs,
              const std::vector<Shape>& shapes) const;
  void check_whitened(const Op& op, const std::vector<ValueId>& inputs) const;
  std::vector<ParamId> add_params(std::vector<ParamSpec> specs, const std::string& prefix,
                                  const std::vector<std::pair<std::string, Init>>& inits);

  Graph* graph_;
  std::vector<Frame> frames_;
  std::set<std::string> param_names_;
  std::uint32_t salt_ = 0;
};

}  // namespace daybreak
