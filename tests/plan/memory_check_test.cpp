#include "plan/memory_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "plan/small_nets.h"
#include "support/forwarding_backend.h"

namespace daybreak {
namespace {

using testing::HasSubstr;

/// Says that it has `bytes` left, and counts what is taken.
class Limited final : public ForwardingBackend {
 public:
  Limited(Backend& inner, std::size_t bytes) : ForwardingBackend(inner), bytes_(bytes) {}
  std::size_t free_bytes() const override { return bytes_; }
  MemoryPtr allocate(std::size_t bytes) override {
    taken_ += bytes;
    return inner_.allocate(bytes);
  }
  std::size_t taken() const { return taken_; }
  void limit(std::size_t bytes) { bytes_ = bytes; }

 private:
  std::size_t bytes_, taken_ = 0;
};

PlanId add_plan(Executor& executor, int batch, Mode mode = Mode::train) {
  PlanRequest request;
  request.mode = mode;
  request.batch = batch;
  request.keep = {executor.graph().prediction};
  if (mode == Mode::train) request.keep.push_back(executor.graph().loss);
  return executor.add_plan(request);
}

std::string error_of(Executor& executor) {
  try {
    check_memory(executor, 1, /*accumulates=*/false);
  } catch (const DeviceError& error) {
    return error.what();
  }
  return "";
}

TEST(MemoryCheck, FindsTheLargestBatchOfALine) {
  const auto line = [](int batch) {
    return std::size_t{1000} + 10u * static_cast<unsigned>(batch);
  };
  EXPECT_EQ(fitting_batch(100, 2000, line), 100);
  EXPECT_EQ(fitting_batch(100, 1999, line), 96);
  EXPECT_EQ(fitting_batch(100, 1100, line), 10);
  EXPECT_EQ(fitting_batch(100, 1009, line), 0);
  EXPECT_EQ(fitting_batch(100, 900, line), 0);
}

TEST(MemoryCheck, AnswersFitWhateverTheCurve) {
  int calls = 0;
  const auto curve = [&](int batch) {
    ++calls;
    return std::size_t{500} + (batch > 0 ? 3000u : 0u) +
           static_cast<std::size_t>(batch) * (batch > 40 ? 60u : 90u);
  };
  for (std::size_t available = 400; available < 12000; available += 97) {
    calls = 0;
    const int batch = fitting_batch(128, available, curve);
    EXPECT_LE(calls, 10);
    if (batch > 0) {
      EXPECT_LE(curve(batch), available);
    }
  }
}

// What is promised is what is taken.
TEST(MemoryCheck, TheNeedIsWhatIsAllocated) {
  const BackendPtr cpu = make_cpu_backend(1);
  for (Graph& graph : small_nets()) {
    Limited backend(*cpu, 0);
    Executor executor(std::move(graph), backend);
    add_plan(executor, 8);
    add_plan(executor, 4, Mode::eval);
    const MemoryNeed need = memory_need(executor, 2, /*accumulates=*/true);
    executor.prepare();
    executor.set_optimizer({.kind = OptimizerKind::adam});
    executor.prepare_accumulation();
    EXPECT_GE(backend.taken(), need.total());
    EXPECT_LE(backend.taken(), need.total() + 256);  // the scalars
  }
}

TEST(MemoryCheck, SaysWhatIsNeededAndWhichBatchWouldFit) {
  const BackendPtr cpu = make_cpu_backend(1);
  Limited backend(*cpu, std::size_t{1} << 40);
  Executor executor(residual_net(), backend);
  add_plan(executor, 512);
  add_plan(executor, 256, Mode::eval);
  EXPECT_EQ(error_of(executor), "");
  const MemoryNeed need = memory_need(executor, 1, /*accumulates=*/false);
  backend.limit(need.total());
  EXPECT_EQ(error_of(executor), "");
  backend.limit(need.total() / 2);
  const std::string text = error_of(executor);
  EXPECT_THAT(text, HasSubstr("not enough memory: "));
  EXPECT_THAT(text, HasSubstr("at batch 512"));
  EXPECT_THAT(text, HasSubstr("would fit"));
  EXPECT_EQ(text.find('\n'), std::string::npos);
  const std::size_t at = text.find("a batch of ");
  ASSERT_NE(at, std::string::npos) << text;
  const int fits = std::stoi(text.substr(at + 11));
  EXPECT_GE(fits, 200);  // half of the bytes, nearly half of the batch
  Executor smaller(residual_net(), backend);
  add_plan(smaller, fits);
  add_plan(smaller, std::min(fits, 256), Mode::eval);
  EXPECT_EQ(error_of(smaller), "");
  backend.limit(64);
  EXPECT_THAT(error_of(executor), HasSubstr("not even a batch of 1 would fit"));
}

}  // namespace
}  // namespace daybreak
