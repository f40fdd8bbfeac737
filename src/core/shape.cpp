#include "core/shape.h"

#include <fmt/format.h>

namespace daybreak {

std::string to_string(const Shape& shape) {
  return fmt::format("{} x {} x {}", shape.c, shape.h, shape.w);
}

const char* to_string(DType type) {
  switch (type) {
    case DType::u8: return "u8";
    case DType::i32: return "i32";
    case DType::f32: return "f32";
    case DType::bf16: return "bf16";
    case DType::f16: return "f16";
    case DType::f64: return "f64";
  }
  return "?";
}

}  // namespace daybreak
