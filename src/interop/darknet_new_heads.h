#pragma once

#include "interop/darknet_import.h"

namespace daybreak {

/// Prepares an imported detector for other classes: the convolution in front of every head goes
/// with its weights, the head makes a new one for as many classes as the data has. Throws
/// ConfigError at a head whose convolution is not a plain 1x1 one, or is read by another layer too.
void renew_heads(DarknetImport& import);

}  // namespace daybreak
