#include "data/stats.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <exception>

#include "core/error.h"
#include "core/parallel.h"
#include "data/fit.h"

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

ChannelStats measure(const Dataset& data, const InputSpec& input, std::int64_t most) {
  DAYBREAK_ASSERT(!data.empty() && data.channels() <= kMostChannels && most > 0);
  const std::int64_t size = data.size();
  const std::int64_t count = std::min(size, most);
  std::vector<Sums> parts(static_cast<std::size_t>((count + kGrain - 1) / kGrain));
  std::vector<std::exception_ptr> errors(parts.size());
  parallel_for(count, kGrain, [&](std::int64_t begin, std::int64_t end) {
    const auto part = static_cast<std::size_t>(begin / kGrain);
    ReadScratch scratch;
    try {
      for (std::int64_t i = begin; i < end; ++i) {
        const PictureView view = data.picture(i * size / count, scratch);
        if (view.w == input.width && view.h == input.height) {
          parts[part].add(view);
        } else {
          parts[part].add(fit_picture(view, input.width, input.height, input.rule()).view());
        }
      }
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
    stats.mean.push_back(input.scale * static_cast<double>(all.sum[c]) / n);
    stats.std.push_back(input.scale * (deviation > 0 ? deviation : 1.0));
  }
  return stats;
}

ChannelStats measure(const Dataset& data, double scale) {
  DAYBREAK_ASSERT(!data.empty());
  ReadScratch scratch;
  const PictureView first = data.picture(0, scratch);
  InputSpec input;
  input.width = first.w;
  input.height = first.h;
  input.scale = scale;
  return measure(data, input);
}

void complete_statistics(InputSpec& input, const Dataset& train) {
  if (!input.mean.empty() && !input.std.empty()) return;
  ChannelStats stats = measure(train, input);
  if (input.order == ChannelOrder::bgr) {
    std::reverse(stats.mean.begin(), stats.mean.end());
    std::reverse(stats.std.begin(), stats.std.end());
  }
  if (input.mean.empty()) input.mean = std::move(stats.mean);
  if (input.std.empty()) input.std = std::move(stats.std);
}

std::vector<std::uint8_t> mean_colour(const InputSpec& input) {
  std::vector<std::uint8_t> bytes;
  for (const double mean : input.mean) {
    const double value = input.scale > 0 ? mean / input.scale : 127.0;
    bytes.push_back(static_cast<std::uint8_t>(std::lround(std::clamp(value, 0.0, 255.0))));
  }
  if (input.order == ChannelOrder::bgr) std::reverse(bytes.begin(), bytes.end());
  return bytes;
}

}  // namespace daybreak
