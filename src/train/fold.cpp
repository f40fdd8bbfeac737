#include "train/fold.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>

#include "ops/batchnorm.h"
#include "ops/conv2d.h"
#include "ops/linear.h"

namespace daybreak {
namespace {

class Folder {
 public:
  Folder(const Graph& graph, std::vector<NamedTensor> tensors, const std::vector<ValueId>& keep)
      : from_(graph), keep_(keep), readers_(graph.values.size(), 0) {
    for (NamedTensor& tensor : tensors) {
      std::string name = tensor.name;
      tensors_.emplace(std::move(name), std::move(tensor));
    }
    for (const GraphNode& node : graph.nodes) {
      for (ValueId input : node.inputs) ++readers_[input];
    }
  }

  FoldedModel run() {
    result_.graph = from_;
    result_.graph.nodes.clear();
    result_.graph.params.clear();
    std::vector<int> position(from_.values.size(), -1);
    for (const GraphNode& node : from_.nodes) {
      const ValueId input = node.inputs[0];
      if (node.op->kind() == OpKind::batchnorm && position[input] >= 0 && readers_[input] == 1 &&
          std::find(keep_.begin(), keep_.end(), input) == keep_.end() &&
          fold(result_.graph.nodes[position[input]], node)) {
        position[node.output] = position[input];
        result_.graph.nodes[position[input]].output = node.output;
        continue;
      }
      position[node.output] = static_cast<int>(result_.graph.nodes.size());
      add(node);
    }
    number_producers();
    return std::move(result_);
  }

 private:
  void add(const GraphNode& node) {
    GraphNode copy = node;
    for (ParamId& param : copy.params) {
      const Param& original = from_.params[param];
      result_.tensors.push_back(std::move(tensors_.at(original.name)));
      result_.graph.params.push_back(original);
      param = static_cast<ParamId>(result_.graph.params.size()) - 1;
    }
    result_.graph.nodes.push_back(std::move(copy));
  }

  const std::vector<float>& norm_values(const GraphNode& norm, std::size_t i) const {
    return tensors_.at(from_.params[norm.params[i]].name).values;
  }

  // Puts `norm` into the weights of `node`; false when that is no convolution or linear layer.
  bool fold(GraphNode& node, const GraphNode& norm) {
    const bool had_bias = node.params.size() == 2;
    if (node.op->kind() == OpKind::conv2d) {
      auto op = std::make_shared<Conv2d>(static_cast<const Conv2d&>(*node.op));
      op->bias = true;
      node.op = std::move(op);
    } else if (node.op->kind() == OpKind::linear) {
      auto op = std::make_shared<Linear>(static_cast<const Linear&>(*node.op));
      op->bias = true;
      node.op = std::move(op);
    } else {
      return false;
    }
    if (!had_bias) add_bias(node);
    const auto& op = static_cast<const BatchNorm&>(*norm.op);
    const std::size_t first = op.affine ? 2 : 0;  // weight, bias, then the running statistics
    const std::vector<float>& mean = norm_values(norm, first);
    const std::vector<float>& var = norm_values(norm, first + 1);
    std::vector<float>& w = result_.tensors[node.params[0]].values;
    std::vector<float>& b = result_.tensors[node.params[1]].values;
    const std::size_t per_output = w.size() / b.size();
    for (std::size_t c = 0; c < b.size(); ++c) {
      const double scale = op.affine ? norm_values(norm, 0)[c] : 1.0;
      const double shift = op.affine ? norm_values(norm, 1)[c] : 0.0;
      const double factor = scale / std::sqrt(double{var[c]} + op.eps);
      for (std::size_t i = c * per_output; i < (c + 1) * per_output; ++i) {
        w[i] = static_cast<float>(w[i] * factor);
      }
      b[c] = static_cast<float>((b[c] - double{mean[c]}) * factor + shift);
    }
    return true;
  }

  void add_bias(GraphNode& node) {
    const Param& weight = result_.graph.params[node.params[0]];
    const auto outputs = static_cast<int>(weight.spec.dims[0]);
    Param bias;
    bias.name = weight.name.substr(0, weight.name.rfind('.')) + ".bias";
    bias.spec = {"bias", ParamRole::bias, {outputs}, {1, outputs, 1, 1}};
    result_.tensors.push_back(
        {bias.name, bias.spec.dims, std::vector<float>(static_cast<std::size_t>(outputs), 0.0f)});
    result_.graph.params.push_back(std::move(bias));
    node.params.push_back(static_cast<ParamId>(result_.graph.params.size()) - 1);
  }

  void number_producers() {
    Graph& graph = result_.graph;
    for (Value& value : graph.values) value.producer = kNone;
    for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
      graph.values[graph.nodes[i].output].producer = static_cast<NodeId>(i);
    }
  }

  const Graph& from_;
  const std::vector<ValueId>& keep_;
  std::map<std::string, NamedTensor> tensors_;
  std::vector<int> readers_;
  FoldedModel result_;
};

}  // namespace

FoldedModel fold_batch_norm(const Graph& graph, std::vector<NamedTensor> tensors,
                            const std::vector<ValueId>& keep) {
  return Folder(graph, std::move(tensors), keep).run();
}

}  // namespace daybreak
