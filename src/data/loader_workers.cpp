#include <spdlog/spdlog.h>

#include <chrono>

#include "data/loader.h"

// The threaded half of Loader. Batches are numbered from start(); number k lives in slot k mod
// size. A batch's contents are decided by whichever worker opens it, under the lock; its chunks are
// then made by any workers in any order. Waits: workers on work_, the caller on done_ (a batch is
// ready) and idle_ (no worker is inside a task).

namespace daybreak {
namespace {

constexpr auto kWatchdog = std::chrono::seconds(60);

}  // namespace

// Called with the lock held; false when there is nothing to do now.
bool Loader::take_task(Task& task) {
  if (cancelled_) return false;
  if (prepared_ == 0 || next_chunk_ >= chunk_count()) {
    const auto slots = static_cast<std::int64_t>(slots_.size());
    const std::int64_t in_use = prepared_ - consumed_ + (holding_ ? 1 : 0);
    if (ended_ || in_use >= slots) return false;
    if (!prepare(slots_[static_cast<std::size_t>(prepared_ % slots)])) {
      ended_ = true;
      done_.notify_all();
      return false;
    }
    ++prepared_;
    next_chunk_ = 0;
  }
  const auto slots = static_cast<std::int64_t>(slots_.size());
  task = {&slots_[static_cast<std::size_t>((prepared_ - 1) % slots)], next_chunk_++};
  ++busy_;
  return true;
}

// Called with the lock held.
void Loader::finish_task(const Task& task, std::exception_ptr error) {
  --busy_;
  Slot& slot = *task.slot;
  if (error && (!slot.error || task.chunk < slot.error_chunk)) {
    slot.error = std::move(error);
    slot.error_chunk = task.chunk;
  }
  if (--slot.chunks_left == 0) done_.notify_all();
  if (busy_ == 0) idle_.notify_all();
}

void Loader::work() {
  std::unique_lock lock(mutex_);
  Scratch& scratch = scratch_[static_cast<std::size_t>(next_worker_++)];
  while (!stopping_) {
    Task task;
    if (!take_task(task)) {
      work_.wait(lock);
      continue;
    }
    if (next_chunk_ == 1) work_.notify_all();  // a new batch: the others can help
    lock.unlock();
    std::exception_ptr error;
    try {
      make_chunk(*task.slot, task.chunk, scratch);
    } catch (...) {
      error = std::current_exception();
    }
    lock.lock();
    finish_task(task, std::move(error));
  }
}

const Batch& Loader::next_from_workers() {
  std::unique_lock lock(mutex_);
  if (holding_) {
    holding_ = false;
    work_.notify_all();
  }
  const auto slots = static_cast<std::int64_t>(slots_.size());
  Slot& slot = slots_[static_cast<std::size_t>(consumed_ % slots)];
  const auto ready = [&] { return prepared_ > consumed_ ? slot.chunks_left == 0 : ended_; };
  while (!done_.wait_for(lock, kWatchdog, ready)) {
    spdlog::warn(
        "loader: no batch for 60 s (batch {} prepared, {} of its chunks missing, {} of {} "
        "workers busy); a slow or hanging disk?",
        prepared_, slot.chunks_left, busy_, threads_.size());
  }
  if (prepared_ == consumed_) {
    end_.epoch = epoch_;
    end_.offset = offset_;
    return end_;
  }
  ++consumed_;
  holding_ = true;
  if (slot.error) {
    ended_ = true;  // nothing after the error is made; start() begins anew
    const std::exception_ptr error = slot.error;
    consumed_ = prepared_;
    lock.unlock();
    std::rethrow_exception(error);
  }
  return slot.batch;
}

}  // namespace daybreak
