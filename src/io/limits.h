#pragma once

#include <cstddef>
#include <cstdint>

// Every limit of this folder's readers, each with a test.

namespace daybreak {

constexpr std::uint64_t kMaxSafetensorsHeaderBytes = 100'000'000;
constexpr std::size_t kMaxSafetensorsTensors = 100'000;
constexpr std::size_t kMaxSafetensorsRank = 8;
constexpr std::size_t kMaxSafetensorsNameBytes = 1024;

}  // namespace daybreak
