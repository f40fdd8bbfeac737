#include <fmt/format.h>

#include "interop/darknet_translator.h"

// The sections [yolo] and [region].

namespace daybreak::detail {
namespace {

Node switch_node(bool value) {
  return value ? Node::make_scalar("true") : Node{};
}

}  // namespace

// [[w, h], ...] of `count` anchors.
Node DarknetTranslator::anchors_node(DarknetKeys& keys, std::size_t count) {
  const std::vector<double> numbers = keys.numbers("anchors");
  if (!keys.has("anchors")) {
    keys.error("anchors", "are missing");
  } else if (numbers.size() != 2 * count) {
    keys.error("anchors", fmt::format("must be {} numbers, width and height of num={} anchors, "
                                      "found {}",
                                      2 * count, count, numbers.size()));
    return Node::make_list();
  }
  Node list = Node::make_list();
  for (std::size_t i = 0; i + 1 < numbers.size(); i += 2) {
    if (!(numbers[i] > 0.0) || !(numbers[i + 1] > 0.0)) {
      keys.error("anchors",
                 fmt::format("must be above 0, found {} x {}", numbers[i], numbers[i + 1]));
    }
    list.items.push_back(Node::make_list({number_node(numbers[i]), number_node(numbers[i + 1])}));
  }
  return list;
}

void DarknetTranslator::add_nms(DarknetKeys& keys, Options& options) {
  const std::string kind = keys.text("nms_kind", "default");
  const double beta = keys.number("beta_nms", 0.6);
  if (kind == "greedynms") {
    options.push_back({"nms", Node::make_scalar("greedy")});
  } else if (kind == "diounms") {
    options.push_back({"nms", Node::make_scalar("diou")});
    options.push_back({"beta_nms", number_node(beta)});
  } else if (kind != "default" && kind != "cornersnms") {  // the last one means IoU here
    keys.error("nms_kind",
               fmt::format("must be default, greedynms or diounms, found \"{}\"", kind));
  }
}

void DarknetTranslator::yolo(DarknetKeys& keys) {
  const int num = keys.whole("num", 1, 1, 1000);
  const int classes = keys.whole("classes", 20, 1, 65536);
  Node mask = Node::make_list();
  for (const int index : keys.wholes("mask")) {
    if (index < 0 || index >= num) {
      keys.error("mask",
                 fmt::format("names anchor {}, but num={} (numbers start at 0)", index, num));
    }
    mask.items.push_back(whole_node(index));
  }
  Node anchors = anchors_node(keys, static_cast<std::size_t>(num));
  for (const char* key : {"map", "embedding_layer", "track_history_size", "sim_thresh",
                          "dets_for_track", "dets_for_show", "track_ciou_norm"}) {
    if (keys.has(key))
      keys.error(key,
                 "cannot be imported: maps of classes and tracking are not "
                 "supported");
  }
  std::string loss = keys.text("iou_loss", "mse");
  if (loss != "mse" && loss != "iou" && loss != "giou" && loss != "diou" && loss != "ciou") {
    keys.error("iou_loss", fmt::format("must be mse, iou, giou, diou or ciou, found \"{}\"", loss));
    loss = "mse";
  }
  Options options = {{"anchors", std::move(anchors)},
                     {"mask", keys.has("mask") ? std::move(mask) : Node{}},
                     {"classes", whole_node(classes)}};
  // Written only where they differ from the layer's own defaults, which are Darknet's.
  const auto add_number = [&](const char* key, const char* ours, double fallback) {
    const double value = keys.number(key, fallback);
    if (value != fallback) options.push_back({ours, number_node(value)});
  };
  add_number("scale_x_y", "scale_x_y", 1.0);
  options.push_back({"new_coords", switch_node(keys.whole("new_coords", 0, 0, 1) != 0)});
  add_number("ignore_thresh", "ignore_thresh", 0.5);
  add_number("truth_thresh", "truth_thresh", 1.0);
  add_number("iou_thresh", "iou_thresh", 1.0);
  if (loss != "mse") options.push_back({"box_loss", Node::make_scalar(loss)});
  add_number("iou_normalizer", "iou_normalizer", 0.75);
  add_number("obj_normalizer", "obj_normalizer", 1.0);
  add_number("cls_normalizer", "cls_normalizer", 1.0);
  add_nms(keys, options);
  keys.drop({"jitter", "random", "resize", "objectness_smooth", "max_delta", "counters_per_class",
             "max", "delta_normalizer", "focal_loss", "label_smooth_eps", "iou_thresh_kind",
             "show_details", "beta1", "uc_normalizer"});
  emit(keys, "yolo", own_name("yolo"), {previous(keys)}, std::move(options));
  outputs_.back().clear();
  has_heads_ = true;
  result.classes = classes;
}

void DarknetTranslator::region(DarknetKeys& keys) {
  const int num = keys.whole("num", 1, 1, 1000);
  const int classes = keys.whole("classes", 20, 1, 65536);
  Node anchors = anchors_node(keys, static_cast<std::size_t>(num));
  if (keys.whole("coords", 4, 0, 1000) != 4) keys.error("coords", "other than 4 is not supported");
  for (const char* key : {"tree", "map"}) {
    if (keys.has(key))
      keys.error(key,
                 "cannot be imported: trees and maps of classes are not "
                 "supported");
  }
  keys.refuse("background", "a background class is not supported");
  keys.refuse("mask_scale", "masks are not supported");
  const bool softmax = keys.whole("softmax", 0, 0, 1) != 0;
  if (!softmax && dialect != DarknetDialect::pj) {
    keys.error("softmax",
               "0 leaves the classes as raw numbers in this dialect, which is not "
               "supported (pj: sigmoid)");
  }
  Options options = {{"anchors", std::move(anchors)}, {"classes", whole_node(classes)}};
  if (!softmax) options.push_back({"softmax", Node::make_scalar("false")});
  const auto add_number = [&](const char* key, double fallback) {
    const double value = keys.number(key, fallback);
    if (value != fallback) options.push_back({key, number_node(value)});
  };
  add_number("thresh", 0.5);
  options.push_back({"rescore", switch_node(keys.whole("rescore", 0, 0, 1) != 0)});
  options.push_back({"bias_match", switch_node(keys.whole("bias_match", 0, 0, 1) != 0)});
  for (const char* key : {"object_scale", "noobject_scale", "class_scale", "coord_scale"}) {
    add_number(key, 1.0);
  }
  keys.drop({"jitter", "random", "absolute", "max", "classfix", "log", "sqrt", "focal_loss"});
  emit(keys, "region", own_name("region"), {previous(keys)}, std::move(options));
  outputs_.back().clear();
  has_heads_ = true;
  result.classes = classes;
}

}  // namespace daybreak::detail
