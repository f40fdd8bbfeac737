#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace daybreak {

/// CRC-32C (Castagnoli, reflected polynomial 0x82F63B78), as iSCSI and TensorBoard records use it.
std::uint32_t crc32c(std::span<const std::byte> bytes);

/// The masked form that stands in TensorBoard's record frames, so that a CRC over data which
/// contains CRCs stays useful: rotated right by 15 bits plus 0xa282ead8.
std::uint32_t masked_crc32c(std::span<const std::byte> bytes);

}  // namespace daybreak
