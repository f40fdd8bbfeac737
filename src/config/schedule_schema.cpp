#include <fmt/format.h>

#include <array>
#include <cmath>
#include <string_view>

#include "config/schedule_internal.h"
#include "core/text.h"

namespace daybreak {

enum class OneCycleShape : std::uint8_t { linear, cosine };

std::span<const EnumName<OneCycleShape>> enum_names(OneCycleShape) {
  static constexpr EnumName<OneCycleShape> kNames[] = {
      {OneCycleShape::linear, "linear", "up, down, tail"},
      {OneCycleShape::cosine, "cosine", "up for a share `rise`, then down to the end"}};
  return kNames;
}

namespace {

constexpr double kMaxRate = 1e6;

struct OneCycle {
  Length length;
  double lr = 0;
  double div = 20;
  std::optional<double> tail;
  std::optional<double> tail_div;
  std::optional<double> rise;
  std::array<double, 2> momentum = {0.95, 0.85};
  OneCycleShape shape = OneCycleShape::linear;
};

struct Sgdr {
  int cycles = 1;
  Length length;
  double mult = 2;
  double lr = 0;
  double momentum = 0.9;
};

struct Plain {
  Length length;
  double lr = 0;
  double momentum = 0.9;
};

void check_one_cycle(const OneCycle& cycle, const Node& node, const Reader& reader) {
  const auto refuse = [&](const char* key, const char* text) {
    reader.at(key).error(node.find(key)->mark, text);
  };
  if (cycle.shape == OneCycleShape::linear && cycle.rise)
    refuse("rise", "is for \"shape: cosine\"; the linear one has \"tail\"");
  if (cycle.shape == OneCycleShape::cosine && cycle.tail)
    refuse("tail", "is for \"shape: linear\"; the cosine one has \"rise\"");
}

const Schema<OneCycle>& one_cycle_schema() {
  using C = OneCycle;
  static const Schema<C> kSchema{
      field("length", &C::length).required().doc("of the training, such as 30e or 800s"),
      field("lr", &C::lr).above(0).at_most(kMaxRate).required().doc("highest learning rate"),
      field("div", &C::div).at_least(1).at_most(1e9).doc("the start is lr / div"),
      field("tail", &C::tail)
          .at_least(0)
          .below(1)
          .doc("linear: share of the length that follows the cycle (0.2)"),
      field("tail_div", &C::tail_div)
          .at_least(1)
          .at_most(1e12)
          .doc("the end is lr / (div * tail_div) (linear: 100, cosine: 4000)"),
      field("rise", &C::rise)
          .above(0)
          .below(1)
          .doc("cosine: share of the length until the highest lr (0.25)"),
      field("momentum", &C::momentum)
          .one_or_both()
          .at_least(0)
          .below(1)
          .doc("at the ends, at the highest lr"),
      field("shape", &C::shape).doc("of the cycle"),
      check<C>(check_one_cycle)};
  return kSchema;
}

const Schema<Sgdr>& sgdr_schema() {
  static const Schema<Sgdr> kSchema{
      field("cycles", &Sgdr::cycles).in(1, 100).required().doc("number of cosine cycles"),
      field("length", &Sgdr::length).required().doc("of the first cycle"),
      field("mult", &Sgdr::mult)
          .in(1, 100)
          .doc("each cycle is so many times as long as the one before"),
      field("lr", &Sgdr::lr)
          .above(0)
          .at_most(kMaxRate)
          .required()
          .doc("at the start of a cycle; it falls to 0"),
      field("momentum", &Sgdr::momentum).at_least(0).below(1).doc("constant")};
  return kSchema;
}

const Schema<Plain>& plain_schema() {
  static const Schema<Plain> kSchema{field("lr", &Plain::lr).above(0).at_most(kMaxRate).required(),
                                     field("length", &Plain::length).required(),
                                     field("momentum", &Plain::momentum).at_least(0).below(1)};
  return kSchema;
}

/// A border of a schedule that is given as a share of its length: steps are whole.
Length border(const Length& length, double share) {
  const double amount = length.amount * share;
  if (length.unit == LengthUnit::epochs) return {amount, length.unit};
  return {std::max(1.0, std::ceil(amount - 1e-6)), length.unit};
}

PhaseSpec make_phase(const Length& until, const Ramp& lr, const Ramp& momentum, Curve curve,
                     const Mark& mark) {
  PhaseSpec phase;
  phase.until = until;
  phase.lr = lr;
  phase.momentum = momentum;
  phase.curve = curve;
  phase.mark = mark;
  return phase;
}

Ramp ramp(double start, double end) {
  return start == end ? Ramp{start, std::nullopt} : Ramp{start, end};
}

/// fastai 0.7's phases_1cycle: up and down in equal times, then a tail to a much smaller rate.
std::vector<PhaseSpec> linear_cycle(const OneCycle& c, const Mark& mark) {
  const double cycle = 1.0 - c.tail.value_or(0.2);
  const double low = c.lr / c.div, end = low / c.tail_div.value_or(100);
  const auto [high_momentum, low_momentum] = c.momentum;
  std::vector<PhaseSpec> phases = {
      make_phase(border(c.length, cycle / 2), ramp(low, c.lr), ramp(high_momentum, low_momentum),
                 Curve::linear, mark),
      make_phase(border(c.length, cycle), ramp(c.lr, low), ramp(low_momentum, high_momentum),
                 Curve::linear, mark)};
  if (cycle < 1.0) {
    phases.push_back(
        make_phase(c.length, ramp(low, end), {high_momentum, std::nullopt}, Curve::linear, mark));
  }
  return phases;
}

/// fastai 1 and 2's cosine cycle: up for a share of the time, then down to the end.
std::vector<PhaseSpec> cosine_cycle(const OneCycle& c, const Mark& mark) {
  const double low = c.lr / c.div, end = low / c.tail_div.value_or(4000);
  const auto [high_momentum, low_momentum] = c.momentum;
  return {make_phase(border(c.length, c.rise.value_or(0.25)), ramp(low, c.lr),
                     ramp(high_momentum, low_momentum), Curve::cosine, mark),
          make_phase(c.length, ramp(c.lr, end), ramp(low_momentum, high_momentum), Curve::cosine,
                     mark)};
}

void expand_one_cycle(const Node& node, SolverSpec& spec, Diagnostics& diagnostics) {
  OneCycle cycle;
  if (!one_cycle_schema().read(node, cycle, Reader(diagnostics, {}, "one_cycle"))) return;
  spec.phases = cycle.shape == OneCycleShape::linear ? linear_cycle(cycle, node.mark)
                                                     : cosine_cycle(cycle, node.mark);
}

/// fastai 0.7's phases_sgdr: a twentieth of the first cycle at lr / 100, then cosines from lr to 0.
void expand_sgdr(const Node& node, SolverSpec& spec, Diagnostics& diagnostics) {
  Sgdr sgdr;
  if (!sgdr_schema().read(node, sgdr, Reader(diagnostics, {}, "sgdr"))) return;
  const Ramp momentum{sgdr.momentum, std::nullopt};
  spec.phases.push_back(make_phase(border(sgdr.length, 0.05), {sgdr.lr / 100, std::nullopt},
                                   momentum, Curve::constant, node.mark));
  double total = 0;
  for (int i = 0; i < sgdr.cycles; ++i) {
    total += std::pow(sgdr.mult, i);
    spec.phases.push_back(
        make_phase(border(sgdr.length, total), {sgdr.lr, 0.0}, momentum, Curve::cosine, node.mark));
  }
  if (spec.phases.back().until.amount > 1e9) {
    diagnostics.add(node.mark, fmt::format("\"sgdr\" lasts {}, which is longer than 1e9",
                                           length_text(spec.phases.back().until)));
  }
}

bool is_given(const Node& node) {
  return !node.is_null() || !node.mark.file.empty() || node.mark.line > 0;
}

void expand_plain(const ScheduleNodes& nodes, SolverSpec& spec, Diagnostics& diagnostics) {
  Node map = Node::make_map(nodes.lr.mark);
  map.set("lr", nodes.lr);
  if (is_given(nodes.length)) map.set("length", nodes.length);
  if (is_given(nodes.momentum)) map.set("momentum", nodes.momentum);
  Plain plain;
  if (!plain_schema().read(map, plain, Reader(diagnostics))) return;
  spec.phases.push_back(make_phase(plain.length, {plain.lr, std::nullopt},
                                   {plain.momentum, std::nullopt}, Curve::constant, nodes.lr.mark));
}

TypeInfo map_of(const SchemaBase& schema) {
  return detail::map_type(schema);
}

}  // namespace

TypeInfo one_cycle_type() {
  return map_of(one_cycle_schema());
}
TypeInfo sgdr_type() {
  return map_of(sgdr_schema());
}

void read_schedule(const ScheduleNodes& nodes, const Mark& solver_mark, SolverSpec& spec,
                   Diagnostics& diagnostics) {
  struct Form {
    std::string_view key;
    const Node& node;
  };
  const std::array<Form, 5> forms = {Form{"one_cycle", nodes.one_cycle}, Form{"sgdr", nodes.sgdr},
                                     Form{"policy", nodes.policy}, Form{"phases", nodes.phases},
                                     Form{"lr", nodes.lr}};
  const Form* first = nullptr;
  for (const Form& form : forms) {
    if (!is_given(form.node)) continue;
    if (first) {
      diagnostics.add(
          form.node.mark,
          fmt::format("\"{}\" and \"{}\" ({}) are both given, exactly one schedule is accepted",
                      form.key, first->key, first->node.mark.to_string()));
      return;
    }
    first = &form;
  }
  if (!first && (is_given(nodes.length) || is_given(nodes.momentum))) {
    const bool length = is_given(nodes.length);
    diagnostics.add(
        (length ? nodes.length : nodes.momentum).mark,
        fmt::format("\"{}\" goes with \"lr\", which is missing", length ? "length" : "momentum"));
    return;
  }
  if (!first) {
    diagnostics.add(solver_mark,
                    "needs a schedule: \"one_cycle\", \"sgdr\", \"policy\", \"phases\", or \"lr\" "
                    "with \"length\"");
    return;
  }
  if (first->key != "lr") {
    for (const auto& [key, node] :
         {Form{"length", nodes.length}, Form{"momentum", nodes.momentum}}) {
      if (is_given(node))
        diagnostics.add(
            node.mark, fmt::format("\"{}\" goes with \"lr\"; put it into \"{}\"", key, first->key));
    }
  }
  if (first->key == "one_cycle") expand_one_cycle(nodes.one_cycle, spec, diagnostics);
  if (first->key == "sgdr") expand_sgdr(nodes.sgdr, spec, diagnostics);
  if (first->key == "phases") read_phases(nodes.phases, spec.phases, diagnostics);
  if (first->key == "lr") expand_plain(nodes, spec, diagnostics);
  if (first->key == "policy") {
    ValueTraits<PolicySpec>::read(nodes.policy, spec.policy, Reader(diagnostics, {}, "policy"));
  }
  if (!spec.phases.empty() && !spec.phases[0].momentum)
    spec.phases[0].momentum = Ramp{0.9, std::nullopt};
}

}  // namespace daybreak
