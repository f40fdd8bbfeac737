#include "data/stats.h"

#include <array>
#include <cmath>
#include <exception>

#include "core/error.h"
#include "core/parallel.h"

namespace daybreak {
namespace {

constexpr int kMostChannels = 4;
constexpr std::int64_t kGrain = 256;  // pictures a chunk

__extension__ typedef unsigned __int128 Wide;

struct Sums {
  std::uint64_t pixels = 0;
  std::array<std::uint64_t, kMostChannels> sum{}, squares{};

  void add(const PictureView& view) {
    const std::int64_t count = static_cast<std::int64_t>(view.w) * view.h;
    std::array<std::uint64_t, kMostChannels> s{};
    std::array<std::uint64_t, kMostChannels> q{};
    const std::uint8_t* p = view.pixels;
    for (std::int64_t i = 0; i < count; ++i) {
      for (int c = 0; c < view.c; ++c) {
        const std::uint32_t v = *p++;
        s[static_cast<std::size_t>(c)] += v;
        q[static_cast<std::size_t>(c)] += v * v;
      }
    }
    pixels += static_cast<std::uint64_t>(count);
    for (std::size_t c = 0; c < kMostChannels; ++c) {
      sum[c] += s[c];
      squares[c] += q[c];
    }
  }
  void add(const Sums& other) {
    pixels += other.pixels;
    for (std::size_t c = 0; c < kMostChannels; ++c) {
      sum[c] += other.sum[c];
      squares[c] += other.squares[c];
    }
  }
};

}  // namespace

ChannelStats measure(const Dataset& data, double scale, std::int64_t most_decoded) {
  DAYBREAK_ASSERT(!data.empty() && data.channels() <= kMostChannels && most_decoded > 0);
  const std::int64_t size = data.size();
  const std::int64_t count = data.in_memory() ? size : std::min(size, most_decoded);
  std::vector<Sums> parts(static_cast<std::size_t>((count + kGrain - 1) / kGrain));
  std::vector<std::exception_ptr> errors(parts.size());
  parallel_for(count, kGrain, [&](std::int64_t begin, std::int64_t end) {
    const auto part = static_cast<std::size_t>(begin / kGrain);
    ReadScratch scratch;
    try {
      for (std::int64_t i = begin; i < end; ++i)
        parts[part].add(data.picture(i * size / count, scratch));
    } catch (...) {
      errors[part] = std::current_exception();
    }
  });
  Sums all;
  for (std::size_t part = 0; part < parts.size(); ++part) {
    if (errors[part]) std::rethrow_exception(errors[part]);
    all.add(parts[part]);
  }
  ChannelStats stats;
  const auto n = static_cast<double>(all.pixels);
  for (std::size_t c = 0; c < static_cast<std::size_t>(data.channels()); ++c) {
    // n^2 var = n * squares - sum^2, exact in 128 bits: no cancellation.
    const Wide spread = Wide{all.pixels} * all.squares[c] - Wide{all.sum[c]} * all.sum[c];
    const double deviation = std::sqrt(static_cast<double>(spread)) / n;
    stats.mean.push_back(scale * static_cast<double>(all.sum[c]) / n);
    stats.std.push_back(scale * (deviation > 0 ? deviation : 1.0));
  }
  return stats;
}

}  // namespace daybreak
