#include "report/png_plot.h"

#include <algorithm>
#include <cmath>
#include <sstream>
#include <string_view>

#include "io/atomic_file.h"
#include "report/canvas.h"
#include "report/text.h"

namespace daybreak {
namespace {

constexpr double kScale = 2.0;
constexpr Colour kGround = 0xFFFFFF;
constexpr Colour kInk = 0x1B2330;
constexpr Colour kText = 0x5B6472;
constexpr Colour kGrid = 0xE7EAEF;
constexpr Colour kAxis = 0xAAB2BF;
constexpr double kTickSize = 10.5;
constexpr double kLabelSize = 11.5;
constexpr double kTitleSize = 14.0;

// ---- plots --------------------------------------------------------------------------------------

// One plot drawn with its top left corner at (x0, y0).
class PlotPainter {
 public:
  PlotPainter(Canvas& canvas, const Plot& plot, double x0, double y0)
      : canvas_(canvas), plot_(plot), at_(layout_of(plot)), x0_(x0), y0_(y0) {}

  void paint() {
    frame();
    legend();
    canvas_.clip(x0_ + at_.left - 4, y0_ + at_.top - 4, at_.right - at_.left + 8,
                 at_.bottom - at_.top + 6);
    for (std::size_t i = 0; i < plot_.series.size(); ++i) curve(i);
    canvas_.unclip();
    for (const PlotMarker& marker : plot_.markers) marker_line(marker);
    for (std::size_t i = 0; i < plot_.markers.size(); ++i) marker_label(plot_.markers[i], i);
  }

 private:
  Canvas::Point at(double x, double y) const { return {x0_ + x, y0_ + y}; }

  void frame() {
    canvas_.text(at(14, at_.title_y), plot_.title, kTitleSize, kInk);
    for (const PlotTick& tick : at_.y_ticks) {
      const double y = at_.y(tick.value);
      canvas_.line(at(at_.left, y), at(at_.right, y), kGrid, 1);
      canvas_.text(at(at_.left - 6, y + 4), tick.label, kTickSize, kText, TextAnchor::end);
    }
    for (const PlotTick& tick : at_.x_ticks) {
      const double x = at_.x(tick.value);
      canvas_.line(at(x, at_.bottom), at(x, at_.bottom + 4), kAxis, 1);
      canvas_.text(at(x, at_.bottom + 17), tick.label, kTickSize, kText, TextAnchor::middle);
    }
    canvas_.line(at(at_.left, at_.bottom), at(at_.right, at_.bottom), kAxis, 1);
    canvas_.text(at((at_.left + at_.right) / 2, plot_.height - 9), plot_.x.label, kLabelSize, kText,
                 TextAnchor::middle);
    canvas_.text_upwards(at(14, (at_.top + at_.bottom) / 2), plot_.y.label, kLabelSize, kText);
  }

  void legend() {
    if (!at_.legend) return;
    double x = 14.0;
    for (std::size_t i = 0; i < plot_.series.size(); ++i) {
      const PlotSeries& series = plot_.series[i];
      if (series.name.empty()) continue;
      canvas_.line(at(x, at_.legend_y - 4), at(x + 16, at_.legend_y - 4), colour(i), 2);
      canvas_.text(at(x + 22, at_.legend_y), series.name, kLabelSize, kText);
      x += 22.0 + 18.0 + Canvas::text_width(series.name, kLabelSize);
    }
  }

  Colour colour(std::size_t index) const {
    const Colour full = palette_colour(colour_of(plot_, index), /*dark=*/false);
    return plot_.series[index].faint ? blend(kGround, full, 0.3) : full;
  }

  void curve(std::size_t index) {
    constexpr std::size_t kMostPoints = 2000;
    constexpr std::size_t kMostDotted = 40;
    const PlotSeries series = thinned(plot_.series[index], kMostPoints);
    for (const auto& piece : pieces_of(series, at_)) {
      std::vector<Canvas::Point> points;
      for (const PixelPoint& point : piece) points.push_back(at(point.x, point.y));
      canvas_.polyline(points, colour(index), series.faint ? 1.0 : 1.8);
    }
    if (series.x.size() > kMostDotted || series.kind == LineKind::step) return;
    for (std::size_t i = 0; i < std::min(series.x.size(), series.y.size()); ++i) {
      if (!at_.x.shows(series.x[i]) || !at_.y.shows(series.y[i])) continue;
      canvas_.disc(at(at_.x(series.x[i]), at_.y(series.y[i])), 2.8, colour(index));
    }
  }

  Colour marker_colour(const PlotMarker& marker) const {
    return marker.colour < 0 ? kAxis : palette_colour(marker.colour, /*dark=*/false);
  }

  void marker_line(const PlotMarker& marker) {
    if (!at_.x.shows(marker.x)) return;
    const double x = at_.x(marker.x);
    canvas_.dashed(at(x, at_.top), at(x, at_.bottom), marker_colour(marker), 1);
    if (marker.y && at_.y.shows(*marker.y)) {
      canvas_.disc(at(x, at_.y(*marker.y)), 4, marker_colour(marker));
    }
  }

  // Labels of neighbouring markers take turns over four rows, on the side that has room.
  void marker_label(const PlotMarker& marker, std::size_t row) {
    if (!at_.x.shows(marker.x)) return;
    const double x = at_.x(marker.x);
    const double y = at_.top + 10.0 + 14.0 * static_cast<double>(row % 4);
    const double width = Canvas::text_width(marker.label, kTickSize);
    const double from = x > (at_.left + at_.right) / 2 ? x - 5 - width : x + 5;
    canvas_.rectangle(x0_ + from - 1, y0_ + y - 10, width + 2, 13, kGround);
    canvas_.text(at(from, y), marker.label, kTickSize, kText);
  }

  Canvas& canvas_;
  const Plot& plot_;
  PlotLayout at_;
  double x0_, y0_;
};

// ---- confusion matrix ---------------------------------------------------------------------------

constexpr Colour kRight = 0x15924F;
constexpr Colour kWrong = 0xD02F4B;

Colour cell_colour(double share, bool right) {
  // The square root keeps rare confusions visible.
  return blend(kGround, right ? kRight : kWrong, 0.85 * std::sqrt(std::clamp(share, 0.0, 1.0)));
}

struct MatrixPlan {
  double cell, left, top, font;
};

MatrixPlan matrix_plan(int classes, const std::vector<std::string>& names) {
  MatrixPlan plan{};
  plan.cell = classes <= 12 ? 56.0 : std::clamp(800.0 / classes, 1.0, 56.0);
  plan.font = std::clamp(plan.cell * 0.5, 0.0, 12.0);
  double widest = 0.0;
  for (int c = 0; c < classes; ++c) {
    widest = std::max(widest, Canvas::text_width(class_name(names, c), plan.font));
  }
  const double label = plan.font >= 6.0 ? std::min(widest, 130.0) + 10.0 : 10.0;
  plan.left = 34.0 + label;
  plan.top = 40.0;
  return plan;
}

void paint_matrix_row(Canvas& canvas, const ClassificationResult& result, const MatrixPlan& plan,
                      int label) {
  const std::int64_t n = result.per_class[static_cast<std::size_t>(label)].n;
  const double gap = plan.cell >= 10.0 ? 1.0 : 0.0;
  for (int predicted = 0; predicted < result.classes; ++predicted) {
    const std::int64_t count = result.confused(label, predicted);
    const double share = n > 0 ? static_cast<double>(count) / static_cast<double>(n) : 0.0;
    const double x = plan.left + predicted * plan.cell;
    const double y = plan.top + label * plan.cell;
    canvas.rectangle(x, y, plan.cell - gap, plan.cell - gap,
                     cell_colour(share, label == predicted));
    const std::string text = with_separators(count);
    if (count == 0 || plan.font < 6.0 || Canvas::text_width(text, plan.font) > plan.cell - 2) {
      continue;
    }
    canvas.text({x + plan.cell / 2, y + plan.cell / 2 + plan.font * 0.36}, text, plan.font,
                share > 0.4 ? kGround : kInk, TextAnchor::middle);
  }
}

// ---- grid ---------------------------------------------------------------------------------------

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

// Whole factors up to about a finger's width, so that pixels stay squares; large pictures shrink.
double easy_scale(const std::vector<Image>& pictures) {
  constexpr double kSmall = 112.0;
  constexpr double kLarge = 224.0;
  double side = 1.0;
  for (const Image& picture : pictures) {
    side = std::max({side, static_cast<double>(picture.w), static_cast<double>(picture.h)});
  }
  return side > kLarge ? kLarge / side : std::max(1.0, std::floor(kSmall / side));
}

}  // namespace

Image plot_picture(const std::vector<Plot>& plots, int columns) {
  if (plots.empty()) return {};
  const std::size_t across =
      std::clamp<std::size_t>(static_cast<std::size_t>(std::max(columns, 1)), 1, plots.size());
  double cell_w = 0.0;
  double cell_h = 0.0;
  for (const Plot& plot : plots) {
    cell_w = std::max(cell_w, static_cast<double>(plot.width));
    cell_h = std::max(cell_h, static_cast<double>(plot.height));
  }
  constexpr double kMargin = 8.0;
  const auto rows = static_cast<double>((plots.size() + across - 1) / across);
  Canvas canvas(cell_w * static_cast<double>(across) + 2 * kMargin, cell_h * rows + 2 * kMargin,
                kScale, kGround);
  for (std::size_t i = 0; i < plots.size(); ++i) {
    PlotPainter(canvas, plots[i], kMargin + cell_w * static_cast<double>(i % across),
                kMargin + cell_h * static_cast<double>(i / across))
        .paint();
  }
  return canvas.take();
}

Image confusion_picture(const ClassificationResult& result,
                        const std::vector<std::string>& class_names) {
  if (result.confusion.empty()) return {};
  const MatrixPlan plan = matrix_plan(result.classes, class_names);
  const double side = plan.cell * result.classes;
  const bool labels = plan.font >= 6.0;
  const double below = labels ? plan.left : 40.0;
  Canvas canvas(plan.left + side + 20.0, plan.top + side + below, kScale, kGround);
  canvas.text({14, 22}, "confusion matrix", kTitleSize, kInk);
  canvas.rectangle(plan.left - 2, plan.top - 2, side + 4, side + 4, kGrid);
  canvas.rectangle(plan.left - 1, plan.top - 1, side + 2, side + 2, kGround);
  for (int c = 0; c < result.classes; ++c) {
    paint_matrix_row(canvas, result, plan, c);
    if (!labels) continue;
    const std::string name =
        Canvas::fit_text(class_name(class_names, c), plan.font, plan.left - 40.0);
    const double middle = (c + 0.5) * plan.cell;
    canvas.text({plan.left - 6, plan.top + middle + plan.font * 0.36}, name, plan.font, kText,
                TextAnchor::end);
    const double width = Canvas::text_width(name, plan.font);
    canvas.text_upwards({plan.left + middle + plan.font * 0.36, plan.top + side + 6 + width / 2},
                        name, plan.font, kText);
  }
  canvas.text_upwards({20, plan.top + side / 2}, "true class", kLabelSize, kInk);
  canvas.text({plan.left + side / 2, plan.top + side + below - 10}, "predicted class", kLabelSize,
              kInk, TextAnchor::middle);
  return canvas.take();
}

Image picture_grid(const std::vector<Image>& pictures, const std::vector<std::string>& captions,
                   int columns, int scale) {
  if (pictures.empty()) return {};
  const std::size_t across =
      std::clamp<std::size_t>(static_cast<std::size_t>(std::max(columns, 1)), 1, pictures.size());
  const double enlarge = scale > 0 ? scale : easy_scale(pictures);
  double cell_w = 56.0;  // room for a short caption
  double cell_h = 1.0;
  std::size_t caption_lines = 0;
  for (std::size_t i = 0; i < pictures.size(); ++i) {
    cell_w = std::max(cell_w, pictures[i].w * enlarge);
    cell_h = std::max(cell_h, pictures[i].h * enlarge);
    if (i < captions.size()) caption_lines = std::max(caption_lines, lines_of(captions[i]).size());
  }
  constexpr double kGap = 10.0;
  constexpr double kTextSize = 11.0;
  constexpr double kLine = 15.0;
  const double step_x = cell_w + kGap;
  const double step_y = cell_h + kGap + kLine * static_cast<double>(caption_lines);
  const std::size_t rows = (pictures.size() + across - 1) / across;
  Canvas canvas(step_x * static_cast<double>(across) + kGap,
                step_y * static_cast<double>(rows) + kGap, 1.0, kGround);
  for (std::size_t i = 0; i < pictures.size(); ++i) {
    const double x = kGap + step_x * static_cast<double>(i % across);
    const double y = kGap + step_y * static_cast<double>(i / across);
    const Image& picture = pictures[i];
    canvas.picture(picture.view(), x + (cell_w - picture.w * enlarge) / 2,
                   y + (cell_h - picture.h * enlarge) / 2, picture.w * enlarge,
                   picture.h * enlarge);
    if (i >= captions.size()) continue;
    double base = y + cell_h + kLine - 3.0;
    for (const std::string& line : lines_of(captions[i])) {
      canvas.text({x + cell_w / 2, base}, Canvas::fit_text(line, kTextSize, cell_w + kGap - 2),
                  kTextSize, kInk, TextAnchor::middle);
      base += kLine;
    }
  }
  return canvas.take();
}

void write_png(const std::string& path, const Image& image) {
  const std::vector<std::uint8_t> bytes = encode_png(image.view());
  write_file_atomically(
      path, std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
}

}  // namespace daybreak
