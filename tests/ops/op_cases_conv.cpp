#include "op_cases_detail.h"
#include "ops/conv2d.h"
#include "ops/conv2d_transpose.h"
#include "ops/linear.h"

namespace daybreak {

OpCase conv_case(const ConvShape& shape) {
  const auto make = [shape]() -> std::unique_ptr<Op> {
    auto op = std::make_unique<Conv2d>();
    op->out_channels = shape.out;
    op->kernel_h = shape.kernel_h;
    op->kernel_w = shape.kernel_w;
    op->stride_h = op->stride_w = shape.stride;
    op->pad_h = op->pad_w = shape.pad;
    op->dilation_h = op->dilation_w = shape.dilation;
    op->bias = shape.bias;
    return op;
  };
  return {to_string(shape.x) + " k" + std::to_string(shape.kernel_h), make, {shape.x}};
}

}  // namespace daybreak

namespace daybreak::detail {

namespace {

struct Window {
  int kernel, stride, pad;
  int dilation = 1, groups = 1;
  bool bias = true;
};

OpCase conv(const std::string& name, const Shape& x, int out_channels, Window win) {
  return make_case<Conv2d>(name, {x}, [=](Conv2d& op) {
    op.out_channels = out_channels;
    op.kernel_h = op.kernel_w = win.kernel;
    op.stride_h = op.stride_w = win.stride;
    op.pad_h = op.pad_w = win.pad;
    op.dilation_h = op.dilation_w = win.dilation;
    op.groups = win.groups;
    op.bias = win.bias;
  });
}

OpCase transpose(const std::string& name, const Shape& x, int out_channels, Window win,
                 int output_pad = 0) {
  return make_case<Conv2dTranspose>(name, {x}, [=](Conv2dTranspose& op) {
    op.out_channels = out_channels;
    op.kernel_h = op.kernel_w = win.kernel;
    op.stride_h = op.stride_w = win.stride;
    op.pad_h = op.pad_w = win.pad;
    op.output_pad_h = op.output_pad_w = output_pad;
    op.dilation_h = op.dilation_w = win.dilation;
    op.groups = win.groups;
    op.bias = win.bias;
  });
}

OpCase linear(const std::string& name, const Shape& x, int outputs, bool bias = true) {
  return make_case<Linear>(name, {x}, [=](Linear& op) {
    op.outputs = outputs;
    op.bias = bias;
  });
}

}  // namespace

std::vector<OpCase> conv2d_cases() {
  return {
      conv("c1_c1_3x3", {2, 1, 5, 5}, 1, {3, 1, 1}),
      conv("c3_c13_3x3", {2, 3, 6, 6}, 13, {3, 1, 1}),
      conv("c13_c17_1x1", {3, 13, 4, 4}, 17, {1, 1, 0}),
      conv("c17_c127_1x1_batch1", {1, 17, 3, 3}, 127, {1, 1, 0}),
      conv("c127_c17_3x3", {1, 127, 3, 3}, 17, {3, 1, 1}),
      conv("image_1x1_3x3", {2, 13, 1, 1}, 3, {3, 1, 1}),
      conv("image_1x1_1x1_batch1", {1, 17, 1, 1}, 13, {1, 1, 0}),
      conv("nonsquare_3x3_s2", {2, 3, 5, 9}, 17, {3, 2, 1}),
      conv("even_kernel_4x4_s2", {2, 3, 8, 6}, 13, {4, 2, 1}),
      conv("stride_over_kernel", {2, 5, 8, 7}, 6, {2, 3, 0}),
      conv("k1_s2", {2, 13, 7, 6}, 3, {1, 2, 0}),
      conv("pad_over_kernel", {2, 3, 4, 4}, 5, {2, 1, 3}),
      conv("k1_pad1", {1, 3, 4, 3}, 5, {1, 1, 1}),
      conv("dilation2", {2, 3, 7, 7}, 13, {3, 1, 2, 2}),
      conv("dilation3_s2", {1, 13, 9, 8}, 3, {3, 2, 3, 3}),
      conv("groups3", {2, 9, 5, 5}, 6, {3, 1, 1, 1, 3}),
      conv("groups13_of_two", {2, 26, 4, 4}, 13, {3, 2, 1, 1, 13}),
      conv("depthwise17", {2, 17, 6, 5}, 17, {3, 1, 1, 1, 17}),
      conv("depthwise_s2_dilation2", {1, 16, 9, 9}, 16, {3, 2, 2, 2, 16}),
      conv("depthwise_times3", {2, 3, 5, 5}, 9, {3, 1, 1, 1, 3}),
      conv("no_bias", {2, 13, 5, 4}, 17, {3, 1, 1, 1, 1, false}),
      conv("no_padding", {2, 3, 5, 6}, 17, {3, 1, 0}),
      conv("k7_s2_p3", {1, 3, 13, 11}, 16, {7, 2, 3}),
      conv("k5_whole_image", {3, 4, 5, 5}, 7, {5, 1, 0}),
      make_case<Conv2d>("k1x5_s1x2", {{2, 5, 3, 9}},
                        [](Conv2d& op) {
                          op.out_channels = 7;
                          op.kernel_h = 1, op.kernel_w = 5;
                          op.stride_h = 1, op.stride_w = 2;
                          op.pad_h = 0, op.pad_w = 2;
                        }),
      make_case<Conv2d>("k3x2_dilation2x1", {{1, 3, 8, 4}},
                        [](Conv2d& op) {
                          op.out_channels = 13;
                          op.kernel_h = 3, op.kernel_w = 2;
                          op.stride_h = 2, op.stride_w = 1;
                          op.pad_h = 2, op.pad_w = 0;
                          op.dilation_h = 2, op.dilation_w = 1;
                        }),
      large(conv("c127_c127_3x3", {2, 127, 5, 5}, 127, {3, 1, 1, 1, 1, false})),
      large(conv("c3_c32_3x3", {4, 3, 12, 12}, 32, {3, 1, 1, 1, 1, false})),
      large(conv("c32_c64_3x3_s2", {2, 32, 12, 12}, 64, {3, 2, 1, 1, 1, false})),
      large(conv("c64_c64_3x3", {2, 64, 14, 14}, 64, {3, 1, 1, 1, 1, false})),
      large(conv("c32_c48_3x3_7x5", {3, 32, 7, 5}, 48, {3, 1, 1, 1, 1, false})),
      large(conv("c48_c16_3x3_many_tiles", {9, 48, 6, 9}, 16, {3, 1, 1, 1, 1, false})),
      large(conv("c96_c96_3x3_rows_of_tiles", {3, 96, 13, 4}, 96, {3, 1, 1, 1, 1, false})),
      large(conv("c80_c160_2x2_image", {5, 80, 2, 2}, 160, {3, 1, 1, 1, 1, false})),
      large(conv("c64_c32_3x3_s2_odd", {3, 64, 9, 7}, 32, {3, 2, 1, 1, 1, false})),
      large(conv("c32_c64_3x3_s2_4x4", {7, 32, 4, 4}, 64, {3, 2, 1, 1, 1, false})),
      large(conv("c64_c32_1x1", {3, 64, 9, 9}, 32, {1, 1, 0, 1, 1, false})),
      large(conv("c32_groups2", {2, 32, 8, 8}, 32, {3, 1, 1, 1, 2})),
      large(conv("c128_c64_2x2_image", {5, 128, 2, 2}, 64, {3, 1, 1})),
  };
}

std::vector<OpCase> conv2d_transpose_cases() {
  return {
      transpose("c1_c1_4x4_s2", {2, 1, 3, 3}, 1, {4, 2, 1}),
      transpose("c3_c13_4x4_s2", {2, 3, 4, 3}, 13, {4, 2, 1}),
      transpose("c13_c17_3x3", {2, 13, 4, 4}, 17, {3, 1, 1}),
      transpose("c17_c3_2x2_s2", {2, 17, 3, 3}, 3, {2, 2, 0}),
      transpose("c127_c13_1x1", {1, 127, 3, 2}, 13, {1, 1, 0}),
      transpose("output_pad1", {2, 3, 4, 4}, 5, {3, 2, 1}, 1),
      transpose("image_1x1_to_4x4", {3, 13, 1, 1}, 7, {4, 1, 0, 1, 1, false}),
      transpose("batch1", {1, 5, 3, 5}, 3, {3, 2, 1}),
      transpose("stride_over_kernel", {2, 3, 3, 3}, 4, {2, 3, 0}),
      transpose("pad_equals_kernel", {2, 3, 5, 6}, 4, {2, 2, 2}),
      transpose("dilation2", {2, 3, 4, 4}, 5, {3, 1, 1, 2}),
      transpose("dilation2_output_pad1", {1, 3, 3, 4}, 5, {3, 1, 1, 2}, 1),
      transpose("groups3", {2, 9, 3, 3}, 6, {4, 2, 1, 1, 3}),
      transpose("depthwise13", {2, 13, 3, 4}, 13, {4, 2, 1, 1, 13}),
      transpose("no_bias", {2, 17, 3, 3}, 13, {4, 2, 1, 1, 1, false}),
      make_case<Conv2dTranspose>("k3x4_s1x2", {{2, 5, 4, 3}},
                                 [](Conv2dTranspose& op) {
                                   op.out_channels = 3;
                                   op.kernel_h = 3, op.kernel_w = 4;
                                   op.stride_h = 1, op.stride_w = 2;
                                   op.pad_h = 0, op.pad_w = 1;
                                   op.output_pad_w = 1;
                                 }),
      large(transpose("c32_c16_4x4_s2", {2, 32, 8, 8}, 16, {4, 2, 1, 1, 1, false})),
      large(transpose("c64_c64_4x4_s2", {1, 64, 4, 4}, 64, {4, 2, 1})),
  };
}

std::vector<OpCase> linear_cases() {
  return {
      linear("in1_out1", {1, 1, 1, 1}, 1),
      linear("in3_out10", {4, 3, 1, 1}, 10),
      linear("in13_out17", {5, 13, 1, 1}, 17),
      linear("in127_out3", {2, 127, 1, 1}, 3),
      linear("in17_out127_batch1", {1, 17, 1, 1}, 127),
      linear("image_3x2x5", {3, 3, 2, 5}, 7),
      linear("image_13x3x3", {2, 13, 3, 3}, 10),
      linear("image_1x6x6_no_bias", {2, 1, 6, 6}, 13, false),
      linear("no_bias", {6, 16, 1, 1}, 16, false),
      linear("batch17", {17, 5, 1, 1}, 3),
      large(linear("in784_out256", {8, 1, 28, 28}, 256)),
      large(linear("in1024_out10", {32, 1024, 1, 1}, 10)),
  };
}

}  // namespace daybreak::detail
