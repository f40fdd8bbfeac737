#pragma once

namespace daybreak {

/// The project's version, "0.1.0".
inline constexpr const char* kVersion = DAYBREAK_VERSION;

}  // namespace daybreak
