#include <algorithm>
#include <chrono>
#include <vector>

#include "cli/bench_net.h"
#include "core/error.h"
#include "core/philox.h"
#include "ops/linear.h"

namespace daybreak {
namespace {

constexpr int kSide = 8192;                               // of the matrices
constexpr std::size_t kCopyBytes = std::size_t{1} << 29;  // far above any cache
constexpr double kSeconds = 0.3;                          // of each probe
constexpr int kMostRounds = 200;

// The best of some rounds of one kernel.
double best_seconds(Backend& backend, Kernel& kernel, const Bindings& bindings) {
  using Clock = std::chrono::steady_clock;
  double best = 1e9, spent = 0.0;
  for (int round = 0; round < kMostRounds && (round < 2 || spent < kSeconds); ++round) {
    backend.synchronize();
    const auto start = Clock::now();
    kernel.run(bindings);
    backend.synchronize();
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    spent += seconds;
    if (round > 0) best = std::min(best, seconds);  // the first warms up
  }
  return best;
}

// Numbers of about 0.01 in any floating type, all different: zeros would cost less power, and so
// run at higher clocks, than what networks compute with.
MemoryPtr filled(Backend& backend, std::size_t bytes) {
  MemoryPtr memory = backend.allocate(bytes);
  std::vector<std::uint8_t> block(std::min(bytes, std::size_t{1} << 20));
  Draws draws(1, Purpose::synthetic, 2, 0);
  for (std::size_t i = 0; i < block.size(); ++i) {
    block[i] = i % 2 == 0 ? static_cast<std::uint8_t>(draws.below(256)) : std::uint8_t{0x3c};
  }
  for (std::size_t at = 0; at < bytes; at += block.size()) {
    backend.copy_in(memory->data() + at, block.data(), std::min(block.size(), bytes - at));
  }
  return memory;
}

// A linear layer is a product; its first offer is the backend's best guess.
double product_gflops(Backend& backend, DType dtype) {
  Linear op;
  op.outputs = kSide;
  op.bias = false;
  const Shape matrix{kSide, kSide, 1, 1};
  KernelQuery query;
  query.op = &op;
  query.mode = Mode::eval;
  query.inputs = {plain_desc(matrix, dtype)};
  query.output = plain_desc(matrix, dtype);
  query.params = {plain_desc(matrix, dtype)};
  std::string reason;
  const std::vector<KernelOffer> offers = backend.offers(query, &reason);
  if (offers.empty()) throw DeviceError("no product of large matrices: " + reason);
  const KernelOffer& offer = offers.front();
  const MemoryPtr x = filled(backend, offer.inputs[0].bytes);
  const MemoryPtr w = filled(backend, offer.params[0].bytes);
  const MemoryPtr y = backend.allocate(offer.output.bytes);
  const MemoryPtr workspace = backend.allocate(offer.workspace_bytes);
  Bindings bindings;
  bindings.x = {x->data()};
  bindings.w = {w->data()};
  bindings.y = y->data();
  bindings.workspace = workspace->data();
  const KernelPtr kernel = offer.make();
  const double flops = 2.0 * kSide * kSide * static_cast<double>(kSide);
  return flops / best_seconds(backend, *kernel, bindings) * 1e-9;
}

double copy_gbytes(Backend& backend) {
  const TensorDesc desc = plain_desc({1, static_cast<int>(kCopyBytes / 4), 1, 1}, DType::f32);
  const MemoryPtr from = filled(backend, desc.bytes), to = backend.allocate(desc.bytes);
  Bindings bindings;
  bindings.x = {from->data()};
  bindings.y = to->data();
  const KernelPtr kernel = backend.reorder(desc, desc);
  return 2.0 * static_cast<double>(kCopyBytes) / best_seconds(backend, *kernel, bindings) * 1e-9;
}

}  // namespace

DeviceCeilings probe_device(Backend& backend) {
  DeviceCeilings ceilings;
  ceilings.f32_gflops = product_gflops(backend, DType::f32);
  if (backend.supports(DType::bf16)) ceilings.bf16_gflops = product_gflops(backend, DType::bf16);
  ceilings.bandwidth_gbytes = copy_gbytes(backend);
  return ceilings;
}

}  // namespace daybreak
