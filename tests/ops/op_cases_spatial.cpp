#include "op_cases_detail.h"
#include "ops/adaptive_avgpool.h"
#include "ops/pad.h"
#include "ops/pool.h"
#include "ops/upsample.h"

namespace daybreak::detail {

namespace {

struct Window {
  int size, stride, pad;
  bool ceil = false;
  bool count_padding = true;
};

OpCase pool(const std::string& name, PoolKind kind, const Shape& x, Window win) {
  return make_case<Pool>(name, {x}, [=](Pool& op) {
    op.pool = kind;
    op.size_h = op.size_w = win.size;
    op.stride_h = op.stride_w = win.stride;
    op.pad_top = op.pad_left = op.pad_bottom = op.pad_right = win.pad;
    op.ceil_mode = win.ceil;
    op.count_padding = win.count_padding;
  });
}

OpCase uneven_pool(const std::string& name, PoolKind kind, const Shape& x, bool count_padding) {
  return make_case<Pool>(name, {x}, [=](Pool& op) {
    op.pool = kind;
    op.size_h = 3, op.size_w = 2;
    op.stride_h = 2, op.stride_w = 1;
    op.pad_top = 0, op.pad_left = 1, op.pad_bottom = 2, op.pad_right = 0;
    op.count_padding = count_padding;
  });
}

OpCase adaptive(const std::string& name, const Shape& x, int h, int w) {
  return make_case<AdaptiveAvgPool>(name, {x}, [=](AdaptiveAvgPool& op) {
    op.out_h = h;
    op.out_w = w;
  });
}

OpCase upsample(const std::string& name, UpsampleKind kind, const Shape& x, int scale) {
  return make_case<Upsample>(name, {x}, [=](Upsample& op) {
    op.upsample = kind;
    op.scale = scale;
  });
}

OpCase pad(const std::string& name, PadKind kind, const Shape& x, int top, int left, int bottom,
           int right) {
  return make_case<Pad>(name, {x}, [=](Pad& op) {
    op.pad = kind;
    op.top = top, op.left = left, op.bottom = bottom, op.right = right;
  });
}

constexpr auto kMax = PoolKind::max;
constexpr auto kAverage = PoolKind::average;
constexpr auto kNearest = UpsampleKind::nearest;
constexpr auto kBilinear = UpsampleKind::bilinear;

}  // namespace

std::vector<OpCase> pool_cases() {
  return {
      pool("max_c1", kMax, {2, 1, 4, 4}, {2, 2, 0}),
      pool("max_c3_odd", kMax, {2, 3, 5, 7}, {2, 2, 0}),
      pool("max_c13_3x3_s2_p1", kMax, {2, 13, 6, 5}, {3, 2, 1}),
      pool("max_c17_overlap", kMax, {1, 17, 5, 5}, {3, 1, 1}),
      pool("max_c127", kMax, {1, 127, 2, 2}, {2, 2, 0}),
      pool("max_ceil", kMax, {2, 3, 6, 8}, {3, 2, 0, true}),
      pool("max_ceil_pad", kMax, {2, 5, 5, 6}, {3, 3, 1, true}),
      pool("max_ceil_dropped_window", kMax, {1, 3, 4, 4}, {2, 3, 1, true}),
      pool("max_image_1x1", kMax, {2, 13, 1, 1}, {3, 1, 1}),
      pool("max_stride_over_size", kMax, {2, 3, 8, 7}, {2, 3, 0}),
      pool("max_window_over_image", kMax, {2, 3, 4, 5}, {9, 1, 4}),
      pool("max_5x5_of_long_rows", kMax, {1, 2, 3, 600}, {5, 1, 2}),
      uneven_pool("max_uneven", kMax, {2, 3, 5, 4}, true),
      pool("average_c1", kAverage, {2, 1, 4, 4}, {2, 2, 0}),
      pool("average_c3_odd", kAverage, {2, 3, 5, 7}, {2, 2, 0}),
      pool("average_c17_count_pad", kAverage, {2, 17, 5, 4}, {3, 2, 1}),
      pool("average_c13_no_pad_count", kAverage, {2, 13, 5, 4}, {3, 2, 1, false, false}),
      pool("average_ceil_count", kAverage, {2, 3, 6, 7}, {3, 2, 1, true}),
      pool("average_ceil_no_count", kAverage, {1, 5, 6, 7}, {3, 2, 1, true, false}),
      pool("average_image_1x1", kAverage, {2, 3, 1, 1}, {1, 1, 0}),
      pool("average_whole", kAverage, {2, 127, 2, 2}, {2, 1, 0}),
      pool("average_stride_over_size", kAverage, {2, 3, 8, 7}, {2, 3, 0}),
      uneven_pool("average_uneven_count", kAverage, {2, 3, 5, 4}, true),
      uneven_pool("average_uneven", kAverage, {2, 13, 5, 4}, false),
      large(pool("max_c64", kMax, {2, 64, 16, 16}, {3, 2, 1})),
      large(pool("average_c32", kAverage, {2, 32, 15, 15}, {3, 2, 1})),
  };
}

std::vector<OpCase> adaptive_avgpool_cases() {
  return {
      adaptive("global_c1", {2, 1, 4, 4}, 1, 1),
      adaptive("global_c3", {2, 3, 5, 7}, 1, 1),
      adaptive("global_c13_batch1", {1, 13, 2, 2}, 1, 1),
      adaptive("global_c17_1x1", {3, 17, 1, 1}, 1, 1),
      adaptive("global_c127", {2, 127, 2, 2}, 1, 1),
      adaptive("divides", {2, 3, 6, 8}, 3, 2),
      adaptive("does_not_divide", {2, 3, 7, 5}, 3, 2),
      adaptive("nonsquare_output", {1, 13, 5, 9}, 2, 4),
      adaptive("same_size", {2, 5, 3, 4}, 3, 4),
      adaptive("larger_than_input", {2, 3, 2, 3}, 3, 5),
      adaptive("from_1x1", {1, 4, 1, 1}, 2, 3),
      large(adaptive("global_c64", {4, 64, 8, 8}, 1, 1)),
  };
}

std::vector<OpCase> upsample_cases() {
  return {
      upsample("nearest_c1", kNearest, {2, 1, 3, 3}, 2),
      upsample("nearest_c3", kNearest, {2, 3, 2, 4}, 3),
      upsample("nearest_c13", kNearest, {1, 13, 3, 2}, 2),
      upsample("nearest_c127_1x1", kNearest, {1, 127, 1, 1}, 2),
      upsample("nearest_scale1", kNearest, {2, 3, 3, 3}, 1),
      upsample("bilinear_c1", kBilinear, {2, 1, 3, 3}, 2),
      upsample("bilinear_c3", kBilinear, {2, 3, 2, 4}, 3),
      upsample("bilinear_c17", kBilinear, {1, 17, 3, 2}, 2),
      upsample("bilinear_1x1", kBilinear, {2, 13, 1, 1}, 4),
      upsample("bilinear_row", kBilinear, {2, 5, 1, 5}, 2),
      upsample("bilinear_scale1", kBilinear, {1, 4, 3, 3}, 1),
      large(upsample("nearest_c64", kNearest, {2, 64, 7, 7}, 2)),
      large(upsample("bilinear_c32", kBilinear, {2, 32, 7, 7}, 2)),
  };
}

std::vector<OpCase> pad_cases() {
  return {
      pad("zero_c1", PadKind::zero, {2, 1, 3, 3}, 1, 1, 1, 1),
      pad("zero_c13_uneven", PadKind::zero, {2, 13, 2, 3}, 1, 0, 2, 3),
      pad("zero_wide", PadKind::zero, {1, 3, 1, 2}, 4, 5, 3, 2),
      pad("zero_nothing", PadKind::zero, {1, 3, 2, 2}, 0, 0, 0, 0),
      pad("crop_c13", PadKind::zero, {2, 13, 6, 7}, -1, -2, -2, -3),
      pad("crop_one_side", PadKind::zero, {1, 3, 5, 4}, 2, -1, -4, 0),
      pad("reflect_c3", PadKind::reflect, {2, 3, 4, 4}, 3, 3, 3, 3),
      pad("reflect_c17_uneven", PadKind::reflect, {1, 17, 3, 5}, 2, 1, 0, 4),
      pad("reflect_row", PadKind::reflect, {2, 5, 1, 4}, 0, 2, 0, 3),
      pad("symmetric_c3", PadKind::symmetric, {2, 3, 4, 4}, 4, 4, 4, 4),
      pad("symmetric_c127", PadKind::symmetric, {1, 127, 2, 2}, 1, 1, 1, 1),
      pad("symmetric_uneven", PadKind::symmetric, {2, 13, 3, 2}, 3, 1, 0, 2),
      pad("symmetric_1x1", PadKind::symmetric, {2, 3, 1, 1}, 1, 1, 1, 1),
      large(pad("reflect_c64", PadKind::reflect, {2, 64, 12, 12}, 3, 3, 3, 3)),
  };
}

}  // namespace daybreak::detail
