#include <fmt/format.h>

#include <algorithm>

#include "interop/darknet_translator.h"

// The section [net]: the pictures' size, and training keys as far as a solver file has them.

namespace daybreak::detail {
namespace {

constexpr int kMaxSteps = 1'000'000'000;

Node common_policy(DarknetKeys& keys, int length) {
  Node policy = Node::make_map();
  policy.set("length", Node::make_scalar(fmt::format("{}s", length)));
  policy.set("lr", number_node(keys.number("learning_rate", 0.001)));
  policy.set("momentum", number_node(keys.number("momentum", 0.9)));
  return policy;
}

Node list_of(const std::vector<int>& values) {
  Node list = Node::make_list();
  for (const int value : values) list.items.push_back(whole_node(value));
  return list;
}

// `policy` of a solver; null when it has none like it.
Node policy_node(DarknetKeys& keys) {
  const std::string kind = keys.text("policy", "constant");
  const int length = keys.whole("max_batches", 0, 0, kMaxSteps);
  const double power = keys.number("power", 4.0);
  const std::vector<int> at = keys.wholes("steps");
  const std::vector<double> scales = keys.numbers("scales");
  const int step = keys.whole("step", 1, 1, kMaxSteps);
  const double scale = keys.number("scale", 1.0), gamma = keys.number("gamma", 1.0);
  const int burn_in = keys.whole("burn_in", 0, 0, kMaxSteps);
  if (length == 0) return {};
  Node policy = common_policy(keys, length);
  std::string name;
  if (kind == "constant") {
    name = "exp";
    policy.set("gamma", whole_node(1));
  } else if (kind == "steps" && !at.empty() && at.size() == scales.size() &&
             std::all_of(scales.begin(), scales.end(),
                         [&](double s) { return s == scales[0] && s > 0.0; })) {
    name = "steps";
    policy.set("at", list_of(at));
    policy.set("gamma", number_node(scales[0]));
  } else if (kind == "step" && scale > 0.0) {
    name = "step";
    policy.set("every", whole_node(step));
    policy.set("gamma", number_node(scale));
  } else if (kind == "exp" && gamma > 0.0) {
    name = "exp";
    policy.set("gamma", number_node(gamma));
  } else if (kind == "poly") {
    name = "poly";
    policy.set("power", number_node(power));
  } else if (kind == "sigmoid" || kind == "sig") {
    name = "sigmoid";
    policy.set("center", whole_node(step));
    policy.set("gamma", number_node(gamma));
  } else {
    return {};
  }
  if (burn_in > 0) {
    policy.set("burn_in", whole_node(burn_in));
    policy.set("burn_in_power", number_node(power));
  }
  Node result = Node::make_map();
  result.set(name, std::move(policy));
  return result;
}

Node optimizer_node(DarknetKeys& keys) {
  const bool adam = keys.whole("adam", 0, 0, 1) != 0;
  Node options = Node::make_map();
  options.set("weight_decay", number_node(keys.number("decay", 1e-4)));
  if (adam) {
    options.set("beta2", number_node(keys.number("B2", 0.999)));
    options.set("eps", number_node(keys.number("eps", 1e-6)));
  }
  Node optimizer = Node::make_map();
  optimizer.set(adam ? "adam" : "sgd", std::move(options));
  return optimizer;
}

}  // namespace

void DarknetTranslator::net(DarknetKeys& keys) {
  height_ = keys.whole("height", 0, 0, 65535);
  width_ = keys.whole("width", 0, 0, 65535);
  channels_ = keys.whole("channels", 0, 0, 1024);
  if (height_ == 0 || width_ == 0 || channels_ == 0) {
    keys.error("",
               "needs height, width and channels above 0: only networks over pictures can be "
               "imported");
  }
  if (keys.whole("time_steps", 1, 1, 1'000'000) != 1) {
    keys.error("time_steps", "above 1 means sequences, which are not supported");
  }
  letter_box_ = keys.whole("letter_box", 0, 0, 1) != 0;
  for (const char* key : {"track", "contrastive", "contrastive_color", "contrastive_jit_flip"}) {
    keys.refuse(key, "tracking and contrastive training are not supported");
  }
  const int batch = keys.whole("batch", 1, 1, 1'000'000);
  const int parts = keys.whole("subdivisions", 1, 1, 1'000'000);
  Node& solver = result.solver = Node::make_map();
  solver.set("batch", whole_node(batch));
  if (parts > 1 && parts <= batch) solver.set("accumulate", whole_node(parts));
  solver.set("optimizer", optimizer_node(keys));
  Node policy = policy_node(keys);
  if (policy.is_null()) {
    keys.drop({"policy", "steps", "scales", "step", "scale", "power", "burn_in", "max_batches",
               "gamma", "learning_rate", "momentum"});
  } else {
    solver.set("policy", std::move(policy));
  }
  keys.drop({"inputs",
             "seq_scales",
             "sgdr_cycle",
             "sgdr_mult",
             "ema_alpha",
             "try_fix_nan",
             "seen",
             "max_epochs",
             "learning_rate_min",
             "B1",
             "loss_scale",
             "random",
             "angle",
             "aspect",
             "saturation",
             "exposure",
             "hue",
             "min_crop",
             "max_crop",
             "mosaic",
             "cutmix",
             "blur",
             "label_smooth_eps",
             "augment_speed",
             "flip",
             "mosaic_bound",
             "mixup",
             "gaussian_noise",
             "resize_step",
             "adversarial_lr",
             "center",
             "max_ratio",
             "min_ratio",
             "show_receptive_field",
             "optimized_memory",
             "workspace_size_limit_MB",
             "attention",
             "badlabels_rejection_percentage",
             "badlabels_reject_threshold",
             "num_sigmas_reject_badlabels",
             "equidistant_point",
             "weights_reject_freq",
             "max_chart_loss",
             "dynamic_minibatch",
             "sequential_subdivisions",
             "notruth",
             "sequences",
             "unsupervised"});
  keys.finish();
  result.dropped.insert(result.dropped.end(), keys.dropped().begin(), keys.dropped().end());
}

}  // namespace daybreak::detail
