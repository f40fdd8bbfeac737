#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "report/html_parts.h"
#include "report/svg_plot.h"
#include "report/text.h"

namespace daybreak::detail {
namespace {

// What tells epochs apart: accuracy, or mean average precision of detectors.
double quality(const EpochRow& row) {
  return std::isfinite(row.val_map50) ? row.val_map50 : row.val_top1;
}

bool is_detector(const ReportData& data) {
  return std::any_of(data.epochs.begin(), data.epochs.end(),
                     [](const EpochRow& row) { return std::isfinite(row.val_map50); });
}

const EpochRow* best_row(const ReportData& data) {
  const EpochRow* best = nullptr;
  for (const EpochRow& row : data.epochs) {
    if (std::isfinite(quality(row)) && (!best || quality(row) > quality(*best))) best = &row;
  }
  return best;
}

std::string figure(const std::string& value, const std::string& name) {
  return fmt::format("<div class=\"figure\"><b>{}</b><span>{}</span></div>\n", xml_escape(value),
                     xml_escape(name));
}

std::string state_chip(const ReportData& data) {
  if (data.status.empty()) return "";
  const bool bad = data.status == "diverged" || data.status == "stopped";
  const char* kind = data.status == "running" ? " running" : bad ? " bad" : "";
  return fmt::format("<span class=\"state{}\">{}</span>", kind, xml_escape(data.status));
}

// The result as a person would tell it.
std::string lead(const ReportData& data) {
  if (data.epochs.empty()) return "<p class=\"lead\">No epoch has been finished yet.</p>\n";
  const EpochRow& last = data.epochs.back();
  const EpochRow* best = best_row(data);
  std::string text = fmt::format("After {} of {} epochs", last.epoch,
                                 std::max<std::int64_t>(data.planned_epochs, last.epoch));
  if (std::isfinite(last.val_top1)) {
    text += fmt::format(" the network names <b>{}</b> of the validation pictures correctly",
                        percent_text(last.val_top1));
    if (best && best->epoch != last.epoch) {
      text += fmt::format(" (best: {} after epoch {})", percent_text(best->val_top1), best->epoch);
    }
  } else if (std::isfinite(last.val_map50)) {
    text += fmt::format(
        " the mean average precision at IoU 0.5 is <b>{}</b> on the validation "
        "pictures",
        percent_text(last.val_map50));
    if (best && best->epoch != last.epoch) {
      text += fmt::format(" (best: {} after epoch {})", percent_text(best->val_map50), best->epoch);
    }
  } else if (std::isfinite(last.train_loss)) {
    text += fmt::format(" the training loss is <b>{}</b>", metric_text(last.train_loss));
  }
  text += fmt::format(". Training took <b>{}</b>", duration_text(data.seconds));
  if (!data.device.empty()) text += " on " + xml_escape(data.device);
  if (std::isfinite(last.images_per_second)) {
    text += fmt::format(", at {} pictures a second",
                        with_separators(std::llround(last.images_per_second)));
  }
  for (std::size_t at = 0; (at = text.find(" %", at)) != std::string::npos;) {
    text.replace(at, 1, "&#160;");  // a number and its unit stay on one line
  }
  return "<p class=\"lead\">" + text + ".</p>\n";
}

std::string figures(const ReportData& data) {
  if (data.epochs.empty()) return "";
  const EpochRow& last = data.epochs.back();
  const EpochRow* best = best_row(data);
  std::string html = "<div class=\"figures\">\n";
  if (std::isfinite(last.val_top1)) html += figure(percent_text(last.val_top1), "accuracy");
  if (std::isfinite(last.val_map50)) html += figure(percent_text(last.val_map50), "mAP at IoU 0.5");
  if (best) {
    html += figure(percent_text(quality(*best)), fmt::format("best, epoch {}", best->epoch));
  }
  if (std::isfinite(last.val_map)) html += figure(percent_text(last.val_map), "mAP 0.50:0.95");
  if (std::isfinite(last.val_top5) && data.class_names.size() > 5) {
    html += figure(percent_text(last.val_top5), "within 5 guesses");
  }
  for (const auto& [what, share] : data.others) html += figure(percent_text(share), what);
  if (std::isfinite(last.val_loss)) html += figure(metric_text(last.val_loss), "validation loss");
  html += figure(duration_text(data.seconds), "training time");
  if (std::isfinite(last.images_per_second)) {
    html += figure(with_separators(std::llround(last.images_per_second)), "pictures a second");
  }
  return html + "</div>\n";
}

std::string links(const ReportData& data) {
  std::string html;
  const auto link = [&](bool shown, const char* id, const char* title) {
    if (shown) html += fmt::format("<a href=\"#{}\">{}</a>\n", id, title);
  };
  const bool matrix = data.metrics && !data.metrics->confusion.empty();
  link(!data.epochs.empty(), "curves", "Curves");
  link(!data.epochs.empty(), "epochs", "Epochs");
  link(!data.mistakes.empty(), "mistakes", "Worst mistakes");
  link(matrix, "confusion", "Confusion matrix");
  link(data.metrics.has_value(), "classes", "Classes");
  link(data.detection.has_value(), "detection", "Detection");
  link(!data.found.empty(), "found", "Pictures");
  link(data.training_samples && data.training_samples->w > 0, "samples", "Training samples");
  link(!data.layers_text.empty(), "layers", "Network");
  link(!data.config_text.empty(), "config", "Configuration");
  link(!data.environment.empty() || !data.timings.empty(), "machine", "Machine");
  return html.empty() ? "" : "<nav>\n" + html + "</nav>\n";
}

std::string number_cell(double value, const std::string& text) {
  return "<td>" + (std::isfinite(value) ? text : std::string("-")) + "</td>";
}

std::string key_value_table(const std::string& title, const KeyValues& rows) {
  if (rows.empty()) return "";
  std::string html = fmt::format("<div><h3>{}</h3><table><tbody>\n", xml_escape(title));
  for (const auto& [key, value] : rows) {
    html += fmt::format(
        "<tr><th class=\"l\">{}</th><td class=\"l\" style=\"white-space:normal\">{}</td></tr>\n",
        xml_escape(key), xml_escape(value));
  }
  return html + "</tbody></table></div>\n";
}

}  // namespace

std::string section(const std::string& id, const std::string& title, const std::string& note,
                    const std::string& body) {
  if (body.empty()) return "";
  const std::string small =
      note.empty() ? "" : fmt::format("<p class=\"note\">{}</p>\n", xml_escape(note));
  return fmt::format("<section id=\"{}\">\n<h2>{}</h2>\n{}{}</section>\n", id, xml_escape(title),
                     small, body);
}

std::string html_header(const ReportData& data) {
  std::string sub = xml_escape(data.net_name);
  if (!data.data_name.empty()) sub += (sub.empty() ? "" : " on ") + xml_escape(data.data_name);
  return fmt::format("<header>\n<h1>{}{}</h1>\n<p class=\"sub\">{}</p>\n{}{}{}</header>\n",
                     xml_escape(data.run_name), state_chip(data), sub, lead(data), figures(data),
                     links(data));
}

std::string html_warnings(const ReportData& data) {
  if (data.warnings.empty()) return "";
  std::string html = "<section class=\"warnings\" id=\"warnings\">\n<h2>Warnings</h2>\n<ul>\n";
  for (const std::string& warning : data.warnings) {
    html += "<li>" + xml_escape(warning) + "</li>\n";
  }
  return html + "</ul>\n</section>\n";
}

std::string html_curves(const ReportData& data) {
  std::string html;
  for (const Plot& plot : report_plots(data)) html += svg_plot(plot, SvgUse::inlined);
  if (html.empty()) return "";
  return section("curves", "Curves", "Point at a curve to read its values.",
                 "<div class=\"plots\">\n" + html + "</div>\n");
}

std::string html_epochs(const ReportData& data) {
  if (data.epochs.empty()) return "";
  const EpochRow* best = best_row(data);
  const bool detector = is_detector(data);
  std::string html = fmt::format(
      "<div class=\"scroll tall\"><table "
      "class=\"full\"><thead><tr><th>epoch</th><th>step</th><th>train loss</th>"
      "<th>val loss</th><th>{}</th><th>{}</th><th>lr</th><th>momentum</th>"
      "<th>img/s</th><th>time</th></tr></thead><tbody>\n",
      detector ? "mAP at 0.5" : "accuracy", detector ? "0.50:0.95" : "5 guesses");
  for (const EpochRow& row : data.epochs) {
    html += best && best->epoch == row.epoch ? "<tr class=\"best\">" : "<tr>";
    html += fmt::format("<td>{}</td><td>{}</td>", row.epoch, with_separators(row.step));
    html += number_cell(row.train_loss, metric_text(row.train_loss));
    html += number_cell(row.val_loss, metric_text(row.val_loss));
    const double first = detector ? row.val_map50 : row.val_top1;
    const double second = detector ? row.val_map : row.val_top5;
    html += number_cell(first, percent_text(first));
    html += number_cell(second, percent_text(second));
    html += number_cell(row.lr, rate_text(row.lr));
    html += number_cell(row.momentum, rate_text(row.momentum));
    html += number_cell(row.images_per_second,
                        with_separators(std::llround(
                            std::isfinite(row.images_per_second) ? row.images_per_second : 0.0)));
    html += number_cell(row.seconds, duration_text(row.seconds)) + "</tr>\n";
  }
  html += "</tbody></table></div>\n";
  return section("epochs", "Epochs", best ? "The best epoch is bold." : "", html);
}

std::string html_texts(const ReportData& data) {
  const auto block = [](const std::string& text) {
    return text.empty() ? "" : "<pre>" + xml_escape(text) + "</pre>\n";
  };
  return section("layers", "Network", "", block(data.layers_text)) +
         section("config", "Configuration",
                 "Everything resolved, as in config.yaml: training with it repeats this run.",
                 block(data.config_text));
}

std::string html_machine(const ReportData& data) {
  const std::string tables = key_value_table("Machine and versions", data.environment) +
                             key_value_table("Where the time went", data.timings);
  return tables.empty()
             ? ""
             : section("machine", "Machine", "", "<div class=\"two\">\n" + tables + "</div>\n");
}

}  // namespace daybreak::detail
