#pragma once

#include "ops/op.h"

namespace daybreak {

/// Which of the input's numbers an output takes.
enum class ReorgOrder : std::uint8_t {
  depth,    ///< out[k, y, x] = in[k mod C, y s + o div s, x s + o mod s] with o = k div C
  darknet,  ///< YOLOv2's, which reads the input as C / s^2 x H s x W s: see source_index()
};

/// Moves s x s neighbours into channels: C x H x W becomes C s^2 x H/s x W/s. A permutation.
struct Reorg final : Op {
  int stride = 2;
  ReorgOrder order = ReorgOrder::depth;

  OpKind kind() const override { return OpKind::reorg; }
  std::string describe() const override;
  Shape infer(std::span<const Shape> inputs) const override;
  Reads backward_reads() const override { return {}; }
  std::int64_t flops(std::span<const Shape>) const override { return 0; }
};

/// Position in a plain sample of the input that output position `out` of the plain sample takes.
/// darknet, with the output written as if it were [C, H, W]: for k < C, j < H, i < W and C' =
/// C/s^2, out[i + W (j + H k)] = in[w2 + W s (h2 + H s c2)], c2 = k mod C', o = k div C', w2 = i s
/// + o mod s, h2 = j s + o div s.
constexpr std::int64_t source_index(ReorgOrder order, int stride, int c, int h, int w,
                                    std::int64_t out) {
  const std::int64_t s = stride;
  if (order == ReorgOrder::depth) {
    const std::int64_t ow = w / s, oh = h / s;
    const std::int64_t x = out % ow, y = out / ow % oh, k = out / (ow * oh);
    const std::int64_t o = k / c;
    return (k % c * h + y * s + o / s) * w + x * s + o % s;
  }
  const std::int64_t i = out % w, j = out / w % h, k = out / (std::int64_t{w} * h);
  const std::int64_t parts = c / (s * s);
  const std::int64_t o = k / parts;
  return i * s + o % s + w * s * (j * s + o / s + h * s * (k % parts));
}

}  // namespace daybreak
