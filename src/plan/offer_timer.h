#pragma once

#include <vector>

#include "backend/backend.h"

namespace daybreak {

/// Times kernels of one query on memory like the arena's, together with the reorders a plan would
/// put around them: inputs, stored weights and gradients that lie otherwise, and outputs in
/// another layout than the first offer's, which is the one the rest of a network likes.
class OfferTimer {
 public:
  explicit OfferTimer(Backend& backend);
  ~OfferTimer();

  /// Seconds of each offer: the median of interleaved rounds after a warm-up. What is much slower
  /// than the best so far keeps the figure it was dropped with; infinity for one that cannot run.
  std::vector<double> measure(const KernelQuery& query, const std::vector<KernelOffer>& offers);
  /// Gives the memory back.
  void release() { memory_.reset(); }

 private:
  struct Candidate;
  class Preparation;

  void reserve(std::size_t bytes);
  double time(Candidate& candidate, int repeats);
  static void drop_slower(std::vector<Candidate>& candidates, double factor);

  Backend& backend_;
  MemoryPtr memory_;
};

}  // namespace daybreak
