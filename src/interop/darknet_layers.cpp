#include <fmt/format.h>

#include "core/text.h"
#include "interop/darknet_translator.h"

// Sections with one input: convolutions, pools, norms and so on. Defaults are Darknet's.

namespace daybreak::detail {
namespace {

constexpr int kMaxFilters = 65536;
constexpr int kMaxWindow = 1000;

Node pair_node(int a, int b) {
  if (a == b) return whole_node(a);
  return Node::make_list({whole_node(a), whole_node(b)});
}

}  // namespace

void DarknetTranslator::convolutional(DarknetKeys& keys) {
  const int filters = keys.whole("filters", 1, 1, kMaxFilters);
  const int size = keys.whole("size", 1, 1, kMaxWindow);
  const int stride = keys.whole("stride", 1, 1, kMaxWindow);
  const int stride_x = keys.whole("stride_x", stride, 1, kMaxWindow);
  const int stride_y = keys.whole("stride_y", stride, 1, kMaxWindow);
  const int padding = keys.whole("padding", 0, 0, kMaxWindow);
  const int pad = keys.whole("pad", 0, 0, 1) ? size / 2 : padding;
  const int groups = keys.whole("groups", 1, 1, kMaxFilters);
  const int dilation = keys.whole("dilation", 1, 1, kMaxWindow);
  const bool norm = keys.whole("batch_normalize", 0, 0, 1) != 0;
  const bool flipped = keys.whole("flipped", 0, 0, 1) != 0;
  Node act = act_node(keys, "logistic");
  for (const char* key : {"binary", "xnor", "bin_output", "cbn", "dot", "antialiasing", "sway",
                          "rotate", "stretch", "stretch_sway", "coordconv", "deform",
                          "assisted_excitation", "share_index", "angle_channels"}) {
    keys.refuse(key, "this form of convolution is not supported");
  }
  keys.drop({"grad_centr", "angle", "reverse", "wait_stream", "stream"});
  if (dilation > 1 && 2 * pad != size - 1) {
    keys.error("dilation",
               "with this padding Darknet's own sizes do not agree; it needs pad=1 and "
               "an odd size");
  }
  const std::string name = own_name("conv");
  emit(keys, "conv", name, {previous(keys)},
       {{"filters", whole_node(filters)},
        {"size", whole_node(size)},
        {"stride", stride_x == 1 && stride_y == 1 ? Node{} : pair_node(stride_y, stride_x)},
        {"pad", whole_node(pad * dilation)},
        {"dilation", dilation == 1 ? Node{} : whole_node(dilation)},
        {"groups", groups == 1 ? Node{} : whole_node(groups)},
        {"norm", norm ? norm_node() : Node{}},
        {"act", std::move(act)}});
  DarknetWeights& weights = add_weights(keys);
  if (norm) {
    for (const char* part : {"bias", "weight", "running_mean", "running_var"}) {
      weights.parts.push_back({name + ".norm." + part});
    }
  } else {
    weights.parts.push_back({name + ".bias"});
  }
  weights.parts.push_back(
      {name + ".weight", flipped ? WeightOrder::transposed : WeightOrder::plain});
}

// In tests it cuts out the middle and, without `noadjust`, brings pixels to -1..1: the network's
// own scaling of its input can do that, so nothing may come before.
void DarknetTranslator::crop(DarknetKeys& keys) {
  if (dialect == DarknetDialect::hk)
    keys.error("", "hk has dropped this section; --dialect ab or pj");
  if (index_ != 0) keys.error("", "behind other layers is not supported");
  const int height = keys.whole("crop_height", 1, 1, kMaxFilters);
  const int width = keys.whole("crop_width", 1, 1, kMaxFilters);
  around_zero_ = keys.whole("noadjust", 0, 0, 1) == 0;
  keys.drop({"flip", "angle", "saturation", "exposure", "shift"});
  emit(keys, "crop", own_name("crop"), {previous(keys)}, {{"size", pair_node(height, width)}});
}

void DarknetTranslator::connected(DarknetKeys& keys) {
  const int outputs = keys.whole("output", 1, 1, 1'000'000);
  const bool norm = keys.whole("batch_normalize", 0, 0, 1) != 0;
  Node act = act_node(keys, "logistic");
  const std::string name = own_name("linear");
  emit(keys, "linear", name, {previous(keys)},
       {{"outputs", whole_node(outputs)},
        {"norm", norm ? norm_node() : Node{}},
        {"act", std::move(act)}});
  DarknetWeights& weights = add_weights(keys);
  weights.parts.push_back({name + (norm ? ".norm.bias" : ".bias")});
  weights.parts.push_back({name + ".weight", WeightOrder::by_version});
  if (!norm) return;
  for (const char* part : {"weight", "running_mean", "running_var"}) {
    weights.parts.push_back({name + ".norm." + part});
  }
}

void DarknetTranslator::batchnorm(DarknetKeys& keys) {
  if (dialect == DarknetDialect::hk)
    keys.error("", "hk has dropped this section; --dialect ab or pj");
  const std::string name = own_name("norm");
  Options options;
  if (dialect == DarknetDialect::pj) options.push_back({"momentum", Node::make_scalar("0.01")});
  emit(keys, "batch_norm", name, {previous(keys)}, std::move(options));
  DarknetWeights& weights = add_weights(keys);
  // ab stores the shift first; pj does not store it at all.
  if (dialect != DarknetDialect::pj) weights.parts.push_back({name + ".bias"});
  for (const char* part : {"weight", "running_mean", "running_var"}) {
    weights.parts.push_back({name + "." + part});
  }
}

void DarknetTranslator::activation(DarknetKeys& keys) {
  Node act = act_node(keys, "linear");
  if (act.is_null()) {
    outputs_.back() = previous(keys);
    return;
  }
  emit(keys, "act", own_name("act"), {previous(keys)}, {{"fn", std::move(act)}});
}

// The window starts at -(pad / 2) and what is outside never wins; `padding` is that of both sides.
void DarknetTranslator::maxpool(DarknetKeys& keys) {
  for (const char* key : {"maxpool_depth", "antialiasing"}) {
    keys.refuse(key, "this form of pooling is not supported");
  }
  keys.drop({"out_channels"});
  const int stride = keys.whole("stride", 1, 1, kMaxWindow);
  const int stride_x = keys.whole("stride_x", stride, 1, kMaxWindow);
  const int stride_y = keys.whole("stride_y", stride, 1, kMaxWindow);
  const int size = keys.whole("size", stride, 1, kMaxWindow);
  const int pad = keys.whole("padding", size - 1, 0, 2 * kMaxWindow);
  const int before = pad / 2, after = pad - pad / 2;
  Node border = whole_node(before);
  if (before != after) {
    border = Node::make_list(
        {whole_node(before), whole_node(after), whole_node(after), whole_node(before)});
  }
  emit(keys, "maxpool", own_name("pool"), {previous(keys)},
       {{"size", whole_node(size)},
        {"stride", pair_node(stride_y, stride_x)},
        {"pad", pad == 0 ? Node{} : std::move(border)}});
}

// As maxpool; a mean over the pixels inside the picture.
void DarknetTranslator::local_avgpool(DarknetKeys& keys) {
  if (dialect == DarknetDialect::pj) keys.error("", "unknown section in the dialect pj");
  const std::size_t before = layers_.items.size();
  maxpool(keys);
  if (layers_.items.size() == before) return;
  NodeEntry& entry = layers_.items.back().entries[0];
  entry.key = "avgpool";
  entry.value.set("count_padding", Node::make_scalar("false"));
}

void DarknetTranslator::avgpool(DarknetKeys& keys) {
  emit(keys, "global_avgpool", own_name("avgpool"), {previous(keys)}, {});
}

void DarknetTranslator::upsample(DarknetKeys& keys) {
  const int stride = keys.whole("stride", 2, -64, 64);
  if (stride < 1) keys.error("stride", "below 1 means downsampling, which is not supported");
  if (keys.number("scale", 1.0) != 1.0) keys.error("scale", "other than 1 is not supported");
  emit(keys, "upsample", own_name("up"), {previous(keys)}, {{"scale", whole_node(stride)}});
}

void DarknetTranslator::dropout(DarknetKeys& keys) {
  const double p = keys.number("probability", dialect == DarknetDialect::pj ? 0.5 : 0.2);
  if (!(p >= 0.0 && p < 1.0)) {
    keys.error("probability", fmt::format("must be in [0, 1), found {}", p));
  }
  keys.refuse("dropblock", "dropping blocks is not supported");
  keys.drop({"dropblock_size_rel", "dropblock_size_abs"});
  emit(keys, "dropout", own_name("drop"), {previous(keys)}, {{"p", number_node(p)}});
}

void DarknetTranslator::softmax(DarknetKeys& keys) {
  if (keys.whole("groups", 1, 1, kMaxFilters) != 1) {
    keys.error("groups", "other than 1 is not supported");
  }
  if (keys.number("temperature", 1.0) != 1.0) {
    keys.error("temperature", "other than 1 is not supported");
  }
  for (const char* key : {"tree", "tree_file"}) {
    if (keys.has(key)) keys.error(key, "a tree of classes is not supported");
  }
  const bool spatial = keys.whole("spatial", 0, 0, 1) != 0;
  keys.drop({"noloss"});
  std::string from = previous(keys);
  // Without `spatial` the softmax is over everything, not over the channels of each pixel.
  if (!spatial) {
    const std::string flat = own_name("flatten");
    emit(keys, "flatten", flat, {from}, {});
    from = flat;
  }
  emit(keys, "softmax", own_name("softmax"), {from}, {});
}

void DarknetTranslator::cost(DarknetKeys& keys) {
  keys.drop({"type", "scale", "ratio"});
  outputs_.back().clear();
}

}  // namespace daybreak::detail
