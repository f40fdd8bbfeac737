#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

// What a chart shows, and its geometry: shared by the SVG and the PNG writer.

namespace daybreak {

enum class Scale : unsigned char { linear, log };

struct PlotAxis {
  std::string label;
  Scale scale = Scale::linear;
  bool integers = false;           ///< ticks on whole numbers only (epochs, steps)
  std::optional<double> min, max;  ///< fixed ends; otherwise from the data
};

enum class LineKind : unsigned char { line, step };

/// A curve. Values that are not finite, or not positive on a log axis, leave a gap.
struct PlotSeries {
  std::string name;
  std::vector<double> x, y;  ///< equally many
  LineKind kind = LineKind::line;
  bool faint = false;  ///< thin and pale: raw values behind their smoothed curve
  int colour = -1;     ///< of the palette; -1: by position
};

/// A vertical line with a label, such as a suggested learning rate; with `y` also a dot.
struct PlotMarker {
  double x = 0.0;
  std::string label;
  std::optional<double> y;
  int colour = -1;  ///< of the palette; -1: grey
};

struct Plot {
  std::string title;
  PlotAxis x, y;
  std::vector<PlotSeries> series;
  std::vector<PlotMarker> markers;
  int width = 720;
  int height = 300;
};

struct PlotTick {
  double value = 0.0;
  std::string label;
};

/// Maps values to pixels; `from` and `to` are pixels of the low and the high end.
struct AxisMap {
  Scale scale = Scale::linear;
  double low = 0.0, high = 1.0;
  double from = 0.0, to = 1.0;

  bool shows(double value) const;
  double operator()(double value) const;
};

/// Where everything of a plot lies, in pixels.
struct PlotLayout {
  double left = 0.0, top = 0.0, right = 0.0, bottom = 0.0;  ///< of the plotting area
  double title_y = 0.0, legend_y = 0.0;                     ///< base lines
  bool legend = false;
  AxisMap x, y;
  std::vector<PlotTick> x_ticks, y_ticks;
};

PlotLayout layout_of(const Plot& plot);

/// About `target` round numbers in [low, high], labelled with just enough digits.
std::vector<PlotTick> nice_ticks(Scale scale, double low, double high, int target, bool integers);

/// At most `most` points of a curve: the extremes of equal stretches, so that spikes stay visible.
PlotSeries thinned(const PlotSeries& series, std::size_t most);

/// A curve as connected pieces of pixel positions, gaps taken out and steps drawn out.
struct PixelPoint {
  double x, y;
};
std::vector<std::vector<PixelPoint>> pieces_of(const PlotSeries& series, const PlotLayout& layout);

/// Exponential moving average with bias correction: s = beta s + (1 - beta) v, s / (1 -
/// beta^(i+1)).
std::vector<double> smoothed(const std::vector<double>& values, double beta);

/// A palette colour as 0xRRGGBB, for a light or a dark ground; `index` wraps around.
unsigned palette_colour(int index, bool dark);
constexpr int kPaletteColours = 6;

/// The palette index of a plot's series.
int colour_of(const Plot& plot, std::size_t series);

}  // namespace daybreak
