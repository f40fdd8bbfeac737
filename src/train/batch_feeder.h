#pragma once

#include <memory>
#include <optional>

#include "backend/batch_recipe.h"
#include "data/loader.h"
#include "plan/executor.h"

namespace daybreak {

/// What a step has to know of its batch.
struct FedBatch {
  int count = 0;                ///< samples
  int height = 0, width = 0;    ///< of the pictures
  bool full = true;             ///< false: the smaller last batch of an epoch
  std::uint64_t epoch = 0;      ///< 0-based
  std::uint64_t offset = 0;     ///< of its first sample in the epoch's order
  const Batch* host = nullptr;  ///< its pictures; null when the device makes them
};

/// Brings batches to where the plans of a network read them. The batches are those of a Loader with
/// the same options, whoever makes them.
class BatchFeeder {
 public:
  virtual ~BatchFeeder() = default;
  /// (Re)starts at sample `offset` of an epoch's order.
  virtual void start(std::int64_t epoch, std::int64_t offset) = 0;
  /// Decides about the next batch; valid until the next call.
  virtual const FedBatch& next() = 0;
  /// Queues the kernels that make the pictures and labels of `plan` from the executor's scalars;
  /// empty function: the batch is uploaded from FedBatch::host.
  virtual std::function<void()> maker(PlanId plan) = 0;
};

/// Batches of the host's Loader.
std::unique_ptr<BatchFeeder> make_host_feeder(const Dataset& data, const LoaderOptions& options);

/// Pictures and labels of a whole data set in a backend's memory, as bytes.
class ResidentData {
 public:
  /// A data set that takes less than half of what is free; null for a larger one.
  static std::unique_ptr<ResidentData> if_small(const Dataset& data, Backend& backend);
  /// Throws DeviceError when there is no room.
  ResidentData(const Dataset& data, Backend& backend);
  std::byte* pictures() const { return pictures_->data(); }
  std::byte* labels() const { return labels_->data(); }
  std::byte* order() const { return order_->data(); }
  static std::size_t bytes(const Dataset& data);

 private:
  MemoryPtr pictures_, labels_, order_;
};

/// The recipe of a loader's batches when a device can make them: classification pictures in memory
/// that have the network's size, and transforms that only move pixels.
std::optional<BatchRecipe> batch_recipe(const Dataset& data, const LoaderOptions& options);

/// Batches that the device makes by `recipe`, which is batch_recipe(data, options), or that with
/// transforms of its own. `resident` and `executor` outlive it.
std::unique_ptr<BatchFeeder> make_resident_feeder(const ResidentData& resident, const Dataset& data,
                                                  const LoaderOptions& options,
                                                  const BatchRecipe& recipe, Executor& executor);

}  // namespace daybreak
