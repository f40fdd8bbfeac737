#include "support/device_tensor.h"

#include <algorithm>

#include <gtest/gtest.h>

namespace daybreak {

namespace {

constexpr std::size_t kGuard = 256;  // keeps the alignment that allocate() gives
constexpr std::byte kGuardByte{0xA5};
constexpr std::byte kPoison{0xFF};  // NaN in f16, bf16, f32 and f64; -1 in integers

DType plain_type(DType dtype) {
  return dtype == DType::bf16 || dtype == DType::f16 ? DType::f32 : dtype;
}

/// Plain bytes are these bytes: no reorder is needed.
bool is_direct(const TensorDesc& desc) {
  const bool picture = desc.dtype == DType::u8 && desc.layout == kNhwc;
  return picture || (desc.layout == kNchw && plain_type(desc.dtype) == desc.dtype);
}

void run_reorder(Backend& backend, DeviceTensor& from, DeviceTensor& to) {
  Bindings b;
  b.x = {from.data()};
  b.y = to.data();
  backend.reorder(from.desc, to.desc)->run(b);
  backend.synchronize();
  from.buffer->expect_guards("source of a reorder");
  to.buffer->expect_guards("target of a reorder");
}

}  // namespace

GuardedBuffer::GuardedBuffer(Backend& backend, std::size_t bytes)
    : backend_(backend), bytes_(bytes), memory_(backend.allocate(bytes + 2 * kGuard)) {
  std::vector<std::byte> all(bytes + 2 * kGuard, kGuardByte);
  std::fill_n(all.begin() + kGuard, bytes, kPoison);
  backend_.copy_in(memory_->data(), all.data(), all.size());
}

std::byte* GuardedBuffer::data() {
  return memory_->data() + kGuard;
}

void GuardedBuffer::write(const std::vector<std::byte>& bytes) {
  ASSERT_EQ(bytes.size(), bytes_);
  backend_.copy_in(data(), bytes.data(), bytes.size());
}

std::vector<std::byte> GuardedBuffer::read() {
  std::vector<std::byte> bytes(bytes_);
  backend_.copy_out(bytes.data(), data(), bytes_);
  return bytes;
}

void GuardedBuffer::expect_guards(const std::string& what) {
  std::vector<std::byte> all(bytes_ + 2 * kGuard);
  backend_.copy_out(all.data(), memory_->data(), all.size());
  const auto is_guard = [](std::byte byte) { return byte == kGuardByte; };
  EXPECT_TRUE(std::all_of(all.begin(), all.begin() + kGuard, is_guard))
      << "written before " << what;
  EXPECT_TRUE(std::all_of(all.end() - kGuard, all.end(), is_guard)) << "written behind " << what;
}

DeviceTensor poisoned(Backend& backend, const TensorDesc& desc) {
  EXPECT_EQ(desc.bytes, backend.layout_bytes(desc.shape, desc.dtype, desc.layout))
      << "bytes of " << to_string(desc.shape) << " in " << backend.layout_name(desc.layout);
  return {desc, std::make_unique<GuardedBuffer>(backend, desc.bytes)};
}

DeviceTensor upload(Backend& backend, const HostTensor& tensor, const TensorDesc& desc) {
  DeviceTensor to = poisoned(backend, desc);
  if (is_direct(desc)) {
    to.buffer->write(to_bytes(tensor, desc.dtype, desc.layout));
    return to;
  }
  const DType dtype = plain_type(desc.dtype);
  DeviceTensor from = poisoned(backend, plain_desc(desc.shape, dtype));
  from.buffer->write(to_bytes(tensor, dtype));
  run_reorder(backend, from, to);
  return to;
}

HostTensor download(Backend& backend, DeviceTensor& tensor) {
  if (is_direct(tensor.desc)) {
    return from_bytes(tensor.buffer->read(), tensor.desc.shape, tensor.desc.dtype);
  }
  const DType dtype = plain_type(tensor.desc.dtype);
  DeviceTensor plain = poisoned(backend, plain_desc(tensor.desc.shape, dtype));
  run_reorder(backend, tensor, plain);
  return from_bytes(plain.buffer->read(), tensor.desc.shape, dtype);
}

void expect_clean_padding(Backend& backend, DeviceTensor& tensor, const std::string& what) {
  const TensorDesc& desc = tensor.desc;
  if (desc.bytes <= plain_desc(desc.shape, desc.dtype).bytes) return;
  DeviceTensor again = upload(backend, download(backend, tensor), desc);
  EXPECT_TRUE(again.buffer->read() == tensor.buffer->read())
      << "padding of " << what << " in " << backend.layout_name(desc.layout) << " is not zero";
}

}  // namespace daybreak
