#include "config/spec_schemas.h"

namespace daybreak {
namespace {

using O = OptimizerSpec;

bool same_choice(const O& a, const O& b) {
  return a.type == b.type;
}

O start(OptimizerType type, double eps = 1e-8) {
  O spec;
  spec.type = type;
  spec.eps = eps;
  spec.decay = type == OptimizerType::adamw ? WeightDecayForm::decoupled : WeightDecayForm::l2;
  return spec;
}

auto weight_decay() {
  return field("weight_decay", &O::weight_decay).in(0, 1000).doc("factor; 0: none");
}
auto decay() {
  return field("decay", &O::decay).doc("how weight decay works");
}
auto decay_on() {
  return field("decay_on", &O::decay_on).doc("what is decayed");
}
auto eps() {
  return field("eps", &O::eps).above(0).at_most(1).doc("keeps denominators away from 0");
}
auto bias_lr() {
  return field("bias_lr", &O::bias_lr)
      .in(0, 1000)
      .doc("factor on the learning rate of biases and norm shifts");
}

auto groups() {
  return field("groups", &O::groups)
      .items(0, 1000)
      .doc("factors on learning rate and weight decay by layer; the first that matches counts");
}

void check_nesterov(const O& spec, const Node& node, const Reader& reader) {
  if (!spec.nesterov || spec.dampening == 0.0) return;
  reader.at("nesterov").error(node.find("nesterov")->mark, "needs \"dampening\" 0");
}

const Schema<O>& sgd() {
  static const Schema<O> kSchema{
      weight_decay(),
      decay(),
      decay_on(),
      field("nesterov", &O::nesterov).doc("look-ahead momentum"),
      field("dampening", &O::dampening)
          .at_least(0)
          .below(1)
          .doc("share of the gradient kept out of the momentum"),
      named_bool("form", &O::lr_in_slot, "plain", "lr_in_slot")
          .doc("lr_in_slot: as Caffe, a change of lr acts through the momentum"),
      bias_lr(),
      groups(),
      check<O>(check_nesterov)};
  return kSchema;
}

const Schema<O>& adagrad() {
  static const Schema<O> kSchema{weight_decay(), decay(), decay_on(), eps(), bias_lr(), groups()};
  return kSchema;
}

const Schema<O>& rmsprop() {
  static const Schema<O> kSchema{
      weight_decay(),
      decay(),
      decay_on(),
      field("alpha", &O::alpha).at_least(0).below(1).doc("memory of the squared gradient"),
      field("centered", &O::centered).doc("divides by the deviation, not by the size"),
      eps(),
      bias_lr(),
      groups()};
  return kSchema;
}

const Schema<O>& adadelta() {
  static const Schema<O> kSchema{
      weight_decay(), decay(),
      decay_on(),     field("rho", &O::rho).at_least(0).below(1).doc("memory of the squares"),
      eps(),          bias_lr(),
      groups()};
  return kSchema;
}

const Schema<O>& adam() {
  static const Schema<O> kSchema{weight_decay(),
                                 decay(),
                                 decay_on(),
                                 field("beta2", &O::beta2)
                                     .at_least(0)
                                     .below(1)
                                     .doc("memory of the squared gradient; beta1 is the momentum"),
                                 eps(),
                                 bias_lr(),
                                 groups()};
  return kSchema;
}

}  // namespace

const Schema<LrGroup>& config_schema(Type<LrGroup>) {
  static const Schema<LrGroup> kSchema{
      field("match", &LrGroup::match)
          .required()
          .not_empty()
          .doc("shell pattern over names of layers or parameters: backbone.*"),
      field("lr_scale", &LrGroup::lr_scale).required().in(0, 1000).doc("factor on the rate"),
      field("decay_scale", &LrGroup::decay_scale)
          .in(0, 1e6)
          .doc("factor on the weight decay, which acts times the rate")};
  return kSchema;
}

const Schema<EmaSpec>& config_schema(Type<EmaSpec>) {
  static const Schema<EmaSpec> kSchema{
      short_key("decay"),
      field("decay", &EmaSpec::decay)
          .at_least(0)
          .below(1)
          .doc("mean = decay * mean + (1 - decay) * weights; 0: none"),
      field("every", &EmaSpec::every).in(1, 1 << 20).doc("updates from one step of it to the next"),
      field("ramp", &EmaSpec::ramp)
          .in(0, 1e9)
          .doc("decay * (1 - exp(-n / ramp)) at its n-th step; 0: decay")};
  return kSchema;
}

const Schema<LookaheadSpec>& config_schema(Type<LookaheadSpec>) {
  static const Schema<LookaheadSpec> kSchema{
      short_key("every"),
      field("every", &LookaheadSpec::every)
          .in(0, 1 << 20)
          .doc("updates between two times that slow = weights = decay * slow + (1 - decay) * "
               "weights; 0: none; training ends with the slow weights"),
      field("decay", &LookaheadSpec::decay).at_least(0).below(1).doc("share of the slow weights"),
      field("power", &LookaheadSpec::power)
          .in(0, 100)
          .doc("decay * (step / steps)^power: from nothing to decay; 0: decay")};
  return kSchema;
}

const Union<OptimizerSpec>& config_union(Type<OptimizerSpec>) {
  const auto entry = [](OptimizerType type, double eps_start, const Schema<O>& schema) {
    const auto names = enum_names(type);
    const auto& name = names[static_cast<std::size_t>(type)];
    return choice<O>(std::string(name.name), start(type, eps_start), std::string(name.doc), schema,
                     [type](const O& spec) { return same_choice(spec, start(type)); });
  };
  static const Union<O> kUnion{entry(OptimizerType::sgd, 1e-8, sgd()),
                               entry(OptimizerType::adagrad, 1e-10, adagrad()),
                               entry(OptimizerType::rmsprop, 1e-8, rmsprop()),
                               entry(OptimizerType::adadelta, 1e-6, adadelta()),
                               entry(OptimizerType::adam, 1e-8, adam()),
                               entry(OptimizerType::adamw, 1e-8, adam())};
  return kUnion;
}

}  // namespace daybreak
