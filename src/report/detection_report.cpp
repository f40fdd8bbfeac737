#include "report/detection_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "report/classification_metrics.h"
#include "report/html_parts.h"
#include "report/svg_plot.h"
#include "report/text.h"

namespace daybreak {
namespace {

constexpr int kMostCurves = kPaletteColours - 1;

// Classes that have truths, those with the most first.
std::vector<std::size_t> by_truths(const DetectionMetrics& metrics) {
  std::vector<std::size_t> order;
  for (std::size_t c = 0; c < metrics.classes.size(); ++c) {
    if (metrics.classes[c].truths > 0) order.push_back(c);
  }
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return metrics.classes[a].truths > metrics.classes[b].truths;
  });
  return order;
}

std::vector<double> recalls() {
  std::vector<double> values;
  for (int k = 0; k < kRecallPoints; ++k) values.push_back(k * 0.01);
  return values;
}

std::string text_of(double value) {
  return value < 0 ? "-" : fmt::format("{:.4f}", value);
}

std::string name_of_class(const std::vector<std::string>& names, std::size_t c) {
  return class_name(names, static_cast<int>(c));
}

std::string bar(double value) {
  if (value < 0) return "<td>-</td>";
  return fmt::format("<td><span class=\"bar\"><i style=\"width:{:.1f}%\"></i></span>{}</td>",
                     100.0 * std::clamp(value, 0.0, 1.0), text_of(value));
}

std::string figures(const DetectionMetrics& metrics) {
  std::string html = "<div class=\"figures\">\n";
  const std::pair<double, const char*> values[] = {
      {metrics.map50, "mAP at IoU 0.5"},  {metrics.map, "mAP 0.50:0.95"},
      {metrics.map75, "at IoU 0.75"},     {metrics.map_small, "small"},
      {metrics.map_medium, "medium"},     {metrics.map_large, "large"},
      {metrics.ar100, "recall 0.50:0.95"}};
  for (const auto& [value, name] : values) {
    if (value < 0) continue;
    html +=
        fmt::format("<div class=\"figure\"><b>{}</b><span>{}</span></div>\n", text_of(value), name);
  }
  return html + "</div>\n";
}

}  // namespace

Plot precision_recall_plot(const DetectionMetrics& metrics, const std::vector<std::string>& names) {
  Plot plot;
  plot.title = "precision and recall at IoU 0.5";
  plot.x = {"recall", Scale::linear, /*integers=*/false, 0.0, 1.0};
  plot.y = {"precision", Scale::linear, /*integers=*/false, 0.0, 1.0};
  plot.width = 560;
  plot.height = 280;
  const std::vector<std::size_t> order = by_truths(metrics);
  if (order.empty()) return plot;
  std::vector<double> mean(kRecallPoints);
  for (const std::size_t c : order) {
    const auto& curve = metrics.classes[c].curve;
    for (std::size_t k = 0; k < mean.size(); ++k) {
      mean[k] += curve[k] / static_cast<double>(order.size());
    }
  }
  const auto add = [&](const std::string& name, double ap, std::vector<double> y) {
    PlotSeries series;
    series.name = fmt::format("{} {:.3f}", name, ap);
    series.x = recalls();
    series.y = std::move(y);
    series.colour = static_cast<int>(plot.series.size());
    plot.series.push_back(std::move(series));
  };
  add("all classes", metrics.map50, std::move(mean));
  for (std::size_t i = 0; i < order.size() && i < kMostCurves && order.size() > 1; ++i) {
    const ClassPrecision& one = metrics.classes[order[i]];
    add(name_of_class(names, order[i]), one.ap50, {one.curve.begin(), one.curve.end()});
  }
  return plot;
}

Table detection_table(const DetectionMetrics& metrics, const std::vector<std::string>& names) {
  Table table({{"class"},
               {"boxes", Align::right},
               {"found", Align::right},
               {"AP50", Align::right},
               {"AP", Align::right}});
  std::int64_t truths = 0, found = 0;
  for (std::size_t c = 0; c < metrics.classes.size(); ++c) {
    const ClassPrecision& one = metrics.classes[c];
    table.add_row({name_of_class(names, c), with_separators(one.truths),
                   with_separators(one.detections), text_of(one.ap50), text_of(one.ap)});
    truths += one.truths;
    found += one.detections;
  }
  table.add_rule();
  table.add_row({"all", with_separators(truths), with_separators(found), text_of(metrics.map50),
                 text_of(metrics.map)});
  return table;
}

std::string html_detection(const DetectionMetrics& metrics, const std::vector<std::string>& names,
                           const std::string& of) {
  std::string rows;
  for (std::size_t c = 0; c < metrics.classes.size(); ++c) {
    const ClassPrecision& one = metrics.classes[c];
    rows += fmt::format("<tr><td class=\"l\">{}</td><td>{}</td><td>{}</td>{}{}</tr>\n",
                        xml_escape(name_of_class(names, c)), with_separators(one.truths),
                        with_separators(one.detections), bar(one.ap50), bar(one.ap));
  }
  const std::string table =
      "<div class=\"scroll tall\"><table class=\"full\"><thead><tr><th class=\"l\">class</th>"
      "<th>boxes</th><th>found</th><th>AP at 0.5</th><th>AP 0.50:0.95</th></tr></thead><tbody>\n" +
      rows + "</tbody></table></div>\n";
  const std::string curve = svg_plot(precision_recall_plot(metrics, names), SvgUse::inlined);
  return detail::section(
      "detection", "Detection",
      fmt::format("{} pictures.{} Average precision as COCO's evaluation computes it; classes "
                  "without a box are left out of the means.",
                  with_separators(metrics.pictures), of.empty() ? "" : " " + of + "."),
      figures(metrics) + "<div class=\"plots\">\n" + curve + table + "</div>\n");
}

}  // namespace daybreak
