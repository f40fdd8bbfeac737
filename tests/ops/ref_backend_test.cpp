#include "backend/ref/ref_backend.h"

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "op_cases.h"
#include "ops/batchnorm.h"
#include "ops/hinge.h"
#include "ops/pool.h"
#include "ops/softmax_xent.h"
#include "support/device_tensor.h"
#include "support/op_data.h"
#include "support/op_harness.h"

namespace daybreak {
namespace {

using testing::HasSubstr;

std::string name_of(const testing::TestParamInfo<OpCase>& info) {
  return info.param.name;
}

/// The reference in f32 keeps the promises that every backend is held to: guards, layouts, reads.
class RefBackendOps : public testing::TestWithParam<OpCase> {};

TEST_P(RefBackendOps, KeepsTheContract) {
  RefBackend backend;
  const auto op = GetParam().make();
  HarnessOptions options;
  const bool evaluation_gradient = op->kind() == OpKind::batchnorm || op->kind() == OpKind::dropout;
  options.eval_backward = evaluation_gradient;
  options.input_layouts = {kNchw, kNhwc};  // the reference asks for plain ones
  check_backend(backend, *op, GetParam().inputs, options);
}
INSTANTIATE_TEST_SUITE_P(Ops, RefBackendOps, testing::ValuesIn(all_cases(LargeCases::without)),
                         name_of);

TEST(OpCases, EveryOpHasCasesWithUniqueNames) {
  std::vector<std::string> names;
  for (const OpKind kind : all_op_kinds()) {
    EXPECT_NE(to_string(kind), "?");
    EXPECT_GE(cases(kind).size(), 10u) << to_string(kind);
    for (const OpCase& one : cases(kind)) {
      EXPECT_EQ(one.make()->kind(), kind) << one.name;
      EXPECT_FALSE(one.make()->describe().empty());
      names.push_back(std::string(to_string(kind)) + "_" + one.name);
    }
  }
  EXPECT_EQ(to_string(static_cast<OpKind>(all_op_kinds().size())), "?") << "a kind is not listed";
  std::sort(names.begin(), names.end());
  EXPECT_EQ(std::adjacent_find(names.begin(), names.end()), names.end());
}

TEST(OpCases, EveryOpHasReferenceOffersInBothTypes) {
  RefBackend backend;
  for (const OpCase& one : all_cases(LargeCases::with)) {
    const auto op = one.make();
    std::vector<Pass> passes = {Pass::forward};
    if (is_differentiable(*op, one.inputs.size())) {
      if (op->splits_backward()) {
        passes.insert(passes.end(), {Pass::backward_data, Pass::backward_weights});
      } else {
        passes.push_back(Pass::backward);
      }
    }
    for (const Pass pass : passes) {
      for (const DType dtype : {DType::f32, DType::f64}) {
        std::string reason;
        const auto query = plain_query(*op, one.inputs, pass, Mode::train, dtype);
        EXPECT_EQ(backend.offers(query, &reason).size(), 1u)
            << one.name << ", " << to_string(pass) << ": " << reason;
      }
    }
  }
}

std::string refusal(const Op& op, const std::vector<Shape>& inputs, Pass pass, Mode mode,
                    DType dtype = DType::f32) {
  RefBackend backend;
  std::string reason;
  EXPECT_TRUE(backend.offers(plain_query(op, inputs, pass, mode, dtype), &reason).empty());
  return reason;
}

TEST(RefBackend, RefusesWithAReason) {
  const BatchNorm norm;
  EXPECT_THAT(refusal(norm, {{1, 3, 1, 1}}, Pass::forward, Mode::train), HasSubstr("one value"));
  EXPECT_THAT(refusal(norm, {{2, 3, 1, 1}}, Pass::backward_data, Mode::train),
              HasSubstr("no pass 'backward_data'"));
  EXPECT_THAT(refusal(norm, {{2, 3, 1, 1}}, Pass::forward, Mode::train, DType::bf16),
              HasSubstr("f32 and f64, not in bf16"));
  EXPECT_THAT(refusal(Pool{}, {{2, 3, 4, 4}}, Pass::backward, Mode::eval),
              HasSubstr("saves nothing"));
  const OpCase count = cases(OpKind::topk_count)[0];
  EXPECT_THAT(refusal(*count.make(), count.inputs, Pass::backward, Mode::train),
              HasSubstr("no gradient"));
}

TEST(RefBackend, EvaluationOfOneValueIsAllowed) {
  RefBackend backend;
  const BatchNorm norm;
  const auto query = plain_query(norm, {{1, 3, 1, 1}}, Pass::forward, Mode::eval, DType::f32);
  EXPECT_EQ(backend.offers(query, nullptr).size(), 1u);
}

TEST(RefBackend, RefusesTensorsThatDoNotFitTheOp) {
  RefBackend backend;
  const OpCase conv = cases(OpKind::conv2d)[1];
  const auto op = conv.make();
  const auto good = plain_query(*op, conv.inputs, Pass::forward, Mode::train, DType::f32);
  std::string reason;
  auto query = good;
  query.output.shape.h += 1;
  EXPECT_TRUE(backend.offers(query, &reason).empty());
  EXPECT_THAT(reason, HasSubstr("another shape"));
  query = good;
  query.params.pop_back();
  EXPECT_TRUE(backend.offers(query, &reason).empty());
  EXPECT_THAT(reason, HasSubstr("number of parameters"));
  query = good;
  query.params[0].shape.c += 1;
  EXPECT_TRUE(backend.offers(query, &reason).empty());
  EXPECT_THAT(reason, HasSubstr("'weight' does not fit"));
}

TEST(RefBackend, LabelsAreChecked) {
  for (const int label : {-1, 3}) {
    OpData data = make_data(SoftmaxXent{}, {{2, 3, 1, 1}, {2, 1, 1, 1}}, Fill::real, 1);
    data.x[1].v[1] = label;
    EXPECT_THROW(run_reference(SoftmaxXent{}, data, Mode::train, DType::f32, Want::forward),
                 DataError);
    EXPECT_THROW(run_reference(Hinge{}, data, Mode::train, DType::f32, Want::forward), DataError);
  }
}

TEST(RefBackend, ReordersBetweenLayoutsAndTypes) {
  RefBackend backend;
  const Shape shape{2, 3, 2, 4};
  HostTensor tensor{shape, {}};
  for (int i = 0; i < shape.count(); ++i) tensor.v.push_back(i - 7.0);
  TensorDesc nhwc = plain_desc(shape, DType::f32);
  nhwc.layout = kNhwc;
  DeviceTensor moved = upload(backend, tensor, nhwc);
  const auto bytes = moved.buffer->read();
  const float* v = reinterpret_cast<const float*>(bytes.data());
  EXPECT_EQ(v[1], tensor.v[8]);    // channel 1 of pixel 0
  EXPECT_EQ(v[3], tensor.v[1]);    // channel 0 of pixel 1
  EXPECT_EQ(v[24], tensor.v[24]);  // the second sample starts at the same place
  EXPECT_EQ(download(backend, moved).v, tensor.v);

  DeviceTensor wide = poisoned(backend, plain_desc(shape, DType::f64));
  Bindings b;
  b.x = {moved.data()};
  b.y = wide.data();
  backend.reorder(nhwc, wide.desc)->run(b);
  EXPECT_EQ(download(backend, wide).v, tensor.v);
}

TEST(RefBackend, KnowsWhenLayoutsHaveTheSameBytes) {
  RefBackend backend;
  const auto both = [&](const Shape& shape) {
    TensorDesc nhwc = plain_desc(shape, DType::f32);
    nhwc.layout = kNhwc;
    return backend.same_bytes(plain_desc(shape, DType::f32), nhwc);
  };
  EXPECT_TRUE(both({2, 1, 3, 3}));
  EXPECT_TRUE(both({2, 5, 1, 1}));
  EXPECT_FALSE(both({2, 2, 1, 2}));
  EXPECT_FALSE(backend.same_bytes(plain_desc({1, 2, 1, 1}, DType::f32),
                                  plain_desc({1, 2, 1, 1}, DType::f64)));
  EXPECT_TRUE(backend.storable(plain_desc({1, 2, 1, 1}, DType::f64)));
  EXPECT_FALSE(backend.storable(plain_desc({1, 2, 1, 1}, DType::i32)));
}

TEST(RefBackend, MemoryIsZeroedAndRefusedWhenAbsurd) {
  RefBackend backend;
  const MemoryPtr memory = backend.allocate(1000);
  EXPECT_EQ(memory->bytes(), 1000u);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(memory->data()) % 64, 0u);
  EXPECT_TRUE(std::all_of(memory->data(), memory->data() + 1000,
                          [](std::byte byte) { return byte == std::byte{0}; }));
  EXPECT_THROW(backend.allocate(~std::size_t{0} - 8), DeviceError);
  EXPECT_THROW(backend.allocate(std::size_t{1} << 60), DeviceError);
}

TEST(RefBackend, AccumulatesAndUpdates) {
  RefBackend backend;
  check_accumulate(backend);
  check_optimizer(backend, {});
}

}  // namespace
}  // namespace daybreak
