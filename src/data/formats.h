#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "config/specs.h"
#include "data/dataset.h"

// One reader a format. The byte-level readers take a span, so they can be fuzzed without files.

namespace daybreak {

// ---- IDX (MNIST's format) -----------------------------------------------------------------------

struct IdxArray {
  std::vector<std::uint32_t> dims;  ///< {count} or {count, height, width}
  std::vector<std::uint8_t> data;
};
/// Reads an IDX file of unsigned bytes with 1 or 3 dimensions, plain or gzip. Strict: the size must
/// be the header plus the product of the dimensions, a gzip's checksum must match.
IdxArray read_idx(std::span<const std::uint8_t> bytes, const std::string& path);

// ---- CIFAR binary -------------------------------------------------------------------------------

struct CifarRecords {
  std::vector<std::uint8_t> pixels;  ///< [n, 32, 32, 3], interleaved
  std::vector<std::int32_t> labels;
};
/// Appends the records of one file. `label_bytes`: 1 (CIFAR-10) or 2 (CIFAR-100: coarse, fine);
/// `label_at` selects one of them.
void read_cifar(std::span<const std::uint8_t> bytes, const std::string& path, int label_bytes,
                int label_at, int classes, CifarRecords& records);

// ---- whole sources ------------------------------------------------------------------------------

/// What a source gives: stores, not yet limited or split. A part that does not exist is empty.
struct SourceParts {
  std::shared_ptr<PictureStore> train, val, test;
};

struct SourceRequest {
  const DataSpec& spec;
  const SourceSpec& source;
  const InputSpec& input;
  const OpenOptions& options;
  std::string dir;  ///< expanded
  std::vector<BadInput>* bad_inputs = nullptr;
};

SourceParts open_idx(const SourceRequest& request);
SourceParts open_cifar(const SourceRequest& request);
SourceParts open_folder(const SourceRequest& request);
SourceParts open_synthetic(const SourceRequest& request);

/// Positions of the first `limit` samples of a class-balanced order (the first of each class, then
/// the second of each, ...), ascending; all when limit is 0 or too large.
std::vector<std::uint32_t> balanced_limit(const std::vector<std::int32_t>& labels, int classes,
                                          std::int64_t limit);

/// Turns every picture of a store in memory from `channels` to `want` channels.
void convert_store(PictureStore& store, int want);

}  // namespace daybreak
