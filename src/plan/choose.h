#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "core/tuning.h"
#include "plan/offer_timer.h"
#include "plan/planner.h"
#include "plan/tune_cache.h"

namespace daybreak {

/// Kernels taken for queries, by name (tune_key.h): what a checkpoint keeps.
using KernelChoices = std::map<std::string, std::string>;

struct ChooserOptions {
  TuneMode mode = TuneMode::off;
  ConvChoice conv = ConvChoice::automatic;
  std::string cache;     ///< file of the TuneCache; empty: nothing is read or kept
  KernelChoices replay;  ///< taken before anything else: those of a checkpoint
  std::function<void(const std::string&)> say;  ///< one line of progress; may be empty
  /// How often a kernel of a training plan, and of an evaluation's, will run until the program
  /// ends: what is slow to make has to earn that back.
  double train_calls = 20000.0, eval_calls = 20000.0;
};

/// Chooses the kernels of convolutions and linear layers by measuring what a backend offers,
/// reorders included, and remembers the choices on disk. A query is measured once; a challenger
/// must beat the backend's static guess by a margin. Other ops take the static guess.
class KernelChooser {
 public:
  KernelChooser(Backend& backend, ChooserOptions options);
  ~KernelChooser();
  KernelChooser(const KernelChooser&) = delete;
  KernelChooser& operator=(const KernelChooser&) = delete;

  OfferChoice choose(const KernelQuery& query, const std::vector<KernelOffer>& offers);
  OfferChooser chooser();
  /// ChooserOptions::train_calls and eval_calls, once they are known.
  void expect_calls(double train, double eval);
  /// True where the fastest kernels of `joined` were measured to take less time together than those
  /// of `apart`, or where a checkpoint had them joined; never before both are measured, and only
  /// where one of `joined` does in one kernel what the others do in parts.
  bool join(const std::vector<KernelAsk>& apart, const std::vector<KernelAsk>& joined);
  /// Empty where the answer can only be no.
  JoinChooser joiner();
  /// To be called when all plans are made: gives memory back, saves the cache and says what was
  /// measured.
  void finish();

  /// What was taken so far.
  const KernelChoices& choices() const { return taken_; }
  /// Ceilings and choices of this machine.
  TuneCache& cache() { return cache_; }

 private:
  struct Offered;

  double calls(const KernelQuery& query) const;
  std::string key_of(const KernelQuery& query) const;
  Offered allowed_offers(const std::vector<KernelOffer>& offers) const;
  double seconds_of(const std::vector<KernelAsk>& kernels);
  OfferChoice decide(const std::string& key, const KernelQuery& query, const Offered& offered);
  OfferChoice measure(const std::string& key, const KernelQuery& query, const Offered& offered);
  void say_progress();

  Backend& backend_;
  ChooserOptions options_;
  TuneCache cache_;
  OfferTimer timer_;
  KernelChoices taken_;
  bool replay_failed_ = false;
  int measured_ = 0;
  std::chrono::steady_clock::time_point start_, last_said_;
};

/// Choices as text of one line, for metadata of files; unreadable text gives no choices.
std::string to_text(const KernelChoices& choices);
KernelChoices choices_of_text(const std::string& text);

}  // namespace daybreak
