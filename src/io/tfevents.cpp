#include "io/tfevents.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <exception>

#include "core/error.h"
#include "io/crc32c.h"
#include "tfevents.pb.h"

namespace daybreak {
namespace {

double now_seconds() {
  timeval now{};
  ::gettimeofday(&now, nullptr);
  return static_cast<double>(now.tv_sec) + 1e-6 * static_cast<double>(now.tv_usec);
}

std::string host_name() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0 || name[0] == '\0') return "localhost";
  return name.data();
}

template <typename T>
void append_little_endian(std::string& text, T value) {
  for (std::size_t i = 0; i < sizeof value; ++i) text += static_cast<char>(value >> (8 * i));
}

std::uint32_t masked_crc(std::string_view text) {
  return masked_crc32c(std::as_bytes(std::span(text)));
}

}  // namespace

TfEventsWriter::TfEventsWriter(const std::string& folder) {
  const double now = now_seconds();
  const std::string stem = fmt::format("{}/events.out.tfevents.{}.{}.{}", folder,
                                       static_cast<std::int64_t>(now), host_name(), ::getpid());
  for (int number = 0;; ++number) {
    path_ = fmt::format("{}.{}", stem, number);
    fd_ = FileDescriptor(open_retrying(path_, O_WRONLY | O_CREAT | O_EXCL, 0666));
    if (fd_.open()) break;
    if (errno != EEXIST) throw_file_error(path_, "create", errno);
  }
  tfevents::Event event;
  event.set_wall_time(now);
  event.set_file_version("brain.Event:2");
  append_record(event.SerializeAsString());
  flush();
}

TfEventsWriter::~TfEventsWriter() {
  try {
    flush();
  } catch (const std::exception& error) {
    spdlog::warn("{}", error.what());
  }
}

void TfEventsWriter::scalar(std::string_view tag, std::int64_t step, double value) {
  scalar(tag, step, value, now_seconds());
}

void TfEventsWriter::scalar(std::string_view tag, std::int64_t step, double value,
                            double wall_time) {
  tfevents::Event event;
  event.set_wall_time(wall_time);
  event.set_step(step);
  tfevents::Summary::Value* entry = event.mutable_summary()->add_value();
  entry->set_tag(std::string(tag));
  entry->set_simple_value(static_cast<float>(value));
  append_record(event.SerializeAsString());
}

void TfEventsWriter::append_record(const std::string& data) {
  std::string length;
  append_little_endian(length, static_cast<std::uint64_t>(data.size()));
  pending_ += length;
  append_little_endian(pending_, masked_crc(length));
  pending_ += data;
  append_little_endian(pending_, masked_crc(data));
}

void TfEventsWriter::flush() {
  if (pending_.empty()) return;
  const int error_number = write_fully(fd_.get(), std::as_bytes(std::span(pending_)));
  pending_.clear();
  if (error_number != 0) throw_file_error(path_, "write", error_number);
}

}  // namespace daybreak
