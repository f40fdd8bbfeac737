#include "op_cases_detail.h"
#include "ops/act.h"
#include "ops/add.h"
#include "ops/batchnorm.h"
#include "ops/concat.h"
#include "ops/dropout.h"
#include "ops/input_u8.h"
#include "ops/instancenorm.h"
#include "ops/reshape.h"
#include "ops/softmax.h"

namespace daybreak::detail {

namespace {

OpCase norm(const std::string& name, const Shape& x, Activation act = {}, bool affine = true) {
  return make_case<BatchNorm>(name, {x}, [=](BatchNorm& op) {
    op.act = act;
    op.affine = affine;
  });
}

// With `sum` a second input of the same shape.
OpCase in_place(const std::string& name, const Shape& x, Activation act, bool sum) {
  const std::vector<Shape> inputs(sum ? 2 : 1, x);
  return make_case<BatchNorm>(name, inputs, [=](BatchNorm& op) {
    op.act = act;
    op.in_place = true;
    op.sum = sum;
  });
}

OpCase instance(const std::string& name, const Shape& x, bool affine) {
  return make_case<InstanceNorm>(name, {x}, [=](InstanceNorm& op) { op.affine = affine; });
}

OpCase act(const std::string& name, const Shape& x, Activation activation) {
  return make_case<Act>(name, {x}, [=](Act& op) { op.act = activation; });
}

OpCase softmax(const std::string& name, const Shape& x) {
  return make_case<Softmax>(name, {x}, [](Softmax&) {});
}

OpCase dropout(const std::string& name, const Shape& x, float p, std::uint32_t salt = 0) {
  return make_case<Dropout>(name, {x}, [=](Dropout& op) {
    op.p = p;
    op.salt = salt;
  });
}

OpCase add(const std::string& name, const Shape& x, float a = 1.0f, float b = 1.0f,
           Activation activation = {}) {
  return make_case<Add>(name, {x, x}, [=](Add& op) {
    op.coeff[0] = a;
    op.coeff[1] = b;
    op.act = activation;
  });
}

OpCase concat(const std::string& name, const std::vector<Shape>& inputs) {
  return make_case<Concat>(name, inputs, [](Concat&) {});
}

OpCase reshape(const std::string& name, const Shape& x, int c, int h, int w) {
  return make_case<Reshape>(name, {x}, [=](Reshape& op) {
    op.c = c;
    op.h = h;
    op.w = w;
  });
}

OpCase picture(const std::string& name, const Shape& x, bool reverse) {
  return make_case<InputU8>(name, {x}, [=](InputU8& op) {
    for (int c = 0; c < x.c; ++c) {
      op.mean.push_back(0.25f + 0.01f * static_cast<float>(c));
      op.std.push_back(0.5f - 0.02f * static_cast<float>(c % 16));
    }
    op.reverse_channels = reverse;
  });
}

constexpr Activation kRelu{ActKind::relu, 0.0f};
constexpr Activation kLeaky{ActKind::leaky, 0.1f};
constexpr Activation kSigmoid{ActKind::sigmoid, 0.0f};
constexpr Activation kTanh{ActKind::tanh, 0.0f};

}  // namespace

std::vector<OpCase> batchnorm_cases() {
  return {
      norm("c1", {2, 1, 4, 4}),
      norm("c3_nonsquare", {2, 3, 3, 5}),
      norm("c13", {3, 13, 2, 2}),
      norm("c17", {2, 17, 4, 3}),
      norm("c127", {2, 127, 2, 2}),
      norm("batch1", {1, 13, 4, 4}),
      norm("one_dimension", {7, 17, 1, 1}),
      norm("not_affine", {2, 5, 3, 3}, {}, false),
      norm("not_affine_leaky", {3, 17, 2, 2}, kLeaky, false),
      norm("relu", {2, 13, 3, 3}, kRelu),
      norm("leaky", {2, 16, 3, 3}, kLeaky),
      norm("leaky_c3_1d", {9, 3, 1, 1}, kLeaky),
      norm("sigmoid", {2, 3, 3, 3}, kSigmoid),
      norm("tanh", {2, 5, 3, 2}, kTanh),
      make_case<BatchNorm>("momentum_eps", {{3, 4, 3, 3}},
                           [](BatchNorm& op) {
                             op.momentum = 0.01f;
                             op.eps = 1e-3f;
                           }),
      in_place("in_place_c13", {3, 13, 3, 2}, kLeaky, false),
      in_place("in_place_c16_none", {2, 16, 4, 4}, {}, false),
      in_place("in_place_1d", {9, 17, 1, 1}, kLeaky, false),
      in_place("in_place_sum_c3", {2, 3, 5, 4}, kLeaky, true),
      in_place("in_place_sum_c32", {3, 32, 3, 3}, kLeaky, true),
      in_place("in_place_sum_1d", {8, 7, 1, 1}, kLeaky, true),
      large(in_place("in_place_sum_c64", {8, 64, 9, 9}, kLeaky, true)),
      large(norm("c64_leaky", {8, 64, 9, 9}, kLeaky)),
      large(norm("c33_image_31", {4, 33, 31, 31}, kRelu)),
  };
}

std::vector<OpCase> instancenorm_cases() {
  return {
      instance("c1", {2, 1, 4, 4}, false),
      instance("c3_affine", {2, 3, 3, 5}, true),
      instance("c13", {3, 13, 3, 2}, false),
      instance("c17_affine", {2, 17, 4, 3}, true),
      instance("c127_affine", {1, 127, 3, 2}, true),
      instance("batch1", {1, 5, 6, 6}, false),
      instance("batch1_affine", {1, 5, 6, 6}, true),
      instance("row", {2, 3, 1, 7}, true),
      instance("column", {2, 3, 9, 1}, false),
      instance("image_1x1", {3, 4, 1, 1}, true),
      make_case<InstanceNorm>("eps", {{2, 3, 4, 4}}, [](InstanceNorm& op) { op.eps = 0.1f; }),
      large(instance("c64_image_20", {2, 64, 20, 20}, true)),
  };
}

std::vector<OpCase> act_cases() {
  return {
      act("relu_c1", {2, 1, 3, 3}, kRelu),
      act("relu_c13", {2, 13, 3, 2}, kRelu),
      act("relu_c127_1x1", {1, 127, 1, 1}, kRelu),
      act("leaky_c3", {2, 3, 4, 5}, kLeaky),
      act("leaky_c17", {1, 17, 3, 3}, kLeaky),
      act("leaky_02", {2, 5, 2, 2}, {ActKind::leaky, 0.2f}),
      act("sigmoid_c3", {2, 3, 3, 3}, kSigmoid),
      act("sigmoid_c17_1x1", {3, 17, 1, 1}, kSigmoid),
      act("tanh_c13", {2, 13, 2, 3}, kTanh),
      act("tanh_c1_1x1", {1, 1, 1, 1}, kTanh),
      act("relu6_c13", {2, 13, 5, 3}, {ActKind::relu6}),
      act("elu_c13", {2, 13, 5, 3}, {ActKind::elu}),
      act("selu_c13", {2, 13, 5, 3}, {ActKind::selu}),
      act("swish_c13", {2, 13, 5, 3}, {ActKind::swish}),
      act("mish_c13", {2, 13, 5, 3}, {ActKind::mish}),
      act("hard_mish_c13", {2, 13, 5, 3}, {ActKind::hard_mish}),
      act("gelu_c13", {2, 13, 5, 3}, {ActKind::gelu}),
      act("ramp_c13", {2, 13, 5, 3}, {ActKind::ramp}),
      act("loggy_c13", {2, 13, 5, 3}, {ActKind::loggy}),
      act("hardtan_c13", {2, 13, 5, 3}, {ActKind::hardtan}),
      act("lhtan_c13", {2, 13, 5, 3}, {ActKind::lhtan}),
      act("plse_c13", {2, 13, 5, 3}, {ActKind::plse}),
      act("stair_c13", {2, 13, 5, 3}, {ActKind::stair}),
      large(act("leaky_c64", {4, 64, 12, 12}, kLeaky)),
  };
}

std::vector<OpCase> softmax_cases() {
  return {
      softmax("c1", {3, 1, 1, 1}),
      softmax("c2_batch1", {1, 2, 1, 1}),
      softmax("c3", {4, 3, 1, 1}),
      softmax("c10", {5, 10, 1, 1}),
      softmax("c13_batch1", {1, 13, 1, 1}),
      softmax("c17", {3, 17, 1, 1}),
      softmax("c127", {2, 127, 1, 1}),
      softmax("pixels_c3", {2, 3, 4, 5}),
      softmax("pixels_c13", {1, 13, 3, 3}),
      softmax("pixels_c17", {2, 17, 2, 1}),
      large(softmax("c1000", {8, 1000, 1, 1})),
  };
}

std::vector<OpCase> dropout_cases() {
  return {
      dropout("c1", {2, 1, 3, 3}, 0.5f),          dropout("c3", {2, 3, 4, 5}, 0.25f),
      dropout("c13", {3, 13, 1, 1}, 0.5f),        dropout("c17_salt", {2, 17, 3, 3}, 0.5f, 3),
      dropout("c127", {2, 127, 1, 1}, 0.75f),     dropout("batch1", {1, 5, 3, 3}, 0.1f, 1),
      dropout("image_1x1", {1, 1, 1, 1}, 0.5f),   dropout("p0", {2, 4, 2, 2}, 0.0f),
      dropout("most", {2, 33, 2, 2}, 0.95f),      dropout("many_samples", {17, 7, 1, 1}, 0.3f, 7),
      large(dropout("c64", {4, 64, 8, 8}, 0.5f)),
  };
}

std::vector<OpCase> add_cases() {
  return {
      add("c1", {2, 1, 3, 3}),
      add("c3", {2, 3, 4, 5}),
      add("c13", {1, 13, 3, 3}),
      add("c17_1x1", {3, 17, 1, 1}),
      add("c127", {2, 127, 1, 2}),
      add("coefficients", {2, 5, 3, 3}, 0.5f, -2.0f),
      add("coefficient_third", {2, 3, 3, 3}, 1.0f / 3.0f, 1.5f),
      add("relu", {2, 13, 3, 2}, 1.0f, 1.0f, kRelu),
      add("leaky_scaled", {2, 17, 2, 2}, 1.0f, 0.5f, kLeaky),
      add("sigmoid", {1, 3, 2, 3}, 1.0f, 1.0f, kSigmoid),
      add("tanh", {2, 1, 2, 2}, 1.0f, -1.0f, kTanh),
      large(add("c64", {4, 64, 10, 10})),
  };
}

std::vector<OpCase> concat_cases() {
  return {
      concat("c1_c1", {{2, 1, 3, 3}, {2, 1, 3, 3}}),
      concat("c3_c13", {{2, 3, 2, 3}, {2, 13, 2, 3}}),
      concat("c17_c3", {{1, 17, 3, 3}, {1, 3, 3, 3}}),
      concat("c127_c1", {{2, 127, 1, 1}, {2, 1, 1, 1}}),
      concat("c16_c16", {{2, 16, 2, 2}, {2, 16, 2, 2}}),
      concat("three_odd", {{2, 5, 2, 2}, {2, 7, 2, 2}, {2, 1, 2, 2}}),
      concat("four", {{1, 8, 2, 1}, {1, 16, 2, 1}, {1, 3, 2, 1}, {1, 13, 2, 1}}),
      concat("batch1_1x1", {{1, 3, 1, 1}, {1, 2, 1, 1}}),
      concat("nonsquare", {{2, 4, 1, 7}, {2, 12, 1, 7}}),
      concat("batch5", {{5, 13, 2, 2}, {5, 17, 2, 2}}),
      large(concat("c32_c64", {{3, 32, 9, 9}, {3, 64, 9, 9}})),
  };
}

std::vector<OpCase> reshape_cases() {
  return {
      reshape("flatten", {2, 3, 4, 5}, -1, 1, 1),
      reshape("flatten_c17", {3, 17, 2, 2}, -1, 1, 1),
      reshape("flatten_1x1", {2, 13, 1, 1}, -1, 1, 1),
      reshape("to_picture", {2, 48, 1, 1}, 3, 4, 4),
      reshape("unknown_height", {2, 6, 4, 4}, 3, -1, 8),
      reshape("unknown_width", {1, 5, 3, 4}, 1, 5, -1),
      reshape("same", {2, 7, 3, 3}, 7, 3, 3),
      reshape("batch1", {1, 127, 2, 1}, 2, 127, 1),
      reshape("transposing_extents", {2, 13, 2, 3}, 13, 3, 2),
      reshape("c16_blocks", {3, 16, 4, 4}, 64, 2, 2),
  };
}

std::vector<OpCase> input_u8_cases() {
  return {
      picture("c1", {2, 1, 5, 5}, false),
      picture("c3", {2, 3, 4, 6}, false),
      picture("c3_reversed", {2, 3, 5, 3}, true),
      picture("c4_reversed", {1, 4, 3, 3}, true),
      picture("image_1x1", {3, 3, 1, 1}, false),
      picture("c13", {1, 13, 3, 2}, false),
      picture("c17_reversed", {2, 17, 2, 3}, true),
      picture("batch1_row", {1, 1, 1, 31}, false),
      picture("c2_column", {2, 2, 9, 1}, false),
      make_case<InputU8>("scale1", {{2, 3, 4, 4}},
                         [](InputU8& op) {
                           op.scale = 1.0f;
                           op.mean = {103.939f, 116.779f, 123.68f};
                           op.std = {1.0f, 1.0f, 1.0f};
                           op.reverse_channels = true;
                         }),
      large(picture("fashion", {16, 1, 28, 28}, false)),
  };
}

}  // namespace daybreak::detail
