#include "plan/tune_cache.h"

#include <spdlog/spdlog.h>

#include <cstdlib>
#include <exception>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/error.h"
#include "io/atomic_file.h"

namespace daybreak {
namespace {

using Json = nlohmann::ordered_json;
namespace fs = std::filesystem;

constexpr const char* kFormat = "daybreak tuning 1";
constexpr std::uint64_t kMaxBytes = 64 << 20;

// The file's content; an empty object when there is none. Throws for anything else than a cache.
Json load(const std::string& path) {
  std::error_code code;
  if (!fs::exists(path, code)) return Json::object();
  const FileBytes bytes = read_whole_file(path, kMaxBytes);
  const char* text = reinterpret_cast<const char*>(bytes.data.get());
  Json json = Json::parse(text, text + bytes.size);
  if (!json.is_object() || json.value("format", "") != kFormat ||
      !json.at("machines").is_object()) {
    throw DataError(path, "is not a tuning cache");
  }
  return json;
}

TuneEntry entry_of(const Json& json) {
  TuneEntry entry;
  entry.kernel = json.at("kernel").get<std::string>();
  entry.seconds = json.at("seconds").get<double>();
  for (const auto& [name, seconds] : json.at("candidates").items()) {
    entry.candidates[name] = seconds.get<double>();
  }
  return entry;
}

Json json_of(const TuneEntry& entry) {
  return {{"kernel", entry.kernel}, {"seconds", entry.seconds}, {"candidates", entry.candidates}};
}

}  // namespace

TuneCache::TuneCache(std::string path, std::string machine)
    : path_(std::move(path)), machine_(std::move(machine)) {
  if (path_.empty()) return;
  try {
    known_ = read();
  } catch (const std::exception&) {
    spdlog::warn("{}: is damaged or no tuning cache; it is written anew", path_);
  }
}

TuneCache::Section TuneCache::read() const {
  Section section;
  const Json json = load(path_);
  if (!json.contains("machines") || !json["machines"].contains(machine_)) return section;
  const Json& machine = json["machines"][machine_];
  for (const auto& [key, entry] : machine.at("choices").items()) {
    section.entries[key] = entry_of(entry);
  }
  for (const auto& [name, value] : machine.at("figures").items()) {
    section.figures[name] = value.get<double>();
  }
  return section;
}

const TuneEntry* TuneCache::find(const std::string& key) const {
  const auto found = known_.entries.find(key);
  return found == known_.entries.end() ? nullptr : &found->second;
}

void TuneCache::put(const std::string& key, TuneEntry entry) {
  fresh_.entries[key] = entry;
  known_.entries[key] = std::move(entry);
}

std::optional<double> TuneCache::figure(const std::string& name) const {
  const auto found = known_.figures.find(name);
  if (found == known_.figures.end()) return std::nullopt;
  return found->second;
}

void TuneCache::put_figure(const std::string& name, double value) {
  known_.figures[name] = fresh_.figures[name] = value;
}

void TuneCache::save() {
  if (path_.empty() || (fresh_.entries.empty() && fresh_.figures.empty())) return;
  // Read again: another process may have saved since. Two that save at once may lose entries of
  // one, which are measured again some day; the file is whole either way.
  Json json = Json::object();
  try {
    read();
    json = load(path_);
  } catch (const std::exception&) {
    json = Json::object();  // said when it was first read
  }
  json["format"] = kFormat;
  if (!json.contains("machines")) json["machines"] = Json::object();
  Json& machine = json["machines"][machine_];
  for (const char* part : {"figures", "choices"}) {
    if (!machine.contains(part)) machine[part] = Json::object();
  }
  for (const auto& [name, value] : fresh_.figures) machine["figures"][name] = value;
  for (const auto& [key, entry] : fresh_.entries) machine["choices"][key] = json_of(entry);
  try {
    fs::create_directories(folder_of(path_));
    write_file_atomically(path_, json.dump(1) + "\n");
  } catch (const std::exception& error) {
    spdlog::warn("measured kernel choices are not kept: {}", error.what());
  }
  fresh_ = {};
}

std::string default_tune_cache() {
  const char* cache = std::getenv("XDG_CACHE_HOME");
  if (cache && cache[0] == '/') return std::string(cache) + "/daybreak/tune.json";
  const char* home = std::getenv("HOME");
  if (home && home[0] == '/') return std::string(home) + "/.cache/daybreak/tune.json";
  return "";
}

}  // namespace daybreak
