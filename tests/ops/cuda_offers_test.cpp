// What the CUDA module offers, asked without a GPU: everything that the CPU backend computes has a
// kernel there, for every shape of the op cases, in every precision and pass, and what an offer
// promises fits what the plan will give it.

#include <dlfcn.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <set>
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "backend/module.h"
#include "core/error.h"
#include "op_cases.h"
#include "ops/batchnorm.h"
#include "ops/conv2d.h"
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
            EXPECT_TRUE(!there || !offers.empty()) << reason;
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

// The plan's fuse_sums(): norm, sum and the activation before or behind it as one kernel, in every
// precision.
TEST_F(CudaOffers, NormsTakeSums) {
  BatchNorm norm;
  norm.sum = true;
  norm.act = {ActKind::leaky, 0.1f};
  const std::vector<Shape> shapes(2, Shape{4, 24, 3, 3});
  for (const DType dtype : {DType::f32, DType::bf16, DType::f16}) {
    EXPECT_TRUE(cuda().norms_with_sum(dtype));
    EXPECT_TRUE(cuda().norms_in_place(dtype));
    for (const bool last : {false, true}) {
      norm.act_last = last;
      for (const Pass pass : {Pass::forward, Pass::backward}) {
        const KernelQuery query = plain_query(norm, shapes, pass, Mode::train, dtype);
        std::string reason;
        const std::vector<KernelOffer> offers = cuda().offers(query, &reason);
        ASSERT_EQ(offers.size(), 1u) << reason;
        check_offer(norm, query, offers[0]);
        if (pass == Pass::forward) continue;
        EXPECT_TRUE(offers[0].reads.input(0));
        EXPECT_FALSE(offers[0].reads.input(1)) << "a residual is kept for nobody";
        EXPECT_EQ(offers[0].reads.output, last);
      }
    }
  }
}

// The plan's fuse_statistics(): what a norm is given it does not measure, and has no room for.
TEST_F(CudaOffers, ConvolutionsMeasureForNorms) {
  const Shape x{16, 24, 9, 7};
  for (const DType dtype : {DType::f32, DType::bf16, DType::f16}) {
    EXPECT_TRUE(cuda().statistics_of_convs(dtype));
    const auto forward_room = [&](const Op& op, Mode mode) {
      const KernelQuery query = plain_query(op, {x}, Pass::forward, mode, dtype);
      std::string reason;
      const std::vector<KernelOffer> offers = cuda().offers(query, &reason);
      EXPECT_EQ(offers.size(), 1u) << reason;
      if (offers.empty()) return std::size_t{0};
      check_offer(op, query, offers[0]);
      return offers[0].workspace_bytes;
    };
    BatchNorm norm;
    const std::size_t alone = forward_room(norm, Mode::train);
    norm.measured = true;
    EXPECT_EQ(forward_room(norm, Mode::train), 0u);
    Conv2d conv;
    conv.out_channels = 24;
    EXPECT_EQ(forward_room(conv, Mode::train), 0u);
    conv.measures = true;
    EXPECT_GE(forward_room(conv, Mode::train) + 2 * 24 * sizeof(float), alone);
    EXPECT_EQ(forward_room(conv, Mode::eval), 0u);
  }
}

// What the plan leaves to a convolution: the norm has a row of numbers a channel, no tensor, and
// the convolution room to make it.
TEST_F(CudaOffers, NormsAreLeftToConvolutions) {
  const Shape x{16, 24, 9, 7};
  BatchNorm norm;
  norm.act = {ActKind::relu};
  norm.measured = norm.chained = norm.deferred = true;
  Conv2d conv, plain;
  plain.out_channels = conv.out_channels = 24;
  conv.chain = conv.loads = true;
  for (const DType dtype : {DType::f32, DType::bf16, DType::f16}) {
    const auto only = [&](const Op& op, Pass pass) {
      const KernelQuery query = plain_query(op, {x}, pass, Mode::train, dtype);
      const std::vector<KernelOffer> offers = cuda().offers(query, nullptr);
      EXPECT_EQ(offers.size(), 1u);
      check_offer(op, query, offers.at(0));
      return offers.at(0);
    };
    const KernelOffer left = only(norm, Pass::forward);
    EXPECT_EQ(left.aux_bytes, BatchNorm::kDeferredRows * 24 * sizeof(float));
    EXPECT_FALSE(left.in_place);
    EXPECT_EQ(left.workspace_bytes, 0u);
    for (const Pass pass : {Pass::forward, Pass::backward_weights}) {
      const KernelOffer offer = only(conv, pass);
      EXPECT_EQ(offer.reads.aux, pass == Pass::backward_weights);
      EXPECT_GE(offer.workspace_bytes,
                only(plain, pass).workspace_bytes + plain_desc(x, dtype).bytes);
    }
  }
}

// The plan's fuse_inference(): bias, residual and any activation behind a convolution.
TEST_F(CudaOffers, ConvolutionsEndInSumsAndActivations) {
  const std::vector<Shape> shapes = {{2, 5, 6, 6}, {2, 7, 6, 6}};
  for (const ActKind kind : {ActKind::none, ActKind::relu, ActKind::leaky, ActKind::mish}) {
    EXPECT_TRUE(cuda().fuses_into_conv({kind}));
    Conv2d conv;
    conv.out_channels = 7;
    conv.residual = true;
    conv.act.kind = kind;
    for (const DType dtype : {DType::f32, DType::bf16, DType::f16}) {
      const KernelQuery query = plain_query(conv, shapes, Pass::forward, Mode::eval, dtype);
      std::string reason;
      const std::vector<KernelOffer> offers = cuda().offers(query, &reason);
      ASSERT_EQ(offers.size(), 1u) << reason;
      check_offer(conv, query, offers[0]);
    }
  }
}

/// What cuDNN says about an H100 that is not there.
class CudnnOffers : public CudaOffers {
 protected:
  void SetUp() override {
    CudaOffers::SetUp();
    if (IsSkipped()) return;
#ifdef DAYBREAK_CUDA_DRIVER
    // Engines that compile their kernels look for the driver's library even when they are only
    // asked; by its name they find the one that is loaded.
    if (dlopen("libcuda.so.1", RTLD_NOW) == nullptr) dlopen(DAYBREAK_CUDA_DRIVER, RTLD_NOW);
#endif
    try {
      backend(2);
    } catch (const DeviceError& error) {
      GTEST_SKIP() << "skipped: cuDNN tells nothing without a GPU: " << error.what();
    }
  }

  // One engine is enough to see that there is any; where one is to be chosen, engines that fuse are
  // offered as well.
  static Backend& backend(int engines) {
    static const BackendPtr first = make_cuda_offers(1), more = make_cuda_offers(2);
    return engines == 1 ? *first : *more;
  }

  static std::vector<KernelOffer> offers(int engines, const Op& op,
                                         const std::vector<Shape>& inputs, Pass pass, Mode mode,
                                         DType dtype) {
    const KernelQuery query = plain_query(op, inputs, pass, mode, dtype);
    std::vector<KernelOffer> result = backend(engines).offers(query, nullptr);
    for (const KernelOffer& offer : result) check_offer(op, query, offer);
    return result;
  }

  static const KernelOffer* find(const std::vector<KernelOffer>& offers, const std::string& text) {
    const auto found = std::find_if(offers.begin(), offers.end(), [&](const KernelOffer& offer) {
      return offer.name.find(text) != std::string::npos;
    });
    return found == offers.end() ? nullptr : &*found;
  }
};

TEST_F(CudnnOffers, EnginesForConvolutionsOfEveryPassAndPrecision) {
  for (const DType dtype : {DType::f32, DType::bf16, DType::f16}) {
    std::map<Pass, std::pair<int, int>> counts;
    for (const OpCase& one : cases(OpKind::conv2d)) {
      const std::unique_ptr<Op> op = one.make();
      for (const Pass pass : passes_of(*op, one.inputs.size())) {
        auto& [served, all] = counts[pass];
        served += find(offers(1, *op, one.inputs, pass, Mode::train, dtype), "cudnn:") != nullptr;
        ++all;
      }
    }
    std::printf("cudnn: %s:", to_string(dtype));
    for (const auto& [pass, count] : counts) {
      std::printf(" %s %d of %d shapes", std::string(to_string(pass)).c_str(), count.first,
                  count.second);
      EXPECT_GT(count.first, 0);
    }
    std::printf("\n");
  }
}

Conv2d plain_conv(int channels, int size) {
  Conv2d conv;
  conv.out_channels = channels;
  conv.kernel_h = conv.kernel_w = size;
  conv.pad_h = conv.pad_w = size / 2;
  conv.bias = false;
  return conv;
}

// Convolutions of the sizes that networks have.
TEST_F(CudnnOffers, EnginesThatFuse) {
  for (const DType dtype : {DType::f32, DType::bf16, DType::f16}) {
    int measuring = 0, ending = 0, chains = 0, all = 0;
    const auto there = [&](const Conv2d& conv, Pass pass, Mode mode, const char* name) {
      const std::vector<Shape> x = {{128, conv.out_channels, 16, 16}};
      return find(offers(2, conv, x, pass, mode, dtype), name) != nullptr;
    };
    for (const int channels : {64, 256}) {
      for (const int size : {1, 3}) {
        Conv2d conv = plain_conv(channels, size);
        conv.measures = conv.chain = true;
        measuring += there(conv, Pass::forward, Mode::train, "+statistics");
        chains += there(conv, Pass::backward_data, Mode::train, "+relu+norm");
        conv = plain_conv(channels, size);
        conv.bias = true;
        conv.act = {ActKind::leaky, 0.1f};
        ending += there(conv, Pass::forward, Mode::eval, "+bias+leaky");
        ++all;
      }
    }
    std::printf("cudnn: %s: of %d shapes statistics %d, bias and leaky relu %d, norms %d\n",
                to_string(dtype), all, measuring, ending, chains);
    EXPECT_EQ(measuring, dtype == DType::f32 ? 0 : all) << "in f32 only with TF32";
    EXPECT_EQ(ending, all);
    EXPECT_EQ(chains, dtype == DType::f16 ? all : 0);
  }
}

// Norms with relu that a convolution applies as it loads its input, in both passes that read it.
// bf16 has no weight gradient for it, which is why plans are not asked there.
TEST_F(CudnnOffers, EnginesThatApplyNormsOnLoad) {
  for (const DType dtype : {DType::f32, DType::bf16, DType::f16}) {
    int bare = 0, measuring = 0, weights = 0, all = 0;
    for (const int channels : {64, 256}) {
      for (const int size : {1, 3}) {
        for (const int stride : {1, 2}) {
          Conv2d conv = plain_conv(channels, size);
          conv.stride_h = conv.stride_w = stride;
          conv.chain = conv.loads = true;
          const auto there = [&](Pass pass, const char* name) {
            const std::vector<Shape> x = {{128, channels, 16, 16}};
            const auto found = offers(2, conv, x, pass, Mode::train, dtype);
            const KernelOffer* offer = find(found, name);
            EXPECT_TRUE(offer == nullptr || offer->fused);
            EXPECT_FALSE(found.front().fused) << "the parts come first";
            return offer != nullptr;
          };
          bare += there(Pass::forward, "+load");
          weights += there(Pass::backward_weights, "+load");
          conv.measures = true;
          measuring += there(Pass::forward, "+load+statistics");
          ++all;
        }
      }
    }
    std::printf(
        "cudnn: %s: of %d shapes norms on load %d, with statistics %d, weight gradients %d\n",
        to_string(dtype), all, bare, measuring, weights);
    EXPECT_EQ(bare, dtype == DType::f32 ? 0 : all);
    EXPECT_EQ(measuring, dtype == DType::f32 ? 0 : all);
    EXPECT_EQ(weights, dtype == DType::f16 ? all : 0);
    EXPECT_EQ(cuda().loads_norms(dtype), weights == all);
  }
}

// Those that are compiled beforehand are finished without a GPU; of those that cannot be, the parts
// are made.
TEST_F(CudnnOffers, EnginesThatFuseAreMadeOrTheirParts) {
  Conv2d conv = plain_conv(64, 3);
  conv.measures = conv.chain = true;
  const std::vector<Shape> x = {{128, 64, 16, 16}};
  for (const bool loads : {false, true}) {
    conv.loads = loads;
    for (const DType dtype : {DType::bf16, DType::f16}) {
      for (const Pass pass : {Pass::forward, Pass::backward_data, Pass::backward_weights}) {
        for (const KernelOffer& offer : offers(2, conv, x, pass, Mode::train, dtype)) {
          SCOPED_TRACE(offer.name);
          EXPECT_NE(offer.make(), nullptr);
        }
      }
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
