#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace daybreak {

/// What measuring a query gave: every candidate with its seconds, reorders included, and the one
/// that was taken.
struct TuneEntry {
  std::string kernel;
  double seconds = 0.0;
  std::map<std::string, double> candidates;
};

/// Measured choices on disk, so that a second start measures nothing: one JSON file for all
/// machines and settings, safe to delete. Entries of this process win over those of others when
/// they are saved; what other processes wrote meanwhile is kept. A damaged file, or one of another
/// program, is ignored with one warning and replaced; a folder that cannot be written gives one
/// warning.
class TuneCache {
 public:
  /// `machine`: what choices depend on besides the query. An empty path keeps nothing.
  TuneCache(std::string path, std::string machine);

  /// Null when the cache does not know; valid until the next put().
  const TuneEntry* find(const std::string& key) const;
  void put(const std::string& key, TuneEntry entry);
  /// Figures of the machine, such as its ceilings.
  std::optional<double> figure(const std::string& name) const;
  void put_figure(const std::string& name, double value);
  /// Writes what is new, if anything. Never throws.
  void save();
  const std::string& path() const { return path_; }

 private:
  struct Section {
    std::map<std::string, TuneEntry> entries;
    std::map<std::string, double> figures;
  };
  Section read() const;

  std::string path_, machine_;
  Section known_;  // read and own
  Section fresh_;  // own, not yet saved
};

/// $XDG_CACHE_HOME/daybreak/tune.json, or ~/.cache/daybreak/tune.json; empty when there is no home.
std::string default_tune_cache();

}  // namespace daybreak
