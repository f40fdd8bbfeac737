#include <cstdint>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "backend/backend.h"
#include "core/error.h"
#include "core/parallel.h"
#include "ops/batchnorm.h"
#include "ops/conv2d.h"
#include "ops/hinge.h"
#include "ops/pool.h"
#include "ops/softmax_xent.h"
#include "ops/topk_count.h"
#include "support/device_tensor.h"
#include "support/op_data.h"

namespace daybreak {
namespace {

using testing::HasSubstr;

constexpr Layout kBlocked{2};

TensorDesc desc_in(const Backend& backend, const Shape& shape, Layout layout) {
  return {shape, DType::f32, layout, backend.layout_bytes(shape, DType::f32, layout)};
}

Conv2d conv(int out, int kernel, int stride, int groups = 1) {
  Conv2d op;
  op.out_channels = out;
  op.kernel_h = op.kernel_w = kernel;
  op.stride_h = op.stride_w = stride;
  op.pad_h = op.pad_w = kernel / 2;
  op.groups = groups;
  op.bias = false;
  return op;
}

/// A query with the inputs in a layout, answered by the backend.
std::vector<KernelOffer> ask(Backend& backend, const Op& op, const Shape& input, Layout layout,
                             Pass pass = Pass::forward, Mode mode = Mode::train) {
  KernelQuery query = plain_query(op, {input}, pass, mode, DType::f32);
  query.inputs[0] = desc_in(backend, input, layout);
  return backend.offers(query, nullptr);
}

TEST(CpuLayouts, KnownLayoutsHaveNamesAndSizes) {
  const BackendPtr cpu = make_cpu_backend(1);
  const Shape shape{2, 13, 3, 5};
  EXPECT_EQ(cpu->layout_name(kNchw), "nchw");
  EXPECT_EQ(cpu->layout_name(kNhwc), "nhwc");
  EXPECT_THAT(cpu->layout_name(kBlocked), testing::AnyOf("nChw16c", "nChw8c"));
  EXPECT_EQ(cpu->layout_bytes(shape, DType::f32, kNchw), 2u * 13 * 15 * 4);
  EXPECT_EQ(cpu->layout_bytes(shape, DType::f32, kNhwc), 2u * 13 * 15 * 4);
  EXPECT_EQ(cpu->layout_bytes(shape, DType::f32, kBlocked), 2u * 16 * 15 * 4);
  EXPECT_EQ(cpu->layout_bytes(shape, DType::u8, kNhwc), 2u * 13 * 15);
}

TEST(CpuLayouts, SameBytesMeansNoMove) {
  const BackendPtr cpu = make_cpu_backend(1);
  const auto same = [&](const Shape& s, Layout a, Layout b) {
    return cpu->same_bytes(desc_in(*cpu, s, a), desc_in(*cpu, s, b));
  };
  for (const Layout layout : {kNhwc, kBlocked}) {
    EXPECT_TRUE(same({3, 32, 1, 1}, kNchw, layout));
    EXPECT_FALSE(same({3, 32, 2, 1}, kNchw, layout));
  }
  EXPECT_FALSE(same({3, 13, 1, 1}, kNchw, kBlocked)) << "padding differs";
  EXPECT_TRUE(same({3, 1, 4, 5}, kNchw, kNhwc));
  EXPECT_FALSE(same({3, 2, 4, 5}, kNchw, kNhwc));
  EXPECT_FALSE(
      cpu->same_bytes(desc_in(*cpu, {1, 16, 1, 1}, kNchw), plain_desc({1, 16, 1, 1}, DType::i32)));
}

/// Reorders between any two of our layouts keep the numbers and leave zeros in the padding.
TEST(CpuLayouts, ReordersKeepNumbers) {
  const BackendPtr cpu = make_cpu_backend(2);
  for (const Shape& shape : {Shape{2, 13, 3, 5}, Shape{1, 1, 1, 1}, Shape{3, 33, 1, 1},
                             Shape{2, 16, 7, 2}, Shape{1, 3, 9, 1}}) {
    HostTensor tensor{shape, {}};
    for (int i = 0; i < shape.count(); ++i) tensor.v.push_back(i + 1.0);
    for (const Layout from : {kNchw, kNhwc, kBlocked}) {
      for (const Layout to : {kNchw, kNhwc, kBlocked}) {
        DeviceTensor source = upload(*cpu, tensor, desc_in(*cpu, shape, from));
        DeviceTensor target = poisoned(*cpu, desc_in(*cpu, shape, to));
        Bindings b;
        b.x = {source.data()};
        b.y = target.data();
        cpu->reorder(source.desc, target.desc)->run(b);
        EXPECT_EQ(download(*cpu, target).v, tensor.v) << from.id << " to " << to.id;
        expect_clean_padding(*cpu, target, "a reordered tensor");
      }
    }
  }
}

/// Every layout of weights that a convolution asks for can be stored and read back; only weights
/// prepared for Winograd are oneDNN's own.
TEST(CpuLayouts, WeightsGoThereAndBack) {
  const BackendPtr cpu = make_cpu_backend(2);
  int opaque = 0, blocked = 0;
  struct Net {
    Conv2d op;
    Shape x;
  };
  for (const Net& net :
       {Net{conv(64, 3, 1), {2, 64, 14, 14}}, Net{conv(17, 3, 1), {2, 13, 8, 8}},
        Net{conv(32, 3, 1), {2, 3, 12, 12}}, Net{conv(32, 3, 1, 32), {2, 32, 8, 8}},
        Net{conv(64, 3, 1, 2), {2, 64, 8, 8}}, Net{conv(32, 1, 1), {2, 64, 8, 8}}}) {
    for (const Mode mode : {Mode::train, Mode::eval}) {
      for (const KernelOffer& offer : ask(*cpu, net.op, net.x, kBlocked, Pass::forward, mode)) {
        const TensorDesc& desc = offer.params[0];
        EXPECT_EQ(desc.bytes, cpu->layout_bytes(desc.shape, desc.dtype, desc.layout));
        HostTensor weights{desc.shape, {}};
        for (int i = 0; i < desc.shape.count(); ++i) weights.v.push_back(i % 1000);
        DeviceTensor there = upload(*cpu, weights, desc);
        if (!cpu->storable(desc)) {
          EXPECT_THAT(cpu->layout_name(desc.layout), HasSubstr("winograd"));
          ++opaque;
          continue;
        }
        blocked += desc.layout.id > kBlocked.id ? 1 : 0;
        EXPECT_EQ(download(*cpu, there).v, weights.v) << cpu->layout_name(desc.layout);
        expect_clean_padding(*cpu, there, cpu->layout_name(desc.layout));
      }
    }
  }
  EXPECT_GT(blocked, 5);
  const bool avx512 = cpu->layout_name(kBlocked) == "nChw16c";
  EXPECT_EQ(opaque > 0, avx512);
}

/// In the middle of a net nothing is reordered: every pass takes the tensors as forward left them.
TEST(CpuOffers, PassesOfAConvolutionShareLayouts) {
  const BackendPtr cpu = make_cpu_backend(2);
  const std::string machine = cpu->identity();
  if (machine.find("avx2") == std::string::npos && machine.find("avx512") == std::string::npos) {
    GTEST_SKIP() << "oneDNN computes strided gradients in blocks from AVX2 on: " << machine;
  }
  struct Net {
    Conv2d op;
    Shape x;
  };
  for (const Net& net :
       {Net{conv(64, 3, 1), {64, 32, 16, 16}}, Net{conv(128, 3, 2), {64, 64, 16, 16}},
        Net{conv(32, 1, 1), {64, 64, 16, 16}}, Net{conv(64, 3, 1), {64, 64, 4, 4}},
        Net{conv(128, 3, 1), {64, 64, 2, 2}}}) {
    const KernelOffer forward = ask(*cpu, net.op, net.x, kBlocked).front();
    SCOPED_TRACE(net.op.describe() + ", " + forward.name);
    EXPECT_EQ(forward.inputs[0].layout, kBlocked);
    EXPECT_EQ(forward.output.layout, kBlocked);
    for (const Pass pass : {Pass::backward_data, Pass::backward_weights}) {
      KernelQuery query = plain_query(net.op, {net.x}, pass, Mode::train, DType::f32);
      query.inputs = forward.inputs;
      query.output = forward.output;
      query.params = forward.params;
      const KernelOffer offer = cpu->offers(query, nullptr).front();
      EXPECT_EQ(offer.inputs[0].layout, kBlocked) << offer.name;
      EXPECT_EQ(offer.output.layout, kBlocked) << offer.name;
    }
  }
}

TEST(CpuOffers, DirectAndWinogradAreOfferedForEveryPass) {
  const BackendPtr cpu = make_cpu_backend(2);
  if (cpu->layout_name(kBlocked) != "nChw16c") GTEST_SKIP() << "Winograd needs AVX-512";
  const Conv2d op = conv(64, 3, 1);
  for (const Pass pass : {Pass::forward, Pass::backward_data, Pass::backward_weights}) {
    int winograd = 0, direct = 0;
    KernelQuery query = plain_query(op, {{8, 64, 16, 16}}, pass, Mode::train, DType::f32);
    query.inputs[0] = desc_in(*cpu, {8, 64, 16, 16}, kBlocked);
    for (const KernelOffer& offer : cpu->offers(query, nullptr)) {
      winograd += offer.name.find("wino") != std::string::npos ? 1 : 0;
      direct += offer.name.rfind("onednn:jit:", 0) == 0 ? 1 : 0;
    }
    EXPECT_GT(winograd, 0) << to_string(pass);
    EXPECT_GT(direct, 0) << to_string(pass);
  }
}

// Winograd's rounding in a bf16 forward pass is noise that a training cannot fit.
TEST(CpuOffers, Bf16ForwardPassesRoundAsDirectConvolutionsDo) {
  const BackendPtr cpu = make_cpu_backend(2);
  if (!cpu->supports(DType::bf16) || cpu->layout_name(kBlocked) != "nChw16c") {
    GTEST_SKIP() << "bf16 and Winograd need AVX-512";
  }
  for (const int stride : {1, 2}) {
    const Conv2d op = conv(64, 3, stride);
    for (const Pass pass : {Pass::forward, Pass::backward_data, Pass::backward_weights}) {
      KernelQuery query = plain_query(op, {{8, 64, 16, 16}}, pass, Mode::train, DType::bf16);
      query.inputs[0] = desc_in(*cpu, {8, 64, 16, 16}, kBlocked);
      query.inputs[0].dtype = DType::bf16;
      query.inputs[0].bytes /= 2;
      query.params[0] = plain_desc(query.params[0].shape, DType::f32);
      int winograd = 0;
      for (const KernelOffer& offer : cpu->offers(query, nullptr)) {
        winograd += offer.algorithm == KernelAlgorithm::winograd &&
                    offer.inputs[0].dtype == DType::bf16;  // kernels in f32 may compete
      }
      EXPECT_EQ(winograd > 0, pass != Pass::forward) << to_string(pass) << ", stride " << stride;
    }
  }
}

TEST(CpuOffers, OnlyThreeLayoutsOfActivationsWhereTheLibraryHasThem) {
  const BackendPtr cpu = make_cpu_backend(2);
  for (const KernelOffer& offer : ask(*cpu, conv(64, 3, 2), {4, 32, 9, 9}, kBlocked)) {
    EXPECT_LE(offer.inputs[0].layout.id, kBlocked.id) << offer.name;
    EXPECT_LE(offer.output.layout.id, kBlocked.id) << offer.name;
  }
}

TEST(CpuBackend, RefusesWithAReason) {
  const BackendPtr cpu = make_cpu_backend(1);
  const auto reason = [&](const Op& op, const Shape& x, Pass pass, Mode mode, DType dtype) {
    std::string text;
    EXPECT_TRUE(cpu->offers(plain_query(op, {x}, pass, mode, dtype), &text).empty());
    return text;
  };
  const BatchNorm norm;
  EXPECT_THAT(reason(norm, {1, 3, 1, 1}, Pass::forward, Mode::train, DType::f32),
              HasSubstr("one value"));
  EXPECT_THAT(reason(norm, {2, 3, 1, 1}, Pass::forward, Mode::train, DType::f64),
              HasSubstr("f32, not in f64"));
  EXPECT_THAT(reason(norm, {2, 3, 2, 2}, Pass::backward_data, Mode::train, DType::f32),
              HasSubstr("no pass"));
  EXPECT_THAT(reason(Pool{}, {2, 3, 4, 4}, Pass::backward, Mode::eval, DType::f32),
              HasSubstr("saves nothing"));
  BatchNorm sigmoid;
  sigmoid.act.kind = ActKind::sigmoid;
  EXPECT_THAT(reason(sigmoid, {2, 3, 2, 2}, Pass::forward, Mode::train, DType::f32),
              HasSubstr("relu"));
}

TEST(CpuBackend, IdentityNamesWhatResultsDependOn) {
  const BackendPtr cpu = make_cpu_backend(2);
  EXPECT_THAT(cpu->identity(), HasSubstr("oneDNN 2."));
  EXPECT_THAT(cpu->identity(), HasSubstr("2 threads"));
  EXPECT_EQ(compute_threads(), 2);
  EXPECT_THAT(make_cpu_backend(1)->identity(), HasSubstr("1 thread"));
  EXPECT_NE(make_cpu_backend(0), nullptr);
  EXPECT_EQ(compute_threads(), usable_cores());
}

TEST(CpuBackend, MemoryIsAlignedZeroedAndRefusedWhenThereIsNone) {
  const BackendPtr cpu = make_cpu_backend(2);
  for (const std::size_t bytes : {std::size_t{0}, std::size_t{100}, std::size_t{5} << 20}) {
    const MemoryPtr memory = cpu->allocate(bytes);
    ASSERT_EQ(memory->bytes(), bytes);
    const std::size_t align = bytes >= (std::size_t{2} << 20) ? std::size_t{2} << 20 : 64;
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(memory->data()) % align, 0u);
    for (std::size_t i = 0; i < bytes; i += 997) EXPECT_EQ(memory->data()[i], std::byte{0});
  }
  EXPECT_THROW(cpu->allocate(~std::size_t{0}), DeviceError);
  EXPECT_THROW(cpu->allocate(std::size_t{1} << 50), DeviceError);
}

TEST(CpuBackend, WrongLabelsAreAnError) {
  const BackendPtr cpu = make_cpu_backend(1);
  const std::vector<Shape> inputs = {{2, 3, 1, 1}, {2, 1, 1, 1}};
  const SoftmaxXent cross_entropy;
  const Hinge hinge;
  const TopkCount count;
  for (const Op* op : std::initializer_list<const Op*>{&cross_entropy, &hinge, &count}) {
    const KernelOffer offer =
        cpu->offers(plain_query(*op, inputs, Pass::forward, Mode::train, DType::f32), nullptr)
            .front();
    for (const double label : {-1.0, 3.0}) {
      OpData data = make_data(*op, inputs, Fill::real, 1);
      data.x[1].v[1] = label;
      DeviceTensor scores = upload(*cpu, data.x[0], offer.inputs[0]);
      DeviceTensor labels = upload(*cpu, data.x[1], offer.inputs[1]);
      DeviceTensor y = poisoned(*cpu, offer.output);
      GuardedBuffer aux(*cpu, offer.aux_bytes), workspace(*cpu, offer.workspace_bytes);
      Bindings b;
      b.x = {scores.data(), labels.data()};
      b.y = y.data();
      b.aux = offer.aux_bytes > 0 ? aux.data() : nullptr;
      b.workspace = workspace.data();
      EXPECT_THROW(offer.make()->run(b), DataError) << op->describe() << ", label " << label;
    }
  }
}

}  // namespace
}  // namespace daybreak
