#include "config/spec_schemas.h"

namespace daybreak {
namespace {

using P = PolicySpec;

constexpr double kManySteps = 1e12;

auto length() {
  return field("length", &P::length).required().doc("of the training, such as 30e or 800s");
}
auto lr() {
  return field("lr", &P::lr).above(0).at_most(1e6).required().doc("learning rate at the start");
}
auto momentum() {
  return field("momentum", &P::momentum).at_least(0).below(1).doc("constant");
}
auto gamma(const char* doc) {
  return field("gamma", &P::gamma).above(0).at_most(1e6).doc(doc);
}
auto power() {
  return field("power", &P::power).in(0, 100).doc("exponent");
}
auto burn_in() {
  return field("burn_in", &P::burn_in)
      .in(0, kManySteps)
      .doc("steps of lr * (step / burn_in)^burn_in_power first");
}
auto burn_in_power() {
  return field("burn_in_power", &P::burn_in_power).in(0, 100).doc("exponent of burn_in");
}

const Schema<P>& step() {
  static const Schema<P> kSchema{
      length(),
      lr(),
      momentum(),
      field("every", &P::every).in(1, kManySteps).required().doc("steps between drops"),
      gamma("factor at each drop"),
      burn_in(),
      burn_in_power()};
  return kSchema;
}

const Schema<P>& steps() {
  static const Schema<P> kSchema{
      length(),
      lr(),
      momentum(),
      field("at", &P::at)
          .each_in(1, kManySteps)
          .items(1, 1000)
          .required()
          .doc("steps where the rate drops"),
      gamma("factor at each drop"),
      burn_in(),
      burn_in_power(),
      check<P>([](const P& policy, const Node& node, const Reader& reader) {
        for (std::size_t i = 1; i < policy.at.size(); ++i) {
          if (policy.at[i] > policy.at[i - 1]) continue;
          reader.at("at").at(i).error(node.find("at")->items[i].mark,
                                      "must be larger than the step before it");
        }
      })};
  return kSchema;
}

const Schema<P>& exponential() {
  static const Schema<P> kSchema{
      length(), lr(), momentum(), gamma("factor of each step"), burn_in(), burn_in_power()};
  return kSchema;
}

const Schema<P>& inverse() {
  static const Schema<P> kSchema{
      length(), lr(),      momentum(),     gamma("how fast the rate falls"),
      power(),  burn_in(), burn_in_power()};
  return kSchema;
}

const Schema<P>& polynomial() {
  static const Schema<P> kSchema{length(), lr(), momentum(), power(), burn_in(), burn_in_power()};
  return kSchema;
}

const Schema<P>& sigmoid() {
  static const Schema<P> kSchema{
      length(),
      lr(),
      momentum(),
      field("center", &P::every)
          .in(0, kManySteps)
          .required()
          .doc("step where half of the rate is left"),
      field("gamma", &P::gamma).in(-1e6, 1e6).doc("how fast it falls there; negative: rises"),
      burn_in(),
      burn_in_power()};
  return kSchema;
}

Choice<P> entry(PolicyKind kind, const Schema<P>& schema) {
  P start;
  start.kind = kind;
  const auto& name = enum_names(kind)[static_cast<std::size_t>(kind)];
  return choice<P>(std::string(name.name), start, std::string(name.doc), schema,
                   [kind](const P& policy) { return policy.kind == kind; });
}

/// Caffe's name of `steps`.
Choice<P> multistep() {
  Choice<P> result = entry(PolicyKind::steps, steps());
  result.name = "multistep";
  result.printed = false;
  return result;
}

}  // namespace

const Union<PolicySpec>& config_union(Type<PolicySpec>) {
  static const Union<P> kUnion{entry(PolicyKind::step, step()),
                               entry(PolicyKind::steps, steps()),
                               multistep(),
                               entry(PolicyKind::exponential, exponential()),
                               entry(PolicyKind::inverse, inverse()),
                               entry(PolicyKind::polynomial, polynomial()),
                               entry(PolicyKind::sigmoid, sigmoid())};
  return kUnion;
}

}  // namespace daybreak
