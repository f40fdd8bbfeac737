#include "support/fake_gpu/emulate.h"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

// Saves what a function must keep and the stack, and goes on where another stack was left. The
// functions of the C library ask the kernel at every change, which is a hundred times as slow.
extern "C" void daybreak_switch_stack(void** left, void* next);
asm(R"(
.text
.type daybreak_switch_stack, @function
daybreak_switch_stack:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size daybreak_switch_stack, . - daybreak_switch_stack
)");

namespace daybreak::emulate {
namespace {

constexpr int kWarp = 32, kMostThreads = 1024;
constexpr std::size_t kStack = 128 << 10;

enum class State { ready, at_warp, at_block, done };

struct Fiber {
  std::unique_ptr<char[]> memory;
  void* stack = nullptr;  ///< where it goes on
  State state = State::done;
  uint3 index{};
};

std::vector<Fiber> fibers;
void* scheduler = nullptr;  // its stack
const std::function<void()>* body_of_all = nullptr;
int current = 0;
const bool reversed_order = std::getenv("DAYBREAK_FAKE_GPU_ORDER") != nullptr;
double slots[kMostThreads];

[[noreturn]] void fail(const char* what) {
  std::fprintf(stderr, "emulated GPU: %s (block %u %u %u of %u %u %u, %u x %u x %u threads)\n",
               what, blockIdx.x, blockIdx.y, blockIdx.z, gridDim.x, gridDim.y, gridDim.z,
               blockDim.x, blockDim.y, blockDim.z);
  std::abort();
}

void give_way(State state) {
  fibers[current].state = state;
  daybreak_switch_stack(&fibers[current].stack, scheduler);
}

void fiber_main() {
  for (;;) {
    (*body_of_all)();
    give_way(State::done);
  }
}

// A stack as daybreak_switch_stack() leaves it: six registers, then where to go on; a multiple of
// 16 above a place that a call would have pushed its return to.
void make_fibers(int count) {
  while (static_cast<int>(fibers.size()) < count) {
    Fiber& fiber = fibers.emplace_back();
    fiber.memory = std::make_unique<char[]>(kStack);
    const auto end = reinterpret_cast<std::uintptr_t>(fiber.memory.get() + kStack) / 16 * 16;
    void** top = reinterpret_cast<void**>(end) - 8;
    std::fill_n(top, 8, nullptr);
    top[6] = reinterpret_cast<void*>(fiber_main);
    fiber.stack = top;
  }
}

bool resume_ready(int count) {
  bool any = false;
  for (int i = 0; i < count; ++i) {
    current = reversed_order ? count - 1 - i : i;
    Fiber& fiber = fibers[current];
    if (fiber.state != State::ready) continue;
    any = true;
    threadIdx = fiber.index;
    daybreak_switch_stack(&scheduler, fiber.stack);
  }
  return any;
}

// Full warps whose lanes all wait go on.
bool release_warps(int count) {
  bool any = false;
  for (int first = 0; first < count; first += kWarp) {
    const int end = std::min(count, first + kWarp);
    int waiting = 0;
    for (int i = first; i < end; ++i) waiting += fibers[i].state == State::at_warp;
    if (waiting != end - first) continue;
    for (int i = first; i < end; ++i) fibers[i].state = State::ready;
    any = true;
  }
  return any;
}

// Threads that have ended are not waited for, as on a GPU.
bool release_block(int count) {
  int waiting = 0, done = 0;
  for (int i = 0; i < count; ++i) {
    waiting += fibers[i].state == State::at_block;
    done += fibers[i].state == State::done;
  }
  if (waiting == 0 || waiting + done != count) return false;
  for (int i = 0; i < count; ++i) {
    if (fibers[i].state == State::at_block) fibers[i].state = State::ready;
  }
  return true;
}

void run_block(int count) {
  for (int i = 0; i < count; ++i) fibers[i].state = State::ready;
  while (resume_ready(count) || release_warps(count) || release_block(count)) {
  }
  for (int i = 0; i < count; ++i) {
    if (fibers[i].state != State::done) fail("threads wait for others that do not come");
  }
}

}  // namespace

void wait_for_block() {
  give_way(State::at_block);
}
void wait_for_warp() {
  give_way(State::at_warp);
}
void* warp_slots(int& lane) {
  lane = current % kWarp;
  return slots + current / kWarp * kWarp;
}

void run_grid(dim3 grid, dim3 block, const std::function<void()>& body) {
  gridDim = grid, blockDim = block, blockIdx = {};
  const std::int64_t threads = std::int64_t{block.x} * block.y * block.z;
  if (threads < 1 || threads > kMostThreads || block.z > 64) fail("no such block");
  const bool fits = grid.x >= 1 && grid.x <= 2147483647u && grid.y >= 1 && grid.y <= 65535u &&
                    grid.z >= 1 && grid.z <= 65535u;
  if (!fits) fail("no such grid");
  const int count = static_cast<int>(threads);
  make_fibers(count);
  for (int i = 0; i < count; ++i) {
    const auto at = static_cast<unsigned>(i);
    fibers[i].index = {at % block.x, at / block.x % block.y, at / block.x / block.y};
  }
  body_of_all = &body;
  for (blockIdx.z = 0; blockIdx.z < grid.z; ++blockIdx.z) {
    for (blockIdx.y = 0; blockIdx.y < grid.y; ++blockIdx.y) {
      for (blockIdx.x = 0; blockIdx.x < grid.x; ++blockIdx.x) run_block(count);
    }
  }
}

}  // namespace daybreak::emulate
