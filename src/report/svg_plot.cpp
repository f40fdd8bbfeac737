#include "report/svg_plot.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <map>

#include "io/atomic_file.h"
#include "report/text.h"

namespace daybreak {
namespace {

constexpr std::size_t kMostPoints = 900;  // of a curve: about one and a half a pixel
constexpr std::size_t kMostHits = 120;    // places that answer the pointer
constexpr std::size_t kMostDotted = 40;   // curves with fewer points show them
constexpr double kLegendCharacter = 6.6;  // pixels, at 12 pixels
constexpr double kMarkerRow = 14.0;

using Out = std::back_insert_iterator<std::string>;

// Coordinates need no more than a tenth of a pixel.
std::string px(double value) {
  std::string text = fmt::format("{:.1f}", value);
  if (text.ends_with(".0")) text.resize(text.size() - 2);
  return text;
}

std::string value_text(double value) {
  if (value != 0.0 && std::abs(value) < 1e-3) return short_number(value, 3);
  return short_number(value, 4);
}

void draw_frame(std::string& svg, const Plot& plot, const PlotLayout& at) {
  const Out out(svg);
  if (!plot.title.empty()) {
    fmt::format_to(out, "<text class=\"db-title\" x=\"{}\" y=\"{}\">{}</text>\n", px(14),
                   px(at.title_y), xml_escape(plot.title));
  }
  for (const PlotTick& tick : at.y_ticks) {
    const std::string y = px(at.y(tick.value));
    fmt::format_to(out, "<line class=\"db-grid\" x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\"/>",
                   px(at.left), y, px(at.right), y);
    fmt::format_to(out, "<text class=\"db-tick db-end\" x=\"{}\" y=\"{}\">{}</text>\n",
                   px(at.left - 7), px(at.y(tick.value) + 4), xml_escape(tick.label));
  }
  for (const PlotTick& tick : at.x_ticks) {
    const std::string x = px(at.x(tick.value));
    fmt::format_to(out, "<line class=\"db-axis\" x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\"/>", x,
                   px(at.bottom), x, px(at.bottom + 4));
    fmt::format_to(out, "<text class=\"db-tick db-mid\" x=\"{}\" y=\"{}\">{}</text>\n", x,
                   px(at.bottom + 17), xml_escape(tick.label));
  }
  fmt::format_to(out, "<line class=\"db-axis\" x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\"/>\n",
                 px(at.left), px(at.bottom), px(at.right), px(at.bottom));
  fmt::format_to(out, "<text class=\"db-label db-mid\" x=\"{}\" y=\"{}\">{}</text>\n",
                 px((at.left + at.right) / 2), px(plot.height - 8), xml_escape(plot.x.label));
  if (!plot.y.label.empty()) {
    fmt::format_to(out,
                   "<text class=\"db-label db-mid\" transform=\"translate(14 {}) rotate(-90)\">{}"
                   "</text>\n",
                   px((at.top + at.bottom) / 2), xml_escape(plot.y.label));
  }
}

void draw_legend(std::string& svg, const Plot& plot, const PlotLayout& at) {
  if (!at.legend) return;
  double x = 14.0;
  for (std::size_t i = 0; i < plot.series.size(); ++i) {
    const PlotSeries& series = plot.series[i];
    if (series.name.empty()) continue;
    fmt::format_to(Out(svg),
                   "<line class=\"db-line db-s{}{}\" x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\"/>"
                   "<text class=\"db-legend\" x=\"{}\" y=\"{}\">{}</text>\n",
                   colour_of(plot, i), series.faint ? " db-faint" : "", px(x), px(at.legend_y - 4),
                   px(x + 16), px(at.legend_y - 4), px(x + 22), px(at.legend_y),
                   xml_escape(series.name));
    x += 22.0 + 18.0 + kLegendCharacter * static_cast<double>(display_width(series.name));
  }
}

void draw_series(std::string& svg, const Plot& plot, std::size_t index, const PlotLayout& at) {
  const PlotSeries series = thinned(plot.series[index], kMostPoints);
  const int colour = colour_of(plot, index);
  for (const auto& piece : pieces_of(series, at)) {
    std::string path;
    for (const PixelPoint& point : piece) {
      path += fmt::format("{}{} {}", path.empty() ? "M" : "L", px(point.x), px(point.y));
    }
    fmt::format_to(Out(svg), "<path class=\"db-line db-s{}{}\" d=\"{}\"/>\n", colour,
                   series.faint ? " db-faint" : "", path);
  }
  if (series.x.size() > kMostDotted || series.kind == LineKind::step) return;
  for (std::size_t i = 0; i < std::min(series.x.size(), series.y.size()); ++i) {
    if (!at.x.shows(series.x[i]) || !at.y.shows(series.y[i])) continue;
    fmt::format_to(Out(svg), "<circle class=\"db-f{}\" cx=\"{}\" cy=\"{}\" r=\"2.6\"/>", colour,
                   px(at.x(series.x[i])), px(at.y(series.y[i])));
  }
  svg += '\n';
}

// Labels of neighbouring markers take turns over four rows, on the side that has room; they come
// after all lines, which their halo cuts.
void draw_markers(std::string& svg, const Plot& plot, const PlotLayout& at) {
  std::string labels;
  for (std::size_t i = 0; i < plot.markers.size(); ++i) {
    const PlotMarker& marker = plot.markers[i];
    if (!at.x.shows(marker.x)) continue;
    const double x = at.x(marker.x);
    const double row = at.top + 10.0 + kMarkerRow * static_cast<double>(i % 4);
    const std::string stroke = marker.colour < 0 ? "" : fmt::format(" db-s{}", marker.colour);
    const bool left = x > (at.left + at.right) / 2;
    fmt::format_to(Out(svg),
                   "<line class=\"db-marker{}\" x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\"/>\n",
                   stroke, px(x), px(at.top), px(x), px(at.bottom));
    if (marker.y && at.y.shows(*marker.y)) {
      fmt::format_to(Out(svg), "<circle class=\"db-f{}\" cx=\"{}\" cy=\"{}\" r=\"4\"/>\n",
                     std::max(marker.colour, 0), px(x), px(at.y(*marker.y)));
    }
    fmt::format_to(Out(labels), "<text class=\"db-tick db-halo{}\" x=\"{}\" y=\"{}\">{}</text>\n",
                   left ? " db-end" : "", px(x + (left ? -5 : 5)), px(row),
                   xml_escape(marker.label));
  }
  svg += labels;
}

// One place on the x axis that answers the pointer: what all curves are there.
struct Hit {
  std::string text;
  std::vector<std::pair<double, int>> dots;  // y pixel, colour
};

// Keyed by x. Curves with many points are looked at in equal distances.
std::map<double, Hit> hits_of(const Plot& plot, const PlotLayout& at) {
  std::map<double, Hit> hits;
  for (std::size_t s = 0; s < plot.series.size(); ++s) {
    const PlotSeries& series = plot.series[s];
    if (series.faint) continue;
    const std::size_t count = std::min(series.x.size(), series.y.size());
    const std::size_t every = (count + kMostHits - 1) / kMostHits;
    for (std::size_t i = 0; i < count; i += std::max<std::size_t>(every, 1)) {
      if (!at.x.shows(series.x[i]) || !at.y.shows(series.y[i])) continue;
      Hit& hit = hits[series.x[i]];
      if (hit.text.empty()) {
        const std::string x =
            plot.x.integers ? with_separators(std::llround(series.x[i])) : value_text(series.x[i]);
        hit.text = plot.x.label + " " + x;
      }
      const std::string& name = series.name.empty() ? plot.y.label : series.name;
      hit.text += fmt::format("  ·  {} {}", name, value_text(series.y[i]));
      hit.dots.emplace_back(at.y(series.y[i]), colour_of(plot, s));
    }
  }
  return hits;
}

void draw_hits(std::string& svg, const Plot& plot, const PlotLayout& at) {
  const std::map<double, Hit> hits = hits_of(plot, at);
  std::vector<double> places;
  for (const auto& [x, hit] : hits) places.push_back(at.x(x));
  std::size_t i = 0;
  for (const auto& [value, hit] : hits) {
    const double x = places[i];
    const double left = i == 0 ? at.left : (places[i - 1] + x) / 2;
    const double right = i + 1 == places.size() ? at.right : (x + places[i + 1]) / 2;
    ++i;
    const std::string text = xml_escape(hit.text);
    fmt::format_to(Out(svg),
                   "<g class=\"db-hit\"><title>{}</title><rect x=\"{}\" y=\"{}\" width=\"{}\" "
                   "height=\"{}\"/><line x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\"/>",
                   text, px(left), px(at.top), px(std::max(right - left, 0.5)),
                   px(at.bottom - at.top), px(x), px(at.top), px(x), px(at.bottom));
    for (const auto& [y, colour] : hit.dots) {
      fmt::format_to(Out(svg), "<circle class=\"db-f{}\" cx=\"{}\" cy=\"{}\" r=\"4\"/>", colour,
                     px(x), px(y));
    }
    fmt::format_to(Out(svg), "<text class=\"db-end\" x=\"{}\" y=\"{}\">{}</text></g>\n",
                   px(at.right), px(at.title_y), text);
  }
}

}  // namespace

std::string xml_escape(std::string_view text) {
  std::string out;
  out.reserve(text.size() + text.size() / 8);
  for (const char c : clean_block(text)) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string plot_css() {
  std::string css =
      ".db-plot{font-family:system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,"
      "sans-serif;font-size:11px}\n"
      ".db-plot text{fill:#5b6472}.db-plot .db-title{font-size:14px;font-weight:600;fill:#1b2330}\n"
      ".db-ground{fill:#fff}.db-legend,.db-label{font-size:12px}\n"
      ".db-end{text-anchor:end}.db-mid{text-anchor:middle}\n"
      ".db-grid{stroke:#e7eaef;stroke-width:1}.db-axis{stroke:#aab2bf;stroke-width:1}\n"
      ".db-line{fill:none;stroke-width:2;stroke-linejoin:round;stroke-linecap:round}\n"
      ".db-faint{stroke-width:1.2;opacity:.45}\n"
      ".db-marker{stroke:#8a93a3;stroke-width:1;stroke-dasharray:4 3}\n"
      ".db-halo{paint-order:stroke;stroke:#fff;stroke-width:3px;stroke-linejoin:round}\n"
      ".db-hit rect{fill:#fff;opacity:0}.db-hit line{stroke:#8a93a3}\n"
      ".db-hit line,.db-hit circle,.db-hit text{opacity:0}\n"
      ".db-hit:hover line,.db-hit:hover circle,.db-hit:hover text{opacity:1}\n";
  const auto colours = [](bool dark) {
    std::string rules;
    for (int i = 0; i < kPaletteColours; ++i) {
      rules += fmt::format(".db-s{0}{{stroke:#{1:06x}}}.db-f{0}{{fill:#{1:06x}}}", i,
                           palette_colour(i, dark));
    }
    return rules;
  };
  css += colours(/*dark=*/false) + "\n@media (prefers-color-scheme:dark){\n";
  css +=
      ".db-plot text{fill:#9aa5b5}.db-plot .db-title{fill:#e6eaf0}.db-ground{fill:#161b22}\n"
      ".db-grid{stroke:#262d37}.db-axis{stroke:#4b5563}.db-halo{stroke:#161b22}\n";
  css += colours(/*dark=*/true) + "\n}\n";
  return css;
}

std::string svg_plot(const Plot& plot, SvgUse use) {
  const PlotLayout at = layout_of(plot);
  std::string svg = fmt::format(
      "<svg class=\"db-plot\"{} viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\">\n",
      use == SvgUse::file ? fmt::format(" xmlns=\"http://www.w3.org/2000/svg\" width=\"{}\" "
                                        "height=\"{}\"",
                                        plot.width, plot.height)
                          : "",
      plot.width, plot.height, xml_escape(plot.title));
  if (use == SvgUse::file) {
    svg += "<style>\n" + plot_css() + "</style>\n";
    svg += "<rect class=\"db-ground\" width=\"100%\" height=\"100%\"/>\n";
  }
  draw_frame(svg, plot, at);
  draw_legend(svg, plot, at);
  // An inner svg clips what fixed axis ends leave outside, without ids that could clash in a page.
  fmt::format_to(
      Out(svg),
      "<svg x=\"{0}\" y=\"{1}\" width=\"{2}\" height=\"{3}\" viewBox=\"{0} {1} {2} {3}\" "
      "overflow=\"hidden\">\n",
      px(at.left - 4), px(at.top - 4), px(at.right - at.left + 8), px(at.bottom - at.top + 6));
  for (std::size_t i = 0; i < plot.series.size(); ++i) draw_series(svg, plot, i, at);
  svg += "</svg>\n";
  draw_markers(svg, plot, at);
  draw_hits(svg, plot, at);
  svg += "</svg>\n";
  return svg;
}

void write_svg_plot(const std::string& path, const Plot& plot) {
  write_file_atomically(path, svg_plot(plot, SvgUse::file));
}

}  // namespace daybreak
