#include <fmt/format.h>

#include "interop/darknet_translator.h"

// Sections that read other layers: route, shortcut and their kin, and the two orders of reorg.

namespace daybreak::detail {

void DarknetTranslator::route(DarknetKeys& keys) {
  const std::vector<int> layers = keys.wholes("layers");
  const int groups = keys.whole("groups", 1, 1, 65536);
  const int group = keys.whole("group_id", 0, 0, 65535);
  keys.drop({"stream", "wait_stream"});
  if (layers.empty()) {
    keys.error("layers", "is missing; name the layers to join");
    return;
  }
  if (group >= groups) {
    keys.error("group_id", fmt::format("{} does not exist among {} groups", group, groups));
    return;
  }
  std::vector<std::string> from;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const std::string source = output_of(layers[i], keys, "layers");
    if (source.empty()) return;
    from.push_back(source);
    if (groups == 1) continue;
    // Each layer gives one of its groups.
    const std::string part =
        layers.size() == 1 ? own_name("route") : fmt::format("route{}-{}", index_, i);
    emit(keys, "slice", part, {source},
         {{"groups", whole_node(groups)}, {"group", whole_node(group)}});
    from.back() = part;
  }
  if (from.size() == 1) {
    outputs_.back() = from[0];  // another name for that layer
    return;
  }
  emit(keys, "concat", own_name("route"), std::move(from), {});
}

void DarknetTranslator::shortcut(DarknetKeys& keys) {
  Node act = act_node(keys, "linear");
  const std::vector<int> from = keys.wholes("from");
  const std::string weights = keys.text("weights_type", "none");
  if (weights != "none") {
    keys.error("weights_type", fmt::format("={} cannot be imported: weighted shortcuts are not "
                                           "supported",
                                           weights));
  }
  if (keys.text("weights_normalization", "none") != "none") {
    keys.error("weights_normalization", "needs weights, which are not supported");
  }
  const double alpha = keys.number("alpha", 1.0), beta = keys.number("beta", 1.0);
  if (dialect != DarknetDialect::pj && (alpha != 1.0 || beta != 1.0)) {
    keys.error(alpha != 1.0 ? "alpha" : "beta", "is read by the dialect pj only");
  }
  if (from.empty()) {
    keys.error("from", "is missing; name the layer to add");
    return;
  }
  if (dialect == DarknetDialect::pj && from.size() > 1) {
    keys.error("from", "is one layer in the dialect pj");
  }
  std::string sum = previous(keys);
  for (std::size_t i = 0; i < from.size(); ++i) {
    const std::string other = output_of(from[i], keys, "from");
    if (other.empty() || sum.empty()) return;
    const bool last = i + 1 == from.size();
    Node scale;
    if (alpha != 1.0 || beta != 1.0) {
      scale = Node::make_list({number_node(alpha), number_node(beta)});
    }
    const std::string name = last ? own_name("add") : fmt::format("add{}-{}", index_, i);
    emit(keys, "add", name, {sum, other},
         {{"scale", std::move(scale)},
          {"unequal", Node::make_scalar("common")},  // goes again where shapes are equal
          {"act", last ? std::move(act) : Node{}}});
    sum = name;
  }
}

// The layer before holds a factor for each channel (or, scale_wh, for each pixel) of `from`.
void DarknetTranslator::scale_channels(DarknetKeys& keys) {
  if (dialect == DarknetDialect::pj) keys.error("", "unknown section in the dialect pj");
  keys.whole("scale_wh", 0, 0, 1);  // the shapes say which of the two it is
  sam(keys);
}

void DarknetTranslator::sam(DarknetKeys& keys) {
  if (dialect == DarknetDialect::pj) keys.error("", "unknown section in the dialect pj");
  Node act = act_node(keys, "linear");
  if (!keys.has("from")) {
    keys.error("from", "is missing; name the layer to multiply");
    return;
  }
  const std::string other = output_of(keys.whole("from", 0), keys, "from");
  const std::string factors = previous(keys);
  if (other.empty() || factors.empty()) return;
  emit(keys, "multiply", own_name("mul"), {other, factors}, {{"act", std::move(act)}});
}

void DarknetTranslator::reorg(DarknetKeys& keys) {
  if (dialect == DarknetDialect::hk)
    keys.error("", "hk has dropped this section; --dialect ab or pj");
  keys.refuse("reverse", "the reverse order is not supported");
  keys.refuse("flatten", "this order is not supported");
  keys.refuse("extra", "this order is not supported");
  const int stride = keys.whole("stride", 1, 1, 64);
  emit(keys, "reorg", own_name("reorg"), {previous(keys)},
       {{"stride", whole_node(stride)}, {"order", Node::make_scalar("darknet")}});
}

void DarknetTranslator::reorg3d(DarknetKeys& keys) {
  if (dialect == DarknetDialect::pj) keys.error("", "unknown section in the dialect pj");
  keys.refuse("reverse", "the reverse order is not supported");
  const int stride = keys.whole("stride", 1, 1, 64);
  emit(keys, "reorg", own_name("reorg"), {previous(keys)}, {{"stride", whole_node(stride)}});
}

}  // namespace daybreak::detail
