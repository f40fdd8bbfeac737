#pragma once

#include <vector>

#include "backend/backend.h"

namespace daybreak {

/// What an offer that is slow to make (KernelOffer::slow_to_make) costs every start.
constexpr double kSecondsToMake = 1.0;

/// True when one that is slow to make can earn that back in `calls`: it saves a pass over what a
/// kernel writes, which is never more than a third of `seconds`, the best without it.
inline bool may_earn(double seconds, double calls) {
  return seconds * calls / 3.0 >= kSecondsToMake;
}

/// Times kernels of one query on memory like the arena's, together with the reorders a plan would
/// put around them: inputs, stored weights and gradients that lie otherwise, and outputs in
/// another layout than the first offer's, which is the one the rest of a network likes.
class OfferTimer {
 public:
  explicit OfferTimer(Backend& backend);
  ~OfferTimer();

  /// Seconds of each offer: the median of interleaved rounds after a warm-up. What is much slower
  /// than the best so far keeps the figure it was dropped with; infinity for one that cannot run,
  /// or that is slow to make and cannot earn it back in `calls`.
  std::vector<double> measure(const KernelQuery& query, const std::vector<KernelOffer>& offers,
                              double calls);
  /// Gives the memory back.
  void release() { memory_.reset(); }

 private:
  struct Candidate;
  class Preparation;

  void reserve(std::size_t bytes);
  void warm_up(Candidate& candidate, const KernelQuery& query, const KernelOffer& offer,
               const KernelOffer& liked);
  double time(Candidate& candidate, int repeats);
  static void drop_slower(std::vector<Candidate>& candidates, double factor);

  Backend& backend_;
  MemoryPtr memory_;
};

}  // namespace daybreak
