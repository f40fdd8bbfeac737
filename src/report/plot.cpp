#include "report/plot.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "report/text.h"

namespace daybreak {
namespace {

constexpr double kTickFontWidth = 6.3;  // pixels a digit takes at 11 pixels
constexpr double kRightMargin = 18.0;
constexpr double kBottomMargin = 44.0;
constexpr double kTitleRow = 26.0;
constexpr double kLegendRow = 20.0;
constexpr double kPixelsPerTickX = 80.0;
constexpr double kPixelsPerTickY = 34.0;

struct Range {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();
  void add(double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
};

bool usable(double value, Scale scale) {
  return std::isfinite(value) && (scale == Scale::linear || value > 0.0);
}

// The step of 1, 2, 2.5, 5 or 10 times a power of ten whose number of ticks is nearest to `target`.
double nice_step(double span, int target, bool integers) {
  const double raw = span / std::max(target, 1);
  const double power = std::pow(10.0, std::floor(std::log10(raw)));
  double best = power;
  for (const double lead : {2.0, 2.5, 5.0, 10.0}) {
    if (integers && lead == 2.5 && power < 10.0) continue;  // 2.5 is no whole number
    const auto distance = [&](double step) { return std::abs(std::log(step / raw)); };
    if (distance(lead * power) < distance(best)) best = lead * power;
  }
  return integers ? std::max(best, 1.0) : best;
}

std::string linear_label(double value, double step) {
  if (std::abs(value) < step * 1e-6) return "0";
  const double size = std::max(std::abs(value), step);
  if (size >= 1e7 || size < 1e-4) return short_number(value, 3);
  int decimals = 0;
  for (double unit = step; decimals < 6 && std::abs(unit - std::round(unit)) > unit * 1e-6;) {
    unit *= 10.0;
    ++decimals;
  }
  if (decimals == 0) return with_separators(std::llround(value));
  return fmt::format("{:.{}f}", value, decimals);
}

std::string log_label(int exponent, int lead) {
  if (exponent >= -3 && exponent <= 4) return short_number(lead * std::pow(10.0, exponent), 3);
  return fmt::format("{}e{}", lead, exponent);
}

std::vector<PlotTick> log_ticks(double low, double high, int target) {
  std::vector<PlotTick> ticks;
  const double decades = std::log10(high / low);
  const int every = std::max(1, static_cast<int>(std::ceil(decades / std::max(target, 1) - 0.2)));
  const int first = static_cast<int>(std::floor(std::log10(low) + 1e-9));
  const int last = static_cast<int>(std::ceil(std::log10(high) - 1e-9));
  for (int exponent = first; exponent <= last; ++exponent) {
    if (exponent % every != 0) continue;
    for (const int lead : {1, 2, 5}) {
      if (lead > 1 && decades * 3.0 > target + 1.0) continue;
      const double value = lead * std::pow(10.0, exponent);
      if (value < low * 0.9999 || value > high * 1.0001) continue;
      ticks.push_back({value, log_label(exponent, lead)});
    }
  }
  return ticks;
}

Range data_range(const Plot& plot, bool along_x) {
  const PlotAxis& axis = along_x ? plot.x : plot.y;
  Range range;
  for (const PlotSeries& series : plot.series) {
    for (std::size_t i = 0; i < std::min(series.x.size(), series.y.size()); ++i) {
      if (!usable(series.x[i], plot.x.scale) || !usable(series.y[i], plot.y.scale)) continue;
      range.add(along_x ? series.x[i] : series.y[i]);
    }
  }
  for (const PlotMarker& marker : plot.markers) {
    if (along_x && usable(marker.x, axis.scale)) range.add(marker.x);
  }
  return range;
}

// The ends of an axis: fixed ones, or the data's with some air, never empty.
Range axis_range(const Plot& plot, bool along_x) {
  const PlotAxis& axis = along_x ? plot.x : plot.y;
  Range range = data_range(plot, along_x);
  if (!(range.low <= range.high)) {
    range = axis.scale == Scale::log ? Range{0.1, 1.0} : Range{0.0, 1.0};
  }
  const double air = along_x ? 0.0 : 0.05;
  if (axis.scale == Scale::log) {
    const double factor = std::max(std::pow(range.high / range.low, air), along_x ? 1.0 : 1.02);
    range = {range.low / factor, range.high * factor};
    if (!(range.low < range.high)) range = {range.low / 2.0, range.high * 2.0};
  } else {
    const double pad = (range.high - range.low) * air;
    const bool touches_zero = range.low >= 0.0 && range.low - pad < 0.0;
    range = {touches_zero ? 0.0 : range.low - pad, range.high + pad};
    if (!(range.low < range.high)) {
      const double half = axis.integers ? 1.0 : std::max(std::abs(range.low) * 0.1, 1e-6);
      range = {range.low - half, range.high + half};
    }
  }
  const bool log = axis.scale == Scale::log;
  if (axis.min && usable(*axis.min, axis.scale)) range.low = *axis.min;
  if (axis.max && usable(*axis.max, axis.scale)) range.high = *axis.max;
  if (!(range.low < range.high)) range.high = log ? range.low * 10.0 : range.low + 1.0;
  return range;
}

}  // namespace

bool AxisMap::shows(double value) const {
  return usable(value, scale);
}

double AxisMap::operator()(double value) const {
  const auto place = [&](double v) { return scale == Scale::log ? std::log10(v) : v; };
  const double share = (place(value) - place(low)) / (place(high) - place(low));
  // Far outside is as good as just outside, and keeps the numbers small.
  return from + std::clamp(share, -4.0, 5.0) * (to - from);
}

std::vector<PlotTick> nice_ticks(Scale scale, double low, double high, int target, bool integers) {
  std::vector<PlotTick> ticks;
  if (!(low < high) || !std::isfinite(low) || !std::isfinite(high)) return ticks;
  if (scale == Scale::log) {
    if (low <= 0.0) return ticks;
    ticks = log_ticks(low, high, target);
    if (ticks.size() >= 2) return ticks;
    ticks.clear();  // less than a decade without a round number: as on a linear axis
  }
  const double step = nice_step(high - low, target, integers);
  const double first = std::ceil(low / step - 1e-9);
  const double last = std::floor(high / step + 1e-9);
  constexpr double kMostTicks = 100.0;
  for (double i = first; i <= last && i - first < kMostTicks; ++i) {
    ticks.push_back({i * step, linear_label(i * step, step)});
  }
  return ticks;
}

PlotLayout layout_of(const Plot& plot) {
  PlotLayout layout;
  const auto named = std::count_if(plot.series.begin(), plot.series.end(),
                                   [](const PlotSeries& series) { return !series.name.empty(); });
  layout.legend = named > 1;
  layout.title_y = 18.0;
  layout.legend_y = layout.title_y + kLegendRow;
  layout.top = kTitleRow + (layout.legend ? kLegendRow : 0.0) + 6.0;
  layout.bottom = plot.height - kBottomMargin;
  layout.right = plot.width - kRightMargin;

  const Range y = axis_range(plot, /*along_x=*/false);
  const int y_target = static_cast<int>((layout.bottom - layout.top) / kPixelsPerTickY);
  layout.y_ticks = nice_ticks(plot.y.scale, y.low, y.high, std::max(y_target, 2), plot.y.integers);
  std::size_t widest = 1;
  for (const PlotTick& tick : layout.y_ticks) widest = std::max(widest, tick.label.size());
  const double label_row = plot.y.label.empty() ? 0.0 : 18.0;
  layout.left = 14.0 + label_row + kTickFontWidth * static_cast<double>(widest);
  layout.y = {plot.y.scale, y.low, y.high, layout.bottom, layout.top};

  const Range x = axis_range(plot, /*along_x=*/true);
  const int x_target = static_cast<int>((layout.right - layout.left) / kPixelsPerTickX);
  layout.x_ticks = nice_ticks(plot.x.scale, x.low, x.high, std::max(x_target, 2), plot.x.integers);
  layout.x = {plot.x.scale, x.low, x.high, layout.left, layout.right};
  return layout;
}

PlotSeries thinned(const PlotSeries& series, std::size_t most) {
  const std::size_t count = std::min(series.x.size(), series.y.size());
  if (count <= most || most < 4) return series;
  PlotSeries out = series;
  out.x.clear();
  out.y.clear();
  const std::size_t stretches = most / 2;
  for (std::size_t s = 0; s < stretches; ++s) {
    const std::size_t begin = s * count / stretches;
    const std::size_t end = (s + 1) * count / stretches;
    std::size_t low = begin;
    std::size_t high = begin;
    for (std::size_t i = begin; i < end; ++i) {
      if (series.y[i] < series.y[low] || std::isnan(series.y[low])) low = i;
      if (series.y[i] > series.y[high] || std::isnan(series.y[high])) high = i;
    }
    if (s == 0) low = begin;  // the ends of the curve stay in place
    if (s + 1 == stretches) high = end - 1;
    for (const std::size_t i : {std::min(low, high), std::max(low, high)}) {
      out.x.push_back(series.x[i]);
      out.y.push_back(series.y[i]);
    }
  }
  return out;
}

std::vector<std::vector<PixelPoint>> pieces_of(const PlotSeries& series, const PlotLayout& layout) {
  std::vector<std::vector<PixelPoint>> pieces;
  bool open = false;
  for (std::size_t i = 0; i < std::min(series.x.size(), series.y.size()); ++i) {
    if (!layout.x.shows(series.x[i]) || !layout.y.shows(series.y[i])) {
      open = false;
      continue;
    }
    const PixelPoint point = {layout.x(series.x[i]), layout.y(series.y[i])};
    if (!open) pieces.emplace_back();
    if (open && series.kind == LineKind::step) {
      pieces.back().push_back({point.x, pieces.back().back().y});
    }
    pieces.back().push_back(point);
    open = true;
  }
  return pieces;
}

std::vector<double> smoothed(const std::vector<double>& values, double beta) {
  std::vector<double> out;
  out.reserve(values.size());
  double average = 0.0;
  double weight = 1.0;  // beta^(i + 1)
  for (const double value : values) {
    if (!std::isfinite(value)) {
      out.push_back(value);
      continue;
    }
    average = beta * average + (1.0 - beta) * value;
    weight *= beta;
    out.push_back(average / (1.0 - weight));
  }
  return out;
}

unsigned palette_colour(int index, bool dark) {
  static constexpr std::array<unsigned, kPaletteColours> kLight = {0x2563EB, 0xD9660B, 0x15924F,
                                                                   0x7C3AED, 0xD02F4B, 0x0E8A9A};
  static constexpr std::array<unsigned, kPaletteColours> kDark = {0x6CA2FF, 0xF2A154, 0x58CC8C,
                                                                  0xB494FA, 0xF57B90, 0x4CC5D4};
  const int wrapped = ((index % kPaletteColours) + kPaletteColours) % kPaletteColours;
  return (dark ? kDark : kLight)[static_cast<std::size_t>(wrapped)];
}

int colour_of(const Plot& plot, std::size_t series) {
  const int wanted = plot.series[series].colour;
  return (wanted >= 0 ? wanted : static_cast<int>(series)) % kPaletteColours;
}

}  // namespace daybreak
