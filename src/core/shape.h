#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <string>

namespace daybreak {

/// Logical shape of a tensor, always in the order [N, C, H, W], whatever the memory layout is.
/// A linear layer's output is {n, c, 1, 1}; a convolution weight is {oc, ic / groups, kh, kw};
/// a vector over channels is {1, c, 1, 1}.
struct Shape {
  int n = 0;
  int c = 0;
  int h = 1;
  int w = 1;

  auto operator<=>(const Shape&) const = default;
  constexpr std::int64_t count() const { return static_cast<std::int64_t>(n) * c * h * w; }
  constexpr std::int64_t per_sample() const { return static_cast<std::int64_t>(c) * h * w; }
  constexpr int spatial() const { return h * w; }
};

/// "128 x 16 x 16": channels, height, width, the form of messages (the batch is not shown).
std::string to_string(const Shape& shape);

/// f64 exists on the reference backend only, f16 on CUDA only.
enum class DType : std::uint8_t { u8, i32, f32, bf16, f16, f64 };

constexpr std::size_t element_size(DType type) {
  switch (type) {
    case DType::u8: return 1;
    case DType::bf16:
    case DType::f16: return 2;
    case DType::i32:
    case DType::f32: return 4;
    case DType::f64: return 8;
  }
  return 0;
}

const char* to_string(DType type);

/// How a tensor lies in memory. Ids above `kNhwc` belong to the backend that made them.
struct Layout {
  std::uint16_t id = 0;
  auto operator<=>(const Layout&) const = default;
};
constexpr Layout kNchw{0};  ///< plain, C order; weights: OIHW
constexpr Layout kNhwc{1};

/// Everything needed to interpret a pointer. `bytes` includes padding the layout adds.
struct TensorDesc {
  Shape shape;
  DType dtype = DType::f32;
  Layout layout = kNchw;
  std::size_t bytes = 0;

  auto operator<=>(const TensorDesc&) const = default;
};

/// A plain (NCHW) tensor of `shape` without padding.
constexpr TensorDesc plain_desc(const Shape& shape, DType dtype) {
  return {shape, dtype, kNchw, static_cast<std::size_t>(shape.count()) * element_size(dtype)};
}

}  // namespace daybreak
