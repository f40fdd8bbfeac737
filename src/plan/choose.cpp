#include "plan/choose.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cmath>
#include <exception>
#include <nlohmann/json.hpp>
#include <utility>

#include "plan/tune_key.h"

namespace daybreak {
namespace {

using Clock = std::chrono::steady_clock;

// A challenger must be faster than the static guess by this much, or noise would decide.
constexpr double kMargin = 0.04;
constexpr const char *kJoined = "joined", *kApart = "apart";  // among the choices of a checkpoint
constexpr double kSecondsBetweenLines = 5.0;
constexpr double kCannotRun = 1e9;  // in a cache entry: JSON has no infinity

std::string machine_of(const Backend& backend) {
  return fmt::format("{}, kernels {}", backend.identity(), backend.kernel_set());
}

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

bool allowed(const KernelOffer& offer, ConvChoice choice, bool any_winograd) {
  const bool winograd = offer.algorithm == KernelAlgorithm::winograd;
  switch (choice) {
    case ConvChoice::automatic:
      return true;
    case ConvChoice::direct:
      return !winograd;
    case ConvChoice::winograd:
      return winograd || !any_winograd;
  }
  return true;
}

}  // namespace

// The offers that may be taken, with their names.
struct KernelChooser::Offered {
  std::vector<KernelOffer> offers;
  std::vector<std::size_t> index;  // in the backend's list
  std::vector<std::string> names;

  static constexpr std::size_t kNone = static_cast<std::size_t>(-1);
  std::size_t find(const std::string& name) const {
    const auto found = std::find(names.begin(), names.end(), name);
    return found == names.end() ? kNone : static_cast<std::size_t>(found - names.begin());
  }
  // True when the entry was measured among these very candidates, and none that could earn what it
  // costs now was left out for a shorter training.
  bool agrees(const TuneEntry& entry, double calls) const {
    if (entry.candidates.size() != names.size() || find(entry.kernel) == kNone) return false;
    for (std::size_t i = 0; i < names.size(); ++i) {
      const auto found = entry.candidates.find(names[i]);
      if (found == entry.candidates.end()) return false;
      const bool left_out = offers[i].slow_to_make && found->second >= kCannotRun;
      if (left_out && may_earn(entry.seconds, calls)) return false;
    }
    return true;
  }

  // What making an offer adds to each of its calls.
  double to_make(std::size_t i, double calls) const {
    return offers[i].slow_to_make ? kSecondsToMake / calls : 0.0;
  }

  // The one to take: the fastest, with what making it costs each of its calls.
  std::size_t fastest(const std::vector<double>& seconds, double calls) const {
    const auto cost = [&](std::size_t i) { return seconds[i] + to_make(i, calls); };
    std::size_t best = 0;
    for (std::size_t i = 1; i < seconds.size(); ++i) {
      if (cost(i) < cost(best)) best = i;
    }
    return cost(0) <= cost(best) * (1.0 + kMargin) ? 0 : best;
  }
};

KernelChooser::KernelChooser(Backend& backend, ChooserOptions options)
    : backend_(backend),
      options_(std::move(options)),
      cache_(options_.mode == TuneMode::off ? "" : options_.cache, machine_of(backend)),
      timer_(backend) {}

KernelChooser::~KernelChooser() {
  cache_.save();
}

OfferChooser KernelChooser::chooser() {
  return [this](const KernelQuery& query, const std::vector<KernelOffer>& offers) {
    return choose(query, offers);
  };
}

void KernelChooser::expect_calls(double train, double eval) {
  options_.train_calls = std::max(1.0, train);
  options_.eval_calls = std::max(1.0, eval);
}

double KernelChooser::calls(const KernelQuery& query) const {
  return query.mode == Mode::train ? options_.train_calls : options_.eval_calls;
}

JoinChooser KernelChooser::joiner() {
  if (options_.mode == TuneMode::off && options_.replay.empty()) return {};
  return [this](const std::vector<KernelAsk>& apart, const std::vector<KernelAsk>& joined) {
    return join(apart, joined);
  };
}

std::string KernelChooser::key_of(const KernelQuery& query) const {
  std::string key = tune_key(backend_, query);
  if (options_.conv == ConvChoice::direct) key += ", direct only";
  if (options_.conv == ConvChoice::winograd) key += ", winograd only";
  return key;
}

KernelChooser::Offered KernelChooser::allowed_offers(const std::vector<KernelOffer>& offers) const {
  const bool any_winograd = std::any_of(offers.begin(), offers.end(), [](const KernelOffer& o) {
    return o.algorithm == KernelAlgorithm::winograd;
  });
  Offered offered;
  const std::vector<std::string> names = offer_names(backend_, offers);
  for (std::size_t i = 0; i < offers.size(); ++i) {
    if (!allowed(offers[i], options_.conv, any_winograd)) continue;
    offered.offers.push_back(offers[i]);
    offered.index.push_back(i);
    offered.names.push_back(names[i]);
  }
  return offered;
}

OfferChoice KernelChooser::choose(const KernelQuery& query,
                                  const std::vector<KernelOffer>& offers) {
  if (!tunable(*query.op)) return 0;
  const Offered offered = allowed_offers(offers);
  if (offered.offers.empty()) return 0;  // nothing but what was not asked for
  const std::string key = key_of(query);
  OfferChoice choice = decide(key, query, offered);
  taken_[key] = offered.names[choice.index];
  choice.index = offered.index[choice.index];
  return choice;
}

// Nothing where one of them is not known.
double KernelChooser::seconds_of(const std::vector<KernelAsk>& kernels) {
  double sum = 0.0;
  for (const auto& [query, offers] : kernels) {
    const Offered offered = allowed_offers(offers);
    if (offered.offers.empty()) return 0.0;
    const OfferChoice choice = decide(key_of(query), query, offered);
    if (choice.seconds <= 0.0) return 0.0;
    sum += choice.seconds + offered.to_make(choice.index, calls(query));
  }
  return sum;
}

bool KernelChooser::join(const std::vector<KernelAsk>& apart,
                         const std::vector<KernelAsk>& joined) {
  std::string key = "joined";
  for (const KernelAsk& kernel : joined) key += " | " + key_of(kernel.query);
  const auto replay = options_.replay.find(key);
  bool take = false;
  if (replay != options_.replay.end()) {
    take = replay->second == kJoined;
  } else {
    const bool fuses = std::any_of(joined.begin(), joined.end(), [](const KernelAsk& kernel) {
      return std::any_of(kernel.offers.begin(), kernel.offers.end(),
                         [](const KernelOffer& offer) { return offer.fused; });
    });
    // A checkpoint that knows a convolution by itself, and nothing of this question, is of a plan
    // that was not asked it.
    const bool known = std::any_of(apart.begin(), apart.end(), [&](const KernelAsk& kernel) {
      return options_.replay.contains(key_of(kernel.query));
    });
    if (!fuses || known) return false;
    const double separate = seconds_of(apart), together = seconds_of(joined);
    take = together > 0.0 && together * (1.0 + kMargin) < separate;
  }
  taken_[key] = take ? kJoined : kApart;
  return take;
}

OfferChoice KernelChooser::decide(const std::string& key, const KernelQuery& query,
                                  const Offered& offered) {
  const TuneEntry* entry = cache_.find(key);
  if (const auto replay = options_.replay.find(key); replay != options_.replay.end()) {
    const std::size_t index = offered.find(replay->second);
    if (index != Offered::kNone) {
      const bool known = entry && entry->candidates.contains(replay->second);
      return {index, known ? entry->candidates.at(replay->second) : 0.0};
    }
    if (!std::exchange(replay_failed_, true)) {
      spdlog::warn(
          "a kernel the checkpoint was trained with is not available here ({}); results will "
          "differ in the last bits",
          replay->second);
    }
  }
  if (options_.mode == TuneMode::off) return 0;
  if (entry && offered.agrees(*entry, calls(query))) {
    std::vector<double> seconds;
    for (const std::string& name : offered.names) seconds.push_back(entry->candidates.at(name));
    const std::size_t index = offered.fastest(seconds, calls(query));
    return {index, seconds[index]};
  }
  if (options_.mode == TuneMode::on && backend_.measurable()) return measure(key, query, offered);
  return 0;
}

OfferChoice KernelChooser::measure(const std::string& key, const KernelQuery& query,
                                   const Offered& offered) {
  say_progress();
  const std::vector<double> seconds = timer_.measure(query, offered.offers, calls(query));
  ++measured_;
  const std::size_t index = offered.fastest(seconds, calls(query));
  if (!std::isfinite(seconds[index])) return 0;  // no memory for it, say
  TuneEntry entry{offered.names[index], seconds[index], {}};
  for (std::size_t i = 0; i < seconds.size(); ++i) {
    entry.candidates[offered.names[i]] = std::min(seconds[i], kCannotRun);
  }
  cache_.put(key, std::move(entry));
  return {index, seconds[index]};
}

void KernelChooser::say_progress() {
  const auto now = Clock::now();
  if (measured_ == 0) {
    start_ = last_said_ = now;
    if (options_.say) {
      const std::string where =
          cache_.path().empty() ? "" : fmt::format(" (once; kept in {})", cache_.path());
      options_.say(fmt::format("measuring kernels for this machine{} ...", where));
    }
  } else if (std::chrono::duration<double>(now - last_said_).count() > kSecondsBetweenLines) {
    last_said_ = now;
    if (options_.say) {
      options_.say(fmt::format("  {} measured so far, {:.0f} s", measured_, seconds_since(start_)));
    }
  }
}

void KernelChooser::finish() {
  timer_.release();
  cache_.save();
  if (measured_ > 0 && options_.say) {
    options_.say(fmt::format("measured kernels of {} layers and directions in {:.1f} s", measured_,
                             seconds_since(start_)));
  }
  measured_ = 0;
}

std::string to_text(const KernelChoices& choices) {
  return nlohmann::json(choices).dump();
}

KernelChoices choices_of_text(const std::string& text) {
  const nlohmann::json json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  KernelChoices choices;
  if (!json.is_object()) return choices;
  for (const auto& [key, kernel] : json.items()) {
    if (kernel.is_string()) choices[key] = kernel.get<std::string>();
  }
  return choices;
}

}  // namespace daybreak
