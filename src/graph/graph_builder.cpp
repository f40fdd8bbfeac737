#include "graph/graph_builder.h"

#include <fmt/format.h>

#include "ops/conv2d.h"

namespace daybreak {
namespace {

// Limits that keep every later product of sizes inside 64 bits (and 32 where kernels use int).
constexpr int kMaxSide = 32768;
constexpr std::int64_t kMaxElements = std::int64_t{1} << 31;
// Numbers of a patch: its eigenvectors are found in a second.
constexpr int kMostWhitened = 256;

}  // namespace

void GraphBuilder::begin_layer(std::string name, Mark mark, std::vector<ValueId> inputs,
                               std::string type) {
  Frame frame;
  frame.name = std::move(name);
  frame.type = type.empty() ? frame.name : std::move(type);
  frame.mark = std::move(mark);
  frame.inputs = std::move(inputs);
  frame.first_node = static_cast<NodeId>(graph_->nodes.size());
  frames_.push_back(std::move(frame));
}

ValueId GraphBuilder::end_layer() {
  Frame& frame = current();
  ValueId result = frame.output;
  if (result == kNone) {
    const bool empty = static_cast<std::size_t>(frame.first_node) == graph_->nodes.size();
    result = empty ? input() : graph_->nodes.back().output;
  }
  // The layer's result is known by the layer's name, whatever part of it made the value.
  Value& value = graph_->values[result];
  if (value.producer != kNone && value.producer >= frame.first_node) value.name = frame.name;
  frames_.pop_back();
  return result;
}

void GraphBuilder::abandon_layer() {
  DAYBREAK_ASSERT(!frames_.empty());
  frames_.pop_back();
}

ValueId GraphBuilder::graph_input(InputRole role, const Shape& shape, DType dtype,
                                  std::string name) {
  graph_->values.push_back({std::move(name), shape, dtype, kNone});
  const ValueId id = static_cast<ValueId>(graph_->values.size()) - 1;
  graph_->inputs.push_back({id, role});
  return id;
}

ValueId GraphBuilder::input() const {
  DAYBREAK_ASSERT(!current().inputs.empty());
  return current().inputs.front();
}

void GraphBuilder::fail(const std::string& text) const {
  throw ConfigError(mark(), fmt::format("{}: {}", current().type, text));
}

std::string GraphBuilder::show(ValueId id) const {
  const Value& value = graph_->values[id];
  std::string text = fmt::format("\"{}\" {}", value.name, to_string(value.shape));
  if (value.producer != kNone && graph_->nodes[value.producer].mark.line > 0) {
    text += fmt::format(" (line {})", graph_->nodes[value.producer].mark.line);
  }
  return text;
}

const GraphBuilder::Frame& GraphBuilder::current() const {
  DAYBREAK_ASSERT(!frames_.empty());
  return frames_.back();
}

GraphBuilder::Frame& GraphBuilder::current() {
  DAYBREAK_ASSERT(!frames_.empty());
  return frames_.back();
}

Shape GraphBuilder::infer(const Op& op, const std::vector<ValueId>& inputs,
                          const std::vector<Shape>& shapes) const {
  const auto list_inputs = [&] {
    std::string text;
    for (ValueId id : inputs) text += (text.empty() ? "" : ", ") + show(id);
    return text;
  };
  const int count = static_cast<int>(inputs.size());
  if (count < op.min_inputs() || count > op.max_inputs()) {
    const std::string wanted = op.min_inputs() == op.max_inputs()
                                   ? fmt::format("{}", op.min_inputs())
                                   : fmt::format("{} to {}", op.min_inputs(), op.max_inputs());
    fail(fmt::format("takes {} input{}, found {}: {}", wanted, wanted == "1" ? "" : "s", count,
                     list_inputs()));
  }
  if (op.kind() == OpKind::add && shapes[0] != shapes[1]) fail("inputs differ: " + list_inputs());
  Shape out;
  try {
    out = op.infer(shapes);
  } catch (const ShapeError& error) {
    fail(fmt::format("{}: {}", error.what(), list_inputs()));
  }
  if (out.n < 1 || out.c < 1 || out.h < 1 || out.w < 1 || out.h > kMaxSide || out.w > kMaxSide ||
      out.per_sample() > kMaxElements) {
    fail(fmt::format("the output {} of {} is out of range: {}", to_string(out), op.describe(),
                     list_inputs()));
  }
  return out;
}

// Whitening needs what the filters will see: patches of normalised pictures.
void GraphBuilder::check_whitened(const Op& op, const std::vector<ValueId>& inputs) const {
  const NodeId producer = graph_->values[inputs[0]].producer;
  const bool pictures = producer == kNone || graph_->nodes[producer].op->kind() == OpKind::input_u8;
  if (op.kind() != OpKind::conv2d || !pictures) {
    fail("\"init\": whiten is for a convolution that reads the pictures");
  }
  const auto& conv = static_cast<const Conv2d&>(op);
  const int length = shape(inputs[0]).c * conv.kernel_h * conv.kernel_w;
  if (conv.groups != 1) fail("\"init\": whiten needs \"groups\" 1");
  if (conv.out_channels > 2 * length) {
    fail(fmt::format(
        "\"init\": whiten has at most {} filters for patches of {} numbers, \"filters\" "
        "asks for {}",
        2 * length, length, conv.out_channels));
  }
  if (length > kMostWhitened) {
    fail(fmt::format("\"init\": whiten is for patches of at most {} numbers, these have {}",
                     kMostWhitened, length));
  }
}

std::vector<ParamId> GraphBuilder::add_params(
    std::vector<ParamSpec> specs, const std::string& prefix,
    const std::vector<std::pair<std::string, Init>>& inits) {
  std::vector<ParamId> ids;
  for (ParamSpec& spec : specs) {
    Param param;
    param.name = prefix + "." + spec.suffix;
    // A product of four ints may pass 64 bits: check factor by factor.
    std::int64_t count = 1;
    for (std::int64_t dim : spec.dims) {
      if (dim < 1 || count > kMaxElements / dim) {
        fail(fmt::format("parameter \"{}\" has too many elements", param.name));
      }
      count *= dim;
    }
    if (!param_names_.insert(param.name).second) {
      fail(fmt::format("there is already a parameter \"{}\"; give the layer another name",
                       param.name));
    }
    for (const auto& [suffix, init] : inits) {
      if (suffix == spec.suffix) param.init = init;
    }
    param.spec = std::move(spec);
    graph_->params.push_back(std::move(param));
    ids.push_back(static_cast<ParamId>(graph_->params.size()) - 1);
  }
  return ids;
}

ValueId GraphBuilder::add_op(std::shared_ptr<const Op> op, std::vector<ValueId> inputs,
                             const std::string& scope,
                             std::vector<std::pair<std::string, Init>> inits) {
  std::vector<Shape> shapes;
  for (ValueId id : inputs) shapes.push_back(shape(id));
  const Shape out = infer(*op, inputs, shapes);
  const std::string name = scope.empty() ? layer_name() : layer_name() + "." + scope;

  GraphNode node;
  node.params = add_params(op->params(shapes), name, inits);
  node.op = std::move(op);
  node.inputs = std::move(inputs);
  node.output = static_cast<ValueId>(graph_->values.size());
  node.layer = layer_name();
  node.mark = mark();
  for (ParamId param : node.params) {
    if (graph_->params[param].init.kind == InitKind::whiten) check_whitened(*node.op, node.inputs);
  }
  graph_->values.push_back({name, out, DType::f32, static_cast<NodeId>(graph_->nodes.size())});
  graph_->nodes.push_back(std::move(node));
  return graph_->nodes.back().output;
}

}  // namespace daybreak
