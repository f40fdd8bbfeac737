#pragma once

#include <algorithm>
#include <cstdint>

#include "core/shape.h"

namespace daybreak {

/// How own kernels walk plain, NHWC and blocked tensors alike: every sample is a number of planes
/// of `lanes` neighbouring channels; pixel q of a plane starts at q * pixel_stride and holds that
/// many floats. Plain: one lane. NHWC: strips of channels, the last one shorter. Blocked: the
/// blocks; lanes beyond the last channel are in memory and hold zeros.
struct Planes {
  std::int64_t samples = 0, pixels = 0;
  int channels = 0, height = 1, width = 1;
  int lanes = 1;
  int per_sample = 0;  ///< planes of a sample
  std::int64_t sample_stride = 0, plane_stride = 0, pixel_stride = 1;
  bool padded = false;  ///< blocked: all lanes of the last plane are in memory

  std::int64_t count() const { return samples * per_sample; }
  std::int64_t offset(std::int64_t sample, int plane) const {
    return sample * sample_stride + plane * plane_stride;
  }
  /// Of plane `index` counted over all samples.
  std::int64_t offset(std::int64_t index) const {
    return offset(index / per_sample, static_cast<int>(index % per_sample));
  }
  /// Lanes of a plane in memory.
  int lanes_at(int plane) const {
    return padded ? lanes : std::min(lanes, channels - plane * lanes);
  }
  /// Lanes that are channels.
  int channels_at(int plane) const { return std::min(lanes, channels - plane * lanes); }
  /// Floats of all lanes of one pixel of a sample.
  std::int64_t lanes_in_memory() const {
    return padded ? std::int64_t{per_sample} * lanes : channels;
  }
};

/// `nhwc_lanes`: width of the strips NHWC is cut into.
inline Planes make_planes(const Shape& shape, Layout layout, int block, int nhwc_lanes = 16) {
  Planes p;
  p.samples = shape.n;
  p.channels = shape.c;
  p.height = shape.h;
  p.width = shape.w;
  p.pixels = std::int64_t{shape.h} * shape.w;
  if (layout == kNchw && p.pixels > 1) {
    p.per_sample = shape.c;
    p.plane_stride = p.pixels;
    p.sample_stride = p.pixels * shape.c;
    return p;
  }
  if (layout == kNchw || layout == kNhwc) {  // the same bytes when there is one pixel
    p.lanes = nhwc_lanes;
    p.per_sample = (shape.c + nhwc_lanes - 1) / nhwc_lanes;
    p.plane_stride = nhwc_lanes;
    p.pixel_stride = shape.c;
    p.sample_stride = p.pixels * shape.c;
    return p;
  }
  p.lanes = block;
  p.padded = true;
  p.per_sample = (shape.c + block - 1) / block;
  p.pixel_stride = block;
  p.plane_stride = p.pixels * block;
  p.sample_stride = p.per_sample * p.plane_stride;
  return p;
}

struct PlanePair {
  Planes in, out;
};

/// Planes of two tensors of the same samples and channels, cut alike.
inline PlanePair make_plane_pair(const Shape& in, const Shape& out, Layout layout, int block) {
  PlanePair pair{make_planes(in, layout, block), make_planes(out, layout, block)};
  if (pair.in.lanes != pair.out.lanes) {  // a plain tensor of one pixel was taken for NHWC
    pair = {make_planes(in, layout, block, 1), make_planes(out, layout, block, 1)};
  }
  return pair;
}

}  // namespace daybreak
