#pragma once

#include <cstdint>

namespace daybreak {

/// Whether kernels are measured: `on` measures what the cache does not know, `cached` takes the
/// static guess there, `off` always takes it.
enum class TuneMode : std::uint8_t { on, cached, off };

/// Which algorithms convolutions may use. `direct` leaves Winograd out, `winograd` takes it
/// wherever there is a kernel.
enum class ConvChoice : std::uint8_t { automatic, direct, winograd };

}  // namespace daybreak
