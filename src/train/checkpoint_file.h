#pragma once

#include <cstdint>
#include <future>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace daybreak {

/// A tensor in file order with its values as f32.
struct NamedTensor {
  std::string name;
  std::vector<std::int64_t> dims;
  std::vector<float> values;
};

/// Name and shape of a tensor that is expected.
struct TensorSignature {
  std::string name;
  std::vector<std::int64_t> dims;
};

struct CheckpointData {
  std::vector<NamedTensor> tensors;
  std::map<std::string, std::string> meta;  ///< the keys "digest" and "is_best" are the store's
  std::string path;                         ///< where it was read from
};

/// All tensors of a safetensors file as f32, in the file's order. Throws DataError, also when the
/// file has a digest that does not match.
std::vector<NamedTensor> read_tensors(const std::string& path);
/// A checkpoint with its metadata; the digest must be there and match. Throws DataError.
CheckpointData read_checkpoint(const std::string& path);
/// Writes a safetensors file atomically, with a digest, and reads it back. Throws DeviceError.
void save_tensors(const std::string& path, const std::vector<NamedTensor>& tensors,
                  const std::map<std::string, std::string>& meta);
/// Bytes that save_tensors() would write.
std::uint64_t saved_bytes(const std::vector<NamedTensor>& tensors,
                          const std::map<std::string, std::string>& meta);

/// How the tensors of a file fit those a network expects.
struct TensorComparison {
  std::size_t matched = 0, missing = 0, unexpected = 0, reshaped = 0;
  std::vector<std::string> lines;  ///< one a misfit, the first ones with the nearest name

  bool fits() const { return missing + unexpected + reshaped == 0; }
};
TensorComparison compare_tensors(const std::vector<TensorSignature>& expected,
                                 const std::vector<NamedTensor>& found);

/// Throws DataError listing the tensors that are missing, unexpected or of another shape, unless
/// all fit.
void check_tensors(const std::string& path, const std::vector<TensorSignature>& expected,
                   const std::vector<NamedTensor>& found);

/// The checkpoints of a run folder: ckpt-STEP.safetensors (the newest `keep`), last.safetensors (a
/// link to the newest), best.safetensors (a second name of the best, so it outlives `keep`). Every
/// file appears as a whole or not at all, and nothing older is touched before the new one is
/// durable. Files are written by a thread of their own, one save at a time; what it has to say is
/// said, or thrown, on the caller's thread by the next call. The caller holds the folder's lock.
class CheckpointStore {
 public:
  /// This many failed saves in a row end the training.
  static constexpr int kMaxFailedSaves = 3;

  CheckpointStore(std::string run_dir, int keep);
  /// Waits for the save under way; a failure is only logged.
  ~CheckpointStore();
  CheckpointStore(const CheckpointStore&) = delete;
  CheckpointStore& operator=(const CheckpointStore&) = delete;

  /// Begins to write a checkpoint, after waiting for the one before. A failure (full disk) becomes
  /// a warning and training goes on with the older ones; the third in a row is a DeviceError.
  /// Values that are not finite are refused with a DivergenceError: no good file is replaced.
  void save(std::int64_t step, CheckpointData data, bool best);
  /// Says what a finished save had to say, without waiting. Cheap: may be called every step.
  void poll();
  /// Waits until everything is written. Throws DeviceError when the newest save failed.
  void finish();

  /// The newest undamaged checkpoint; damaged ones are named in a warning and passed over. Also
  /// mends best and last when a crash came between a checkpoint and its links. Throws DataError
  /// when there is none.
  CheckpointData load_newest();

  /// Throws DeviceError unless the disk has room for keep + 1 files of `bytes`, counting those that
  /// are there already. To be called before the first step.
  void check_space(std::uint64_t bytes) const;

 private:
  using Listing = std::vector<std::pair<std::int64_t, std::string>>;  // step, path; newest first

  Listing list() const;
  std::vector<std::string> write(std::int64_t step, const CheckpointData& data, bool best) const;
  void link_last(const std::string& name, const CheckpointData& data) const;
  void link_best(const std::string& path, const CheckpointData& data) const;
  void mend_links(const std::string& path, const CheckpointData& data) const;
  void collect();

  std::string run_dir_;
  int keep_;
  int failures_ = 0;             // in a row
  std::string failure_;          // the newest of them
  std::int64_t safe_step_ = -1;  // of the newest good checkpoint, when known
  std::int64_t pending_step_ = -1;
  std::future<std::vector<std::string>> pending_;  // warnings of the save under way
};

}  // namespace daybreak
