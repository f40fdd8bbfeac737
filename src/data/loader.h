#pragma once

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "config/specs.h"
#include "data/augmenter.h"
#include "data/dataset.h"

namespace daybreak {

/// A batch ready for the network. All buffers have room for the full batch; when the data ends
/// before, the rest repeats the last sample and does not count.
struct Batch {
  std::vector<std::uint8_t> images;   ///< [batch, height, width, channels], RGB
  int height = 0, width = 0;          ///< of these pictures; changes with LoaderOptions::sizes
  std::vector<std::int32_t> labels;   ///< [batch]
  std::vector<std::int64_t> indices;  ///< [batch] positions in the Dataset
  /// Detection sets: rows (category, centre x, centre y, width, height) [batch, max_boxes, 5], as
  /// fractions of the network's picture, after augmentation and without crowds. Rows without a box
  /// are (-1, 0, 0, 0, 0) and stand behind the others.
  std::vector<float> boxes;
  int max_boxes = 0;
  int count = 0;  ///< valid samples; 0: the epoch is over (and repeat is off)
  std::int64_t epoch = 0;
  std::int64_t offset = 0;  ///< of its first sample in the epoch's order
};

struct LoaderOptions {
  int batch = 128;
  int height = 32, width = 32;
  std::vector<int> sizes;    ///< sides of square pictures; where given, every batch draws one
  int size_every = 1;        ///< batches in a row that share a size
  int max_boxes = 0;         ///< rows of boxes a sample; 0: box_capacity of the data
  double min_visible = 0.2;  ///< share of its area below which a cut box is dropped
  std::vector<TransformSpec> transforms;
  FitRule fit;
  std::vector<std::uint8_t> mean_colour;  ///< for cutout: a byte per channel; empty: 127
  std::uint64_t seed = 1;
  int workers = -1;  ///< threads; 0: in next(), by the compute team; -1: 0 for pictures in memory
                     ///< with cheap transforms, else half of the cores
  bool shuffle = true;
  LastBatch last_batch = LastBatch::drop;
  bool repeat = false;  ///< go on with the next epoch by itself
  int prefetch = 3;     ///< batches made ahead by workers
};

/// Rows of boxes that a sample of this part needs at most after these transforms, a multiple of 8;
/// 0 for classification sets. All parts and phases of a training must share the largest, because
/// the network's graph has this shape.
int box_capacity(const Dataset& data, const std::vector<TransformSpec>& transforms);

/// Makes batches in order, by worker threads ahead of time or inline. What comes out depends on the
/// data, the options other than workers and prefetch, and the epoch only. One thread uses a Loader.
class Loader {
 public:
  /// Copies the Dataset (its pictures are shared). Throws ConfigError when the options cannot work:
  /// no data, less than one batch, a transform that does not fit the size.
  Loader(const Dataset& data, LoaderOptions options);
  ~Loader();
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  /// (Re)starts at sample `offset` of an epoch's order. May be called at any time, also after an
  /// error.
  void start(std::int64_t epoch, std::int64_t offset = 0);
  /// The next batch, valid until the next call of next() or start(). What a worker threw is thrown
  /// here, at the batch it belongs to.
  const Batch& next();

  /// Batches from sample `offset` to the end of an epoch.
  std::int64_t batches_per_epoch(std::int64_t offset = 0) const;
  int workers() const { return static_cast<int>(threads_.size()); }
  const LoaderOptions& options() const { return options_; }
  const Dataset& data() const { return data_; }

 private:
  struct Scratch {
    ReadScratch read;
    AugmentScratch augment;
    std::vector<LabelBox> boxes;
  };
  struct Slot {
    Batch batch;
    int chunks_left = 0;       // not yet made
    std::exception_ptr error;  // of the lowest chunk that failed
    int error_chunk = 0;
    std::size_t augmenter = 0;  // of this batch's size
  };
  struct Task {
    Slot* slot = nullptr;
    int chunk = 0;
  };

  int chunk_count() const;
  std::size_t draw_size(std::int64_t epoch, std::int64_t offset) const;
  bool prepare(Slot& slot);  // what the slot will hold; false at the end of the data
  void make_chunk(Slot& slot, int chunk, Scratch& scratch);
  bool take_task(Task& task);
  void finish_task(const Task& task, std::exception_ptr error);
  void work();
  void stop_workers();
  void wait_idle(std::unique_lock<std::mutex>& lock);
  const Batch& next_inline();
  const Batch& next_from_workers();

  Dataset data_;
  LoaderOptions options_;
  std::vector<Augmenter> augmenters_;  // one a size
  int chunk_ = 32;                     // samples made by one thread at a time

  // Where the next batch to be prepared starts. With workers: guarded by mutex_, as all below.
  std::vector<std::uint32_t> order_;
  std::int64_t order_epoch_ = -1;
  std::int64_t epoch_ = 0, offset_ = 0;

  std::vector<Slot> slots_;       // batch number k lives in slot k mod size
  std::vector<Scratch> scratch_;  // inline: one a chunk; else one a worker
  Batch end_;                     // what next() shows after the last batch
  std::mutex mutex_;
  std::condition_variable work_, done_, idle_;
  std::int64_t prepared_ = 0;  // batches whose contents are decided
  std::int64_t consumed_ = 0;  // batches handed out by next()
  bool holding_ = false;       // the caller still looks at batch consumed_ - 1
  int next_chunk_ = 0;         // of batch prepared_ - 1
  bool ended_ = true;          // nothing more to prepare
  bool stopping_ = false;
  bool cancelled_ = false;
  int busy_ = 0;         // workers inside a task
  int next_worker_ = 0;  // number of the next worker to begin
  std::vector<std::thread> threads_;
};

}  // namespace daybreak
