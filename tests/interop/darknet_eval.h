#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

// Darknet networks evaluated by plain loops written from the formulas alone, in double: what
// imported networks are compared with. Shares no code with the program.

namespace daybreak::test {

/// A feature map [c, h, w].
struct Map {
  int c = 0, h = 0, w = 0;
  std::vector<double> v;
  double at(int k, int y, int x) const { return v[(static_cast<std::size_t>(k) * h + y) * w + x]; }
};

struct EvalSection {
  std::string name;
  std::map<std::string, std::string> keys;
  int number(const std::string& key, int fallback) const;
  std::string text(const std::string& key, const std::string& fallback) const;
  std::vector<int> list(const std::string& key) const;
};

std::vector<EvalSection> eval_sections(const std::string& cfg);

/// The numbers of a weights file in Darknet's order for this cfg; `count` how many it takes.
std::size_t eval_weight_count(const std::string& cfg);

/// Outputs of all layers. `weights`: the floats behind the file's header. `old_order`: connected
/// matrices are [in, out].
std::vector<Map> eval_darknet(const std::string& cfg, const std::vector<float>& weights,
                              const Map& input, bool old_order = false);

/// A weights file of version 0.2.5.
std::string weights_bytes(const std::vector<float>& weights, int major = 0, int minor = 2);

/// Random numbers that make a well-behaved network: variances are positive.
std::vector<float> random_weights(const std::string& cfg, unsigned seed);

}  // namespace daybreak::test
