#pragma once

#include <cstdint>

#include "support/fake_gpu/emulate.h"

namespace daybreak::emulate {

enum class Number { f32, f16, bf16 };

inline double load(Number type, const void* base, std::int64_t at) {
  switch (type) {
    case Number::f16:
      return __half2float(static_cast<const __half*>(base)[at]);
    case Number::bf16:
      return __bfloat162float(static_cast<const __nv_bfloat16*>(base)[at]);
    case Number::f32:
      break;
  }
  return static_cast<const float*>(base)[at];
}

/// Sums are rounded to f32 first, as those of tensor cores.
inline void store(Number type, void* base, std::int64_t at, double value) {
  const auto rounded = static_cast<float>(value);
  switch (type) {
    case Number::f16:
      static_cast<__half*>(base)[at] = __float2half_rn(rounded);
      return;
    case Number::bf16:
      static_cast<__nv_bfloat16*>(base)[at] = __float2bfloat16_rn(rounded);
      return;
    case Number::f32:
      static_cast<float*>(base)[at] = rounded;
  }
}

}  // namespace daybreak::emulate
