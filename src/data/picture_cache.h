#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "config/specs.h"
#include "data/dataset.h"

namespace daybreak {

/// Checks the files of folder parts and keeps their pictures decoded in memory when they fit. One
/// object serves all parts of a set, so that they share the memory budget and the progress bar.
class PictureCache {
 public:
  PictureCache(const DataSpec& spec, const InputSpec& input, const OpenOptions& options,
               std::int64_t total_files);

  /// Fills `store` (whose files, labels, root and dirs are set): decodes into memory, or leaves the
  /// files to be decoded on demand. Pictures that cannot be used are an error, or are removed from
  /// the store and added to `bad_inputs` (on_error: skip).
  void load(PictureStore& store, std::vector<BadInput>& bad_inputs);

 private:
  struct Sizes {
    std::vector<std::int32_t> widths, heights;
    std::vector<std::string> errors;  ///< per file; empty: good so far
  };
  enum class Keep : std::uint8_t { as_stored, fitted, nothing };

  Sizes probe(const PictureStore& store) const;
  Keep choose(const PictureStore& store, const Sizes& sizes) const;
  void decode(PictureStore& store, Sizes& sizes, Keep keep);
  void drop_bad(PictureStore& store, const Sizes& sizes, std::vector<BadInput>& bad_inputs) const;
  void report(std::int64_t done) const;

  const DataSpec& spec_;
  const InputSpec& input_;
  const OpenOptions& options_;
  std::int64_t total_files_;
  std::int64_t done_files_ = 0;
  std::uint64_t bytes_left_;  // of the budget
};

}  // namespace daybreak
