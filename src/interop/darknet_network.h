#pragma once

#include <string>
#include <vector>

#include "config/node.h"
#include "interop/darknet_cfg.h"

namespace daybreak {

/// How the bytes of a parameter lie in a weights file.
enum class WeightOrder : std::uint8_t {
  plain,       ///< as the parameter itself: [OC, IC/groups, KH, KW], [OUT, IN]
  transposed,  ///< [IC KH KW, OC]: `flipped=1`
  by_version,  ///< [IN, OUT] in files of Darknet's first versions, else plain: connected
};

/// The parameters of one layer, in the order of the weights file.
struct DarknetWeights {
  struct Part {
    std::string param;  ///< name in the network: "conv3.norm.bias"
    WeightOrder order = WeightOrder::plain;
  };
  int layer = 0;  ///< counted from 0, as Darknet prints it
  std::string section;
  Mark mark;
  std::vector<Part> parts;
};

/// A Darknet network in daybreak's words.
struct DarknetNetwork {
  Node network;                         ///< the map of a network file; marks point into the cfg
  std::vector<DarknetWeights> weights;  ///< of the layers that have any
  int layers = 0;
  int classes = 0;                   ///< of the detection heads; 0 without any
  Node solver;                       ///< keys of a solver file that [net] speaks of
  std::vector<std::string> dropped;  ///< "line 3: [net] angle=0": what has no place here
};

/// Translates sections to a network; everything that cannot be imported is reported with its line,
/// nothing is guessed (docs/detection.md lists what is). Shapes are not checked here.
DarknetNetwork translate_darknet(const std::vector<DarknetSection>& sections,
                                 const std::string& name, DarknetDialect dialect,
                                 Diagnostics& diagnostics);

}  // namespace daybreak
