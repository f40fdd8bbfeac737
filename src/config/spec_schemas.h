#pragma once

#include <string>
#include <vector>

#include "config/schema.h"
#include "config/spec_names.h"
#include "config/specs.h"
#include "config/union.h"

// The field tables of config/specs.h, shared by the files that make up the solver's table.

namespace daybreak {

const Schema<InputSpec>& config_schema(Type<InputSpec>);
const Schema<SplitSpec>& config_schema(Type<SplitSpec>);
const Schema<LrGroup>& config_schema(Type<LrGroup>);
const Schema<EmaSpec>& config_schema(Type<EmaSpec>);
const Schema<LookaheadSpec>& config_schema(Type<LookaheadSpec>);
const Schema<CheckpointSpec>& config_schema(Type<CheckpointSpec>);

const Union<TransformSpec>& config_union(Type<TransformSpec>);
const Union<OptimizerSpec>& config_union(Type<OptimizerSpec>);
const Union<PolicySpec>& config_union(Type<PolicySpec>);

/// A data descriptor, or the `data` of a solver, which may name one.
struct DataFile : DataSpec {
  std::string descriptor;
};
const Schema<DataFile>& config_schema(Type<DataFile>);

/// Sources carry their mark and have their directory resolved.
template <>
struct ValueTraits<SourceSpec> {
  static bool read(const Node& node, SourceSpec& source, const Reader& reader);
  static Node write(const SourceSpec& source, const Rules& rules);
  static TypeInfo type(const Rules& rules);
};

/// "30e" or "800s".
template <>
struct ValueTraits<Length> {
  static bool read(const Node& node, Length& length, const Reader& reader);
  static Node write(const Length& length, const Rules& rules);
  static TypeInfo type(const Rules& rules);
};

/// A number, or [start, end].
template <>
struct ValueTraits<Ramp> {
  static bool read(const Node& node, Ramp& ramp, const Reader& reader);
  static Node write(const Ramp& ramp, const Rules& rules);
  static TypeInfo type(const Rules& rules);
};

/// The ways to say how lr and momentum change; each becomes SolverSpec's phases or policy.
struct ScheduleNodes {
  Node one_cycle, sgdr, policy, phases, lr, length, momentum;
};
TypeInfo one_cycle_type();
TypeInfo sgdr_type();
TypeInfo phases_type();
/// Expands the one schedule that is given; exactly one must be. `solver_mark` is the place for
/// messages about what is missing.
void read_schedule(const ScheduleNodes& nodes, const Mark& solver_mark, SolverSpec& spec,
                   Diagnostics& diagnostics);
/// `phases` again, as a list that reads back to the same.
Node write_phases(const std::vector<PhaseSpec>& phases);

/// A bool with a name for each value.
template <typename T>
Field<T, bool> named_bool(std::string key, bool T::*member, std::string no, std::string yes) {
  Field<T, bool> result(std::move(key), member);
  result.custom(
      [no, yes](const Node& node, bool& value, const Reader& reader) {
        const int index = read_name(node, {no, yes}, reader);
        if (index >= 0) value = index == 1;
        return index >= 0;
      },
      [no, yes](bool value) { return Node::make_scalar(value ? yes : no); },
      [no, yes] {
        TypeInfo info = TypeInfo::of(TypeInfo::Kind::names);
        info.names = {{no, ""}, {yes, ""}};
        return info;
      });
  return result;
}

}  // namespace daybreak
