// Every kernel of the CUDA backend against the reference, per precision. Without a GPU the binary
// says so, with the number of tests not run, and ends with 0: ctest counts it as skipped.

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>

#include <gtest/gtest.h>

#include "core/error.h"
#include "cuda_device.h"
#include "op_cases.h"
#include "ops/batchnorm.h"
#include "ops/conv2d.h"
#include "support/device_tensor.h"
#include "support/forwarding_backend.h"
#include "support/op_data.h"
#include "support/op_harness.h"

namespace daybreak {
namespace {

/// Asks for forward kernels as if inputs lay in `layout`, and as if parameters were of `params`:
/// f32 ones are kept in f32 while activations are 16 bit.
class Asking final : public ForwardingBackend {
 public:
  Asking(Backend& inner, Layout layout, DType params)
      : ForwardingBackend(inner), layout_(layout), params_(params) {}

  std::vector<KernelOffer> offers(const KernelQuery& query, std::string* reason) override {
    KernelQuery changed = query;
    if (query.pass == Pass::forward) {
      for (TensorDesc& desc : changed.inputs) {
        if (desc.dtype != DType::u8 && desc.dtype != DType::i32) desc.layout = layout_;
      }
      for (TensorDesc& desc : changed.params) desc = plain_desc(desc.shape, params_);
    }
    return inner_.offers(changed, reason);
  }

 private:
  Layout layout_;
  DType params_;
};

std::string name_of(const testing::TestParamInfo<OpCase>& info) {
  return info.param.name;
}

HarnessOptions options_for(DType dtype, const Op& op) {
  HarnessOptions options;
  options.dtype = dtype;
  options.eval_backward = op.kind() == OpKind::batchnorm || op.kind() == OpKind::dropout;
  if (dtype == DType::f32) return options;
  // Products are exact and sums are taken in f32: what is left is the rounding of results, half a
  // unit of 8 (bf16) or 11 (f16) bits, once or twice.
  options.tolerance = options.tolerance_cap = dtype == DType::bf16 ? 6e-3 : 8e-4;
  // Products of linear layers are rounded before the bias is added: seen where the two nearly
  // cancel, as in a layer of one number.
  if (op.kind() == OpKind::linear) options.tolerance = options.tolerance_cap *= 3.0;
  // A norm in place finds its values again from a rounded output, behind a leaky slope of 0.1: from
  // its own one, which training's forward pass rounds so that signs can be told.
  if (op.kind() == OpKind::batchnorm && static_cast<const BatchNorm&>(op).in_place) {
    options.tolerance = options.tolerance_cap *= 4.0;
    options.eval_backward = false;
  }
  // Gradients of a mean over many elements are below the normal numbers of f16 (6e-5), where a unit
  // is 6e-8 whatever the value: that is what loss scaling is for.
  const bool loss = op.kind() == OpKind::distance || op.kind() == OpKind::bce ||
                    op.kind() == OpKind::softmax_xent || op.kind() == OpKind::hinge;
  if (loss && dtype == DType::f16) options.tolerance = options.tolerance_cap = 2e-2;
  return options;
}

class CudaOps : public testing::TestWithParam<OpCase> {
 protected:
  static void compare(DType dtype, Layout layout, DType params) {
    Asking backend(cuda(), layout, params);
    const auto op = GetParam().make();
    check_backend(backend, *op, GetParam().inputs, options_for(dtype, *op));
  }
};

TEST_P(CudaOps, f32) {
  compare(DType::f32, kNchw, DType::f32);
}
TEST_P(CudaOps, f32_nhwc) {
  compare(DType::f32, kNhwc, DType::f32);
}
TEST_P(CudaOps, bf16) {
  compare(DType::bf16, kNhwc, DType::bf16);
}
TEST_P(CudaOps, bf16_f32_params) {
  compare(DType::bf16, kNchw, DType::f32);
}
TEST_P(CudaOps, f16) {
  compare(DType::f16, kNchw, DType::f16);
}
TEST_P(CudaOps, f16_f32_params) {
  compare(DType::f16, kNhwc, DType::f32);
}

INSTANTIATE_TEST_SUITE_P(Ops, CudaOps, testing::ValuesIn(all_cases(LargeCases::with)), name_of);

// Says how many of the offers are engines that fuse.
void count_fusing(const KernelQuery& query) {
  const auto offers = cuda().offers(query, nullptr);
  const auto fusing = std::count_if(offers.begin(), offers.end(), [](const KernelOffer& offer) {
    return offer.name.find('+') != std::string::npos;
  });
  std::printf("engines: %s %s, %s, %d of %zu fuse\n", query.op->describe().c_str(),
              std::string(to_string(query.pass)).c_str(), to_string(query.inputs[0].dtype),
              static_cast<int>(fusing), offers.size());
}

// What the plan's fusion passes make, which no case of all backends has.
void check_joined(const Op& op, const std::vector<Shape>& shapes) {
  for (const DType dtype : {DType::f32, DType::bf16, DType::f16}) {
    SCOPED_TRACE(std::string(to_string(dtype)) + " " + op.describe() + " " + to_string(shapes[0]));
    Asking backend(cuda(), kNhwc, DType::f32);
    HarnessOptions options = options_for(dtype, op);
    options.integers = false;
    check_backend(backend, op, shapes, options);
  }
}

TEST(CudaBackend, NormsWithActivationAndSum) {
  for (const int channels : {3, 24, 64}) {
    for (const bool last : {false, true}) {
      BatchNorm norm;
      norm.sum = true;
      norm.act_last = last;
      for (const Activation& act : {Activation{ActKind::leaky, 0.1f}, Activation{ActKind::relu}}) {
        norm.act = act;
        check_joined(norm, std::vector<Shape>(2, Shape{4, channels, 5, 3}));
      }
    }
  }
}

TEST(CudaBackend, ConvolutionsMeasureAndNormsTakeIt) {
  for (const int channels : {3, 24, 64}) {
    BatchNorm norm;
    norm.measured = true;
    norm.act = {ActKind::relu};
    check_joined(norm, {{4, channels, 5, 3}});
    Conv2d conv;
    conv.measures = true;
    conv.out_channels = channels;
    for (const bool bias : {false, true}) {
      conv.bias = bias;
      for (const Shape& x : {Shape{3, 5, 7, 6}, Shape{8, 64, 8, 8}}) check_joined(conv, {x});
    }
  }
  Conv2d conv;
  conv.bias = false;
  conv.measures = true;
  for (const DType dtype : {DType::f32, DType::bf16, DType::f16}) {
    count_fusing(plain_query(conv, {{8, 64, 8, 8}}, Pass::forward, Mode::train, dtype));
  }
}

// Conv2d::chain, by every offer: the sums, and a gradient that relu' turns into the same.
void check_chain(DType dtype, const Shape& x) {
  Conv2d conv;
  conv.out_channels = 16;
  conv.bias = false;
  const OpData data = make_data(conv, {x}, Fill::real, 9, dtype);
  const HostTensor gradient =
      run_reference(conv, data, Mode::train, DType::f64, Want::backward).dx[0];
  HostTensor norm{{4, x.c, 1, 1}, std::vector<double>(static_cast<std::size_t>(4) * x.c)};
  for (std::size_t i = 0; i < norm.v.size(); ++i) {  // mean, inverse, scale, shift
    norm.v[i] = static_cast<float>(std::sin(1.0 + static_cast<double>(i)) * 0.3 + 0.5);
  }
  const auto channels = static_cast<std::size_t>(x.c),
             pixels = static_cast<std::size_t>(x.spatial());
  std::vector<double> g(gradient.v.size()), sums(2 * channels);
  for (std::size_t i = 0; i < g.size(); ++i) {
    const std::size_t c = i / pixels % channels;
    const double hat = (data.x[0].v[i] - norm.v[c]) * norm.v[channels + c];
    const bool on = hat * norm.v[2 * channels + c] + norm.v[3 * channels + c] > 0.0;
    g[i] = on ? gradient.v[i] : 0.0;
    sums[c] += g[i], sums[channels + c] += g[i] * hat;
  }
  conv.chain = true;
  KernelQuery query = plain_query(conv, {x}, Pass::backward_data, Mode::train, dtype);
  query.want_dx = {true};
  const double allowed = dtype == DType::f32 ? 1e-5 : dtype == DType::f16 ? 4e-3 : 3e-2;
  for (const KernelOffer& offer : cuda().offers(query, nullptr)) {
    SCOPED_TRACE(offer.name);
    DeviceTensor dy = upload(cuda(), data.dy, offer.output), dx = poisoned(cuda(), offer.inputs[0]);
    DeviceTensor input = upload(cuda(), data.x[0], offer.inputs[0]);
    DeviceTensor w = upload(cuda(), data.w[0], offer.params[0]);
    DeviceTensor numbers = upload(cuda(), norm, plain_desc(norm.shape, DType::f32));
    DeviceTensor found = poisoned(cuda(), plain_desc({2, x.c, 1, 1}, DType::f32));
    GuardedBuffer workspace(cuda(), offer.workspace_bytes);
    const auto row = [&](std::size_t i) { return numbers.data() + i * channels * sizeof(float); };
    Bindings b;
    b.x = {nullptr, input.data()};
    b.dx = {dx.data()};
    b.w = {w.data(), row(2), row(3)};
    b.dy = dy.data(), b.aux = row(0), b.statistics = found.data(), b.workspace = workspace.data();
    const KernelPtr kernel = offer.make();
    kernel->run(b);
    cuda().synchronize();
    const HostTensor actual = download(cuda(), dx), totals = download(cuda(), found);
    double error = 0.0, size = 0.0;
    for (std::size_t i = 0; i < g.size(); ++i) {
      error += g[i] != 0.0 ? std::pow(actual.v[i] - g[i], 2) : 0.0;
      size += g[i] * g[i];
    }
    EXPECT_LE(std::sqrt(error), allowed * std::sqrt(size));
    double magnitude = 0.0;
    for (const double sum : sums) magnitude = std::max(magnitude, std::abs(sum));
    for (std::size_t i = 0; i < sums.size(); ++i) {
      EXPECT_NEAR(totals.v[i], sums[i], allowed * magnitude) << i;
    }
    workspace.expect_guards("workspace");
    found.buffer->expect_guards("statistics");
  }
}

TEST(CudaBackend, DataGradientsAreSummedUpForNorms) {
  for (const DType dtype : {DType::f32, DType::bf16, DType::f16}) {
    SCOPED_TRACE(to_string(dtype));
    check_chain(dtype, {3, 24, 6, 5});
    check_chain(dtype, {4, 64, 8, 8});
    check_chain(dtype, {2, 5, 4, 3});
    Conv2d conv;
    conv.chain = true;
    count_fusing(plain_query(conv, {{4, 64, 8, 8}}, Pass::backward_data, Mode::train, dtype));
  }
}

TEST(CudaBackend, ConvolutionsEndInSumsAndActivations) {
  const Activation acts[] = {{}, {ActKind::relu}, {ActKind::leaky, 0.1f}, {ActKind::mish}};
  for (const int channels : {5, 64}) {
    for (const Activation& act : acts) {
      for (const bool residual : {false, true}) {
        Conv2d conv;
        conv.out_channels = channels;
        conv.act = act;
        conv.residual = residual;
        std::vector<Shape> shapes = {{2, channels, 6, 5}};
        if (residual) shapes.push_back(shapes[0]);
        for (const DType dtype : {DType::f32, DType::bf16, DType::f16}) {
          SCOPED_TRACE(std::string(to_string(dtype)) + " " + conv.describe());
          Asking backend(cuda(), kNhwc, DType::f32);
          HarnessOptions options = options_for(dtype, conv);
          options.modes = {Mode::eval};
          options.integers = false;
          check_backend(backend, conv, shapes, options);
        }
      }
    }
  }
}

/// Two runs of the same kernel on the same data give the same bits.
class CudaRepeats : public testing::TestWithParam<OpCase> {
 protected:
  struct Run {
    std::vector<std::vector<std::byte>> bytes;
  };

  static Run run_offer(const KernelOffer& offer, const OpData& data, const KernelQuery& query) {
    Backend& backend = cuda();
    std::vector<DeviceTensor> x, w, dx, dw;
    for (std::size_t i = 0; i < offer.inputs.size(); ++i) {
      x.push_back(upload(backend, data.x[i], offer.inputs[i]));
      dx.push_back(poisoned(backend, offer.inputs[i]));
    }
    for (std::size_t i = 0; i < offer.params.size(); ++i) {
      w.push_back(upload(backend, data.w[i], offer.params[i]));
      dw.push_back(poisoned(backend, offer.params[i]));
    }
    DeviceTensor dy = upload(backend, data.dy, offer.output);
    DeviceTensor y = poisoned(backend, offer.output);
    GuardedBuffer workspace(backend, offer.workspace_bytes);
    Bindings b;
    for (DeviceTensor& t : x) b.x.push_back(t.data());
    for (DeviceTensor& t : w) b.w.push_back(t.data());
    const bool forward = query.pass == Pass::forward;
    for (DeviceTensor& t : dx) {
      b.dx.push_back(forward || query.pass == Pass::backward_weights ? nullptr : t.data());
    }
    for (DeviceTensor& t : dw) {
      b.dw.push_back(query.pass == Pass::backward_weights ? t.data() : nullptr);
    }
    b.y = y.data();
    b.dy = dy.data();
    b.workspace = workspace.data();
    offer.make()->run(b);
    backend.synchronize();
    Run run;
    if (forward) run.bytes.push_back(y.buffer->read());
    for (DeviceTensor& t : query.pass == Pass::backward_weights ? dw : dx) {
      if (!forward) run.bytes.push_back(t.buffer->read());
    }
    return run;
  }
};

TEST_P(CudaRepeats, BitForBit) {
  const auto op = GetParam().make();
  for (const DType dtype : {DType::f32, DType::bf16}) {
    const OpData data = make_data(*op, GetParam().inputs, Fill::real, 3, dtype);
    for (const Pass pass : {Pass::forward, Pass::backward_data, Pass::backward_weights}) {
      const KernelQuery query = plain_query(*op, GetParam().inputs, pass, Mode::train, dtype);
      std::string reason;
      for (const KernelOffer& offer : cuda().offers(query, &reason)) {
        SCOPED_TRACE(std::string(to_string(pass)) + " " + to_string(dtype) + " " + offer.name);
        const Run first = run_offer(offer, data, query);
        for (int i = 0; i < 3; ++i) {
          EXPECT_TRUE(run_offer(offer, data, query).bytes == first.bytes) << "results differ";
        }
      }
    }
  }
}

std::vector<OpCase> split_cases() {
  std::vector<OpCase> result;
  for (const OpKind kind : {OpKind::conv2d, OpKind::conv2d_transpose, OpKind::linear}) {
    for (OpCase& one : cases(kind)) {
      one.name = std::string(to_string(kind)) + "_" + one.name;
      result.push_back(std::move(one));
    }
  }
  return result;
}

INSTANTIATE_TEST_SUITE_P(Ops, CudaRepeats, testing::ValuesIn(split_cases()), name_of);

TEST(CudaBackend, Accumulates) {
  check_accumulate(cuda());
}

TEST(CudaBackend, Updates) {
  for (const OptimizerKind kind :
       {OptimizerKind::sgd, OptimizerKind::adagrad, OptimizerKind::rmsprop, OptimizerKind::adadelta,
        OptimizerKind::adam}) {
    for (const bool flag : {false, true}) {
      OptimizerAttrs attrs;
      attrs.kind = kind;
      attrs.nesterov = attrs.centered = flag;
      SCOPED_TRACE(std::string(to_string(kind)) + (flag ? " nesterov/centered" : ""));
      check_optimizer(cuda(), attrs, 2e-6, {DType::bf16, DType::f16});
      check_guarded_update(cuda(), attrs);
      attrs.decay = DecayForm::decoupled;
      attrs.lr_in_slot = kind == OptimizerKind::sgd;
      check_optimizer(cuda(), attrs);
    }
  }
}

TEST(CudaBackend, ReordersBetweenLayoutsAndTypes) {
  for (const Shape& shape : {Shape{1, 1, 1, 1}, Shape{2, 3, 5, 7}, Shape{3, 127, 33, 31},
                             Shape{5, 64, 1, 1}, Shape{70000, 3, 2, 1}}) {
    HostTensor tensor{shape, std::vector<double>(shape.count())};
    for (std::size_t i = 0; i < tensor.v.size(); ++i)
      tensor.v[i] = static_cast<double>(i % 251) - 125;
    for (const DType dtype : {DType::f32, DType::bf16, DType::f16}) {
      for (const Layout layout : {kNchw, kNhwc}) {
        TensorDesc desc = plain_desc(shape, dtype);
        desc.layout = layout;
        DeviceTensor there = upload(cuda(), tensor, desc);
        EXPECT_TRUE(download(cuda(), there).v == tensor.v)
            << to_string(shape) << " " << to_string(dtype) << " " << layout.id;
      }
    }
  }
}

/// Milliseconds of one call of an offer on uninitialised numbers: the mean of some, after a first.
double milliseconds(const KernelOffer& offer, Pass pass) {
  std::vector<MemoryPtr> memory;
  const auto room = [&](std::size_t bytes) {
    memory.push_back(cuda().allocate(bytes));
    return memory.back()->data();
  };
  Bindings b;
  b.x = {room(offer.inputs[0].bytes)};
  b.y = b.dy = room(offer.output.bytes);
  b.w = {room(offer.params[0].bytes)};
  if (pass == Pass::backward_data) b.dx = {room(offer.inputs[0].bytes)};
  if (pass == Pass::backward_weights) b.dw = {room(offer.params[0].bytes)};
  b.workspace = room(offer.workspace_bytes);
  const KernelPtr kernel = offer.make();
  kernel->run(b);
  cuda().synchronize();
  constexpr int kRounds = 10;
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < kRounds; ++i) kernel->run(b);
  cuda().synchronize();
  const std::chrono::duration<double, std::milli> time = std::chrono::steady_clock::now() - begin;
  return time.count() / kRounds;
}

// Which engines the convolutions of the seed network get (batch 512); the lines are for people.
TEST(CudaBackend, FindsEnginesForTheSeedNetwork) {
  struct Layer {
    int in, out, size, kernel, stride;
  };
  const std::vector<Layer> layers = {
      {3, 32, 32, 3, 1},   {32, 64, 32, 3, 2},   {64, 32, 16, 1, 1},
      {32, 64, 16, 3, 1},  {128, 256, 16, 3, 2}, {256, 128, 8, 1, 1},
      {128, 256, 8, 3, 1}, {512, 1024, 4, 3, 2}, {512, 1024, 2, 3, 1}};
  for (const DType dtype : {DType::f32, DType::bf16, DType::f16}) {
    for (const Layer& layer : layers) {
      Conv2d op;
      op.out_channels = layer.out;
      op.kernel_h = op.kernel_w = layer.kernel;
      op.stride_h = op.stride_w = layer.stride;
      op.pad_h = op.pad_w = layer.kernel / 2;
      op.bias = false;
      const std::vector<Shape> inputs = {{512, layer.in, layer.size, layer.size}};
      for (const Pass pass : {Pass::forward, Pass::backward_data, Pass::backward_weights}) {
        KernelQuery query = plain_query(op, inputs, pass, Mode::train, dtype);
        query.params[0] = plain_desc(query.params[0].shape, DType::f32);
        std::string reason;
        const auto offers = cuda().offers(query, &reason);
        std::string text;
        for (const KernelOffer& offer : offers) {
          if (offer.name == "own:direct") continue;
          char part[96];
          std::snprintf(part, sizeof part, " %s %.3f ms %.1f MiB;", offer.name.c_str(),
                        milliseconds(offer, pass), offer.workspace_bytes / 1048576.0);
          text += part;
        }
        std::printf("engines: %s %dx%d %d->%d @%d/%d %s:%s\n", to_string(dtype), layer.kernel,
                    layer.kernel, layer.in, layer.out, layer.size, layer.stride,
                    std::string(to_string(pass)).c_str(), text.c_str());
        EXPECT_GT(offers.size(), 1u) << "only the direct kernel is left: " << reason;
      }
    }
  }
}

TEST(CudaBackend, SaysHowMuchMemoryWasWanted) {
  try {
    cuda().allocate(std::size_t{1} << 50);
    FAIL() << "a petabyte was given";
  } catch (const DeviceError& error) {
    const std::string text = error.what();
    EXPECT_NE(text.find("out of GPU memory: 1048576.00 GiB wanted"), std::string::npos) << text;
    EXPECT_NE(text.find("free"), std::string::npos) << text;
  }
  EXPECT_NO_THROW(cuda().allocate(1024));  // the failure is not sticky
}

TEST(CudaBackend, RefusesWithAReason) {
  const auto op = cases(OpKind::act).front().make();
  KernelQuery query =
      plain_query(*op, cases(OpKind::act).front().inputs, Pass::forward, Mode::train, DType::f64);
  std::string reason;
  EXPECT_TRUE(cuda().offers(query, &reason).empty());
  EXPECT_NE(reason.find("f64"), std::string::npos) << reason;
}

}  // namespace
}  // namespace daybreak

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  std::string why;
  if (!testing::GTEST_FLAG(list_tests) && !daybreak::cuda_available(&why)) {
    std::printf("skipped: no CUDA device (%s); %d tests not run\n", why.c_str(),
                testing::UnitTest::GetInstance()->total_test_count());
    return 0;
  }
  return RUN_ALL_TESTS();
}
