#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "graph/graph.h"

namespace daybreak {

/// Adds operations to a graph, one layer at a time. Every add infers the output's shape; a shape
/// that does not fit throws ConfigError at the current layer's mark.
class GraphBuilder {
 public:
  explicit GraphBuilder(Graph* graph) : graph_(graph) {}

  /// Starts a layer: its nodes and parameters carry this name, its errors this place.
  /// `inputs` are the values the layer reads.
  void begin_layer(std::string name, Mark mark, std::vector<ValueId> inputs);
  /// Ends it and returns the value set by output() (or the last one added).
  ValueId end_layer();

  ValueId graph_input(InputRole role, const Shape& shape, DType dtype, std::string name);

  const std::string& layer_name() const { return layer_; }
  const Mark& mark() const { return mark_; }
  const std::vector<ValueId>& inputs() const { return inputs_; }
  /// The only (or first) input of the layer.
  ValueId input() const;
  const Shape& shape(ValueId value) const { return graph_->values[value].shape; }

  /// Adds `op`; its parameters are named LAYER[.scope].SUFFIX. `inits` by ParamSpec::suffix; what
  /// is not listed starts by its role.
  template <typename OpType>
  ValueId add(OpType op, std::vector<ValueId> inputs, const std::string& scope = "",
              std::vector<std::pair<std::string, Init>> inits = {}) {
    return add_op(std::make_shared<OpType>(std::move(op)), std::move(inputs), scope, std::move(inits));
  }
  void output(ValueId value) { output_ = value; }

  /// A salt for each dropout of the network.
  std::uint32_t next_salt() { return salt_++; }

  Graph& graph() { return *graph_; }
  [[noreturn]] void fail(const std::string& text) const;

 private:
  ValueId add_op(std::shared_ptr<const Op> op, std::vector<ValueId> inputs, const std::string& scope,
                 std::vector<std::pair<std::string, Init>> inits);

  Graph* graph_;
  std::string layer_;
  Mark mark_;
  std::vector<ValueId> inputs_;
  ValueId output_ = kNone;
  std::uint32_t salt_ = 0;
};

}  // namespace daybreak
