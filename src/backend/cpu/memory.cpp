#include "backend/cpu/memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <fstream>
#include <limits>
#include <string>

#include "core/error.h"
#include "core/parallel.h"

namespace daybreak {
namespace {

constexpr std::size_t kHugePage = std::size_t{2} << 20;

// The number a one-line file starts with; `none` when there is none ("max").
std::size_t read_number(const char* path, std::size_t none) {
  std::ifstream file(path);
  std::size_t value = 0;
  return file >> value ? value : none;
}

// The number after `name` in a file of lines "NAME VALUE [UNIT]".
std::size_t read_field(const char* path, const std::string& name, std::size_t none) {
  std::ifstream file(path);
  std::string key, rest;
  std::size_t value = 0;
  while (file >> key >> value) {
    if (key == name) return value;
    std::getline(file, rest);
  }
  return none;
}

std::string mebibytes(std::size_t bytes) {
  return std::to_string(bytes >> 20) + " MiB";
}

class CpuMemory final : public Memory {
 public:
  explicit CpuMemory(std::size_t bytes) : bytes_(bytes) {
    if (bytes_ == 0) return;
    if (bytes_ > std::numeric_limits<std::size_t>::max() / 2) refuse(available_host_memory());
    // Touching what the machine does not have would end the process; small pieces are not worth it.
    if (bytes_ >= kHugePage) {
      const std::size_t available = available_host_memory();
      if (bytes_ > available) refuse(available);
    }
    mapped_ = bytes_ + (bytes_ >= kHugePage ? kHugePage : 0);
    void* base = mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED) {
      throw DeviceError("cannot allocate " + mebibytes(bytes_) + ": " + errno_text(errno));
    }
    base_ = static_cast<std::byte*>(base);
    const std::size_t align = bytes_ >= kHugePage ? kHugePage : 64;
    const auto address = reinterpret_cast<std::uintptr_t>(base);
    data_ = base_ + ((address + align - 1) / align * align - address);
    if (bytes_ >= kHugePage) madvise(data_, bytes_, MADV_HUGEPAGE);  // a hint: may fail
    touch();
  }
  ~CpuMemory() override {
    if (base_) munmap(base_, mapped_);
  }
  CpuMemory(const CpuMemory&) = delete;
  CpuMemory& operator=(const CpuMemory&) = delete;

  std::byte* data() override { return data_; }
  std::size_t bytes() const override { return bytes_; }

 private:
  [[noreturn]] void refuse(std::size_t available) const {
    throw DeviceError("not enough memory: " + mebibytes(bytes_) + " needed, " +
                      mebibytes(available) + " available; use a smaller batch");
  }

  // The kernel zeroes a page when it is first written to.
  void touch() {
    const std::size_t page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    parallel_for(static_cast<std::int64_t>(bytes_), static_cast<std::int64_t>(kHugePage),
                 [&](std::int64_t begin, std::int64_t end) {
                   for (std::int64_t i = begin; i < end; i += static_cast<std::int64_t>(page)) {
                     *reinterpret_cast<volatile char*>(data_ + i) = 0;
                   }
                 });
  }

  std::size_t bytes_;
  std::size_t mapped_ = 0;
  std::byte* base_ = nullptr;
  std::byte* data_ = nullptr;
};

}  // namespace

std::size_t available_host_memory() {
  constexpr std::size_t kNoLimit = std::numeric_limits<std::size_t>::max();
  const std::size_t machine = read_field("/proc/meminfo", "MemAvailable:", kNoLimit / 1024) * 1024;
  const std::size_t limit = read_number("/sys/fs/cgroup/memory.max", kNoLimit);
  if (limit == kNoLimit) return machine;
  // Pages of files count as used but are given up under pressure.
  const char* stat = "/sys/fs/cgroup/memory.stat";
  const std::size_t files =
      read_field(stat, "inactive_file", 0) + read_field(stat, "active_file", 0);
  const std::size_t current = read_number("/sys/fs/cgroup/memory.current", 0);
  const std::size_t used = current - std::min(current, files);
  return std::min(machine, limit - std::min(limit, used));
}

MemoryPtr allocate_cpu_memory(std::size_t bytes) {
  return std::make_unique<CpuMemory>(bytes);
}

}  // namespace daybreak
