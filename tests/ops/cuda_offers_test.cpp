// What the CUDA module offers, asked without a GPU: everything that the CPU backend computes has a
// kernel there, for every shape of the op cases, in every precision and pass, and what an offer
// promises fits what the plan will give it.

#include <algorithm>
#include <set>

#include <gtest/gtest.h>

#include "backend/module.h"
#include "core/error.h"
#include "op_cases.h"
#include "ops/batchnorm.h"
#include "ops/ssd_loss.h"
#include "support/op_data.h"

namespace daybreak {
namespace {

class CudaOffers : public testing::Test {
 protected:
  void SetUp() override {
#ifndef DAYBREAK_HAVE_CUDA
    GTEST_SKIP() << "skipped: this build has no CUDA module";
#endif
  }

  static Backend& cuda() {
    static const BackendPtr backend = make_cuda_offers();
    return *backend;
  }
  static Backend& cpu() {
    static const BackendPtr backend = make_cpu_backend(1);
    return *backend;
  }
};

std::vector<Pass> passes_of(const Op& op, std::size_t inputs) {
  if (!is_differentiable(op, inputs)) return {Pass::forward};
  if (!op.splits_backward()) return {Pass::forward, Pass::backward};
  return {Pass::forward, Pass::backward_data, Pass::backward_weights};
}

// A norm finds its input again from f32 only; the plan asks for it in no other type.
bool may_refuse(const Op& op, DType dtype) {
  return op.kind() == OpKind::batchnorm && static_cast<const BatchNorm&>(op).in_place &&
         dtype != DType::f32;
}

// Labels and pictures keep their types in every precision.
DType expected_type(const Op& op, const KernelQuery& query, std::size_t input) {
  const DType asked = query.inputs[input].dtype;
  if (asked == DType::u8 || asked == DType::i32) return asked;
  const bool head = op.kind() == OpKind::yolo_loss || op.kind() == OpKind::region_loss ||
                    op.kind() == OpKind::ssd_loss;
  return head ? DType::f32 : query.inputs[0].dtype;
}

void check_offer(const Op& op, const KernelQuery& query, const KernelOffer& offer) {
  EXPECT_FALSE(offer.name.empty());
  EXPECT_TRUE(offer.make != nullptr);
  ASSERT_EQ(offer.inputs.size(), query.inputs.size());
  ASSERT_EQ(offer.params.size(), query.params.size());
  const auto check = [](const TensorDesc& offered, const TensorDesc& asked) {
    EXPECT_EQ(offered.shape, asked.shape);
    EXPECT_TRUE(offered.layout == kNchw || offered.layout == kNhwc);
    EXPECT_EQ(offered.bytes, plain_desc(offered.shape, offered.dtype).bytes);
  };
  for (std::size_t i = 0; i < offer.inputs.size(); ++i) {
    check(offer.inputs[i], query.inputs[i]);
    EXPECT_EQ(offer.inputs[i].dtype, expected_type(op, query, i)) << "input " << i;
  }
  for (std::size_t i = 0; i < offer.params.size(); ++i) check(offer.params[i], query.params[i]);
  check(offer.output, query.output);
  const Reads most = op.backward_reads();
  EXPECT_LE(offer.reads.output, most.output || op.kind() == OpKind::softmax);
  if (query.pass == Pass::forward) {
    EXPECT_FALSE(offer.reads.inputs || offer.reads.output || offer.reads.aux);
  } else {
    EXPECT_EQ(offer.aux_bytes, 0u);
  }
}

TEST_F(CudaOffers, EveryOperationOfTheCpuHasAKernel) {
  std::set<OpKind> served;
  for (const OpKind kind : all_op_kinds()) {
    for (const OpCase& one : cases(kind)) {
      const std::unique_ptr<Op> op = one.make();
      for (const Mode mode : {Mode::train, Mode::eval}) {
        for (const Pass pass : passes_of(*op, one.inputs.size())) {
          const bool there =
              !cpu().offers(plain_query(*op, one.inputs, pass, mode, DType::f32), nullptr).empty();
          for (const DType dtype : {DType::f32, DType::bf16, DType::f16}) {
            SCOPED_TRACE(std::string(to_string(kind)) + " " + one.name + " " +
                         std::string(to_string(pass)) + " " + to_string(dtype) +
                         (mode == Mode::eval ? " eval" : ""));
            const KernelQuery query = plain_query(*op, one.inputs, pass, mode, dtype);
            std::string reason;
            const std::vector<KernelOffer> offers = cuda().offers(query, &reason);
            EXPECT_TRUE(!there || !offers.empty() || may_refuse(*op, dtype)) << reason;
            for (const KernelOffer& offer : offers) check_offer(*op, query, offer);
            if (!offers.empty()) served.insert(kind);
          }
        }
      }
    }
  }
  EXPECT_EQ(served.size(), all_op_kinds().size());
  EXPECT_EQ(static_cast<std::size_t>(OpKind::topk_count) + 1, all_op_kinds().size())
      << "an operation without cases";
}

// What backward reads of the forward pass is there, whichever offers are taken.
TEST_F(CudaOffers, SavedDataIsOfferedWhereItIsRead) {
  for (const OpCase& one : all_cases(LargeCases::without)) {
    SCOPED_TRACE(one.name);
    const std::unique_ptr<Op> op = one.make();
    bool reads = false;
    for (const Pass pass : passes_of(*op, one.inputs.size())) {
      if (pass == Pass::forward) continue;
      for (const KernelOffer& offer :
           cuda().offers(plain_query(*op, one.inputs, pass, Mode::train, DType::f32), nullptr)) {
        reads = reads || offer.reads.aux;
      }
    }
    for (const KernelOffer& offer : cuda().offers(
             plain_query(*op, one.inputs, Pass::forward, Mode::train, DType::f32), nullptr)) {
      EXPECT_TRUE(!reads || offer.aux_bytes > 0);
    }
  }
}

// The plan's fuse_sums(): norm, activation and sum as one kernel, in every precision.
TEST_F(CudaOffers, NormsTakeSums) {
  BatchNorm norm;
  norm.sum = true;
  norm.act = {ActKind::leaky, 0.1f};
  const std::vector<Shape> shapes(2, Shape{4, 24, 3, 3});
  for (const DType dtype : {DType::f32, DType::bf16, DType::f16}) {
    EXPECT_TRUE(cuda().norms_with_sum(dtype));
    for (const Pass pass : {Pass::forward, Pass::backward}) {
      const KernelQuery query = plain_query(norm, shapes, pass, Mode::train, dtype);
      std::string reason;
      const std::vector<KernelOffer> offers = cuda().offers(query, &reason);
      ASSERT_EQ(offers.size(), 1u) << reason;
      check_offer(norm, query, offers[0]);
    }
  }
}

TEST_F(CudaOffers, RefusalsSayWhy) {
  std::string reason;
  BatchNorm norm;
  EXPECT_TRUE(cuda()
                  .offers(plain_query(norm, {{1, 4, 1, 1}}, Pass::forward, Mode::train, DType::f32),
                          &reason)
                  .empty());
  EXPECT_NE(reason.find("one value a channel"), std::string::npos) << reason;
  SsdLoss ssd;
  std::vector<Shape> shapes;
  for (int k = 0; k < 17; ++k) {
    ssd.maps.push_back({{{0.1f, 0.1f}}});
    shapes.push_back({1, 6, 1, 1});
  }
  shapes.push_back({1, 2, 1, 5});
  EXPECT_TRUE(cuda()
                  .offers(plain_query(ssd, shapes, Pass::forward, Mode::train, DType::f32), &reason)
                  .empty());
  EXPECT_NE(reason.find("more than 16 maps"), std::string::npos) << reason;
}

TEST_F(CudaOffers, WithoutAGpuNothingRuns) {
  EXPECT_FALSE(cuda().can_record());
  EXPECT_THROW(cuda().allocate(16), DeviceError);
}

}  // namespace
}  // namespace daybreak
