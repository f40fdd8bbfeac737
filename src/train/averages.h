#pragma once

#include <optional>
#include <string>
#include <vector>

#include "train/checkpoint_file.h"
#include "train/ema.h"
#include "train/lookahead.h"

namespace daybreak {

/// The averages of weights that a solver asks for (`ema`, `lookahead`): what the training loop and
/// the checkpoints do with them. In files they are "optimizer.ema.NAME" and
/// "optimizer.lookahead.NAME", where nobody takes them for weights.
class WeightAverages {
 public:
  /// Takes its memory; the parameters must be allocated. `graph` names them.
  WeightAverages(const SolverSpec& spec, const Graph& graph, ParamStore& params, Backend& backend);

  /// Begins with the weights as they are.
  void start();
  /// After update number `step` of `steps`, made or skipped.
  void after_step(std::int64_t step, std::int64_t steps);

  std::vector<NamedTensor> read();
  /// Throws DataError when `path` has no such tensors of the right shape.
  void write(const std::string& path, const std::vector<NamedTensor>& tensors);

  bool has_ema() const { return ema_.has_value(); }
  /// While it lives, the network computes with the running mean.
  class EmaInPlace {
   public:
    explicit EmaInPlace(WeightAverages& averages) : mean_(averages.ema_->mean()) {
      mean_.exchange();
    }
    ~EmaInPlace() { mean_.exchange(); }
    EmaInPlace(const EmaInPlace&) = delete;
    EmaInPlace& operator=(const EmaInPlace&) = delete;

   private:
    WeightCopy& mean_;
  };

 private:
  struct Entry {
    const char* name;
    WeightCopy* copy;
  };
  std::vector<Entry> entries();

  const Graph& graph_;
  std::optional<Ema> ema_;
  std::optional<Lookahead> lookahead_;
};

/// Copies of all parameters that a solver's averages take.
int copies_of_weights(const SolverSpec& spec);

/// The running mean in a checkpoint's tensors, under the names of the parameters; none: empty.
std::vector<NamedTensor> ema_weights(const std::vector<NamedTensor>& tensors);

}  // namespace daybreak
