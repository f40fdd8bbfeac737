#include <cmath>
#include <cstdlib>
#include <cstring>
#include <new>

#include <gtest/gtest.h>

#include "backend/backend.h"
#include "core/parallel.h"
#include "op_cases.h"
#include "ops/act.h"
#include "ops/add.h"
#include "ops/batchnorm.h"
#include "ops/concat.h"
#include "ops/distance.h"
#include "ops/dropout.h"
#include "ops/instancenorm.h"
#include "ops/pool.h"
#include "ops/softmax.h"
#include "ops/softmax_xent.h"
#include "support/device_tensor.h"
#include "support/op_data.h"

namespace {

// Counts what the whole program takes with operator new, the libraries it uses included.
bool counting = false;
std::size_t allocations = 0, allocated_bytes = 0;

void* count_and_allocate(std::size_t bytes, std::size_t align) {
  if (counting) {
    ++allocations;
    allocated_bytes += bytes;
  }
  void* pointer = align <= alignof(std::max_align_t)
                      ? std::malloc(bytes ? bytes : 1)
                      : std::aligned_alloc(align, (bytes + align - 1) / align * align);
  if (!pointer) throw std::bad_alloc();
  return pointer;
}

}  // namespace

void* operator new(std::size_t bytes) {
  return count_and_allocate(bytes, 0);
}
void* operator new[](std::size_t bytes) {
  return count_and_allocate(bytes, 0);
}
void* operator new(std::size_t bytes, std::align_val_t align) {
  return count_and_allocate(bytes, static_cast<std::size_t>(align));
}
void operator delete(void* pointer) noexcept {
  std::free(pointer);
}
void operator delete[](void* pointer) noexcept {
  std::free(pointer);
}
void operator delete(void* pointer, std::size_t) noexcept {
  std::free(pointer);
}
void operator delete[](void* pointer, std::size_t) noexcept {
  std::free(pointer);
}
void operator delete(void* pointer, std::align_val_t) noexcept {
  std::free(pointer);
}
void operator delete(void* pointer, std::size_t, std::align_val_t) noexcept {
  std::free(pointer);
}

namespace daybreak {
namespace {

constexpr Layout kBlocked{2};

struct Cost {
  std::size_t allocations = 0, bytes = 0;
};

/// Runs the first offer of every pass of an op in training and keeps all that was written.
class Session {
 public:
  Session(Backend& backend, const Op& op, const std::vector<Shape>& inputs, Layout layout)
      : backend_(backend), op_(op), inputs_(inputs), data_(make_data(op, inputs, Fill::real, 11)) {
    forward_query_ = plain_query(op, inputs, Pass::forward, Mode::train, DType::f32);
    for (TensorDesc& desc : forward_query_.inputs) {
      if (desc.dtype != DType::f32) continue;
      desc.layout = layout;
      desc.bytes = backend.layout_bytes(desc.shape, desc.dtype, layout);
    }
  }

  void run() {
    std::string reason;
    auto offers = backend_.offers(forward_query_, &reason);
    ASSERT_FALSE(offers.empty()) << reason;
    const KernelOffer forward = offers.front();
    if (forward.aux_bytes > 0) {
      aux_ = std::make_unique<GuardedBuffer>(backend_, forward.aux_bytes);
      aux_->write(std::vector<std::byte>(forward.aux_bytes));
    }
    y_ = poisoned(backend_, forward.output);
    launch(forward, Pass::forward);
    if (!is_differentiable(op_, inputs_.size())) return;
    KernelQuery query = forward_query_;
    query.inputs = forward.inputs;
    query.output = forward.output;
    query.params = forward.params;
    for (std::size_t i = 0; i < inputs_.size(); ++i) {
      query.want_dx[i] = op_.differentiable(static_cast<int>(i));
    }
    query.want_dw = true;
    std::vector<Pass> passes = {Pass::backward};
    if (op_.splits_backward()) passes = {Pass::backward_weights, Pass::backward_data};
    for (const Pass pass : passes) {
      query.pass = pass;
      offers = backend_.offers(query, &reason);
      ASSERT_FALSE(offers.empty()) << reason;
      launch(offers.front(), pass);
    }
  }

  const std::vector<std::vector<std::byte>>& written() const { return written_; }
  bool all_own() const { return all_own_; }
  const std::vector<Cost>& costs() const { return costs_; }

 private:
  void launch(const KernelOffer& offer, Pass pass) {
    all_own_ = all_own_ && offer.name.rfind("own:", 0) == 0;
    std::vector<DeviceTensor> x, w, dx, dw;
    Bindings b;
    for (std::size_t i = 0; i < inputs_.size(); ++i) {
      x.push_back(upload(backend_, data_.x[i], offer.inputs[i]));
      b.x.push_back(x.back().data());
      const bool wanted = pass != Pass::forward && op_.differentiable(static_cast<int>(i));
      dx.push_back(wanted ? poisoned(backend_, offer.inputs[i]) : DeviceTensor{});
      b.dx.push_back(dx.back().data());
    }
    const auto specs = op_.params(inputs_);
    for (std::size_t i = 0; i < data_.w.size(); ++i) {
      w.push_back(upload(backend_, data_.w[i], offer.params[i]));
      b.w.push_back(w.back().data());
      const bool wanted = pass != Pass::forward && is_trained(specs[i].role);
      dw.push_back(wanted ? poisoned(backend_, offer.params[i]) : DeviceTensor{});
      b.dw.push_back(dw.back().data());
    }
    DeviceTensor dy = upload(backend_, data_.dy, offer.output);
    GuardedBuffer workspace(backend_, offer.workspace_bytes);
    StepScalars scalars = data_.scalars;
    b.y = y_.data();
    b.dy = dy.data();
    b.aux = aux_ ? aux_->data() : nullptr;
    b.workspace = workspace.data();
    b.scalars = &scalars;
    const KernelPtr kernel = offer.make();
    kernel->run(b);
    if (pass == Pass::forward) written_.push_back(y_.buffer->read());
    for (auto* list : {&dx, &dw}) {
      for (DeviceTensor& tensor : *list) {
        if (tensor.buffer) written_.push_back(tensor.buffer->read());
      }
    }
    for (std::size_t i = 0; pass == Pass::forward && i < w.size(); ++i) {
      written_.push_back(w[i].buffer->read());
    }
    if (aux_) written_.push_back(aux_->read());
    allocations = allocated_bytes = 0;
    counting = true;
    kernel->run(b);
    counting = false;
    costs_.push_back({allocations, allocated_bytes});
  }

  Backend& backend_;
  const Op& op_;
  std::vector<Shape> inputs_;
  OpData data_;
  KernelQuery forward_query_;
  DeviceTensor y_;
  BufferPtr aux_;
  bool all_own_ = true;
  std::vector<std::vector<std::byte>> written_;
  std::vector<Cost> costs_;
};

template <typename T>
std::unique_ptr<Op> make_op() {
  return std::make_unique<T>();
}
template <typename T, typename Configure>
std::unique_ptr<Op> make_op(Configure configure) {
  auto op = std::make_unique<T>();
  configure(*op);
  return op;
}

/// Large enough that every kernel's work is cut into many chunks.
std::vector<OpCase> many_chunks() {
  const Shape s{15, 37, 20, 23}, even{15, 64, 17, 18};
  std::vector<OpCase> list;
  const auto leaky = [](BatchNorm& op) { op.act = {ActKind::leaky, 0.1f}; };
  const auto affine = [](InstanceNorm& op) { op.affine = true; };
  const auto tanh = [](Act& op) { op.act.kind = ActKind::tanh; };
  list.push_back({"batchnorm", [=] { return make_op<BatchNorm>(leaky); }, {s}});
  list.push_back({"batchnorm_c64", [=] { return make_op<BatchNorm>(leaky); }, {even}});
  list.push_back({"instancenorm", [=] { return make_op<InstanceNorm>(affine); }, {s}});
  list.push_back({"act", [=] { return make_op<Act>(tanh); }, {s}});
  list.push_back({"add", [] { return make_op<Add>(); }, {s, s}});
  list.push_back({"concat", [] { return make_op<Concat>(); }, {s, s}});
  list.push_back({"dropout", [] { return make_op<Dropout>(); }, {s}});
  list.push_back({"pool", [] { return make_op<Pool>(); }, {s}});
  list.push_back({"softmax", [] { return make_op<Softmax>(); }, {s}});
  list.push_back({"distance", [] { return make_op<Distance>(); }, {s, s}});
  list.push_back(
      {"softmax_xent", [] { return make_op<SoftmaxXent>(); }, {{300, 500, 1, 1}, {300, 1, 1, 1}}});
  return list;
}

TEST(CpuKernels, OwnKernelsDoNotDependOnThreads) {
  for (const OpCase& one : many_chunks()) {
    for (const Layout layout : {kNchw, kNhwc, kBlocked}) {
      SCOPED_TRACE(one.name + " in layout " + std::to_string(layout.id));
      const auto op = one.make();
      std::vector<std::vector<std::byte>> first;
      for (const int threads : {1, 2, 3}) {
        const BackendPtr backend = make_cpu_backend(threads);
        Session session(*backend, *op, one.inputs, layout);
        session.run();
        EXPECT_TRUE(session.all_own());
        if (first.empty()) first = session.written();
        EXPECT_TRUE(session.written() == first) << threads << " threads give other bits";
      }
    }
  }
}

TEST(CpuKernels, RunAllocatesNothing) {
  const BackendPtr backend = make_cpu_backend(2);
  std::size_t kernels = 0;
  for (const OpCase& one : all_cases(LargeCases::with)) {
    const auto op = one.make();
    const auto query = plain_query(*op, one.inputs, Pass::forward, Mode::train, DType::f32);
    if (backend->offers(query, nullptr).empty()) continue;  // fused sigmoid
    SCOPED_TRACE(one.name);
    Session session(*backend, *op, one.inputs, kBlocked);
    session.run();
    for (const Cost& cost : session.costs()) {
      ++kernels;
      if (session.all_own()) {
        EXPECT_EQ(cost.allocations, 0u);
      } else {
        // oneDNN keeps the arguments of an execution in small maps.
        EXPECT_LE(cost.bytes, 8192u);
      }
    }
  }
  EXPECT_GT(kernels, 300u);
}

TEST(CpuKernels, UpdatesAndAccumulateAllocateNothingAfterTheFirstStep) {
  const BackendPtr backend = make_cpu_backend(2);
  const std::size_t count = 100000;
  const MemoryPtr w = backend->allocate(count * 4), g = backend->allocate(count * 4),
                  slot = backend->allocate(count * 4);
  const auto update = backend->optimizer({}, DType::f32);
  const KernelPtr accumulate =
      backend->accumulate(plain_desc({1, static_cast<int>(count), 1, 1}, DType::f32));
  const UpdateGroup group{0, count, 1.0f, 1e-4f, false};
  StepScalars scalars;
  scalars.lr = 0.1f;
  std::byte* slots[] = {slot->data()};
  Bindings b;
  b.x = {g->data()};
  b.y = w->data();
  const auto step = [&] {
    update->norm(g->data(), {&group, 1}, &scalars);
    update->update({w->data(), g->data(), slots, {}}, {&group, 1}, &scalars);
    accumulate->run(b);
  };
  step();
  allocations = 0;
  counting = true;
  step();
  counting = false;
  EXPECT_EQ(allocations, 0u);
}

/// A mean of 3000 standard deviations must not cost the variance its digits.
TEST(CpuKernels, BatchNormKeepsTheVarianceOfOffsetData) {
  const BackendPtr backend = make_cpu_backend(2);
  BatchNorm op;
  const Shape shape{16, 20, 12, 12};
  for (const Layout layout : {kNchw, kNhwc, kBlocked}) {
    KernelQuery query = plain_query(op, {shape}, Pass::forward, Mode::train, DType::f32);
    query.inputs[0].layout = layout;
    query.inputs[0].bytes = backend->layout_bytes(shape, DType::f32, layout);
    const KernelOffer offer = backend->offers(query, nullptr).front();
    OpData data = make_data(op, {shape}, Fill::real, 3);
    for (double& value : data.x[0].v) value = static_cast<float>(3000.0 + value);
    DeviceTensor x = upload(*backend, data.x[0], offer.inputs[0]);
    DeviceTensor y = poisoned(*backend, offer.output);
    std::vector<DeviceTensor> w;
    Bindings b;
    for (std::size_t i = 0; i < 4; ++i) {
      w.push_back(upload(*backend, data.w[i], offer.params[i]));
      b.w.push_back(w.back().data());
    }
    GuardedBuffer aux(*backend, offer.aux_bytes), workspace(*backend, offer.workspace_bytes);
    b.x = {x.data()};
    b.y = y.data();
    b.aux = aux.data();
    b.workspace = workspace.data();
    offer.make()->run(b);
    const auto bytes = aux.read();
    const float* saved = reinterpret_cast<const float*>(bytes.data());
    for (int c = 0; c < shape.c; ++c) {
      double sum = 0.0, squares = 0.0;
      const auto each = [&](auto&& body) {
        for (int n = 0; n < shape.n; ++n) {
          for (int q = 0; q < shape.spatial(); ++q) {
            body(data.x[0].v[(std::size_t(n) * shape.c + c) * shape.spatial() + q]);
          }
        }
      };
      each([&](double value) { sum += value; });
      const double count = double(shape.n) * shape.spatial(), mean = sum / count;
      each([&](double value) { squares += (value - mean) * (value - mean); });
      const double invstd = 1.0 / std::sqrt(squares / count + op.eps);
      EXPECT_NEAR(saved[c], mean, 3e-4) << "channel " << c;
      EXPECT_NEAR(saved[shape.c + c] / invstd, 1.0, 1e-5) << "channel " << c;
    }
  }
}

}  // namespace
}  // namespace daybreak
