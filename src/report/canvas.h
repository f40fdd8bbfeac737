#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "data/image.h"

namespace daybreak {

/// A colour as 0xRRGGBB.
using Colour = unsigned;

enum class TextAnchor : unsigned char { start, middle, end };

/// Draws anti-aliased lines, shapes and text into an RGB picture. Coordinates and sizes are in
/// pixels of the plan, which `scale` multiplies: the picture is scale * width by scale * height.
class Canvas {
 public:
  Canvas(double width, double height, double scale, Colour ground);
  ~Canvas();
  Canvas(const Canvas&) = delete;
  Canvas& operator=(const Canvas&) = delete;

  struct Point {
    double x, y;
  };
  void polyline(const std::vector<Point>& points, Colour colour, double width);
  void line(Point from, Point to, Colour colour, double width);
  void dashed(Point from, Point to, Colour colour, double width);
  void rectangle(double x, double y, double width, double height, Colour colour);
  void disc(Point centre, double radius, Colour colour);
  /// Draws on nothing outside of this rectangle until unclip().
  void clip(double x, double y, double width, double height);
  void unclip();

  /// One line of text whose base line starts, centres or ends at `at`; `size` is the font size in
  /// pixels. Characters the drawing font lacks (all but ASCII) become "?".
  void text(Point at, std::string_view text, double size, Colour colour,
            TextAnchor anchor = TextAnchor::start);
  /// Text that reads from bottom to top, centred on `at`.
  void text_upwards(Point at, std::string_view text, double size, Colour colour);
  static double text_width(std::string_view text, double size);
  /// `text` cut to `width` pixels, with ".." for what is missing.
  static std::string fit_text(std::string_view text, double size, double width);

  /// Copies a picture, resized to the rectangle: sharp-edged when enlarged, averaged when reduced.
  void picture(const PictureView& source, double x, double y, double width, double height);

  Image take();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// `colour` over `ground` with the given opacity.
Colour blend(Colour ground, Colour colour, double opacity);

/// A picture resized as Canvas::picture does.
Image resize_picture(const PictureView& source, int width, int height);

}  // namespace daybreak
