// The CPU backend's bf16 kernels against the reference on numbers that bf16 holds exactly.

#include <cmath>
#include <limits>
#include <string>

#include <gtest/gtest.h>

#include "backend/cpu/bf16.h"
#include "op_cases.h"
#include "ops/adaptive_avgpool.h"
#include "ops/conv2d.h"
#include "ops/pool.h"
#include "support/device_tensor.h"
#include "support/forwarding_backend.h"
#include "support/op_data.h"
#include "support/op_harness.h"

namespace daybreak {
namespace {

constexpr Layout kBlocked{2};

/// Asks as the plan does: activations in bf16 that lie in `layout`, parameters kept in f32.
class Asking final : public ForwardingBackend {
 public:
  Asking(Backend& inner, Layout layout) : ForwardingBackend(inner), layout_(layout) {}

  std::vector<KernelOffer> offers(const KernelQuery& query, std::string* reason) override {
    KernelQuery changed = query;
    for (TensorDesc& desc : changed.inputs) desc = asked(desc, query.pass == Pass::forward);
    changed.output = asked(changed.output, false);
    for (TensorDesc& desc : changed.params) desc = plain_desc(desc.shape, DType::f32);
    return inner_.offers(changed, reason);
  }

 private:
  TensorDesc asked(TensorDesc desc, bool move) const {
    if (desc.dtype == DType::u8 || desc.dtype == DType::i32) return desc;
    desc.dtype = DType::bf16;
    if (move) desc.layout = layout_;
    desc.bytes = inner_.layout_bytes(desc.shape, desc.dtype, desc.layout);
    return desc;
  }

  Layout layout_;
};

/// Left to the f32 kernels on purpose: sums that would be rounded after every term, and fusions
/// that the plan does not make.
bool left_to_f32(const KernelQuery& query) {
  const std::string text = query.op->describe();
  const bool fused = query.op->kind() == OpKind::batchnorm || query.op->kind() == OpKind::add;
  if (fused) {
    return text.find("sigmoid") != std::string::npos || text.find("tanh") != std::string::npos ||
           text.find("in place") != std::string::npos;
  }
  if (query.op->kind() == OpKind::pool) {
    const Pool& pool = static_cast<const Pool&>(*query.op);
    if (std::int64_t{pool.size_h} * pool.size_w > 256) return true;
    if (query.pass == Pass::forward) return false;
    return pool.size_h > pool.stride_h || pool.size_w > pool.stride_w;
  }
  if (query.op->kind() == OpKind::adaptive_avgpool && query.pass != Pass::forward) {
    const Shape& x = query.inputs[0].shape;
    return x.h % query.output.shape.h != 0 || x.w % query.output.shape.w != 0;
  }
  return false;
}

void compare(const OpCase& one, int threads, Layout layout) {
  SCOPED_TRACE(one.name);
  const BackendPtr cpu = make_cpu_backend(threads);
  if (!cpu->supports(DType::bf16)) GTEST_SKIP() << cpu->identity() << " has no bf16";
  Asking backend(*cpu, layout);
  const auto op = one.make();
  HarnessOptions options;
  options.dtype = DType::bf16;
  options.eval_backward = op->kind() == OpKind::batchnorm || op->kind() == OpKind::dropout;
  options.may_refuse = left_to_f32;
  // Products of bf16 numbers are exact and sums are taken in f32. What is left is the rounding of
  // results to 8 bits, 2^-9 at most.
  options.tolerance = options.tolerance_cap = 4e-3;
  // F(4x4) with operands in bf16 (gradients only): about 1.1 % in simulation (winograd/scheme.h).
  options.winograd_factor = 5.0;
  check_backend(backend, *op, one.inputs, options);
}

class CpuBf16 : public testing::TestWithParam<OpKind> {};

TEST_P(CpuBf16, AgreesWithTheReference) {
  for (const OpCase& one : cases(GetParam())) compare(one, 2, kNchw);
}
TEST_P(CpuBf16, AgreesInBlockedLayout) {
  for (const OpCase& one : cases(GetParam())) compare(one, 2, kBlocked);
}
TEST_P(CpuBf16, AgreesInNhwc) {
  for (const OpCase& one : cases(GetParam())) compare(one, 1, kNhwc);
}

std::string kind_name(const testing::TestParamInfo<OpKind>& kind) {
  return std::string(to_string(kind.param));
}
INSTANTIATE_TEST_SUITE_P(Ops, CpuBf16,
                         testing::Values(OpKind::input_u8, OpKind::conv2d, OpKind::conv2d_transpose,
                                         OpKind::linear, OpKind::batchnorm, OpKind::act,
                                         OpKind::dropout, OpKind::pool, OpKind::adaptive_avgpool,
                                         OpKind::add, OpKind::concat, OpKind::reshape),
                         kind_name);

/// Shapes that get one product per tap: small maps, strides, taps that never meet the picture.
TEST(CpuBf16Conv, TapGradientsAgree) {
  const ConvShape shapes[] = {
      {{16, 64, 2, 2}, 64, 3, 3, 1, 1, 1, false}, {{17, 40, 4, 4}, 48, 3, 3, 2, 1, 1, true},
      {{16, 33, 1, 1}, 32, 3, 3, 1, 1, 1, true},  {{16, 32, 2, 3}, 37, 5, 3, 1, 2, 1, false},
      {{20, 64, 2, 2}, 65, 1, 1, 1, 0, 1, true},  {{16, 64, 7, 5}, 64, 3, 2, 2, 1, 2, true},
  };
  for (const ConvShape& shape : shapes) {
    const OpCase one = conv_case(shape);
    compare(one, 2, kBlocked);
    if (shape.x.c == 40) {
      compare(one, 1, kNchw);
      compare(one, 2, kNhwc);
    }
  }
}

TEST(CpuBf16Conv, TapGradientComesFirstOnSmallMaps) {
  const BackendPtr cpu = make_cpu_backend(1);
  if (!cpu->supports(DType::bf16)) GTEST_SKIP() << "no bf16 on this processor";
  Asking backend(*cpu, kBlocked);
  Conv2d op;
  op.out_channels = 64;
  op.kernel_h = op.kernel_w = 3;
  op.pad_h = op.pad_w = 1;
  std::string reason;
  const KernelQuery query =
      plain_query(op, {{16, 64, 2, 2}}, Pass::backward_weights, Mode::train, DType::bf16);
  const auto offers = backend.offers(query, &reason);
  ASSERT_FALSE(offers.empty()) << reason;
  EXPECT_EQ(offers.front().name, "own:tap_gradient");
}

TEST(CpuBf16Accumulate, AddsAndRoundsOnce) {
  const BackendPtr cpu = make_cpu_backend(2);
  if (!cpu->supports(DType::bf16)) GTEST_SKIP() << "no bf16 on this processor";
  for (const int count : {1, 17, 70001}) {
    const Shape shape{1, count, 1, 1};
    const TensorDesc desc = plain_desc(shape, DType::bf16);
    HostTensor a{shape, std::vector<double>(static_cast<std::size_t>(count))}, b = a;
    for (int i = 0; i < count; ++i) {
      a.v[i] = (i % 251) - 125;
      b.v[i] = (i % 127) * 0.5;
    }
    DeviceTensor x = upload(*cpu, a, desc), y = upload(*cpu, b, desc);
    Bindings bindings;
    bindings.x = {x.data()};
    bindings.y = y.data();
    cpu->accumulate(desc)->run(bindings);
    const HostTensor sum = download(*cpu, y);
    for (int i = 0; i < count; ++i) {
      Bf16 expected;
      put(expected, static_cast<float>(a.v[i] + b.v[i]));
      ASSERT_EQ(sum.v[i], to_float(expected)) << i;
    }
    y.buffer->expect_guards("y");
  }
}

TEST(Bf16Numbers, EveryPatternSurvives) {
  for (std::uint32_t bits = 0; bits < 65536; ++bits) {
    const Bf16 stored{static_cast<std::uint16_t>(bits)};
    Bf16 again;
    put(again, to_float(stored));
    if (std::isnan(to_float(stored))) {
      EXPECT_TRUE(std::isnan(to_float(again)));
    } else {
      ASSERT_EQ(again.bits, stored.bits);
    }
  }
}

TEST(Bf16Numbers, RoundToNearestEven) {
  const auto rounded = [](float x) {
    Bf16 stored;
    put(stored, x);
    return to_float(stored);
  };
  EXPECT_EQ(rounded(1.0f + 0x1p-8f), 1.0f);                         // a tie goes to even
  EXPECT_EQ(rounded(1.0f + 0x1p-7f + 0x1p-8f), 1.0f + 0x1p-6f);     // and here upwards
  EXPECT_EQ(rounded(1.0f + 0x1p-8f + 0x1p-20f), 1.0f + 0x1p-7f);    // just above a tie
  EXPECT_EQ(rounded(-1.0f - 0x1p-8f - 0x1p-20f), -1.0f - 0x1p-7f);  // the sign does not matter
  const float infinity = std::numeric_limits<float>::infinity();
  EXPECT_EQ(rounded(std::numeric_limits<float>::max()), infinity);
  EXPECT_EQ(rounded(-infinity), -infinity);
  EXPECT_EQ(rounded(-0.0f), 0.0f);
  EXPECT_TRUE(std::signbit(rounded(-0.0f)));
  EXPECT_TRUE(std::isnan(rounded(std::bit_cast<float>(0x7F800001u))));  // payload in the low half
}

}  // namespace
}  // namespace daybreak
