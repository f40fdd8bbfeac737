#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "data/data_support.h"
#include "data/loader.h"

// Counts every allocation of this test program.
namespace {
std::atomic<long> allocations{0};

void* counted(std::size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size == 0 ? 1 : size)) return memory;
  throw std::bad_alloc();
}
}  // namespace

void* operator new(std::size_t size) {
  return counted(size);
}
void* operator new[](std::size_t size) {
  return counted(size);
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete[](void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}
void operator delete[](void* memory, std::size_t) noexcept {
  std::free(memory);
}

namespace daybreak {
namespace {

TEST(Loader, AllocatesNothingPerBatchFromMemory) {
  DataSpec spec = test::spec_for(DataFormat::synthetic, "");
  spec.train_limit = 200;
  spec.test_limit = 1;
  const Dataset data = open_data(spec, test::input_of(16, 16, 3)).train;
  for (const int workers : {0, 2}) {
    LoaderOptions options;
    options.batch = 32;
    options.width = options.height = 16;
    options.workers = workers;
    options.repeat = true;
    options.transforms = {PadCrop{2}, Flip{}, Flip{0.5, true}, ColorJitter{0.1, 0.1, 0.1, 0.1},
                          Cutout{3}};
    Loader loader(data, options);
    loader.start(0);
    // Buffers grow until every worker has made every kind of picture; on a busy machine one of them
    // may come late, so this asks for 50 batches in a row, over several epochs, without any.
    long last = -1;
    for (int window = 0; window < 40 && last != 0; ++window) {
      const long before = allocations;
      for (int i = 0; i < 50; ++i) loader.next();
      last = allocations - before;
    }
    EXPECT_EQ(last, 0) << workers << " workers";
  }
}

}  // namespace
}  // namespace daybreak
