#pragma once

#include <span>
#include <string_view>

#include "config/schema_types.h"
#include "config/specs.h"

// Names of the enums of config/specs.h in YAML, messages and documents.

namespace daybreak {

std::span<const EnumName<BorderMode>> enum_names(BorderMode);
std::span<const EnumName<CacheMode>> enum_names(CacheMode);
std::span<const EnumName<OnError>> enum_names(OnError);
std::span<const EnumName<DataFormat>> enum_names(DataFormat);
std::span<const EnumName<ChannelOrder>> enum_names(ChannelOrder);
std::span<const EnumName<Fit>> enum_names(Fit);
std::span<const EnumName<Resample>> enum_names(Resample);
std::span<const EnumName<OptimizerType>> enum_names(OptimizerType);
std::span<const EnumName<WeightDecayForm>> enum_names(WeightDecayForm);
std::span<const EnumName<DecayOn>> enum_names(DecayOn);
std::span<const EnumName<Curve>> enum_names(Curve);
std::span<const EnumName<PolicyKind>> enum_names(PolicyKind);
std::span<const EnumName<BestMetric>> enum_names(BestMetric);
std::span<const EnumName<Precision>> enum_names(Precision);
std::span<const EnumName<Views>> enum_names(Views);
std::span<const EnumName<LastBatch>> enum_names(LastBatch);
std::span<const EnumName<TuneMode>> enum_names(TuneMode);
std::span<const EnumName<ConvChoice>> enum_names(ConvChoice);

/// The name of a value of any enum with a table: "cosine".
template <typename E>
std::string_view name_of(E value) {
  for (const EnumName<E>& entry : enum_names(E{})) {
    if (entry.value == value) return entry.name;
  }
  return "?";
}

/// "30e", "800s".
std::string length_text(const Length& length);

}  // namespace daybreak
