#include "op_cases_detail.h"
#include "ops/multiply.h"
#include "ops/reorg.h"
#include "ops/slice.h"

// Operations that came with Darknet's networks.

namespace daybreak::detail {
namespace {

OpCase multiply(const std::string& name, const Shape& x, const Shape& factors) {
  return make_case<Multiply>(name, {x, factors}, [](Multiply&) {});
}

OpCase slice(const std::string& name, const Shape& x, int begin, int count) {
  return make_case<Slice>(name, {x}, [=](Slice& op) {
    op.begin = begin;
    op.count = count;
  });
}

OpCase reorg(const std::string& name, const Shape& x, int stride, ReorgOrder order) {
  return make_case<Reorg>(name, {x}, [=](Reorg& op) {
    op.stride = stride;
    op.order = order;
  });
}

}  // namespace

std::vector<OpCase> multiply_cases() {
  return {
      multiply("same_c1", {2, 1, 3, 3}, {2, 1, 3, 3}),
      multiply("same_c13", {2, 13, 3, 2}, {2, 13, 3, 2}),
      multiply("same_c17_1x1", {3, 17, 1, 1}, {3, 17, 1, 1}),
      multiply("channel_c1", {2, 1, 3, 3}, {2, 1, 1, 1}),
      multiply("channel_c3", {2, 3, 4, 5}, {2, 3, 1, 1}),
      multiply("channel_c17", {2, 17, 2, 3}, {2, 17, 1, 1}),
      multiply("channel_c127_batch1", {1, 127, 2, 2}, {1, 127, 1, 1}),
      multiply("pixel_c3", {2, 3, 4, 5}, {2, 1, 4, 5}),
      multiply("pixel_c17", {2, 17, 3, 2}, {2, 1, 3, 2}),
      large(multiply("channel_c64", {2, 64, 12, 12}, {2, 64, 1, 1})),
  };
}

std::vector<OpCase> slice_cases() {
  return {
      slice("all", {2, 3, 3, 3}, 0, 3),           slice("first_c4", {2, 4, 3, 2}, 0, 2),
      slice("second_c4", {2, 4, 3, 2}, 2, 2),     slice("middle_c17", {2, 17, 2, 3}, 5, 7),
      slice("blocks_c48", {2, 48, 2, 2}, 16, 16), slice("odd_c50", {1, 50, 3, 3}, 16, 34),
      slice("one_c127", {1, 127, 2, 2}, 64, 1),   slice("first_blocks_c40", {2, 40, 3, 3}, 0, 32),
      slice("last_1x1", {3, 13, 1, 1}, 12, 1),    large(slice("half_c64", {2, 64, 10, 10}, 32, 32)),
  };
}

std::vector<OpCase> reorg_cases() {
  return {
      reorg("depth_c1", {2, 1, 4, 4}, 2, ReorgOrder::depth),
      reorg("depth_c3", {2, 3, 4, 6}, 2, ReorgOrder::depth),
      reorg("depth_stride3", {1, 5, 3, 6}, 3, ReorgOrder::depth),
      reorg("depth_stride1", {2, 3, 2, 3}, 1, ReorgOrder::depth),
      reorg("darknet_c4", {2, 4, 2, 2}, 2, ReorgOrder::darknet),
      reorg("darknet_c12", {1, 12, 4, 6}, 2, ReorgOrder::darknet),
      reorg("darknet_c16_batch1", {1, 16, 6, 2}, 2, ReorgOrder::darknet),
      reorg("depth_c17", {1, 17, 2, 4}, 2, ReorgOrder::depth),
      reorg("darknet_stride3", {2, 18, 3, 3}, 3, ReorgOrder::darknet),
      large(reorg("darknet_c64", {2, 64, 26, 26}, 2, ReorgOrder::darknet)),
  };
}

}  // namespace daybreak::detail
