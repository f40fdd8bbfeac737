#include "report/canvas.h"

#include <algorithm>
#include <cmath>
#include <opencv2/core.hpp>
#include <opencv2/imgproc.hpp>

#include "core/error.h"
#include "data/opencv_setup.h"

namespace daybreak {
namespace {

constexpr int kShift = 4;  // sub-pixel positions of 1/16
constexpr int kFont = cv::FONT_HERSHEY_SIMPLEX;
constexpr double kFontHeight = 30.0;  // size at which kFont's scale of 1 looks like 30 pixels

cv::Scalar scalar(Colour colour) {
  return {static_cast<double>(colour >> 16 & 0xFF), static_cast<double>(colour >> 8 & 0xFF),
          static_cast<double>(colour & 0xFF)};
}

std::string ascii(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte & 0xC0) == 0x80) continue;  // goes on with the character before
    out += byte >= 0x20 && byte < 0x7F ? c : '?';
  }
  return out;
}

cv::Mat rgb_of(const PictureView& source) {
  DAYBREAK_ASSERT(source.c == 1 || source.c == 3);
  // OpenCV has no const Mat over foreign memory; nothing below writes to it.
  const cv::Mat view(source.h, source.w, CV_8UC(source.c),
                     const_cast<std::uint8_t*>(source.pixels));
  if (source.c == 3) return view;
  cv::Mat rgb;
  cv::cvtColor(view, rgb, cv::COLOR_GRAY2RGB);
  return rgb;
}

void resize_into(const cv::Mat& source, cv::Mat target) {
  const bool enlarges = target.cols >= source.cols && target.rows >= source.rows;
  cv::resize(source, target, target.size(), 0, 0, enlarges ? cv::INTER_NEAREST : cv::INTER_AREA);
}

Image image_of(const cv::Mat& mat) {
  Image image;
  image.w = mat.cols;
  image.h = mat.rows;
  image.c = mat.channels();
  image.hwc.reserve(mat.total() * mat.elemSize());
  for (int y = 0; y < mat.rows; ++y) {
    const std::uint8_t* row = mat.ptr<std::uint8_t>(y);
    image.hwc.insert(image.hwc.end(), row,
                     row + static_cast<std::size_t>(mat.cols) * mat.elemSize());
  }
  return image;
}

}  // namespace

struct Canvas::Impl {
  cv::Mat whole;
  cv::Mat part;        // what is drawn on: a view into `whole`
  cv::Point origin{};  // of the part, in pixels of the picture
  double scale = 1.0;

  cv::Point2d place(Point p) const { return {p.x * scale - origin.x, p.y * scale - origin.y}; }
  cv::Point fixed(Point p) const {
    const cv::Point2d at = place(p);
    constexpr double kOne = 1 << kShift;
    return {cvRound((at.x - 0.5) * kOne), cvRound((at.y - 0.5) * kOne)};
  }
  int thickness(double width) const { return std::max(1, cvRound(width * scale)); }
  cv::Rect box(double x, double y, double w, double h) const {
    const cv::Point from(cvRound(x * scale), cvRound(y * scale));
    const cv::Point to(cvRound((x + w) * scale), cvRound((y + h) * scale));
    return cv::Rect(from, to) & cv::Rect(0, 0, whole.cols, whole.rows);
  }
};

Canvas::Canvas(double width, double height, double scale, Colour ground)
    : impl_(std::make_unique<Impl>()) {
  setup_opencv();
  impl_->scale = scale;
  impl_->whole.create(std::max(1, cvRound(height * scale)), std::max(1, cvRound(width * scale)),
                      CV_8UC3);
  impl_->whole.setTo(scalar(ground));
  impl_->part = impl_->whole;
}

Canvas::~Canvas() = default;

void Canvas::polyline(const std::vector<Point>& points, Colour colour, double width) {
  std::vector<cv::Point> fixed;
  for (const Point& point : points) fixed.push_back(impl_->fixed(point));
  if (fixed.size() == 1) fixed.push_back(fixed[0]);
  if (fixed.empty()) return;
  cv::polylines(impl_->part, fixed, /*isClosed=*/false, scalar(colour), impl_->thickness(width),
                cv::LINE_AA, kShift);
}

void Canvas::line(Point from, Point to, Colour colour, double width) {
  // Straight lines lie on whole pixels, so that a grid is crisp.
  if (from.x == to.x || from.y == to.y) {
    const double half = width / 2;
    const bool flat = from.y == to.y;
    const double x = std::min(from.x, to.x) - (flat ? 0.0 : half);
    const double y = std::min(from.y, to.y) - (flat ? half : 0.0);
    rectangle(x, y, flat ? std::abs(to.x - from.x) : width, flat ? width : std::abs(to.y - from.y),
              colour);
    return;
  }
  polyline({from, to}, colour, width);
}

void Canvas::dashed(Point from, Point to, Colour colour, double width) {
  constexpr double kDash = 4.0;
  constexpr double kGap = 3.0;
  const double length = std::hypot(to.x - from.x, to.y - from.y);
  for (double at = 0.0; at < length; at += kDash + kGap) {
    const double a = at / length;
    const double b = std::min(at + kDash, length) / length;
    line({std::lerp(from.x, to.x, a), std::lerp(from.y, to.y, a)},
         {std::lerp(from.x, to.x, b), std::lerp(from.y, to.y, b)}, colour, width);
  }
}

void Canvas::rectangle(double x, double y, double width, double height, Colour colour) {
  const cv::Rect part(impl_->origin, impl_->part.size());
  const cv::Rect box = impl_->box(x, y, width, height) & part;
  if (box.area() > 0) impl_->whole(box).setTo(scalar(colour));
}

void Canvas::disc(Point centre, double radius, Colour colour) {
  const int fixed_radius = cvRound(radius * impl_->scale * (1 << kShift));
  cv::circle(impl_->part, impl_->fixed(centre), fixed_radius, scalar(colour), cv::FILLED,
             cv::LINE_AA, kShift);
}

void Canvas::clip(double x, double y, double width, double height) {
  const cv::Rect box = impl_->box(x, y, width, height);
  if (box.area() == 0) return;
  impl_->part = impl_->whole(box);
  impl_->origin = box.tl();
}

void Canvas::unclip() {
  impl_->part = impl_->whole;
  impl_->origin = {};
}

double Canvas::text_width(std::string_view text, double size) {
  int base = 0;
  return cv::getTextSize(ascii(text), kFont, 1.0, 1, &base).width * size / kFontHeight;
}

std::string Canvas::fit_text(std::string_view text, double size, double width) {
  const std::string all = ascii(text);
  if (text_width(all, size) <= width) return all;
  for (std::size_t length = all.size(); length > 1; --length) {
    const std::string cut = all.substr(0, length - 1) + "..";
    if (text_width(cut, size) <= width) return cut;
  }
  return "";
}

void Canvas::text(Point at, std::string_view text, double size, Colour colour, TextAnchor anchor) {
  const double width = text_width(text, size);
  if (anchor == TextAnchor::middle) at.x -= width / 2;
  if (anchor == TextAnchor::end) at.x -= width;
  const cv::Point2d place = impl_->place(at);
  const double font_scale = size * impl_->scale / kFontHeight;
  cv::putText(impl_->part, ascii(text), {cvRound(place.x), cvRound(place.y)}, kFont, font_scale,
              scalar(colour), std::max(1, cvRound(font_scale * 1.9)), cv::LINE_AA);
}

void Canvas::text_upwards(Point at, std::string_view text, double size, Colour colour) {
  const double width = text_width(text, size);
  const double height = size * 1.4;
  const cv::Rect area = impl_->box(at.x - height, at.y - width / 2 - 2, height * 1.4, width + 4);
  if (area.area() == 0) return;
  cv::Mat lying;
  cv::rotate(impl_->whole(area), lying, cv::ROTATE_90_CLOCKWISE);
  const double font_scale = size * impl_->scale / kFontHeight;
  const cv::Point base(cvRound(2 * impl_->scale), cvRound(height * impl_->scale));
  cv::putText(lying, ascii(text), base, kFont, font_scale, scalar(colour),
              std::max(1, cvRound(font_scale * 1.9)), cv::LINE_AA);
  cv::rotate(lying, impl_->whole(area), cv::ROTATE_90_COUNTERCLOCKWISE);
}

void Canvas::picture(const PictureView& source, double x, double y, double width, double height) {
  const cv::Rect box = impl_->box(x, y, width, height);
  if (box.area() == 0 || source.bytes() <= 0) return;
  resize_into(rgb_of(source), impl_->whole(box));
}

Image Canvas::take() {
  return image_of(impl_->whole);
}

Colour blend(Colour ground, Colour colour, double opacity) {
  Colour out = 0;
  for (const int shift : {16, 8, 0}) {
    const double mixed = std::lerp(static_cast<double>(ground >> shift & 0xFF),
                                   static_cast<double>(colour >> shift & 0xFF), opacity);
    out |= static_cast<Colour>(std::lround(mixed)) << shift;
  }
  return out;
}

Image resize_picture(const PictureView& source, int width, int height) {
  setup_opencv();
  DAYBREAK_ASSERT(source.bytes() > 0 && width > 0 && height > 0);
  cv::Mat out(height, width, CV_8UC3);
  resize_into(rgb_of(source), out);
  return image_of(out);
}

}  // namespace daybreak
