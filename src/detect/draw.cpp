#include "detect/draw.h"

#include <algorithm>
#include <cmath>
#include <opencv2/imgproc.hpp>

namespace daybreak {
namespace {

// Letters of OpenCV's Hershey font of scale 1 are about 22 pixels high.
constexpr double kFontPixels = 22.0;

cv::Scalar scalar(std::uint32_t colour) {
  return {static_cast<double>(colour >> 16 & 255), static_cast<double>(colour >> 8 & 255),
          static_cast<double>(colour & 255)};
}

// Relative luminance (ITU-R BT.709, without gamma) decides the colour of the letters.
cv::Scalar text_colour(std::uint32_t ground) {
  const cv::Scalar c = scalar(ground);
  const double luminance = 0.2126 * c[0] + 0.7152 * c[1] + 0.0722 * c[2];
  return luminance > 128.0 ? cv::Scalar(0, 0, 0) : cv::Scalar(255, 255, 255);
}

std::string ascii(const std::string& text) {
  std::string result;
  for (const char raw : text) {
    const auto c = static_cast<unsigned char>(raw);
    if ((c & 0xC0) == 0x80) continue;  // the rest of a character of several bytes
    result += c >= 0x20 && c < 0x7F ? raw : '?';
  }
  return result;
}

int pixel(double value, int limit) {
  return static_cast<int>(std::lround(std::clamp(value, 0.0, static_cast<double>(limit - 1))));
}

}  // namespace

std::uint32_t category_colour(int category) {
  // Hues by the golden ratio: any number of neighbours lie far apart.
  const double hue = std::fmod(0.08 + category * 0.61803398875, 1.0) * 6.0;
  const double value = category % 2 == 0 ? 1.0 : 0.8;
  const auto channel = [&](double shift) {
    const double k = std::fmod(hue + shift, 6.0);
    const double level = value - value * 0.85 * std::clamp(std::min(k, 4.0 - k), 0.0, 1.0);
    return static_cast<std::uint32_t>(std::lround(level * 255.0));
  };
  return channel(5.0) << 16 | channel(3.0) << 8 | channel(1.0);
}

void draw_boxes(std::uint8_t* rgb, int width, int height, const std::vector<LabelledBox>& boxes) {
  cv::Mat picture(height, width, CV_8UC3, rgb);
  const double side = std::min(width, height);
  const int line = std::max(1, static_cast<int>(std::lround(side / 250.0)));
  const double font = std::clamp(side / 30.0, 10.0, 60.0) / kFontPixels;
  const int stroke = std::max(1, static_cast<int>(std::lround(font * 1.6)));
  for (const LabelledBox& box : boxes) {
    const std::uint32_t colour = category_colour(box.category);
    const cv::Point a(pixel(box.left, width), pixel(box.top, height));
    const cv::Point b(pixel(box.right, width), pixel(box.bottom, height));
    cv::rectangle(picture, a, b, scalar(colour), line);
    if (box.label.empty()) continue;
    const std::string label = ascii(box.label);
    int below = 0;
    const cv::Size size = cv::getTextSize(label, cv::FONT_HERSHEY_SIMPLEX, font, stroke, &below);
    const int pad = line + 1;
    const int tall = size.height + below + 2 * pad;
    // Above the frame where there is room, else inside it; never beyond the right edge.
    const int x = std::max(0, std::min(a.x, width - size.width - 2 * pad));
    const int y = a.y >= tall ? a.y - tall : a.y;
    cv::rectangle(picture, {x, y}, {x + size.width + 2 * pad, y + tall}, scalar(colour),
                  cv::FILLED);
    cv::putText(picture, label, {x + pad, y + pad + size.height}, cv::FONT_HERSHEY_SIMPLEX, font,
                text_colour(colour), stroke, cv::LINE_AA);
  }
}

}  // namespace daybreak
