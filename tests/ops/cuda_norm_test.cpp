// What norms in place must tell from a rounded output; part of cuda_test.

#include <algorithm>
#include <cmath>

#include <gtest/gtest.h>

#include "cuda_device.h"
#include "ops/batchnorm.h"
#include "support/device_tensor.h"
#include "support/op_data.h"
#include "support/op_harness.h"

namespace daybreak {
namespace {

// A small activation that rounding would lose in a large residual still has its slope: the
// gradient is that of a norm that keeps its input.
void check_told_sum(DType dtype, const Shape& shape) {
  BatchNorm norm;
  norm.sum = true;
  norm.act = {ActKind::leaky, 0.1f};
  OpData data = make_data(norm, {shape, shape}, Fill::real, 11, dtype);
  for (double& v : data.x[1].v) v = std::round(v * 4.0) * 8.0;
  const OpResult expected = run_reference(norm, data, Mode::train, DType::f64, Want::backward);
  norm.in_place = true;
  const KernelQuery query = plain_query(norm, {shape, shape}, Pass::forward, Mode::train, dtype);
  KernelQuery back = query;
  back.pass = Pass::backward;
  back.want_dx = {true, false}, back.want_dw = true;
  const KernelOffer forward = cuda().offers(query, nullptr).at(0);
  const KernelOffer backward = cuda().offers(back, nullptr).at(0);
  std::vector<DeviceTensor> w, dw;
  for (std::size_t i = 0; i < data.w.size(); ++i) {
    w.push_back(upload(cuda(), data.w[i], forward.params[i]));
    dw.push_back(poisoned(cuda(), forward.params[i]));
  }
  DeviceTensor x = upload(cuda(), data.x[0], forward.inputs[0]),
               residual = upload(cuda(), data.x[1], forward.inputs[1]),
               y = poisoned(cuda(), forward.output), dx = poisoned(cuda(), forward.inputs[0]),
               dy = upload(cuda(), data.dy, forward.output);
  GuardedBuffer aux(cuda(), forward.aux_bytes),
      workspace(cuda(), std::max(forward.workspace_bytes, backward.workspace_bytes));
  Bindings b;
  b.x = {x.data(), residual.data()};
  for (std::size_t i = 0; i < w.size(); ++i) {
    b.w.push_back(w[i].data());
    b.dw.push_back(i < 2 ? dw[i].data() : nullptr);
  }
  b.y = y.data(), b.aux = aux.data(), b.workspace = workspace.data();
  forward.make()->run(b);
  b.dx = {dx.data(), nullptr}, b.dy = dy.data(), b.x[0] = nullptr;
  backward.make()->run(b);
  cuda().synchronize();
  const HostTensor sum = download(cuda(), y), actual = download(cuda(), dx);
  int wrong = 0, lost = 0;
  double error = 0.0, size = 0.0;
  for (std::size_t i = 0; i < sum.v.size(); ++i) {
    const double a = expected.y.v[i] - data.x[1].v[i];
    if (std::abs(a) > 1e-6) wrong += (sum.v[i] > data.x[1].v[i]) != (a > 0.0);
    lost += std::abs(a) < 0.5 * std::abs(sum.v[i] - data.x[1].v[i]);
    error += std::pow(actual.v[i] - expected.dx[0].v[i], 2);
    size += std::pow(expected.dx[0].v[i], 2);
  }
  EXPECT_EQ(wrong, 0);
  if (dtype == DType::bf16) {
    EXPECT_GT(lost, 0) << "the residual is too small to prove anything";
  }
  const double allowed = dtype == DType::f32 ? 1e-4 : dtype == DType::f16 ? 0.01 : 0.08;
  EXPECT_LE(std::sqrt(error), allowed * std::sqrt(size));
}

TEST(CudaBackend, SumsInPlaceTellTheSignOfWhatWasAdded) {
  for (const DType dtype : {DType::f32, DType::bf16, DType::f16}) {
    SCOPED_TRACE(to_string(dtype));
    check_told_sum(dtype, {4, 64, 9, 8});
    check_told_sum(dtype, {5, 13, 7, 6});
  }
}

// What has overflowed must not look as if it had not: loss scaling counts on it.
TEST(CudaBackend, SumsInPlaceKeepInfinities) {
  BatchNorm norm;
  norm.sum = norm.in_place = true;
  norm.act = {ActKind::leaky, 0.1f};
  const Shape shape{4, 8, 5, 3};
  for (const DType dtype : {DType::f32, DType::bf16, DType::f16}) {
    SCOPED_TRACE(to_string(dtype));
    OpData data = make_data(norm, {shape, shape}, Fill::real, 11, dtype);
    for (std::size_t i = 0; i < data.x[1].v.size(); i += 3) {
      data.x[1].v[i] = i % 2 == 0 ? HUGE_VAL : -HUGE_VAL;
    }
    const KernelOffer offer =
        cuda()
            .offers(plain_query(norm, {shape, shape}, Pass::forward, Mode::train, dtype), nullptr)
            .at(0);
    std::vector<DeviceTensor> tensors;
    Bindings b;
    for (std::size_t i = 0; i < 2; ++i) {
      tensors.push_back(upload(cuda(), data.x[i], offer.inputs[i]));
      b.x.push_back(tensors.back().data());
    }
    for (std::size_t i = 0; i < data.w.size(); ++i) {
      tensors.push_back(upload(cuda(), data.w[i], offer.params[i]));
      b.w.push_back(tensors.back().data());
    }
    DeviceTensor y = poisoned(cuda(), offer.output);
    GuardedBuffer aux(cuda(), offer.aux_bytes), workspace(cuda(), offer.workspace_bytes);
    b.y = y.data(), b.aux = aux.data(), b.workspace = workspace.data();
    offer.make()->run(b);
    cuda().synchronize();
    const HostTensor sum = download(cuda(), y);
    for (std::size_t i = 0; i < sum.v.size(); i += 3) EXPECT_EQ(sum.v[i], data.x[1].v[i]) << i;
  }
}

}  // namespace
}  // namespace daybreak
