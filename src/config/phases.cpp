#include <fmt/format.h>

#include "config/schedule_internal.h"

namespace daybreak {
namespace {

/// A phase as written: its end is said by `until` or by its own `length`.
struct PhaseFile : PhaseSpec {
  std::optional<Length> end;
  std::optional<Length> length;
  std::optional<double> own_power;
};

const Schema<PhaseFile>& phase_schema() {
  using F = PhaseFile;
  static const Schema<F> kSchema{
      field("until", &F::end).doc("end, from the start of training: 12e, 800s"),
      field("length", &F::length).doc("length of this phase, instead of until"),
      field("lr", &F::lr).in(0, 1e6).doc("learning rate, or [start, end]"),
      field("momentum", &F::momentum)
          .at_least(0)
          .below(1)
          .doc("momentum (Adam: beta1), or [start, end]"),
      field("curve", &F::curve).doc("from start to end"),
      field("momentum_curve", &F::momentum_curve).doc("of momentum, when it differs"),
      field("power", &F::own_power).above(0).at_most(100).doc("of the curve poly"),
      field("optimizer", &F::optimizer).doc("another type drops momentum and other state"),
      field("batch", &F::batch).in(1, 1 << 20).doc("pictures per step"),
      field("image", &F::image).in(1, 65535).doc("side of the pictures, in pixels"),
      field("precision", &F::precision).doc("of activations and their gradients"),
      field("augment", &F::augment).items(0, 100).doc("random changes of the pictures"),
      field("freeze", &F::freeze)
          .items(0, 10000)
          .doc("layers that are not trained: [\"backbone.*\"]")};
  return kSchema;
}

/// Checks and completes phases one after the other; what a phase does not set stays as it was.
class PhaseReader {
 public:
  PhaseReader(const Node& list, std::vector<PhaseSpec>& phases, Diagnostics& diagnostics)
      : list_(list), phases_(phases), diagnostics_(diagnostics) {}

  void run() {
    Rules rules;
    rules.min_items = 1;
    rules.max_items = 10000;
    if (!check_list(list_, Reader(diagnostics_, {}, "phases").with(rules))) return;
    for (std::size_t i = 0; i < list_.items.size(); ++i) one(i);
  }

 private:
  void one(std::size_t index) {
    const Node& node = list_.items[index];
    const Reader reader = Reader(diagnostics_, {}, "phases").at(index);
    PhaseFile file;
    const bool good = phase_schema().read(node, file, reader);
    PhaseSpec phase = file;
    phase.mark = node.mark;
    if (good) {
      find_end(file, phase, node, reader);
      if (index == 0 && !phase.lr)
        reader.error(node.mark, "needs \"lr\": the first phase has none to keep");
      complete_curves(phase, node, reader);
      phase.power = power_ = file.own_power.value_or(power_);
    }
    phases_.push_back(std::move(phase));
  }

  void find_end(const PhaseFile& file, PhaseSpec& phase, const Node& node, const Reader& reader) {
    if (file.end.has_value() == file.length.has_value()) {
      reader.error(node.mark, file.end ? "takes \"until\" or \"length\", not both"
                                       : "needs \"until\" or \"length\"");
      return;
    }
    const Mark& mark = node.find(file.end ? "until" : "length")->mark;
    if (file.length) {
      phase.until = *file.length;
      if (last_ && last_->unit != file.length->unit) {
        reader.at("length").error(
            mark, fmt::format("must have the unit of what is before it, {}; or use \"until\"",
                              length_text(*last_)));
        return;
      }
      if (last_) phase.until.amount += last_->amount;
    } else {
      phase.until = *file.end;
      if (last_ && last_->unit == phase.until.unit && phase.until.amount <= last_->amount) {
        reader.at("until").error(mark,
                                 fmt::format("must be later than the phase before it, {}, found {}",
                                             length_text(*last_), length_text(phase.until)));
        return;
      }
    }
    last_ = phase.until;
  }

  void complete_curves(PhaseSpec& phase, const Node& node, const Reader& reader) {
    const bool own_curve = phase.curve.has_value();
    const bool pair = (phase.lr && phase.lr->end) || (phase.momentum && phase.momentum->end);
    if (!phase.curve && !curve_ && pair) phase.curve = Curve::linear;
    if (phase.curve) curve_ = phase.curve;
    if (phase.momentum_curve) momentum_curve_ = phase.momentum_curve;
    if (phase.lr) {
      if (own_curve && !phase.lr->end) end_at_zero(*phase.lr, *phase.curve, node, reader);
      check_ramp(*phase.lr, curve_, node.find("lr")->mark, reader.at("lr"));
    }
    if (phase.momentum) {
      check_ramp(*phase.momentum, momentum_curve_ ? momentum_curve_ : curve_,
                 node.find("momentum")->mark, reader.at("momentum"));
    }
  }

  /// One lr with a curve of its own falls to 0, as in fastai's training phases.
  static void end_at_zero(Ramp& lr, Curve curve, const Node& node, const Reader& reader) {
    if (curve == Curve::constant) return;
    if (curve == Curve::exponential) {
      reader.at("lr").error(node.find("lr")->mark,
                            "needs an end above 0 for the curve exp: write [start, end]");
      return;
    }
    lr.end = 0.0;
  }

  static void check_ramp(const Ramp& ramp, std::optional<Curve> curve, const Mark& mark,
                         const Reader& reader) {
    if (!ramp.end || !curve) return;
    if (*curve == Curve::constant) {
      reader.error(mark, "is a pair, but the curve is const; set \"curve\" in this phase");
    } else if (*curve == Curve::exponential && (ramp.start <= 0 || *ramp.end <= 0)) {
      reader.error(mark, fmt::format("must start and end above 0 for the curve exp, found [{}, {}]",
                                     number_text(ramp.start), number_text(*ramp.end)));
    }
  }

  const Node& list_;
  std::vector<PhaseSpec>& phases_;
  Diagnostics& diagnostics_;
  std::optional<Length> last_;
  std::optional<Curve> curve_, momentum_curve_;
  double power_ = PhaseSpec{}.power;
};

}  // namespace

void read_phases(const Node& list, std::vector<PhaseSpec>& phases, Diagnostics& diagnostics) {
  PhaseReader(list, phases, diagnostics).run();
}

Node write_phases(const std::vector<PhaseSpec>& phases) {
  Node list = Node::make_list();
  double power = PhaseSpec{}.power;
  for (const PhaseSpec& phase : phases) {
    PhaseFile file;
    static_cast<PhaseSpec&>(file) = phase;
    file.end = phase.until;
    if (phase.power != power) file.own_power = power = phase.power;
    list.items.push_back(phase_schema().write(file));
  }
  return list;
}

TypeInfo phases_type() {
  TypeInfo info = TypeInfo::of(TypeInfo::Kind::list);
  TypeInfo phase = TypeInfo::of(TypeInfo::Kind::map);
  phase.schema = &phase_schema();
  info.parts.push_back(std::move(phase));
  return info;
}

}  // namespace daybreak
