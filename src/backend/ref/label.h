#pragma once

#include <cstdint>
#include <string>

#include "core/error.h"

namespace daybreak {

/// The label of sample n; throws DataError when there is no such class.
inline int checked_label(std::int32_t label, int n, int classes) {
  if (label < 0 || label >= classes) {
    throw DataError("label " + std::to_string(label) + " of sample " + std::to_string(n) +
                    " of the batch is outside 0.." + std::to_string(classes - 1));
  }
  return label;
}

}  // namespace daybreak
