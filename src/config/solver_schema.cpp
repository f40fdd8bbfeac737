#include "config/solver_schema.h"

#include <fmt/format.h>

#include <algorithm>

#include "config/resolve.h"

namespace daybreak {
namespace {

using S = SolverFile;

bool read_device(const Node& node, std::string& device, const Reader& reader) {
  const std::vector<std::string> names = {"auto", "cpu", "cuda", "ref", "check"};
  if (node.is_scalar() && node.text.starts_with("cuda:")) {
    const std::string number = node.text.substr(5);
    const auto digit = [](char c) { return c >= '0' && c <= '9'; };
    if (!number.empty() && number.size() <= 3 && std::all_of(number.begin(), number.end(), digit)) {
      device = node.text;
      return true;
    }
    return reader.wrong(node, "cuda:N with a device number, such as cuda:0");
  }
  const int index = read_name(node, names, reader);
  if (index >= 0) device = names[static_cast<std::size_t>(index)];
  return index >= 0;
}

TypeInfo device_type() {
  TypeInfo info = TypeInfo::of(TypeInfo::Kind::text);
  info.pattern = "^(auto|cpu|ref|check|cuda(:[0-9]{1,3})?)$";
  info.words = "auto, cpu, cuda, cuda:N; for developers ref, check";
  return info;
}

bool read_file_path(const Node& node, std::string& path, const Reader& reader) {
  if (!read_text(node, path, reader)) return false;
  if (!path.empty()) path = data_path(path, node.mark);
  return true;
}

Node pass_on(const Node& node) {
  return node;
}

/// A node that another function reads, with the type to show for it.
Field<S, Node> deferred(std::string key, Node S::*member, std::function<TypeInfo()> type) {
  Field<S, Node> result(std::move(key), member);
  result.custom([](const Node& node, Node& value, const Reader&) { return value = node, true; },
                pass_on, std::move(type));
  return result;
}

TypeInfo recipe_type() {
  TypeInfo info = TypeInfo::word("supervised");
  return info;
}

TypeInfo net_type() {
  TypeInfo map = TypeInfo::of(TypeInfo::Kind::any);
  map.words = "a network's file name, or its map";
  return map;
}

template <typename T>
TypeInfo type_of() {
  return ValueTraits<T>::type({});
}

const Schema<S>& evaluate_schema() {
  static const Schema<S> kSchema{
      short_key("every"),
      field("every", &S::evaluate_every).doc("how often the test part is evaluated"),
      field("batch", &S::evaluate_batch).in(0, 1 << 20).doc("pictures per step; 0: as in training"),
      field("tta", &S::tta)
          .doc("test-time augmentation: views whose mean is reported beside the plain accuracy")};
  return kSchema;
}

}  // namespace

const Schema<CheckpointSpec>& config_schema(Type<CheckpointSpec>) {
  using C = CheckpointSpec;
  static const Schema<C> kSchema{
      short_key("every"), field("every", &C::every).doc("how often a checkpoint is saved"),
      field("keep", &C::keep).in(1, 10000).doc("how many stay, the best not counted"),
      field("best", &C::best).doc("what the best one is judged by")};
  return kSchema;
}

const Schema<SolverFile>& solver_schema() {
  static const Schema<S> kSchema{
      field("name", &S::name).doc("of the run folder; default: the file's name"),
      deferred("recipe", &S::recipe, recipe_type).doc("what a training step does"),
      deferred("net", &S::net, net_type)
          .required()
          .doc("the network: a file name, or the network itself"),
      deferred("data", &S::data, type_of<DataFile>)
          .required()
          .doc("the pictures: a descriptor, or its keys"),
      field("augment", &S::augment)
          .items(0, 100)
          .doc("random changes of training pictures, in order"),
      field("device", &S::device)
          .custom(
              read_device, [](const std::string& d) { return Node::make_text(d); }, device_type)
          .doc("where to compute"),
      field("precision", &S::precision).doc("of activations and their gradients"),
      field("tune", &S::tune).doc("kernels chosen by measuring them"),
      field("conv_algorithm", &S::conv_algorithm).doc("of convolutions, on the CPU"),
      field("loss_scale", &S::loss_scale)
          .in(0, 1e9)
          .or_word("dynamic", kDynamicLossScale)
          .doc(
              "of gradients while they are computed; dynamic: found while training in f16, none in "
              "other precisions; a number: fixed; 0: none"),
      field("seed", &S::seed).doc("of every random draw"),
      field("batch", &S::batch).in(1, 1 << 20).doc("pictures per step"),
      field("accumulate", &S::accumulate).in(1, 1 << 16).doc("micro-batches per update"),
      field("last_batch", &S::last_batch).doc("what happens to an incomplete one"),
      field("multi_scale", &S::multi_scale)
          .items(0, 100)
          .each_in(1, 65535)
          .doc("sides of pictures; every step draws one of them, where no phase sets \"image\""),
      field("optimizer", &S::optimizer).doc("how weights are updated"),
      field("freeze", &S::freeze)
          .items(0, 10000)
          .doc("layers that are not trained: [\"backbone.*\"]; a phase's own replaces it"),
      field("ema", &S::ema).doc("running mean of the weights, evaluated beside them"),
      field("lookahead", &S::lookahead).doc("slow weights that the trained ones are set back to"),
      field("clip_norm", &S::clip_norm).in(0, 1e12).doc("longest gradient; 0: any length"),
      deferred("one_cycle", &S::one_cycle, one_cycle_type).doc("schedule: lr up and down once"),
      deferred("sgdr", &S::sgdr, sgdr_type).doc("schedule: cosine cycles with restarts"),
      deferred("policy", &S::policy_node, type_of<PolicySpec>)
          .doc("schedule: a policy of Caffe or Darknet"),
      deferred("phases", &S::phases_node, phases_type)
          .doc("schedule: stretches of training, in order"),
      deferred("lr", &S::lr, type_of<double>).doc("schedule: a constant learning rate"),
      deferred("length", &S::length, type_of<Length>).doc("with lr: of the training"),
      deferred("momentum", &S::momentum, type_of<double>).doc("with lr: momentum (0.9)"),
      group("evaluate", evaluate_schema(), "evaluation while training"),
      field("checkpoint", &S::checkpoint).doc("saved states of the training"),
      field("init", &S::init)
          .custom(
              read_file_path, [](const std::string& p) { return Node::make_text(p); },
              [] { return TypeInfo::of(TypeInfo::Kind::text); })
          .doc("weights to start from; \"\": random ones")};
  return kSchema;
}

}  // namespace daybreak
