#include <algorithm>
#include <array>
#include <cmath>

#include "data/transforms.h"

namespace daybreak {
namespace {

// ITU-R BT.601 brightness.
constexpr float kRed = 0.299f, kGreen = 0.587f, kBlue = 0.114f;

std::uint8_t to_byte(float value) {
  return static_cast<std::uint8_t>(std::clamp(value, 0.0f, 255.0f) + 0.5f);
}

float draw_factor(double range, Draws& draws) {
  const float u = draws.uniform(-1.0f, 1.0f);
  return std::max(0.0f, 1.0f + static_cast<float>(range) * u);
}

// Exact sums of the channels: the mean does not depend on the order of summing.
float mean_grey(const std::uint8_t* pixels, std::int64_t count, int channels) {
  std::array<std::uint64_t, 3> sums{};
  for (std::int64_t i = 0; i < count; ++i) {
    for (int c = 0; c < channels; ++c)
      sums[static_cast<std::size_t>(c)] += pixels[i * channels + c];
  }
  const auto mean = [&](int c) {
    return static_cast<double>(sums[static_cast<std::size_t>(c)]) / static_cast<double>(count);
  };
  if (channels == 1) return static_cast<float>(mean(0));
  return static_cast<float>(kRed * mean(0) + kGreen * mean(1) + kBlue * mean(2));
}

// Moves the hue by `turns` in the HSV hexcone (Smith 1978): value and chroma stay.
std::array<float, 3> shift_hue(const std::array<float, 3>& rgb, float turns) {
  const float high = std::max({rgb[0], rgb[1], rgb[2]});
  const float low = std::min({rgb[0], rgb[1], rgb[2]});
  const float chroma = high - low;
  if (chroma <= 0.0f) return rgb;
  float hue;  // in sixths of a turn
  if (high == rgb[0]) {
    hue = (rgb[1] - rgb[2]) / chroma;
  } else if (high == rgb[1]) {
    hue = 2.0f + (rgb[2] - rgb[0]) / chroma;
  } else {
    hue = 4.0f + (rgb[0] - rgb[1]) / chroma;
  }
  hue += 6.0f * turns;
  hue -= 6.0f * std::floor(hue / 6.0f);
  const auto channel = [&](float offset) {
    float k = offset + hue;
    if (k >= 6.0f) k -= 6.0f;
    return high - chroma * std::clamp(std::min(k, 4.0f - k), 0.0f, 1.0f);
  };
  return {channel(5.0f), channel(3.0f), channel(1.0f)};
}

}  // namespace

JitterFactors draw_color_jitter(const ColorJitter& spec, Draws& draws) {
  JitterFactors factors;
  factors.brightness = draw_factor(spec.brightness, draws);
  factors.contrast = draw_factor(spec.contrast, draws);
  factors.saturation = draw_factor(spec.saturation, draws);
  factors.hue = static_cast<float>(spec.hue) * draws.uniform(-1.0f, 1.0f);
  return factors;
}

void color_jitter(std::uint8_t* pixels, std::int64_t count, int channels,
                  const JitterFactors& factors) {
  if (count <= 0) return;
  // Brightness and contrast are one line y = gain * x + offset; the mean is that after brightness.
  const float mean = mean_grey(pixels, count, channels) * factors.brightness;
  const float gain = factors.brightness * factors.contrast;
  const float offset = mean * (1.0f - factors.contrast);
  std::array<float, 256> line{};
  for (int v = 0; v < 256; ++v) {
    line[static_cast<std::size_t>(v)] =
        std::clamp(gain * static_cast<float>(v) + offset, 0.0f, 255.0f);
  }
  if (channels != 3) {
    for (std::int64_t i = 0; i < count * channels; ++i) pixels[i] = to_byte(line[pixels[i]]);
    return;
  }
  for (std::int64_t i = 0; i < count; ++i) {
    std::uint8_t* p = pixels + 3 * i;
    std::array<float, 3> rgb{line[p[0]], line[p[1]], line[p[2]]};
    if (factors.saturation != 1.0f) {
      const float grey = kRed * rgb[0] + kGreen * rgb[1] + kBlue * rgb[2];
      for (float& v : rgb) v = std::clamp(grey + factors.saturation * (v - grey), 0.0f, 255.0f);
    }
    if (factors.hue != 0.0f) rgb = shift_hue(rgb, factors.hue);
    for (std::size_t c = 0; c < 3; ++c) p[c] = to_byte(rgb[c]);
  }
}

namespace {

// Log-uniform would be as good; Darknet draws the factor and then whether to invert it.
float draw_scale(double largest, Draws& draws) {
  const float factor = draws.uniform(1.0f, static_cast<float>(largest));
  return draws.uniform() < 0.5f ? factor : 1.0f / factor;
}

}  // namespace

HsvFactors draw_hsv(const Hsv& spec, Draws& draws) {
  HsvFactors factors;
  factors.hue = static_cast<float>(spec.hue) * draws.uniform(-1.0f, 1.0f);
  factors.saturation = draw_scale(spec.saturation, draws);
  factors.exposure = draw_scale(spec.exposure, draws);
  return factors;
}

void change_hsv(std::uint8_t* pixels, std::int64_t count, int channels, const HsvFactors& factors) {
  if (channels != 3) {
    for (std::int64_t i = 0; i < count * channels; ++i) {
      pixels[i] = to_byte(static_cast<float>(pixels[i]) * factors.exposure);
    }
    return;
  }
  for (std::int64_t i = 0; i < count; ++i) {
    std::uint8_t* p = pixels + 3 * i;
    const float high = std::max({p[0], p[1], p[2]});
    const float low = std::min({p[0], p[1], p[2]});
    const float value = std::min(255.0f, high * factors.exposure);
    std::array<float, 3> rgb{value, value, value};
    if (high > low) {
      const float saturation = std::min(1.0f, (high - low) / high * factors.saturation);
      const float slope = saturation * value / (high - low);
      for (std::size_t c = 0; c < 3; ++c)
        rgb[c] = value - slope * (high - static_cast<float>(p[c]));
      if (factors.hue != 0.0f) rgb = shift_hue(rgb, factors.hue);
    }
    for (std::size_t c = 0; c < 3; ++c) p[c] = to_byte(rgb[c]);
  }
}

}  // namespace daybreak
