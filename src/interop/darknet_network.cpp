#include "interop/darknet_network.h"

#include "interop/darknet_translator.h"

#include <fmt/format.h>

#include <map>

#include "config/values.h"
#include "core/text.h"

namespace daybreak::detail {

Node number_node(double value) {
  return Node::make_scalar(number_text(value));
}

Node whole_node(int value) {
  return Node::make_scalar(std::to_string(value));
}

namespace {

const std::map<std::string, std::string>& refused_sections() {
  static const std::string kRecurrent = "recurrent layers are not supported";
  static const std::map<std::string, std::string> kTable = {
      {"rnn", kRecurrent},
      {"gru", kRecurrent},
      {"lstm", kRecurrent},
      {"crnn", kRecurrent},
      {"conv_lstm", kRecurrent},
      {"history", kRecurrent},
      {"local", "locally connected layers are not supported"},
      {"detection", "the head of YOLOv1 is not supported"},
      {"Gaussian_yolo", "heads with an uncertainty are not supported"},
      {"contrastive", "contrastive training is not supported"},
      {"iseg", "instance segmentation is not supported"},
      {"lrn", "local response normalisation is not supported"},
      {"normalization", "local response normalisation is not supported"},
      {"l2norm", "not supported"},
      {"logistic", "a cost for binary outputs; use bce_loss in the network file instead"},
      {"deconvolutional", "not supported"},
      {"implicit", "constant layers are not supported"},
      {"implicit_add", "constant layers are not supported"},
      {"implicit_mul", "constant layers are not supported"}};
  return kTable;
}

}  // namespace

std::string DarknetTranslator::own_name(const char* stem) const {
  return fmt::format("{}{}", stem, index_);
}

std::string DarknetTranslator::output_of(int index, DarknetKeys& keys, const std::string& key) {
  const int target = index < 0 ? index_ + index : index;
  if (target < 0 || target >= index_) {
    keys.error(
        key, fmt::format("names layer {}, but this is layer {}: only layers before it, 0 to "
                         "{}, can be read",
                         index < 0 ? fmt::format("{} ({})", target, index) : std::to_string(target),
                         index_, index_ - 1));
    return "";
  }
  if (outputs_[target].empty()) {
    keys.error(key, fmt::format("reads layer {}, whose output (boxes or a cost) cannot be read by "
                                "another layer",
                                target));
  }
  return outputs_[target];
}

std::string DarknetTranslator::previous(DarknetKeys& keys) {
  return index_ == 0 ? "input" : output_of(-1, keys, "");
}

void DarknetTranslator::emit(DarknetKeys& keys, const std::string& type, const std::string& name,
                             std::vector<std::string> from, Options options) {
  const Mark& mark = keys.section().mark;
  Node map = Node::make_map(mark);
  map.set("name", Node::make_text(name, mark));
  if (from.size() > 1) {
    Node list = Node::make_list({}, mark);
    for (std::string& input : from) list.items.push_back(Node::make_text(std::move(input), mark));
    map.set("from", std::move(list));
  } else if (!from.empty() && from[0] != last_) {
    map.set("from", Node::make_text(from[0], mark));
  }
  for (auto& [key, value] : options) {
    if (value.is_null()) continue;
    value.mark = mark;
    map.set(key, std::move(value));
  }
  Node layer = Node::make_map(mark);
  layer.set(type, std::move(map));
  layer.entries.back().mark = mark;
  layers_.items.push_back(std::move(layer));
  last_ = name;
  outputs_.back() = name;
}

Node DarknetTranslator::act_node(DarknetKeys& keys, const std::string& fallback) {
  static const std::map<std::string, std::string> kSame = {
      {"logistic", "sigmoid"}, {"relu", "relu"},   {"relu6", "relu6"},         {"elu", "elu"},
      {"selu", "selu"},        {"tanh", "tanh"},   {"mish", "mish"},           {"swish", "swish"},
      {"gelu", "gelu"},        {"ramp", "ramp"},   {"hard_mish", "hard_mish"}, {"loggy", "loggy"},
      {"hardtan", "hardtan"},  {"lhtan", "lhtan"}, {"plse", "plse"},           {"stair", "stair"}};
  const auto leaky = [](const char* slope) {
    Node node = Node::make_map();
    node.set("leaky", Node::make_scalar(slope));
    return node;
  };
  const std::string name = keys.text("activation", fallback);
  if (name == "linear") return {};
  if (name == "leaky") return leaky("0.1");
  if (name == "relie") return leaky("0.01");
  const auto found = kSame.find(name);
  const bool later =
      name == "mish" || name == "swish" || name == "hard_mish" || name == "gelu" || name == "relu6";
  if (found != kSame.end() && !(later && dialect == DarknetDialect::pj)) {
    return Node::make_scalar(found->second);
  }
  if (name.starts_with("normalize_channels")) {
    keys.error("activation", fmt::format("{} works across channels and is not supported", name));
  } else if (found != kSame.end()) {
    keys.error("activation",
               fmt::format("{} is unknown in the dialect pj, which would silently take relu; use "
                           "--dialect ab if the network was trained there",
                           quote(name)));
  } else {
    std::vector<std::string> names = {"linear", "leaky", "relie"};
    for (const auto& [known, ours] : kSame) names.push_back(known);
    const auto nearest = nearest_name(name, names);
    keys.error("activation",
               fmt::format("{} is unknown{}", quote(name),
                           nearest ? fmt::format(", did you mean \"{}\"?", *nearest) : ""));
  }
  return {};
}

// Share of the batch in the running statistics: .01 in pj, .1 in ab and hk, PyTorch's default.
Node DarknetTranslator::norm_node() const {
  if (dialect != DarknetDialect::pj) return Node::make_scalar("batch");
  Node options = Node::make_map();
  options.set("momentum", Node::make_scalar("0.01"));
  Node node = Node::make_map();
  node.set("batch", std::move(options));
  return node;
}

DarknetWeights& DarknetTranslator::add_weights(DarknetKeys& keys) {
  result.weights.push_back({index_, keys.section().name, keys.section().mark, {}});
  return result.weights.back();
}

// Keys that any section may have.
void DarknetTranslator::common_keys(DarknetKeys& keys) {
  const std::string reason = "the file then does not hold this layer's weights";
  for (const char* key : {"dontload", "dontloadscales", "numload", "dontsave"}) {
    keys.refuse(key, reason);
  }
  keys.drop({"onlyforward", "stopbackward", "learning_rate", "dont_update", "burnin_update",
             "train_only_bn", "clip", "truth", "smooth"});
}

void DarknetTranslator::layer(DarknetKeys& keys) {
  using Method = void (DarknetTranslator::*)(DarknetKeys&);
  using T = DarknetTranslator;
  static const std::map<std::string, Method> kSections = {{"convolutional", &T::convolutional},
                                                          {"crop", &T::crop},
                                                          {"conv", &T::convolutional},
                                                          {"connected", &T::connected},
                                                          {"conn", &T::connected},
                                                          {"batchnorm", &T::batchnorm},
                                                          {"activation", &T::activation},
                                                          {"maxpool", &T::maxpool},
                                                          {"max", &T::maxpool},
                                                          {"local_avgpool", &T::local_avgpool},
                                                          {"local_avg", &T::local_avgpool},
                                                          {"avgpool", &T::avgpool},
                                                          {"avg", &T::avgpool},
                                                          {"upsample", &T::upsample},
                                                          {"dropout", &T::dropout},
                                                          {"softmax", &T::softmax},
                                                          {"soft", &T::softmax},
                                                          {"cost", &T::cost},
                                                          {"route", &T::route},
                                                          {"shortcut", &T::shortcut},
                                                          {"scale_channels", &T::scale_channels},
                                                          {"sam", &T::sam},
                                                          {"reorg", &T::reorg},
                                                          {"reorg3d", &T::reorg3d},
                                                          {"yolo", &T::yolo},
                                                          {"region", &T::region}};
  const std::string& name = keys.section().name;
  outputs_.emplace_back();
  const auto found = kSections.find(name);
  if (found != kSections.end()) {
    (this->*found->second)(keys);
    common_keys(keys);
    keys.finish();
    result.dropped.insert(result.dropped.end(), keys.dropped().begin(), keys.dropped().end());
  } else if (const auto refused = refused_sections().find(name);
             refused != refused_sections().end()) {
    keys.error("", "cannot be imported: " + refused->second);
  } else {
    std::vector<std::string> names;
    for (const auto& [known, method] : kSections) names.push_back(known);
    const auto nearest = nearest_name(name, names);
    keys.error("", fmt::format("unknown section{}",
                               nearest ? fmt::format(", did you mean [{}]?", *nearest) : ""));
  }
  // What follows from an error is noise: a stand-in keeps later layers readable.
  if (outputs_.back().empty() && !diagnostics.empty()) outputs_.back() = last_;
  result.layers = ++index_;
}

void DarknetTranslator::finish(const std::string& name) {
  const bool letterbox = letter_box_ || dialect == DarknetDialect::pj;
  // ab shows a classifier the centre of the picture, pj all of it with bars.
  const char* fit = has_heads_ ? (letterbox ? "letterbox" : "stretch")
                               : (letterbox ? "letterbox" : "center_crop");
  Node input = Node::make_map();
  input.set("channels", whole_node(channels_));
  input.set("height", whole_node(height_));
  input.set("width", whole_node(width_));
  std::vector<Node> mean, deviation;
  for (int c = 0; c < channels_; ++c) {
    mean.push_back(number_node(around_zero_ ? 0.5 : 0.0));
    deviation.push_back(number_node(around_zero_ ? 0.5 : 1.0));
  }
  input.set("mean", Node::make_list(std::move(mean)));
  input.set("std", Node::make_list(std::move(deviation)));
  input.set("fit", Node::make_scalar(fit));
  input.set("resample", Node::make_scalar(dialect == DarknetDialect::hk ? "linear" : "aligned"));
  Node& network = result.network = Node::make_map();
  network.set("name", Node::make_text(name));
  network.set("input", std::move(input));
  network.set("layers", std::move(layers_));
}

}  // namespace daybreak::detail

namespace daybreak {

DarknetNetwork translate_darknet(const std::vector<DarknetSection>& sections,
                                 const std::string& name, DarknetDialect dialect,
                                 Diagnostics& diagnostics) {
  detail::DarknetTranslator translator(dialect, diagnostics);
  if (sections.empty()) return {};
  const DarknetSection& first = sections.front();
  if (first.name != "net" && first.name != "network") {
    diagnostics.add(first.mark,
                    fmt::format("the first section must be [net], found [{}]", first.name));
    return {};
  }
  for (const DarknetSection& section : sections) {
    DarknetKeys keys(section, diagnostics);
    if (&section == &first) {
      translator.net(keys);
    } else {
      translator.layer(keys);
    }
  }
  if (sections.size() == 1) diagnostics.add(first.mark, "the network has no layers behind [net]");
  translator.finish(name);
  return std::move(translator.result);
}

}  // namespace daybreak
