#include "backend/cpu/layouts.h"

#include <algorithm>
#include <cctype>
#include <numeric>
#include <utility>

#include "core/error.h"

namespace daybreak {
namespace {

// One loop of a traversal in memory order.
struct Loop {
  int axis;
  std::int64_t extent;
  bool operator==(const Loop&) const = default;
};

std::vector<std::int64_t> axes(const Shape& shape, int groups) {
  if (groups == 0) return {shape.n, shape.c, shape.h, shape.w};
  return {groups, shape.n / groups, shape.c, shape.h, shape.w};
}

std::int64_t block_of(const LayoutFormat& format, int axis) {
  std::int64_t size = 1;
  for (const LayoutFormat::Block& block : format.blocks) {
    if (block.axis == axis) size *= block.size;
  }
  return size;
}

std::int64_t blocks_along(const LayoutFormat& format, int axis, std::int64_t extent) {
  const std::int64_t block = block_of(format, axis);
  return (extent + block - 1) / block;
}

// The order of a tensor's elements in memory: loops of one turn dropped, neighbours along one axis
// joined. Two formats place the elements of a shape alike exactly when these lists agree.
std::vector<Loop> loops(const LayoutFormat& format, const Shape& shape) {
  const std::vector<std::int64_t> extents = axes(shape, format.groups);
  std::vector<Loop> result;
  const auto add = [&](int axis, std::int64_t extent) {
    if (extent == 1) return;
    if (!result.empty() && result.back().axis == axis) {
      result.back().extent *= extent;
    } else {
      result.push_back({axis, extent});
    }
  };
  for (int axis : format.order) add(axis, blocks_along(format, axis, extents[axis]));
  for (const LayoutFormat::Block& block : format.blocks) add(block.axis, block.size);
  return result;
}

LayoutFormat plain_format(int groups) {
  LayoutFormat format;
  format.groups = groups;
  format.order.resize(groups > 0 ? 5 : 4);
  std::iota(format.order.begin(), format.order.end(), 0);
  return format;
}

bool is_plain(const LayoutFormat& format) {
  return format.blocks.empty() && std::is_sorted(format.order.begin(), format.order.end()) &&
         !format.is_opaque();
}

bool same_order(const LayoutFormat& a, const LayoutFormat& b, const Shape& shape) {
  if (a.is_opaque() || b.is_opaque()) {
    return a.is_opaque() && b.is_opaque() && a.opaque == b.opaque;
  }
  if (a.groups == b.groups) return loops(a, shape) == loops(b, shape);
  // Plain weights read the same with and without the axis of groups.
  if (is_plain(a)) return loops(plain_format(b.groups), shape) == loops(b, shape);
  if (is_plain(b)) return loops(a, shape) == loops(plain_format(a.groups), shape);
  return false;
}

LayoutFormat format_of(const dnnl::memory::desc& desc) {
  const dnnl_memory_desc_t& md = desc.data;
  LayoutFormat format;
  if (md.format_kind != dnnl_blocked) {
    format.opaque = desc;
    return format;
  }
  format.groups = md.ndims == 5 ? static_cast<int>(md.dims[0]) : 0;
  const dnnl_blocking_desc_t& blocking = md.format_desc.blocking;
  format.order.resize(md.ndims);
  std::iota(format.order.begin(), format.order.end(), 0);
  std::stable_sort(format.order.begin(), format.order.end(),
                   [&](int a, int b) { return blocking.strides[a] > blocking.strides[b]; });
  for (int i = 0; i < blocking.inner_nblks; ++i) {
    format.blocks.push_back(
        {static_cast<int>(blocking.inner_idxs[i]), static_cast<int>(blocking.inner_blks[i])});
  }
  return format;
}

bool equal(const LayoutFormat& a, const LayoutFormat& b) {
  if (a.is_opaque() || b.is_opaque()) {
    return a.is_opaque() && b.is_opaque() && a.opaque == b.opaque;
  }
  return a.groups == b.groups && a.order == b.order && a.blocks == b.blocks;
}

std::string opaque_name(const dnnl::memory::desc& desc) {
  const dnnl_memory_desc_t& md = desc.data;
  std::string name = md.format_kind == dnnl_format_kind_wino ? "winograd" : "opaque";
  const auto append = [&](const char* separator, std::int64_t value) {
    name += separator;
    name += std::to_string(value);
  };
  for (int i = 0; i < md.ndims; ++i) append(i == 0 ? ":" : "x", md.dims[i]);
  if (md.format_kind == dnnl_format_kind_wino) {
    const dnnl_wino_desc_t& wino = md.format_desc.wino_desc;
    append(":o", wino.oc_block);
    append(".", wino.oc2_block);
    append("i", wino.ic_block);
    append(".", wino.ic2_block);
  }
  return name;
}

}  // namespace

dnnl::memory::data_type dnnl_type(DType dtype) {
  switch (dtype) {
    case DType::u8:
      return dnnl::memory::data_type::u8;
    case DType::i32:
      return dnnl::memory::data_type::s32;
    case DType::f32:
      return dnnl::memory::data_type::f32;
    case DType::bf16:
      return dnnl::memory::data_type::bf16;
    case DType::f16:
    case DType::f64:
      break;
  }
  return dnnl::memory::data_type::undef;
}

LayoutRegistry::LayoutRegistry(int block) : block_(block) {
  formats_.push_back(plain_format(0));
  LayoutFormat nhwc;
  nhwc.order = {0, 2, 3, 1};
  formats_.push_back(nhwc);
  LayoutFormat blocked = plain_format(0);
  blocked.blocks = {{1, block}};
  formats_.push_back(blocked);
}

const LayoutFormat& LayoutRegistry::format(Layout layout) const {
  const std::lock_guard lock(mutex_);
  DAYBREAK_ASSERT(layout.id < formats_.size());
  return formats_[layout.id];
}

Layout LayoutRegistry::find(const dnnl::memory::desc& desc, const Shape& shape) {
  const LayoutFormat wanted = format_of(desc);
  const std::lock_guard lock(mutex_);
  // The three layouts every kernel knows win wherever they mean the same bytes.
  for (Layout known : {kNchw, kBlocked, kNhwc}) {
    if (same_order(formats_[known.id], wanted, shape)) return known;
  }
  for (std::size_t id = 3; id < formats_.size(); ++id) {
    if (equal(formats_[id], wanted)) return {static_cast<std::uint16_t>(id)};
  }
  DAYBREAK_ASSERT(formats_.size() < 65535);
  formats_.push_back(wanted);
  return {static_cast<std::uint16_t>(formats_.size() - 1)};
}

dnnl::memory::desc LayoutRegistry::memory_desc(const Shape& shape, DType dtype, Layout layout,
                                               int groups) const {
  const LayoutFormat& stored = format(layout);
  if (stored.is_opaque()) return stored.opaque;
  const LayoutFormat f = stored.groups == 0 && groups > 1 ? plain_format(groups) : stored;
  DAYBREAK_ASSERT(f.groups == stored.groups || is_plain(stored));
  const std::vector<std::int64_t> extents = axes(shape, f.groups);

  dnnl_memory_desc_t md{};
  md.ndims = static_cast<int>(extents.size());
  md.data_type = dnnl::memory::convert_to_c(dnnl_type(dtype));
  md.format_kind = dnnl_blocked;
  dnnl_blocking_desc_t& blocking = md.format_desc.blocking;
  blocking.inner_nblks = static_cast<int>(f.blocks.size());
  std::int64_t stride = 1;
  for (std::size_t i = 0; i < f.blocks.size(); ++i) {
    blocking.inner_blks[i] = f.blocks[i].size;
    blocking.inner_idxs[i] = f.blocks[i].axis;
    stride *= f.blocks[i].size;
  }
  for (std::size_t i = f.order.size(); i-- > 0;) {
    const int axis = f.order[i];
    const std::int64_t count = blocks_along(f, axis, extents[axis]);
    md.dims[axis] = extents[axis];
    md.padded_dims[axis] = count * block_of(f, axis);
    blocking.strides[axis] = stride;
    stride *= count;
  }
  return dnnl::memory::desc(md);
}

std::size_t LayoutRegistry::bytes(const Shape& shape, DType dtype, Layout layout) const {
  const LayoutFormat& f = format(layout);
  if (f.is_opaque()) return f.opaque.get_size();
  const std::vector<std::int64_t> extents = axes(shape, f.groups);
  std::size_t count = element_size(dtype);
  for (int axis : f.order) {
    count *= static_cast<std::size_t>(blocks_along(f, axis, extents[axis]) * block_of(f, axis));
  }
  return count;
}

std::string LayoutRegistry::name(Layout layout) const {
  if (layout == kNchw) return "nchw";
  if (layout == kNhwc) return "nhwc";
  if (layout == kBlocked) return "nChw" + std::to_string(block_) + "c";
  const LayoutFormat& f = format(layout);
  if (f.is_opaque()) return opaque_name(f.opaque);
  const std::string letters = f.groups > 0 ? "goihw" : "oihw";
  std::string result;
  for (int axis : f.order) {
    const char letter = letters[axis];
    const bool split = block_of(f, axis) > 1;
    result += split ? static_cast<char>(std::toupper(static_cast<unsigned char>(letter))) : letter;
  }
  for (const LayoutFormat::Block& block : f.blocks) {
    result += std::to_string(block.size);
    result += letters[block.axis];
  }
  if (f.groups > 0) result.append("/").append(std::to_string(f.groups));
  return result;
}

bool LayoutRegistry::same_bytes(const Shape& shape, Layout a, Layout b) const {
  return a == b || same_order(format(a), format(b), shape);
}

int LayoutRegistry::groups(Layout layout) const {
  return std::max(1, format(layout).groups);
}

}  // namespace daybreak
