#pragma once

#include <array>
#include <optional>
#include <string>

#include "layers/layer_builder.h"
#include "layers/options.h"

namespace daybreak {

/// Options of the layer `conv`, also used by the layers that are made of convolutions.
struct ConvOptions {
  int filters = 1;  ///< 0: the data set's classes
  std::array<int, 2> size = {3, 3};
  std::array<int, 2> stride = {1, 1};
  std::array<int, 2> pad = {kSamePad, kSamePad};
  std::array<int, 2> dilation = {1, 1};
  int groups = 1;            ///< 0: one for each input channel
  std::optional<bool> bias;  ///< not given: on unless a norm follows
  NormOptions norm;
  Activation act;
  Init init;
};

/// conv, norm, activation; parameters PREFIX.weight, PREFIX.bias, PREFIX.norm.*, where PREFIX is
/// LAYER[.scope].
ValueId add_conv(LayerBuilder& b, ValueId x, const ConvOptions& options,
                 const std::string& scope = "");

/// Batch or instance norm; parameters LAYER[.scope].*. The input itself for NormKind::none.
ValueId add_norm(LayerBuilder& b, ValueId x, const NormOptions& norm, const std::string& scope);

/// An activation; the input itself for ActKind::none.
ValueId add_act(LayerBuilder& b, ValueId x, const Activation& act, const std::string& scope);

/// How weight and bias of a layer start whose activation is `act`. `fan_in`: inputs of one output.
std::vector<std::pair<std::string, Init>> weight_inits(Init init, const Activation& act,
                                                       double fan_in, int groups = 1);

}  // namespace daybreak
