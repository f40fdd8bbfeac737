#include "backend/cpu/machine_probe.h"

#include <immintrin.h>
#include <omp.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <vector>

namespace daybreak {
namespace {

using Clock = std::chrono::steady_clock;

// Sixteen independent accumulators hide the latency of four or five cycles on two units. The sums
// are returned so that nothing is optimised away.
constexpr int kAccumulators = 16;

std::atomic<float> g_sink{0.0f};  // keeps the compiler from dropping the work

__attribute__((target("avx512f"))) float sum_of(const __m512* acc) {
  alignas(64) float lanes[16];
  __m512 total = acc[0];
  for (int i = 1; i < kAccumulators; ++i) total = _mm512_add_ps(total, acc[i]);
  _mm512_store_ps(lanes, total);
  return lanes[0] + lanes[15];
}

__attribute__((target("avx512f"))) float fma_512(std::int64_t rounds) {
  __m512 acc[kAccumulators];
  const __m512 a = _mm512_set1_ps(1.0000001f), b = _mm512_set1_ps(1e-9f);
  for (int i = 0; i < kAccumulators; ++i) acc[i] = _mm512_set1_ps(static_cast<float>(i));
  for (std::int64_t r = 0; r < rounds; ++r) {
    for (int i = 0; i < kAccumulators; ++i) acc[i] = _mm512_fmadd_ps(acc[i], a, b);
  }
  return sum_of(acc);
}

__attribute__((target("avx2,fma"))) float fma_256(std::int64_t rounds) {
  // AVX2 has 16 registers in all: two are taken by the factors.
  constexpr int kCount = 12;
  __m256 acc[kCount];
  const __m256 a = _mm256_set1_ps(1.0000001f), b = _mm256_set1_ps(1e-9f);
  for (int i = 0; i < kCount; ++i) acc[i] = _mm256_set1_ps(static_cast<float>(i));
  for (std::int64_t r = 0; r < rounds; ++r) {
    for (int i = 0; i < kCount; ++i) acc[i] = _mm256_fmadd_ps(acc[i], a, b);
  }
  __m256 sum = acc[0];
  for (int i = 1; i < kCount; ++i) sum = _mm256_add_ps(sum, acc[i]);
  return _mm256_cvtss_f32(sum);
}

__attribute__((target("avx512f,avx512bf16"))) float bf16_512(std::int64_t rounds) {
  __m512 acc[kAccumulators];
  const __m512bh a = _mm512_cvtne2ps_pbh(_mm512_set1_ps(1.0f), _mm512_set1_ps(0.5f));
  for (int i = 0; i < kAccumulators; ++i) acc[i] = _mm512_set1_ps(static_cast<float>(i));
  for (std::int64_t r = 0; r < rounds; ++r) {
    for (int i = 0; i < kAccumulators; ++i) acc[i] = _mm512_dpbf16_ps(acc[i], a, a);
  }
  return sum_of(acc);
}

// Largest rate over repeated short runs: a disturbed run only ever looks slower.
double best_rate(int threads, double seconds, double work_per_call,
                 const std::function<void()>& call) {
  double best = 0.0;
  const auto end = Clock::now() + std::chrono::duration<double>(seconds);
  do {
    const auto start = Clock::now();
#pragma omp parallel num_threads(threads)
    call();
    const double elapsed = std::chrono::duration<double>(Clock::now() - start).count();
    best = std::max(best, work_per_call * threads / elapsed);
  } while (Clock::now() < end);
  return best;
}

double probe_bf16_gflops(int threads, double seconds) {
  if (!__builtin_cpu_supports("avx512bf16")) return 0.0;
  constexpr std::int64_t kRounds = 1'000'000;
  return best_rate(threads, seconds, 1e-9 * kRounds * kAccumulators * 64,
                   [] { g_sink = bf16_512(kRounds); });
}

double probe_bandwidth_gbytes(int threads, double seconds) {
  constexpr std::int64_t kFloats = std::int64_t{1} << 24;  // 64 MiB each
  std::vector<float> a(kFloats), b(kFloats, 1.0f), c(kFloats, 2.0f);
  double best = 0.0;
  const auto end = Clock::now() + std::chrono::duration<double>(seconds);
  do {
    const auto start = Clock::now();
#pragma omp parallel for num_threads(threads) schedule(static)
    for (std::int64_t i = 0; i < kFloats; ++i) a[i] = b[i] + 3.0f * c[i];
    const double elapsed = std::chrono::duration<double>(Clock::now() - start).count();
    best = std::max(best, 3.0 * 4.0 * static_cast<double>(kFloats) / elapsed * 1e-9);
  } while (Clock::now() < end);
  return best;
}

}  // namespace

double probe_fma_gflops(int threads, double seconds) {
  constexpr std::int64_t kRounds = 1'000'000;
  if (__builtin_cpu_supports("avx512f")) {
    return best_rate(threads, seconds, 1e-9 * kRounds * kAccumulators * 32,
                     [] { g_sink = fma_512(kRounds); });
  }
  if (__builtin_cpu_supports("fma")) {
    return best_rate(threads, seconds, 1e-9 * kRounds * 12 * 16, [] { g_sink = fma_256(kRounds); });
  }
  return 0.0;
}

MachineCeilings probe_machine(int threads, double seconds) {
  MachineCeilings result;
  result.fma_gflops = probe_fma_gflops(threads, seconds);
  result.bf16_gflops = probe_bf16_gflops(threads, seconds);
  result.bandwidth_gbytes = probe_bandwidth_gbytes(threads, seconds);
  return result;
}

}  // namespace daybreak
