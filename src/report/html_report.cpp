#include "report/html_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "io/atomic_file.h"
#include "report/detection_report.h"
#include "report/html_parts.h"
#include "report/svg_plot.h"
#include "report/text.h"

namespace daybreak {
namespace {

constexpr int kPlotWidth = 560;
constexpr int kPlotHeight = 280;

Plot plot_by_epoch(const ReportData& data, const std::string& title) {
  Plot plot;
  plot.title = title;
  plot.x = {"epoch", Scale::linear, /*integers=*/true, std::nullopt, std::nullopt};
  plot.width = kPlotWidth;
  plot.height = kPlotHeight;
  if (data.epochs.size() == 1) {  // one dot in the middle rather than at an edge
    plot.x.min = static_cast<double>(data.epochs[0].epoch) - 1.0;
    plot.x.max = static_cast<double>(data.epochs[0].epoch) + 1.0;
  }
  return plot;
}

Plot plot_by_step(const ReportData& data, const std::string& title, std::vector<double> values) {
  Plot plot;
  plot.title = title;
  plot.x = {"step", Scale::linear, /*integers=*/true, /*min=*/0.0, std::nullopt};
  plot.width = kPlotWidth;
  plot.height = kPlotHeight;
  PlotSeries series;
  for (const StepSample& step : data.steps) series.x.push_back(static_cast<double>(step.step));
  series.y = std::move(values);
  plot.series.push_back(std::move(series));
  for (const StepMark& mark : data.marks) {
    plot.markers.push_back({static_cast<double>(mark.step), mark.label, std::nullopt, -1});
  }
  return plot;
}

std::vector<double> column(const ReportData& data, double EpochRow::*field) {
  std::vector<double> values;
  for (const EpochRow& row : data.epochs) values.push_back(row.*field);
  return values;
}

std::vector<double> column(const ReportData& data, double StepSample::*field) {
  std::vector<double> values;
  for (const StepSample& step : data.steps) values.push_back(step.*field);
  return values;
}

bool any_value(const std::vector<double>& values) {
  return std::any_of(values.begin(), values.end(), [](double v) { return std::isfinite(v); });
}

void add_epoch_series(Plot& plot, const ReportData& data, const char* name,
                      const std::vector<double>& values, int colour) {
  if (!any_value(values)) return;
  PlotSeries series;
  series.name = name;
  series.colour = colour;
  // Epochs without an evaluation are left out, so that a line joins the others.
  for (std::size_t i = 0; i < data.epochs.size() && i < values.size(); ++i) {
    if (!std::isfinite(values[i])) continue;
    series.x.push_back(static_cast<double>(data.epochs[i].epoch));
    series.y.push_back(values[i]);
  }
  plot.series.push_back(std::move(series));
}

// The ends of lr and momentum curves that never change would be noise.
bool varies(const std::vector<double>& values) {
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  return !values.empty() && *high - *low > 1e-9 * std::max(1.0, std::abs(*high));
}

// Smoothed from both ends, so that the curve does not lag behind where the loss falls steeply.
std::vector<double> smoothed_both_ways(const std::vector<double>& values) {
  constexpr double kMostPoints = 30.0;
  const double points = std::clamp(static_cast<double>(values.size()) / 50.0, 2.0, kMostPoints);
  const double beta = 1.0 - 1.0 / points;
  const std::vector<double> forwards = smoothed(values, beta);
  std::vector<double> backwards = smoothed({values.rbegin(), values.rend()}, beta);
  std::reverse(backwards.begin(), backwards.end());
  std::vector<double> both;
  for (std::size_t i = 0; i < values.size(); ++i) both.push_back((forwards[i] + backwards[i]) / 2);
  return both;
}

Plot step_loss_plot(const ReportData& data) {
  Plot plot = plot_by_step(data, "training loss by step", column(data, &StepSample::loss));
  PlotSeries smooth = plot.series[0];
  smooth.y = smoothed_both_ways(smooth.y);
  smooth.name = "smoothed";
  smooth.colour = 0;
  plot.series[0].name = "each step";
  plot.series[0].faint = true;
  plot.series[0].colour = 0;
  plot.series.push_back(std::move(smooth));
  plot.y.label = "loss";
  return plot;
}

}  // namespace

std::vector<Plot> report_plots(const ReportData& data) {
  std::vector<Plot> plots;
  Plot loss = plot_by_epoch(data, "loss by epoch");
  loss.y.label = "loss";
  add_epoch_series(loss, data, "train", column(data, &EpochRow::train_loss), 0);
  add_epoch_series(loss, data, "validation", column(data, &EpochRow::val_loss), 1);
  if (!loss.series.empty()) plots.push_back(std::move(loss));

  const auto add_parts = [&](const char* title, auto box, auto objectness, auto classes) {
    Plot parts = plot_by_epoch(data, title);
    parts.y.label = "loss";
    add_epoch_series(parts, data, "boxes", column(data, box), 0);
    add_epoch_series(parts, data, "objectness", column(data, objectness), 1);
    add_epoch_series(parts, data, "classes", column(data, classes), 2);
    if (!parts.series.empty()) plots.push_back(std::move(parts));
  };
  add_parts("parts of the validation loss by epoch", &EpochRow::val_box, &EpochRow::val_objectness,
            &EpochRow::val_classes);
  add_parts("parts of the training loss by epoch", &EpochRow::train_box,
            &EpochRow::train_objectness, &EpochRow::train_classes);

  Plot accuracy = plot_by_epoch(data, "accuracy by epoch");
  accuracy.y.label = "accuracy";
  add_epoch_series(accuracy, data, "train", data.train_top1, 0);
  add_epoch_series(accuracy, data, "validation", column(data, &EpochRow::val_top1), 1);
  if (data.class_names.size() > 10) {
    add_epoch_series(accuracy, data, "validation, 5 guesses", column(data, &EpochRow::val_top5), 2);
  }
  if (!accuracy.series.empty()) plots.push_back(std::move(accuracy));

  Plot precision = plot_by_epoch(data, "mean average precision by epoch");
  precision.y.label = "mAP";
  add_epoch_series(precision, data, "IoU 0.50", column(data, &EpochRow::val_map50), 0);
  add_epoch_series(precision, data, "IoU 0.50 to 0.95", column(data, &EpochRow::val_map), 1);
  if (!precision.series.empty()) plots.push_back(std::move(precision));

  if (data.steps.size() < 2) return plots;
  plots.push_back(step_loss_plot(data));
  const std::vector<double> lr = column(data, &StepSample::lr);
  const std::vector<double> momentum = column(data, &StepSample::momentum);
  Plot lr_plot = plot_by_step(data, "learning rate by step", lr);
  lr_plot.y.label = "lr";
  lr_plot.series[0].colour = 3;
  plots.push_back(std::move(lr_plot));
  if (varies(momentum)) {
    Plot plot = plot_by_step(data, "momentum by step", momentum);
    plot.y.label = "momentum";
    plot.series[0].colour = 5;
    plots.push_back(std::move(plot));
  }
  return plots;
}

std::string png_data_uri(const Image& image) {
  static constexpr const char* kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const std::vector<std::uint8_t> bytes = encode_png(image.view());
  std::string text = "data:image/png;base64,";
  text.reserve(text.size() + bytes.size() / 3 * 4 + 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t left = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t group = 0;
    for (std::size_t j = 0; j < 3; ++j) group = group << 8 | (j < left ? bytes[i + j] : 0u);
    for (std::size_t j = 0; j < 4; ++j) {
      text += j <= left ? kDigits[group >> (18 - 6 * j) & 63] : '=';
    }
  }
  return text;
}

std::string html_report(const ReportData& data) {
  using namespace detail;
  std::string page = fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n"
      "<title>{} - daybreak</title>\n<style>{}</style>\n</head>\n<body>\n<main>\n",
      xml_escape(data.run_name), report_css());
  std::string body;
  body += html_warnings(data);
  body += html_curves(data);
  body += html_epochs(data);
  if (data.detection) {
    body += html_detection(*data.detection, data.class_names, data.metrics_of);
  }
  body += html_found(data);
  body += html_mistakes(data);
  body += html_confusion(data);
  body += html_classes(data);
  body += html_samples(data);
  body += html_texts(data);
  body += html_machine(data);
  page += html_header(data);
  page += body;
  page += "<footer>written by daybreak; one file, no network and no script needed</footer>\n";
  page += "</main>\n</body>\n</html>\n";
  return page;
}

void write_html_report(const std::string& path, const ReportData& data) {
  write_file_atomically(path, html_report(data));
}

}  // namespace daybreak
