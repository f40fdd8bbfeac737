#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "config/diagnostics.h"

// Darknet's configuration files: sections in brackets, KEY=VALUE lines, comment lines.

namespace daybreak {

/// Whose rules a file follows where the programs differ: pjreddie's, AlexeyAB's or hank-ai's.
enum class DarknetDialect : std::uint8_t { pj, ab, hk };
const char* to_string(DarknetDialect dialect);

struct DarknetEntry {
  std::string key, value;
  Mark mark;
};

/// "[convolutional]" and the keys below it.
struct DarknetSection {
  std::string name;
  Mark mark;
  std::vector<DarknetEntry> entries;
  std::vector<DarknetEntry> repeated = {};  ///< keys given again: Darknet takes the first
};

/// Splits a file into sections. White space is removed as Darknet does; what it would pass over in
/// silence (lines without "=", keys of layers given twice with different values) is reported; what
/// follows a # is none of a value. `file` is what marks show.
std::vector<DarknetSection> parse_darknet_cfg(std::string_view text, const std::string& file,
                                              Diagnostics& diagnostics);

/// Typed access to a section that remembers which keys were asked for. Values that cannot be read
/// or are out of range are reported and give the default.
class DarknetKeys {
 public:
  DarknetKeys(const DarknetSection& section, Diagnostics& diagnostics)
      : section_(section), diagnostics_(diagnostics) {}

  const DarknetSection& section() const { return section_; }
  bool has(const std::string& key) const { return find(key) != nullptr; }
  int whole(const std::string& key, int fallback, int lo = -1'000'000, int hi = 1'000'000'000);
  double number(const std::string& key, double fallback);
  std::string text(const std::string& key, const std::string& fallback);
  std::vector<int> wholes(const std::string& key);
  std::vector<double> numbers(const std::string& key);
  /// Reports the key, when it is there with a value other than 0: "[section]: KEY=VALUE REASON".
  void refuse(const std::string& key, const std::string& reason);
  /// Keys that only matter in training: collected in dropped().
  void drop(std::initializer_list<const char*> keys);
  /// Reports an error at a key, or at the section when the key is not there.
  void error(const std::string& key, const std::string& text);
  /// Reports every key that nobody asked for, with the nearest one that exists.
  void finish();
  const std::vector<std::string>& dropped() const { return dropped_; }

 private:
  const DarknetEntry* find(const std::string& key) const;
  template <typename T>
  std::vector<T> list(const std::string& key);

  const DarknetSection& section_;
  Diagnostics& diagnostics_;
  mutable std::set<std::string> known_;
  std::vector<std::string> dropped_;
};

}  // namespace daybreak
