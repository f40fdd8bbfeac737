#pragma once

#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "core/error.h"

namespace daybreak {

/// Collects the errors of a stage, so that all of them can be reported at once.
class Diagnostics {
 public:
  /// Adds an error. Errors at the same place with the same `group` (default: the text) count as
  /// one: a wrong default is then said once, not once for each layer that takes it.
  void add(Mark mark, std::string text, std::vector<std::string> notes = {},
           std::string group = "");
  /// Takes over the errors of an exception.
  void add(const ConfigError& error);

  bool empty() const { return items_.empty(); }
  std::size_t size() const { return items_.size(); }
  /// Sorted by file, line and column.
  std::vector<Diagnostic> sorted() const;
  /// Throws ConfigError with everything collected (its text shows at most 20).
  void throw_if_any() const;

 private:
  std::vector<Diagnostic> items_;
  std::set<std::tuple<std::string, int, int, std::string>> seen_;
};

}  // namespace daybreak
