#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "interop/darknet_network.h"

namespace daybreak {

/// A tensor in file order with its values.
struct ImportedTensor {
  std::string name;
  std::vector<std::int64_t> dims;
  std::vector<float> values;
};

struct DarknetImport {
  DarknetNetwork net;
  std::vector<ImportedTensor> tensors;
  int major = 0, minor = 0, revision = 0;
  std::uint64_t seen = 0;       ///< pictures the network was trained on
  std::int64_t parameters = 0;  ///< numbers taken from the weights file
  int layers_filled = 0;        ///< fewer than net.layers with `until`
};

/// Reads a Darknet network and its weights. Throws ConfigError with every error of the cfg, and
/// DataError when the weights are not exactly what the network needs: short, long, not finite.
/// `until`: the file holds the first layers only, those before this number ("74" of
/// darknet53.conv.74) or up to this layer ("conv73"); the others get no tensors.
DarknetImport import_darknet(const std::string& cfg, const std::string& weights,
                             DarknetDialect dialect, const std::string& until = "");

}  // namespace daybreak
