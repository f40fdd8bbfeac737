#pragma once

#include <array>
#include <cstddef>
#include <deque>
#include <mutex>
#include <string>
#include <vector>

#include <oneapi/dnnl/dnnl.hpp>

#include "backend/cpu/context.h"
#include "core/shape.h"

namespace daybreak {

/// A memory order free of extents: the axes from outermost to innermost, then the blocks that are
/// split off them. Grouped weights have the axes {g, o / g, i, h, w}, everything else {n, c, h, w}
/// (weights: {o, i, h, w}).
struct LayoutFormat {
  struct Block {
    int axis = 0;
    int size = 1;
    bool operator==(const Block&) const = default;
  };
  int groups = 0;             ///< 0: four axes
  std::vector<int> order;     ///< axes, outermost first
  std::vector<Block> blocks;  ///< outermost first
  dnnl::memory::desc opaque;  ///< a format only oneDNN knows (Winograd weights), of one shape

  bool is_opaque() const { return order.empty(); }
};

/// The layouts of the CPU backend: id 0 plain, 1 NHWC, 2 blocked channels (nChw16c, or nChw8c
/// without AVX-512), others as oneDNN asks for them, in order of appearance. Thread-safe.
class LayoutRegistry {
 public:
  explicit LayoutRegistry(int block);

  /// The layout of a descriptor chosen by oneDNN; `shape` is the tensor's logical shape, the
  /// descriptor has four axes, or five for grouped weights.
  Layout find(const dnnl::memory::desc& desc, const Shape& shape);
  /// A descriptor of four axes, or five when `groups` > 1.
  dnnl::memory::desc memory_desc(const Shape& shape, DType dtype, Layout layout,
                                 int groups = 1) const;
  std::size_t bytes(const Shape& shape, DType dtype, Layout layout) const;
  std::string name(Layout layout) const;
  bool same_bytes(const Shape& shape, Layout a, Layout b) const;
  bool is_opaque(Layout layout) const { return format(layout).is_opaque(); }
  /// Groups of a layout of grouped weights, else 1.
  int groups(Layout layout) const;
  int block() const { return block_; }

 private:
  const LayoutFormat& format(Layout layout) const;

  int block_;
  mutable std::mutex mutex_;
  std::deque<LayoutFormat> formats_;  // by id; never removed, so references stay valid
};

dnnl::memory::data_type dnnl_type(DType dtype);

}  // namespace daybreak
