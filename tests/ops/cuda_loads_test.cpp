// Batch norms that the convolution behind them applies on load (BatchNorm::deferred,
// Conv2d::loads): the parts give the bits of norm and convolution by themselves, engines that do it
// in one kernel the reference's numbers. Part of cuda_test.

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>

#include <gtest/gtest.h>

#include "cuda_device.h"
#include "ops/batchnorm.h"
#include "ops/conv2d.h"
#include "support/device_tensor.h"
#include "support/op_data.h"
#include "support/op_harness.h"

namespace daybreak {
namespace {

BatchNorm relu_norm() {
  BatchNorm norm;
  norm.act = {ActKind::relu};
  norm.measured = norm.chained = true;
  return norm;
}

/// Numbers of channels that are not symmetric about 0, so that relu(shift) is not the border's 0.
HostTensor channel_numbers(int channels) {
  HostTensor numbers{{4, channels, 1, 1}, {}};  // mean, variance, scale, shift
  for (int i = 0; i < 4 * channels; ++i) {
    const double wave = std::sin(1.0 + i);
    const int row = i / channels;
    numbers.v.push_back(static_cast<float>(row == 0   ? 0.2 * wave
                                           : row == 1 ? 0.6 + 0.3 * wave
                                                      : 0.4 + 0.5 * wave));
  }
  return numbers;
}

/// A norm and the convolution that reads it, on one set of numbers.
class LoadedNorm {
 public:
  LoadedNorm(const Conv2d& conv, const Shape& x, DType dtype)
      : conv_(conv),
        norm_(relu_norm()),
        shape_(x),
        dtype_(dtype),
        data_(make_data(conv, {x}, Fill::real, 11, dtype)),
        numbers_(channel_numbers(x.c)),
        channels_(upload(cuda(), numbers_, plain_desc(numbers_.shape, DType::f32))) {
    loads_ = conv_;
    loads_.loads = loads_.chain = true;
  }

  /// Forward by the norm itself, and deferred; both move the same running statistics.
  void run_norms() {
    BatchNorm deferred = norm_;
    deferred.deferred = true;
    running_ = run_norm(norm_, aux_, y_);
    DeviceTensor nothing;
    EXPECT_EQ(run_norm(deferred, saved_, nothing), running_);
    EXPECT_EQ(nothing.data(), nullptr);
    std::vector<std::byte> first = saved_->read();
    first.resize(aux_->bytes());
    EXPECT_TRUE(first == aux_->read()) << "what the norm's gradient reads";
  }

  /// Every offer of a pass; how many of them were fused.
  int compare(Pass pass) {
    const KernelQuery apart = query(conv_, pass), joined = query(loads_, pass);
    const std::vector<KernelOffer> known = cuda().offers(apart, nullptr);
    int fused = 0;
    for (const KernelOffer& offer : cuda().offers(joined, nullptr)) {
      SCOPED_TRACE(std::string(to_string(pass)) + " " + offer.name);
      const Bytes actual = run(offer, pass, x_.data(), saved_->data());
      const auto same = std::find_if(known.begin(), known.end(), [&](const KernelOffer& other) {
        return other.name == offer.name;
      });
      EXPECT_EQ(offer.fused, same == known.end());
      fused += offer.fused;
      if (same != known.end()) {
        EXPECT_TRUE(run(*same, pass, y_.data(), nullptr) == actual) << "not the parts' bits";
      }
      expect_near_reference(pass);
    }
    return fused;
  }

 private:
  using Bytes = std::vector<std::vector<std::byte>>;

  std::byte* row(int i) {
    return channels_.data() + static_cast<std::size_t>(i) * shape_.c * sizeof(float);
  }

  // The running statistics behind it.
  std::vector<double> run_norm(const BatchNorm& norm, BufferPtr& aux, DeviceTensor& y) {
    KernelQuery query = plain_query(norm, {shape_}, Pass::forward, Mode::train, dtype_);
    const KernelOffer offer = cuda().offers(query, nullptr).at(0);
    HostTensor start{{2, shape_.c, 1, 1}, std::vector<double>(2 * shape_.c, 0.5)};
    DeviceTensor running = upload(cuda(), start, plain_desc(start.shape, DType::f32));
    aux = std::make_unique<GuardedBuffer>(cuda(), offer.aux_bytes);
    EXPECT_EQ(offer.aux_bytes, (norm.deferred ? BatchNorm::kDeferredRows : 2) * shape_.c * 4u);
    Bindings b;
    if (!norm.deferred) {
      x_ = upload(cuda(), data_.x[0], offer.inputs[0]);
      y = poisoned(cuda(), offer.output);
      b.x = {x_.data()};
      b.y = y.data();
    }
    b.w = {row(2), row(3), running.data(), running.data() + shape_.c * sizeof(float)};
    b.statistics = row(0);
    b.aux = aux->data();
    offer.make()->run(b);
    cuda().synchronize();
    aux->expect_guards("aux");
    return download(cuda(), running).v;
  }

  KernelQuery query(const Conv2d& conv, Pass pass) const {
    KernelQuery query = plain_query(conv, {shape_}, pass, Mode::train, dtype_);
    query.want_dw = pass == Pass::backward_weights;
    if (query.want_dw) {
      for (TensorDesc& param : query.params) param = plain_desc(param.shape, DType::f32);
    }
    return query;
  }

  Bytes run(const KernelOffer& offer, Pass pass, std::byte* x, std::byte* aux) {
    const bool forward = pass == Pass::forward;
    std::vector<DeviceTensor> params;
    for (std::size_t i = 0; i < offer.params.size(); ++i) {
      params.push_back(forward ? upload(cuda(), data_.w[i], offer.params[i])
                               : poisoned(cuda(), offer.params[i]));
    }
    DeviceTensor y =
        forward ? poisoned(cuda(), offer.output) : upload(cuda(), data_.dy, offer.output);
    DeviceTensor statistics =
        poisoned(cuda(), plain_desc({2, offer.output.shape.c, 1, 1}, DType::f32));
    GuardedBuffer workspace(cuda(), offer.workspace_bytes);
    Bindings b;
    b.x = {x};
    for (DeviceTensor& t : params) (forward ? b.w : b.dw).push_back(t.data());
    (forward ? b.y : b.dy) = y.data();
    b.statistics = statistics.data();
    b.aux = aux;
    b.workspace = workspace.data();
    EXPECT_EQ(offer.reads.aux, !forward && aux != nullptr);
    offer.make()->run(b);
    cuda().synchronize();
    workspace.expect_guards("workspace");
    Bytes bytes;
    found_.clear();
    const auto keep = [&](DeviceTensor& tensor) {
      bytes.push_back(tensor.buffer->read());
      found_.push_back(download(cuda(), tensor));
    };
    if (forward) keep(y);
    if (forward && conv_.measures) keep(statistics);
    for (DeviceTensor& t : params) {
      if (!forward) keep(t);
    }
    return bytes;
  }

  // The convolution of relu(norm(x)), in double.
  void expect_near_reference(Pass pass) {
    OpData data = data_;
    const auto channels = static_cast<std::size_t>(shape_.c),
               pixels = static_cast<std::size_t>(shape_.spatial());
    for (std::size_t i = 0; i < data.x[0].v.size(); ++i) {
      const std::size_t c = i / pixels % channels;
      const auto of = [&](std::size_t row) { return numbers_.v[row * channels + c]; };
      const double hat = (data.x[0].v[i] - of(0)) / std::sqrt(of(1) + double{norm_.eps});
      data.x[0].v[i] = std::max(0.0, hat * of(2) + of(3));
    }
    const OpResult result = run_reference(conv_, data, Mode::train, DType::f64, Want::backward);
    std::vector<HostTensor> expected;
    if (pass == Pass::forward) expected.push_back(result.y);
    if (pass == Pass::forward && conv_.measures) expected.push_back(result.statistics);
    if (pass == Pass::backward_weights) expected = result.dw;
    ASSERT_EQ(found_.size(), expected.size());
    for (std::size_t t = 0; t < expected.size(); ++t) {
      double error = 0.0, size = 0.0;
      for (std::size_t i = 0; i < expected[t].v.size(); ++i) {
        error += std::pow(found_[t].v[i] - expected[t].v[i], 2);
        size += std::pow(expected[t].v[i], 2);
      }
      // Scale and shift, the activated value and the result are each rounded once.
      EXPECT_LE(std::sqrt(error / size), dtype_ == DType::bf16 ? 1e-2 : 1.2e-3) << "tensor " << t;
    }
  }

  Conv2d conv_, loads_;
  BatchNorm norm_;
  Shape shape_;
  DType dtype_;
  OpData data_;
  HostTensor numbers_;
  DeviceTensor channels_, x_, y_;
  BufferPtr aux_, saved_;
  std::vector<double> running_;
  std::vector<HostTensor> found_;
};

Conv2d conv_of(int filters, int size, int stride, int pad) {
  Conv2d conv;
  conv.out_channels = filters;
  conv.kernel_h = conv.kernel_w = size;
  conv.stride_h = conv.stride_w = stride;
  conv.pad_h = conv.pad_w = pad;
  conv.bias = false;
  return conv;
}

void check(const Conv2d& conv, const Shape& x, int* fused = nullptr) {
  for (const DType dtype : {DType::bf16, DType::f16}) {
    SCOPED_TRACE(std::string(to_string(dtype)) + " " + conv.describe() + " " + to_string(x));
    LoadedNorm pair(conv, x, dtype);
    pair.run_norms();
    for (const Pass pass : {Pass::forward, Pass::backward_weights}) {
      const int count = pair.compare(pass);
      if (fused != nullptr) *fused += count;
    }
  }
}

TEST(CudaBackend, ConvolutionsApplyNormsOnLoad) {
  int fused = 0;
  for (const bool measures : {false, true}) {
    for (const int stride : {1, 2}) {
      for (const int size : {1, 3}) {
        Conv2d conv = conv_of(16, size, stride, size / 2);
        conv.measures = measures;
        check(conv, {3, 24, 7, 6}, &fused);
        if (measures) check(conv, {2, 64, 5, 5}, &fused);
        check(conv, {3, 5, 6, 4});  // an odd row of channels: parts alone
      }
    }
  }
  std::printf("engines: %d that apply norms on load\n", fused);
}

// Wide borders, holes, groups, a bias.
TEST(CudaBackend, NormsOnLoadOfOddConvolutions) {
  check(conv_of(8, 5, 1, 4), {2, 16, 4, 5});
  Conv2d conv = conv_of(16, 3, 1, 2);
  conv.dilation_h = conv.dilation_w = 2;
  check(conv, {2, 8, 6, 7});
  conv = conv_of(8, 3, 2, 1);
  conv.groups = 2;
  conv.bias = true;
  check(conv, {2, 16, 5, 6});
  conv = conv_of(6, 1, 1, 1);  // a border of sums of nothing
  conv.kernel_w = 3;
  check(conv, {2, 8, 3, 4});
}

// A channel whose values are all but equal and far from 0: what f16 cannot hold stays finite.
TEST(CudaBackend, FactorsOfAConstantChannelStayFinite) {
  BatchNorm norm = relu_norm();
  norm.deferred = true;
  const Shape x{2, 8, 4, 4};
  const KernelOffer offer =
      cuda().offers(plain_query(norm, {x}, Pass::forward, Mode::train, DType::f16), nullptr).at(0);
  HostTensor numbers{{6, x.c, 1, 1}, std::vector<double>(6 * x.c, 1.0)};
  for (int c = 0; c < x.c; ++c) {
    numbers.v[c] = c % 2 == 0 ? 3e4 : -3e4;
    numbers.v[x.c + c] = 0.0;
    numbers.v[2 * x.c + c] = c < 4 ? 1.0 : 500.0;
  }
  DeviceTensor given = upload(cuda(), numbers, plain_desc(numbers.shape, DType::f32));
  const auto row = [&](int i) { return given.data() + i * x.c * sizeof(float); };
  GuardedBuffer saved(cuda(), offer.aux_bytes);
  Bindings b;
  b.statistics = row(0);
  b.w = {row(2), row(3), row(4), row(5)};
  b.aux = saved.data();
  offer.make()->run(b);
  cuda().synchronize();
  const std::vector<std::byte> bytes = saved.read();
  for (int r = 4; r < 6; ++r) {
    for (int c = 0; c < x.c; ++c) {
      std::uint16_t bits = 0;
      std::memcpy(&bits, bytes.data() + (r * x.c * 4) + c * 2, 2);
      EXPECT_LT(bits & 0x7fff, 0x7c00) << "row " << r << " channel " << c;
    }
  }
}

}  // namespace
}  // namespace daybreak
