#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "ops/update.h"

namespace daybreak::cuda {

constexpr std::int64_t kChunk = 8192;

/// Work of one block of an optimizer: elements offset .. offset + count of a group.
struct Chunk {
  std::int64_t offset;
  std::int32_t count;
  float lr_scale;
  float weight_decay;
};

/// The groups in order, cut into chunks; frozen ones are left out.
inline std::vector<Chunk> cut_chunks(std::span<const UpdateGroup> groups) {
  std::vector<Chunk> chunks;
  for (const UpdateGroup& group : groups) {
    if (group.frozen) continue;
    const auto count = static_cast<std::int64_t>(group.count);
    for (std::int64_t begin = 0; begin < count; begin += kChunk) {
      chunks.push_back({static_cast<std::int64_t>(group.offset) + begin,
                        static_cast<std::int32_t>(std::min(kChunk, count - begin)), group.lr_scale,
                        group.weight_decay});
    }
  }
  return chunks;
}

}  // namespace daybreak::cuda
