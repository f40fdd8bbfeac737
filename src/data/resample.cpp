#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "core/multiarch.h"
#include "data/fit.h"

// Bilinear resizing in float, and the network's input from it. Every output row blends two source
// rows that were blended along x once each: a source row is read at most once or twice.

namespace daybreak {
namespace {

/// The two pixels an output position lies between, and the share of the second.
struct Tap {
  int first = 0, second = 0;
  float share = 0.0f;
};

std::vector<Tap> make_taps(int in, int out, Resample how) {
  std::vector<Tap> taps;
  for (int o = 0; o < out; ++o) {
    double position = 0.0;
    if (how == Resample::aligned) {
      position = out > 1 ? o * static_cast<double>(in - 1) / (out - 1) : 0.0;
    } else {
      position = std::max(0.0, (o + 0.5) * in / out - 0.5);
    }
    const int first = std::min(static_cast<int>(position), in - 1);
    taps.push_back({first, std::min(first + 1, in - 1), static_cast<float>(position - first)});
  }
  return taps;
}

void blend_row(const std::uint8_t* row, int channels, const std::vector<Tap>& taps, float* out) {
  for (const Tap& tap : taps) {
    const std::uint8_t* a = row + tap.first * channels;
    const std::uint8_t* b = row + tap.second * channels;
    for (int c = 0; c < channels; ++c) {
      const float left = a[c];
      *out++ = left + (static_cast<float>(b[c]) - left) * tap.share;
    }
  }
}

DAYBREAK_MULTIARCH void blend_rows(const float* a, const float* b, float share, std::int64_t count,
                                   float* out) {
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) out[i] = a[i] + (b[i] - a[i]) * share;
}

}  // namespace

void resample_part(const PictureView& picture, const FitGeometry& g, Resample how,
                   std::vector<float>& out) {
  const int c = picture.c;
  const std::int64_t row = static_cast<std::int64_t>(g.place_w) * c;
  const std::vector<Tap> columns = make_taps(g.crop_w, g.place_w, how);
  const std::vector<Tap> rows = make_taps(g.crop_h, g.place_h, how);
  out.resize(static_cast<std::size_t>(row) * g.place_h);
  std::vector<float> blended[2] = {std::vector<float>(row), std::vector<float>(row)};
  int held[2] = {-1, -1};  // source row in each buffer
  const auto source = [&](int y) {
    if (held[0] == y) return 0;
    if (held[1] == y) return 1;
    const int into = held[0] < held[1] ? 0 : 1;  // the older one, as rows only go down
    const std::int64_t at = (static_cast<std::int64_t>(g.crop_y + y) * picture.w + g.crop_x) * c;
    blend_row(picture.pixels + at, c, columns, blended[into].data());
    held[into] = y;
    return into;
  };
  for (int y = 0; y < g.place_h; ++y) {
    const int first = source(rows[y].first);
    const int second = source(rows[y].second);
    blend_rows(blended[first].data(), blended[second].data(), rows[y].share, row,
               out.data() + y * row);
  }
}

void fit_normalized(const PictureView& picture, const InputSpec& input, float* out) {
  const FitGeometry g = fit_geometry(picture.w, picture.h, input.width, input.height, input.fit);
  const int c = picture.c;
  std::vector<float> values;
  const bool same_size = g.crop_w == g.place_w && g.crop_h == g.place_h;
  if (input.resample == Resample::area && !same_size) {
    std::vector<std::uint8_t> bytes(static_cast<std::size_t>(g.place_w) * g.place_h * c);
    resize_part(picture, g.crop_x, g.crop_y, g.crop_w, g.crop_h, g.place_w, g.place_h, bytes.data(),
                static_cast<std::int64_t>(g.place_w) * c);
    values.assign(bytes.begin(), bytes.end());
  } else {
    resample_part(picture, g, same_size ? Resample::linear : input.resample, values);
  }
  const std::int64_t plane = static_cast<std::int64_t>(input.width) * input.height;
  for (int channel = 0; channel < c; ++channel) {
    const auto at = static_cast<std::size_t>(channel);
    const double mean = input.mean.size() == 1 ? input.mean[0] : input.mean[at];
    const double deviation = input.std.size() == 1 ? input.std[0] : input.std[at];
    const auto factor = static_cast<float>(input.scale / deviation);
    const auto shift = static_cast<float>(-mean / deviation);
    const int from = input.order == ChannelOrder::bgr ? c - 1 - channel : channel;
    float* target = out + channel * plane;
    if (g.place_w != input.width || g.place_h != input.height) {
      std::fill_n(target, plane, 127.5f * factor + shift);  // half of white, as in Darknet
    }
    const float* source = values.data() + from;
    for (int y = 0; y < g.place_h; ++y) {
      float* line = target + static_cast<std::int64_t>(g.place_y + y) * input.width + g.place_x;
      for (int x = 0; x < g.place_w; ++x, source += c) line[x] = *source * factor + shift;
    }
  }
}

}  // namespace daybreak
