#include <vector>

#include <gtest/gtest.h>

#include "backend/blend.h"
#include "backend/ref/ref_backend.h"
#include "core/parallel.h"
#include "core/philox.h"

// Backend::blend and Backend::exchange of the CPU against the reference, and their promises.

namespace daybreak {
namespace {

std::vector<float> numbers(std::size_t count, std::uint64_t stream) {
  Draws draws(3, Purpose::synthetic, stream, 0);
  std::vector<float> values(count);
  for (float& value : values) value = 4.0f * draws.uniform() - 2.0f;
  return values;
}

std::byte* bytes(std::vector<float>& values) {
  return reinterpret_cast<std::byte*>(values.data());
}

TEST(Blend, CpuAgreesWithReferenceOverOddSizes) {
  const BackendPtr cpu = make_cpu_backend(2), ref = make_ref_backend();
  for (const std::size_t count : {0, 1, 15, 17, 16384, 100003}) {
    for (const double share : {0.0, 0.001, 0.3, 0.5, 0.75, 1.0}) {
      std::vector<float> values = numbers(count, 1), expected = numbers(count, 2);
      std::vector<float> found = expected;
      ref->blend(bytes(expected), bytes(values), count, DType::f32, share);
      cpu->blend(bytes(found), bytes(values), count, DType::f32, share);
      for (std::size_t i = 0; i < count; ++i) {
        ASSERT_NEAR(found[i], expected[i], 1e-6) << count << ", " << share << " at " << i;
      }
    }
  }
}

TEST(Blend, IsExactAtItsEndsAndWhereNothingMoved) {
  const BackendPtr cpu = make_cpu_backend(2), ref = make_ref_backend();
  for (Backend* backend : {cpu.get(), ref.get()}) {
    const std::vector<float> before = numbers(1001, 1);
    std::vector<float> values = numbers(1001, 2), average = before;
    backend->blend(bytes(average), bytes(values), average.size(), DType::f32, 0.0);
    EXPECT_EQ(average, before);
    backend->blend(bytes(average), bytes(values), average.size(), DType::f32, 1.0);
    EXPECT_EQ(average, values);
    for (const double share : {0.1, 0.4, 0.7, 0.95}) {
      backend->blend(bytes(average), bytes(values), average.size(), DType::f32, share);
      EXPECT_EQ(average, values) << "frozen parameters must stay what they are";
    }
  }
}

TEST(Blend, DoesNotDependOnThreads) {
  const BackendPtr cpu = make_cpu_backend(2);
  std::vector<float> values = numbers(200'000, 1), one = numbers(200'000, 2), two = one;
  set_compute_threads(1);
  cpu->blend(bytes(one), bytes(values), one.size(), DType::f32, 0.3);
  set_compute_threads(2);
  cpu->blend(bytes(two), bytes(values), two.size(), DType::f32, 0.3);
  EXPECT_EQ(one, two);
}

TEST(Exchange, IsExact) {
  const BackendPtr cpu = make_cpu_backend(2), ref = make_ref_backend();
  for (Backend* backend : {cpu.get(), ref.get()}) {
    for (const std::size_t count : {0, 1, 33, 40001}) {
      std::vector<float> a = numbers(count, 1), b = numbers(count, 2);
      const std::vector<float> was_a = a, was_b = b;
      backend->exchange(bytes(a), bytes(b), count, DType::f32);
      EXPECT_EQ(a, was_b);
      EXPECT_EQ(b, was_a);
    }
  }
}

}  // namespace
}  // namespace daybreak
