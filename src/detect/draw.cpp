#include "detect/draw.h"

#include <algorithm>
#include <cmath>
#include <opencv2/imgproc.hpp>

#include "detect/label_places.h"

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

namespace {

/// Line width and letters, by the size of the picture.
struct Pen {
  int line, stroke;
  double font;

  explicit Pen(int side)
      : line(std::max(1, static_cast<int>(std::lround(side / 250.0)))),
        font(std::clamp(side / 36.0, 10.0, 60.0) / kFontPixels) {
    stroke = std::max(1, static_cast<int>(std::lround(font * 1.6)));
  }
  int pad() const { return line + 1; }
  /// Of the letters alone; `below` is what hangs under their line.
  cv::Size text_size(const std::string& text, int& below) const {
    return cv::getTextSize(text, cv::FONT_HERSHEY_SIMPLEX, font, stroke, &below);
  }
};

FrameLabel measure(const LabelledBox& box, const Pen& pen, int width, int height) {
  const int left = pixel(box.left, width), top = pixel(box.top, height);
  FrameLabel result{
      {left, top, pixel(box.right, width) - left + 1, pixel(box.bottom, height) - top + 1}, 0, 0};
  if (box.label.empty()) return result;
  int below = 0;
  const cv::Size size = pen.text_size(ascii(box.label), below);
  result.w = size.width + 2 * pen.pad() + 1;
  result.h = size.height + below + 2 * pen.pad() + 1;
  return result;
}

void draw_label(cv::Mat& picture, const LabelledBox& box, const PixelRect& place, const Pen& pen) {
  const std::uint32_t colour = category_colour(box.category);
  const std::string text = ascii(box.label);
  int below = 0;
  const int letters = pen.text_size(text, below).height;
  cv::rectangle(picture, cv::Rect(place.x, place.y, place.w, place.h), scalar(colour), cv::FILLED);
  cv::putText(picture, text, {place.x + pen.pad(), place.y + pen.pad() + letters},
              cv::FONT_HERSHEY_SIMPLEX, pen.font, text_colour(colour), pen.stroke, cv::LINE_AA);
}

}  // namespace

void draw_boxes(std::uint8_t* rgb, int width, int height, const std::vector<LabelledBox>& boxes) {
  cv::Mat picture(height, width, CV_8UC3, rgb);
  const Pen pen(std::min(width, height));
  std::vector<FrameLabel> labels;
  for (const LabelledBox& box : boxes) labels.push_back(measure(box, pen, width, height));
  for (std::size_t i = 0; i < boxes.size(); ++i) {
    const PixelRect& f = labels[i].frame;
    cv::rectangle(picture, cv::Rect(f.x, f.y, f.w, f.h), scalar(category_colour(boxes[i].category)),
                  pen.line);
  }
  const std::vector<PixelRect> places = place_labels(labels, width, height);
  for (std::size_t i = 0; i < boxes.size(); ++i) {
    if (!boxes[i].label.empty()) draw_label(picture, boxes[i], places[i], pen);
  }
}

}  // namespace daybreak
