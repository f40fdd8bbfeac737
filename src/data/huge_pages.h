#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace daybreak {

/// bytes.resize(size) into memory of large pages, where the system has them: nearly every picture
/// of a shuffled order would otherwise miss the processor's table of pages.
void grow_in_huge_pages(std::vector<std::uint8_t>& bytes, std::size_t size);

}  // namespace daybreak
